//! Components of heterogeneous jobs, by the numbers of their jobs.

use proto::ctl::JobsRequest;

use crate::{
    client::{self, Client},
    trouble::Trouble,
    view::JobTarget,
};

/// The job that a target such as `118+1` names; none where there is no such component. Any other
/// target is what it is.
pub(crate) async fn numbered(
    client: &Client,
    target: &JobTarget,
) -> Result<Option<JobTarget>, Trouble> {
    if target.component.is_none() {
        return Ok(Some(target.clone()));
    }
    let request = JobsRequest { jobs: vec![target.job], ..JobsRequest::default() };
    let reply = client::jobs(client, request).await?;
    let mut jobs = reply.jobs.iter().filter_map(|view| view.job.as_ref());
    Ok(jobs.find(|job| target.names(job)).map(|job| JobTarget::job(job.id)))
}

//! `sbatch --wait`: until the job is over.

use std::time::Duration;

use proto::{
    ctl::JobsRequest,
    types::{EndState, Job},
};

use crate::{
    client::{self, Client},
    say,
    trouble::Trouble,
};

/// The first pause between two looks, and the longest.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// Waits, and returns the exit code.
pub(super) async fn for_end(client: &Client, job: u32) -> u8 {
    let mut pause = FIRST;
    loop {
        tokio::time::sleep(pause).await;
        let request = JobsRequest { jobs: vec![job], ..JobsRequest::default() };
        match client::jobs(client, request).await {
            Ok(reply) => {
                // Of an array, all of its tasks.
                let jobs: Vec<Job> = reply.jobs.into_iter().filter_map(|view| view.job).collect();
                if jobs.is_empty() {
                    return lost(job, "it is not known any more");
                }
                if jobs.iter().all(|job| job.over) {
                    return jobs.iter().map(exit_code).max().unwrap_or(1);
                }
            }
            // The job does not end with the controllers.
            Err(Trouble::Unreachable { .. } | Trouble::Silent { .. }) => {}
            Err(trouble @ (Trouble::Refused { .. } | Trouble::Untrusted { .. })) => {
                return lost(job, &trouble.to_string());
            }
            Err(trouble @ (Trouble::NoSite(_) | Trouble::RequestId(_))) => {
                return lost(job, &trouble.to_string());
            }
        }
        pause = (pause * 3 / 2).min(LONGEST);
    }
}

fn lost(job: u32, why: &str) -> u8 {
    say::error(&format!("how job {job} ended can't be told: {why}"));
    1
}

/// The script's exit code; 1 where a signal ended it, or the job failed without one.
fn exit_code(job: &Job) -> u8 {
    let Some(end) = &job.end else { return 1 };
    let completed = end.state == i32::from(EndState::Completed);
    match (end.exit_signal, u8::try_from(end.exit_code)) {
        (0, Ok(0)) if completed => 0,
        (0, Ok(code)) => code.max(1),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proto::types::End;

    use super::*;

    #[test]
    fn it_ends_as_the_script_does() {
        use EndState::{Cancelled, Completed, Failed, Timeout};
        let cases = [
            (Completed, 0, 0, 0),
            (Failed, 3, 0, 3),
            (Failed, 0, 9, 1),
            (Timeout, 0, 15, 1),
            (Timeout, 0, 0, 1),
            (Cancelled, 0, 0, 1),
        ];
        for (state, exit_code, exit_signal, expected) in cases {
            let end = End { state: state.into(), exit_code, exit_signal, ..End::default() };
            let job = Job { end: Some(end), over: true, ..Job::default() };
            assert_eq!(super::exit_code(&job), expected, "{state:?}");
        }
    }
}

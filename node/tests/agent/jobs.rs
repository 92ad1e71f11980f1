//! Jobs, as far as the agent looks at them.

use std::sync::Arc;

use common::{
    id::{GroupId, PartitionName, UserId},
    job::{Hold, Job, JobSpec, Phase, Rank},
    time::{TimeLimit, Timestamp},
};
use node::run::RunId;

/// The job of a run, as its leader sends it.
pub(crate) fn job(run: RunId) -> Arc<Job> {
    let spec = JobSpec {
        user: UserId(1),
        user_name: "jane".to_owned(),
        group: GroupId(1),
        group_name: "users".to_owned(),
        partition: PartitionName::from("cpu"),
        work_dir: "/".to_owned(),
        submit_line: String::new(),
        submit_host: String::new(),
        session: 0,
        umask: 0o22,
        ..JobSpec::plain()
    };
    Arc::new(Job {
        id: run.job,
        spec: Arc::new(spec),
        submitted: Timestamp(1),
        attempt: run.attempt,
        priority: 1,
        hold: Hold::None,
        partition: PartitionName::from("cpu"),
        time_limit: TimeLimit::Unlimited,
        begin: None,
        requeue: false,
        restarts: 0,
        phase: Phase::Pending,
        signals: vec![],
        signals_sent: 0,
        array: None,
        dependency: None,
        rank: Rank::default(),
        preemptor: false,
    })
}

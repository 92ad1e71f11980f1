//! What of a view a plan depends on.

use std::sync::Arc;

use common::{
    id::ContentHash,
    job::{Job, JobSpec},
    machine::State,
};

/// The same view with no more than [`crate::plan()`] looks at, and who the jobs belong to: no
/// secrets, nothing of what jobs run, and no jobs that are over.
///
/// **Invariant:** a plan of it is the plan of the whole view.
#[must_use]
pub fn inputs(view: &State) -> State {
    let counts = |job: &&Arc<Job>| job.is_pending() || job.holding().is_some();
    let jobs = view.jobs.values().filter(counts);
    let bared = |job: &Job| Job { spec: Arc::new(bare(&job.spec)), ..job.clone() };
    let mut inputs = State {
        at: view.at,
        cluster: view.cluster,
        format: view.format,
        config: view.config.clone(),
        accounts: view.accounts.clone(),
        usage: view.usage.clone(),
        nodes: view.nodes.clone(),
        jobs: jobs.map(|job| (job.id, Arc::new(bared(job)))).collect(),
        arrays: view.arrays.clone(),
        reservations: view.reservations.clone(),
        next_job: view.next_job,
        next_priority: view.next_priority,
        ..State::default()
    };
    inputs.rebuild();
    inputs
}

/// What a job asks for, without what it runs.
#[must_use]
pub fn bare(spec: &JobSpec) -> JobSpec {
    JobSpec {
        comment: None,
        script: ContentHash::default(),
        environment: ContentHash::default(),
        arguments: vec![],
        command: None,
        work_dir: String::new(),
        std_in: None,
        std_out: None,
        std_err: None,
        export: None,
        submit_line: String::new(),
        submit_host: String::new(),
        limits: vec![],
        trace: None,
        ..spec.clone()
    }
}

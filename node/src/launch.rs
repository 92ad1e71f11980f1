//! From an order to launch to a complete folder.

use common::{
    config::Config,
    id::Term,
    job::{ArrayPart, Job, OpenMode, Run},
    pattern::{BATCH, Names, expand},
};
use step::{
    manifest::{Limit, Manifest, VERSION},
    spool::{Spool, SpoolError},
};

use crate::{
    account::{self, Account, AccountError},
    binding::Machine,
    environment::{Host, of_batch},
};

/// Where output goes that nobody directed elsewhere, in the work directory.
const DEFAULT_OUTPUT: &str = "slurm-%j.out";

/// The same of a task of an array.
const DEFAULT_OF_TASK: &str = "slurm-%A_%a.out";

/// Why a run's folder could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("the order names no run")]
    NoRun,
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl LaunchError {
    /// Whether another job would fare no better here.
    #[must_use]
    pub fn is_node_fault(&self) -> bool {
        match self {
            Self::Spool(_) | Self::Account(AccountError::Lookup(_)) => true,
            Self::NoRun
            | Self::Account(
                AccountError::Unknown
                | AccountError::NotOurs { .. }
                | AccountError::NotMember { .. },
            ) => false,
        }
    }

    /// The whole chain of causes, in a line.
    #[must_use]
    pub fn text(&self) -> String {
        crate::reason(self)
    }
}

/// What a launch needs besides the order.
#[derive(Clone, Debug)]
pub struct Ground {
    pub spool: Spool,
    pub boot: String,
    pub host: Host,
    /// None where jobs are not to be bound to CPUs: the machine poses as another one.
    pub machine: Option<Machine>,
}

impl Ground {
    /// Makes the run's folder. With the job come the other components of a heterogeneous one.
    /// Blocks.
    ///
    /// # Errors
    /// Where the job can't run on this host, or the folder can't be written.
    pub fn prepare(
        &self,
        (job, components): (&Job, &[Job]),
        term: Term,
        config: &Config,
        script: &[u8],
        environment: &[u8],
    ) -> Result<(), LaunchError> {
        let run = job.run().ok_or(LaunchError::NoRun)?;
        let account = account::look_up(job.spec.user.0, job.spec.group.0)?;
        let environment =
            of_batch((job, components), run, config, &account, &self.host, environment);
        let manifest = self.manifest(job, run, term, config, account);
        let folder = self.spool.folder(job.id.0, job.attempt.0);
        Ok(folder.prepare(&manifest, script, &environment)?)
    }

    fn manifest(
        &self,
        job: &Job,
        run: &Run,
        term: Term,
        config: &Config,
        account: Account,
    ) -> Manifest {
        let spec = &job.spec;
        let held = run.places.first().map(|place| place.held).unwrap_or_default();
        let names = Names {
            job: job.id.0,
            array: array(job),
            step: BATCH,
            node: Some(&self.host.node),
            node_index: 0,
            task: 0,
            user: &account.name,
            job_name: &spec.name,
        };
        let default = if names.array.is_some() { DEFAULT_OF_TASK } else { DEFAULT_OUTPUT };
        let file = |pattern: &String| expand(pattern, &names);
        let limits = spec.limits.iter().map(|limit| Limit {
            resource: limit.resource,
            soft: limit.soft,
            hard: limit.hard,
        });
        Manifest {
            version: VERSION,
            boot: self.boot.clone(),
            cluster: config.cluster_name.clone(),
            node: self.host.node.clone(),
            job: job.id.0,
            attempt: job.attempt.0,
            term: term.0,
            uid: account.uid,
            gid: account.gid,
            groups: account.groups.clone(),
            arguments: spec.arguments.clone(),
            work_dir: spec.work_dir.clone(),
            umask: spec.umask,
            limits: limits.collect(),
            std_in: spec.std_in.as_ref().map(file),
            std_out: spec
                .std_out
                .as_ref()
                .map_or_else(|| expand(default, &names), |pattern| expand(pattern, &names)),
            std_err: spec.std_err.as_ref().map(file),
            append: spec.open_mode.unwrap_or(config.open_mode()) == OpenMode::Append,
            cpus: held.cpus,
            bound_to: self.bound_to(run, config),
            memory_mib: Some(held.memory_mib).filter(|mib| *mib > 0),
            user_name: account.name,
        }
    }

    /// The machine's CPUs that the job is bound to; none where it is not.
    fn bound_to(&self, run: &Run, config: &Config) -> Vec<u32> {
        let machine = self.machine.as_ref().filter(|_| config.binds_to_cpus());
        let place = run.places.iter().find(|place| place.node.as_str() == self.host.node);
        let known = machine.zip(place).zip(config.node(&self.host.node));
        known.map_or_else(Vec::new, |((machine, place), conf)| machine.cpus(conf, &place.cpus))
    }
}

/// The array and the number in it, where the job is a task of one.
fn array(job: &Job) -> Option<(u32, u32)> {
    match job.array {
        Some(ArrayPart::Task { array, index }) => Some((array.0, index)),
        Some(ArrayPart::Waiting(_)) | None => None,
    }
}

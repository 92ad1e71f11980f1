//! Events that speak of jobs that make way. Since format 2.

use std::sync::Arc;

use common::{
    account::{Accounts, parse},
    config::{Config, PreemptMode, PreemptType, Preemption},
    id::{Attempt, JobId},
    job::{End, EndState, ExitStatus, Requeue},
    machine::Event,
    time::Timestamp,
};

use crate::samples::config;

const JOB: JobId = JobId(1_000);

pub(crate) fn events() -> Vec<Event> {
    let (job, attempt) = (JOB, Attempt(2));
    let (by, until) = (JobId(1_001), Timestamp(9_000));
    let end = End {
        at: Timestamp(8_000),
        state: EndState::Preempted,
        exit: ExitStatus::default(),
        by: None,
        reason: None,
        message: None,
    };
    let requeue = Some(Requeue { begin: Some(Timestamp(9_999)), hold: false });
    vec![
        Event::ConfigSet { config: Arc::new(preempting()) },
        Event::AccountsLoaded { accounts: Arc::new(accounts()) },
        Event::JobPreempted { job, attempt, by, until, requeue: true },
        Event::JobPreempted { job, attempt, by, until, requeue: false },
        Event::JobCompleting { job, attempt, end, requeue },
    ]
}

fn preempting() -> Config {
    let mut config = config();
    config.preemption = Preemption {
        by: PreemptType::PartitionPrio,
        mode: PreemptMode::Requeue,
        exempt: 60,
        youngest_first: true,
        reorder_count: Some(2),
    };
    config.partitions[0].preempt_mode = Some(PreemptMode::Cancel);
    config.partitions[0].grace_time = 30;
    config
}

/// Every way to say it, once.
const FILE: &str = "\
QOS - 'normal'
QOS - 'low':GraceTime=10:PreemptMode='CANCEL':PreemptExemptTime='00:10:00'
QOS - 'high':Preempt='low,normal'
Cluster - 'ref'
";

fn accounts() -> Accounts {
    parse(FILE).unwrap_or_else(|errors| panic!("{errors:?}")).accounts
}

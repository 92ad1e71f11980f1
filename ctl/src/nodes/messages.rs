//! What nodes and leaders say, from and to the wire.

use bytes::Bytes;
use common::{
    id::{Attempt, JobId},
    job::ExitStatus,
    machine::{Cause, Order, Report},
    time::Timestamp,
};
use proto::{
    convert::slim_job,
    node::{self as wire, leader_message::Kind, report},
    types,
};
use raft_store::Log;

use super::dispatch::Errand;

/// How large a script or environment may be, in bytes, to go with the order. A larger one is
/// fetched by the node, so that a stream of orders stays one of small messages.
const INLINE: usize = 256 * 1024;

/// The longest explanation of a failed launch that is kept, in bytes.
const MAX_TEXT: usize = 1024;

/// A report, or why it is none.
pub(super) fn report(wire: wire::Report) -> Result<(JobId, Attempt, Report), &'static str> {
    let byte = |value: u32| u8::try_from(value).map_err(|_| "an exit status is out of range");
    let report = match wire.kind.ok_or("a report says nothing")? {
        report::Kind::Launching(wire::Launching {}) => Report::Launching,
        report::Kind::Running(wire::Running {}) => Report::Running,
        report::Kind::Delivered(wire::Delivered { number }) => Report::Delivered { number },
        report::Kind::Ended(ended) => Report::Ended {
            at: Timestamp(ended.at),
            exit: ExitStatus { code: byte(ended.exit_code)?, signal: byte(ended.exit_signal)? },
            out_of_memory: ended.out_of_memory,
        },
        report::Kind::LaunchFailed(wire::LaunchFailed { at, mut message, node_fault }) => {
            message.truncate(message.floor_char_boundary(MAX_TEXT));
            Report::LaunchFailed { at: Timestamp(at), message, node_fault }
        }
        report::Kind::Lost(wire::Lost { at }) => Report::Lost { at: Timestamp(at) },
    };
    Ok((JobId(wire.job), Attempt(wire.attempt), report))
}

/// The message of an order; none where what it is about has gone meanwhile.
pub(super) fn message(errand: &Errand, log: &Log) -> Option<Kind> {
    Some(match errand.order {
        Order::Launch { attempt, .. } => {
            let job = errand.job.as_ref().filter(|job| job.attempt == attempt)?;
            let content = |hash| match log.blob(hash) {
                Ok(Some(content)) if content.len() <= INLINE => content,
                Ok(_) => Bytes::new(),
                Err(error) => {
                    tracing::error!(%error, job = job.id.0, "can't read what the job runs");
                    Bytes::new()
                }
            };
            Kind::Launch(wire::Launch {
                job: Some(job.as_ref().into()),
                script: content(job.spec.script),
                environment: content(job.spec.environment),
                components: errand.components.iter().map(|job| slim_job(job)).collect(),
            })
        }
        Order::Terminate { job, attempt, cause, at } => Kind::Terminate(wire::Terminate {
            job: job.0,
            attempt: attempt.0,
            cause: wire_cause(cause).into(),
            kill_wait_s: errand.kill_wait,
            at: at.0,
        }),
        Order::Signal { job, attempt, number, signal, scope } => Kind::Signal(wire::Signal {
            job: job.0,
            attempt: attempt.0,
            number,
            signal: u32::from(signal),
            scope: types::SignalScope::from(scope).into(),
        }),
        Order::Release { job, attempt } => {
            Kind::Release(wire::Release { job: job.0, attempt: attempt.0 })
        }
    })
}

fn wire_cause(cause: Cause) -> wire::Cause {
    match cause {
        Cause::Cancelled => wire::Cause::Cancelled,
        Cause::TimeLimit => wire::Cause::TimeLimit,
        Cause::NodeFailure => wire::Cause::NodeFailure,
        Cause::Requeue => wire::Cause::Requeue,
        Cause::Preempted => wire::Cause::Preempted,
        Cause::Stale => wire::Cause::Stale,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn whatever_a_node_says_is_a_report_or_is_none(bytes in any::<Vec<u8>>()) {
            if let Ok(wire) = wire::Report::decode(bytes.as_slice()) {
                let (job, attempt) = (wire.job, wire.attempt);
                if let Ok((found, run, said)) = report(wire) {
                    prop_assert_eq!((found.0, run.0), (job, attempt));
                    let _ = said.stage();
                }
            }
        }

        #[test]
        fn an_explanation_is_cut_between_characters(
            message in "\\PC{0,2000}",
            code in any::<u32>(),
        ) {
            let failed = wire::LaunchFailed { at: 1, message: message.clone(), node_fault: true };
            let kind = Some(report::Kind::LaunchFailed(failed));
            let (_, _, said) = report(wire::Report { job: 1, attempt: 1, kind }).expect("a report");
            let Report::LaunchFailed { message: kept, .. } = said else { panic!("{said:?}") };
            prop_assert!(kept.len() <= MAX_TEXT && message.starts_with(&kept));
            prop_assert!(kept.len() + 4 > message.len().min(MAX_TEXT));

            let ended = wire::Ended { exit_code: code, ..wire::Ended::default() };
            let kind = Some(report::Kind::Ended(ended));
            let taken = report(wire::Report { job: 1, attempt: 1, kind });
            prop_assert_eq!(taken.is_ok(), code < 256);
        }
    }
}

//! What a plan of this moment is made of, for `rafter sched dump`.

use std::pin::Pin;

use futures::Stream;
use proto::{convert::input_parts, plan::DumpReply};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::status::{operator_in, unavailable, user};
use crate::{clock, shared::Shared};

/// Parts that wait to be taken.
const AHEAD: usize = 4;

pub(super) type Parts = Pin<Box<dyn Stream<Item = Result<DumpReply, Status>> + Send>>;

/// All that was acknowledged before the question counts.
pub(super) async fn dump<T>(shared: &Shared, request: Request<T>) -> Result<Parts, Status> {
    let (user, _) = user(&request)?;
    let applied = shared.log.read_barrier().await.map_err(|error| unavailable(&error))?;
    operator_in(&applied.state, user)?;
    let (sender, parts) = mpsc::channel(AHEAD);
    let now = clock::now().max(applied.state.at);
    tokio::task::spawn_blocking(move || {
        let inputs = sched::inputs(&applied.state);
        drop(applied);
        for chunk in input_parts(&inputs, now, env!("CARGO_PKG_VERSION")) {
            if sender.blocking_send(Ok(DumpReply { chunk })).is_err() {
                return;
            }
        }
    });
    Ok(Box::pin(ReceiverStream::new(parts)))
}

#[cfg(test)]
mod tests {
    use common::{
        job::Layout,
        time::{Span, TimeLimit, Timestamp},
    };
    use proptest::prelude::*;
    use proto::convert::read_inputs;

    use super::*;
    use crate::fixture::Cluster;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// What goes over the wire and into a file gives the plan of the view that it was made of.
        #[test]
        fn the_plan_of_a_dump_is_the_plan_of_the_view(
            jobs in proptest::collection::vec((1..5_u32, 1..4_u32, 1..90_u32, 0..9_u32), 0..30),
            later in 0..4_000_u64,
        ) {
            let mut cluster = Cluster::new(3);
            for (cpus, nodes, minutes, kind) in jobs {
                let begin = cluster.now + Span::from_seconds(60);
                let job = cluster.submit_to(cpus, |spec| {
                    let layout = spec.layout;
                    spec.layout = Layout { min_nodes: nodes, nodes_given: true, ..layout };
                    spec.time_limit = (kind != 1).then_some(TimeLimit::Minutes(minutes));
                    spec.hold = kind == 2;
                    spec.begin = (kind == 3).then_some(begin);
                    spec.comment = Some("hush".to_owned());
                });
                let starts = sched::plan(&cluster.state(), cluster.now).starts;
                for start in starts.into_iter().filter(|start| kind < 5 && start.job == job) {
                    cluster.send(common::machine::Command::Allocate(start));
                }
                if kind == 4 {
                    cluster.cancel(job);
                }
            }
            let (view, now) = (cluster.state(), Timestamp(cluster.now.0 + later));
            let parts: Vec<_> = input_parts(&sched::inputs(&view), now, "1").collect();
            let file = parts.concat();
            for secret in ["hush", "#!/bin/sh"] {
                let found = file.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
                prop_assert!(!found, "{} is in it", secret);
            }
            let read = read_inputs(&file.into()).expect("whole");
            let mut plan = sched::plan(&view, now);
            for start in &mut plan.starts {
                start.asked = sched::bare(&start.asked).into();
            }
            prop_assert_eq!(sched::plan(&read.state, read.now), plan);
        }
    }
}

//! `rafter what-if`: how waits would change, were the cluster or its queue otherwise.
//!
//! Pure: what is supposed goes through the machine, as what happens does, on a copy of the state
//! that nobody keeps. Then the same planner plans both.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use common::{
    config::Config,
    id::{ContentHash, Incarnation, JobId, NodeName, RequestId, Term, UserId},
    job::JobSpec,
    machine::{
        Allocation, Answer, By, Command, NodeChanges, NodeTarget, Refusal, State, Submission,
    },
    node::Inventory,
    time::Timestamp,
};
use proto::plan as wire;
use sched::Plan;
use tonic::{Request, Status};

use super::{
    aside::aside,
    groups,
    status::{invalid, refused, unavailable, user},
};
use crate::{clock, head::Head, shared::Shared};

/// How many jobs may be supposed, and how many nodes.
const MOST: usize = 100_000;

/// Of how many jobs it is told how they move.
const TOLD: usize = 20;

pub(super) async fn what_if(
    shared: &Shared,
    request: Request<wire::WhatIfRequest>,
) -> Result<wire::WhatIfReply, Status> {
    let (user, name) = user(&request)?;
    let mut request = request.into_inner();
    let applied = shared.log.read_barrier().await.map_err(|error| unavailable(&error))?;
    let state = applied.state.clone();
    for spec in request.jobs.iter_mut().filter_map(|jobs| jobs.spec.as_mut()) {
        let mut partitions = spec.partition.as_str().into();
        groups::admit(&state, user, &mut partitions).await?;
        spec.partition = partitions.to_string();
    }
    aside(shared, move || run(&state, (user, &name), request, clock::now())).await?
}

fn run(
    state: &State,
    by: (UserId, &str),
    request: wire::WhatIfRequest,
    now: Timestamp,
) -> Result<wire::WhatIfReply, Status> {
    let wire::WhatIfRequest { add, partitions, nodes, jobs, priorities } = request;
    let mut supposed = Supposed::new(state, by, now);
    for wire::NodesAdded { names, like } in &add {
        supposed.add_nodes(names, like)?;
    }
    for wire::PartitionChanged { name, changes } in &partitions {
        supposed.partition(name, changes)?;
    }
    supposed.priorities(&priorities)?;
    for wire::NodesChanged { names, drain } in &nodes {
        let target = if *drain { NodeTarget::Drain } else { NodeTarget::Resume };
        supposed.nodes(names, target)?;
    }
    for wire::JobsSubmitted { spec, count } in jobs {
        supposed.submit(spec, count)?;
    }
    Ok(supposed.compared(state))
}

/// The copy.
struct Supposed<'a> {
    head: Head,
    by: (UserId, &'a str),
    now: Timestamp,
    requests: u128,
    /// Jobs that were submitted.
    submitted: Vec<JobId>,
}

impl<'a> Supposed<'a> {
    fn new(state: &State, by: (UserId, &'a str), now: Timestamp) -> Self {
        let head = Head::new(state.clone(), Term(state.term.0 + 1));
        Self { head, by, now: now.max(state.at), requests: 0, submitted: vec![] }
    }

    fn send(&mut self, command: Command) -> Result<Answer, Status> {
        let proposed = self.head.propose(command, self.now);
        proposed.answer.map_err(|refusal| refused(&refusal))
    }

    /// A request of its own: nobody has drawn such a number.
    fn by(&mut self, user: UserId) -> By {
        self.requests += 1;
        By { user, request: RequestId((u128::MAX - self.requests).to_be_bytes()) }
    }

    fn config(&self) -> Result<Arc<Config>, Status> {
        self.head.state().config.clone().ok_or_else(|| refused(&Refusal::Disabled))
    }

    /// Nodes that are up and idle, and like another one in everything else.
    fn add_nodes(&mut self, names: &[String], like: &str) -> Result<(), Status> {
        let mut config = self.config()?.as_ref().clone();
        let no_such = || refused(&Refusal::NoSuchNode(like.into()));
        let model = config.node(like).cloned().ok_or_else(no_such)?;
        if config.nodes.len() + names.len() > MOST {
            return Err(Status::invalid_argument("too many nodes"));
        }
        for name in names {
            if config.node(name).is_some() {
                return Err(Status::invalid_argument(format!("node {name} is there already")));
            }
            let (name, address, hostname) = (name.clone(), name.clone(), name.clone());
            for partition in &mut config.partitions {
                if partition.nodes.contains(&model.name) {
                    partition.nodes.push(name.clone());
                }
            }
            config.nodes.push(common::config::NodeConf {
                name,
                address,
                hostname,
                ..model.clone()
            });
        }
        self.send(Command::SetConfig { config: Arc::new(config) })?;
        for name in names {
            let inventory = Box::new(Inventory {
                cpus: model.cpus,
                boards: model.boards,
                sockets: model.sockets,
                cores_per_socket: model.cores_per_socket,
                threads_per_core: model.threads_per_core,
                memory_mib: model.real_memory_mib,
                tmp_disk_mib: model.tmp_disk_mib,
                architecture: String::new(),
                operating_system: String::new(),
                version: String::new(),
                booted: self.now,
                daemon_started: self.now,
                incarnation: Incarnation(0),
                gres: model.promised_gres(),
            });
            let (node, address) = (NodeName::from(name.as_str()), name.clone());
            self.send(Command::Register { node, address, inventory })?;
        }
        self.nodes(names, NodeTarget::Resume)
    }

    fn partition(&mut self, name: &str, changes: &str) -> Result<(), Status> {
        let config = self.config()?.with_partition(name, changes);
        let config = config.map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.send(Command::SetConfig { config: Arc::new(config) }).map(drop)
    }

    fn priorities(&mut self, changes: &str) -> Result<(), Status> {
        if changes.is_empty() {
            return Ok(());
        }
        let config = self.config()?.with_priorities(changes);
        let config = config.map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.send(Command::SetConfig { config: Arc::new(config) }).map(drop)
    }

    fn nodes(&mut self, names: &[String], target: NodeTarget) -> Result<(), Status> {
        for name in names {
            let (by, node) = (self.by(UserId::ROOT), NodeName::from(name.as_str()));
            let reason = Some("what if".to_owned());
            let changes = NodeChanges { target: Some(target), reason };
            self.send(Command::UpdateNode { by, node, changes })?;
        }
        Ok(())
    }

    /// Jobs of whoever asks.
    fn submit(&mut self, spec: Option<proto::types::JobSpec>, count: u32) -> Result<(), Status> {
        let spec = spec.ok_or_else(|| Status::invalid_argument("`spec` is missing"))?;
        let spec = JobSpec::try_from(spec).map_err(|error| invalid(&error))?;
        if self.submitted.len() + count as usize > MOST {
            return Err(Status::invalid_argument("too many jobs"));
        }
        let (user, name) = self.by;
        let spec = JobSpec {
            user,
            user_name: name.to_owned(),
            script: ContentHash::default(),
            environment: ContentHash::default(),
            ..spec
        };
        for _ in 0..count {
            let (by, spec) = (self.by(user), spec.clone());
            let (script, environment) = (Bytes::from_static(b"#!/bin/sh\n"), Bytes::new());
            let components = vec![];
            let submission = Submission { by, spec, components, script, environment };
            if let Answer::Job(job) = self.send(Command::Submit(Box::new(submission)))? {
                self.submitted.push(job);
            }
        }
        Ok(())
    }

    /// Plans both, and says how they differ.
    fn compared(&self, live: &State) -> wire::WhatIfReply {
        let (now, state) = (self.now, self.head.state());
        let before = starts(&sched::plan(live, now), now);
        let after = starts(&sched::plan(state, now), now);
        let waiting: Vec<JobId> = live.queues.values().flatten().map(|key| key.job).collect();
        let mut moved: Vec<Move> = Vec::new();
        for job in &waiting {
            let (before, after) = (before.get(job).copied(), after.get(job).copied());
            if before != after {
                moved.push(Move { job: *job, before, after });
            }
        }
        let later = moved.iter().filter(|it| it.is_later()).count();
        let sooner = moved.len() - later;
        moved.sort_by_key(|it| (Reverse(it.distance()), it.job));
        let told = moved.iter().take(TOLD).map(|it| it.told(live));
        let submitted = !self.submitted.is_empty();
        wire::WhatIfReply {
            now: now.0,
            before: Some(waits(&before, &waiting, now)),
            after: Some(waits(&after, &waiting, now)),
            submitted: submitted.then(|| waits(&after, &self.submitted, now)),
            sooner: count(sooner),
            later: count(later),
            moved: told.collect(),
        }
    }
}

/// Each job's start, where the plan knows one.
fn starts(plan: &Plan, now: Timestamp) -> BTreeMap<JobId, Timestamp> {
    let mut starts = plan.estimates.clone();
    starts.extend(plan.starts.iter().flat_map(Allocation::all).map(|start| (start.job, now)));
    starts
}

/// A job whose start is another one.
struct Move {
    job: JobId,
    before: Option<Timestamp>,
    after: Option<Timestamp>,
}

impl Move {
    /// A start that is not known is later than any.
    fn is_later(&self) -> bool {
        match (self.before, self.after) {
            (Some(before), Some(after)) => after > before,
            (before, after) => before.is_some() && after.is_none(),
        }
    }

    /// By how much it moves, in milliseconds.
    fn distance(&self) -> u64 {
        match (self.before, self.after) {
            (Some(before), Some(after)) => before.0.abs_diff(after.0),
            (Some(_) | None, None) | (None, Some(_)) => u64::MAX,
        }
    }

    fn told(&self, live: &State) -> wire::Moved {
        let job = &live.jobs[&self.job];
        wire::Moved {
            job: self.job.0,
            user: job.spec.user_name.clone(),
            partition: job.partition.to_string(),
            before: self.before.map(|at| at.0),
            after: self.after.map(|at| at.0),
        }
    }
}

fn waits(starts: &BTreeMap<JobId, Timestamp>, jobs: &[JobId], now: Timestamp) -> wire::Waits {
    let known = jobs.iter().filter_map(|job| starts.get(job));
    let mut waits: Vec<u64> = known.map(|start| start.since(now).0).collect();
    waits.sort_unstable();
    let sum: u128 = waits.iter().map(|wait| u128::from(*wait)).sum();
    let mean = sum.checked_div(waits.len() as u128);
    wire::Waits {
        jobs: count(jobs.len()),
        start_now: count(waits.partition_point(|wait| *wait == 0)),
        unknown: count(jobs.len() - waits.len()),
        mean: mean.map(|mean| u64::try_from(mean).unwrap_or(u64::MAX)),
        median: waits.get(waits.len() / 2).copied(),
        most: waits.last().copied(),
    }
}

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use common::{
        job::Layout,
        time::{Span, TimeLimit},
    };
    use proto::convert::state_digest;
    use tonic::Code;

    use super::*;
    use crate::fixture::{ALICE, Cluster, spec};

    const MINUTE: u64 = 60_000;

    /// A run of ten minutes on each of two nodes, and two jobs that wait for a whole node each.
    fn cluster() -> (Cluster, [JobId; 2]) {
        let mut cluster = Cluster::new(2);
        let limited =
            |minutes| move |spec: &mut JobSpec| spec.time_limit = Some(TimeLimit::Minutes(minutes));
        for node in ["n1", "n2"] {
            let job = cluster.submit_to(4, limited(10));
            cluster.allocate(job, node, 4);
        }
        let jobs = [cluster.submit_to(4, limited(20)), cluster.submit_to(4, limited(30))];
        (cluster, jobs)
    }

    fn asked(cluster: &Cluster, request: wire::WhatIfRequest) -> wire::WhatIfReply {
        let state = cluster.state();
        let before = state_digest(&state);
        let reply =
            run(&state, (ALICE, "alice"), request, cluster.now).expect("it can be supposed");
        assert_eq!(state_digest(&state), before, "the live state is as it was");
        reply
    }

    fn counts(waits: Option<wire::Waits>) -> (u32, u32, u32, Option<u64>, Option<u64>) {
        let waits = waits.expect("they are told");
        (waits.jobs, waits.start_now, waits.unknown, waits.mean, waits.most)
    }

    #[test]
    fn weights_may_be_otherwise() {
        let (mut cluster, _) = cluster();
        let twenty = TimeLimit::Minutes(20);
        let wide = cluster.submit_to(4, |spec| {
            spec.layout = Layout { min_nodes: 2, tasks: 2, nodes_given: true, ..spec.layout };
            spec.time_limit = Some(twenty);
        });
        let asking = |priorities: &str| wire::WhatIfRequest {
            priorities: priorities.to_owned(),
            ..wire::WhatIfRequest::default()
        };
        let reply = asked(&cluster, asking("PriorityWeightJobSize=1000"));
        let moved: Vec<_> = reply.moved.iter().map(|it| (it.job, it.before, it.after)).collect();
        let at = |minutes: u64| Some(cluster.now.0 + minutes * MINUTE);
        assert!(moved.contains(&(wide.0, at(40), at(10))), "the largest goes first: {moved:?}");
        for wrong in ["PriorityWeightAge=x", "MinJobAge=4", "PriorityFlags=INCR_ONLY", "Priority"] {
            let state = cluster.state();
            let refused = run(&state, (ALICE, "alice"), asking(wrong), cluster.now);
            let code = refused.expect_err("it makes no sense").code();
            assert_eq!(code, Code::InvalidArgument, "{wrong}");
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn more_nodes_let_jobs_start_sooner() {
        let (cluster, [first, second]) = cluster();
        let add = vec![wire::NodesAdded { names: names(&["n3"]), like: "n1".to_owned() }];
        let reply = asked(&cluster, wire::WhatIfRequest { add, ..Default::default() });
        let ten = Some(10 * MINUTE);
        assert_eq!(counts(reply.before), (2, 0, 0, ten, ten));
        assert_eq!(counts(reply.after), (2, 1, 0, Some(5 * MINUTE), ten));
        assert_eq!((reply.sooner, reply.later, reply.submitted), (1, 0, None));
        let [moved] = reply.moved.as_slice() else { panic!("one moves: {:?}", reply.moved) };
        assert_eq!((moved.job, moved.after), (first.0, Some(cluster.now.0)));
        assert_ne!(moved.job, second.0);
    }

    #[test]
    fn drained_nodes_let_jobs_wait_longer_and_others_come_back() {
        let (mut cluster, [_, second]) = cluster();
        let drain = |drain| wire::NodesChanged { names: names(&["n2"]), drain };
        let request = || wire::WhatIfRequest { nodes: vec![drain(true)], ..Default::default() };
        let reply = asked(&cluster, request());
        let most = Some(30 * MINUTE);
        assert_eq!(counts(reply.after), (2, 0, 0, Some(20 * MINUTE), most));
        assert_eq!((reply.sooner, reply.later), (0, 1));
        assert_eq!(reply.moved[0].job, second.0);
        let by = cluster.by(UserId::ROOT);
        let changes = NodeChanges { target: Some(NodeTarget::Drain), reason: None };
        cluster.send(Command::UpdateNode { by, node: "n2".into(), changes });
        let both = wire::WhatIfRequest { nodes: vec![drain(false)], ..Default::default() };
        assert_eq!((asked(&cluster, both).sooner, asked(&cluster, request()).later), (1, 0));
    }

    #[test]
    fn partitions_and_jobs_are_supposed_together() {
        let (cluster, [first, _]) = cluster();
        let changes = "MaxTime=25 PriorityTier=7".to_owned();
        let partitions = vec![wire::PartitionChanged { name: "cpu".to_owned(), changes }];
        let minutes = Some(TimeLimit::Minutes(5));
        let layout = Layout { cpus_per_task: Some(4), ..Layout::SINGLE };
        let spec = JobSpec { time_limit: minutes, layout, ..spec(4) };
        let jobs = vec![wire::JobsSubmitted { spec: Some((&spec).into()), count: 3 }];
        let request = wire::WhatIfRequest { partitions, jobs, ..Default::default() };
        let reply = asked(&cluster, request);
        // The job of thirty minutes may no longer run at all.
        assert_eq!(counts(reply.after), (2, 0, 1, Some(10 * MINUTE), Some(10 * MINUTE)));
        assert_eq!((reply.sooner, reply.later), (0, 1));
        assert_ne!(reply.moved[0].job, first.0);
        assert_eq!(reply.moved[0].after, None);
        let submitted = (3, 0, 0, Some(15 * MINUTE), Some(20 * MINUTE));
        assert_eq!(counts(reply.submitted), submitted);
    }

    #[test]
    fn what_can_t_be_supposed_is_refused() {
        let (cluster, _) = cluster();
        let refused = |request| {
            let now = cluster.now + Span(1);
            let refused = run(&cluster.state(), (ALICE, "alice"), request, now);
            let status = refused.expect_err("it makes no sense");
            (status.code(), status.message().to_owned())
        };
        let add = |name: &str, like: &str| wire::WhatIfRequest {
            add: vec![wire::NodesAdded { names: names(&[name]), like: like.to_owned() }],
            ..Default::default()
        };
        assert_eq!(refused(add("n3", "n9")).0, Code::FailedPrecondition);
        let there = (Code::InvalidArgument, "node n2 is there already".to_owned());
        assert_eq!(refused(add("n2", "n1")), there);
        let partition = |name: &str, changes: &str| wire::WhatIfRequest {
            partitions: vec![wire::PartitionChanged { name: name.into(), changes: changes.into() }],
            ..Default::default()
        };
        for (name, changes, text) in [
            ("gpu", "MaxTime=5", "there is no such partition"),
            ("cpu", "MaxTim=5", "did you mean MaxTime?"),
            ("cpu", "MaxTime=soon", "MaxTime=soon"),
            ("cpu", "Nodes=n7", "names n7, which is no node"),
            ("cpu", "fast", "no Key=value"),
        ] {
            let (code, message) = refused(partition(name, changes));
            assert_eq!(code, Code::InvalidArgument);
            assert!(message.contains(text), "{message}");
        }
    }
}

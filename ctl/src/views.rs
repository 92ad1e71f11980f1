//! Jobs and nodes as people look at them: messages, made straight from the state.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use common::{
    config::{Config, MemoryPer, PartitionConf},
    cpus::CpuLayout,
    gres::{GPU, Wanted},
    id::{JobId, NodeName, PartitionName},
    job::{Job, MemoryRequest, Phase, Place},
    machine::{Preempts, State},
    node::{Availability, Node},
    time::Timestamp,
};
use proto::{convert::slim_job, ctl as wire, types};
use sched::Ranks;

use crate::reasons::Waits;

/// Which jobs are asked for. An empty list is all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) jobs: Vec<JobId>,
    pub(crate) users: Vec<u32>,
    pub(crate) partitions: Vec<PartitionName>,
    /// Whose jobs are left out: the hidden ones.
    pub(crate) skipped: Vec<PartitionName>,
}

impl Filter {
    fn admits(&self, job: &Job) -> bool {
        let Self { users, partitions, skipped, .. } = self;
        let among = |list: &[PartitionName], name| list.iter().any(|one| one.as_str() == name);
        (users.is_empty() || users.contains(&job.spec.user.0))
            && (partitions.is_empty() || job.partition.each().any(|name| among(partitions, name)))
            && !job.partition.each().all(|name| among(skipped, name))
    }
}

/// Makes views of the jobs of one state.
pub(crate) struct Viewer<'a> {
    pub(crate) state: &'a State,
    pub(crate) config: &'a Config,
    pub(crate) waits: &'a Waits,
    pub(crate) now: Timestamp,
    pub(crate) whole: bool,
    /// None where priorities are those that the jobs have.
    pub(crate) ranks: Option<&'a Mutex<Ranks>>,
}

impl Viewer<'_> {
    /// The next `limit` jobs from `from` on that the filter admits, and where to go on.
    pub(crate) fn page(
        &self,
        filter: &Filter,
        from: JobId,
        limit: usize,
    ) -> (Vec<wire::JobView>, Option<JobId>) {
        let mut views = Vec::with_capacity(limit.min(self.state.jobs.len()));
        let partitions = self.partitions();
        if !filter.jobs.is_empty() {
            // An array's number means it and all of its tasks, the youngest first; a leader's all
            // components.
            let known = filter.jobs.iter().flat_map(|id| {
                let tasks = self.state.tasks(*id).map(|(_, task)| task);
                let mut tasks: Vec<_> = tasks.filter(|task| task.id != *id).collect();
                tasks.sort_unstable_by_key(|task| std::cmp::Reverse(task.id));
                let job = self.state.jobs.get(id);
                let part = job.and_then(|job| job.het()).filter(|part| part.leads());
                let led = part.into_iter().flat_map(|part| self.state.led(part));
                job.into_iter().chain(tasks).chain(led)
            });
            let admitted = known.filter(|job| filter.admits(job));
            views.extend(admitted.map(|job| self.job(job, &partitions)));
            return (views, None);
        }
        for (id, job) in self.state.jobs.range(from..) {
            if views.len() == limit {
                return (views, Some(*id));
            }
            if filter.admits(job) {
                views.push(self.job(job, &partitions));
            }
        }
        (views, None)
    }

    fn partitions(&self) -> BTreeMap<&str, &PartitionConf> {
        self.config.partitions.iter().map(|conf| (conf.name.as_str(), conf)).collect()
    }

    fn job(&self, job: &Job, partitions: &BTreeMap<&str, &PartitionConf>) -> wire::JobView {
        let reason = types::Reason::from(self.waits.reason(self.config, job, self.now));
        let asked = partitions.get(job.partition.first()).map(|conf| self.asked(conf, job));
        let Asked { cpus, memory_mib, nodes, memory, gres } = asked.unwrap_or_default();
        let mut told = if self.whole { job.into() } else { slim_job(job) };
        if let Some(ranks) = self.ranks {
            let mut ranks = ranks.lock().unwrap_or_else(PoisonError::into_inner);
            told.priority = ranks.priority(job);
        }
        wire::JobView {
            job: Some(told),
            reason: reason.into(),
            cpus,
            memory_mib,
            nodes,
            memory: Some(memory.into()),
            planned_start: self.waits.start(job, self.now).map(|start| start.0),
            gres: gres.iter().map(Into::into).collect(),
            array_limit: self.array_limit(job),
            cpu_layouts: self.cpu_layouts(job),
            preemptable: self.preemptable(job).map(|at| at.0),
        }
    }

    fn preemptable(&self, job: &Job) -> Option<Timestamp> {
        Preempts::of(self.state)?.eligible(job)
    }

    /// How the CPUs lie of which it holds some.
    fn cpu_layouts(&self, job: &Job) -> Option<wire::CpuLayouts> {
        let run = job.holding().filter(|_| self.whole)?;
        let layout = |place: &Place| {
            let conf = self.state.node_conf(&place.node);
            conf.map_or(CpuLayout::flat(place.held.cpus), CpuLayout::of)
        };
        let layouts: Vec<CpuLayout> = run.places.iter().map(layout).collect();
        let alike = layouts.chunk_by(|one, next| one == next);
        let layouts = alike.map(|alike| wire::CpuLayout {
            places: u32::try_from(alike.len()).unwrap_or(u32::MAX),
            sockets: alike[0].sockets,
            cores: alike[0].cores,
            threads: alike[0].threads,
        });
        let select = self.config.select().to_owned();
        Some(wire::CpuLayouts { select, layouts: layouts.collect() })
    }

    fn array_limit(&self, job: &Job) -> Option<u32> {
        self.state.arrays.get(&job.array_id()?)?.limit
    }

    fn asked(&self, partition: &PartitionConf, job: &Job) -> Asked {
        let need = sched::need(self.config, partition, job);
        let nodes = need.nodes_min;
        let cpus = u32::try_from(need.cpus()).unwrap_or(u32::MAX);
        let memory = match job.spec.memory {
            MemoryRequest::Default => {
                match partition.def_memory.unwrap_or(self.config.def_memory) {
                    MemoryPer::Unlimited => MemoryRequest::Default,
                    MemoryPer::Node(mib) => MemoryRequest::PerNode(mib),
                    MemoryPer::Cpu(mib) => MemoryRequest::PerCpu(mib),
                }
            }
            asked @ (MemoryRequest::PerNode(_) | MemoryRequest::PerCpu(_)) => asked,
        };
        let gres = job.spec.gres_in_all(nodes);
        let by_gpu = job.spec.gres.as_ref().and_then(|gres| gres.memory_per_gpu);
        let memory_mib = match memory {
            _ if !self.config.select_memory => 0,
            _ if by_gpu.is_some() => {
                let gpus = gres.iter().filter(|wanted| wanted.name == GPU);
                let gpus = gpus.fold(0_u64, |sum, wanted| sum.saturating_add(wanted.count));
                by_gpu.unwrap_or(0).saturating_mul(gpus)
            }
            // Whole nodes, of which the first stands for all.
            MemoryRequest::Default | MemoryRequest::PerNode(0) => {
                self.first_node(partition).saturating_mul(u64::from(nodes))
            }
            MemoryRequest::PerNode(mib) => mib.saturating_mul(u64::from(nodes)),
            MemoryRequest::PerCpu(mib) => mib.saturating_mul(u64::from(cpus)),
        };
        Asked { cpus, memory_mib, nodes, memory, gres }
    }

    /// The memory of the partition's first node.
    fn first_node(&self, partition: &PartitionConf) -> u64 {
        let first = partition.nodes.first().map(|name| NodeName::from(name.as_str()));
        first.and_then(|name| self.state.nodes.get(&name)).map_or(0, |node| node.total.memory_mib)
    }
}

/// What a job asks for.
struct Asked {
    cpus: u32,
    memory_mib: u64,
    nodes: u32,
    memory: MemoryRequest,
    gres: Vec<Wanted>,
}

impl Default for Asked {
    fn default() -> Self {
        Self { cpus: 0, memory_mib: 0, nodes: 0, memory: MemoryRequest::Default, gres: vec![] }
    }
}

/// How many of the node's jobs are completing.
pub(crate) fn completing(state: &State, node: &NodeName) -> u32 {
    let held = state.holding.get(node).into_iter().flatten();
    let completing = held.filter(|job| {
        state.jobs.get(job).is_some_and(|job| matches!(job.phase, Phase::Completing { .. }))
    });
    u32::try_from(completing.count()).unwrap_or(u32::MAX)
}

/// A node's state in one word, as `sinfo` has it; `*` where nothing is heard from it.
pub(crate) fn node_word(node: &Node, completing: u32, silent: bool) -> String {
    let busy = node.jobs > completing;
    let word = match (node.availability, node.drain) {
        (Availability::Unknown, _) => "unknown",
        (Availability::Up, true) if node.jobs > 0 => "draining",
        (Availability::Up | Availability::Down | Availability::Lost, true) => "drained",
        (Availability::Down | Availability::Lost, false) => "down",
        (Availability::Up, false) if !busy && completing > 0 => "completing",
        (Availability::Up, false) if node.used.cpus == 0 => "idle",
        (Availability::Up, false) if node.used.cpus >= node.total.cpus => "allocated",
        (Availability::Up, false) => "mixed",
    };
    let star = silent || matches!(node.availability, Availability::Lost | Availability::Unknown);
    if star { format!("{word}*") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use common::machine::Command;

    use super::*;
    use crate::{
        fixture::{Cluster, config},
        reasons::Reasons,
    };

    fn views(cluster: &Cluster, config: &Config) -> Vec<wire::JobView> {
        let state = cluster.state();
        let waits = Reasons::default().waits(&state, cluster.now);
        let now = cluster.now;
        let ranks = Ranks::of(&state, now).map(Mutex::new);
        let ranks = ranks.as_ref();
        let viewer = Viewer { state: &state, config, waits: &waits, now, whole: false, ranks };
        let (views, next) = viewer.page(&Filter::default(), JobId(0), 100);
        assert_eq!(next, None);
        views
    }

    #[test]
    fn jobs_say_why_they_wait() {
        let mut cluster = Cluster::new(1);
        let running = cluster.submit(4);
        cluster.allocate(running, "n1", 4);
        cluster.submit(4);
        cluster.submit(1);
        cluster.submit_to(1, |spec| spec.hold = true);
        let begin = cluster.now + common::time::Span::from_seconds(60);
        cluster.submit_to(1, |spec| spec.begin = Some(begin));
        let reasons: Vec<_> = views(&cluster, &config(1)).iter().map(|v| v.reason()).collect();
        use types::Reason as R;
        assert_eq!(reasons, [R::None, R::Resources, R::Priority, R::JobHeldUser, R::BeginTime]);

        let mut down = config(1);
        down.partitions[0].state = common::config::PartitionState::Down;
        cluster.send(Command::SetConfig { config: Arc::new(down.clone()) });
        let reasons: Vec<_> = views(&cluster, &down).iter().map(|v| v.reason()).collect();
        let expected = [R::None, R::PartitionDown, R::PartitionDown, R::JobHeldUser, R::BeginTime];
        assert_eq!(reasons, expected);
    }

    #[test]
    fn jobs_say_when_they_are_to_start() {
        use common::time::{Span, TimeLimit};
        let mut cluster = Cluster::new(1);
        let minutes = TimeLimit::Minutes(10);
        let running = cluster.submit_to(4, |spec| spec.time_limit = Some(minutes));
        cluster.allocate(running, "n1", 4);
        cluster.submit_to(4, |spec| spec.time_limit = Some(minutes));
        cluster.submit_to(1, |spec| spec.hold = true);
        let until = |minutes: u64| Some((cluster.now + Span::from_seconds(60 * minutes)).0);
        let starts: Vec<_> =
            views(&cluster, &config(1)).into_iter().map(|view| view.planned_start).collect();
        assert_eq!(starts, [None, until(10), None]);
    }

    #[test]
    fn a_pass_over_the_front_leaves_what_an_earlier_one_found_behind_it() {
        let mut cluster = Cluster::new(1);
        let jobs = [cluster.submit(1), cluster.submit(1)];
        let (state, now) = (cluster.state(), cluster.now);
        let at = |seconds| now + common::time::Span::from_seconds(seconds);
        let reasons = Reasons::default();
        let found = |starts: &[(JobId, Timestamp)]| Waits {
            starts: starts.iter().copied().collect(),
            ..Waits::default()
        };
        let starts = || {
            let waits = reasons.waits(&state, now);
            jobs.map(|job| waits.start(&state.jobs[&job], now))
        };
        reasons.publish(found(&[(jobs[0], at(10)), (jobs[1], at(20))]), true);
        assert_eq!(starts(), [Some(at(10)), Some(at(20))]);
        reasons.publish(found(&[(jobs[0], at(5))]), false);
        assert_eq!(starts(), [Some(at(5)), Some(at(20))]);
        reasons.publish(found(&[(jobs[1], now)]), true);
        assert_eq!(starts(), [None, None], "that moment has passed");
    }

    #[test]
    fn what_is_asked_for_has_the_defaults_filled_in() {
        let mut cluster = Cluster::new(1);
        cluster.submit(2);
        cluster.submit_to(3, |spec| spec.memory = MemoryRequest::PerNode(500));
        let mut config = config(1);
        config.select_memory = true;
        config.def_memory = MemoryPer::Cpu(100);
        let views = views(&cluster, &config);
        let asked: Vec<_> = views.iter().map(|v| (v.nodes, v.cpus, v.memory_mib)).collect();
        assert_eq!(asked, [(1, 2, 200), (1, 3, 500)]);
        let memory = |view: &wire::JobView| MemoryRequest::from(view.memory.expect("told"));
        assert_eq!(memory(&views[0]), MemoryRequest::PerCpu(100));
        assert_eq!(memory(&views[1]), MemoryRequest::PerNode(500));
    }

    #[test]
    fn nodes_have_a_word_for_how_they_are() {
        let cluster = Cluster::new(1);
        let node = Node::clone(&cluster.state().nodes[&NodeName::from("n1")]);
        let with = |change: &dyn Fn(&mut Node)| {
            let mut node = node.clone();
            change(&mut node);
            node
        };
        let busy = |cpus: u32| with(&move |node| (node.used.cpus, node.jobs) = (cpus, 1));
        let down = with(&|node| node.availability = Availability::Down);
        let lost = with(&|node| node.availability = Availability::Lost);
        let draining = with(&|node| (node.drain, node.used.cpus, node.jobs) = (true, 1, 1));
        for (node, completing, silent, word) in [
            (node.clone(), 0, false, "idle"),
            (node.clone(), 0, true, "idle*"),
            (busy(1), 0, false, "mixed"),
            (busy(4), 0, false, "allocated"),
            (busy(4), 1, false, "completing"),
            (down, 0, false, "down"),
            (lost, 0, false, "down*"),
            (draining, 0, false, "draining"),
            (with(&|node| node.drain = true), 0, false, "drained"),
            (with(&|node| node.availability = Availability::Unknown), 0, false, "unknown*"),
        ] {
            assert_eq!(node_word(&node, completing, silent), word);
        }
        assert_eq!(completing(&cluster.state(), &node.name), 0);
    }
}

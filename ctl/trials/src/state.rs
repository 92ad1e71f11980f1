//! The same cluster as a state of the machine's, for what plans on one.

use std::{fmt::Write as _, sync::Arc};

use common::{
    config::{Config, NodeConf, PartitionConf, SwitchConf},
    cpus::CpuSet,
    gres::{self, GPU, Gres, GresRequest, Wanted},
    id::{Attempt, Incarnation, JobId, NodeName, PartitionName, Term, UserId},
    job::{Hold, Job, JobSpec, Layout, MemoryRequest, Phase, Rank, Run, Stage},
    machine::{Allocation, State},
    node::{Availability, Inventory, Node},
    resources::Resources,
    time::{Span, TimeLimit, Timestamp},
};
use fastrand::Rng;
use sched::timeline::KINDS;

use crate::mix;

/// When it is.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A state with nodes, so many hundreds of them, on which as much runs as fits, and with so many
/// jobs that wait.
#[must_use]
pub fn state(hundreds: usize, pending: u32, random: &mut Rng) -> State {
    let mut state = State { config: Some(Arc::new(config(hundreds))), ..State::default() };
    let nodes = mix::nodes(hundreds);
    for (at, amounts) in nodes.iter().enumerate() {
        let node = node(at, amounts.0);
        state.nodes.insert(node.name.clone(), Arc::new(node));
    }
    let mut next = 1;
    // Twice as many as there are nodes: far more than fit.
    for _ in 0..2 * nodes.len() {
        submit(&mut state, &mut next, random);
    }
    state.rebuild();
    for Allocation { job, mut places, .. } in sched::plan_front(&state, NOW, usize::MAX).starts {
        let waiting = state.jobs.get(&job).expect("it was planned");
        let limit = waiting.time_limit.span().unwrap_or(Span(1));
        let left = Span(random.u64(1..=limit.0));
        for place in &mut places {
            let node = state.nodes.get_mut(&place.node).expect("it was planned on it");
            let node = Arc::make_mut(node);
            node.used = node.used.plus(place.held);
            let free = node.free_gres();
            let given = gres::choose(&free, &place.gres).expect("it was planned");
            gres::take(&mut node.gres_used, &given);
            place.gres = given;
            node.jobs += 1;
        }
        let run = Run {
            started: NOW + left - limit,
            term: Term(1),
            places,
            incarnation: Incarnation(1),
            stage: Stage::Running,
            deadline: Some(NOW + left),
            warned: false,
            stay: None,
            charge: None,
            time_limit: None,
            preempted: None,
        };
        let running = Job { phase: Phase::Active(run), ..Job::clone(waiting) };
        state.jobs.insert(job, Arc::new(running));
    }
    state.jobs = state.jobs.iter().filter(|(_, job)| !job.is_pending()).map(owned).collect();
    for _ in 0..pending {
        submit(&mut state, &mut next, random);
    }
    state.rebuild();
    state
}

/// The same, where priorities come from factors: each user has an association, and has used
/// something.
pub fn weigh(state: &mut State) {
    reconfigure(state, |config| {
        for key in ["Age", "Assoc", "FairShare", "JobSize", "Partition", "QOS"] {
            config.settings.insert(format!("PriorityWeight{key}"), "1000".to_owned());
        }
    });
    let mut table = "Cluster - 'test'\n".to_owned();
    for account in 0..10 {
        let line = format!("Parent - 'root'\nAccount - 'a{account}'\nParent - 'a{account}'\n");
        table.push_str(&line);
        for user in (0..100).filter(|user| user % 10 == account) {
            writeln!(table, "User - 'u{user}'").expect("a text takes what is written");
        }
    }
    let loaded = common::account::parse(&table).expect("it is well formed");
    state.accounts = Some(Arc::new(loaded.accounts));
    let jobs = state.jobs.iter().map(|(id, job)| {
        let user = job.spec.user.0 - 1_000;
        let spec = JobSpec {
            user_name: format!("u{user}"),
            account: Some(format!("a{}", user % 10)),
            ..job.spec.as_ref().clone()
        };
        (*id, Arc::new(Job { spec: Arc::new(spec), ..job.as_ref().clone() }))
    });
    state.jobs = jobs.collect();
    state.rebuild();
}

/// The same, with each hundred nodes beside a switch, and one switch above them.
pub fn join_by_switches(state: &mut State) {
    let change = |config: &mut Config| {
        let leaf = |(at, nodes): (usize, &[NodeConf])| SwitchConf {
            name: format!("s{at}"),
            switches: vec![],
            nodes: nodes.iter().map(|node| node.name.clone()).collect(),
        };
        let leaves: Vec<_> = config.nodes.chunks(100).enumerate().map(leaf).collect();
        let switches = leaves.iter().map(|leaf| leaf.name.clone()).collect();
        let top = SwitchConf { name: "top".to_owned(), switches, nodes: vec![] };
        config.switches = leaves.into_iter().chain([top]).collect();
    };
    reconfigure(state, change);
}

/// The same, where all jobs get the least loaded nodes (`LLN`).
pub fn level(state: &mut State) {
    reconfigure(state, |config| config.partitions.iter_mut().for_each(|conf| conf.lln = true));
}

fn reconfigure(state: &mut State, change: impl FnOnce(&mut Config)) {
    let mut config = state.config.as_deref().expect("it was configured").clone();
    change(&mut config);
    state.config = Some(Arc::new(config));
}

fn owned((id, job): (&JobId, &Arc<Job>)) -> (JobId, Arc<Job>) {
    (*id, Arc::clone(job))
}

fn name(at: usize) -> String {
    format!("n{at}")
}

fn config(hundreds: usize) -> Config {
    let mut config = Config::defaults("trial");
    let nodes = mix::nodes(hundreds);
    let names: Vec<String> = (0..nodes.len()).map(name).collect();
    config.nodes = names.iter().map(|name| NodeConf::defaults(name)).collect();
    let all = PartitionConf { nodes: names, ..PartitionConf::defaults("all") };
    config.partitions = vec![all];
    config
}

fn node(at: usize, [cpus, memory_mib, gpus, ..]: [u64; KINDS]) -> Node {
    let cpus = u32::try_from(cpus).expect("nodes are smaller");
    let ids = 0..u32::try_from(gpus).expect("nodes have few");
    let gpu = Gres { name: GPU.to_owned(), kind: None, count: gpus, ids: ids.collect() };
    Node {
        name: NodeName::from(name(at).as_str()),
        total: Resources { cpus, memory_mib },
        weight: 1,
        address: name(at),
        host_name: name(at),
        inventory: Some(Arc::new(inventory())),
        availability: Availability::Up,
        drain: false,
        reason: None,
        used: Resources::default(),
        jobs: 0,
        last_busy: NOW,
        gres: [gpu].into_iter().filter(|gpu| gpu.count > 0).collect(),
        gres_used: vec![],
        cpus_used: CpuSet::default(),
    }
}

/// Its daemon has looked for its GPUs. Of what else it found, nothing counts here.
fn inventory() -> Inventory {
    Inventory {
        cpus: 1,
        boards: 1,
        sockets: 1,
        cores_per_socket: 1,
        threads_per_core: 1,
        memory_mib: 1,
        tmp_disk_mib: 0,
        architecture: String::new(),
        operating_system: String::new(),
        version: String::new(),
        booted: NOW,
        daemon_started: NOW,
        incarnation: Incarnation(1),
        gres: Some(vec![]),
    }
}

/// A job of the mix.
fn submit(state: &mut State, next: &mut u32, random: &mut Rng) {
    let mix::Job { nodes, amounts, limit } = mix::job(random);
    let id = JobId(*next);
    *next += 1;
    state.next_job = *next;
    let cpus = amounts.map(|amounts| u32::try_from(amounts.0[0]).expect("nodes are smaller"));
    let layout = Layout {
        min_nodes: nodes,
        max_nodes: Some(nodes),
        nodes_given: true,
        tasks: nodes,
        tasks_given: true,
        cpus_per_task: cpus,
        ..Layout::SINGLE
    };
    let gpus = amounts.map_or(0, |amounts| amounts.0[2]);
    let gpus = Wanted { name: GPU.to_owned(), kind: None, count: gpus };
    let per_node = vec![gpus];
    let spec = JobSpec {
        gres: (per_node[0].count > 0)
            .then(|| Arc::new(GresRequest { per_node, ..GresRequest::default() })),
        user: UserId(1_000 + id.0 % 100),
        partition: PartitionName::from("all"),
        layout,
        memory: MemoryRequest::PerNode(amounts.map_or(0, |amounts| amounts.0[1])),
        exclusive: amounts.is_none(),
        ..JobSpec::plain()
    };
    let minutes = u32::try_from(Span(limit).seconds() / 60).expect("limits are days");
    let job = Job {
        id,
        spec: Arc::new(spec),
        submitted: NOW,
        attempt: Attempt(1),
        priority: u32::MAX - id.0,
        hold: Hold::None,
        partition: PartitionName::from("all"),
        time_limit: TimeLimit::Minutes(minutes),
        begin: None,
        requeue: true,
        restarts: 0,
        phase: Phase::Pending,
        signals: vec![],
        signals_sent: 0,
        array: None,
        preemptor: false,
        dependency: None,
        rank: Rank::default(),
    };
    state.jobs.insert(id, Arc::new(job));
}

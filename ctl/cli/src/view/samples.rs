//! The cluster of the captures, for tests: its nodes, partitions and jobs, as controllers would
//! tell of them.

use jiff::tz::TimeZone;
use proto::{
    config::{NodeConf, Partition, PartitionState},
    ctl::{CpuLayout, CpuLayouts, JobView, NodeView, NodesReply},
    types::{
        Availability, CpuIds, End, EndState, HetPart, Hold, Inventory, Job, JobSpec, Layout,
        MemoryRequest, Node, NodeReason, Place, Reason, Resources, Run, Stage, TaskRun, Tasks,
        TimeLimit, job, memory_request::Amount,
    },
};

use crate::render::Clock;

/// 2026-11-23T23:08:18Z, when the jobs of most captures were submitted.
pub(crate) const SUBMITTED: u64 = 1_795_475_298;

/// 2026-11-23T23:16:26Z, when the jobs of the captures with `extra` in their names were.
pub(crate) const LATER: u64 = 1_795_475_786;

/// A clock at so many seconds after the epoch.
pub(crate) fn clock(seconds: u64) -> Clock {
    Clock {
        now: common::time::Timestamp::from_seconds(seconds),
        zone: TimeZone::UTC,
        format: common::date::TimeFormat::Standard,
    }
}

/// A pending job of alice's: `sbatch -J NAME --wrap=true`.
pub(crate) fn pending(id: u32, name: &str, priority: u32, reason: Reason) -> JobView {
    let layout = Layout { min_nodes: 1, tasks: 1, ..Layout::default() };
    let spec = JobSpec {
        name: name.to_owned(),
        user: 62_001,
        user_name: "alice".to_owned(),
        group: 2_003,
        group_name: "alice".to_owned(),
        partition: "cpu".to_owned(),
        account: Some("proj".to_owned()),
        qos: Some("normal".to_owned()),
        layout: Some(layout),
        memory: Some(MemoryRequest::default()),
        work_dir: "/srv/slurm/jobs".to_owned(),
        submit_line: format!("sbatch --parsable -J {name} --wrap=true"),
        submit_host: "ctl1".to_owned(),
        session: 17_587,
        ..JobSpec::default()
    };
    let job = Job {
        id,
        spec: Some(spec),
        submitted: SUBMITTED * 1000,
        attempt: 1,
        priority,
        hold: Hold::None.into(),
        partition: "cpu".to_owned(),
        time_limit: Some(TimeLimit { minutes: None }),
        requeue: true,
        ..Job::default()
    };
    JobView {
        job: Some(job),
        reason: reason.into(),
        cpus: 1,
        memory_mib: 100,
        nodes: 1,
        memory: Some(MemoryRequest { amount: Some(Amount::PerCpu(100)) }),
        planned_start: None,
        gres: vec![],
        array_limit: None,
        cpu_layouts: None,
        preemptable: None,
    }
}

/// Changes of a sample, in the words of `sbatch`.
pub(crate) trait Sample {
    fn job(&mut self) -> &mut Job;
    fn spec(&mut self) -> &mut JobSpec;
    fn line(self, line: &str) -> Self;
    fn minutes(self, minutes: u32) -> Self;
    fn nodes(self, nodes: u32) -> Self;
    fn partition(self, name: &str) -> Self;
    fn hold(self, hold: Hold) -> Self;
    fn begin(self, seconds: u64) -> Self;
    fn component(self, leader: u32, size: u32) -> Self;
    fn runs(self, started: u64, places: Vec<Place>) -> Self;
    fn ended(self, at: u64, state: EndState) -> Self;
}

impl Sample for JobView {
    fn job(&mut self) -> &mut Job {
        self.job.as_mut().expect("a sample has a job")
    }

    fn spec(&mut self) -> &mut JobSpec {
        self.job().spec.as_mut().expect("a sample has a specification")
    }

    fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.spec().submit_line);
        self
    }

    fn minutes(mut self, minutes: u32) -> Self {
        self.job().time_limit = Some(TimeLimit { minutes: Some(minutes) });
        self
    }

    /// Of a heterogeneous job.
    fn component(mut self, leader: u32, size: u32) -> Self {
        let offset = self.job().id - leader;
        self.spec().het = Some(HetPart { leader, offset, size });
        self
    }

    /// `-N`, with a task on each.
    fn nodes(mut self, nodes: u32) -> Self {
        (self.nodes, self.cpus, self.memory_mib) = (nodes, nodes, u64::from(nodes) * 100);
        let layout = self.spec().layout.as_mut().expect("a sample has a layout");
        (layout.min_nodes, layout.max_nodes, layout.nodes_given) = (nodes, Some(nodes), true);
        layout.tasks = nodes;
        self
    }

    fn partition(mut self, name: &str) -> Self {
        name.clone_into(&mut self.job().partition);
        self
    }

    fn hold(mut self, hold: Hold) -> Self {
        self.job().hold = hold.into();
        self
    }

    fn begin(mut self, seconds: u64) -> Self {
        self.job().begin = Some(seconds * 1000);
        self
    }

    fn runs(mut self, started: u64, places: Vec<Place>) -> Self {
        let minutes = self.job().time_limit.and_then(|limit| limit.minutes);
        let deadline = minutes.map(|minutes| (started + u64::from(minutes) * 60) * 1000);
        self.job().run = Some(Run {
            started: started * 1000,
            term: 1,
            cpus: places.iter().map(first_cpus).collect(),
            places,
            stage: Stage::Running.into(),
            deadline,
            ..Run::default()
        });
        self.reason = Reason::None.into();
        self
    }

    fn ended(mut self, at: u64, state: EndState) -> Self {
        self.job().end = Some(End { at: at * 1000, state: state.into(), ..End::default() });
        self.job().over = true;
        self
    }
}

/// The first ones of the node.
fn first_cpus(place: &Place) -> CpuIds {
    CpuIds { places: 1, runs: vec![0, place.held.unwrap_or_default().cpus] }
}

pub(crate) fn place(node: &str, cpus: u32, memory_mib: u64) -> Place {
    let held = Some(Resources { cpus, memory_mib });
    Place { node: node.to_owned(), held, tasks: 1, gres: vec![] }
}

/// The jobs of squeue.txt and scontrol-show-job.txt, but for arrays, dependencies and jobs of
/// several partitions.
pub(crate) fn jobs() -> Vec<JobView> {
    let all_nodes = (1..=8).map(|number| place(&format!("n{number}"), 8, 800)).collect();
    let mut blocker = pending(117, "blocker", 156, Reason::None)
        .nodes(8)
        .minutes(60)
        .runs(SUBMITTED, all_nodes)
        .line("sbatch --parsable -J blocker -N8 --exclusive -t 60 --wrap=sleep 600");
    blocker.job().submitted = (SUBMITTED - 3) * 1000;
    blocker.spec().exclusive = true;
    vec![
        blocker,
        pending(119, "resjob", 114, Reason::Priority)
            .nodes(2)
            .minutes(10)
            .line("sbatch --parsable -J resjob -N2 -t 10 --wrap=sleep 1"),
        pending(120, "priojob", 107, Reason::Priority).minutes(10),
        pending(121, "held", 0, Reason::JobHeldUser)
            .hold(Hold::User)
            .line("sbatch --parsable -J held -H --wrap=true"),
        pending(122, "adminheld", 0, Reason::JobHeldAdmin).hold(Hold::Admin),
        pending(123, "begin", 113, Reason::BeginTime)
            .begin(SUBMITTED + 3600)
            .line("sbatch --parsable -J begin --begin=now+1hour --wrap=true"),
        pending(133, "partnodes", 163, Reason::PartitionNodeLimit)
            .nodes(9)
            .line("sbatch --parsable -J partnodes -N9 --wrap=true"),
        pending(134, "parttime", 107, Reason::PartitionTimeLimit)
            .partition("short")
            .minutes(60)
            .line("sbatch --parsable -J parttime -p short -t 60 --wrap=true"),
        pending(135, "partdown", 107, Reason::PartitionDown)
            .partition("down")
            .line("sbatch --parsable -J partdown -p down --wrap=true"),
        pending(137, "big", 155, Reason::Resources).nodes(8).minutes(5),
        pending(138, "nodelist", 108, Reason::Priority),
    ]
}

/// Jobs of the same captures that wait for others.
pub(crate) fn dependent_jobs() -> Vec<JobView> {
    let waits = |id, name, text: &str| {
        let mut view = pending(id, name, 107, Reason::Dependency)
            .line(&format!("sbatch --parsable -J {name} -d {text} --wrap=true"));
        let dependency = common::job::Dependency::parse(text).expect("it is well formed");
        view.job().dependency = Some((&dependency).into());
        view
    };
    vec![
        waits(124, "dep-ok", "afterok:117"),
        waits(126, "dep-notok", "afternotok:117"),
        waits(127, "dep-after", "after:119+5"),
        waits(128, "dep-or", "afterok:117?afterany:119"),
        waits(129, "blocker", "singleton"),
    ]
}

/// Job 118 of the same captures, an array whose tasks all wait.
pub(crate) fn array_job() -> JobView {
    let mut view = pending(118, "arr", 107, Reason::Priority)
        .minutes(5)
        .line("sbatch --parsable -J arr --array=0-7%2 -t 5 --wrap=sleep 20");
    let runs = vec![TaskRun { first: 0, last: 7, step: 1 }];
    view.job().array = Some(job::Array::Waiting(Tasks { runs }));
    view.array_limit = Some(2);
    view
}

/// Jobs 275, which runs, and 276, which waits: the captures with `extra` in their names.
pub(crate) fn later_jobs() -> Vec<JobView> {
    let places = vec![place("n1", 6, 200), place("n2", 2, 200)];
    let mut running =
        pending(275, "jrun", 2618, Reason::None).nodes(2).minutes(30).runs(LATER, places).line(
            "sbatch --parsable -J jrun -N2 -n4 -c2 --mem=200 -t 30 -A proj --comment=c1 \
             -o jrun.%j.out --wrap=srun -n4 sleep 300",
        );
    running.job().submitted = LATER * 1000;
    // Slurm gave it a second more.
    running.job().run.as_mut().expect("it runs").deadline = Some((LATER + 1801) * 1000);
    let layout = CpuLayout { places: 2, sockets: 8, cores: 1, threads: 1 };
    let select = "CR_CPU_MEMORY".to_owned();
    running.cpu_layouts = Some(CpuLayouts { select, layouts: vec![layout] });
    (running.cpus, running.memory_mib) = (8, 400);
    running.memory = Some(MemoryRequest { amount: Some(Amount::PerNode(200)) });
    let spec = running.spec();
    spec.memory = running_memory();
    spec.session = 15_919;
    spec.comment = Some("c1".to_owned());
    spec.std_out = Some("jrun.%j.out".to_owned());
    let layout = spec.layout.as_mut().expect("a sample has a layout");
    (layout.tasks, layout.tasks_given, layout.cpus_per_task) = (4, true, Some(2));
    let mut waiting = pending(276, "jpend", 2656, Reason::BeginTime)
        .nodes(8)
        .minutes(10)
        .begin(LATER + 3602)
        .line("sbatch --parsable -J jpend -N8 --exclusive -t 10 --begin=now+1hour --wrap=true");
    waiting.job().submitted = (LATER + 2) * 1000;
    waiting.spec().session = 15_919;
    waiting.spec().exclusive = true;
    vec![running, waiting]
}

fn running_memory() -> Option<MemoryRequest> {
    Some(MemoryRequest { amount: Some(Amount::PerNode(200)) })
}

/// Node n1 to n8, idle.
pub(crate) fn node(number: u32) -> NodeView {
    let name = format!("n{number}");
    let inventory = Inventory {
        cpus: 8,
        boards: 1,
        sockets: 8,
        cores_per_socket: 1,
        threads_per_core: 1,
        memory_mib: 16_000,
        architecture: "x86_64".to_owned(),
        operating_system: "Linux 6.18.44-fc-v669 #1 SMP PREEMPT_DYNAMIC @0".to_owned(),
        version: "26.05.3".to_owned(),
        booted: 1_795_468_264_000,
        daemon_started: 1_795_475_232_000,
        ..Inventory::default()
    };
    let total = Resources { cpus: 8, memory_mib: 16_000 };
    let conf = NodeConf {
        name: name.clone(),
        hostname: "ctl1".to_owned(),
        address: "10.77.0.1".to_owned(),
        port: 17_000 + number,
        cpus: 8,
        boards: 1,
        sockets: 8,
        cores_per_socket: 1,
        threads_per_core: 1,
        real_memory_mib: 16_000,
        weight: 1,
        features: vec!["f1".to_owned()],
        ..NodeConf::default()
    };
    let node = Node {
        name,
        total: Some(total),
        weight: 1,
        address: conf.address.clone(),
        host_name: conf.hostname.clone(),
        inventory: Some(inventory),
        availability: Availability::Up.into(),
        used: Some(Resources::default()),
        last_busy: 1_795_475_292_000,
        ..Node::default()
    };
    NodeView {
        node: Some(node),
        cpu_load: Some(484),
        free_memory_mib: Some(22_408),
        conf: Some(conf),
        ..NodeView::default()
    }
}

/// Changes of a node.
pub(crate) trait NodeSample {
    fn node(&mut self) -> &mut Node;
    fn holds(self, cpus: u32, memory_mib: u64) -> Self;
    fn drained(self, text: &str, at: u64) -> Self;
}

impl NodeSample for NodeView {
    fn node(&mut self) -> &mut Node {
        self.node.as_mut().expect("a sample has a node")
    }

    fn holds(mut self, cpus: u32, memory_mib: u64) -> Self {
        self.node().used = Some(Resources { cpus, memory_mib });
        self.node().jobs = 1;
        self
    }

    fn drained(mut self, text: &str, at: u64) -> Self {
        self.node().drain = true;
        self.node().reason = Some(NodeReason { text: text.to_owned(), by: 0, at: at * 1000 });
        self
    }
}

/// Partitions cpu, short and down, and these nodes.
pub(crate) fn cluster(now: u64, nodes: Vec<NodeView>) -> NodesReply {
    let partition = |name: &str, nodes: &[u32]| Partition {
        name: name.to_owned(),
        nodes: nodes.iter().map(|number| format!("n{number}")).collect(),
        state: PartitionState::Up.into(),
        max_time: Some(TimeLimit { minutes: None }),
        priority_tier: 1,
        priority_job_factor: 1,
        ..Partition::default()
    };
    let partitions = vec![
        Partition { default: true, ..partition("cpu", &[1, 2, 3, 4, 5, 6, 7, 8]) },
        Partition {
            max_time: Some(TimeLimit { minutes: Some(10) }),
            ..partition("short", &[1, 2])
        },
        Partition { state: PartitionState::Down.into(), ..partition("down", &[8]) },
    ];
    NodesReply { now: now * 1000, nodes, partitions }
}

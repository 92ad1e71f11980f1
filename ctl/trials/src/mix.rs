//! A large cluster and its queue, drawn: what sites with ten thousand nodes have.

use fastrand::Rng;
use sched::timeline::{
    Amounts, Ask, ClassId, Grid, Held, Manner, MaskId, Portion, Shape, Timeline,
};

const GIB: u64 = 1_024;
const MINUTE: u64 = 60_000;

/// How far ahead is planned.
pub const WINDOW: u64 = 7 * 24 * 60 * MINUTE;

/// A job's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    pub nodes: u32,
    /// Of each node; none: whole nodes.
    pub amounts: Option<Amounts>,
    pub limit: u64,
}

/// What of the nodes is there, by thousands: CPUs, MiB, GPUs.
const NODES: [(usize, [u64; 3]); 4] = [
    (60, [128, 512 * GIB, 0]),
    (20, [128, 1_024 * GIB, 0]),
    (15, [64, 512 * GIB, 4]),
    (5, [96, 2_048 * GIB, 8]),
];

/// Nodes of four kinds, so many hundreds of them in all.
#[must_use]
pub fn nodes(hundreds: usize) -> Vec<Amounts> {
    let kinds = NODES.iter();
    kinds.flat_map(|(share, kind)| vec![Amounts::of(*kind); share * hundreds]).collect()
}

/// A request in the words of `sbatch`.
#[must_use]
pub fn sbatch(job: &Job) -> String {
    let (nodes, minutes) = (job.nodes, job.limit / MINUTE);
    let Some(Amounts([cpus, mib, gpus, ..])) = job.amounts else {
        return format!("--nodes={nodes} --exclusive --mem=0 --time={minutes}");
    };
    let gres = if gpus > 0 { format!(" --gres=gpu:{gpus}") } else { String::new() };
    format!(
        "--nodes={nodes} --ntasks-per-node=1 --cpus-per-task={cpus} --mem={mib}M{gres} \
         --time={minutes}"
    )
}

/// The nodes in the words of `slurm.conf`, so many hundreds of them in all.
#[must_use]
pub fn node_lines(hundreds: usize) -> Vec<String> {
    let line = |(kind, (share, [cpus, mib, gpus])): (usize, &(usize, [u64; 3]))| {
        let gres = if *gpus > 0 { format!(" Gres=gpu:{gpus}") } else { String::new() };
        let most = share * hundreds;
        format!("NodeName=k{kind}n[1-{most}] CPUs={cpus} RealMemory={mib}{gres}")
    };
    NODES.iter().enumerate().map(line).collect()
}

/// A job of the mix: 55 % share one node, 33 % have up to 16 whole ones, 9 % share several, and
/// 3 % have up to 256 whole ones; small ones are the more frequent. Limits are from ten minutes to
/// three days, half of them odd, short ones the more frequent.
pub fn job(random: &mut Rng) -> Job {
    let limit = limit(random) * MINUTE;
    let shared = |nodes, cpus, per_cpu: u64, gpus| Job {
        nodes,
        amounts: Some(Amounts::of([cpus, cpus * per_cpu * GIB, gpus])),
        limit,
    };
    let whole = |nodes| Job { nodes, amounts: None, limit };
    let few = random.u32(1..=16).min(random.u32(1..=16)).min(random.u32(1..=16));
    let many = random.u32(1..=8).min(random.u32(1..=8)).min(random.u32(1..=8));
    match random.u32(0..100) {
        ..8 => {
            let gpus = 1 << random.u32(0..3);
            shared(1, 8 * gpus, 4, gpus)
        }
        8..55 => shared(1, 1 << random.u32(0..7), 1 << random.u32(0..3), 0),
        55..88 => whole(few),
        88..97 => shared(random.u32(2..=8), 16 << random.u32(0..2), 2, 0),
        97.. => whole(32 * many),
    }
}

/// Minutes.
fn limit(random: &mut Rng) -> u64 {
    const ROUND: [u64; 10] = [10, 30, 60, 120, 240, 480, 720, 1_440, 2_880, 4_320];
    if random.bool() {
        let mut place = || random.usize(0..ROUND.len());
        return ROUND[place().min(place()).min(place())];
    }
    // Fifty odd ones over the orders of magnitude.
    let mut place = || random.u32(0..50);
    let place = place().min(place()).min(place());
    let odd = 10.0 * 432_f64.powf(f64::from(place) / 50.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes")]
    let odd = odd as u64;
    odd | 1
}

/// The cluster, its timeline, and what makes classes of jobs.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub nodes: Vec<Amounts>,
    pub now: u64,
    /// By run: what it holds of each of its nodes.
    pub running: Vec<Vec<Held>>,
}

impl Cluster {
    /// A cluster on which as much runs as fits, each run somewhere within its limit. Some share of
    /// the runs, in hundredths, have just ended.
    #[must_use]
    pub fn full(hundreds: usize, gone: u32, random: &mut Rng) -> Self {
        const IN_VAIN: u32 = 1_000;
        let now = 1_000_000 * MINUTE;
        let mut cluster = Self { nodes: nodes(hundreds), now, running: vec![] };
        let grid = Grid { budget: 1, step: MINUTE, window: 0 };
        let mut timeline = Timeline::new(now, &cluster.nodes, &[], &grid);
        let mask = timeline.mask(0..cluster.nodes.len());
        let mut in_vain = 0;
        while in_vain < IN_VAIN {
            let job = job(random);
            // What is large has mostly ended before what is small, which is the more numerous.
            if job.nodes > 4 && random.u32(0..20) > 0 {
                continue;
            }
            let class = class(&mut timeline, mask, &job);
            let Some(start) = timeline.earliest(class, now) else {
                in_vain += 1;
                continue;
            };
            in_vain = 0;
            timeline.book(class, &start);
            let until = now + random.u64(1..=job.limit);
            let held = |(node, tasks): &(usize, u32)| Held {
                node: *node,
                amounts: timeline.held(class, *node, *tasks),
                until,
            };
            cluster.running.push(start.nodes.iter().map(held).collect());
        }
        cluster.running.retain(|_| random.u32(0..100) >= gone);
        cluster
    }

    /// What will be free, as the live planner sees it.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        let running: Vec<Held> = self.running.iter().flatten().copied().collect();
        let grid = Grid { budget: 320, step: MINUTE, window: WINDOW };
        Timeline::new(self.now, &self.nodes, &running, &grid)
    }
}

/// The job's class; each node has room for one task at least.
pub fn class(timeline: &mut Timeline, mask: MaskId, job: &Job) -> ClassId {
    let portion = |total: &Amounts| match job.amounts {
        Some(amounts) => Portion::fixed(amounts),
        None => Portion::fixed(*total),
    };
    let portions = timeline.capacities().iter().map(portion).collect();
    let shape = timeline.shape(&Shape { portions, tasks_per_node: 1 });
    timeline.class(&Ask {
        shape,
        mask,
        required: vec![],
        nodes_min: job.nodes,
        nodes_max: job.nodes,
        tasks: job.nodes,
        limit: Some(job.limit),
        counts: vec![],
        apart: false,
        veil: None,
        manner: Manner::default(),
    })
}

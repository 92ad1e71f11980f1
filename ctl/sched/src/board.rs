//! The cluster's nodes on a timeline, and each job's request in its terms.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common::{
    config::{Config, NodeConf, PartitionConf, Tree},
    cpus::{CpuLayout, Grain},
    gres::Gres,
    id::{JobId, NodeName},
    job::{Job, Phase, Place, Placing, Run},
    machine::{State, few_switches},
    node::Node,
    time::{Span, Timestamp},
};

use crate::{
    gres::Kinds,
    placement::{Need, Whole, amounts, need},
    plan::limit,
    policy::Policy,
    sites::Site,
    tenants::Minding,
    timeline::{
        Amounts, Ask, Choice, ClassId, Grid, Held, Leaves, Manner, Seat, Shape, ShapeId, Start,
        Switch, Tenant, Timeline, Trial, VeilId,
    },
};

/// How many words of what is free the timeline of a small cluster may have, before its grid is
/// made coarse; and how many slots a large one has at least.
const WORDS: usize = 1 << 21;
const SLOTS: usize = 320;

/// One node, as the plan sees it.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) name: NodeName,
    pub(crate) whole: Whole,
    /// Its generic resources; none before its daemon has found them.
    gres: Arc<[Gres]>,
    kinds: Kinds,
    /// Its place in the configuration.
    pub(crate) rank: usize,
    weight: u32,
    /// Up, and not draining.
    pub(crate) usable: bool,
    /// Under strict order, a more urgent job waits for it: nobody behind that job may take it.
    pub(crate) awaited: bool,
}

/// The nodes, and what will be free on each after the starts that the plan has decided so far.
pub(crate) struct Board {
    /// The lighter ones first, then the configuration's order: so they are filled.
    pub(crate) shares: Vec<Share>,
    by_name: BTreeMap<NodeName, usize>,
    pub(crate) timeline: Timeline,
    /// For each capacity of the timeline, a node that has it.
    examples: Vec<usize>,
    shapes: BTreeMap<Need, ShapeId>,
    /// Whether a class could run on its nodes if they were idle, where that was asked.
    could: BTreeMap<ClassId, bool>,
    minding: Minding,
}

impl Board {
    /// `borders` are moments at which something changes beside what runs.
    pub(crate) fn open(
        view: &State,
        config: &Config,
        now: Timestamp,
        policy: &Policy,
        borders: &[u64],
    ) -> Self {
        let configured = config.nodes.iter().enumerate();
        let mut nodes: Vec<_> = configured
            .filter_map(|(rank, node)| {
                Some((rank, view.nodes.get(&NodeName::from(node.name.as_str()))?))
            })
            .collect();
        nodes.sort_by_key(|(rank, node)| (node.weight, *rank));
        let shares: Vec<Share> = nodes
            .into_iter()
            .map(|(rank, node)| Share {
                name: node.name.clone(),
                whole: Whole { total: node.total, layout: layout(&config.nodes[rank], node) },
                kinds: Kinds::of(&node.gres),
                gres: if node.vouches_for_gres() { Arc::clone(&node.gres) } else { Arc::default() },
                rank,
                weight: node.weight,
                usable: node.is_usable(),
                awaited: false,
            })
            .collect();
        let names = shares.iter().enumerate();
        let by_name: BTreeMap<_, _> = names.map(|(at, share)| (share.name.clone(), at)).collect();
        let mut classes: BTreeMap<(&Kinds, u32, u32), usize> = BTreeMap::new();
        for share in &shares {
            let next = classes.len();
            classes.entry(share.class(config.grain)).or_insert(next);
        }
        let total = |share: &Share| (share.all(), classes[&share.class(config.grain)]);
        let totals: Vec<(Amounts, usize)> = shares.iter().map(total).collect();
        let running = running(view, now, config, (&by_name, &shares));
        let grid = if policy.strict {
            // Only this moment counts.
            Grid { budget: 1, step: 1, window: 0 }
        } else {
            let budget = (WORDS / shares.len().max(1)).clamp(SLOTS, 4 * SLOTS);
            Grid { budget, step: policy.resolution.0, window: policy.window.0 }
        };
        let mut timeline = Timeline::with_borders(now.0, &totals, &running, &grid, borders);
        let seat = |share: &Share| Seat { weight: share.weight, rank: share.rank };
        timeline.seat(shares.iter().map(seat).collect());
        if !config.switches.is_empty() {
            timeline.connect(switches(config, &by_name, shares.len()));
        }
        let minding = Minding::of(view, config);
        if !minding.is_nothing() {
            settle(&mut timeline, (view, config, now), minding, &by_name);
        }
        let mut examples = vec![0; timeline.capacities().len()];
        for at in 0..shares.len() {
            examples[timeline.capacity(at)] = at;
        }
        let (shapes, could) = (BTreeMap::new(), BTreeMap::new());
        Self { shares, by_name, timeline, examples, shapes, could, minding }
    }

    pub(crate) fn position(&self, name: &NodeName) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// What a run holds of each node.
    pub(crate) fn held_by(&self, run: &Run, config: &Config) -> Vec<(usize, Amounts)> {
        held_by(run, config, &self.by_name, &self.shares).collect()
    }

    /// As whom those see it who are on its nodes, and its CPUs there, by node.
    pub(crate) fn visits_of(
        &self,
        (job, run): (&Job, &Run),
        config: &Config,
    ) -> Option<(Tenant, Vec<(usize, u64)>)> {
        let tenant = self.minding.tenant(config, job.partition.as_str(), job)?;
        let visit =
            |place: &Place| Some((*self.by_name.get(&place.node)?, u64::from(place.held.cpus)));
        Some((tenant, run.places.iter().filter_map(visit).collect()))
    }

    /// Keeps `nodes` for a job that waits for them.
    pub(crate) fn reserve(&mut self, nodes: &[usize]) {
        for at in nodes {
            self.shares[*at].awaited = true;
        }
    }

    /// The class of the job's request for some of the nodes of `mask`.
    pub(crate) fn class(
        &mut self,
        (config, partition): (&Config, &PartitionConf),
        job: &Job,
        (site, veil): (&Site, Option<VeilId>),
        required: &[usize],
    ) -> ClassId {
        let need = need(config, partition, job);
        let choice = self.choice(config, partition, job);
        let shape = match self.shapes.get(&need.of_node()) {
            Some(known) => *known,
            None => self.shape(&need),
        };
        self.timeline.class(&Ask {
            shape,
            mask: site.mask,
            required: required.to_vec(),
            nodes_min: need.nodes_min,
            nodes_max: need.nodes_max,
            tasks: need.tasks,
            limit: limit(job),
            counts: site.counts.clone(),
            apart: job.spec.constraint().apart,
            veil,
            manner: Manner { tenant: self.minding.tenant(config, &partition.name, job), choice },
        })
    }

    /// How the job's nodes are chosen there.
    fn choice(&mut self, config: &Config, partition: &PartitionConf, job: &Job) -> Choice {
        let Placing { contiguous, spread, .. } = job.spec.asks().placing;
        let few = few_switches(config, job);
        match (contiguous, spread) {
            (true, _) => Choice::InARow,
            (false, true) => Choice::Spread,
            (false, false) if partition.lln && few.is_none() => Choice::Idlest,
            (false, false) if config.switches.is_empty() => Choice::First,
            (false, false) => {
                let leaves = few.map(|(most, until)| Leaves { most, until: until.0 });
                if let Some(leaves) = leaves.filter(|few| few.until > self.timeline.now()) {
                    // It may start then, wherever that is.
                    self.timeline.border(leaves.until);
                }
                Choice::Close(leaves)
            }
        }
    }

    fn shape(&mut self, need: &Need) -> ShapeId {
        let examples = self.examples.iter().map(|at| &self.shares[*at]);
        let portion =
            |share: &Share| need.portion(share.whole, &share.kinds, share.kinds.total(&share.gres));
        let shape = self.timeline.shape(&Shape {
            portions: examples.map(portion).collect(),
            tasks_per_node: need.tasks_per_node.unwrap_or(u32::MAX),
        });
        self.shapes.insert(need.of_node(), shape);
        shape
    }

    /// The start with all tasks on one node, if one has room for them then that is no heavier than
    /// those that were found.
    pub(crate) fn together(&mut self, class: ClassId, start: Start) -> Start {
        let Self { shares, timeline, .. } = self;
        let weights = start.nodes.iter().map(|(node, _)| shares[*node].weight);
        let heaviest = weights.max().unwrap_or(0);
        let may = |node: usize| shares[node].weight <= heaviest;
        timeline.together(class, &start, may).unwrap_or(start)
    }

    /// Whether the class could run if its nodes were idle.
    pub(crate) fn could(&mut self, class: ClassId) -> bool {
        let timeline = &self.timeline;
        *self.could.entry(class).or_insert_with(|| timeline.could(class))
    }

    /// Takes what a start takes, and says what that is, in the order of the ranks: it follows the
    /// configuration, as Slurm's node lists do. Says also what would be given back, if it can be.
    pub(crate) fn book(
        &mut self,
        class: ClassId,
        need: &Need,
        start: &Start,
    ) -> (Vec<Place>, Option<Booking>) {
        let gifts = self.gifts(need, start);
        let until = self.timeline.book(class, start);
        let plain = gifts.iter().all(|gift| gift.besides == Amounts::NONE);
        let booking = plain.then(|| Booking { class, start: start.clone(), until });
        for Gift { at, besides, .. } in &gifts {
            if *besides != Amounts::NONE {
                self.timeline.take(*at, *besides, start.at, start.until);
            }
        }
        (self.placed(need, gifts), booking)
    }

    /// Takes what a start takes, to see what is left.
    pub(crate) fn try_book(
        &mut self,
        trial: &mut Trial,
        class: ClassId,
        need: &Need,
        start: &Start,
    ) -> Vec<Place> {
        let gifts = self.gifts(need, start);
        self.timeline.try_book(trial, class, start);
        for Gift { at, besides, .. } in &gifts {
            if *besides != Amounts::NONE {
                self.timeline.try_take(trial, *at, *besides, (start.at, start.until));
            }
        }
        self.placed(need, gifts)
    }

    pub(crate) fn give_back(&mut self, Booking { class, start, until }: &Booking) {
        self.timeline.leave(*class, start, *until);
        let nodes = start.nodes.iter();
        let held = nodes.map(|(node, tasks)| (*node, self.timeline.held(*class, *node, *tasks)));
        let held: Vec<_> = held.collect();
        self.timeline.release(held, start.at, *until);
    }

    /// What a start would take.
    pub(crate) fn places(&self, need: &Need, start: &Start) -> Vec<Place> {
        self.placed(need, self.gifts(need, start))
    }

    fn placed(&self, need: &Need, gifts: Vec<Gift>) -> Vec<Place> {
        let units: Vec<u32> = gifts.iter().map(|gift| gift.units).collect();
        let tasks = need.gres.as_ref().map(|gres| gres.units.tasks_on(&units));
        let place = |(gift, tasks): (Gift, u32)| {
            let share = &self.shares[gift.at];
            let (node, held) = (share.name.clone(), need.held(share.whole, gift.units));
            Place { gres: gift.gres, ..Place::of(node, held, tasks) }
        };
        gifts.into_iter().zip(tasks.unwrap_or(units)).map(place).collect()
    }

    fn gifts(&self, need: &Need, start: &Start) -> Vec<Gift> {
        let mut nodes = start.nodes.clone();
        nodes.sort_by_key(|(at, _)| self.shares[*at].rank);
        nodes.into_iter().map(|(at, units)| self.gift(at, units, need, start)).collect()
    }

    fn gift(&self, at: usize, units: u32, need: &Need, start: &Start) -> Gift {
        let Share { gres: all, kinds, .. } = &self.shares[at];
        let mut gift = Gift { at, units, gres: vec![], besides: Amounts::NONE };
        if need.exclusive {
            gift.gres = all.iter().map(|gres| Gres { ids: vec![], ..gres.clone() }).collect();
        } else if let Some(wanted) = &need.gres {
            let free = self.timeline.least(at, start.at, start.until);
            (gift.gres, gift.besides) = kinds.choose(all, &wanted.on_node(units), free);
        }
        gift
    }
}

/// What is kept for a job.
#[derive(Debug)]
pub(crate) struct Booking {
    class: ClassId,
    pub(crate) start: Start,
    /// The border until which it is taken.
    until: u64,
}

/// What a start gives a job of one node.
struct Gift {
    at: usize,
    units: u32,
    gres: Vec<Gres>,
    /// What that takes of types, where the class took of the name alone.
    besides: Amounts,
}

impl Share {
    /// All that it has.
    fn all(&self) -> Amounts {
        amounts(self.whole.total).max(self.kinds.total(&self.gres))
    }

    /// What nodes have in common on which a job takes the same.
    fn class(&self, grain: Grain) -> (&Kinds, u32, u32) {
        let layout = self.whole.layout;
        let threads = if grain == Grain::Socket { layout.threads } else { 0 };
        (&self.kinds, layout.step(grain), threads)
    }
}

fn layout(conf: &NodeConf, node: &Node) -> CpuLayout {
    let layout = CpuLayout::of(conf);
    if layout.cpus() == node.total.cpus { layout } else { CpuLayout::flat(node.total.cpus) }
}

/// How long it takes at most until a run is over whose end is decided.
pub(crate) fn shortly(config: &Config) -> Span {
    Span::from_seconds(u64::from(config.kill_wait))
}

/// What runs hold, and until when. One whose end is decided, or due, ends shortly.
fn running(
    view: &State,
    now: Timestamp,
    config: &Config,
    (by_name, shares): (&BTreeMap<NodeName, usize>, &[Share]),
) -> Vec<Held> {
    let mut jobs: Vec<JobId> = view.holding.values().flatten().copied().collect();
    jobs.sort_unstable();
    jobs.dedup();
    let mut running = Vec::with_capacity(jobs.len());
    for job in jobs {
        let job = view.jobs.get(&job).expect("check: who holds nodes is there");
        let until = until(view, job, now, shortly(config));
        let run = job.holding().expect("check: who holds nodes has a run");
        let held = held_by(run, config, by_name, shares);
        running.extend(held.map(|(node, amounts)| Held { node, amounts, until }));
    }
    running
}

fn held_by<'a>(
    run: &'a Run,
    config: &'a Config,
    by_name: &'a BTreeMap<NodeName, usize>,
    shares: &'a [Share],
) -> impl Iterator<Item = (usize, Amounts)> {
    run.places.iter().filter_map(|place| {
        let node = *by_name.get(&place.node)?;
        let Share { gres, kinds, whole, .. } = &shares[node];
        let mut amounts = amounts(place.held).max(kinds.held(gres, &place.gres));
        // Of a core that it has a part of, nobody else may have the rest.
        let kept = whole.layout.kept(config.grain, &place.cpus, place.held.cpus);
        amounts.0[0] = u64::from(kept);
        Some((node, amounts))
    })
}

/// The switches, those below first; a node that is beside none has one of its own.
fn switches(config: &Config, by_name: &BTreeMap<NodeName, usize>, nodes: usize) -> Vec<Switch> {
    let mask = |names: &mut dyn Iterator<Item = usize>| {
        let mut words = vec![0_u64; nodes.div_ceil(64)];
        names.for_each(|node| words[node / 64] |= 1 << (node % 64));
        words
    };
    let tree = Tree::of(&config.switches);
    let mut alone: BTreeSet<usize> = (0..nodes).collect();
    let mut switches: Vec<Switch> = Vec::new();
    for branch in &tree.branches {
        let places = branch.nodes.iter().filter_map(|name| by_name.get(&NodeName::from(*name)));
        let places: Vec<usize> = places.copied().collect();
        places.iter().for_each(|node| {
            alone.remove(node);
        });
        let nodes = mask(&mut places.into_iter());
        switches.push(Switch { level: branch.level, nodes });
    }
    let own = |node| Switch { level: 0, nodes: mask(&mut std::iter::once(node)) };
    switches.extend(alone.into_iter().map(own));
    switches
}

/// Lets those be on their nodes who run, as far as somebody minds them.
fn settle(
    timeline: &mut Timeline,
    (view, config, now): (&State, &Config, Timestamp),
    minding: Minding,
    by_name: &BTreeMap<NodeName, usize>,
) {
    for (node, jobs) in &view.holding {
        let Some(at) = by_name.get(node) else { continue };
        for job in jobs.iter().filter_map(|job| view.jobs.get(job)) {
            let Some(tenant) = minding.tenant(config, job.partition.as_str(), job) else {
                continue;
            };
            let places = job.holding().map_or(&[][..], |run| &run.places);
            let own = places.iter().filter(|place| place.node == *node);
            let cpus = own.map(|place| u64::from(place.held.cpus)).sum();
            timeline.settle(*at, tenant, until(view, job, now, shortly(config)), cpus);
        }
    }
}

/// Until when the job's run is taken to hold its nodes; `u64::MAX`: for ever. A component's ends
/// with its leader's, at the latest.
pub(crate) fn until(view: &State, job: &Job, now: Timestamp, shortly: Span) -> u64 {
    let leader = job.led_by().and_then(|leader| view.jobs.get(&leader));
    let theirs = leader.map_or(u64::MAX, |leader| until_alone(leader, now, shortly));
    theirs.min(until_alone(job, now, shortly))
}

fn until_alone(job: &Job, now: Timestamp, shortly: Span) -> u64 {
    let shortly = now + shortly.max(Span(1));
    match &job.phase {
        Phase::Active(run) => match run.deadline {
            Some(deadline) if deadline > now => deadline.0,
            Some(_) => shortly.0,
            None => u64::MAX,
        },
        Phase::Completing { .. } | Phase::Pending | Phase::Ended { .. } => shortly.0,
    }
}

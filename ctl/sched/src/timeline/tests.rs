//! The engine against a planner that is as plain as can be: no slots, no bits, no memory.

mod plain;

use proptest::prelude::*;

use common::cpus::Steps;

use self::plain::{Plain, Visit};
use super::*;

/// A job, as the tests draw it.
#[derive(Clone, Debug)]
struct Want {
    /// A bit for each node.
    nodes: u32,
    least: u32,
    most: u32,
    tasks: u32,
    tasks_per_node: u32,
    per_task: Amounts,
    in_steps: Option<InSteps>,
    floor: Amounts,
    /// MiB; never more.
    cap: u64,
    whole: bool,
    limit: Option<u64>,
    /// Of the nodes of these bits at least so many.
    counts: Vec<(u32, u32)>,
    apart: bool,
    tenant: Option<Tenant>,
    choice: Choice,
}

impl Want {
    fn portion(&self, total: Amounts) -> Portion {
        let all = if self.whole { total } else { Amounts::NONE };
        let mut most = Amounts([u64::MAX; KINDS]);
        most.0[1] = self.cap.max(self.floor.0[1]).max(all.0[1]);
        let (floor, per_task) = (self.floor.max(all), self.per_task);
        Portion { least: all, floor, per_task, in_steps: self.in_steps, most }
    }

    /// Whether some of these nodes are enough, on which as many tasks fit.
    fn is_enough(&self, fitting: &[(usize, u32)]) -> bool {
        let (fits, mut fitting): (Vec<usize>, Vec<u32>) = fitting.iter().copied().unzip();
        if !self.counts_met(&fits) {
            return false;
        }
        fitting.sort_unstable_by(|left, right| right.cmp(left));
        let room: u32 = fitting.iter().take(self.most as usize).sum();
        fitting.len() >= self.least as usize && room >= self.tasks
    }

    /// Whether all is among the nodes that is counted. Where a node counts for one thing alone, any
    /// things together need as many nodes that have one of them (Hall).
    fn counts_met(&self, nodes: &[usize]) -> bool {
        let sets = 0..1_usize << self.counts.len();
        sets.filter(|set| self.apart || set.count_ones() == 1).all(|set| {
            let things = self.counts.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
            let (bits, counts): (Vec<u32>, Vec<u32>) = things.map(|(_, thing)| *thing).unzip();
            let any = bits.iter().fold(0, |any, bits| any | bits);
            let asked: u32 = counts.iter().sum();
            nodes.iter().filter(|node| any >> **node & 1 == 1).count() >= asked as usize
        })
    }

    fn until(&self, from: u64) -> u64 {
        self.limit.map_or(u64::MAX, |limit| from + limit)
    }

    fn class(&self, timeline: &mut Timeline) -> ClassId {
        let portions = timeline.capacities().to_vec();
        let portions = portions.into_iter().map(|total| self.portion(total)).collect();
        let shape = timeline.shape(&Shape { portions, tasks_per_node: self.tasks_per_node });
        let mask = timeline.mask((0..32).filter(|node| self.nodes >> node & 1 == 1));
        let counts = self.counts.iter().map(|(nodes, count)| {
            let nodes = (0..32).filter(|node| (self.nodes & nodes) >> node & 1 == 1);
            (timeline.mask(nodes), *count)
        });
        let counts = counts.collect();
        if timeline.switches.is_empty() {
            let switch = |level, nodes: u64| Switch { level, nodes: vec![nodes] };
            let leaves = LEAVES.map(|nodes| switch(0, nodes.into()));
            timeline.connect(leaves.into_iter().chain([switch(1, (1 << NODES) - 1)]).collect());
        }
        if let Choice::Close(Some(few)) = self.choice {
            timeline.border(few.until.max(100));
        }
        timeline.class(&Ask {
            shape,
            mask,
            required: vec![],
            nodes_min: self.least,
            nodes_max: self.most,
            tasks: self.tasks,
            limit: self.limit,
            counts,
            apart: self.apart,
            veil: None,
            manner: Manner { tenant: self.tenant, choice: self.choice },
        })
    }
}

const NODES: usize = 5;

/// The nodes beside each switch, a bit for each.
const LEAVES: [u32; 2] = [0b111, 0b11000];

fn want() -> impl Strategy<Value = Want> {
    let amounts = || [0..3_u64, 0..4_u64, 0..2_u64].prop_map(Amounts::of);
    let size = (1..4_u32, 0..3_u32, 0..6_u32, 1..5_u32);
    // Few different values, so that classes are met again.
    let limit = prop_oneof![8 => (1..9_u64).prop_map(Some), 1 => Just(None)];
    let cap = prop_oneof![4 => Just(u64::MAX), 1 => 1..4_u64];
    let counts = proptest::collection::vec((1..1_u32 << NODES, 0..3_u32), 0..3);
    let counts = prop_oneof![3 => Just(vec![]), 1 => counts];
    let manner = (tenant(), choice());
    let kind = (prop::bool::weighted(0.2), cap, counts, any::<bool>(), in_steps(), manner);
    (1..1_u32 << NODES, size, amounts(), amounts(), kind, limit).prop_map(
        |(nodes, (least, more, tasks, tasks_per_node), per_task, floor, kind, limit)| {
            let (whole, cap, counts, apart, in_steps, (tenant, choice)) = kind;
            let cpus = if in_steps.is_some() { 0 } else { per_task.0[0].max(1) };
            Want {
                nodes: if nodes % 2 == 0 { nodes } else { (1 << NODES) - 1 },
                least,
                // Few nodes with all that is counted on them: not every choice is tried.
                most: if counts.is_empty() { least + more } else { u32::MAX },
                tasks: least + tasks,
                tasks_per_node,
                per_task: Amounts::of([cpus, per_task.0[1], per_task.0[2]]),
                in_steps,
                floor,
                cap,
                whole,
                limit,
                counts,
                apart,
                tenant,
                choice,
            }
        },
    )
}

fn choice() -> impl Strategy<Value = Choice> {
    let few = (1..3_u32, 90..120_u64).prop_map(|(most, until)| Leaves { most, until });
    let others = prop_oneof![
        Just(Choice::InARow),
        Just(Choice::Spread),
        Just(Choice::Idlest),
        prop::option::of(few).prop_map(Choice::Close),
    ];
    prop_oneof![Just(Choice::First), others]
}

/// Whom somebody minds, or who minds somebody; not each.
fn tenant() -> impl Strategy<Value = Option<Tenant>> {
    let share = prop::option::of((0..2_usize).prop_map(|of| Share { of, most: 2 + of as u64 }));
    let tenant = (0..3_u32, prop::bool::weighted(0.3), share)
        .prop_map(|(user, separate, share)| Tenant { user, separate, share });
    prop_oneof![1 => Just(None), 2 => tenant.prop_map(Some)]
}

/// Cores of two or four CPUs, of which tasks use some or all.
fn in_steps() -> impl Strategy<Value = Option<InSteps>> {
    let steps = (1..3_u32, 1..3_u32, 1..4_u32, 0..3_u64).prop_map(|(cores, less, of_task, mib)| {
        let (taken, used) = (2 * cores, 2 * cores / less);
        let each = Amounts::of([u64::from(taken), mib * u64::from(used)]);
        InSteps { steps: Steps { taken, used, of_task }, each }
    });
    prop_oneof![2 => Just(None), 1 => steps.prop_map(Some)]
}

fn cluster() -> (Vec<Amounts>, Plain) {
    let totals: Vec<Amounts> =
        [[4, 8, 0], [4, 8, 0], [2, 8, 2], [4, 8, 0], [8, 4, 1]].map(Amounts::of).to_vec();
    let plain = Plain { totals: totals.clone(), ..Plain::default() };
    (totals, plain)
}

fn running() -> impl Strategy<Value = Vec<Held>> {
    let one = (0..NODES, 0..3_u64, 0..4_u64, prop_oneof![1..9_u64, Just(u64::MAX)]).prop_map(
        |(node, cpus, memory, until)| Held {
            node,
            amounts: Amounts::of([cpus, memory, 0]),
            until: until.saturating_add(100),
        },
    );
    proptest::collection::vec(one, 0..6)
}

/// Those that there is room for.
fn admitted(running: Vec<Held>, plain: &mut Plain) -> Vec<Held> {
    let mut kept = running;
    kept.retain(|held| {
        plain.taken.push((held.node, held.amounts, 0, held.until));
        let fits = plain.free(held.node, 100, u64::MAX).is_some();
        if !fits {
            plain.taken.pop();
        }
        fits
    });
    kept
}

fn visit(want: &Want, node: usize, held: Amounts, span: (u64, u64)) -> Option<Visit> {
    want.tenant.map(|tenant| (node, tenant, held.0[0], span.0, span.1))
}

/// Whether the nodes follow each other.
fn is_row(nodes: &[usize]) -> bool {
    let mut nodes = nodes.to_vec();
    nodes.sort_unstable();
    nodes.windows(2).all(|pair| pair[0] + 1 == pair[1])
}

/// Checks what the engine found, and takes it.
fn take(timeline: &mut Timeline, plain: &mut Plain, class: ClassId, want: &Want, start: &Start) {
    let nodes = start.nodes.len();
    assert!(nodes >= want.least as usize && nodes <= want.most as usize, "{start:?}");
    assert!(start.nodes.iter().map(|(_, tasks)| tasks).sum::<u32>() >= want.tasks, "{start:?}");
    let chosen: Vec<usize> = start.nodes.iter().map(|(node, _)| *node).collect();
    assert!(want.counts_met(&chosen), "{start:?}");
    assert!(want.choice != Choice::InARow || is_row(&chosen), "{start:?}");
    assert_eq!(start.until, want.until(start.at));
    let until = timeline.book(class, start);
    assert!(until >= start.until);
    for (node, tasks) in &start.nodes {
        assert!(want.nodes >> node & 1 == 1, "{start:?}");
        assert!((1..=want.tasks_per_node).contains(tasks), "{start:?}");
        let held = timeline.held(class, *node, *tasks);
        let span = (start.at, start.until);
        assert!(plain.lets(want, *node, held.0[0], span), "not beside those: {start:?}");
        plain.visits.extend(visit(want, *node, held, span));
        if want.whole {
            assert_eq!(plain.free(*node, start.at, start.until), Some(plain.totals[*node]));
        }
        plain.taken.push((*node, held, start.at, start.until));
        assert!(plain.free(*node, start.at, start.until).is_some(), "given twice: {start:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn on_an_exact_grid_every_start_is_the_plain_planners(
        running in running(),
        wants in proptest::collection::vec(want(), 1..24),
    ) {
        let (totals, mut plain) = cluster();
        let running = admitted(running, &mut plain);
        let mut timeline = Timeline::new(100, &totals, &running, &Grid::EXACT);
        for want in wants.iter().cycle().take(wants.len() * 2) {
            let class = want.class(&mut timeline);
            let found = timeline.earliest(class, u64::MAX);
            let expected = plain.earliest(want, 100);
            prop_assert_eq!(found.as_ref().map(|start| start.at), expected, "{:?}", want);
            if let Some(start) = found {
                take(&mut timeline, &mut plain, class, want, &start);
            }
        }
    }

    /// Nodes beyond those that are looked at together; jobs that differ in their limits alone; and
    /// the first node that has room.
    #[test]
    fn classes_that_are_alike_learn_from_each_other_and_forget_nothing(
        limits in proptest::collection::vec((1..3_u64, 1..9_u64), 8..40),
    ) {
        let totals = vec![Amounts::of([2, 0, 0]); 300];
        let cpus = |cpus| Amounts::of([cpus, 0, 0]);
        let running: Vec<Held> = (0..298)
            .map(|node| Held { node, amounts: cpus(2), until: 101 + node as u64 * 7 % 13 })
            .collect();
        let taken = running.iter().map(|held| (held.node, held.amounts, 0, held.until)).collect();
        let mut plain = Plain { totals: totals.clone(), taken, ..Plain::default() };
        let mut timeline = Timeline::new(100, &totals, &running, &Grid::EXACT);
        let mask = timeline.mask(0..300);
        for (amount, limit) in limits {
            let portions = vec![Portion::fixed(cpus(amount))];
            let shape = timeline.shape(&Shape { portions, tasks_per_node: 1 });
            let ask = Ask {
                shape,
                mask,
                required: vec![],
                nodes_min: 1,
                nodes_max: 1,
                tasks: 1,
                limit: Some(limit),
                counts: vec![],
                apart: false,
                veil: None,
                manner: Manner::default(),
            };
            let class = timeline.class(&ask);
            let start = timeline.earliest(class, u64::MAX).expect("all of it ends");
            timeline.book(class, &start);
            let room = |at: u64| {
                let free = |node: &usize| plain.free(*node, at, at + limit);
                (0..300).find(|node| free(node).expect("not twice").0[0] >= amount)
            };
            let first = (100..).find_map(|at| Some((at, room(at)?)));
            prop_assert_eq!(Some((start.at, start.nodes[0].0)), first);
            plain.taken.push((start.nodes[0].0, cpus(amount), start.at, start.until));
        }
    }

    /// A coarse grid may start later, never earlier; and what can start at this moment, does.
    #[test]
    fn a_coarse_grid_never_starts_early(
        running in running(),
        wants in proptest::collection::vec(want(), 1..24),
        budget in 1..64_usize,
    ) {
        let (totals, mut plain) = cluster();
        let running = admitted(running, &mut plain);
        let grid = Grid { budget, step: 2, window: 40 };
        let mut timeline = Timeline::new(100, &totals, &running, &grid);
        let mut booked = plain.clone();
        for want in &wants {
            let class = want.class(&mut timeline);
            let Some(start) = timeline.earliest(class, u64::MAX) else { continue };
            let earliest = plain.earliest(want, 100).expect("there is room");
            prop_assert!(start.at >= earliest);
            // Bookings ahead of it count until the border after their end.
            if booked.suffices(want, 100) {
                prop_assert_eq!(start.at, 100);
            }
            let until = timeline.clone().book(class, &start);
            take(&mut timeline, &mut plain, class, want, &start);
            for (node, tasks) in &start.nodes {
                let held = timeline.held(class, *node, *tasks);
                booked.visits.extend(visit(want, *node, held, (start.at, until)));
                booked.taken.push((*node, held, start.at, until));
            }
        }
    }

    /// Bookings that are given back leave no trace.
    #[test]
    fn what_is_released_can_be_had_again(
        running in running(),
        before in proptest::collection::vec(want(), 1..8),
        gone in proptest::collection::vec(want(), 1..8),
        after in proptest::collection::vec(want(), 1..8),
    ) {
        let (totals, mut plain) = cluster();
        let running = admitted(running, &mut plain);
        let mut timeline = Timeline::new(100, &totals, &running, &Grid::EXACT);
        let mut fresh = timeline.clone();
        for want in &before {
            let class = want.class(&mut timeline);
            if let Some(start) = timeline.earliest(class, u64::MAX) {
                take(&mut timeline, &mut plain, class, want, &start);
                let class = want.class(&mut fresh);
                fresh.book(class, &start);
            }
        }
        let mut booked = vec![];
        for want in &gone {
            let class = want.class(&mut timeline);
            if let Some(start) = timeline.earliest(class, u64::MAX) {
                let until = timeline.book(class, &start);
                booked.push((class, start, until));
            }
        }
        for want in &after {
            // Bits are made, and frontiers move, with what is to go in the way.
            let class = want.class(&mut timeline);
            timeline.earliest(class, u64::MAX);
        }
        for (class, start, until) in booked {
            timeline.leave(class, &start, until);
            let held = start.nodes.iter().map(|(node, tasks)| {
                (*node, timeline.held(class, *node, *tasks))
            });
            let held: Vec<_> = held.collect();
            timeline.release(held, start.at, until);
        }
        for want in &after {
            let (class, again) = (want.class(&mut timeline), want.class(&mut fresh));
            let (found, expected) =
                (timeline.earliest(class, u64::MAX), fresh.earliest(again, u64::MAX));
            prop_assert_eq!(&found, &expected);
            if let Some(start) = found {
                timeline.book(class, &start);
                fresh.book(again, &start);
            }
        }
    }
}

#[test]
fn required_nodes_come_first_and_are_waited_for() {
    let totals = [Amounts::of([4, 0, 0]); 3];
    let held = Held { node: 2, amounts: Amounts::of([4, 0, 0]), until: 150 };
    let mut timeline = Timeline::new(100, &totals, &[held], &Grid::EXACT);
    let portions = vec![Portion::fixed(Amounts::of([1, 0, 0]))];
    let shape = timeline.shape(&Shape { portions, tasks_per_node: u32::MAX });
    let mask = timeline.mask(0..3);
    let ask = Ask {
        shape,
        mask,
        required: vec![2],
        nodes_min: 2,
        nodes_max: 2,
        tasks: 2,
        limit: Some(10),
        counts: vec![],
        apart: false,
        veil: None,
        manner: Manner::default(),
    };
    let class = timeline.class(&ask);
    let start = timeline.earliest(class, u64::MAX).expect("it ends");
    assert_eq!(start, Start { at: 150, until: 160, nodes: vec![(2, 1), (0, 1)] });
    assert_eq!(timeline.earliest(class, 149), None);
}

#[test]
fn a_full_budget_rounds_ends_up() {
    let totals = [Amounts::of([1, 0, 0])];
    let held: Vec<Held> =
        (1..40).map(|at| Held { node: 0, amounts: Amounts::NONE, until: 100 + 7 * at }).collect();
    let grid = Grid { budget: 16, step: 10, window: 1_000 };
    let mut timeline = Timeline::new(100, &totals, &held, &grid);
    let shape = timeline
        .shape(&Shape { portions: vec![Portion::fixed(totals[0])], tasks_per_node: u32::MAX });
    let mask = timeline.mask([0]);
    let ask = |limit| Ask {
        shape,
        mask,
        required: vec![],
        nodes_min: 1,
        nodes_max: 1,
        tasks: 1,
        limit: Some(limit),
        counts: vec![],
        apart: false,
        veil: None,
        manner: Manner::default(),
    };
    let mut at = |limit| {
        let class = timeline.class(&ask(limit));
        let start = timeline.earliest(class, u64::MAX).expect("there is room at last");
        timeline.book(class, &start);
        start.at
    };
    assert_eq!([at(5), at(25), at(10)], [100, 110, 140]);
}

/// The node that is counted is taken. Who may have the other one learns nothing from that.
#[test]
fn what_is_counted_holds_up_nobody_who_does_not_count() {
    let totals = vec![Amounts::of([1, 0, 0]); 2];
    let running = [Held { node: 1, amounts: totals[1], until: 150 }];
    let mut timeline = Timeline::new(100, &totals, &running, &Grid::EXACT);
    let portions = vec![Portion::fixed(totals[0])];
    let shape = timeline.shape(&Shape { portions, tasks_per_node: 1 });
    let (mask, second) = (timeline.mask(0..2), timeline.mask([1]));
    let mut starts = |counts| {
        let class = timeline.class(&Ask {
            shape,
            mask,
            required: vec![],
            nodes_min: 1,
            nodes_max: 1,
            tasks: 1,
            limit: Some(10),
            counts,
            apart: false,
            veil: None,
            manner: Manner::default(),
        });
        timeline.earliest(class, u64::MAX).map(|start| (start.at, start.nodes))
    };
    assert_eq!(starts(vec![(second, 1)]), Some((150, vec![(1, 1)])));
    assert_eq!(starts(vec![]), Some((100, vec![(0, 1)])));
}

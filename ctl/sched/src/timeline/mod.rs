//! What will be free on each node, and when: the engine under every policy.
//!
//! Time is cut into slots. Each slot knows what is free on each node for as long as it lasts, as
//! one packed word a node, so that a comparison of all kinds of resources is one subtraction:
//!
//! ```text
//!            now      border          border                      no end
//!             ├─ slot ──┼──── slot ─────┼───────── slot ────────────▶
//!   node 0    │ 4c  8G  │ 64c 128G      │ 128c 512G
//!   node 1    │ 0c  0G  │  0c   0G      │   8c  32G
//! ```
//!
//! Whoever plans asks for the [`Timeline::earliest`] start of a class of equal requests, and
//! books it with [`Timeline::book`]. Borders are the exact ends of runs and of bookings as long as
//! the budget of slots allows; beyond it an end is rounded up to the next border. The first slot
//! begins at this moment, so what can start now is found exactly. Times are of any unit.
//!
//! **Invariant:** what is free only shrinks while one plan is made. So a class whose earliest start
//! was found need never look before it again, and a bit that says where a shape fits is an upper
//! bound, which is verified where it is used. [`Timeline::release`] gives something back, and
//! resets both.

mod amount;
mod ask;
mod choice;
mod grid;
mod look;
mod search;
mod slot;
mod tenants;
mod together;
mod tree;
mod tried;
mod veil;

use std::collections::BTreeMap;

use self::{
    amount::Packing,
    ask::Packed,
    search::Class,
    slot::{Given, Slot},
    tenants::Tenants,
};
pub use self::{
    amount::{Amounts, KINDS},
    ask::{Ask, ClassId, InSteps, Manner, MaskId, Portion, Shape, ShapeId, Start},
    choice::{Choice, Seat},
    grid::Grid,
    tenants::{Share, Tenant},
    tree::{Leaves, Switch},
    tried::Trial,
    veil::{Sight, VeilId},
};

/// What a run holds of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub node: usize,
    pub amounts: Amounts,
    /// When it gives them back; `u64::MAX`: never.
    pub until: u64,
}

/// What is free on each node from one moment on.
#[derive(Clone, Debug)]
pub struct Timeline {
    packing: Packing,
    /// What kinds of nodes there are: for each class of nodes, each amount once.
    capacities: Vec<Amounts>,
    /// The same, packed.
    totals: Vec<u64>,
    /// Each node's place among the capacities.
    capacity: Vec<usize>,
    /// Of each 64 nodes, their capacity if they have the same.
    uniform: Vec<Option<usize>>,
    /// In the order of their beginnings; the last one has no end.
    slots: Vec<Slot>,
    tenants: Tenants,
    seats: Vec<Seat>,
    switches: Vec<Switch>,
    /// Of each switch, the leaves below it, or itself.
    beneath: Vec<Vec<usize>>,
    /// The switch that each node is beside.
    leaf: Vec<usize>,
    budget: usize,
    shapes: Vec<Packed>,
    shape_ids: BTreeMap<Shape, ShapeId>,
    masks: Vec<Vec<u64>>,
    mask_ids: BTreeMap<Vec<u64>, MaskId>,
    classes: Vec<Class>,
    class_ids: BTreeMap<Ask, ClassId>,
    /// Classes that differ in size and limit alone.
    alike: BTreeMap<(ShapeId, MaskId), Vec<ClassId>>,
}

impl Timeline {
    /// The future of `nodes`, each with all that it has, in the order in which they are to be
    /// filled; runs give back what they hold when they end.
    #[must_use]
    pub fn new(now: u64, nodes: &[Amounts], running: &[Held], grid: &Grid) -> Self {
        let nodes: Vec<(Amounts, usize)> = nodes.iter().map(|total| (*total, 0)).collect();
        Self::of_classes(now, &nodes, running, grid)
    }

    /// The same, of nodes of several classes: a kind of resource need not mean the same in each.
    #[must_use]
    pub fn of_classes(now: u64, nodes: &[(Amounts, usize)], running: &[Held], grid: &Grid) -> Self {
        Self::with_borders(now, nodes, running, grid, &[])
    }

    /// The same, with these borders among the others.
    #[must_use]
    pub fn with_borders(
        now: u64,
        nodes: &[(Amounts, usize)],
        running: &[Held],
        grid: &Grid,
        borders: &[u64],
    ) -> Self {
        let mut known: Vec<(Amounts, usize)> = nodes.to_vec();
        known.sort_unstable();
        known.dedup();
        let place = |node| known.binary_search(node).expect("all are there");
        let capacity: Vec<usize> = nodes.iter().map(place).collect();
        let capacities: Vec<Amounts> = known.into_iter().map(|(total, _)| total).collect();
        let most = capacities.iter().fold(Amounts::NONE, |most, one| most.max(*one));
        let packing = Packing::new(most);
        let uniform = capacity
            .chunks(64)
            .map(|word| word.iter().all(|one| *one == word[0]).then_some(word[0]))
            .collect();
        let mut timeline = Self {
            totals: capacities.iter().map(|total| packing.there(*total)).collect(),
            packing,
            capacities,
            capacity,
            uniform,
            slots: vec![],
            tenants: Tenants::default(),
            seats: vec![],
            switches: vec![],
            beneath: vec![],
            leaf: vec![],
            budget: grid.budget,
            shapes: vec![],
            shape_ids: BTreeMap::new(),
            masks: vec![],
            mask_ids: BTreeMap::new(),
            classes: vec![],
            class_ids: BTreeMap::new(),
            alike: BTreeMap::new(),
        };
        timeline.fill(now, running, grid, borders);
        timeline
    }

    /// Makes the slots: each is the one before it, and what has ended since.
    fn fill(&mut self, now: u64, running: &[Held], grid: &Grid, fixed: &[u64]) {
        let mut used = vec![Amounts::NONE; self.capacity.len()];
        for held in running {
            let amounts = &mut used[held.node].0;
            for (used, more) in amounts.iter_mut().zip(held.amounts.0) {
                *used += more;
            }
        }
        let mut ending: Vec<&Held> = running.iter().collect();
        ending.sort_by_key(|held| held.until);
        let set = |slot: &mut Slot, node: usize, used: Amounts| {
            let total = self.capacities[self.capacity[node]];
            slot.free[node] = self.packing.there(total.without(used));
            slot.set_beyond(node, used.without(total));
        };
        let ends = ending.iter().map(|held| held.until).filter(|until| *until < u64::MAX);
        let mut slots: Vec<Slot> = Vec::new();
        let mut ending = ending.iter().peekable();
        let mut borders = grid.borders(now, ends);
        borders.extend(fixed.iter().filter(|at| **at > now));
        borders.sort_unstable();
        borders.dedup();
        for begin in borders {
            let mut slot = match slots.last() {
                Some(before) => before.again(begin),
                None => {
                    let mut first = Slot::new(begin, vec![0; used.len()]);
                    used.iter().enumerate().for_each(|(at, used)| set(&mut first, at, *used));
                    first
                }
            };
            // At this moment a run still holds what it has, even if its time is over.
            while !slots.is_empty()
                && let Some(held) = ending.next_if(|held| held.until <= begin)
            {
                let amounts = &mut used[held.node].0;
                for (used, less) in amounts.iter_mut().zip(held.amounts.0) {
                    *used -= less;
                }
                set(&mut slot, held.node, used[held.node]);
            }
            slots.push(slot);
        }
        self.slots = slots;
    }

    /// What kinds of nodes there are. A shape has a portion for each.
    #[must_use]
    pub fn capacities(&self) -> &[Amounts] {
        &self.capacities
    }

    /// What a node has in all, by its place among the capacities.
    #[must_use]
    pub fn capacity(&self, node: usize) -> usize {
        self.capacity[node]
    }

    #[must_use]
    pub fn now(&self) -> u64 {
        self.slots[0].begin
    }

    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of the slots, of which nearly all of the timeline consists.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.slots.iter().map(Slot::bytes).sum()
    }

    /// Makes a set of nodes known.
    pub fn mask(&mut self, nodes: impl IntoIterator<Item = usize>) -> MaskId {
        let mut words = vec![0_u64; self.uniform.len()];
        for node in nodes {
            words[node / 64] |= 1 << (node % 64);
        }
        let next = MaskId(self.masks.len());
        *self.mask_ids.entry(words).or_insert_with_key(|words| {
            self.masks.push(words.clone());
            next
        })
    }

    /// Makes a shape known.
    pub fn shape(&mut self, shape: &Shape) -> ShapeId {
        if let Some(known) = self.shape_ids.get(shape) {
            return *known;
        }
        let id = ShapeId(self.shapes.len());
        self.shapes.push(Packed::new(shape.clone(), &self.packing));
        self.shape_ids.insert(shape.clone(), id);
        id
    }

    /// What so many tasks of the class hold of a node.
    #[must_use]
    pub fn held(&self, class: ClassId, node: usize, tasks: u32) -> Amounts {
        let shape = self.classes[class.0].ask.shape;
        self.shapes[shape.0].shape.portions[self.capacity[node]].held(tasks)
    }

    /// Takes what the class needs out of what is free. Says until when it is taken: to the end of
    /// the slot in which the job ends at the latest.
    ///
    /// # Panics
    /// Where the start is no longer possible.
    pub fn book(&mut self, class: ClassId, start: &Start) -> u64 {
        let from = self.position(start.at);
        assert_eq!(self.slots[from].begin, start.at, "jobs start at borders");
        self.split(start.until);
        let to = self.end(start.until).max(from + 1);
        for (node, tasks) in &start.nodes {
            let held = self.held(class, *node, *tasks);
            let held = self.packing.asked(held).expect("what fits a node can be packed");
            for slot in &mut self.slots[from..to] {
                let free = &mut slot.free[*node];
                assert!(self.packing.fits(held, *free), "nothing is given twice");
                *free -= held;
            }
        }
        for slot in &mut self.slots[from..to] {
            slot.changes += u32::try_from(start.nodes.len()).unwrap_or(u32::MAX);
        }
        let until = self.slots.get(to).map_or(u64::MAX, |slot| slot.begin);
        if self.classes[class.0].ask.manner.tenant.is_some() {
            self.enter(class, start, until);
        }
        until
    }

    /// The least that is free of the node from one moment until another, of each kind.
    #[must_use]
    pub fn least(&self, node: usize, from: u64, until: u64) -> Amounts {
        let from = self.position(from);
        let to = self.end(until).max(from + 1);
        let free = self.slots[from..to].iter().map(|slot| slot.free[node]);
        let least = free.reduce(|least, free| self.packing.min(least, free));
        self.packing.unpacked(least.expect("there is a slot"))
    }

    /// Takes amounts of a node beside what was booked; of what there is less of, all.
    pub fn take(&mut self, node: usize, amounts: Amounts, from: u64, until: u64) {
        let from = self.position(from);
        let to = self.end(until).max(from + 1);
        let taken = self.packing.there(amounts);
        for slot in &mut self.slots[from..to] {
            let free = &mut slot.free[node];
            *free -= self.packing.min(*free, taken);
            slot.changes += 1;
        }
    }

    /// Takes again what was released.
    pub fn hold(&mut self, node: usize, amounts: Amounts, from: u64, until: u64) {
        let (from, to) = (self.position(from), self.end(until));
        for slot in &mut self.slots[from..to] {
            slot.hold(node, amounts, &self.packing);
        }
    }

    /// Gives back what was taken of nodes from `from` until `until`, both borders; what was held
    /// beyond all that a node has, is not there. Classes look again at whatever would still run
    /// then.
    pub fn release(
        &mut self,
        held: impl IntoIterator<Item = (usize, Amounts)>,
        from: u64,
        until: u64,
    ) {
        self.give_back(held, from, until);
        let from = self.slots[self.position(from)].begin;
        for class in &mut self.classes {
            class.look_again(from);
        }
    }

    fn give_back(
        &mut self,
        held: impl IntoIterator<Item = (usize, Amounts)>,
        from: u64,
        until: u64,
    ) {
        let (from, to) = (self.position(from), self.end(until));
        let given = |(node, amounts)| {
            let (capacity, packed) = (self.capacity[node], self.packing.asked(amounts));
            Given { node, capacity, amounts, packed }
        };
        let nodes: Vec<_> = held.into_iter().map(given).collect();
        for slot in &mut self.slots[from..to] {
            slot.give_back(&nodes, &self.totals, &self.shapes, &self.packing);
        }
    }

    /// Lets the time pass. What was planned to start until then is taken to run.
    pub fn advance(&mut self, now: u64) {
        let passed = self.position(now);
        self.slots.drain(..passed);
        let first = &mut self.slots[0];
        first.begin = now.max(first.begin);
    }

    /// The slot in which the moment lies; the first one for what is over.
    fn position(&self, at: u64) -> usize {
        self.slots.partition_point(|slot| slot.begin <= at).saturating_sub(1)
    }

    /// The slot from which on everything is after the moment.
    fn end(&self, until: u64) -> usize {
        match until {
            u64::MAX => self.slots.len(),
            until => self.slots.partition_point(|slot| slot.begin < until),
        }
    }

    /// The first border from the moment on, which is the moment itself if there may be another
    /// border.
    pub fn border(&mut self, at: u64) -> Option<u64> {
        self.split(at);
        let after = self.slots.partition_point(|slot| slot.begin < at);
        self.slots.get(after).map(|slot| slot.begin)
    }

    /// Makes a border at the moment, if there may be another one.
    fn split(&mut self, at: u64) {
        let slot = self.position(at);
        if at < u64::MAX && self.slots[slot].begin < at && self.slots.len() < self.budget {
            let after = self.slots[slot].again(at);
            self.slots.insert(slot + 1, after);
        }
    }
}

#[cfg(test)]
mod tests;

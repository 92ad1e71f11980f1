//! A plan that is kept between events, so that each costs what it touches: a job that is submitted
//! is booked behind all others, one that ends gives its nodes to whoever can start on them.
//!
//! What is booked stays where it is until a new plan is made, so nobody is ever delayed by what
//! starts in between. That plan may find an earlier moment for some.

use std::collections::{BTreeMap, BTreeSet};

use crate::timeline::{ClassId, Held, ShapeId, Start, Timeline};

/// A job that waits.
#[derive(Clone, Debug)]
struct Waiting {
    class: ClassId,
    /// What is kept for it, and until when; nothing where that is beyond the window.
    booked: Option<(Start, u64)>,
}

/// See the module. Jobs are known by their places in the queue: the lower goes first.
#[derive(Clone, Debug)]
pub struct Standing {
    pub timeline: Timeline,
    /// Nothing is booked that would start later.
    latest: u64,
    waiting: BTreeMap<u64, Waiting>,
    of_class: BTreeMap<ClassId, BTreeSet<u64>>,
}

impl Standing {
    #[must_use]
    pub fn new(timeline: Timeline, latest: u64) -> Self {
        Self { timeline, latest, waiting: BTreeMap::new(), of_class: BTreeMap::new() }
    }

    /// Plans a job behind all those that are there. Says when it starts, if that is known.
    pub fn submit(&mut self, place: u64, class: ClassId) -> Option<Start> {
        let found = self.timeline.earliest(class, self.latest);
        let booked = found.as_ref().map(|start| (start.clone(), self.timeline.book(class, start)));
        if found.as_ref().is_none_or(|start| start.at > self.timeline.now()) {
            self.waiting.insert(place, Waiting { class, booked });
            self.of_class.entry(class).or_default().insert(place);
        }
        found
    }

    /// How many wait for a moment that is known.
    #[must_use]
    pub fn planned(&self) -> usize {
        self.waiting.values().filter(|waiting| waiting.booked.is_some()).count()
    }

    /// A run gives back what it held. Says who starts in its place, the first in the queue first.
    pub fn ended(&mut self, held: &[Held]) -> Vec<(u64, Start)> {
        let now = self.timeline.now();
        // Each node of a run is given back at the same moment.
        let until = held.iter().map(|held| held.until).max().unwrap_or(now);
        let amounts = held.iter().map(|held| (held.node, held.amounts));
        self.timeline.release(amounts, now, until);
        // Nothing has changed for a class that has no room on one of these nodes for all of its
        // time: it found too few others before.
        let mut reach: BTreeMap<ShapeId, u64> = BTreeMap::new();
        let mut first: BTreeSet<(u64, ClassId)> = BTreeSet::new();
        for (class, places) in &self.of_class {
            let ask = self.timeline.ask(*class);
            let nodes = || held.iter().map(|held| held.node);
            let reach =
                reach.entry(ask.shape).or_insert_with(|| self.timeline.reach(ask.shape, nodes()));
            let until = ask.limit.map_or(u64::MAX, |limit| now.saturating_add(limit));
            if until <= *reach {
                first.extend(places.first().map(|place| (*place, *class)));
            }
        }
        let mut started = Vec::new();
        while let Some((place, class)) = first.pop_first() {
            let Some(start) = self.timeline.earliest(class, now) else { continue };
            self.leave(place);
            self.timeline.book(class, &start);
            started.push((place, start));
            if let Some(next) = self.of_class.get(&class).and_then(BTreeSet::first) {
                first.insert((*next, class));
            }
        }
        started
    }

    /// Takes a job out of the queue, and gives back what was kept for it.
    pub fn leave(&mut self, place: u64) {
        let Some(Waiting { class, booked }) = self.waiting.remove(&place) else { return };
        if let Some(places) = self.of_class.get_mut(&class) {
            places.remove(&place);
            if places.is_empty() {
                self.of_class.remove(&class);
            }
        }
        if let Some((start, until)) = booked {
            let held: Vec<_> = start
                .nodes
                .iter()
                .map(|(node, tasks)| (*node, self.timeline.held(class, *node, *tasks)))
                .collect();
            self.timeline.release(held, start.at, until);
        }
    }
}

//! What is asked of the timeline.

use common::cpus::Steps;

use super::{
    VeilId,
    amount::{Amounts, Packing},
    choice::Choice,
    tenants::Tenant,
};

/// What a job takes of a node of one capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Portion {
    /// Must be free, whatever is taken: of a whole node, all that it has.
    pub least: Amounts,
    /// Taken however few tasks there are.
    pub floor: Amounts,
    /// Taken for each task, where that comes to more.
    pub per_task: Amounts,
    /// Beside that, what is taken in steps of several tasks, or of a part of one.
    pub in_steps: Option<InSteps>,
    /// Never is more taken, however many tasks there are.
    pub most: Amounts,
}

impl Portion {
    /// The same for one task or many.
    #[must_use]
    pub fn fixed(amounts: Amounts) -> Self {
        Self {
            least: amounts,
            floor: amounts,
            per_task: Amounts::NONE,
            in_steps: None,
            most: amounts,
        }
    }

    /// What so many tasks hold.
    #[must_use]
    pub fn held(&self, tasks: u32) -> Amounts {
        let held = self.floor.max(self.per_task.times(tasks));
        let held = self.in_steps.map_or(held, |steps| held.max(steps.held(tasks)));
        held.min(self.most)
    }
}

/// What tasks take in steps: whole cores, with the memory of all of their CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InSteps {
    pub steps: Steps,
    /// What each step takes.
    pub each: Amounts,
}

impl InSteps {
    fn held(&self, tasks: u32) -> Amounts {
        self.each.times(self.steps.count(tasks, 0))
    }
}

/// What a job takes of any node it may be given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// For each capacity that nodes have, by its number.
    pub portions: Vec<Portion>,
    /// The most tasks on one node.
    pub tasks_per_node: u32,
}

/// A job's request. Jobs with equal requests share the work of looking for room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    pub shape: ShapeId,
    /// The nodes that it may have.
    pub mask: MaskId,
    /// The nodes that it must have, in rising order.
    pub required: Vec<usize>,
    pub nodes_min: u32,
    pub nodes_max: u32,
    /// In all; at least one on each node.
    pub tasks: u32,
    /// None: it never ends.
    pub limit: Option<u64>,
    /// Of these nodes at least so many.
    pub counts: Vec<(MaskId, u32)>,
    /// A node counts for one of them alone.
    pub apart: bool,
    /// What it may not have for a while.
    pub veil: Option<VeilId>,
    pub manner: Manner,
}

/// How few jobs want their nodes, or those beside them. By default, in no way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manner {
    /// Who is on a node concerns it, or it those.
    pub tenant: Option<Tenant>,
    pub choice: Choice,
}

/// A shape that the timeline knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShapeId(pub(super) usize);

/// A set of nodes that the timeline knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaskId(pub(super) usize);

/// An ask that the timeline knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassId(pub(super) usize);

/// Where and when a job runs, according to plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub at: u64,
    /// When it ends by its limit.
    pub until: u64,
    /// The nodes by their numbers, in the order in which they were chosen, and the tasks on each.
    pub nodes: Vec<(usize, u32)>,
}

/// A shape's portions, packed.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) shape: Shape,
    /// What must be free for one task, by capacity; none where it never is.
    pub(super) least: Vec<Option<u64>>,
}

impl Packed {
    pub(super) fn new(shape: Shape, packing: &Packing) -> Self {
        let least = |portion: &Portion| packing.asked(portion.least.max(portion.held(1)));
        Self { least: shape.portions.iter().map(least).collect(), shape }
    }

    /// How many tasks fit into what is free of a node of that capacity.
    pub(super) fn tasks(&self, packing: &Packing, capacity: usize, free: u64) -> u32 {
        let fits = self.least[capacity].is_some_and(|least| packing.fits(least, free));
        if !fits {
            return 0;
        }
        let Portion { per_task, in_steps, most, .. } = self.shape.portions[capacity];
        let tasks = packing.times(per_task, most, free, self.shape.tasks_per_node);
        in_steps.map_or(tasks, |InSteps { steps, each }| {
            tasks.min(steps.tasks(packing.times(each, most, free, u32::MAX)))
        })
    }
}

impl Ask {
    /// Whether nodes may get different numbers of tasks.
    pub(super) fn is_elastic(&self) -> bool {
        self.tasks > self.nodes_min
    }

    /// How many tasks each of the first nodes takes, where they take all together: of the first
    /// `must`, each takes one at least. Each takes as many as fit, and leaves one for each node
    /// that must follow.
    pub(super) fn spread(
        &self,
        fitting: &[(usize, u32)],
        must: usize,
    ) -> Option<Vec<(usize, u32)>> {
        let nodes_min = must.max(self.nodes_min as usize);
        let mut left = self.tasks.max(u32::try_from(must).unwrap_or(u32::MAX));
        let mut chosen = Vec::new();
        for &(node, fits) in fitting {
            let placed = chosen.len();
            if left == 0 || placed >= self.nodes_max as usize {
                break;
            }
            let must_follow = nodes_min.saturating_sub(placed + 1);
            let spare = left.saturating_sub(u32::try_from(must_follow).unwrap_or(u32::MAX)).max(1);
            let tasks = fits.min(spare);
            left -= tasks.min(left);
            chosen.push((node, tasks));
        }
        (left == 0 && chosen.len() >= nodes_min).then_some(chosen)
    }

    /// Whether nothing starts for `self` before it could for `other`.
    pub(super) fn dominates(&self, other: &Self) -> bool {
        let limit = |ask: &Self| ask.limit.unwrap_or(u64::MAX);
        (other.counts.is_empty() || self.counts == other.counts && self.apart == other.apart)
            && self.veil == other.veil
            && self.manner == other.manner
            && self.nodes_min >= other.nodes_min
            && self.nodes_max <= other.nodes_max
            && self.tasks >= other.tasks
            && limit(self) >= limit(other)
    }
}

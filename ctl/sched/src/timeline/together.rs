//! All of a job's tasks on one node, where one has room for them.

use super::{
    Amounts, Timeline,
    amount::KINDS,
    ask::{Ask, ClassId, Portion, Shape, Start},
    choice::Choice,
};

impl Timeline {
    /// The start of the class at the same moment with all tasks on one node, if one has room for
    /// them: the first of those that `may` be taken.
    pub fn together(
        &mut self,
        class: ClassId,
        start: &Start,
        may: impl FnOnce(usize) -> bool,
    ) -> Option<Start> {
        let ask = &self.classes[class.0].ask;
        let free = ask.required.is_empty() && ask.counts.is_empty() && ask.nodes_min <= 1;
        let may_all =
            matches!(ask.manner.choice, Choice::First | Choice::InARow | Choice::Close(_));
        if !free || !may_all || start.nodes.len() < 2 {
            return None;
        }
        let (tasks, ask) = (ask.tasks, ask.clone());
        let shape = self.whole(&self.shapes[ask.shape.0].shape, tasks)?;
        let shape = self.shape(&shape);
        let whole = self.class(&Ask { shape, nodes_max: 1, tasks: 1, ..ask });
        let found = self.earliest_from(whole, start.at, start.at)?;
        let (node, _) = found.nodes[0];
        may(node).then(|| Start { nodes: vec![(node, tasks)], ..found })
    }

    /// So many tasks as one; none where that is more than one node may have.
    fn whole(&self, shape: &Shape, tasks: u32) -> Option<Shape> {
        if tasks > shape.tasks_per_node {
            return None;
        }
        let never = Portion::fixed(Amounts([u64::MAX; KINDS]));
        let whole = |portion: &Portion| {
            let all = portion.per_task.times(tasks);
            // What is held is never more than `most`, but the tasks need it all.
            let fits = all.max(portion.most) == portion.most;
            let held = portion.held(tasks);
            let least = portion.least.max(held);
            if fits { Portion { least, ..Portion::fixed(held) } } else { never }
        };
        let portions = shape.portions.iter().map(whole).collect();
        Some(Shape { portions, tasks_per_node: 1 })
    }
}

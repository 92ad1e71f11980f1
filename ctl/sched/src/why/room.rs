//! How many nodes have room for a job now, and what the others lack.

use common::{id::NodeName, machine::State};

use crate::{placement::need, reached::Reached, timeline::ClassId};

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Cpus,
    Memory,
    /// GPUs, and other generic resources.
    Gpus,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Cpus, Self::Memory, Self::Gpus];
}

/// How the nodes of a job's partition stand to what it asks for, beside what runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Nodes of the partition.
    pub nodes: u32,
    /// Of these, such as are down or were never seen, and such as are drained or draining.
    pub down: u32,
    pub drained: u32,
    /// That take jobs, but not this one: it excludes them, or asks for what they don't have.
    pub barred: u32,
    /// That have room for it now.
    pub fit: u32,
    /// And that have too little of a kind; a node may lack several.
    pub short: Vec<(Kind, u32)>,
    /// Those without room that the job names (`--nodelist`), so that others are of no use to it.
    pub named: Vec<NodeName>,
    /// Where others' jobs are in the way (`--exclusive=user`).
    pub kept_off: u32,
    /// How many it needs at least.
    pub needs: u32,
    /// How many tasks it has, and how many have room on all these nodes together. Where each node
    /// takes as many, only nodes are counted.
    pub tasks: Option<(u32, u64)>,
}

pub(super) fn room(reached: &Reached<'_>, view: &State, class: ClassId) -> Room {
    let (pass, line) = (&reached.pass, reached.line());
    let (shares, timeline) = (&pass.board.shares, &pass.board.timeline);
    let job = pass.wanted.and_then(|job| view.jobs.get(&job)).expect("it was reached");
    let need = need(pass.config, line.conf, job);
    let elastic = need.tasks > need.nodes_min;
    let now = pass.now.0;
    let mut room = Room {
        nodes: count(line.nodes.len()),
        down: 0,
        drained: 0,
        barred: 0,
        fit: 0,
        short: vec![],
        named: vec![],
        kept_off: 0,
        needs: need.nodes_min,
        tasks: elastic.then_some((need.tasks, 0)),
    };
    let mut short = [0; 3];
    for at in line.nodes.iter().copied() {
        let node = view.nodes.get(&shares[at].name).expect("the board's nodes are there");
        let fit = room.fit;
        if !node.is_usable() {
            let out = if node.drain { &mut room.drained } else { &mut room.down };
            *out += 1;
        } else if !timeline.admits(class, at) {
            room.barred += 1;
        } else if let tasks @ 1.. = timeline.tasks_at(class, at, now) {
            room.fit += 1;
            if let Some((_, fitting)) = &mut room.tasks {
                *fitting += u64::from(tasks);
            }
        } else {
            room.kept_off += u32::from(timeline.keeps_off(class, at, now));
            let [cpus, memory, gres @ ..] = timeline.lacking(class, at, now);
            let lacking = [cpus, memory, gres.contains(&true)];
            for (short, lacks) in short.iter_mut().zip(lacking) {
                *short += u32::from(lacks);
            }
        }
        if room.fit == fit && job.spec.required_nodes.contains(&node.name) {
            room.named.push(node.name.clone());
        }
    }
    room.short = Kind::ALL.into_iter().zip(short).filter(|(_, nodes)| *nodes > 0).collect();
    room
}

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

//! Whose ends a start waits for.

use common::{
    id::{JobId, NodeName},
    job::Job,
    machine::State,
    time::Timestamp,
};

use super::component;
use crate::{
    board,
    licenses::holders,
    reached::Reached,
    timeline::{ClassId, Start},
};

/// Of how many it is told.
const MOST: usize = 8;

/// A job whose end frees nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freed {
    pub job: JobId,
    /// It holds them now; else it waits, and is planned to hold them before.
    pub runs: bool,
    /// It makes way, or is to: it ends for this job.
    pub makes_way: bool,
    /// When it ends at the latest.
    pub until: Timestamp,
    pub nodes: Vec<NodeName>,
}

/// Those that end at the border at which the class starts, on the nodes that would have no room
/// before, or with licenses that would not be free: the last ones to end first.
pub(super) fn freed(
    reached: &Reached<'_>,
    view: &State,
    job: &Job,
    class: ClassId,
    start: &Start,
) -> Vec<Freed> {
    let (pass, board) = (&reached.pass, &reached.pass.board);
    let timeline = &board.timeline;
    let Some(before) = timeline.border_before(start.at) else { return vec![] };
    let full = |(node, tasks): &&(usize, u32)| timeline.tasks_at(class, *node, before) < *tasks;
    let mut full: Vec<usize> = start.nodes.iter().filter(full).map(|(node, _)| *node).collect();
    if job.het().is_some() {
        // Components may leave each other no room, where each has some for itself.
        let nodes = pass.found_together.iter().flat_map(|(start, _)| &start.nodes);
        full = nodes.map(|(node, _)| *node).collect();
        full.sort_unstable();
        full.dedup();
    }
    let counts = |until: u64| (before + 1..=start.at).contains(&until);
    let name = |node: &usize| board.shares[*node].name.clone();
    let mut freed: Vec<Freed> = Vec::new();
    let shortly = board::shortly(pass.config);
    for (victim, nodes) in pass.makes_way() {
        for node in nodes.iter().filter(|node| full.contains(node)).map(name) {
            add(&mut freed, *victim, true, start.at, node);
        }
    }
    for node in full.iter().map(name) {
        for job in view.holding.get(&node).into_iter().flatten() {
            let until = board::until(view, &view.jobs[job], pass.now, shortly);
            if counts(until) {
                add(&mut freed, *job, true, until, node.clone());
            }
        }
    }
    for (job, theirs) in pass.booked.iter().filter(|(_, theirs)| counts(theirs.until)) {
        let shared = theirs.nodes.iter().filter(|(node, _)| full.contains(node));
        for (node, _) in shared {
            add(&mut freed, *job, false, theirs.until, name(node));
        }
    }
    let asked = component::licenses(view, job).counts.into_iter();
    let asked: Vec<_> =
        asked.filter(|(name, count)| !pass.licenses.has(name, *count, before)).collect();
    let shares =
        |other: &Job| asked.iter().any(|(name, _)| other.spec.asks().licenses.count(name) > 0);
    for other in holders(view).filter(|other| !asked.is_empty() && shares(other)) {
        let until = board::until(view, other, pass.now, shortly);
        let run = other.holding().filter(|_| counts(until));
        for place in run.iter().flat_map(|run| &run.places) {
            add(&mut freed, other.id, true, until, place.node.clone());
        }
    }
    for (other, theirs) in pass.booked.iter().filter(|(_, theirs)| counts(theirs.until)) {
        for (node, _) in theirs.nodes.iter().filter(|_| shares(&view.jobs[other])) {
            add(&mut freed, *other, false, theirs.until, name(node));
        }
    }
    let told = |freed: &Freed| {
        let told = view.jobs.get(&freed.job).and_then(|other| other.makes_way());
        told.is_some_and(|told| told.by == job.id)
    };
    for one in &mut freed {
        one.makes_way = told(one) || pass.makes_way().iter().any(|(victim, _)| *victim == one.job);
    }
    freed.sort_by_key(|freed| (std::cmp::Reverse(freed.until), freed.job));
    freed.truncate(MOST);
    freed
}

fn add(freed: &mut Vec<Freed>, job: JobId, runs: bool, until: u64, node: NodeName) {
    match freed.iter_mut().find(|freed| freed.job == job) {
        Some(known) if known.nodes.contains(&node) => {}
        Some(known) => known.nodes.push(node),
        None => {
            let (makes_way, until, nodes) = (false, Timestamp(until), vec![node]);
            freed.push(Freed { job, runs, makes_way, until, nodes });
        }
    }
}

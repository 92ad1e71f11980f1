//! Why a job waits, until when, and what would let it start sooner.
//!
//! All of it is asked of the planner: what holds the job is what the planner says of it alone, one
//! thing after the other, as if the last one were not; its start is where the plan comes to it; and
//! what would help is found by planning again. So a new kind of constraint shows up here without
//! being told.

mod component;
mod freed;
mod obstacle;
mod room;
mod sooner;
mod told;

use common::{
    config::{Config, PartitionConf},
    id::{JobId, PartitionName},
    job::{Job, Place, Reason},
    machine::{QueueKey, State},
    time::Timestamp,
};

pub use self::{
    freed::Freed,
    obstacle::Obstacle,
    room::{Kind, Room},
    sooner::{Change, Sooner},
};
use crate::{
    order::{Turn, order_in},
    rank::{Factors, Ranks},
    reached::Reached,
    several,
};

/// Of how many jobs that are ahead it is told why.
const FIRST: usize = 5;

/// Why a job waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Where: of several partitions, that where it would start first.
    pub partition: PartitionName,
    /// All that holds it now, in the order in which the planner would come to it.
    pub obstacles: Vec<Obstacle>,
    /// How its nodes stand to what it asks for, if that was looked at.
    pub room: Option<Room>,
    pub ahead: Ahead,
    /// When it would start if nobody were ahead of it.
    pub alone: Option<Timestamp>,
    /// When and where it is to start; or would be, if what is `supposed` not to hold it did not.
    pub planned: Option<Planned>,
    pub supposed: Vec<Reason>,
    /// The smallest changes that would let it start sooner.
    pub sooner: Vec<Sooner>,
    /// Whether all were tried that could help; else the queue is too long for some.
    pub all_tried: bool,
}

/// Who is planned before it, and could take its nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ahead {
    pub count: u32,
    pub first: Vec<Earlier>,
    /// What the job's own priority comes from.
    pub factors: Option<Factors>,
}

/// A job that is ahead, and by what.
#[derive(Clone, Debug, PartialEq)]
pub struct Earlier {
    pub job: JobId,
    pub user: String,
    pub partition: PartitionName,
    pub by: Lead,
    pub priority: u32,
    /// What its priority comes from, where it comes from factors.
    pub factors: Option<Factors>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// Some QOS come before this one's, and it comes beside or before those.
    Qos,
    /// Its partition's `PriorityTier` is higher.
    Tier,
    Priority,
    /// Of the same priority, it was submitted before.
    Submission,
    /// At the same moment, with a lower number.
    Number,
}

/// A start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub at: Timestamp,
    pub places: Vec<Place>,
    /// Whose ends determine it: without any of them its nodes would not be free.
    pub freed: Vec<Freed>,
}

/// Why the job waits; nothing for one that does not, or that is not there. Of one that waits in
/// several partitions, it is told of the one where it would start first; of a component that does
/// not lead, what is told of its leader.
#[must_use]
pub fn why(view: &State, now: Timestamp, job: JobId) -> Option<Waiting> {
    let asked = view.jobs.get(&job).filter(|job| job.is_pending())?;
    if let Some(leader) = asked.led_by() {
        return why(view, now, leader);
    }
    let views = several::each(view, job);
    let waiting = views.iter().filter_map(|view| why_there(view, now, job));
    let never = Timestamp(u64::MAX);
    let mut waiting = waiting.min_by_key(|waiting| {
        let start = waiting.planned.as_ref().map_or(never, |planned| planned.at);
        (!waiting.supposed.is_empty(), start, waiting.obstacles.len())
    })?;
    let known = |change: &Change| match change {
        Change::Partition(name) => asked.partition.each().any(|own| own == name.as_str()),
        Change::Time(_)
        | Change::Nodes(_)
        | Change::AnyNodes
        | Change::Tasks(_)
        | Change::CpusPerTask(_)
        | Change::Memory(_)
        | Change::NoBegin
        | Change::NotExclusive
        | Change::NoNodeList
        | Change::NoExclude
        | Change::NoConstraint
        | Change::NoLicenses
        | Change::NoDeadline
        | Change::NoSwitches => false,
    };
    waiting.sooner.retain(|sooner| !known(&sooner.change));
    Some(waiting)
}

/// Why a job waits in its partition.
fn why_there(view: &State, now: Timestamp, job: JobId) -> Option<Waiting> {
    let config = view.config.as_deref()?;
    let obstacle::Peeled { mut obstacles, supposed, view: free, alone, room } =
        obstacle::peel(view, now, job);
    let own = free.jobs.get(&job).expect("it is supposed to be otherwise, not to be gone");
    let ahead = ahead(&free, config, own, now);
    let mut waiting = Waiting {
        partition: own.partition.clone(),
        obstacles: vec![],
        room,
        ahead,
        alone,
        planned: None,
        supposed,
        sooner: vec![],
        all_tried: true,
    };
    let mut reached = Reached::new(&free, now, job);
    if let Some(reached) = &mut reached {
        let considered = reached.consider(own);
        let start = considered.class.zip(considered.start.as_ref());
        waiting.planned = start.map(|(class, start)| Planned {
            at: Timestamp(start.at),
            places: reached.all_places(own, start),
            freed: freed::freed(reached, &free, own, class, start),
        });
        let limit = obstacle::at_turn(&considered);
        let turn = || obstacle::turn(&waiting, &considered, now);
        let more = limit.or_else(turn);
        add(&mut obstacles, more);
    } else {
        add(&mut obstacles, obstacle::never(&waiting, own));
    }
    let asked = &view.jobs[&job];
    let (sooner, all_tried) = if waiting.supposed.is_empty() || QueueKey::of(asked).is_none() {
        let start = waiting.planned.as_ref().map(|planned| planned.at);
        sooner::sooner(&free, now, own, reached, start)
    } else {
        // As things are it starts later or never, and another request may be better off.
        let mut reached = Reached::new(view, now, job);
        let starts = |conf: &PartitionConf| conf.state.starts();
        let (more, start) = match &mut reached {
            Some(reached) => {
                let considered = reached.consider(asked);
                let start = considered.start.as_ref().map(|start| Timestamp(start.at));
                (obstacle::at_turn(&considered), start)
            }
            None if config.partition(asked.partition.as_str()).is_some_and(starts) => {
                (obstacle::never(&waiting, asked), None)
            }
            None => (None, None),
        };
        add(&mut obstacles, more);
        sooner::sooner(view, now, asked, reached, start)
    };
    (waiting.obstacles, waiting.sooner, waiting.all_tried) = (obstacles, sooner, all_tried);
    Some(waiting)
}

/// Each reason is told once.
fn add(obstacles: &mut Vec<Obstacle>, more: Option<Obstacle>) {
    let known = |more: &Obstacle| obstacles.iter().any(|known| known.reason == more.reason);
    let more = more.filter(|more| !known(more));
    obstacles.extend(more);
}

/// Those before the job, in its own queue and in those of partitions that share nodes with its own.
fn ahead(view: &State, config: &Config, job: &Job, now: Timestamp) -> Ahead {
    let Some(conf) = config.partition(job.partition.as_str()) else { return Ahead::default() };
    let mut own = conf.nodes.clone();
    own.sort_unstable();
    let shares = |nodes: &[String]| nodes.iter().any(|node| own.binary_search(node).is_ok());
    let rivals: Vec<&str> = config
        .partitions
        .iter()
        .filter(|other| other.name == conf.name || other.state.starts() && shares(&other.nodes))
        .map(|other| other.name.as_str())
        .collect();
    let order = order_in(view, now, |conf| rivals.contains(&conf.name.as_str()));
    let Some(at) = order.iter().position(|(_, other)| other.id == job.id) else {
        return Ahead::default();
    };
    let turn = order[at].0;
    let mut ranks = Ranks::of(view, now);
    let factors = ranks.as_mut().and_then(|ranks| ranks.shown(job));
    let mut ahead = Ahead { factors, ..Ahead::default() };
    for (theirs, other) in &order[..at] {
        ahead.count += 1;
        if ahead.first.len() < FIRST {
            ahead.first.push(Earlier {
                job: other.id,
                user: other.spec.user_name.clone(),
                partition: other.partition.clone(),
                by: lead(theirs, &turn),
                priority: theirs.key.priority.0,
                factors: ranks.as_mut().and_then(|ranks| ranks.shown(other)),
            });
        }
    }
    ahead
}

fn lead(theirs: &Turn, own: &Turn) -> Lead {
    if theirs > own {
        Lead::Qos
    } else if theirs.tier != own.tier {
        Lead::Tier
    } else if theirs.key.priority != own.key.priority {
        Lead::Priority
    } else if theirs.key.submitted != own.key.submitted {
        Lead::Submission
    } else {
        Lead::Number
    }
}

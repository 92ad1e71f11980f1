//! What a controller does with commands while it takes itself for the leader.
//!
//! The head is the real one. Around it stands what the proposer's two tasks do, without tasks.

use std::collections::{BTreeMap, VecDeque};

use common::{
    id::Term,
    machine::{Answer, Command, Entry, Refusal, timers},
    planted::{Bug, planted},
};
use ctl::{desk, head::Head, vigil::Vigil};
use proto::convert::encode_batch;
use raft_store::records::Content;

use super::{
    controller::replica_clock,
    network::Place,
    orders::Attached,
    user::Ask,
    world::{Happening, World},
};

/// What came of a command, and the log's index when it was answered.
pub(super) type Outcome = Result<Answer, Rejected>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    Refused(Refusal),
    NotLeader,
    Unknown,
}

/// Who waits for the outcome of a command.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    User(Ask),
    Node { node: usize, stream: u64 },
    Nobody,
}

/// A leader's own things. Nothing of them outlives its term.
pub(super) struct Office {
    pub(super) term: u64,
    pub(super) head: Head,
    pub(super) since: u64,
    entries: Vec<Entry>,
    replies: Vec<(Reply, Outcome)>,
    flush_due: bool,
    flights: VecDeque<Flight>,
    pub(super) desk: desk::Desk,
    pub(super) vigil: Vigil,
    pub(super) attached: BTreeMap<usize, Attached>,
    pub(super) heard: BTreeMap<usize, u64>,
    /// Which of the head's entries the scheduler has seen, and when it last looked.
    planned: (u64, u64),
    pub(super) looked: u64,
    pub(super) swept: u64,
}

/// A batch on its way.
struct Flight {
    /// The index of its entry; none where nothing was appended.
    index: Option<u64>,
    replies: Vec<(Reply, Outcome)>,
}

/// How often the scheduler looks where nothing has changed: a job's time may have come.
const PLAN_MS: u64 = 1_000;

impl World {
    /// Opens the office of a controller that was elected and has caught up.
    pub(super) fn may_lead(&mut self, controller: usize) {
        let this = &self.controllers[controller];
        let Some(lead) = &this.lead else { return };
        let term = lead.term;
        if self.witness.led >= term || this.applied < lead.first {
            return;
        }
        // A term has one office: what an earlier one of the same term held could not be told.
        self.witness.led = term;
        let state = this.state.clone();
        self.offices[controller] = Some(Office {
            term,
            head: Head::new(state.clone(), Term(term)),
            since: self.now,
            entries: vec![],
            replies: vec![],
            flush_due: false,
            flights: VecDeque::new(),
            desk: desk::Desk::new(state),
            vigil: Vigil::new(self.instant()),
            attached: BTreeMap::new(),
            heard: BTreeMap::new(),
            planned: (0, 0),
            looked: self.now,
            swept: self.now,
        });
        self.say(format_args!("ctl{controller} leads term {term}"));
    }

    /// A leader hears that it leads no more.
    pub(super) fn step_down(&mut self, controller: usize, reason: &str) {
        let Some(office) = self.offices[controller].take() else { return };
        self.say(format_args!("ctl{controller} steps down from term {}: {reason}", office.term));
        let flown = office.flights.into_iter().flat_map(|flight| flight.replies);
        for (reply, _) in flown.chain(office.replies) {
            self.reply(controller, reply, Err(Rejected::Unknown));
        }
    }

    pub(super) fn propose(&mut self, controller: usize, command: Command, reply: Reply) {
        let now = self.controller_clock(controller);
        let life = self.controllers[controller].life;
        let Some(office) = &mut self.offices[controller] else {
            self.reply(controller, reply, Err(Rejected::NotLeader));
            return;
        };
        replica_clock(now);
        let proposed = office.head.propose(command, now);
        office.entries.extend(proposed.entry);
        office.replies.push((reply, proposed.answer.map_err(Rejected::Refused)));
        if !std::mem::replace(&mut office.flush_due, true) {
            self.soon(1, Happening::Flush { controller, life });
        }
    }

    /// Appends what was decided, as one batch.
    pub(super) fn flush(&mut self, controller: usize, life: u64) {
        if !self.lives(controller, life) {
            return;
        }
        let Some(office) = &mut self.offices[controller] else { return };
        office.flush_due = false;
        let entries = std::mem::take(&mut office.entries);
        let replies = std::mem::take(&mut office.replies);
        let term = office.term;
        let mut index = None;
        if !entries.is_empty() {
            index = self.append(controller, term, Content::Batch(encode_batch(&entries)));
            if index.is_none() {
                // Its disk has ended it, and with it whoever waited.
                return;
            }
        }
        if planted(Bug::AcknowledgeBeforeCommit) {
            index = None;
        }
        let Some(office) = &mut self.offices[controller] else { return };
        office.flights.push_back(Flight { index, replies });
        self.advance(controller);
        self.land(controller);
    }

    /// Answers in the order of the decisions, each batch once it is committed and applied.
    pub(super) fn land(&mut self, controller: usize) {
        loop {
            let confirmed = self.is_confirmed(controller);
            let applied = self.controllers[controller].applied;
            let Some(office) = &mut self.offices[controller] else { return };
            let landed = |flight: &Flight| flight.index.is_none_or(|index| index <= applied);
            if office.flights.front().is_none_or(|flight| !landed(flight)) {
                return;
            }
            let flight = office.flights.pop_front().expect("it was looked at");
            // Where nothing was appended, a majority says whether this controller still leads.
            let sure = flight.index.is_some() || confirmed || planted(Bug::AcknowledgeBeforeCommit);
            for (reply, outcome) in flight.replies {
                let outcome = if sure { outcome } else { Err(Rejected::Unknown) };
                self.reply(controller, reply, outcome);
            }
        }
    }

    fn reply(&mut self, controller: usize, reply: Reply, outcome: Outcome) {
        match reply {
            Reply::Nobody => {}
            Reply::User(ask) => self.answer(controller, ask, outcome),
            Reply::Node { node, stream } => match outcome {
                Ok(_) => self.welcome(controller, node, stream),
                Err(_) => self.soon(1, Happening::StreamBroken { node, stream, hint: None }),
            },
        }
    }

    /// Sends a user an outcome.
    pub(super) fn answer(&mut self, controller: usize, ask: Ask, outcome: Outcome) {
        if !self.network.reaches(Place::Controller(controller), Place::User) {
            return;
        }
        let index = self.controllers[controller].applied;
        for _ in 0..self.network.copies(&mut self.random) {
            let delay = self.delay();
            let (ask, outcome) = (ask.clone(), outcome.clone());
            self.soon(delay, Happening::Answered { ask, outcome, index });
        }
    }

    /// What a leader does when its state has moved: it answers, and gives orders.
    pub(super) fn led(&mut self, controller: usize) {
        if self.offices[controller].is_some() {
            self.land(controller);
            self.give_orders(controller);
        }
    }

    pub(super) fn controller_tick(&mut self, controller: usize, life: u64) {
        if !self.lives(controller, life) {
            return;
        }
        self.soon(250, Happening::ControllerTick { controller, life });
        self.lead_tick(controller);
        if !self.lives(controller, life) {
            return;
        }
        let clock = self.controller_clock(controller);
        let now = self.now;
        let Some(office) = &mut self.offices[controller] else { return };
        let view = office.head.state();
        let mut commands = timers(view, clock);
        let (seen, at) = office.planned;
        if seen != view.sequence || at + PLAN_MS <= now {
            office.planned = (view.sequence, now);
            let sched::Plan { starts, preempts, .. } = sched::plan(view, clock);
            commands.extend(preempts.into_iter().map(Command::Preempt));
            commands.extend(starts.into_iter().map(Command::Allocate));
        }
        for command in commands {
            self.propose(controller, command, Reply::Nobody);
        }
        self.keep_watch(controller);
        self.beat(controller);
    }

    /// A user's request reaches a controller.
    pub(super) fn asked(&mut self, controller: usize, life: u64, ask: Ask) {
        if !self.lives(controller, life) {
            return;
        }
        match ask.command() {
            Some(command) => self.propose(controller, command, Reply::User(ask)),
            None => self.read(controller, ask),
        }
    }

    /// A read: the leader says how far to wait, on whatever controller was asked.
    fn read(&mut self, controller: usize, ask: Ask) {
        let this = &self.controllers[controller];
        let life = this.life;
        if planted(Bug::StaleReads) {
            self.waited(controller, life, ask, 0, 0);
            return;
        }
        let Some(leader) = this.leader.filter(|leader| self.controllers[*leader].runs()) else {
            self.answer(controller, ask, Err(Rejected::NotLeader));
            return;
        };
        let (own, other) = (Place::Controller(controller), Place::Controller(leader));
        let reached = controller == leader || self.network.joined(own, other);
        if !reached || !self.is_confirmed(leader) {
            self.answer(controller, ask, Err(Rejected::NotLeader));
            return;
        }
        let lead = self.controllers[leader].lead.as_ref().expect("it was confirmed");
        // A leader knows what is committed once an entry of its own term is.
        let index = self.controllers[leader].commit.max(lead.first);
        let delay = 2 * self.delay();
        self.soon(delay, Happening::Waited { controller, life, ask, index, tries: 0 });
    }

    /// A reader waits until what it must see is applied.
    pub(super) fn waited(
        &mut self,
        controller: usize,
        life: u64,
        ask: Ask,
        index: u64,
        tries: u32,
    ) {
        if !self.lives(controller, life) {
            return;
        }
        if self.controllers[controller].applied >= index {
            self.answer(controller, ask, Ok(Answer::Done));
        } else if tries < 100 {
            self.soon(50, Happening::Waited { controller, life, ask, index, tries: tries + 1 });
        } else {
            self.answer(controller, ask, Err(Rejected::Unknown));
        }
    }
}

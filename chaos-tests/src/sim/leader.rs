//! What a controller does while it takes itself for the leader.

use std::collections::{BTreeMap, VecDeque};

use common::{
    id::{NodeName, Term},
    job::EndState,
    machine::{
        Answer, Command, Entry, Order, Refusal, Report, Seen, SeenStage, missing, orders, timers,
    },
    node::Availability,
    time::Span,
};
use ctl::head::Head;
use node::run::{self, Launch, RunId, Signal, Termination};
use proto::convert::encode_batch;

use super::{
    controller::node_name,
    host,
    network::Place,
    raft::Pending,
    user::Ask,
    world::{Happening, World},
};

/// How long a node may be silent before it is given up: the configuration's `SlurmdTimeout`.
const NODE_TIMEOUT_MS: u64 = 10_000;
/// An order is repeated after this time.
const RESEND_MS: u64 = 1_000;

/// What a leader says to a node.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Welcome,
    Order(run::Order),
    Beat,
}

/// What came of a command.
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
pub(super) struct Desk {
    pub(super) term: u64,
    head: Head,
    since: u64,
    entries: Vec<Entry>,
    replies: Vec<(Reply, Outcome)>,
    flush_due: bool,
    flights: VecDeque<Flight>,
    attached: BTreeMap<usize, Attached>,
    heard: BTreeMap<usize, u64>,
}

struct Flight {
    id: u64,
    landed: bool,
    replies: Vec<(Reply, Outcome)>,
}

struct Attached {
    stream: u64,
    welcomed: bool,
    seen: Seen,
    sent: BTreeMap<(RunId, u8, u32), u64>,
}

impl World {
    /// Makes the desk of a controller that was elected and has caught up.
    pub(super) fn may_lead(&mut self, controller: usize) {
        let this = &self.controllers[controller];
        let elected = self.raft.leader == Some(controller);
        let caught_up = this.applied == self.raft.committed.len();
        let term = self.raft.term;
        if !elected || !caught_up || self.witness.led >= term {
            return;
        }
        // A term has one desk: what an earlier one of the same term held could not be told.
        self.witness.led = term;
        self.desks[controller] = Some(Desk {
            term,
            head: Head::new(this.state.clone(), Term(term)),
            since: self.now,
            entries: vec![],
            replies: vec![],
            flush_due: false,
            flights: VecDeque::new(),
            attached: BTreeMap::new(),
            heard: BTreeMap::new(),
        });
        self.say(format_args!("ctl{controller} leads term {term}"));
    }

    /// A leader hears that it leads no more.
    pub(super) fn depose(&mut self, controller: usize, life: u64, term: u64) {
        let leads = self.desks[controller].as_ref().is_some_and(|desk| desk.term == term);
        if self.lives(controller, life) && leads {
            self.step_down(controller);
        }
    }

    fn step_down(&mut self, controller: usize) {
        let Some(desk) = self.desks[controller].take() else { return };
        self.say(format_args!("ctl{controller} steps down from term {}", desk.term));
        let flown = desk.flights.into_iter().flat_map(|flight| flight.replies);
        for (reply, _) in flown.chain(desk.replies) {
            self.reply(controller, reply, Err(Rejected::Unknown));
        }
    }

    pub(super) fn propose(&mut self, controller: usize, command: Command, reply: Reply) {
        let now = self.controller_clock(controller);
        let life = self.controllers[controller].life;
        let Some(desk) = &mut self.desks[controller] else {
            self.reply(controller, reply, Err(Rejected::NotLeader));
            return;
        };
        let outcome = match desk.head.propose(command, now) {
            Ok(proposed) => {
                desk.entries.extend(proposed.entry);
                Ok(proposed.answer)
            }
            Err(refusal) => Err(Rejected::Refused(refusal)),
        };
        desk.replies.push((reply, outcome));
        if !std::mem::replace(&mut desk.flush_due, true) {
            self.soon(1, Happening::Flush { controller, life });
        }
    }

    /// Appends what was decided, as one batch.
    pub(super) fn flush(&mut self, controller: usize, life: u64) {
        if !self.lives(controller, life) {
            return;
        }
        let id = self.open_stream();
        let Some(desk) = &mut self.desks[controller] else { return };
        desk.flush_due = false;
        let entries = std::mem::take(&mut desk.entries);
        let replies = std::mem::take(&mut desk.replies);
        let empty = entries.is_empty();
        desk.flights.push_back(Flight { id, landed: empty, replies });
        let term = desk.term;
        if empty {
            self.land(controller);
            return;
        }
        let bytes = encode_batch(&entries);
        let delay = 1 + self.delay();
        if self.raft.append(controller, term, Pending { flight: id, bytes }) {
            self.soon(delay, Happening::Commit { term });
        } else {
            // It will hear of it when it hears of the new leader, at the latest.
            let late = delay + self.random.below(2_000);
            self.soon(late, Happening::Lost { controller, life, flight: id });
        }
    }

    /// An append was committed, or lost.
    pub(super) fn landed(&mut self, controller: usize, life: u64, flight: u64, committed: bool) {
        if !self.lives(controller, life) {
            return;
        }
        let Some(desk) = &mut self.desks[controller] else { return };
        let Some(flown) = desk.flights.iter_mut().find(|known| known.id == flight) else { return };
        if !committed {
            self.step_down(controller);
            return;
        }
        flown.landed = true;
        self.catch_up(controller);
        self.land(controller);
        self.send_orders(controller);
    }

    fn catch_up(&mut self, controller: usize) {
        while self.controllers[controller].applied < self.raft.committed.len() {
            let life = self.controllers[controller].life;
            self.apply(controller, life);
        }
    }

    /// Answers in the order of the decisions.
    fn land(&mut self, controller: usize) {
        loop {
            let leads = self.has_majority(controller);
            let Some(desk) = &mut self.desks[controller] else { return };
            if desk.flights.front().is_none_or(|flight| !flight.landed) {
                return;
            }
            // Where nothing was appended, a quorum says whether this controller still leads.
            let confirmed =
                leads && self.raft.leader == Some(controller) && self.raft.term == desk.term;
            let flight = desk.flights.pop_front().expect("it was looked at");
            for (reply, outcome) in flight.replies {
                let sure = confirmed || outcome.is_ok();
                let outcome = if sure { outcome } else { Err(Rejected::Unknown) };
                self.reply(controller, reply, outcome);
            }
        }
    }

    fn reply(&mut self, controller: usize, reply: Reply, outcome: Outcome) {
        match reply {
            Reply::Nobody => {}
            Reply::User(ask) => {
                let heard = self.network.reaches(Place::Controller(controller), Place::User);
                let copies = self.network.copies(&mut self.random);
                for _ in 0..if heard { copies } else { 0 } {
                    let delay = self.delay();
                    let (ask, outcome) = (ask.clone(), outcome.clone());
                    self.soon(delay, Happening::Answered { ask, outcome });
                }
            }
            Reply::Node { node, stream } => match outcome {
                Ok(_) => self.welcome(controller, node, stream),
                Err(_) => self.soon(1, Happening::StreamBroken { node, stream }),
            },
        }
    }

    /// The registration of a node is in the log.
    fn welcome(&mut self, controller: usize, node: usize, stream: u64) {
        let now = self.controller_clock(controller);
        let state = self.controllers[controller].state.clone();
        let Some(desk) = &mut self.desks[controller] else { return };
        let Some(attached) = desk.attached.get_mut(&node).filter(|a| a.stream == stream) else {
            return;
        };
        attached.welcomed = true;
        let lost = missing(&state, &NodeName::from(node_name(node)), &attached.seen, now);
        self.tell(controller, node, Said::Welcome);
        for command in lost {
            self.propose(controller, command, Reply::Nobody);
        }
        self.send_orders(controller);
    }

    fn tell(&mut self, controller: usize, node: usize, said: Said) {
        let Some(desk) = &self.desks[controller] else { return };
        let Some(attached) = desk.attached.get(&node) else { return };
        let (stream, term) = (attached.stream, desk.term);
        let life = self.hosts[node].life;
        let message = Happening::ToNode { node, life, stream, term, said };
        self.send(Place::Controller(controller), Place::Node(node), node, stream, message);
    }

    /// What every node should be doing, and is not, as far as this controller can tell.
    pub(super) fn send_orders(&mut self, controller: usize) {
        let now = self.now;
        let state = self.controllers[controller].state.clone();
        let kill_wait = Span::from_seconds(5);
        let Some(desk) = &mut self.desks[controller] else { return };
        let mut said = Vec::new();
        for (node, attached) in desk.attached.iter_mut().filter(|(_, a)| a.welcomed) {
            for order in orders(&state, &NodeName::from(node_name(*node)), &attached.seen) {
                let key = key(&order);
                if attached.sent.get(&key).is_some_and(|at| at + RESEND_MS > now) {
                    continue;
                }
                attached.sent.insert(key, now);
                if let Order::Release { job, attempt } = order {
                    attached.seen.remove(&(job, attempt));
                }
                said.push((*node, spoken(&state, order, kill_wait)));
            }
        }
        for (node, order) in said {
            self.tell(controller, node, Said::Order(order));
        }
    }

    /// A node speaks to a controller.
    pub(super) fn controller_hears(
        &mut self,
        controller: usize,
        life: u64,
        stream: u64,
        said: host::Said,
    ) {
        if !self.lives(controller, life) {
            return;
        }
        let now = self.now;
        let host::Said { node, what } = said;
        let Some(desk) = &mut self.desks[controller] else {
            self.soon(1, Happening::StreamBroken { node, stream });
            return;
        };
        let current = desk.attached.get(&node).is_some_and(|attached| attached.stream == stream);
        if !current && !matches!(what, host::What::Hello { .. }) {
            self.soon(1, Happening::StreamBroken { node, stream });
            return;
        }
        desk.heard.insert(node, now);
        match what {
            host::What::Hello { inventory, steps } => {
                let seen =
                    steps.iter().map(|(run, r)| ((run.job, run.attempt), stage(r))).collect();
                let attached = Attached { stream, welcomed: false, seen, sent: BTreeMap::new() };
                desk.attached.insert(node, attached);
                let name = NodeName::from(node_name(node));
                let register =
                    Command::Register { node: name, address: "here:6818".into(), inventory };
                self.propose(controller, register, Reply::Node { node, stream });
                for (run, report) in steps {
                    self.reported(controller, node, run, report);
                }
            }
            host::What::Report { run, report } => {
                let Some(attached) = desk.attached.get_mut(&node) else { return };
                if !matches!(report, Report::Delivered { .. }) {
                    attached.seen.insert((run.job, run.attempt), stage(&report));
                }
                self.reported(controller, node, run, report);
            }
            host::What::Heartbeat => {}
        }
    }

    fn reported(&mut self, controller: usize, node: usize, run: RunId, report: Report) {
        let node = NodeName::from(node_name(node));
        let command = Command::Report { node, job: run.job, attempt: run.attempt, report };
        self.propose(controller, command, Reply::Nobody);
    }

    pub(super) fn controller_tick(&mut self, controller: usize, life: u64) {
        if !self.lives(controller, life) {
            return;
        }
        self.soon(250, Happening::ControllerTick { controller, life });
        let deaf = !self.has_majority(controller);
        if deaf && self.random.chance(200) {
            self.step_down(controller);
        }
        let clock = self.controller_clock(controller);
        let now = self.now;
        let Some(desk) = &self.desks[controller] else { return };
        let view = desk.head.state();
        let mut given_up = Vec::new();
        let mut commands = timers(view, clock);
        let starts = sched::plan(view, clock).starts;
        commands.extend(starts.into_iter().map(Command::Allocate));
        for node in 0..self.hosts.len() {
            let heard = desk.heard.get(&node).copied().unwrap_or(0).max(desk.since);
            let name = NodeName::from(node_name(node));
            let up = view.nodes.get(&name).is_some_and(|n| n.availability == Availability::Up);
            if up && now - heard > NODE_TIMEOUT_MS {
                commands.push(Command::Lose { node: name });
                given_up.push(node);
            }
        }
        self.close_streams(controller, &given_up);
        let attached = self.desks[controller].iter().flat_map(|desk| desk.attached.keys().copied());
        let attached: Vec<usize> = attached.collect();
        for command in commands {
            self.propose(controller, command, Reply::Nobody);
        }
        for node in attached {
            self.tell(controller, node, Said::Beat);
        }
        self.send_orders(controller);
    }

    /// A node that is given up must register anew when it is heard of again.
    fn close_streams(&mut self, controller: usize, nodes: &[usize]) {
        let Some(desk) = &mut self.desks[controller] else { return };
        let closed: Vec<(usize, u64)> = nodes
            .iter()
            .filter_map(|node| Some((*node, desk.attached.remove(node)?.stream)))
            .collect();
        for (node, stream) in closed {
            self.soon(1, Happening::StreamBroken { node, stream });
        }
    }

    /// A user's request reaches a controller.
    pub(super) fn asked(&mut self, controller: usize, life: u64, ask: Ask) {
        if self.lives(controller, life) {
            let command = ask.command();
            self.propose(controller, command, Reply::User(ask));
        }
    }
}

fn stage(report: &Report) -> SeenStage {
    match report {
        Report::Launching => SeenStage::Launching,
        Report::Running | Report::Delivered { .. } => SeenStage::Running,
        Report::Ended { .. } | Report::LaunchFailed { .. } | Report::Lost { .. } => SeenStage::Over,
    }
}

fn key(order: &Order) -> (RunId, u8, u32) {
    match *order {
        Order::Launch { job, attempt } => (RunId { job, attempt }, 0, 0),
        Order::Terminate { job, attempt, cause, .. } => (RunId { job, attempt }, 1, cause as u32),
        Order::Signal { job, attempt, number, .. } => (RunId { job, attempt }, 2, number),
        Order::Release { job, attempt } => (RunId { job, attempt }, 3, 0),
    }
}

/// An order as it goes over the wire.
fn spoken(state: &common::machine::State, order: Order, kill_wait: Span) -> run::Order {
    match order {
        Order::Launch { job, .. } => {
            let job = state.jobs.get(&job).expect("a job that is to be launched is there").clone();
            debug_assert!(job.end().is_none_or(|end| end.state != EndState::Completed));
            let content = Some(bytes::Bytes::from_static(b"#!/bin/sh\n"));
            run::Order::Launch(Box::new(Launch {
                job,
                script: content.clone(),
                environment: content,
            }))
        }
        Order::Terminate { job, attempt, cause, at } => run::Order::Terminate {
            run: RunId { job, attempt },
            termination: Termination { cause, kill_wait, at },
        },
        Order::Signal { job, attempt, number, signal, scope } => run::Order::Signal {
            run: RunId { job, attempt },
            signal: Signal { number, signal, scope },
        },
        Order::Release { job, attempt } => run::Order::Release(RunId { job, attempt }),
    }
}

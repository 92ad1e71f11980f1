//! A leader and its nodes: streams, reports, orders, and who is given up.
//!
//! Which orders go to whom says the real desk, and whose silence counts, the real vigil.

use std::collections::BTreeMap;

use common::{
    id::{JobId, NodeName},
    machine::{Command, Order, Report, Seen, State, missing},
    node::Availability,
    planted::{Bug, planted},
    time::Span,
};
use ctl::vigil::{self, Watched};
use node::run::{self, Launch, RunId, Signal, Termination};

use super::{
    controller::node_name,
    host,
    leader::Reply,
    network::Place,
    world::{Happening, World},
};

/// The configuration's `SlurmdTimeout`.
const NODE_TIMEOUT_MS: u64 = 10_000;
/// How often a leader looks whose silence counts, and at all orders.
const WATCH_MS: u64 = 1_000;
const SWEEP_MS: u64 = 10_000;
/// By when, after the faults, every node that lives is attached for good.
const SETTLED_MS: u64 = 20_000;

/// What a leader says to a node.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Welcome,
    Order(run::Order),
    Beat,
}

pub(super) struct Attached {
    pub(super) stream: u64,
    welcomed: bool,
    /// What it listed, until it is welcomed.
    steps: BTreeMap<RunId, Report>,
}

/// A report that is held up on its way to a leader.
#[derive(Clone, Debug)]
pub(super) struct Late {
    pub(super) controller: usize,
    term: u64,
    node: usize,
    run: RunId,
    report: Report,
}

impl World {
    /// The registration of a node is in the log.
    pub(super) fn welcome(&mut self, controller: usize, node: usize, stream: u64) {
        // The desk must know of the registration before it looks at what the node has.
        self.give_orders(controller);
        let now = self.controller_clock(controller);
        let name = NodeName::from(node_name(node));
        let state = self.controllers[controller].state.clone();
        let Some(office) = &mut self.offices[controller] else { return };
        let Some(attached) = office.attached.get_mut(&node).filter(|a| a.stream == stream) else {
            return;
        };
        attached.welcomed = true;
        let steps = std::mem::take(&mut attached.steps);
        let seen: Seen =
            steps.iter().map(|(run, r)| ((run.job, run.attempt), r.listed())).collect();
        let lost = missing(&state, &name, &seen, now);
        let orders = office.desk.attach(&name, stream, seen, now);
        self.tell(controller, node, Said::Welcome);
        self.send_orders(controller, orders.into_iter().map(|order| (name.clone(), order)));
        for (run, report) in steps {
            self.reported(controller, node, run, report);
        }
        for command in lost {
            self.propose(controller, command, Reply::Nobody);
        }
        self.give_orders(controller);
    }

    fn tell(&mut self, controller: usize, node: usize, said: Said) {
        let Some(office) = &self.offices[controller] else { return };
        let Some(attached) = office.attached.get(&node) else { return };
        let (stream, term) = (attached.stream, office.term);
        let life = self.hosts[node].life;
        if self.faults
            && let Said::Order(order) = &said
            && self.random.chance(30)
        {
            // Somewhere a copy of it is held up, and comes out when another leader leads.
            let late = self.random.below(40_000);
            let order = Box::new(order.clone());
            self.soon(late, Happening::LateOrder { node, term, order });
        }
        let said = Box::new(said);
        let message = Happening::ToNode { node, life, stream, term, said };
        self.send(Place::Controller(controller), Place::Node(node), node, stream, message);
    }

    /// Lets the desk follow the state, and sends what follows from it.
    pub(super) fn give_orders(&mut self, controller: usize) {
        let now = self.controller_clock(controller);
        let (at, applied) = (self.now, self.controllers[controller].state.clone());
        let Some(office) = &mut self.offices[controller] else { return };
        let state = match planted(Bug::LaunchBeforeIntent) {
            true => office.head.state().clone(),
            false => applied,
        };
        let mut given_up = Vec::new();
        for (node, attached) in &office.attached {
            let name = NodeName::from(node_name(*node));
            let lost = |state: &State| state.nodes[&name].availability == Availability::Lost;
            if lost(&state) && !lost(office.desk.state()) {
                given_up.push((*node, attached.stream));
            }
        }
        let mut orders = Vec::new();
        for (node, stream) in &given_up {
            office.attached.remove(node);
            office.desk.detach(&NodeName::from(node_name(*node)), *stream);
        }
        orders.extend(office.desk.follow(state, now));
        if office.swept + SWEEP_MS <= at {
            office.swept = at;
            orders.extend(office.desk.sweep(now));
        }
        // A node that is given up must register anew when it is heard of again.
        for (node, stream) in given_up {
            self.soon(1, Happening::StreamBroken { node, stream, hint: None });
        }
        self.send_orders(controller, orders);
    }

    fn send_orders(
        &mut self,
        controller: usize,
        orders: impl IntoIterator<Item = (NodeName, Order)>,
    ) {
        let Some(office) = &self.offices[controller] else { return };
        let state = office.desk.state().clone();
        for (name, order) in orders {
            let node = (0..self.hosts.len()).find(|at| node_name(*at) == name.as_str());
            let node = node.expect("orders go to the configuration's nodes");
            if let Some(order) = spoken(&state, order, Span::from_seconds(5)) {
                self.tell(controller, node, Said::Order(order));
            }
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
        let hint = self.controllers[controller].leader;
        let Some(office) = &mut self.offices[controller] else {
            self.soon(1, Happening::StreamBroken { node, stream, hint });
            return;
        };
        let current = office.attached.get(&node).is_some_and(|attached| attached.stream == stream);
        if !current && !matches!(what, host::What::Hello { .. }) {
            self.soon(1, Happening::StreamBroken { node, stream, hint });
            return;
        }
        office.heard.insert(node, now);
        match what {
            host::What::Hello { inventory, steps } => {
                let known = office.attached.get(&node).is_some_and(|a| a.stream >= stream);
                if known {
                    return;
                }
                office.attached.insert(node, Attached { stream, welcomed: false, steps });
                let name = NodeName::from(node_name(node));
                let register =
                    Command::Register { node: name, address: "here:6818".into(), inventory };
                self.propose(controller, register, Reply::Node { node, stream });
            }
            host::What::Report { run, report } => self.take_report(controller, node, run, report),
            host::What::Heartbeat => {}
        }
    }

    fn take_report(&mut self, controller: usize, node: usize, run: RunId, report: Report) {
        let clock = self.controller_clock(controller);
        let Some(office) = &mut self.offices[controller] else { return };
        let Some(attached) = office.attached.get(&node).filter(|a| a.welcomed) else { return };
        let term = office.term;
        let name = NodeName::from(node_name(node));
        let key = (run.job, run.attempt);
        let orders = office.desk.hear(&name, attached.stream, key, report.stage(), clock);
        self.send_orders(controller, orders.into_iter().map(|order| (name.clone(), order)));
        if self.faults && self.random.chance(400) {
            // The stream before this one had it, too, and is read when it does the most harm.
            let late = Late { controller, term, node, run, report: report.clone() };
            self.late.entry(run.job).or_default().push(late);
        }
        self.reported(controller, node, run, report);
    }

    /// A job's next attempt has its place: what is held up of earlier ones comes out.
    pub(super) fn let_out(&mut self, job: JobId) {
        for late in self.late.remove(&job).unwrap_or_default() {
            let delay = self.random.below(3_000);
            self.soon(delay, Happening::LateReport { late: Box::new(late) });
        }
    }

    pub(super) fn late_report(&mut self, late: Late) {
        let Late { controller, term, node, run, report } = late;
        if self.offices[controller].as_ref().is_some_and(|office| office.term == term) {
            self.reported(controller, node, run, report);
        }
    }

    fn reported(&mut self, controller: usize, node: usize, run: RunId, report: Report) {
        let node = NodeName::from(node_name(node));
        let command = Command::Report { node, job: run.job, attempt: run.attempt, report };
        self.propose(controller, command, Reply::Nobody);
    }

    /// Gives up the nodes that the vigil says are silent for too long.
    pub(super) fn keep_watch(&mut self, controller: usize) {
        let (now, instant, healed) = (self.now, self.instant(), self.healed);
        let nodes = self.hosts.len();
        let epoch = self.epoch;
        let Some(office) = &mut self.offices[controller] else { return };
        if office.looked + WATCH_MS > now {
            return;
        }
        office.looked = now;
        let view = office.head.state();
        let watched: Vec<Watched> = (0..nodes)
            .filter_map(|node| {
                let name = NodeName::from(node_name(node));
                let known = view.nodes.get(&name)?;
                let heard = office.heard.get(&node);
                let last_word = heard.map(|at| epoch + std::time::Duration::from_millis(*at));
                vigil::matters(known).then_some(Watched { node: name, last_word })
            })
            .collect();
        let timeout = std::time::Duration::from_millis(NODE_TIMEOUT_MS);
        let found = office.vigil.look(instant, timeout, &watched);
        let silent = |node: &NodeName| {
            let node = (0..nodes).find(|at| node_name(*at) == node.as_str());
            let heard = node.and_then(|node| office.heard.get(&node)).copied().unwrap_or(0);
            now - heard.max(office.since)
        };
        for node in &found.lost {
            let silent = silent(node);
            assert!(
                silent >= NODE_TIMEOUT_MS,
                "node {node} is given up after {silent} ms of a leader that could hear it"
            );
            assert!(
                healed.is_none_or(|healed| now < healed + SETTLED_MS),
                "node {node} is given up, and nothing is wrong with it"
            );
        }
        for node in found.lost {
            self.say(format_args!("ctl{controller} gives up {node}"));
            self.propose(controller, Command::Lose { node }, Reply::Nobody);
        }
    }

    /// Lets every node know that its leader is there.
    pub(super) fn beat(&mut self, controller: usize) {
        let Some(office) = &self.offices[controller] else { return };
        let attached: Vec<usize> = office.attached.keys().copied().collect();
        for node in attached {
            self.tell(controller, node, Said::Beat);
        }
        if self.offices[controller].as_ref().is_some_and(|o| o.swept + SWEEP_MS <= self.now) {
            self.give_orders(controller);
        }
    }
}

/// An order as it goes over the wire; none where the job that it needs is gone.
fn spoken(state: &State, order: Order, kill_wait: Span) -> Option<run::Order> {
    Some(match order {
        Order::Launch { job, .. } => {
            let content = Some(bytes::Bytes::from_static(b"#!/bin/sh\n"));
            let job = state.jobs.get(&job)?.clone();
            let led = job.het().into_iter().flat_map(|part| state.led(part));
            let components = led.map(|job| job.as_ref().clone()).collect();
            run::Order::Launch(Box::new(Launch {
                job,
                components,
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
    })
}

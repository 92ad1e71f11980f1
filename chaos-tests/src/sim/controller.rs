//! The controllers: their lives, their stores, and the state that follows the log.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use common::{
    config::{Config, Enforce, GresConf, NodeConf, PartitionConf},
    cpus::Grain,
    gres::GPU,
    id::{Attempt, ClusterId, Term, UserId},
    machine::{Command, Entry, Event, State, decide},
    time::{TimeLimit, Timestamp},
};
use proto::convert::encode_batch;
use raft_store::records::{self, Content, Record, Restored};

use super::{
    disk::{self, Disk, Write},
    gpus::GPUS,
    licenses,
    log::{Item, Log},
    preempting::{self, Making},
    raft::Lead,
    trace::brief,
    world::{Happening, World},
};

/// A controller that may be stopped, started, and left behind.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) alive: bool,
    pub(super) life: u64,
    /// Frozen, as by SIGSTOP, until this moment.
    pub(super) paused: Option<u64>,
    /// Its clock is off by as many milliseconds.
    pub(super) skew: i64,
    /// Its number in Raft. A store that is given up takes its number along.
    pub(super) raft_id: u64,
    pub(super) disk: Disk,
    /// Its store can't be read: somebody must replace it.
    pub(super) broken: bool,
    /// Something in it was damaged, whether that was noticed or not.
    pub(super) rotten: bool,

    // Raft's.
    pub(super) term: u64,
    pub(super) log: Log,
    /// Up to which index its log is reported to be on the disk.
    pub(super) durable: u64,
    pub(super) commit: u64,
    /// Up to which index its log is known to be the leader's of its term.
    pub(super) agrees: u64,
    pub(super) lead: Option<Lead>,
    /// Whom it takes for the leader.
    pub(super) leader: Option<usize>,

    // The machine's.
    pub(super) state: State,
    /// The index of the last entry that is in the state.
    pub(super) applied: u64,
}

impl Controller {
    pub(super) fn new(raft_id: u64) -> Self {
        Self {
            alive: false,
            life: 0,
            paused: None,
            skew: 0,
            raft_id,
            disk: Disk::default(),
            broken: false,
            rotten: false,
            term: 0,
            log: Log::default(),
            durable: 0,
            commit: 0,
            agrees: 0,
            lead: None,
            leader: None,
            state: State::default(),
            applied: 0,
        }
    }

    pub(super) fn runs(&self) -> bool {
        self.alive && self.paused.is_none()
    }

    /// Reads its store, as the real one is opened.
    fn open(&mut self) -> Result<(), String> {
        let disk::Content { vote, log, purged, snapshot } = self.disk.open();
        self.term = match vote {
            Some(vote) => records::decode_vote(&vote)?.0,
            None => 0,
        };
        let restored = snapshot.map(|bytes| records::decode_snapshot(&bytes)).transpose()?;
        let (last, members, state) = match restored {
            Some(Restored { last, members, state }) => (last, members, state),
            None => ((0, 0), vec![], State::default()),
        };
        if purged.0 > last.1 {
            return Err("the snapshot that the log goes on from is missing".to_owned());
        }
        state.check();
        (self.state, self.applied, self.commit) = (state, last.1, last.1);
        // Entries that the snapshot covers may be there still.
        let first = log.keys().next().map_or(last.1 + 1, |first| *first);
        self.log = if first <= last.1 {
            Log::after(purged.0, purged.1, members.clone())
        } else {
            Log::after(last.1, last.0, members.clone())
        };
        for (index, bytes) in (first..).zip(log.values()) {
            if let Some(record) = records::decode(index, bytes)? {
                self.log.push(Item::read(record, bytes.clone()));
            }
        }
        if self.log.last() < last.1 {
            self.log = Log::after(last.1, last.0, members);
        }
        self.durable = self.log.last();
        Ok(())
    }
}

pub(super) fn node_name(node: usize) -> String {
    format!("n{}", node + 1)
}

/// Nodes are given up after ten seconds, and ended jobs are forgotten soon.
fn config(nodes: usize, making: Making) -> Config {
    let mut config = Config::defaults("sim");
    config.slurmd_timeout = 10;
    config.min_job_age = 15;
    config.kill_wait = 5;
    config.return_to_service = 1;
    config.select_memory = false;
    config.grain = Grain::Core;
    config.enforce = Enforce { associations: true, limits: true, qos: true };
    let names: Vec<String> = (0..nodes).map(node_name).collect();
    config.gres_types = vec![GPU.to_owned()];
    config.licenses = licenses::confs();
    let gpus =
        GresConf { name: GPU.to_owned(), kind: None, count: GPUS, files: vec![], cores: None };
    let node = |(at, name): (usize, &String)| NodeConf {
        cpus: 4,
        cores_per_socket: 2,
        threads_per_core: 2,
        gres: vec![gpus.clone()],
        features: vec![["odd", "even"][at % 2].to_owned(), "any".to_owned()],
        ..NodeConf::defaults(name)
    };
    config.nodes = names.iter().enumerate().map(node).collect();
    config.partitions = vec![PartitionConf {
        nodes_text: names.join(","),
        nodes: names,
        default: true,
        max_time: TimeLimit::Minutes(2),
        ..PartitionConf::defaults("debug")
    }];
    preempting::configure(&mut config, making);
    config
}

impl World {
    /// The log's first entries, which every store has that the cluster begins with.
    pub(super) fn form(&mut self) {
        let form = Command::Form {
            cluster: ClusterId([7; 16]),
            operator: UserId(500),
            config: Arc::new(config(self.options.nodes, self.options.making)),
        };
        let at = self.clock(0);
        let mut decided = decide(&self.truth, at, form).expect("a first forming");
        let accounts = preempting::accounts(self.options.making);
        decided.events.push(Event::AccountsLoaded { accounts: Arc::new(accounts) });
        let entry = Entry {
            at,
            term: Term(0),
            sequence: 1,
            digest: self.truth.digest,
            request: None,
            events: decided.events,
        };
        let members = self.controllers.iter().map(|one| one.raft_id).collect();
        let contents =
            [Content::Members(members), Content::Batch(encode_batch(std::slice::from_ref(&entry)))];
        let items: Vec<Rc<Item>> = (1..)
            .zip(contents)
            .map(|(index, content)| Item::new(Record { term: 0, index, content }))
            .collect();
        for one in &mut self.controllers {
            let entries = items.iter().map(|item| (item.record.index, item.bytes.clone()));
            one.disk.write(0, Write::Entries(entries.collect()));
            one.disk.open();
        }
        for item in items {
            self.chain(&item);
        }
    }

    pub(super) fn start_controller(&mut self, controller: usize) {
        let this = &mut self.controllers[controller];
        if this.alive || this.broken {
            return;
        }
        this.life += 1;
        this.agrees = 0;
        this.paused = None;
        this.lead = None;
        this.leader = None;
        if let Err(reason) = this.open() {
            // What can't be read is not passed over. Somebody replaces this controller.
            this.broken = true;
            self.say(format_args!("ctl{controller} does not start: {reason}"));
            let noticed = 2_000 + self.random.below(15_000);
            self.soon(noticed, Happening::Replace { controller });
            return;
        }
        let (life, applied, last) = (this.life, this.applied, this.log.last());
        this.alive = true;
        // Raft may give again what the snapshot has: the machine passes over it.
        let again = self.random.below(4);
        let this = &mut self.controllers[controller];
        if applied > 0 {
            this.applied = this.log.base.max(applied.saturating_sub(again));
        }
        self.say(format_args!("ctl{controller} starts from entry {applied} of {last}"));
        self.soon(1, Happening::Apply { controller, life });
        self.soon(250, Happening::ControllerTick { controller, life });
    }

    /// Ends the process. What it had written stays, synced or not, unless the power fails.
    pub(super) fn kill_controller(&mut self, controller: usize) {
        let this = &mut self.controllers[controller];
        if !this.alive {
            return;
        }
        this.alive = false;
        this.life += 1;
        this.lead = None;
        self.offices[controller] = None;
        self.say(format_args!("ctl{controller} dies"));
    }

    /// The host goes down with all that was not synced.
    pub(super) fn cut_power(&mut self, controller: usize) {
        self.kill_controller(controller);
        let lost = self.controllers[controller].disk.cut_power(&mut self.random);
        self.say(format_args!("ctl{controller} has no power; {lost} writes are lost"));
    }

    /// A store that can't be written ends its controller; its service manager starts it again.
    pub(super) fn fail_controller(&mut self, controller: usize, reason: &str) {
        self.say(format_args!("ctl{controller} stops: {reason}"));
        self.kill_controller(controller);
        let pause = 500 + self.random.below(4_000);
        self.soon(pause, Happening::Restart { controller });
    }

    /// Follows some of the committed entries that this controller does not have yet.
    pub(super) fn apply(&mut self, controller: usize, life: u64) {
        if !self.lives(controller, life) {
            return;
        }
        let behind = self.follows(controller).saturating_sub(self.controllers[controller].applied);
        if behind > 0 {
            let some = 1 + self.random.below(behind.min(16));
            for _ in 0..some {
                self.follow(controller);
            }
            if some < behind {
                let delay = self.delay();
                self.soon(delay, Happening::Apply { controller, life });
            }
            if self.random.chance(30) {
                self.take_snapshot(controller);
            }
        }
        self.may_lead(controller);
        self.led(controller);
    }

    /// How far a controller may follow: what it knows to be committed and has.
    pub(super) fn follows(&self, controller: usize) -> u64 {
        let this = &self.controllers[controller];
        this.commit.min(this.log.last())
    }

    /// Follows one entry, as every replica does.
    fn follow(&mut self, controller: usize) {
        let clock = self.controller_clock(controller);
        let this = &mut self.controllers[controller];
        let index = this.applied + 1;
        let item = Rc::clone(this.log.get(index).expect("what is followed is in the log"));
        let committed = self.committed(index);
        assert!(
            committed.bytes == item.bytes,
            "ctl{controller} follows another entry {index} than was committed"
        );
        let facts = item.facts().as_ref().unwrap_or_else(|reason| panic!("{reason}"));
        let this = &mut self.controllers[controller];
        replica_clock(clock);
        for fact in facts {
            if this.state.precedes(fact) {
                this.state.apply(fact);
            }
        }
        this.applied = index;
    }

    fn take_snapshot(&mut self, controller: usize) {
        let now = self.now;
        let this = &mut self.controllers[controller];
        let Some(term) = this.log.term_at(this.applied) else { return };
        if this.applied <= this.log.base {
            return;
        }
        let members = this.log.members_at(this.applied);
        let snapshot = records::encode_snapshot((term, this.applied), &members, &this.state);
        let upto = this.applied;
        if self.write(controller, Write::Snapshot(snapshot)) {
            // What a snapshot covers leaves the log once the snapshot is on the disk.
            let keep = self.random.below(8);
            let life = self.controllers[controller].life;
            let done = self.controllers[controller].disk.busy_until.max(now);
            let purge = Happening::Purge { controller, life, upto: upto.saturating_sub(keep) };
            self.at(done + 1, purge);
        }
    }

    pub(super) fn purge(&mut self, controller: usize, life: u64, upto: u64) {
        if self.lives(controller, life) && upto > self.controllers[controller].log.base {
            let this = &mut self.controllers[controller];
            let Some(term) = this.log.term_at(upto) else { return };
            this.log.purge(upto);
            self.write(controller, Write::Purge(upto, term));
        }
    }

    /// Takes over the snapshot of a leader whose log begins behind the end of this one.
    pub(super) fn install(&mut self, controller: usize, bytes: &Bytes) -> bool {
        let Restored { last, members, state } =
            records::decode_snapshot(bytes).expect("the network delivers what was sent");
        let this = &mut self.controllers[controller];
        if last.1 <= this.commit {
            return false;
        }
        state.check();
        this.state = state;
        this.applied = last.1;
        this.commit = last.1;
        let mut other = false;
        if this.log.term_at(last.1) == Some(last.0) {
            // What follows it may count in a majority already (figure 13 of the paper).
            this.log.purge(last.1);
        } else {
            this.log = Log::after(last.1, last.0, members);
            // Until it is synced.
            this.durable = 0;
            other = true;
        }
        this.agrees = this.agrees.max(last.1);
        self.say(format_args!("ctl{controller} takes the snapshot of entry {}", last.1));
        // What is not the leader's goes first: it must not be found behind the snapshot.
        (!other || self.write(controller, Write::Truncate(last.1)))
            && self.write(controller, Write::Snapshot(bytes.clone()))
            && self.write(controller, Write::Purge(last.1, last.0))
    }

    pub(super) fn lives(&self, controller: usize, life: u64) -> bool {
        let this = &self.controllers[controller];
        this.alive && this.life == life
    }

    pub(super) fn controller_clock(&self, controller: usize) -> Timestamp {
        self.clock(self.controllers[controller].skew)
    }

    /// An entry is committed: the truth follows it, and everything that must hold is checked.
    pub(super) fn chain(&mut self, item: &Rc<Item>) {
        replica_clock(self.clock(0));
        let facts = item.facts().as_ref().unwrap_or_else(|reason| panic!("{reason}"));
        for fact in facts {
            if self.truth.precedes(fact) {
                let before = self.truth.clone();
                self.truth.apply(fact);
                self.witness.entry(fact, &before);
                for event in fact.events.iter().filter_map(brief) {
                    let index = item.record.index;
                    self.trace.line(self.now, format_args!("log {index}: {event}"));
                }
            } else {
                self.trace.line(self.now, format_args!("void: {}.{}", fact.term, fact.sequence));
            }
        }
        let events = facts.iter().flat_map(|fact| &fact.events);
        let again = events.filter_map(|event| {
            let Event::JobAllocated { job, attempt, .. } = event else { return None };
            (*attempt > Attempt::FIRST).then_some(*job)
        });
        for job in again.collect::<Vec<_>>() {
            self.let_out(job);
        }
        // It recomputes everything: the replicas' digests say the rest.
        if self.chain.len().is_multiple_of(16) {
            self.truth.check();
        }
        self.chain.push(Rc::clone(item));
    }

    /// The entry that was committed at `index`.
    pub(super) fn committed(&self, index: u64) -> &Rc<Item> {
        let place = usize::try_from(index - 1).expect("a log in memory");
        self.chain.get(place).unwrap_or_else(|| panic!("entry {index} was never committed"))
    }
}

/// For the bug of a replica that reads its own clock.
#[cfg(feature = "planted")]
pub(super) fn replica_clock(now: Timestamp) {
    super::planted::set_clock(now);
}

#[cfg(not(feature = "planted"))]
pub(super) const fn replica_clock(_: Timestamp) {}

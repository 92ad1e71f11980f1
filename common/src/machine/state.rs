//! What the cluster is, according to the log so far.

use std::{cmp::Reverse, sync::Arc};

use bytes::Bytes;
use imbl::{OrdMap, OrdSet};

use super::{
    arrays::{ArrayBook, Tasks},
    decide::fate,
    dependents::Dependents,
    event::{Answer, Entry, TokenRole},
    fingerprint::{fingerprint_job, fingerprint_node},
    refusal::Refused,
    reserved::Reservations,
    sharing::separates,
    tallies::{Tables, Tallies},
    usage::Usage,
};
use crate::{
    account::Accounts,
    config::{Config, NodeConf},
    cpus::CpuSet,
    gres::{self, Gres},
    id::{
        ClusterId, ContentHash, ControllerName, JobId, NodeName, PartitionName, RequestId, Term,
        UserId,
    },
    job::{End, Fate, Hold, Job, On, Phase},
    node::Node,
    planted::{Bug, planted},
    resources::Resources,
    time::{Span, Timestamp},
};

/// The live state. A clone costs a few pointers, so readers, the scheduler and snapshots take one
/// and never stop the writer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// When the last entry was decided.
    pub at: Timestamp,
    /// How much time has passed from entry to entry. Of each step only [`Self::STRIDE`] counts: a
    /// leader's clock may be far ahead of the last one's, and what is remembered for a while must
    /// not be forgotten for that.
    pub age: Span,
    /// Whose leader decided it.
    pub term: Term,
    /// How many entries of that leader were applied.
    pub sequence: u64,
    /// A sum over what moves in jobs and nodes: replicas at the same entry have the same.
    pub digest: u64,
    pub cluster: Option<ClusterId>,
    /// Users besides root who may do everything: who formed the cluster.
    pub operators: OrdSet<UserId>,
    pub format: u32,
    pub config: Option<Arc<Config>>,
    pub controllers: OrdMap<ControllerName, Controller>,
    pub tokens: OrdMap<ContentHash, Token>,
    /// None as long as the first authority of the cluster is the only one.
    pub authorities: Option<Arc<Authorities>>,
    /// None as long as none were loaded.
    pub accounts: Option<Arc<Accounts>>,
    pub nodes: OrdMap<NodeName, Arc<Node>>,
    pub jobs: OrdMap<JobId, Arc<Job>>,
    /// Arrays of which there are jobs.
    pub arrays: OrdMap<JobId, ArrayBook>,
    pub reservations: Reservations,
    pub next_job: u32,
    /// The next job's priority, before its niceness; 0 in a log without jobs.
    pub next_priority: u32,
    pub blobs: OrdMap<ContentHash, Blob>,
    pub requests: OrdMap<RequestId, Remembered>,
    /// What the runs that are over have used.
    pub usage: Usage,

    // Kept for speed, each a function of what is above; `check` recomputes them.
    /// Pending jobs that are not held and wait for no other job, by partition, the most urgent
    /// first.
    pub queues: OrdMap<PartitionName, OrdSet<QueueKey>>,
    /// Which jobs hold something of a node.
    pub holding: OrdMap<NodeName, OrdSet<JobId>>,
    /// Pending jobs for which others made way.
    pub preemptors: OrdSet<JobId>,
    /// When the next warning or time limit of each active job is due.
    pub alarms: OrdSet<(Timestamp, JobId)>,
    /// The last moment at which each job that waits and has a deadline can begin.
    pub deadlines: OrdSet<(Timestamp, JobId)>,
    /// Ended jobs by the moment of their end, but for components that are forgotten with their
    /// leaders.
    pub ended: OrdSet<(Timestamp, JobId)>,
    /// The jobs that are tasks of arrays.
    pub tasks: Tasks,
    /// Who waits for what of other jobs.
    pub dependents: Dependents,
    /// How many of each license are in use; those that are not, are not in it.
    pub licenses: OrdMap<String, u32>,
    /// How many jobs that wait or run ask that nobody else's be on their nodes.
    pub separate: u32,
    /// What the jobs of each association and QOS have.
    pub tallies: Tallies,
    /// Where each node stands in the configuration's list.
    pub positions: OrdMap<NodeName, u32>,
    /// At which age each remembered request is forgotten.
    pub forgetting: OrdSet<(Span, RequestId)>,
}

/// Where a job stands in its partition's queue: higher priority first, then the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueKey {
    pub priority: Reverse<u32>,
    pub submitted: Timestamp,
    pub job: JobId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its number in Raft's membership. Never given to another store.
    pub raft_id: u64,
    /// `host:port` where the other controllers, nodes and commands reach it.
    pub address: String,
}

/// Whose signatures count. Each is an authority's certificate (DER).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// The one that signs.
    pub signing: Bytes,
    /// One that is to take its place, once everybody knows it.
    pub coming: Option<Bytes>,
    /// One whose place was taken, until nobody has a certificate of it any more.
    pub going: Option<Bytes>,
    /// Since when it is so.
    pub since: Timestamp,
}

impl Authorities {
    /// The next step, where there is one: who is to come signs, and then who goes is gone.
    #[must_use]
    pub fn next(&self) -> Option<(Bytes, Option<Bytes>)> {
        match (&self.coming, &self.going) {
            (Some(coming), _) => Some((coming.clone(), Some(self.signing.clone()))),
            (None, Some(_)) => Some((self.signing.clone(), None)),
            (None, None) => None,
        }
    }
}

/// A one-time token that is still good. Only the hash of its secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub role: TokenRole,
    pub name: String,
    pub expires: Timestamp,
}

/// A script or environment, whose bytes are kept beside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Bytes.
    pub size: u64,
    /// How many uses live jobs make of it.
    pub uses: u32,
}

/// What a request was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub answer: Result<Answer, Arc<Refused>>,
    /// At which age of the state.
    pub forget_at: Span,
}

impl QueueKey {
    /// The place of `job`, if it stands in a queue at all.
    #[must_use]
    pub fn of(job: &Job) -> Option<Self> {
        let released = job.hold == Hold::None && job.priority > 0;
        // A component that is led waits as its leader does, and stands nowhere by itself.
        let waits = job.is_pending() && released && job.is_independent() && !job.is_led();
        let priority = Reverse(job.priority);
        waits.then_some(Self { priority, submitted: job.submitted, job: job.id })
    }
}

/// The end of a job that is over, and is forgotten for itself.
fn forgotten_after(job: &Job) -> Option<&End> {
    match &job.phase {
        Phase::Ended { end, .. } if !job.is_led() => Some(end),
        Phase::Ended { .. } | Phase::Pending | Phase::Active(_) | Phase::Completing { .. } => None,
    }
}

impl State {
    /// As much of the time between two entries as is believed.
    pub const STRIDE: Span = Span::from_seconds(10);

    /// How old it is after an entry of that moment.
    #[must_use]
    pub fn age_at(&self, at: Timestamp) -> Span {
        self.age + at.since(self.at).min(Self::STRIDE)
    }

    #[must_use]
    pub fn job(&self, job: JobId) -> Option<&Arc<Job>> {
        self.jobs.get(&job)
    }

    /// Whether `user` may act for others: root, the operator, or `SlurmUser`.
    #[must_use]
    pub fn is_operator(&self, user: UserId) -> bool {
        user == UserId::ROOT || self.operators.contains(&user)
    }

    /// Whether `entry` was decided on top of exactly this state. One that was not (its leader lost
    /// an append, or leadership, on the way) is void: every replica passes over it alike.
    #[must_use]
    pub fn precedes(&self, entry: &Entry) -> bool {
        let next = if entry.term == self.term { self.sequence + 1 } else { 1 };
        let follows = entry.sequence == next || planted(Bug::DoubleApply);
        entry.term >= self.term && follows
    }

    /// Panics where the state contradicts itself.
    ///
    /// Recomputes from the records what `apply` keeps up to date step by step, so the two are
    /// checked against each other. Tests and the simulator call it after every entry; a controller
    /// calls it after loading a snapshot.
    pub fn check(&self) {
        let mut fresh = Self { digest: 0, ..self.clone() };
        fresh.rebuild();
        assert_eq!(fresh.digest, self.digest, "the digest follows from the records");
        assert_eq!(fresh.queues, self.queues, "the queues follow from the jobs");
        assert_eq!(fresh.holding, self.holding, "who holds what follows from the jobs");
        assert_eq!(fresh.alarms, self.alarms, "the alarms follow from the jobs");
        assert_eq!(fresh.deadlines, self.deadlines, "the deadlines follow from the jobs");
        assert_eq!(fresh.preemptors, self.preemptors, "the preemptors follow from the jobs");
        assert_eq!(fresh.ended, self.ended, "the ended jobs follow from the jobs");
        assert_eq!(fresh.tasks, self.tasks, "the tasks follow from the jobs");
        assert_eq!(fresh.dependents, self.dependents, "who waits for whom follows from the jobs");
        assert_eq!(fresh.licenses, self.licenses, "the licenses in use follow from the jobs");
        assert_eq!(fresh.reservations, self.reservations, "who uses them follows from the jobs");
        assert_eq!(fresh.separate, self.separate, "who shares with nobody follows from the jobs");
        assert_eq!(fresh.tallies, self.tallies, "what they have follows from the jobs");
        assert_eq!(fresh.positions, self.positions, "where nodes stand follows from the config");
        assert_eq!(fresh.forgetting, self.forgetting, "what is forgotten follows from requests");
        self.check_books();
        self.check_jobs();
        self.check_arrays();
        self.check_dependencies();
        self.check_het();
    }

    fn check_books(&self) {
        let mut used: OrdMap<NodeName, (Resources, u32, Vec<Gres>, CpuSet)> = OrdMap::new();
        let mut uses: OrdMap<ContentHash, u32> = OrdMap::new();
        for job in self.jobs.values() {
            for hash in [job.spec.script, job.spec.environment] {
                *uses.entry(hash).or_default() += 1;
            }
            for place in job.holding().iter().flat_map(|run| &run.places) {
                let (sum, jobs, gres, cpus) = used.entry(place.node.clone()).or_default();
                *sum = sum.plus(place.held);
                *jobs += 1;
                gres::take(gres, &place.gres);
                let (ids, node) = (&place.cpus, &place.node);
                assert!(cpus.is_disjoint(ids), "CPUs {ids} of {node} are held twice");
                let all = ids.is_empty() || ids.len() == place.held.cpus;
                assert!(all, "job {} holds other CPUs of {node} than it counts", job.id);
                cpus.add(ids);
            }
        }
        for (name, node) in &self.nodes {
            let (sum, jobs, gres, cpus) = used.remove(name).unwrap_or_default();
            assert_eq!((node.used, node.jobs), (sum, jobs), "the books of node {name}");
            assert_eq!(node.gres_used, gres, "the generic resources of node {name}");
            assert_eq!(node.cpus_used, cpus, "the CPUs of node {name}");
        }
        assert!(used.is_empty(), "jobs hold nodes that are not there: {used:?}");
        let counted: OrdMap<_, _> = self.blobs.iter().map(|(hash, b)| (*hash, b.uses)).collect();
        assert_eq!(counted, uses, "each blob is counted as often as jobs use it");
    }

    fn check_jobs(&self) {
        for (id, job) in &self.jobs {
            assert_eq!(*id, job.id);
            assert!(id.0 < self.next_job, "job {id} is younger than the next one");
            assert!(job.attempt.0 > job.restarts, "each restart made an attempt");
            if let Some(run) = job.run() {
                assert!(!run.places.is_empty(), "job {id} runs nowhere");
            }
            if let Phase::Ended { .. } = job.phase {
                assert!(job.signals.is_empty(), "job {id} is over and waits for signals");
            }
            assert!(!job.preemptor || job.is_pending(), "job {id} needs no room any more");
        }
    }

    /// What a job waits for can still happen, and would be noticed.
    fn check_dependencies(&self) {
        for job in self.jobs.values().filter(|job| job.is_pending()) {
            let Some(dependency) = &job.dependency else { continue };
            assert!(!dependency.conditions.is_empty(), "job {} waits for nothing", job.id);
            for condition in dependency.conditions.iter().filter(|one| one.fate == Fate::Open) {
                if let On::Job { .. } = condition.on {
                    let fate = fate(self, job, condition.on);
                    assert_eq!(fate, Fate::Open, "{} of job {}", condition.on, job.id);
                }
            }
            if let Some(met) = dependency.singleton() {
                let alone = self.dependents.may_be_alone(job.spec.user, &job.spec.name);
                assert_eq!(
                    met,
                    alone == Some(job.array_id().unwrap_or(job.id)),
                    "whether job {} is alone",
                    job.id
                );
            }
        }
    }

    /// Fills what is kept for speed, after a snapshot's records were loaded.
    pub fn rebuild(&mut self) {
        self.digest = 0;
        self.queues.clear();
        self.holding.clear();
        self.alarms.clear();
        self.deadlines.clear();
        self.preemptors.clear();
        self.ended.clear();
        self.dependents = Dependents::default();
        self.licenses.clear();
        self.separate = 0;
        self.tallies = Tallies::default();
        self.rebuild_reservations();
        self.tasks = Tasks::default();
        for (array, book) in std::mem::take(&mut self.arrays) {
            self.open_array(array, book);
        }
        for job in std::mem::take(&mut self.jobs).values() {
            self.put_job(Arc::clone(job));
        }
        for node in std::mem::take(&mut self.nodes).values() {
            self.put_node(Arc::clone(node));
        }
        self.find_positions();
        self.forgetting = self.requests.iter().map(|(id, r)| (r.forget_at, *id)).collect();
    }

    pub(super) fn find_positions(&mut self) {
        let nodes = self.config.iter().flat_map(|config| &config.nodes);
        let position = |(at, conf): (u32, &NodeConf)| (NodeName::from(conf.name.as_str()), at);
        self.positions = (0..).zip(nodes).map(position).collect();
    }

    /// What the configuration says of a node.
    #[must_use]
    pub fn node_conf(&self, node: &NodeName) -> Option<&NodeConf> {
        let at = *self.positions.get(node)?;
        self.config.as_ref()?.nodes.get(at as usize)
    }

    /// Puts a job's record, in place of an earlier one, and keeps what is derived from it.
    pub(super) fn put_job(&mut self, job: Arc<Job>) {
        let old = self.jobs.insert(job.id, Arc::clone(&job));
        if let Some(old) = &old {
            self.unindex_job(old);
        }
        if let Some(tables) = Tables::of(self.accounts.as_deref(), self.config.as_deref()) {
            self.tallies.follow(tables, old.as_deref(), Some(&job));
        }
        self.digest = self.digest.wrapping_add(fingerprint_job(&job));
        self.take_licenses(&job);
        self.separate += u32::from(separates(&job));
        self.dependents.insert(&job);
        self.tasks.insert(&job);
        self.reservations.insert(&job);
        if let Some(key) = QueueKey::of(&job) {
            for partition in job.partition.each() {
                self.queues.entry(partition.into()).or_default().insert(key);
            }
        }
        for place in job.holding().iter().flat_map(|run| &run.places) {
            self.holding.entry(place.node.clone()).or_default().insert(job.id);
        }
        if job.preemptor {
            self.preemptors.insert(job.id);
        }
        if let Some(alarm) = job.alarm() {
            self.alarms.insert((alarm, job.id));
        }
        if let Some(last) = job.waits_until() {
            self.deadlines.insert((last, job.id));
        }
        if let Some(end) = forgotten_after(&job) {
            self.ended.insert((end.at, job.id));
        }
    }

    pub(super) fn remove_job(&mut self, job: JobId) -> Arc<Job> {
        let old = self.jobs.remove(&job).expect("the log forgets jobs that are there");
        self.unindex_job(&old);
        if let Some(tables) = Tables::of(self.accounts.as_deref(), self.config.as_deref()) {
            self.tallies.follow(tables, Some(&old), None);
        }
        old
    }

    /// Takes over a table of accounts.
    pub(super) fn set_accounts(&mut self, accounts: &Arc<Accounts>) {
        self.accounts = Some(Arc::clone(accounts));
        self.count_anew();
    }

    /// Counts all jobs, after what says for whom they count was changed.
    pub(super) fn count_anew(&mut self) {
        let tables = Tables::of(self.accounts.as_deref(), self.config.as_deref());
        let jobs = self.jobs.values().map(AsRef::as_ref);
        self.tallies = tables.map_or_else(Tallies::default, |tables| Tallies::of(tables, jobs));
    }

    fn leave_queue(&mut self, partition: &PartitionName, key: &QueueKey) {
        let Some(queue) = self.queues.get_mut(partition) else { return };
        queue.remove(key);
        if queue.is_empty() {
            self.queues.remove(partition);
        }
    }

    fn unindex_job(&mut self, old: &Job) {
        self.digest = self.digest.wrapping_sub(fingerprint_job(old));
        self.give_back_licenses(old);
        let separates = u32::from(separates(old));
        self.separate = self.separate.checked_sub(separates).expect("the job was counted");
        self.dependents.remove(old);
        self.tasks.remove(old);
        self.reservations.remove(old);
        if let Some(key) = QueueKey::of(old) {
            for partition in old.partition.each().map(PartitionName::from) {
                self.leave_queue(&partition, &key);
            }
        }
        for place in old.holding().iter().flat_map(|run| &run.places) {
            if let Some(jobs) = self.holding.get_mut(&place.node) {
                jobs.remove(&old.id);
                if jobs.is_empty() {
                    self.holding.remove(&place.node);
                }
            }
        }
        if old.preemptor {
            self.preemptors.remove(&old.id);
        }
        if let Some(alarm) = old.alarm() {
            self.alarms.remove(&(alarm, old.id));
        }
        if let Some(last) = old.waits_until() {
            self.deadlines.remove(&(last, old.id));
        }
        if let Some(end) = forgotten_after(old) {
            self.ended.remove(&(end.at, old.id));
        }
    }

    pub(super) fn put_node(&mut self, node: Arc<Node>) {
        self.digest = self.digest.wrapping_add(fingerprint_node(&node));
        if let Some(old) = self.nodes.insert(node.name.clone(), node) {
            self.digest = self.digest.wrapping_sub(fingerprint_node(&old));
        }
    }

    pub(super) fn remove_node(&mut self, name: &NodeName) {
        if let Some(old) = self.nodes.remove(name) {
            self.digest = self.digest.wrapping_sub(fingerprint_node(&old));
        }
    }
}

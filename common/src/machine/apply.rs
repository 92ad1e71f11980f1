//! How the state follows the log.

mod array;
mod job;
mod node;

use std::sync::Arc;

use super::{
    Authorities, Blob, Controller, Entry, Event, QueueKey, Remembered, State, Token,
    event::Answered,
};
use crate::{
    id::{ContentHash, JobId, Term},
    job::Job,
    planted::clock_in_apply,
    time::Timestamp,
};

impl State {
    /// Follows one entry of the log.
    ///
    /// Cannot fail: by the time an entry is here, a quorum holds it. A replica that cannot follow
    /// the log has a bug or a bad disk, and stops. The leader applies an entry to its own head
    /// before proposing it, so an entry that would stop a replica stops the leader first, and
    /// never reaches the log.
    pub fn apply(&mut self, entry: &Entry) {
        assert!(entry.at >= self.at, "time runs backwards in the log");
        assert!(self.precedes(entry), "a void entry reached the state");
        assert_eq!(entry.digest, self.digest, "this replica has diverged from its leader");
        self.age = self.age_at(entry.at);
        self.at = entry.at;
        self.term = entry.term;
        self.sequence = entry.sequence;
        self.forget_requests();
        if let Some(answered) = &entry.request {
            self.remember(answered);
        }
        let at = clock_in_apply(entry.at);
        for event in &entry.events {
            self.apply_event(at, entry.term, event);
        }
        self.watch_idle(at);
    }

    pub(super) fn apply_event(&mut self, at: Timestamp, term: Term, event: &Event) {
        match event {
            Event::ClusterFormed { cluster, operator } => {
                assert!(self.cluster.is_none(), "a cluster is formed once");
                self.cluster = Some(*cluster);
                self.operators.insert(*operator);
            }
            Event::ConfigSet { config } => self.set_config(at, config),
            Event::FormatRaised { format } => {
                assert!(*format > self.format, "the format only rises");
                self.format = *format;
            }
            Event::ControllerJoined { controller, raft_id, address } => {
                let joined = Controller { raft_id: *raft_id, address: address.clone() };
                self.controllers.insert(controller.clone(), joined);
            }
            Event::ControllerLeft { controller } => {
                self.controllers.remove(controller);
            }
            Event::ClusterRestored { cluster, next_job, attempts, .. } => {
                if self.cluster != Some(*cluster) {
                    // It has an authority of its own.
                    self.authorities = None;
                }
                self.cluster = Some(*cluster);
                self.next_job = self.next_job.max(*next_job);
                self.raise_attempts(*attempts);
            }
            Event::AuthoritiesSet { signing, coming, going } => {
                self.authorities = Some(Arc::new(Authorities {
                    signing: signing.clone(),
                    coming: coming.clone(),
                    going: going.clone(),
                    since: at,
                }));
            }
            Event::AccountsLoaded { accounts } => self.set_accounts(accounts),
            Event::ReservationCreated { reservation, .. } => self.put_reservation(reservation),
            Event::ReservationUpdated { reservation, .. } => self.alter_reservation(reservation),
            Event::ReservationDeleted { name, .. } => self.remove_reservation(name),
            #[cfg(feature = "next-event")]
            Event::Noted { .. } => {}
            Event::TokenIssued { secret, role, name, expires } => {
                let token = Token { role: *role, name: name.clone(), expires: *expires };
                self.tokens.insert(*secret, token);
            }
            Event::TokenSpent { secret } => {
                self.tokens.remove(secret);
            }
            Event::NodeRegistered { node, address, inventory } => {
                self.register_node(node, address, inventory);
            }
            Event::NodeChanged { node, change } => self.change_node(at, node, change),
            Event::BlobStored { hash, content } => self.store_blob(*hash, content.len() as u64),
            Event::JobSubmitted { .. }
            | Event::JobHeld { .. }
            | Event::JobReleased { .. }
            | Event::JobUpdated { .. }
            | Event::JobAllocated { .. }
            | Event::JobLaunching { .. }
            | Event::JobRunning { .. }
            | Event::JobSignalled { .. }
            | Event::SignalDelivered { .. }
            | Event::JobCompleting { .. }
            | Event::JobPreempted { .. }
            | Event::JobEnded { .. }
            | Event::JobRequeued { .. }
            | Event::TaskSplit { .. }
            | Event::TasksCancelled { .. }
            | Event::ConditionSettled { .. }
            | Event::JobForgotten { .. } => self.apply_job_event(at, term, event),
        }
    }

    /// Drops the requests whose time is over. The moment came with each, so that replicas of
    /// different releases forget alike.
    fn forget_requests(&mut self) {
        while let Some((forget_at, request)) = self.forgetting.get_min().copied() {
            if forget_at > self.age {
                break;
            }
            self.forgetting.remove(&(forget_at, request));
            self.requests.remove(&request);
        }
    }

    fn remember(&mut self, answered: &Answered) {
        let Answered { request, answer, forget_at } = answered.clone();
        let known = self.requests.insert(request, Remembered { answer, forget_at });
        assert!(known.is_none(), "request {request} is answered once");
        self.forgetting.insert((forget_at, request));
    }

    fn store_blob(&mut self, hash: ContentHash, size: u64) {
        let known = self.blobs.insert(hash, Blob { size, uses: 0 });
        assert!(known.is_none(), "blob {hash} is stored once");
    }

    fn use_blob(&mut self, hash: ContentHash) {
        let blob = self.blobs.get_mut(&hash).expect("a job's blobs are stored before it");
        blob.uses += 1;
    }

    fn drop_blob(&mut self, hash: ContentHash) {
        let blob = self.blobs.get_mut(&hash).expect("a live job's blobs are there");
        blob.uses = blob.uses.checked_sub(1).expect("each use was counted");
        if blob.uses == 0 {
            self.blobs.remove(&hash);
        }
    }

    /// Changes one job's record.
    pub(super) fn with_job(&mut self, job: JobId, change: impl FnOnce(&mut Job)) {
        let mut record = self
            .jobs
            .get(&job)
            .cloned()
            .unwrap_or_else(|| panic!("the log names job {job} before it exists"));
        let stood = QueueKey::of(&record).is_some();
        let job = Arc::make_mut(&mut record);
        change(job);
        if !stood && QueueKey::of(job).is_some() {
            job.rank.since = Some(self.at);
        }
        self.put_job(record);
    }
}

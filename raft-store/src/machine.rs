//! The state that follows the log, on every controller alike.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use common::{
    job::Job,
    machine::{Entry as Fact, Event, State},
    planted::{Bug, planted},
};
use futures::{Stream, TryStreamExt as _};
use openraft::{
    OptionalSend, RaftSnapshotBuilder,
    storage::{ApplyResponder, EntryResponder, RaftStateMachine},
};
use proto::types;
use tokio::sync::watch;

use crate::{
    Applied, History,
    error::chain,
    health::Health,
    history::Feed,
    records,
    snapshot::{SnapshotFile, Snapshots},
    types::{
        Batch, LogId, Payload, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, Verdict,
        log_id, term_of,
    },
};

/// How many batches are applied before the state is published.
const ROUND: usize = 64;

/// Where the state is published.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub(crate) applied: watch::Sender<Arc<Applied>>,
    /// The term of the last entry of the log that was applied.
    pub(crate) term: watch::Sender<u64>,
    /// Bytes of batches that were applied so far.
    pub(crate) bytes: AtomicU64,
}

/// What the machine needs to work with.
pub(crate) struct Parts {
    pub(crate) board: Arc<Board>,
    pub(crate) history: History,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) health: Health,
}

pub(crate) struct Machine {
    state: State,
    last: Option<LogId>,
    membership: StoredMembership,
    newest: Arc<Newest>,
    parts: Parts,
}

/// The newest snapshot.
#[derive(Debug, Default)]
struct Newest(Mutex<Option<(SnapshotMeta, SnapshotFile)>>);

impl Newest {
    fn get(&self) -> Option<(SnapshotMeta, SnapshotFile)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts it, unless there is a newer one. The other one of the two goes.
    fn put(&self, meta: SnapshotMeta, file: SnapshotFile, snapshots: &Arc<Snapshots>) {
        let file = SnapshotFile { state: None, ..file };
        let path = file.path.clone();
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = match newest.as_ref() {
            Some((held, _)) if held.last_log_id > meta.last_log_id => Some(file),
            Some(_) | None => newest.replace((meta, file)).map(|(_, old)| old),
        };
        let stays = newest.as_ref().map(|(_, file)| file.path.clone());
        drop(newest);
        let Some(old) = old.filter(|old| Some(&old.path) != stays.as_ref()) else { return };
        let snapshots = Arc::clone(snapshots);
        // Nobody waits for it: what is left of it goes at the next start.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = snapshots.retire(old) {
                tracing::warn!(%error, newer = %path.display(), "an old snapshot stays for now");
            }
        });
    }
}

/// One round of applying: what it did, and whom to tell.
#[derive(Default)]
struct Round {
    feed: Feed,
    told: Vec<(ApplyResponder<TypeConfig>, Verdict)>,
    batches: usize,
}

impl Machine {
    /// The machine as it was at `snapshot`, or empty.
    pub(crate) fn new(parts: Parts, snapshot: Option<(SnapshotMeta, SnapshotFile)>) -> Self {
        let mut machine = Self {
            state: State::default(),
            last: None,
            membership: StoredMembership::default(),
            newest: Arc::default(),
            parts,
        };
        if let Some((meta, file)) = snapshot {
            let state = file.state();
            machine.replace(&meta, state);
            if planted(Bug::DoubleApply) {
                let before = |last: LogId| log_id(term_of(&last), last.index.saturating_sub(1));
                machine.last = machine.last.map(before);
            }
            machine.newest.put(meta, file, &machine.parts.snapshots);
        }
        machine
    }

    fn replace(&mut self, meta: &SnapshotMeta, state: State) {
        let old = std::mem::replace(&mut self.state, state);
        // Freeing a million jobs takes a while.
        std::thread::spawn(move || drop(old));
        self.last = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.publish();
    }

    fn publish(&self) {
        let Some(last) = self.last else {
            return;
        };
        let applied = Applied { state: self.state.clone(), index: last.index };
        self.parts.board.applied.send_replace(Arc::new(applied));
        let term = term_of(&last);
        self.parts.board.term.send_if_modified(|known| std::mem::replace(known, term) != term);
    }

    /// Applies a batch, or says why this replica can't follow the log any further.
    fn follow(&mut self, index: u64, batch: Batch, feed: &mut Feed) -> Result<Verdict, String> {
        let facts = records::facts(index, &batch.0)?;
        let mut applied = Vec::with_capacity(facts.len());
        let mut void = Vec::new();
        for (place, fact) in facts.into_iter().enumerate() {
            if self.state.precedes(&fact) {
                self.apply_one(&fact, feed);
                applied.push(fact);
            } else {
                void.push(place);
            }
        }
        self.parts.history.feed_batch(feed, index, &batch.0, &void, &applied);
        Ok(if void.is_empty() { Verdict::Applied } else { Verdict::Void })
    }

    /// Applies a batch of a log that is read offline.
    pub(crate) fn follow_offline(&mut self, index: u64, batch: Batch) -> Result<(), String> {
        let mut feed = Feed::default();
        self.follow(index, batch, &mut feed)?;
        self.parts.history.write(feed).map_err(|error| chain(&error))
    }

    /// The state that was reached, and the history.
    pub(crate) fn into_parts(self) -> (State, History) {
        (self.state, self.parts.history)
    }

    fn apply_one(&mut self, fact: &Fact, feed: &mut Feed) {
        let history = &self.parts.history;
        let mut forgotten = Vec::new();
        for event in &fact.events {
            if let Event::BlobStored { hash, content } = event {
                history.feed_blob(feed, *hash, content);
            } else if let Event::JobForgotten { job } = event {
                forgotten.extend(self.state.job(*job).cloned());
            }
        }
        self.state.apply(fact);
        for event in &fact.events {
            if let Event::JobEnded { job, .. } = event
                && let Some(job) = self.state.job(*job)
            {
                history.feed_ended(feed, &types::Job::from(job.as_ref()));
            }
        }
        for job in forgotten {
            history.feed_ended(feed, &types::Job::from(job.as_ref()));
            self.forget_blobs(&job, feed);
        }
    }

    /// Removes the contents that nobody uses any more.
    fn forget_blobs(&self, job: &Job, feed: &mut Feed) {
        for hash in [job.spec.script, job.spec.environment] {
            if !self.state.blobs.contains_key(&hash) {
                self.parts.history.forget_blob(feed, hash);
            }
        }
    }

    /// Ends a round: the history has it, everybody can see it, and who waits is told.
    fn end_round(&mut self, round: &mut Round) -> io::Result<()> {
        let Round { feed, told, batches: _ } = std::mem::take(round);
        self.parts.history.write(feed).map_err(|error| self.fail(&chain(&error)))?;
        self.publish();
        for (responder, verdict) in told {
            responder.send(verdict);
        }
        Ok(())
    }

    fn fail(&self, reason: &str) -> io::Error {
        self.parts.health.fail(reason.to_owned());
        io::Error::other(reason.to_owned())
    }

    /// As [`Self::follow`]; a state that contradicts itself stops the log, not only this task.
    fn follow_or_fail(&mut self, index: u64, batch: Batch, feed: &mut Feed) -> io::Result<Verdict> {
        let followed = catch_unwind(AssertUnwindSafe(|| self.follow(index, batch, feed)));
        let followed = followed.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let text = text.unwrap_or("it panicked");
            Err(format!("the state can't follow entry {index} of the log: {text}"))
        });
        followed.map_err(|reason| self.fail(&reason))
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut round = Round::default();
        while let Some((entry, responder)) = entries.try_next().await? {
            let id = entry.log_id;
            let bytes = match &entry.payload {
                Payload::Normal(batch) => batch.0.len() as u64,
                Payload::Blank | Payload::Membership(_) => 0,
            };
            let verdict = match entry.payload {
                Payload::Blank => Verdict::Applied,
                Payload::Normal(batch) => self.follow_or_fail(id.index, batch, &mut round.feed)?,
                Payload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(id), membership);
                    Verdict::Applied
                }
            };
            self.last = Some(id);
            self.parts.board.bytes.fetch_add(bytes, Ordering::Relaxed);
            round.told.extend(responder.map(|responder| (responder, verdict)));
            round.batches += 1;
            if round.batches == ROUND {
                self.end_round(&mut round)?;
                tokio::task::yield_now().await;
            }
        }
        self.end_round(&mut round)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            state: self.state.clone(),
            meta: SnapshotMeta { last_log_id: self.last, last_membership: self.membership.clone() },
            newest: Arc::clone(&self.newest),
            history: self.parts.history.clone(),
            snapshots: Arc::clone(&self.parts.snapshots),
            health: self.parts.health.clone(),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        file: SnapshotFile,
    ) -> io::Result<()> {
        let last = meta.last_log_id.ok_or_else(|| self.fail("an empty snapshot came in"))?;
        let snapshots = Arc::clone(&self.parts.snapshots);
        let adopting = tokio::task::spawn_blocking(move || {
            let file = match file.state {
                Some(_) => file,
                None => snapshots.read(&file.path).map_err(io::Error::other)?.1,
            };
            Ok((file.state(), snapshots.adopt(&file.path, last)?))
        });
        let adopted = adopting.await.map_err(io::Error::other).flatten();
        let (state, adopted) = adopted.map_err(|error: io::Error| {
            self.fail(&format!("a snapshot that came in can't be kept: {}", chain(&error)))
        })?;
        self.replace(meta, state);
        self.newest.put(meta.clone(), adopted, &self.parts.snapshots);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let newest = self.newest.get();
        Ok(newest.map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

/// A frozen state, to be written.
pub(crate) struct Builder {
    state: State,
    meta: SnapshotMeta,
    newest: Arc<Newest>,
    history: History,
    snapshots: Arc<Snapshots>,
    health: Health,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let (meta, state) = (self.meta.clone(), self.state.clone());
        let (history, snapshots) = (self.history.clone(), Arc::clone(&self.snapshots));
        let writing = tokio::task::spawn_blocking(move || {
            history.flush().map_err(io::Error::other)?;
            snapshots.write(&meta, &state)
        });
        let written = writing.await.map_err(io::Error::other).flatten();
        let file = written.inspect_err(|error| {
            self.health.fail(format!("a snapshot can't be written: {}", chain(error)));
        })?;
        self.newest.put(self.meta.clone(), file.clone(), &self.snapshots);
        Ok(Snapshot { meta: self.meta.clone(), snapshot: file })
    }
}

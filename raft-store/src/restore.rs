//! A store that goes on from a copy of a log: from a backup, or from what one controller had.
//!
//! It is made offline and at once: a snapshot of the state behind one entry more, which says that
//! this happened, with its maker as the only member. Its terms begin far above all that were ever
//! heard of, so that nodes obey nobody who leads what was left behind.

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
};

use common::{
    id::Term,
    machine::{Entry, Event, FORMAT, State},
    time::Timestamp,
};
use proto::{convert::encode_batch, types};

use crate::{
    Copied, History, Identity, StoreError,
    backup::{self, BackupError},
    disk::Disk,
    health::Health,
    history::Feed,
    machine::{Board, Machine, Parts},
    open,
    records::too_new,
    snapshot::Snapshots,
    types::{LogId, Payload, Peer, SnapshotMeta, StoredMembership, log_id, membership, term_of},
};

/// Terms begin at the next multiple of this.
const TERMS: u64 = 1_000_000;

/// Why there is no store that goes on from a copy.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log can't be followed: {0}")]
    Log(String),
}

/// Makes a store in `folder` from a backup. `events` says with what the log goes on.
///
/// # Errors
/// Where the file is damaged, there is a store already, or the disk fails.
pub fn restore_backup(
    file: &Path,
    folder: &Path,
    identity: &Identity,
    events: impl FnOnce(&Copied) -> (Timestamp, Vec<Event>),
) -> Result<Copied, RestoreError> {
    let history = begin(folder)?;
    let copied = backup::read(file, &history)?;
    copied.state.check();
    finish(folder, identity, &history, copied, events)
}

/// Reads what a controller's store holds, to the last entry, whether the others had it or not.
/// Nothing in the store changes; `scratch` gets a copy of its history.
fn read(
    folder: &Path,
    scratch: &Path,
    owner: &Identity,
) -> Result<(Copied, History), RestoreError> {
    let health = Health::new();
    let (disk, held) = Disk::open(&folder.join(open::LOG), owner, health.clone())?;
    History::open(&folder.join(open::HISTORY))?.copy(&scratch.join(open::HISTORY))?;
    let history = History::open(&scratch.join(open::HISTORY))?;
    let snapshots = Arc::new(Snapshots::open(&folder.join(open::SNAPSHOTS))?);
    let snapshot = snapshots.load()?;
    let covered = snapshot.as_ref().and_then(|(meta, _)| meta.last_log_id);
    open::connected(folder, &held, covered)?;
    let last = disk.tail.last().max(covered);
    let parts = Parts { board: Arc::<Board>::default(), history, snapshots, health };
    let mut machine = Machine::new(parts, snapshot);
    let (first, end) = (covered.map_or(0, |id| id.index + 1), last.map_or(0, |id| id.index + 1));
    let mut at = first;
    while at < end {
        let entries = disk.read(at, end, 1 << 20);
        let entries = entries.map_err(|source| StoreError::disk(folder, source))?;
        at += entries.len() as u64;
        if entries.is_empty() {
            return Err(RestoreError::Log(format!("entry {at} is missing")));
        }
        for entry in entries {
            if let Payload::Normal(batch) = entry.payload {
                machine.follow_offline(entry.log_id.index, batch).map_err(RestoreError::Log)?;
            }
        }
    }
    let (state, history) = machine.into_parts();
    state.check();
    let term = last.map_or(0, |id| term_of(&id)).max(held.vote.map_or(0, |v| v.leader_id.term));
    let lost = history.lacking(&state)?;
    let index = last.map_or(0, |id| id.index);
    Ok((Copied { cluster: owner.cluster, index, term, state, lost }, history))
}

/// What the store in `folder` holds, for somebody who asks before it goes on.
///
/// # Errors
/// Where the store can't be read, or the log not be followed.
pub fn look(folder: &Path, scratch: &Path, owner: &Identity) -> Result<Copied, RestoreError> {
    fs::create_dir_all(scratch).map_err(|source| StoreError::disk(scratch, source))?;
    let (copied, _) = read(folder, scratch, owner)?;
    fs::remove_dir_all(scratch).map_err(|source| StoreError::disk(scratch, source))?;
    Ok(copied)
}

/// Makes a store in `folder` that goes on from what `owner`'s store in `from` holds, which stays as
/// it is. `events` says with what.
///
/// # Errors
/// Where the old store can't be read, there is one in `folder` already, or the disk fails.
pub fn recover(
    from: &Path,
    owner: &Identity,
    folder: &Path,
    identity: &Identity,
    events: impl FnOnce(&Copied) -> (Timestamp, Vec<Event>),
) -> Result<Copied, RestoreError> {
    fs::create_dir_all(folder).map_err(|source| StoreError::disk(folder, source))?;
    let (copied, history) = read(from, folder, owner)?;
    finish(folder, identity, &history, copied, events)
}

fn begin(folder: &Path) -> Result<History, StoreError> {
    if folder.join(open::LOG).exists() {
        return Err(StoreError::Exists { folder: folder.to_owned() });
    }
    fs::create_dir_all(folder).map_err(|source| StoreError::disk(folder, source))?;
    let history = folder.join(open::HISTORY);
    History::create(&history)?;
    History::open(&history)
}

fn finish(
    folder: &Path,
    identity: &Identity,
    history: &History,
    copied: Copied,
    events: impl FnOnce(&Copied) -> (Timestamp, Vec<Event>),
) -> Result<Copied, RestoreError> {
    if copied.state.format > FORMAT {
        return Err(RestoreError::Log(too_new(copied.state.format)));
    }
    let (now, events) = events(&copied);
    let term = (copied.term.max(copied.state.term.0) / TERMS + 1) * TERMS;
    let index = copied.index + 1;
    let mut state = copied.state.clone();
    let entry = Entry {
        at: now.max(state.at),
        term: Term(term),
        sequence: 1,
        digest: state.digest,
        request: None,
        events,
    };
    state.apply(&entry);
    state.check();
    tell(history, index, &entry, &state)?;
    let id = log_id(term, index);
    let peer = Peer { name: identity.name.clone(), address: identity.address.clone() };
    let alone = membership(vec![vec![identity.raft_id]], [(identity.raft_id, peer)].into());
    let alone = alone.map_err(RestoreError::Log)?;
    let meta = SnapshotMeta {
        last_log_id: Some(id),
        last_membership: StoredMembership::new(Some(id), alone),
    };
    make(folder, identity, &meta, &state, id)?;
    Ok(Copied { state, index, term, ..copied })
}

/// The history has the entry, too.
fn tell(history: &History, index: u64, entry: &Entry, state: &State) -> Result<(), StoreError> {
    let mut feed = Feed::default();
    let batch = encode_batch(std::slice::from_ref(entry));
    history.feed_batch(&mut feed, index, &batch, &[], std::slice::from_ref(entry));
    for event in &entry.events {
        if let Event::JobEnded { job, .. } = event
            && let Some(job) = state.job(*job)
        {
            history.feed_ended(&mut feed, &types::Job::from(job.as_ref()));
        }
    }
    history.write(feed)?;
    history.flush()
}

/// The log comes last: a store that has its identity has all else.
fn make(
    folder: &Path,
    identity: &Identity,
    meta: &SnapshotMeta,
    state: &State,
    id: LogId,
) -> Result<(), StoreError> {
    let disk = |source| StoreError::disk(folder, source);
    let snapshots = Snapshots::open(&folder.join(open::SNAPSHOTS))?;
    snapshots.write(meta, state).map_err(disk)?;
    Disk::create_behind(&folder.join(open::LOG), identity, id)?;
    for made in [Some(folder), folder.parent()].into_iter().flatten() {
        File::open(made).and_then(|folder| folder.sync_all()).map_err(disk)?;
    }
    Ok(())
}

//! Cuts and damages the store's files at every byte of the last writes, and opens them again.

use std::{fs, io, ops::Range, path::PathBuf};

use bytes::Bytes;
use common::id::ClusterId;
use openraft::type_config::TypeConfigExt as _;
use tempfile::TempDir;

use super::*;
use crate::types::{Batch, Payload, log_id, vote};

fn identity() -> Identity {
    let cluster = ClusterId([7; 16]);
    Identity { cluster, raft_id: 1, name: "ctl1".into(), address: String::new() }
}

fn entry(index: u64, bytes: usize) -> Entry {
    let byte = u8::try_from(index % 251).expect("below");
    let batch = Batch(Bytes::from(vec![byte; bytes]));
    Entry { log_id: log_id(1, index), payload: Payload::Normal(batch) }
}

fn open(folder: &Path) -> Result<(Disk, Held), StoreError> {
    Disk::open(folder, &identity(), Health::new())
}

/// Appends, and waits until it is reported as durable.
fn append(disk: &Disk, entries: Vec<Entry>) -> io::Result<()> {
    let (sender, result) = TypeConfig::oneshot();
    disk.tail.append(&entries);
    disk.append(entries, IOFlushed::signal(sender));
    result.blocking_recv().expect("it is told")
}

fn wal(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut logs: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
    logs.sort();
    logs.pop().expect("a write-ahead log")
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// A store that died, and where each of its writes stands in the write-ahead log.
struct Wreck {
    folder: TempDir,
    whole: Vec<u8>,
    writes: Vec<Range<usize>>,
}

const WRITES: u64 = 6;

/// A folder in memory where there is one: hundreds of stores are opened.
fn quick_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn wreck() -> Wreck {
    let folder = quick_folder();
    let store = folder.path().join("store");
    Disk::create(&store, &identity()).unwrap();
    let (disk, _) = open(&store).unwrap();
    let length = || fs::metadata(wal(&store)).unwrap().len() as usize;
    let mut writes = Vec::new();
    for index in 0..WRITES {
        let before = length();
        append(&disk, vec![entry(index, 10)]).unwrap();
        writes.push(before..length());
    }
    let wreck = folder.path().join("wreck");
    copy(&store, &wreck);
    let whole = fs::read(wal(&wreck)).unwrap();
    Wreck { folder, whole, writes }
}

impl Wreck {
    /// Opens the store with `content` as its write-ahead log; the entries that it still has.
    fn reopen(&self, content: &[u8]) -> Result<Vec<Entry>, StoreError> {
        let copied = self.folder.path().join("copied");
        copy(&self.folder.path().join("wreck"), &copied);
        fs::write(wal(&copied), content).unwrap();
        let (disk, _) = open(&copied)?;
        Ok(disk.read(0, u64::MAX, usize::MAX).unwrap())
    }
}

#[test]
fn cut_at_any_byte_what_was_written_before_is_there() {
    let wreck = wreck();
    for cut in wreck.writes[4].start..=wreck.whole.len() {
        let entries = wreck.reopen(&wreck.whole[..cut]).expect("a torn end is cut");
        let whole = wreck.writes.iter().filter(|write| write.end <= cut).count() as u64;
        let expected: Vec<_> = (0..whole).map(|index| entry(index, 10)).collect();
        assert_eq!(entries, expected, "cut at {cut}");
    }
}

#[test]
fn damaged_at_any_byte_it_is_refused_or_lost_nothing() {
    let wreck = wreck();
    let last = wreck.writes.last().unwrap().clone();
    let all: Vec<_> = (0..WRITES).map(|index| entry(index, 10)).collect();
    for place in wreck.writes[3].start..wreck.whole.len() {
        let mut damaged = wreck.whole.clone();
        damaged[place] ^= 0x55;
        match wreck.reopen(&damaged) {
            Err(error) => {
                assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
                assert!(error.to_string().contains("join anew, empty"));
            }
            // The length of the very last write: it looks as if it had been torn.
            Ok(entries) => {
                assert!(last.contains(&place), "byte {place} is not missed");
                assert_eq!(entries, all[..all.len() - 1], "byte {place}");
            }
        }
    }
}

#[test]
fn an_end_of_zeros_is_cut() {
    let wreck = wreck();
    let write = wreck.writes[4].clone();
    for kept in [0, 3, 7, 20] {
        let mut zeros = wreck.whole[..write.start + kept].to_vec();
        zeros.resize(wreck.whole.len() + 4_096, 0);
        match wreck.reopen(&zeros) {
            Ok(entries) => assert_eq!(entries.len(), 4, "kept {kept}"),
            Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}"),
        }
    }
}

#[test]
fn votes_and_cuts_are_durable_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    Disk::create(&store, &identity()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (disk, held) = open(&store).unwrap();
    assert_eq!((held.vote, held.committed, held.purged), (None, None, None));
    append(&disk, (0..10).map(|index| entry(index, 10)).collect()).unwrap();
    runtime.block_on(disk.save_vote(vote(3, 2, true))).unwrap();
    disk.save_committed(log_id(1, 6));
    disk.tail.truncate(8);
    runtime.block_on(disk.truncate(8)).unwrap();
    let other = Entry { log_id: log_id(3, 8), payload: Payload::Blank };
    append(&disk, vec![other.clone()]).unwrap();
    disk.tail.purge(log_id(1, 4));
    runtime.block_on(disk.purge(log_id(1, 4))).unwrap();
    drop(disk);

    let (disk, held) = open(&store).unwrap();
    assert_eq!(held.vote, Some(vote(3, 2, true)));
    assert_eq!(held.committed, Some(log_id(1, 6)));
    assert_eq!(held.purged, Some(log_id(1, 4)));
    let expected = [entry(5, 10), entry(6, 10), entry(7, 10), other];
    assert_eq!(disk.read(5, u64::MAX, usize::MAX).unwrap(), expected);
    assert_eq!(disk.tail.last(), Some(log_id(3, 8)));
}

#[test]
fn what_left_the_memory_is_read_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    Disk::create(&store, &identity()).unwrap();
    let (disk, _) = open(&store).unwrap();
    let (many, large) = (100, 1 << 20);
    for index in 0..many {
        append(&disk, vec![entry(index, large)]).unwrap();
    }
    assert!(disk.tail.read(0, many, usize::MAX).0 > 20, "some have left the memory");
    for start in [0, 10, 30, 50, 90] {
        let entries = disk.read(start, start + 10, usize::MAX).unwrap();
        assert_eq!(entries.len(), 10);
        assert!(entries.iter().zip(start..).all(|(found, index)| *found == entry(index, large)));
        let limited = disk.read(start, many, 3 * large).unwrap();
        assert_eq!(limited.len(), 3, "from {start}");
        assert_eq!(limited[0].log_id.index, start);
    }
}

#[test]
fn a_purge_leaves_the_entry_behind_it_wherever_files_end() {
    let folder = quick_folder();
    let store = folder.path().join("store");
    Disk::create(&store, &identity()).unwrap();
    let (disk, _) = open(&store).unwrap();
    append(&disk, (0..10).map(|index| entry(index, 10)).collect()).unwrap();
    // A file of the log that ends with the first entry that is to stay.
    let log = disk.db.cf_handle(LOG).unwrap();
    disk.db.compact_range_cf(log, None::<&[u8]>, None::<&[u8]>);
    append(&disk, vec![entry(10, 10)]).unwrap();
    let upto = log_id(1, 8);
    disk.tail.purge(upto);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(disk.purge(upto)).unwrap();
    drop(disk);

    let (disk, held) = open(&store).unwrap();
    assert_eq!(held.purged, Some(upto));
    let left: Vec<u64> =
        disk.read(9, 11, usize::MAX).unwrap().iter().map(|entry| entry.log_id.index).collect();
    assert_eq!(left, [9, 10]);
}

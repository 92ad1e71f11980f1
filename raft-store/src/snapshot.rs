//! Snapshots: the state after some entry, in a file of its own.
//!
//! ```text
//!   snap-TERM-INDEX:  head │ record │ record │ … │ foot
//! ```
//!
//! The head says how far it goes and who was a member then, each record is a
//! `rafter.log.v1.StateRecord`, and the foot says how many there are. A file is written under
//! another name, synced, and renamed, so one that has its name is whole.
//!
//! **Invariant:** what a snapshot covers leaves the log only once the snapshot is on the disk, and
//! everything that the history holds of it, too.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use common::machine::State;
use prost::Message as _;
use proto::{
    convert::{StateReader, state_records},
    log as wire,
};

use crate::{
    StoreError,
    format::{self, HEAD, Head, Kind, Unreadable},
    types::{LogId, SnapshotMeta, term_of},
};

/// Bytes that are written at a time. After each the writer syncs and rests for so many times as
/// long as they took: neither the disk nor a processor is taken from the log for long.
const CHUNK: usize = 256 << 10;
const REST: u32 = 3;

/// Bytes of an old file that are given back at a time.
const PIECE: u64 = 8 << 20;

const UNFINISHED: &str = "unfinished";

/// A snapshot that is on the disk.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotFile {
    pub(crate) path: PathBuf,
    /// Stays readable where the file is replaced by a newer one.
    pub(crate) file: Arc<File>,
    /// What it holds, where that was read already.
    pub(crate) state: Option<State>,
}

impl SnapshotFile {
    /// What it holds, of one that was read.
    pub(crate) fn state(&self) -> State {
        self.state.clone().expect("it was read")
    }
}

/// The folder of snapshots. One is written or removed at a time.
#[derive(Debug)]
pub(crate) struct Snapshots {
    folder: PathBuf,
    turn: Mutex<()>,
}

impl Snapshots {
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|source| StoreError::disk(folder, source))?;
        Ok(Self { folder: folder.to_owned(), turn: Mutex::new(()) })
    }

    /// The newest snapshot that is whole, and its state. Whatever else is in the folder goes.
    pub(crate) fn load(&self) -> Result<Option<(SnapshotMeta, SnapshotFile)>, StoreError> {
        let disk = |source| StoreError::disk(&self.folder, source);
        let mut found = self.list().map_err(disk)?;
        found.sort_unstable();
        let newest = found.pop();
        let loaded = newest.map(|(_, _, path)| self.read(&path)).transpose()?;
        self.clean(loaded.as_ref().map(|(_, file)| file.path.as_path())).map_err(disk)?;
        Ok(loaded)
    }

    /// Term, index and path of each.
    fn list(&self) -> io::Result<Vec<(u64, u64, PathBuf)>> {
        let mut found = Vec::new();
        for item in fs::read_dir(&self.folder)? {
            let path = item?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let numbers = name.strip_prefix("snap-").and_then(|rest| rest.split_once('-'));
            if let Some((term, index)) = numbers
                && let (Ok(term), Ok(index)) = (term.parse(), index.parse())
            {
                found.push((term, index, path));
            }
        }
        Ok(found)
    }

    fn clean(&self, keep: Option<&Path>) -> io::Result<()> {
        for item in fs::read_dir(&self.folder)? {
            let path = item?.path();
            if Some(path.as_path()) != keep {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Reads and checks a snapshot.
    pub(crate) fn read(&self, path: &Path) -> Result<(SnapshotMeta, SnapshotFile), StoreError> {
        let file = File::open(path).map_err(|source| StoreError::disk(path, source))?;
        let reader = BufReader::with_capacity(CHUNK, &file);
        let (meta, state) = decode(reader).map_err(|error| match error {
            ReadError::Disk(source) => StoreError::disk(path, source),
            ReadError::Content(what) => {
                StoreError::damaged(&self.folder, format!("{}: {what}", path.display()))
            }
        })?;
        let file = Arc::new(file);
        Ok((meta, SnapshotFile { path: path.to_owned(), file, state: Some(state) }))
    }

    /// Writes a snapshot, and syncs it.
    pub(crate) fn write(&self, meta: &SnapshotMeta, state: &State) -> io::Result<SnapshotFile> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let unfinished = self.folder.join(format!("{UNFINISHED}-own"));
        let mut writer = Gently::new(File::create(&unfinished)?);
        encode(meta, state, |fill| {
            fill(&mut writer.buffer);
            writer.rest_if_due()
        })?;
        writer.finish()?;
        match meta.last_log_id {
            Some(last) => self.name(&unfinished, last),
            // Of nothing: not worth a name.
            None => {
                let file = Arc::new(File::open(&unfinished)?);
                Ok(SnapshotFile { path: unfinished, file, state: None })
            }
        }
    }

    /// Where a snapshot is put while it comes in.
    pub(crate) fn incoming(&self) -> PathBuf {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.folder.join(format!("{UNFINISHED}-{number}"))
    }

    /// Takes over a file that came in and is synced.
    pub(crate) fn adopt(&self, unfinished: &Path, last: LogId) -> io::Result<SnapshotFile> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.name(unfinished, last)
    }

    /// Gives a whole file its name.
    fn name(&self, unfinished: &Path, last: LogId) -> io::Result<SnapshotFile> {
        let (term, index) = (term_of(&last), last.index);
        let path = self.folder.join(format!("snap-{term}-{index}"));
        fs::rename(unfinished, &path)?;
        File::open(&self.folder)?.sync_all()?;
        let file = Arc::new(File::open(&path)?);
        Ok(SnapshotFile { path, file, state: None })
    }

    /// Removes a snapshot that another one has replaced.
    ///
    /// While a file system gives a large file back, it syncs nothing, the log neither. So it is cut
    /// off piece by piece, unless somebody still reads it: then the last of them gives it back.
    pub(crate) fn retire(&self, old: SnapshotFile) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let SnapshotFile { path, file, state: _ } = old;
        let unfinished = self.incoming();
        fs::rename(&path, &unfinished)?;
        if let Some(file) = Arc::into_inner(file) {
            let mut left = file.metadata()?.len();
            let file = File::options().write(true).open(&unfinished)?;
            while left > 0 {
                let since = Instant::now();
                left = left.saturating_sub(PIECE);
                file.set_len(left)?;
                file.sync_data()?;
                std::thread::sleep(REST * since.elapsed());
            }
        }
        fs::remove_file(unfinished)
    }
}

/// Writes without getting in the way of the log.
struct Gently {
    file: File,
    buffer: Vec<u8>,
    since: Instant,
}

impl Gently {
    fn new(file: File) -> Self {
        Self { file, buffer: Vec::with_capacity(CHUNK + (64 << 10)), since: Instant::now() }
    }

    fn rest_if_due(&mut self) -> io::Result<()> {
        if self.buffer.len() >= CHUNK {
            self.file.write_all(&self.buffer)?;
            self.file.sync_data()?;
            self.buffer.clear();
            std::thread::sleep(REST * self.since.elapsed());
            self.since = Instant::now();
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.file.sync_all()
    }
}

/// Makes a snapshot's records, one after the other. `put` is handed what appends the next one.
pub(crate) fn encode<E>(
    meta: &SnapshotMeta,
    state: &State,
    mut put: impl FnMut(&dyn Fn(&mut Vec<u8>)) -> Result<(), E>,
) -> Result<(), E> {
    put(&|buffer| buffer.extend(format::encode_snapshot_head(meta)))?;
    let mut records = 0;
    for record in state_records(state) {
        put(&|buffer| format::encode_message(Kind::SnapshotRecord, &record, buffer))?;
        records += 1;
    }
    put(&|buffer| buffer.extend(format::encode_snapshot_foot(records)))
}

#[derive(Debug)]
pub(crate) enum ReadError {
    Disk(io::Error),
    Content(String),
}

impl ReadError {
    /// In words.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Disk(error) => error.to_string(),
            Self::Content(what) => what.clone(),
        }
    }
}

impl From<Unreadable> for ReadError {
    fn from(error: Unreadable) -> Self {
        Self::Content(error.to_string())
    }
}

/// Reads and checks the records of a snapshot.
pub(crate) fn decode(mut reader: impl io::Read) -> Result<(SnapshotMeta, State), ReadError> {
    let mut buffer = Vec::new();
    next(&mut reader, &mut buffer)?;
    let meta = format::decode_snapshot_head(&buffer)?;
    let mut state = StateReader::default();
    let mut records = 0;
    loop {
        next(&mut reader, &mut buffer)?;
        if format::is(Kind::SnapshotFoot, &buffer) {
            break;
        }
        let content = format::decode_raw(Kind::SnapshotRecord, &buffer)?;
        let record = wire::StateRecord::decode(content)
            .map_err(|error| ReadError::Content(error.to_string()))?;
        state.take(record).map_err(|error| ReadError::Content(error.to_string()))?;
        records += 1;
    }
    let expected = format::decode_snapshot_foot(&buffer)?;
    if expected != records {
        return Err(ReadError::Content(format!("it has {records} of {expected} records")));
    }
    if reader.read(&mut [0]).map_err(ReadError::Disk)? != 0 {
        return Err(ReadError::Content("it goes on behind its end".to_owned()));
    }
    let state = state.finish().map_err(|error| ReadError::Content(error.to_string()))?;
    Ok((meta, state))
}

/// Reads one whole record, whatever it is, into `buffer`.
pub(crate) fn next(reader: &mut impl io::Read, buffer: &mut Vec<u8>) -> Result<(), ReadError> {
    let mut head = [0; HEAD];
    fill(reader, &mut head)?;
    let length = Head::length(&head)?;
    buffer.clear();
    buffer.extend_from_slice(&head);
    let taken = reader.by_ref().take(length as u64).read_to_end(buffer);
    if taken.map_err(ReadError::Disk)? < length {
        return Err(Unreadable::Short.into());
    }
    Ok(())
}

fn fill(reader: &mut impl io::Read, bytes: &mut [u8]) -> Result<(), ReadError> {
    reader.read_exact(bytes).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Unreadable::Short.into();
        }
        ReadError::Disk(error)
    })
}

#[cfg(test)]
mod tests {
    use openraft::StoredMembership;

    use super::*;
    use crate::types::log_id;

    fn written(snapshots: &Snapshots, index: u64) -> SnapshotFile {
        let last_membership = StoredMembership::default();
        let meta = SnapshotMeta { last_log_id: Some(log_id(1, index)), last_membership };
        snapshots.write(&meta, &State::default()).expect("written")
    }

    #[test]
    fn who_reads_an_old_snapshot_reads_it_to_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let snapshots = Snapshots::open(folder.path()).expect("opened");
        let old = written(&snapshots, 1);
        let reader = Arc::clone(&old.file);
        let newer = written(&snapshots, 2);
        snapshots.retire(old).expect("retired");
        decode(&*reader).map_err(|_| "it is cut").expect("whole");
        let left = snapshots.list().expect("listed");
        assert_eq!(left, [(1, 2, newer.path.clone())]);
        snapshots.retire(newer).expect("retired");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 0);
    }
}

//! A record's folder: how it is written, line by line, and read as a whole.
//!
//! A witness file may end in half a line where its node lost power while a job wrote, or its disk
//! was full; who writes on marks such a line as torn. Anything else that can't be read is an error
//! that names the file and the line: a record that is read only in part proves nothing.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use common::machine::Entry;
use prost::Message as _;
use proto::log as wire;
use serde::{Serialize, de::DeserializeOwned};

use super::{LogLine, Record};

/// Why a record can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("{}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}, line {line}: {reason}", path.display())]
    Line { path: PathBuf, line: usize, reason: String },
}

fn failed(path: &Path) -> impl Fn(io::Error) -> RecordError {
    move |source| RecordError::File { path: path.to_owned(), source }
}

/// Where a record is.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.0.join("run.json")
    }

    #[must_use]
    pub fn operations(&self) -> PathBuf {
        self.0.join("operations.jsonl")
    }

    #[must_use]
    pub fn faults(&self) -> PathBuf {
        self.0.join("faults.jsonl")
    }

    #[must_use]
    pub fn witness(&self, node: &str) -> PathBuf {
        self.0.join("witness").join(format!("{node}.jsonl"))
    }

    #[must_use]
    pub fn log(&self, controller: &str) -> PathBuf {
        self.0.join("log").join(format!("{controller}.jsonl"))
    }

    #[must_use]
    pub fn watch(&self, watcher: &str) -> PathBuf {
        self.0.join("watch").join(format!("{watcher}.jsonl"))
    }

    #[must_use]
    pub fn digests(&self) -> PathBuf {
        self.0.join("digests.json")
    }

    /// Reads the whole record.
    ///
    /// # Errors
    /// Where a file is missing, or a line can't be read.
    pub fn read(&self) -> Result<Record, RecordError> {
        Ok(Record {
            run: value(&self.run())?,
            operations: lines(&self.operations(), Torn::Refused)?,
            faults: lines(&self.faults(), Torn::Refused)?,
            witnesses: each(&self.0.join("witness"), Torn::Tolerated)?,
            logs: each(&self.0.join("log"), Torn::Refused)?,
            watches: each(&self.0.join("watch"), Torn::Refused)?,
            digests: value(&self.digests())?,
        })
    }

    /// Writes a whole record.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn write(&self, record: &Record) -> Result<(), RecordError> {
        let Record { run, operations, faults, witnesses, logs, watches, digests } = record;
        put(&self.run(), run)?;
        put_lines(&self.operations(), operations)?;
        put_lines(&self.faults(), faults)?;
        for (node, witnesses) in witnesses {
            put_lines(&self.witness(node), witnesses)?;
        }
        for (controller, log) in logs {
            put_lines(&self.log(controller), log)?;
        }
        for (watcher, watched) in watches {
            put_lines(&self.watch(watcher), watched)?;
        }
        put(&self.digests(), digests)
    }
}

/// A file that is written line by line, each in one write.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    file: File,
}

impl Lines {
    /// Begins it anew, and makes its folder where there is none.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn create(path: PathBuf) -> Result<Self, RecordError> {
        prepare(&path)?;
        let file = File::create(&path).map_err(failed(&path))?;
        Ok(Self { path, file })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn add<T: Serialize>(&mut self, value: &T) -> Result<(), RecordError> {
        self.file.write_all(&line(value)).map_err(failed(&self.path))
    }
}

/// The end of a line that somebody else has left unfinished: ASCII's CANCEL.
const TORN: &[u8] = b"\x18\n";

/// Adds a line to a file that several processes share, in one write; with `sync`, it is on the disk
/// before this returns.
///
/// # Errors
/// Where the disk fails.
pub fn append_line<T: Serialize>(path: &Path, value: &T, sync: bool) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let torn = if last == [b'\n'] { &[][..] } else { TORN };
    file.write_all(&[torn, &line(value)].concat())?;
    if sync { file.sync_all() } else { Ok(()) }
}

fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("a record has only texts for keys");
    line.push(b'\n');
    line
}

fn prepare(path: &Path) -> Result<(), RecordError> {
    let folder = path.parent().expect("a record's files are in a folder");
    fs::create_dir_all(folder).map_err(failed(folder))
}

/// Writes a value as a file of its own.
fn put<T: Serialize>(path: &Path, value: &T) -> Result<(), RecordError> {
    prepare(path)?;
    let mut text = serde_json::to_vec_pretty(value).expect("a record has only texts for keys");
    text.push(b'\n');
    fs::write(path, text).map_err(failed(path))
}

fn put_lines<T: Serialize>(path: &Path, values: &[T]) -> Result<(), RecordError> {
    prepare(path)?;
    let text: Vec<u8> = values.iter().flat_map(|value| line(value)).collect();
    fs::write(path, text).map_err(failed(path))
}

/// What to do with a line that has no end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Torn {
    Tolerated,
    Refused,
}

fn value<T: DeserializeOwned>(path: &Path) -> Result<T, RecordError> {
    let text = fs::read(path).map_err(failed(path))?;
    serde_json::from_slice(&text).map_err(|error| RecordError::Line {
        path: path.to_owned(),
        line: error.line(),
        reason: error.to_string(),
    })
}

fn lines<T: DeserializeOwned>(path: &Path, torn: Torn) -> Result<Vec<T>, RecordError> {
    let text = fs::read(path).map_err(failed(path))?;
    let mut values = Vec::new();
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let whole = line.ends_with(b"\n");
        let is_torn = !whole || line.ends_with(TORN);
        let wrong =
            |reason: String| RecordError::Line { path: path.to_owned(), line: number + 1, reason };
        match serde_json::from_slice(line) {
            Ok(value) if whole => values.push(value),
            // A power cut may also leave the length of a line whose bytes never came.
            Ok(_) | Err(_) if is_torn && torn == Torn::Tolerated => {}
            Ok(_) => return Err(wrong("the line is torn".to_owned())),
            Err(error) => return Err(wrong(error.to_string())),
        }
    }
    Ok(values)
}

/// All files of a folder, by their names without the ending.
fn each<T: DeserializeOwned>(
    folder: &Path,
    torn: Torn,
) -> Result<BTreeMap<String, Vec<T>>, RecordError> {
    let mut all = BTreeMap::new();
    for item in fs::read_dir(folder).map_err(failed(folder))? {
        let path = item.map_err(failed(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(name) = name.strip_suffix(".jsonl") {
            all.insert(name.to_owned(), lines(&path, torn)?);
        }
    }
    Ok(all)
}

pub(super) fn log_line(index: u64, entry: &Entry) -> LogLine {
    let bytes = wire::Entry::from(entry).encode_to_vec();
    LogLine {
        index,
        term: entry.term.0,
        sequence: entry.sequence,
        at_ms: entry.at.0,
        request: entry.request.as_ref().map(|answered| answered.request.to_string()),
        kinds: entry.events.iter().map(|event| event.kind().to_owned()).collect(),
        entry: trust::hex::encode(&bytes),
    }
}

pub(super) fn decode(line: &LogLine) -> Result<Entry, String> {
    let digits = line.entry.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return Err("the entry is no hexadecimal number".to_owned());
    }
    let byte = |pair: &[u8]| {
        let text = str::from_utf8(pair).expect("it is ASCII");
        u8::from_str_radix(text, 16).map_err(|error| format!("`{text}` in the entry: {error}"))
    };
    let bytes: Vec<u8> = digits.chunks(2).map(byte).collect::<Result<_, _>>()?;
    let wire = wire::Entry::decode(&*bytes).map_err(|error| error.to_string())?;
    let entry = Entry::try_from(wire).map_err(|error| error.to_string())?;
    if log_line(line.index, &entry) == *line {
        Ok(entry)
    } else {
        Err("the entry is not the one that its line tells of".to_owned())
    }
}

#[cfg(test)]
mod tests;

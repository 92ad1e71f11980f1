//! Private files: written whole or not at all, and read only where nobody else can.
//!
//! **Invariant:** after [`write()`] returns, the content survives a power cut; before, the old
//! content does.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::{fcntl::OFlag, unistd::geteuid};

use crate::{hex, identity::random};

/// Only the owner may read and write.
pub const PRIVATE: u32 = 0o600;
/// Everybody may read.
pub const PUBLIC: u32 = 0o644;

/// The longest file that is read, in bytes. Ours have a few thousand.
const MAX_LENGTH: u64 = 256 * 1024;

/// Why a file of keys can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("can't {act} {path}")]
    Io { act: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} belongs to user {owner}, not to user {me}: refusing to trust it")]
    Owner { path: PathBuf, owner: u32, me: u32 },
    #[error("{path} is open to others (mode {mode:04o}): run chmod go-rwx on it")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{path} is not a plain file of at most {MAX_LENGTH} bytes of text")]
    Kind { path: PathBuf },
}

impl FileError {
    /// Whether there is simply no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Owner { .. } | Self::Exposed { .. } | Self::Kind { .. } => false,
        }
    }
}

/// Names what was being done to which file.
fn during(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io { act, path, source }
}

/// Makes the folder and its parents, closed to others. One that exists must be the caller's own
/// and not writable by others, who could else put their files in place of ours.
pub fn private_folder(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(during("make", path))?;
    let found = fs::metadata(path).map_err(during("look at", path))?;
    owned(path, found.uid())?;
    closed(path, found.mode(), 0o022)
}

fn owned(path: &Path, owner: u32) -> Result<(), FileError> {
    let me = geteuid().as_raw();
    if owner == me { Ok(()) } else { Err(FileError::Owner { path: path.to_owned(), owner, me }) }
}

fn closed(path: &Path, mode: u32, bits: u32) -> Result<(), FileError> {
    let mode = mode & 0o7777;
    if mode & bits == 0 { Ok(()) } else { Err(FileError::Exposed { path: path.to_owned(), mode }) }
}

/// Replaces the file with `content`, by way of a temporary file beside it.
pub fn write(path: &Path, content: &str, mode: u32) -> Result<(), FileError> {
    let kind = || FileError::Kind { path: path.to_owned() };
    let name = path.file_name().ok_or_else(kind)?.to_string_lossy().into_owned();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let temporary = folder.join(format!(".{name}.{}", hex::encode(&random::<8>())));
    let written = write_new(&temporary, content, mode)
        .and_then(|()| fs::rename(&temporary, path).map_err(during("replace", path)));
    if written.is_err() {
        // Whether it can be removed changes nothing for the caller, who gets the first error.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    let opened = File::open(folder).map_err(during("open", folder))?;
    opened.sync_all().map_err(during("flush", folder))
}

/// Replaces a file that is only a hint: whole, but it may be gone after a power cut, and the fsync
/// is saved.
pub(crate) fn write_hint(path: &Path, content: &str) -> Result<(), FileError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", hex::encode(&random::<8>())));
    let temporary = PathBuf::from(temporary);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(&temporary)
        .map_err(during("create", &temporary))?;
    let written = file
        .write_all(content.as_bytes())
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(during("replace", path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, content: &str, mode: u32) -> Result<(), FileError> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(during("create", path))?;
    file.write_all(content.as_bytes()).map_err(during("write", path))?;
    file.sync_all().map_err(during("flush", path))
}

/// The text of a file that only its owner, the caller, can read and write.
pub fn read_private(path: &Path) -> Result<String, FileError> {
    read(path, 0o077, Owner::Caller)
}

/// The text of a file that only its owner, the caller, can write.
pub fn read_public(path: &Path) -> Result<String, FileError> {
    read(path, 0o022, Owner::Caller)
}

/// The text of a file that only its owner, the caller or root, can write.
pub fn read_shared(path: &Path) -> Result<String, FileError> {
    read(path, 0o022, Owner::CallerOrRoot)
}

/// Whose file it may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Caller,
    CallerOrRoot,
}

/// The checks are made on the open file, so that it can't be exchanged between check and use.
fn read(path: &Path, forbidden: u32, owner: Owner) -> Result<String, FileError> {
    // Without O_NONBLOCK a pipe in the file's place would hang us.
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(flags).open(path).map_err(during("open", path))?;
    let found = file.metadata().map_err(during("look at", path))?;
    let kind = || FileError::Kind { path: path.to_owned() };
    if !found.is_file() || found.len() > MAX_LENGTH {
        return Err(kind());
    }
    if owner == Owner::Caller || found.uid() != 0 {
        owned(path, found.uid())?;
    }
    closed(path, found.mode(), forbidden)?;
    // Room for the whole, and for the read that finds the end.
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).map_or(0, |len| len + 32));
    file.take(MAX_LENGTH).read_to_end(&mut bytes).map_err(during("read", path))?;
    String::from_utf8(bytes).map_err(|_| kind())
}

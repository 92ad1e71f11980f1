//! What a run's files tell, wherever they are read from: a folder, or the simulator's disk.

use serde::de::DeserializeOwned;

use super::{Found, SpoolError};
use crate::manifest::{self, Unusable};

/// The files of one run.
pub trait Files {
    /// None where it is not there.
    ///
    /// # Errors
    /// Where it can't be read.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, SpoolError>;

    /// Whether a supervisor lives: it holds the lock.
    ///
    /// # Errors
    /// Where that can't be told.
    fn is_locked(&self) -> Result<bool, SpoolError>;

    /// The kernel's life, as [`super::boot_id`] has it.
    ///
    /// # Errors
    /// Where that can't be told.
    fn boot(&self) -> Result<String, SpoolError>;
}

/// A record; none where it is not there. Half of one, as a full disk or a power cut leaves it, is
/// none.
pub(super) fn record<T: DeserializeOwned>(
    files: &impl Files,
    name: &str,
) -> Result<Option<T>, SpoolError> {
    Ok(files.read(name)?.and_then(|content| serde_json::from_slice(&content).ok()))
}

/// What became of the run.
///
/// # Errors
/// Where its files can't be read.
pub fn told(files: &impl Files) -> Result<Found, SpoolError> {
    if let Some(ended) = record(files, "ended.json")? {
        return Ok(Found::Ended(ended));
    }
    if files.is_locked()? {
        return Ok(Found::Running(record(files, "started.json")?));
    }
    // The supervisor may have ended between the two looks.
    if let Some(ended) = record(files, "ended.json")? {
        return Ok(Found::Ended(ended));
    }
    // An empty or torn one says so, too.
    if files.read("begun.json")?.is_some() {
        return Ok(Found::Orphaned);
    }
    let Some(manifest) = files.read("manifest.json")? else { return Ok(Found::Unprepared) };
    match manifest::read(&manifest) {
        Ok(manifest) if manifest.boot == files.boot()? => Ok(Found::NotStarted),
        Ok(_) | Err(Unusable::Version(_)) => Ok(Found::Orphaned),
        Err(Unusable::Broken(_)) => Ok(Found::Unprepared),
    }
}

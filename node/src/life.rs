//! Which life the node leads, and whom it last obeyed: small files in the spool.
//!
//! A life ends with the spool, and with the kernel: after a reboot nothing runs any more, and what
//! was not on disk yet is forgotten. The controllers launch a run only in the life that it was
//! allocated for. So a launch that a power cut erased is never repeated, and a run's folder need
//! not be fsynced before its script starts.
//!
//! ```text
//! SPOOL/lock         held while the daemon lives
//! SPOOL/incarnation  BOOT-ID NUMBER
//! SPOOL/term         CLUSTER-ID TERM
//! SPOOL/pass         the node's certificate and key
//! SPOOL/jobs/        the runs: see the crate `step`
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use common::id::{ClusterId, Incarnation, Term};
use nix::fcntl::{Flock, FlockArg};

/// Why a spool can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    #[error("can't {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("another rafterd uses the spool {}", .0.display())]
    InUse(PathBuf),
    #[error("{} is not what rafterd writes there; see what became of the disk", .0.display())]
    Broken(PathBuf),
    #[error(
        "the spool {} belongs to a node of cluster {found}, not of {expected}: give another one, \
         or remove it once nothing of its jobs is left",
        path.display()
    )]
    OtherCluster { path: PathBuf, found: ClusterId, expected: ClusterId },
}

/// A spool that this process has for itself.
#[derive(Debug)]
pub struct Life {
    root: PathBuf,
    _lock: Flock<File>,
}

impl Life {
    /// Takes the spool in `root`, which is made where it is not there.
    ///
    /// # Errors
    /// Where it can't be made, or another daemon has it.
    pub fn take(root: &Path) -> Result<Self, LifeError> {
        // Users pass through to their scripts, and list nothing.
        let made = DirBuilder::new().recursive(true).mode(0o711).create(root);
        made.map_err(failed("make", root))?;
        let path = root.join("lock");
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(failed("open", &path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { root: root.to_owned(), _lock: lock }),
            Err((_, nix::Error::EWOULDBLOCK)) => Err(LifeError::InUse(root.to_owned())),
            Err((_, error)) => Err(failed("lock", &path)(error.into())),
        }
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the node's certificate is.
    #[must_use]
    pub fn pass(&self) -> PathBuf {
        self.root.join("pass")
    }

    /// The life that the spool is in under the kernel's life `boot`; a fresh one where that is
    /// another than the last.
    ///
    /// # Errors
    /// Where it can't be read or written. A damaged file begins a fresh life.
    pub fn incarnation(&self, boot: &str) -> Result<Incarnation, LifeError> {
        let path = self.root.join("incarnation");
        let known = read(&path)?.and_then(|text| {
            let (known, number) = text.trim_end().split_once(' ')?;
            let number = number.parse().ok()?;
            (known == boot).then_some(Incarnation(number))
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let fresh = random();
        write(&path, &format!("{boot} {fresh}\n"))?;
        Ok(Incarnation(fresh))
    }

    /// The latest term that was heard of in `cluster`.
    ///
    /// # Errors
    /// Where it can't be read, or the spool belongs to another cluster.
    pub fn term(&self, cluster: ClusterId) -> Result<Term, LifeError> {
        let path = self.root.join("term");
        let Some(text) = read(&path)? else { return Ok(Term(0)) };
        let parts = text.trim_end().split_once(' ');
        let parsed = parts.and_then(|(id, term)| {
            Some((id.parse::<ClusterId>().ok()?, term.parse::<u64>().ok()?))
        });
        match parsed {
            Some((found, term)) if found == cluster => Ok(Term(term)),
            Some((found, _)) => {
                let path = self.root.clone();
                Err(LifeError::OtherCluster { path, found, expected: cluster })
            }
            // Written whole or not at all: a guess could obey a leader of the past.
            None => Err(LifeError::Broken(path)),
        }
    }

    /// Keeps a later term, durably.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn keep_term(&self, cluster: ClusterId, term: Term) -> Result<(), LifeError> {
        write(&self.root.join("term"), &format!("{cluster} {term}\n"))
    }
}

fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // The standard library draws the keys of its hash maps from the kernel's random numbers.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn read(path: &Path) -> Result<Option<String>, LifeError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Replaces a file so that a crash leaves the old content or the new one.
fn write(path: &Path, text: &str) -> Result<(), LifeError> {
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(true).write(true).mode(0o600).open(&draft);
    let mut file = file.map_err(failed("make", &draft))?;
    file.write_all(text.as_bytes()).map_err(failed("write", &draft))?;
    file.sync_all().map_err(failed("fsync", &draft))?;
    fs::rename(&draft, path).map_err(failed("rename", &draft))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(failed("fsync", folder))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LifeError {
    move |source| LifeError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: ClusterId = ClusterId([7; 16]);

    #[test]
    fn a_life_lasts_until_the_spool_is_new_or_the_kernel_is() {
        let scratch = tempfile::tempdir().expect("a folder");
        let root = scratch.path().join("spool");
        let life = Life::take(&root).expect("taken");
        let first = life.incarnation("boot-a").expect("a life");
        assert_eq!(life.incarnation("boot-a").expect("the same"), first);
        let second = life.incarnation("boot-b").expect("after a reboot");
        assert_ne!(second, first);
        fs::write(root.join("incarnation"), "boot-b").expect("damaged");
        let third = life.incarnation("boot-b").expect("after a damage");
        assert!(third != first && third != second);
        drop(life);
        fs::remove_dir_all(&root).expect("wiped");
        let life = Life::take(&root).expect("taken");
        assert_ne!(life.incarnation("boot-b").expect("a new spool"), third);
    }

    #[test]
    fn a_spool_has_one_daemon() {
        let scratch = tempfile::tempdir().expect("a folder");
        let life = Life::take(scratch.path()).expect("taken");
        assert!(matches!(Life::take(scratch.path()), Err(LifeError::InUse(_))));
        drop(life);
        Life::take(scratch.path()).expect("free again");
    }

    #[test]
    fn the_term_outlives_the_daemon_and_belongs_to_a_cluster() {
        let scratch = tempfile::tempdir().expect("a folder");
        let life = Life::take(scratch.path()).expect("taken");
        assert_eq!(life.term(CLUSTER).expect("none yet"), Term(0));
        life.keep_term(CLUSTER, Term(8)).expect("kept");
        drop(life);
        let life = Life::take(scratch.path()).expect("taken");
        assert_eq!(life.term(CLUSTER).expect("kept"), Term(8));
        let other = life.term(ClusterId([8; 16]));
        assert!(matches!(other, Err(LifeError::OtherCluster { .. })), "{other:?}");
        fs::write(scratch.path().join("term"), "8\n").expect("damaged");
        assert!(matches!(life.term(CLUSTER), Err(LifeError::Broken(_))));
    }
}

//! What is written down while a run goes on: operations, faults, and what the driver marvels at.

use std::{
    path::{Path, PathBuf},
    sync::{Condvar, Mutex},
    time::Duration,
};

use anyhow::Result;

use crate::record::{Fault, Folder, Lines, Nanos, Operation, Outcome};

pub(super) struct Notes {
    folder: Folder,
    operations: Mutex<(Lines, Tally)>,
    faults: Mutex<(Lines, u64)>,
    /// What did not come in time.
    unsettled: Mutex<Vec<String>>,
    /// What could not be done, for people.
    skipped: Mutex<Vec<String>>,
    /// Counts the faults of a campaign, for who wants to act at once.
    alarm: (Mutex<u64>, Condvar),
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) answered: u64,
    pub(super) refused: u64,
    pub(super) unknown: u64,
    /// When the youngest submission began that was acknowledged.
    pub(super) submitted: Nanos,
}

impl Notes {
    /// # Errors
    /// Where the folder can't be written.
    pub(super) fn create(out: &Path) -> Result<Self> {
        let folder = Folder::new(out);
        Ok(Self {
            operations: Mutex::new((Lines::create(folder.operations())?, Tally::default())),
            faults: Mutex::new((Lines::create(folder.faults())?, 0)),
            folder,
            unsettled: Mutex::default(),
            skipped: Mutex::default(),
            alarm: (Mutex::default(), Condvar::new()),
        })
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(super) fn path(&self, part: &str) -> PathBuf {
        self.folder.path().join(part)
    }

    /// # Errors
    /// Where the disk fails.
    pub(super) fn operation(&self, operation: &Operation) -> Result<()> {
        let (lines, tally) = &mut *self.operations.lock().expect("no holder panics");
        match operation.outcome {
            Outcome::Submitted { .. } => {
                tally.answered += 1;
                tally.submitted = tally.submitted.max(operation.start);
            }
            Outcome::Done | Outcome::Seen(_) | Outcome::Listed { .. } => tally.answered += 1,
            Outcome::Refused { .. } => tally.refused += 1,
            Outcome::Unknown { .. } => tally.unknown += 1,
        }
        Ok(lines.add(operation)?)
    }

    pub(super) fn tally(&self) -> Tally {
        self.operations.lock().expect("no holder panics").1
    }

    /// # Errors
    /// Where the disk fails.
    pub(super) fn fault(&self, fault: &Fault) -> Result<()> {
        let (lines, count) = &mut *self.faults.lock().expect("no holder panics");
        *count += 1;
        Ok(lines.add(fault)?)
    }

    pub(super) fn faults(&self) -> u64 {
        self.faults.lock().expect("no holder panics").1
    }

    /// Something that should have been and is not.
    pub(super) fn marvel(&self, what: String) {
        self.unsettled.lock().expect("no holder panics").push(what);
    }

    pub(super) fn unsettled(&self) -> Vec<String> {
        self.unsettled.lock().expect("no holder panics").clone()
    }

    pub(super) fn skip(&self, what: String) {
        self.skipped.lock().expect("no holder panics").push(what);
    }

    pub(super) fn skipped(&self) -> Vec<String> {
        self.skipped.lock().expect("no holder panics").clone()
    }

    /// Wakes who waits in [`Self::rest`].
    pub(super) fn alarm(&self) {
        *self.alarm.0.lock().expect("no holder panics") += 1;
        self.alarm.1.notify_all();
    }

    /// Rests for a while, or until the next alarm.
    pub(super) fn rest(&self, time: Duration) {
        let count = self.alarm.0.lock().expect("no holder panics");
        let before = *count;
        let same = |count: &mut u64| *count == before;
        drop(self.alarm.1.wait_timeout_while(count, time, same));
    }
}

//! Which licenses are in use: those of each job that holds nodes.

use super::State;
use crate::job::{Job, Licenses};

impl State {
    /// How many of a license may be given away. Where there are fewer than there were, more may be
    /// in use than there are, and none is free.
    #[must_use]
    pub fn free_licenses(&self, name: &str) -> u32 {
        let total = self.config.as_ref().map_or(0, |config| config.license_total(name));
        total.saturating_sub(self.used_licenses(name))
    }

    #[must_use]
    pub fn used_licenses(&self, name: &str) -> u32 {
        self.licenses.get(name).copied().unwrap_or(0)
    }

    /// Whether all of them are free.
    pub(super) fn has_licenses(&self, asked: &Licenses) -> bool {
        asked.counts.iter().all(|(name, count)| self.free_licenses(name) >= *count)
    }

    pub(super) fn take_licenses(&mut self, job: &Job) {
        for (name, count) in held(job) {
            *self.licenses.entry(name.clone()).or_default() += count;
        }
    }

    pub(super) fn give_back_licenses(&mut self, job: &Job) {
        for (name, count) in held(job) {
            let used = self.used_licenses(name);
            match used.checked_sub(*count).expect("what is given back was taken") {
                0 => self.licenses.remove(name),
                left => self.licenses.insert(name.clone(), left),
            };
        }
    }
}

/// What the job has. That is what it asks for: of a job that runs, both change together.
fn held(job: &Job) -> &[(String, u32)] {
    job.holding().map_or(&[], |_| &job.spec.asks().licenses.counts)
}

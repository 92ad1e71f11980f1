//! What few jobs ask for, as Slurm shows it.

use common::job::Licenses;
use proto::types::Asks;

use super::Job;

impl Job<'_> {
    fn asks(&self) -> Option<&Asks> {
        self.spec.asks.as_ref()
    }

    /// `Licenses`, as they were asked for.
    pub(crate) fn licenses(&self) -> Option<&str> {
        self.asks()?.licenses.as_deref()
    }

    /// `LicensesAlloc`: those that it has.
    pub(crate) fn licenses_allocated(&self) -> Option<&str> {
        self.licenses().filter(|_| !self.places().is_empty() && !self.state().is_ended())
    }

    /// Whether it asks for one of that name.
    pub(crate) fn has_license(&self, name: &str) -> bool {
        let asked = self.licenses().and_then(|text| Licenses::parse(text).ok());
        asked.is_some_and(|asked| asked.count(name) > 0)
    }
}

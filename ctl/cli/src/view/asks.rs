//! What few jobs ask for, as Slurm shows it.

use common::{
    job::Licenses,
    time::{Span, Timestamp},
};
use proto::types::{Asks, CoreAsk, Placing, Switches};

use super::{Job, job::limit};

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

    /// When it is to be over at the latest.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.asks()?.deadline.map(Timestamp)
    }

    /// `TimeMin`: the shortest limit that it may be given.
    pub(crate) fn time_min(&self) -> Option<Span> {
        let least = self.asks()?.time_min.as_ref()?;
        limit(Some(least)).span()
    }

    /// What it asks of sockets, cores and threads.
    pub(crate) fn cores(&self) -> CoreAsk {
        self.asks().and_then(|asks| asks.cores).unwrap_or_default()
    }

    /// How it wants its nodes.
    pub(crate) fn placing(&self) -> Placing {
        self.asks().and_then(|asks| asks.placing).unwrap_or_default()
    }

    /// Whole nodes, or nodes without others' jobs.
    pub(crate) fn exclusive(&self) -> &'static str {
        match (self.spec.exclusive, self.placing().user_alone) {
            (true, _) => "NODE",
            (false, true) => "USER",
            (false, false) => "NO",
        }
    }

    /// Beside how few switches it wants its nodes.
    pub(crate) fn switches(&self) -> Option<Switches> {
        self.placing().switches
    }

    /// For how long it waits for that, as it says.
    pub(crate) fn switch_wait(&self) -> Span {
        let seconds = self.switches().and_then(|few| few.wait_s).unwrap_or(0);
        Span::from_seconds(u64::from(seconds))
    }

    /// Whether it asks for one of that name.
    pub(crate) fn has_license(&self, name: &str) -> bool {
        let asked = self.licenses().and_then(|text| Licenses::parse(text).ok());
        asked.is_some_and(|asked| asked.count(name) > 0)
    }
}

/// A number that was asked for.
pub(crate) fn any(number: Option<u32>) -> String {
    number.map_or_else(|| "*".to_owned(), |number| number.to_string())
}

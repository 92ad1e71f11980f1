//! What a component of a heterogeneous job says of that.

use std::fmt::Write as _;

use proto::types::HetPart;

use super::Job;

impl Job<'_> {
    /// Which component of a heterogeneous job it is.
    pub(crate) fn het(&self) -> Option<HetPart> {
        self.spec.het
    }

    /// The numbers of all components of the heterogeneous job that it is one of.
    pub(crate) fn het_set(&self) -> Option<String> {
        let HetPart { leader, size, .. } = self.het()?;
        Some(format!("{leader}-{}", leader.saturating_add(size).saturating_sub(1)))
    }

    /// As people name it: `7`, `7_3`, `7_[0-3%2]`, `7+1`.
    pub(crate) fn put_id(&self, out: &mut String) {
        match self.het() {
            Some(HetPart { leader, offset, .. }) => {
                write!(out, "{leader}+{offset}").expect("a String takes it");
            }
            None => self.put_own_id(out),
        }
    }
}

//! What few jobs ask for beside nodes, CPUs and memory.

use super::Licenses;

/// See the module. By default, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// `--licenses`
    pub licenses: Licenses,
}

/// What `scontrol update job` changes of it; what is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskChanges {
    /// Empty ones: none any more.
    pub licenses: Option<Licenses>,
}

impl Asks {
    /// Asks for nothing.
    pub const NONE: Self = Self { licenses: Licenses::NONE };

    /// The same after the changes.
    #[must_use]
    pub fn changed(&self, changes: &AskChanges) -> Self {
        let mut changed = self.clone();
        if let Some(licenses) = &changes.licenses {
            changed.licenses.clone_from(licenses);
        }
        changed
    }
}

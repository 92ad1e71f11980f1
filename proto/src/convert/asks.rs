//! What a job asks for beyond CPUs and memory.

use std::sync::Arc;

use common::job::Constraint;

use crate::Invalid;

/// A constraint by its text; an empty one asks for nothing.
pub(super) fn constraint(text: Option<String>) -> Result<Option<Arc<Constraint>>, Invalid> {
    let read = |text: String| match text.as_str() {
        "" => Ok(Arc::default()),
        text => Constraint::parse(text).map(Arc::new).map_err(|_| Invalid::Unknown("constraint")),
    };
    text.map(read).transpose()
}

pub(super) fn constraint_text(constraint: Option<&Arc<Constraint>>) -> Option<String> {
    constraint.map(|constraint| constraint.text.clone())
}

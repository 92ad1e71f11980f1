//! What an entry of a queue stands for.

use std::iter::Peekable;

use common::job::{ArrayPart, Job};

pub(crate) type Turn<'a> = Peekable<Box<dyn Iterator<Item = Option<u32>> + 'a>>;

/// What an entry of the queue may start: itself, or each of the tasks that it stands for.
pub(crate) fn tasks(job: &Job) -> Turn<'_> {
    let tasks: Box<dyn Iterator<Item = Option<u32>>> = match &job.array {
        Some(ArrayPart::Waiting(tasks)) => Box::new(tasks.iter().map(Some)),
        Some(ArrayPart::Task { .. }) | None => Box::new(std::iter::once(None)),
    };
    tasks.peekable()
}

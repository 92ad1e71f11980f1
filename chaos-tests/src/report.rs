//! `report.html`: a run on one page, for people.
//!
//! The page needs nothing but itself: its plots are SVG that is made here, and it follows the
//! reader's preference of light or dark. From the top: whether all held; what the clients noticed,
//! over what was broken at the time; how long the next acknowledgement took after a leader was
//! hurt; what each checker looked at and found; and the list of faults.

mod page;
mod plot;

use std::{fs, io, path::Path};

use crate::{check::Checked, record::Record};

/// Writes the page.
///
/// # Errors
/// Where the disk fails.
pub fn write(record: &Record, checked: &[Checked], path: &Path) -> io::Result<()> {
    fs::write(path, page::page(record, checked))
}

#[cfg(test)]
mod tests;

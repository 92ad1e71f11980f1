//! The disk's own limit: how often a second it can be told to sync a small append.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::report::{Sorted, ms, rate};

/// As much as a small batch of entries is.
const BYTES: usize = 4_096;

/// A row of a table: appends to one file, each synced before the next.
pub(super) fn row(folder: &Path, seconds: f64) -> Result<Vec<String>> {
    let mut file = tempfile::tempfile_in(folder)?;
    let times = sync(&mut file, Duration::from_secs_f64(seconds))?;
    let total: Duration = times.iter().sum();
    let count = times.len();
    let sorted = Sorted::of(times);
    Ok(vec![
        "disk: 4 KiB + fdatasync, one after the other".to_owned(),
        rate(count, total),
        ms(sorted.at(50)),
        ms(sorted.at(99)),
        String::new(),
    ])
}

fn sync(file: &mut File, bound: Duration) -> Result<Vec<Duration>> {
    let block = [7; BYTES];
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < bound || times.is_empty() {
        let before = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(before.elapsed());
    }
    Ok(times)
}

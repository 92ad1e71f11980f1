//! From the call of `sbatch` to the first line of the script.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};

use super::{
    bed::Beds,
    report::{Sorted, ms, table},
    subject::Subject,
};
use crate::wait::Interrupt;

const JOBS: usize = 30;
const BOUND: Duration = Duration::from_secs(60);

/// Bash knows the time without starting a program. The file appears whole.
const SCRIPT: &str = "#!/bin/bash\necho $EPOCHREALTIME >\"$1.new\"\nmv \"$1.new\" \"$1\"\n";

pub(super) fn measure(beds: &Beds, rival: Option<&Subject>) -> Result<()> {
    let mut rows = Vec::new();
    rows.push(beds.with(2, 2, &[], |cluster| row(&Subject::rafter(cluster)?, &beds.interrupt))?);
    if let Some(rival) = rival {
        rows.push(row(rival, &beds.interrupt)?);
    }
    table(
        "From the call of `sbatch` to the first line of the script, nothing else to do",
        &["", "jobs", "p50", "p99", "max"],
        &rows,
    );
    Ok(())
}

fn row(subject: &Subject, interrupt: &Interrupt) -> Result<Vec<String>> {
    let script = subject.folder().join("clock.sh");
    fs::write(&script, SCRIPT)?;
    let mut times = Vec::new();
    for number in 0..JOBS {
        let file = subject.folder().join(format!("began.{number}"));
        let before = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let words = [script.to_string_lossy(), file.to_string_lossy()];
        let [script, argument] = &words;
        subject.time("sbatch", &["-o", "/dev/null", script, argument])?;
        let said = interrupt.until("waiting for the job's first line", BOUND, || {
            Ok(fs::read_to_string(&file).ok())
        })?;
        let began = said.trim().parse::<f64>().context("bash has no EPOCHREALTIME")?;
        times.push(Duration::from_secs_f64(began).saturating_sub(before));
        subject.drained(interrupt, BOUND)?;
    }
    let sorted = Sorted::of(times);
    let at = [50, 99, 100].map(|hundredths| ms(sorted.at(hundredths)));
    Ok([vec![subject.name.to_owned(), sorted.len().to_string()], at.to_vec()].concat())
}

//! Whole `sbatch` processes, as scripts call them: on a host whose `rafterd` makes their calls, and
//! on one where each of them connects to a controller.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    bed::Beds,
    report::{Sorted, ms, rate, table},
    subject::Subject,
};

const IN_A_ROW: usize = 300;
const AT_A_TIME: usize = 8;
const EACH: usize = 100;

/// A job that stays in the queue.
const HELD: [&str; 5] = ["-H", "-o", "/dev/null", "--wrap", "true"];

pub(super) fn measure(beds: &Beds, rival: Option<&Subject>) -> Result<()> {
    let mut rows = beds.with(1, 1, &[], |cluster| {
        let mut rows = Vec::new();
        for subject in [Subject::rafter(cluster)?, Subject::rafter_alone(cluster)?] {
            let served = subject.is_served(&HELD)?;
            let way = if served { "through rafterd" } else { "directly" };
            let name = format!("{} {way}", subject.name);
            rows.extend(self::rows(&subject, &name, &beds.interrupt)?);
        }
        Ok(rows)
    })?;
    if let Some(rival) = rival {
        rows.extend(self::rows(rival, rival.name, &beds.interrupt)?);
        rival.clear(&beds.interrupt)?;
    }
    table("Whole `sbatch` processes", &["", "rate", "p50", "p99", "max"], &rows);
    Ok(())
}

fn rows(
    subject: &Subject,
    name: &str,
    interrupt: &crate::wait::Interrupt,
) -> Result<Vec<Vec<String>>> {
    // The first ones read programs from the disk and obtain a certificate.
    for _ in 0..5 {
        subject.time("sbatch", &HELD)?;
    }
    let row = |what: &str, times: Vec<Duration>, total: Duration| {
        let count = times.len();
        let sorted = Sorted::of(times);
        let who = format!("{name}, {what}");
        let at = [50, 99, 100].map(|hundredths| ms(sorted.at(hundredths)));
        [vec![who, rate(count, total)], at.to_vec()].concat()
    };
    let started = Instant::now();
    let mut times = Vec::new();
    for _ in 0..IN_A_ROW {
        interrupt.check()?;
        times.push(subject.time("sbatch", &HELD)?);
    }
    let in_a_row = row("in a row", times, started.elapsed());

    let started = Instant::now();
    let times = thread::scope(|scope| {
        let calls = || (0..EACH).map(|_| subject.time("sbatch", &HELD)).collect::<Result<Vec<_>>>();
        let threads: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(calls)).collect();
        let joined = threads.into_iter().map(|it| it.join().expect("a caller does not panic"));
        joined.collect::<Result<Vec<_>>>()
    })?;
    let at_a_time = row("8 at a time", times.concat(), started.elapsed());
    Ok(vec![in_a_row, at_a_time])
}

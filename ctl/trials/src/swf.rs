//! Logs in the Standard Workload Format: one job a line, eighteen numbers, −1 for what is not
//! known. Source: Feitelson, "The Standard Workload Format", Parallel Workloads Archive.

use thiserror::Error;

/// A job, as the log has it. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number in the log.
    pub number: u64,
    pub submitted: u64,
    /// How long it ran, or would have: no longer than its limit.
    pub run: u64,
    /// What it asked for.
    pub limit: u64,
    pub processors: u64,
}

/// A machine's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `MaxProcs:` of the header, or else as many as the largest job needs.
    pub processors: u64,
    /// In the order of their submission.
    pub jobs: Vec<Job>,
    /// Lines that tell too little of a job to play it.
    pub skipped: usize,
}

/// A line that is not in the format.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {why}")]
pub struct SwfError {
    /// From 1.
    pub line: usize,
    pub why: &'static str,
}

/// Reads a log. What a job asked for counts before what it got, and where it named no time, it is
/// taken to have known how long it runs.
///
/// # Errors
/// Where a line has something else than numbers, or too few, or asks for more processors than
/// there are.
pub fn parse(text: &str) -> Result<Log, SwfError> {
    let (mut jobs, mut skipped, mut most) = (Vec::new(), 0, None);
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if let Some(comment) = text.strip_prefix(';') {
            if let Some(number) = comment.trim().strip_prefix("MaxProcs:") {
                most = number.trim().parse::<u64>().ok();
            }
        } else if !text.is_empty() {
            match job(text).map_err(|why| SwfError { line, why })? {
                Some(job) if most.is_some_and(|most| job.processors > most) => {
                    return Err(SwfError { line, why: "more processors than the machine has" });
                }
                Some(job) => jobs.push(job),
                None => skipped += 1,
            }
        }
    }
    jobs.sort_by_key(|job| job.submitted);
    let largest = jobs.iter().map(|job| job.processors).max();
    Ok(Log { processors: most.or(largest).unwrap_or(0), jobs, skipped })
}

fn job(text: &str) -> Result<Option<Job>, &'static str> {
    let mut fields = [-1.0_f64; 18];
    let mut words = text.split_whitespace();
    for (at, field) in fields.iter_mut().enumerate() {
        match words.next() {
            Some(word) => *field = word.parse().map_err(|_| "a number is wanted")?,
            // All that counts here stands in the first nine.
            None if at >= 9 => break,
            None => return Err("too few numbers"),
        }
    }
    let whole = |field: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
        (0.0..=1e12).contains(&field).then_some(field.round() as u64)
    };
    let known = |at: usize| whole(fields[at]).filter(|number| *number > 0);
    let (number, submitted, run) = (whole(fields[0]), whole(fields[1]), whole(fields[3]));
    let (processors, limit) = (known(7).or(known(4)), known(8).or(known(3)));
    let (Some(submitted), Some(run)) = (submitted, run) else { return Ok(None) };
    let (Some(processors), Some(limit)) = (processors, limit) else { return Ok(None) };
    let number = number.unwrap_or(0);
    Ok(Some(Job { number, submitted, run: run.min(limit), limit, processors }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOG: &str = "; MaxProcs: 8\n;\n\
        1 10 -1 100 4 -1 -1 8 50 -1 1 1 1 -1 -1 -1 -1 -1\n\
        2 5 -1 30 2 -1 -1 -1 -1\n\
        3 6 -1 -1 2 -1 -1 2 60\n\
        4 7 -1 0 2 -1 -1 2 60\n\
        5 7 -1 0 2 -1 -1 2 -1\n";

    #[test]
    fn what_was_asked_for_counts_before_what_was_had() {
        let log = parse(LOG).expect("it is in the format");
        let jobs: Vec<_> = log
            .jobs
            .iter()
            .map(|job| (job.number, job.submitted, job.run, job.limit, job.processors))
            .collect();
        assert_eq!(jobs, [(2, 5, 30, 30, 2), (4, 7, 0, 60, 2), (1, 10, 50, 50, 8)]);
        assert_eq!((log.processors, log.skipped), (8, 2));
    }

    #[test]
    fn what_is_not_in_the_format_is_refused_with_its_line() {
        let table = [
            ("; MaxProcs: 8\n1 2 3\n", 2, "too few numbers"),
            ("1 2 3 4 5 6 7 8 x\n", 1, "a number is wanted"),
            ("; MaxProcs: 8\n1 0 0 1 9 0 0 9 1\n", 2, "more processors than the machine has"),
        ];
        for (text, line, why) in table {
            assert_eq!(parse(text), Err(SwfError { line, why }));
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[0-9 .;:a-zA-Z\n-]{0,200}") {
            let _ = parse(&text);
        }
    }
}

//! What a soak comes to, for people and for programs.

#![expect(clippy::cast_precision_loss, reason = "figures to look at")]

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    drive::Driven,
    judge::{Judged, What},
    sample::Sample,
};

/// An interface: names are added, and none is renamed or taken away.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub jobs: usize,
    /// From the first submission to the last end.
    pub seconds: f64,
    pub jobs_per_s: f64,
    pub submission: Option<Latency>,
    /// When a quarter, a half, three quarters and all of the jobs had ended.
    pub quarters: Vec<Sample>,
    /// None where the run was too short for a judgement.
    pub judged: Option<Vec<Judged>>,
    pub complaints: Vec<String>,
    /// Nothing is to be complained of, and all has a bound.
    pub passed: bool,
}

/// Of acknowledged submissions, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    pub p50_us: u32,
    pub p99_us: u32,
    pub max_us: u32,
}

impl Latency {
    fn of(mut latencies: Vec<u32>) -> Option<Self> {
        latencies.sort_unstable();
        // The nearest rank.
        let at = |hundredths: usize| {
            let rank = (latencies.len() * hundredths).div_ceil(100).max(1);
            latencies.get(rank - 1).copied()
        };
        Some(Self { p50_us: at(50)?, p99_us: at(99)?, max_us: at(100)? })
    }
}

impl Summary {
    pub(super) fn of(
        driven: &Driven,
        judged: Option<Vec<Judged>>,
        complaints: Vec<String>,
    ) -> Self {
        let Driven { samples, seen, took } = driven;
        let jobs = seen.jobs.len();
        let bounded = judged.as_ref().is_some_and(|all| all.iter().all(|one| one.bounded));
        Self {
            jobs,
            seconds: took.as_secs_f64(),
            jobs_per_s: jobs as f64 / took.as_secs_f64(),
            submission: Latency::of(seen.latencies.clone()),
            quarters: quarters(samples),
            passed: bounded && complaints.is_empty(),
            judged,
            complaints,
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{} jobs in {:.0} s, {:.0} a second\n",
            self.jobs, self.seconds, self.jobs_per_s
        );
        if let Some(Latency { p50_us, p99_us, max_us }) = self.submission {
            let [p50, p99, max] = [p50_us, p99_us, max_us].map(|us| f64::from(us) / 1e3);
            let _ =
                writeln!(text, "submission: p50 {p50:.1} ms, p99 {p99:.1} ms, worst {max:.1} ms");
        }
        text.push_str("\nMiB          after      memory    peak     log  snapshots  history\n");
        for (place, sample) in self.quarters.iter().enumerate() {
            let percent = (place + 1) * 25;
            for (name, usage) in &sample.controllers {
                let [rss, peak, log, snapshots, history] = [
                    usage.rss_kib,
                    usage.peak_kib,
                    usage.log_kib,
                    usage.snapshots_kib,
                    usage.history_kib,
                ]
                .map(|kib| kib / 1024);
                let _ = writeln!(
                    text,
                    "{name:<10} {percent:>5} %  {rss:>8} {peak:>8} {log:>7} {snapshots:>10} \
                     {history:>8}"
                );
            }
        }
        self.judgement(&mut text);
        text
    }

    fn judgement(&self, text: &mut String) {
        match &self.judged {
            None => text.push_str("\nThe run was too short to say whether anything grows.\n"),
            Some(all) => {
                text.push_str(
                    "\nat most                       middle third   last third     growth   \
                     slope per million jobs\n",
                );
                for one in all {
                    let (share, unit) = match one.what {
                        What::Memory | What::Log | What::Snapshots => (1024.0, "MiB"),
                        What::HistoryPerJob => (1.0, "KiB"),
                    };
                    let [middle, last, slope] =
                        [one.middle_kib, one.last_kib, one.slope_kib].map(|kib| kib / share);
                    let _ = writeln!(
                        text,
                        "{:<8} {:<16} {unit} {middle:>13.1} {last:>12.1} {:>+9.1} % \
                         {slope:>+16.1}{}",
                        one.process,
                        one.what.name(),
                        one.growth() * 100.0,
                        if one.bounded { "" } else { "  GROWS" }
                    );
                }
            }
        }
        match self.complaints.as_slice() {
            [] => text.push_str(
                "\nEach job has one COMPLETED end in each history, and all digests agree.\n",
            ),
            complaints => {
                for complaint in complaints {
                    let _ = writeln!(text, "WRONG: {complaint}");
                }
            }
        }
    }
}

/// The first samples by which a quarter, a half, three quarters, and all had ended.
fn quarters(samples: &[Sample]) -> Vec<Sample> {
    let Some(last) = samples.last() else { return Vec::new() };
    let at = |quarter: u64| {
        let place = samples.partition_point(|sample| sample.ended * 4 < last.ended * quarter);
        samples.get(place).unwrap_or(last).clone()
    };
    (1..=4).map(at).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;
    use crate::{
        load::Seen,
        soak::{Usage, judge},
    };

    fn driven(rss: impl Fn(u64) -> u64) -> Driven {
        let sample = |at: u64| Sample {
            at_s: at as f64,
            acknowledged: at * 10,
            ended: at * 10,
            live: 1,
            submissions_per_s: 10.0,
            ends_per_s: 10.0,
            controllers: BTreeMap::from([(
                "ctl1".to_owned(),
                Usage { rss_kib: rss(at), history_kib: at * 30, ..Usage::default() },
            )]),
            fleet_rss_kib: None,
        };
        let latencies = (1..=200).rev().collect();
        let seen = Seen { latencies, jobs: (1..=400).collect(), ..Seen::default() };
        Driven { samples: (0..=40).map(sample).collect(), seen, took: Duration::from_secs(40) }
    }

    #[test]
    fn it_passes_where_nothing_grows_and_nothing_is_wrong() {
        let (flat, grows) = (driven(|_| 2_048), driven(|at| 2_048 + at * 500));
        let of = |driven: &Driven, complaints: &[&str]| {
            let complaints = complaints.iter().map(ToString::to_string).collect();
            Summary::of(driven, judge(&driven.samples, 0.1), complaints)
        };
        let good = of(&flat, &[]);
        assert!(good.passed, "{good:?}");
        assert_eq!(good.submission, Some(Latency { p50_us: 100, p99_us: 198, max_us: 200 }));
        let ended: Vec<u64> = good.quarters.iter().map(|sample| sample.ended).collect();
        assert_eq!(ended, [100, 200, 300, 400]);
        assert!(good.text().contains("400 jobs in 40 s, 10 a second"), "{}", good.text());
        let bad = of(&flat, &["job 7 has no end"]);
        assert!(!bad.passed && bad.text().contains("WRONG: job 7 has no end"));
        let bad = of(&grows, &[]);
        assert!(!bad.passed && bad.text().contains("GROWS"), "{}", bad.text());
        let short = Summary::of(&flat, None, Vec::new());
        assert!(!short.passed && short.text().contains("too short"));
    }
}

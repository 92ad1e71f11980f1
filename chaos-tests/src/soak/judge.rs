//! Whether what the controllers use is bounded: the last third of the run against the middle one.
//! The first third is left out: in it they come to their working size.
//!
//! The history grows by what it is for, as a ledger does. What must not grow is what a job takes
//! of it.

#![expect(clippy::cast_precision_loss, reason = "figures to look at")]

use serde::Serialize;

use super::sample::{FLEET, Sample, Usage};

/// How many samples each third must have for a judgement.
const LEAST: usize = 5;

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Memory,
    Log,
    Snapshots,
    HistoryPerJob,
}

const ALL: [What; 4] = [What::Memory, What::Log, What::Snapshots, What::HistoryPerJob];

impl What {
    /// KiB; of [`Self::HistoryPerJob`] for each ended job.
    fn of(self, usage: &Usage, sample: &Sample) -> f64 {
        match self {
            Self::Memory => usage.rss_kib as f64,
            Self::Log => usage.log_kib as f64,
            Self::Snapshots => usage.snapshots_kib as f64,
            Self::HistoryPerJob => usage.history_kib as f64 / sample.ended.max(1) as f64,
        }
    }

    /// What stands for all of these amounts: the most of them. Of snapshots the median: while a
    /// new one takes the place of the old, both are there, and it is chance whether a sample falls
    /// into that moment.
    fn figure(self, amounts: impl Iterator<Item = f64>) -> f64 {
        match self {
            Self::Memory | Self::Log | Self::HistoryPerJob => amounts.fold(0.0, f64::max),
            Self::Snapshots => {
                let mut amounts: Vec<f64> = amounts.collect();
                amounts.sort_unstable_by(f64::total_cmp);
                amounts.get(amounts.len() / 2).copied().unwrap_or(0.0)
            }
        }
    }

    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Log => "log",
            Self::Snapshots => "snapshots",
            Self::HistoryPerJob => "history, per job",
        }
    }
}

/// One measure of one controller, or the memory of all nodes. All amounts are KiB.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    pub process: String,
    pub what: What,
    /// The most in the middle third, and in the last; of snapshots the median.
    pub middle_kib: f64,
    pub last_kib: f64,
    /// How much it grew for each million ended jobs, by the line of least squares through the
    /// last two thirds.
    pub slope_kib: f64,
    pub bounded: bool,
}

impl Judged {
    /// The last third's amount over the middle one's: 0 is no growth.
    #[must_use]
    pub fn growth(&self) -> f64 {
        self.last_kib / self.middle_kib.max(f64::MIN_POSITIVE) - 1.0
    }
}

/// Judges all measures. `growth` is the share by which the last third may exceed the middle one.
/// None where the run was too short to say.
#[must_use]
pub fn judge(samples: &[Sample], growth: f64) -> Option<Vec<Judged>> {
    let (first, last) = (samples.first()?.at_s, samples.last()?.at_s);
    let third = (last - first) / 3.0;
    let from = |at: f64| samples.partition_point(|sample| sample.at_s < at);
    let (middle, end) = (from(first + third), from(first + 2.0 * third));
    let (middle, last) = (&samples[middle..end], &samples[end..]);
    if middle.len() < LEAST || last.len() < LEAST {
        return None;
    }
    let controllers: Vec<&String> = samples.last()?.controllers.keys().collect();
    let one = |process: &str, what: What| {
        let of = |sample: &Sample| match sample.controllers.get(process) {
            Some(usage) => Some(what.of(usage, sample)),
            None => sample.fleet_rss_kib.map(|kib| kib as f64),
        };
        let points = |samples: &[Sample]| -> Vec<(f64, f64)> {
            let point = |sample: &Sample| Some((sample.ended as f64 / 1e6, of(sample)?));
            samples.iter().filter_map(point).collect()
        };
        let (middle, last) = (points(middle), points(last));
        let figure = |points: &[(f64, f64)]| what.figure(points.iter().map(|(_, y)| *y));
        let mut judged = Judged {
            process: process.to_owned(),
            what,
            middle_kib: figure(&middle),
            last_kib: figure(&last),
            slope_kib: slope(&[middle, last].concat()),
            bounded: true,
        };
        judged.bounded = judged.growth() <= growth;
        judged
    };
    let each = controllers.into_iter().flat_map(|name| ALL.map(|what| one(name, what)));
    let fleet = samples.last()?.fleet_rss_kib.map(|_| one(FLEET, What::Memory));
    Some(each.chain(fleet).collect())
}

/// Of the line of least squares; 0 where all points are above each other.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len().max(1) as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let below: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if below > 0.0 { above / below } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Sixty samples of one controller, whose memory is as `rss` says.
    fn samples(rss: impl Fn(u64) -> u64) -> Vec<Sample> {
        let sample = |at: u64| {
            let usage = Usage {
                rss_kib: rss(at),
                log_kib: 1_000 + at % 7 * 300,
                snapshots_kib: 500,
                history_kib: at * 1_000,
                ..Usage::default()
            };
            Sample {
                at_s: at as f64,
                acknowledged: at * 1_000,
                ended: at * 1_000,
                live: 10,
                submissions_per_s: 0.0,
                ends_per_s: 0.0,
                controllers: BTreeMap::from([("ctl1".to_owned(), usage)]),
                fleet_rss_kib: Some(700_000),
            }
        };
        (0..60).map(sample).collect()
    }

    fn memory(rss: impl Fn(u64) -> u64) -> Judged {
        let judged = judge(&samples(rss), 0.1).expect("long enough");
        assert_eq!(judged.len(), ALL.len() + 1);
        let own = |one: &Judged| one.what == What::Memory && one.process == "ctl1";
        let others = judged.iter().filter(|one| !own(one));
        assert!(others.clone().all(|one| one.bounded), "{judged:?}");
        judged.into_iter().find(own).expect("it is judged")
    }

    #[test]
    fn what_levels_off_is_bounded_and_what_goes_on_is_not() {
        let level = memory(|at| 100_000 + at.min(15) * 20_000 + at % 3);
        assert!(level.bounded && level.growth() < 1e-4 && level.slope_kib.abs() < 1e3, "{level:?}");
        let leak = memory(|at| 100_000 + at * 2_000);
        assert!(!leak.bounded, "{leak:?}");
        // A sample is a thousand jobs.
        assert!((leak.slope_kib - 2e6).abs() < 1.0, "{leak:?}");
        assert!((leak.growth() - 218.0 / 178.0 + 1.0).abs() < 1e-9, "{leak:?}");
    }

    #[test]
    fn a_second_snapshot_for_a_moment_is_no_growth_and_a_larger_one_is() {
        let bounded = |snapshots: fn(u64) -> u64| {
            let mut samples = samples(|_| 1_000);
            for (place, sample) in (0..).zip(&mut samples) {
                let usage = sample.controllers.get_mut("ctl1").expect("it is there");
                usage.snapshots_kib = snapshots(place);
            }
            let judged = judge(&samples, 0.1).expect("long enough");
            judged.iter().all(|one| one.bounded)
        };
        assert!(bounded(|at| if at % 9 == 8 && at > 40 { 1_000 } else { 500 }));
        assert!(!bounded(|at| 500 + at * 5));
    }

    #[test]
    fn the_nodes_memory_is_judged_too() {
        let mut samples = samples(|_| 1_000);
        for (place, sample) in samples.iter_mut().enumerate() {
            sample.fleet_rss_kib = Some(1_000 + 100 * place as u64);
        }
        let judged = judge(&samples, 0.1).expect("long enough");
        let grow: Vec<&Judged> = judged.iter().filter(|one| !one.bounded).collect();
        assert_eq!(grow.len(), 1, "{judged:?}");
        assert_eq!(grow[0].process, FLEET);
    }

    #[test]
    fn a_short_run_says_nothing() {
        assert_eq!(judge(&samples(|_| 1)[..12], 0.1), None);
        assert_eq!(judge(&[], 0.1), None);
    }
}

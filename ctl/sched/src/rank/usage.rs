//! What associations have used, by what it still counts.

use common::{
    account::Accounts,
    config::Priority,
    job::{Charge, Phase},
    machine::{Bucket, State},
    time::Timestamp,
};

use super::Standings;

/// By how much the past counts less than the present.
///
/// Only multiplied and added up, so that every machine comes to the same.
struct Decay {
    /// What a second leaves of it. Slurm's constant, not quite the logarithm of 2.
    second: f64,
}

impl Decay {
    fn of(priority: &Priority) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "no half-life is that exact")]
        let lost = priority.half_life.map_or(0.0, |span| 693.0 / span.0 as f64);
        Self { second: (1.0 - lost).max(0.0) }
    }

    /// What is left after so many seconds.
    fn after(&self, mut seconds: u64) -> f64 {
        let (mut left, mut power) = (1.0, self.second);
        while seconds > 0 && left > 0.0 {
            if seconds & 1 == 1 {
                left *= power;
            }
            power *= power;
            seconds >>= 1;
        }
        left
    }

    /// What so many seconds that have just passed still count.
    fn sum(&self, seconds: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "no run is that long")]
        let whole = seconds as f64;
        let lost = 1.0 - self.second;
        if lost == 0.0 { whole } else { (1.0 - self.after(seconds)) / lost }
    }
}

/// What each association has used, with all below it, in seconds of billed units: those by their
/// places in the table.
pub(super) fn used(
    view: &State,
    accounts: &Accounts,
    priority: &Priority,
    now: Timestamp,
    standings: &mut Standings,
) -> Vec<f64> {
    let decay = Decay::of(priority);
    let reset = priority.reset.last(now);
    let mut used = vec![0.0; accounts.associations().len()];
    for (owner, buckets) in view.usage.iter() {
        let own = accounts.association(
            &owner.user,
            &owner.account,
            owner.partition.as_deref().unwrap_or_default(),
        );
        // What a user has used who is gone stays with the account.
        let own = own.map(|(at, _)| at).or_else(|| accounts.account(&owner.account));
        let Some(own) = own else { continue };
        let counts = buckets.iter().filter(|bucket| bucket.times().start >= reset);
        used[own] += counts.map(|bucket| left(bucket, &decay, now)).sum::<f64>();
    }
    for (node, jobs) in &view.holding {
        for id in jobs {
            let Some(job) = view.jobs.get(id) else { continue };
            let Some(run) = job.holding().filter(|run| run.batch_host() == node) else { continue };
            let Some(own) = standings.association(accounts, job, job.partition.as_str()) else {
                continue;
            };
            let until = match &job.phase {
                Phase::Completing { end, .. } => end.at.min(now),
                Phase::Active(_) | Phase::Pending | Phase::Ended { .. } => now,
            };
            let seconds = until.since(run.started.max(reset)).seconds();
            let since = decay.after(now.since(until).seconds());
            used[own] += units(run.charge().0) * since * decay.sum(seconds);
        }
    }
    // A parent stands before its children.
    for (at, one) in accounts.associations().iter().enumerate().rev() {
        if let Some(parent) = one.parent {
            used[parent as usize] += used[at];
        }
    }
    used
}

fn left(bucket: &Bucket, decay: &Decay, now: Timestamp) -> f64 {
    let times = bucket.times();
    let middle = Timestamp(times.start.0.midpoint(times.end.min(now.max(times.start)).0));
    units(bucket.amount) * decay.after(now.since(middle).seconds())
}

fn units(millionths: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "shares are of what all have used")]
    let units = millionths as f64 / Charge::UNIT as f64;
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < right.abs() * 1e-3
    }

    #[test]
    fn after_a_half_life_half_of_it_counts() {
        let week = 7 * 86_400;
        let decay = Decay { second: 1.0 - 0.693 / f64::from(week) };
        assert!(near(decay.after(u64::from(week as u32)), 0.5));
        assert!(near(decay.after(2 * u64::from(week as u32)), 0.25));
        assert!(near(decay.sum(3_600), 3_600.0 * 0.998), "{}", decay.sum(3_600));
        assert_eq!(decay.after(u64::MAX), 0.0);
    }

    #[test]
    fn without_a_half_life_all_counts() {
        let decay = Decay { second: 1.0 };
        assert_eq!(decay.after(1 << 40), 1.0);
        assert_eq!(decay.sum(1_000), 1_000.0);
    }
}

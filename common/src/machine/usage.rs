//! What the runs that are over have used, by whose they were and when.
//!
//! Nothing decays here: amounts stand by the hours in which they were used, and whoever reads them
//! weighs them by their age ([`Usage::iter`]). So neither the clock nor a change of the half-life
//! is an event. What is older is told less exactly: by the hour for two days, by the day (UTC) for
//! 400 days, and then by 32 days.
//!
//! **Invariant:** it only grows, and follows from the log alone.

use std::{ops::Range, sync::Arc};

use imbl::OrdMap;

use crate::{
    account::Accounts,
    job::{Charge, Job},
    time::Timestamp,
};

const HOUR_MS: u64 = 3_600_000;
const DAY: u32 = 24;
const BLOCK: u32 = 32 * DAY;

/// Whole days that hours are told apart, and that days are.
const DAYS_OF_HOURS: u32 = 2;
const DAYS_OF_DAYS: u32 = 400;

/// A user's association, by names: a table that is loaded anew keeps what was used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    pub account: String,
    pub user: String,
    /// Of an association that is for one partition alone.
    pub partition: Option<String>,
}

impl Owner {
    /// Whose usage a run of the job is; nobody's, where the job has no association.
    #[must_use]
    pub fn of(accounts: &Accounts, job: &Job) -> Option<Self> {
        let account = job.spec.account.as_deref()?;
        let user = &job.spec.user_name;
        let (_, own) = accounts.association(user, account, job.partition.as_str())?;
        let (account, user) = (account.to_owned(), user.clone());
        Some(Self { account, user, partition: own.partition.clone() })
    }
}

/// What was used in some hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Since 1970-01-01T00:00:00Z.
    pub hour: u32,
    pub hours: u32,
    /// Seconds of billed units, in millionths.
    pub amount: u64,
}

impl Bucket {
    /// When it began, and when it was over.
    #[must_use]
    pub fn times(&self) -> Range<Timestamp> {
        let at = |hour: u32| Timestamp(u64::from(hour) * HOUR_MS);
        at(self.hour)..at(self.hour.saturating_add(self.hours))
    }

    /// The empty one into which what was used in this hour belongs, in some hour `now`.
    fn around(hour: u32, now: u32) -> Self {
        let days_ago = |hour: u32| (now / DAY).saturating_sub(hour / DAY);
        let block = hour / BLOCK * BLOCK;
        let (hour, hours) = if days_ago(block + BLOCK - 1) >= DAYS_OF_DAYS {
            (block, BLOCK)
        } else if days_ago(hour) >= DAYS_OF_HOURS {
            (hour / DAY * DAY, DAY)
        } else {
            (hour, 1)
        };
        Self { hour, hours, amount: 0 }
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage(OrdMap<Owner, Arc<Vec<Bucket>>>);

impl Usage {
    /// Whose there is.
    pub fn iter(&self) -> impl Iterator<Item = (&Owner, &[Bucket])> {
        self.0.iter().map(|(owner, buckets)| (owner, buckets.as_slice()))
    }

    /// Puts back what [`Usage::iter`] gave.
    pub fn insert(&mut self, owner: Owner, buckets: Vec<Bucket>) {
        self.0.insert(owner, Arc::new(buckets));
    }

    /// Counts a run that lasted from one moment to another.
    pub(super) fn add(
        &mut self,
        owner: Owner,
        charge: Charge,
        (from, until): (Timestamp, Timestamp),
        now: Timestamp,
    ) {
        if until <= from || charge.0 == 0 {
            return;
        }
        let now = hour_of(now);
        let buckets = Arc::make_mut(self.0.entry(owner).or_default());
        coarsen(buckets, now);
        let mut from = from;
        while from < until {
            let bucket = Bucket::around(hour_of(from), now);
            let end = bucket.times().end.min(until);
            let amount = amount(charge, end.since(from).0);
            let place = buckets.binary_search_by_key(&bucket.hour, |known| known.hour);
            match place {
                Ok(at) => buckets[at].amount = buckets[at].amount.saturating_add(amount),
                Err(at) => buckets.insert(at, Bucket { amount, ..bucket }),
            }
            from = end;
        }
    }
}

fn hour_of(at: Timestamp) -> u32 {
    // Blocks reach beyond the hour.
    u32::try_from(at.0 / HOUR_MS).unwrap_or(u32::MAX).min(u32::MAX - 2 * BLOCK)
}

/// In millionths of a unit, for one second.
fn amount(charge: Charge, milliseconds: u64) -> u64 {
    let product = u128::from(charge.0) * u128::from(milliseconds) / 1_000;
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// Puts together what need no longer be told apart.
fn coarsen(buckets: &mut Vec<Bucket>, now: u32) {
    let fine = |bucket: &Bucket| bucket.hours < Bucket::around(bucket.hour, now).hours;
    if !buckets.iter().any(fine) {
        return;
    }
    let mut coarse: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets.drain(..) {
        let around = Bucket::around(bucket.hour, now);
        let into =
            if around.hours > bucket.hours { around } else { Bucket { amount: 0, ..bucket } };
        match coarse.last_mut() {
            Some(last) if last.hour == into.hour => {
                last.amount = last.amount.saturating_add(bucket.amount);
            }
            Some(_) | None => coarse.push(Bucket { amount: bucket.amount, ..into }),
        }
    }
    *buckets = coarse;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner { account: "a".into(), user: "alice".into(), partition: None }
    }

    fn hours(hours: u64) -> Timestamp {
        Timestamp(hours * HOUR_MS)
    }

    fn told(usage: &Usage) -> Vec<(u32, u32, u64)> {
        let of_owner = usage.iter().next().map(|(_, buckets)| buckets.to_vec());
        let row = |bucket: &Bucket| (bucket.hour, bucket.hours, bucket.amount / Charge::UNIT);
        of_owner.unwrap_or_default().iter().map(row).collect()
    }

    #[test]
    fn a_run_counts_in_each_hour_that_it_lasted() {
        let mut usage = Usage::default();
        let run = (Timestamp(hours(100).0 + HOUR_MS / 2), Timestamp(hours(102).0 + 1_000));
        usage.add(owner(), Charge(2 * Charge::UNIT), run, run.1);
        assert_eq!(told(&usage), [(100, 1, 3_600), (101, 1, 7_200), (102, 1, 2)]);
        usage.add(owner(), Charge(Charge::UNIT), (hours(101), hours(102)), run.1);
        assert_eq!(told(&usage), [(100, 1, 3_600), (101, 1, 10_800), (102, 1, 2)]);
    }

    #[test]
    fn what_is_old_is_told_by_the_day_and_then_by_blocks_of_days() {
        let mut usage = Usage::default();
        let unit = Charge(Charge::UNIT);
        usage.add(owner(), unit, (hours(24), hours(26)), hours(26));
        usage.add(owner(), unit, (hours(49), hours(50)), hours(50));
        assert_eq!(told(&usage), [(24, 1, 3_600), (25, 1, 3_600), (49, 1, 3_600)]);
        usage.add(owner(), unit, (hours(72), hours(73)), hours(73));
        assert_eq!(told(&usage), [(24, 24, 7_200), (49, 1, 3_600), (72, 1, 3_600)]);
        let later = 24 * 600;
        usage.add(owner(), unit, (hours(later), hours(later + 1)), hours(later + 1));
        let block = (0, 32 * 24, 14_400);
        assert_eq!(told(&usage), [block, (24 * 600, 1, 3_600)]);
        // A run that ends so late that its beginning is old.
        let from = hours(later - 24 * 3);
        usage.add(owner(), unit, (from, hours(later - 24 * 2 + 1)), hours(later + 1));
        let days = [(24 * 597, 24, 86_400), (24 * 598, 24, 3_600)];
        assert_eq!(told(&usage), [block, days[0], days[1], (24 * 600, 1, 3_600)]);
    }

    #[test]
    fn it_holds_what_was_used_however_long_ago() {
        let mut usage = Usage::default();
        let mut now = 0;
        let mut total = 0;
        for step in 0..3_000_u64 {
            now += step % 97;
            let length = step % 31;
            let run = (hours(now.saturating_sub(length)), hours(now));
            usage.add(owner(), Charge(Charge::UNIT), run, hours(now));
            total += (now - now.saturating_sub(length)) * 3_600;
        }
        let buckets = told(&usage);
        assert_eq!(buckets.iter().map(|(.., amount)| amount).sum::<u64>(), total);
        let apart = |pair: &[(u32, u32, u64)]| pair[0].0 + pair[0].1 <= pair[1].0;
        assert!(buckets.windows(2).all(apart), "no hour is counted twice: {buckets:?}");
        assert!(buckets.len() < 700, "{}", buckets.len());
    }
}

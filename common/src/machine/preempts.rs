//! Who makes way for whom, as the configuration and the QOS say.

use crate::{
    account::{Accounts, Qos},
    config::{Config, PartitionConf, PreemptMode, PreemptType, Preemption},
    job::Job,
    machine::State,
    time::{Span, Timestamp},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Preempts<'a> {
    config: &'a Config,
    accounts: Option<&'a Accounts>,
}

impl<'a> Preempts<'a> {
    /// None where nobody makes way for anybody.
    #[must_use]
    pub fn of(state: &'a State) -> Option<Self> {
        let config = state.config.as_deref().filter(|config| config.preemption.is_on())?;
        Some(Self { config, accounts: state.accounts.as_deref() })
    }

    #[must_use]
    pub fn settings(&self) -> Preemption {
        self.config.preemption
    }

    fn qos(&self, job: &Job) -> Option<&'a Qos> {
        let (_, qos) = self.accounts?.qos(job.spec.qos.as_deref()?)?;
        Some(qos)
    }

    fn partition(&self, job: &Job) -> Option<&'a PartitionConf> {
        self.config.partition(job.partition.as_str())
    }

    /// Whether anybody could make way for a job, as it waits in one partition.
    #[must_use]
    pub fn may(&self, job: &Job) -> bool {
        match self.config.preemption.by {
            PreemptType::None => false,
            PreemptType::PartitionPrio => self.partition(job).is_some_and(|own| {
                self.config.partitions.iter().any(|other| other.priority_tier < own.priority_tier)
            }),
            PreemptType::Qos => {
                self.qos(job).is_some_and(|own| !own.preemption.preempts.is_empty())
            }
        }
    }

    /// What becomes of `victim` where it makes way for `job` at this moment; none where it does
    /// not.
    #[must_use]
    pub fn mode(&self, job: &Job, victim: &Job, now: Timestamp) -> Option<PreemptMode> {
        let below = match self.config.preemption.by {
            PreemptType::None => false,
            PreemptType::PartitionPrio => {
                let tier = |job| self.partition(job).map(|conf| conf.priority_tier);
                tier(victim).zip(tier(job)).is_some_and(|(theirs, own)| theirs < own)
            }
            PreemptType::Qos => {
                let theirs = self.qos(victim);
                self.qos(job).zip(theirs).is_some_and(|(own, theirs)| {
                    own.name != theirs.name && own.preemption.preempts.contains(&theirs.name)
                })
            }
        };
        // Of a heterogeneous job one component can't make way alone, nor can others for one.
        let het = job.het().or(victim.het()).is_some();
        if het || !below || self.eligible(victim).is_none_or(|eligible| eligible > now) {
            return None;
        }
        match self.mode_of(victim) {
            PreemptMode::Off => None,
            PreemptMode::Requeue if !victim.requeue => Some(PreemptMode::Cancel),
            mode @ (PreemptMode::Cancel | PreemptMode::Requeue) => Some(mode),
        }
    }

    fn mode_of(&self, victim: &Job) -> PreemptMode {
        let own = match self.config.preemption.by {
            PreemptType::None => None,
            PreemptType::PartitionPrio => self.partition(victim).and_then(|own| own.preempt_mode),
            PreemptType::Qos => self.qos(victim).and_then(|own| own.preemption.mode),
        };
        own.unwrap_or(self.config.preemption.mode)
    }

    /// How long the run of a job that makes way is given to end by itself.
    #[must_use]
    pub fn grace(&self, victim: &Job) -> Span {
        let seconds = match self.config.preemption.by {
            PreemptType::None => None,
            PreemptType::PartitionPrio => self.partition(victim).map(|own| own.grace_time),
            PreemptType::Qos => self.qos(victim).map(|own| own.preemption.grace_time),
        };
        Span::from_seconds(u64::from(seconds.unwrap_or(0)))
    }

    /// From when on a job that runs may have to make way (`PreemptExemptTime`); none for one that
    /// never does.
    #[must_use]
    pub fn eligible(&self, victim: &Job) -> Option<Timestamp> {
        let run = victim.holding().filter(|_| self.mode_of(victim) != PreemptMode::Off)?;
        let own = self.qos(victim).and_then(|own| own.preemption.exempt);
        let exempt = own.unwrap_or(self.config.preemption.exempt);
        Some(run.started + Span::from_seconds(u64::from(exempt)))
    }

    /// Who makes way first: the lower.
    #[must_use]
    pub fn rank(&self, victim: &Job) -> u64 {
        let prio = match self.config.preemption.by {
            PreemptType::None => 0,
            PreemptType::PartitionPrio => {
                self.partition(victim).map_or(0, |own| u32::from(own.priority_tier))
            }
            PreemptType::Qos => self.qos(victim).map_or(0, |own| own.priority),
        };
        let nodes = victim.holding().map_or(0, |run| run.places.len());
        u64::from(prio) << 16 | (nodes as u64).min(0xFFFF)
    }
}

//! What a run is told.

use std::{path::PathBuf, time::Duration};

/// Runs a cluster of real processes under faults, and checks what came of it.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Draw the faults from this seed [default: one that is drawn, and shown]
    #[arg(long, value_name = "N", conflicts_with = "plan")]
    pub seed: Option<u64>,
    /// Put the faults of this file: lines such as `at 12s for 5s kill leader`
    ///
    /// What: kill, pause, power, eio, stall MILLISECONDS, full, memory, restart, replace, takeover,
    /// loss, slow, expiry, clock SECONDS (such as -600), and cut all, peers, minority, majority,
    /// deaf, mute, bridge. Whom: leader, follower, controllers (all of them), node, or a name such
    /// as ctl2 or n1. After `#` come comments. Each run leaves its plan beside its record.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// For how long faults are put
    #[arg(long, value_name = "M", default_value_t = 2.0)]
    pub minutes: f64,
    /// Instead: fault after fault on whoever leads, so many
    #[arg(long, value_name = "K", conflicts_with_all = ["plan", "minutes"])]
    pub leader_faults: Option<u32>,
    /// How many controllers
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u8).range(3..=5))]
    pub controllers: u8,
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u8).range(1..=16))]
    pub nodes: u8,
    /// As how many CPUs each node poses
    #[arg(long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub cpus: u32,
    /// How many people call commands, each on a host
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub people: u8,
    /// How many hosts there are beside controllers and nodes
    #[arg(long, value_name = "N", default_value_t = 2, hide = true)]
    pub clients: u8,
    /// How many commands all people together call in a second
    #[arg(long, value_name = "N", default_value_t = 5.0)]
    pub rate: f64,
    /// Where the record is written; it must be new or empty [default: chaos-SEED]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Use the programs in this folder
    #[arg(long, value_name = "DIR")]
    pub programs: PathBuf,
    /// What raises the cluster [default: xtask, beside the programs]
    #[arg(long, value_name = "FILE", hide = true)]
    pub xtask: Option<PathBuf>,
    /// One line more for the slurm.conf
    #[arg(long, value_name = "KEY=VALUE", hide = true)]
    pub set: Vec<String>,
}

/// How long a node may be silent. Less than Slurm's 300 s, so that faults can outlast it.
pub(super) const SLURMD_TIMEOUT: u64 = 20;

impl Options {
    pub(super) fn xtask(&self) -> PathBuf {
        self.xtask.clone().unwrap_or_else(|| self.programs.join("xtask"))
    }

    /// Where the record is written.
    pub(super) fn out(&self, seed: u64) -> PathBuf {
        self.out.clone().unwrap_or_else(|| PathBuf::from(format!("chaos-{seed}")))
    }

    /// More lines for the cluster's configuration.
    pub(super) fn settings(&self) -> Vec<String> {
        let ours = [
            format!("SlurmdTimeout={SLURMD_TIMEOUT}"),
            "KillWait=2".to_owned(),
            "MessageTimeout=10".to_owned(),
            // So often that a run has some, and that who was away for long needs one.
            "RafterSnapshotEvery=400".to_owned(),
            "RafterLogKeep=100".to_owned(),
        ];
        ours.into_iter().chain(self.set.iter().cloned()).collect()
    }

    /// For how long faults are put.
    pub(super) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.minutes.clamp(0.1, 10_000.0) * 60.0)
    }

    /// The time between two commands of one of the people.
    pub(super) fn rest(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.people) / self.rate.clamp(0.01, 10_000.0))
    }

    /// What repeats the run.
    pub(super) fn command(&self, seed: u64) -> String {
        let mut words = vec!["cargo xtask chaos".to_owned()];
        match (&self.plan, self.leader_faults) {
            (Some(plan), _) => words.push(format!("--plan {}", plan.display())),
            (None, Some(count)) => words.push(format!("--seed {seed} --leader-faults {count}")),
            (None, None) => words.push(format!("--seed {seed}")),
        }
        if self.leader_faults.is_none() && self.plan.is_none() {
            words.push(format!("--minutes {}", self.minutes));
        }
        let Self { controllers, nodes, cpus, people, rate, .. } = self;
        words.push(format!(
            "--controllers {controllers} --nodes {nodes} --cpus {cpus} --people {people} \
             --rate {rate}"
        ));
        words.join(" ")
    }
}

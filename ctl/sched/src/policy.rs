//! How a cluster wants its queues planned: `SchedulerType`, and what counts of
//! `SchedulerParameters` (slurm.conf(5)).

use common::{config::Config, time::Span};

/// Who may start before whom, and how far ahead is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `sched/builtin`: nobody passes a job of the same partition that waits.
    pub strict: bool,
    /// `bf_window`: a job that would start later gets no nodes kept, unless it is its partition's
    /// first. Slurm's default is a day, for a wider one costs it more.
    pub window: Span,
    /// `bf_resolution`: the length of the shortest slot where there are too many ends.
    pub resolution: Span,
    /// `bf_max_job_test`: so many jobs are looked at. All, where nothing is said.
    pub jobs: Option<u32>,
    /// `bf_max_job_user`
    pub jobs_of_user: Option<u32>,
    /// `bf_max_job_part`
    pub jobs_of_partition: Option<u32>,
    /// `bf_max_job_user_part`
    pub jobs_of_user_in_partition: Option<u32>,
    /// `bf_job_part_count_reserve`: for so many jobs of a partition nodes are kept. With 1 that is
    /// EASY backfill. All, where nothing is said.
    pub reservations: Option<u32>,
}

/// Conservative backfill over all jobs.
const DEFAULTS: Policy = Policy {
    strict: false,
    window: Span::from_minutes(7 * 24 * 60),
    resolution: Span::from_seconds(60),
    jobs: None,
    jobs_of_user: None,
    jobs_of_partition: None,
    jobs_of_user_in_partition: None,
    reservations: None,
};

impl Policy {
    /// What the configuration says. Its values were checked where it entered.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let mut policy = DEFAULTS;
        if let Some(kind) = config.settings.get("SchedulerType") {
            policy.strict = kind.to_ascii_lowercase().ends_with("builtin");
        }
        let options = config.settings.get("SchedulerParameters").map_or("", String::as_str);
        for option in options.split(',') {
            let Some((name, value)) = option.split_once('=') else { continue };
            let Ok(value) = value.trim().parse::<u32>() else { continue };
            policy.set(&name.trim().to_ascii_lowercase(), value);
        }
        policy
    }

    fn set(&mut self, name: &str, value: u32) {
        // 0 is no limit, as the manual has it.
        let limit = (value > 0).then_some(value);
        match name {
            "bf_window" => self.window = Span::from_minutes(u64::from(value.max(1))),
            "bf_resolution" => self.resolution = Span::from_seconds(u64::from(value.max(1))),
            "bf_max_job_test" => self.jobs = limit,
            "bf_max_job_user" => self.jobs_of_user = limit,
            "bf_max_job_part" => self.jobs_of_partition = limit,
            "bf_max_job_user_part" => self.jobs_of_user_in_partition = limit,
            "bf_job_part_count_reserve" => self.reservations = limit,
            _ => {}
        }
    }
}

//! Who makes way for whom (`PreemptType` and its like in slurm.conf(5)).

use super::{
    Config,
    record::{Record, Setting, number, word},
    report::Report,
};
use crate::time;

/// What is configured for the whole cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preemption {
    pub by: PreemptType,
    /// Where neither the partition nor the QOS says.
    pub mode: PreemptMode,
    /// `PreemptExemptTime`: for so many seconds nobody makes way, where the QOS does not say.
    pub exempt: u32,
    /// `preempt_youngest_first`: whoever started last makes way first.
    pub youngest_first: bool,
    /// `preempt_reorder_count`: how often another order is tried, so that fewer make way. None:
    /// once.
    pub reorder_count: Option<u32>,
}

/// Who may preempt whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PreemptType {
    #[default]
    None,
    /// Jobs of a partition with a higher `PriorityTier`, those of one with a lower.
    PartitionPrio,
    /// Jobs of a QOS, those of the QOS that it lists.
    Qos,
}

/// What becomes of a job that makes way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PreemptMode {
    /// It does not.
    #[default]
    Off,
    Cancel,
    /// It waits again, where it may be requeued; else it is cancelled.
    Requeue,
}

impl PreemptMode {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Cancel => "CANCEL",
            Self::Requeue => "REQUEUE",
        }
    }

    /// Reads Slurm's word for it.
    ///
    /// # Errors
    /// Why it is none that is known here.
    pub fn parse(value: &str) -> Result<Self, String> {
        let known = [Self::Off, Self::Cancel, Self::Requeue];
        if let Some(mode) = known.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(value)) {
            return Ok(mode);
        }
        for option in value.split(',').map(str::trim) {
            let why = match option.to_ascii_uppercase().as_str() {
                "SUSPEND" | "GANG" => "jobs are not suspended",
                "WITHIN" => "nobody makes way for a job of his own QOS",
                "PRIORITY" => "the priorities of jobs are not compared",
                _ => continue,
            };
            return Err(format!("{option} is refused: {why}"));
        }
        Err("OFF, CANCEL or REQUEUE is wanted".to_owned())
    }
}

impl Preemption {
    /// Whether anybody may make way at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.by != PreemptType::None
    }
}

pub(super) fn fill(config: &mut Config, cluster: &Record, report: &mut Report) {
    let preemption = &mut config.preemption;
    let kind = word(&[
        ("preempt/none", PreemptType::None),
        ("none", PreemptType::None),
        ("(null)", PreemptType::None),
        ("preempt/partition_prio", PreemptType::PartitionPrio),
        ("preempt/qos", PreemptType::Qos),
    ]);
    cluster.set("PreemptType", &mut preemption.by, report, kind);
    cluster.set("PreemptMode", &mut preemption.mode, report, PreemptMode::parse);
    cluster.set("PreemptExemptTime", &mut preemption.exempt, report, exempt);
    for key in ["SchedulerParameters", "PreemptParameters"] {
        let Some(Options { youngest, reorder }) = cluster.read(key, report, options) else {
            continue;
        };
        preemption.youngest_first |= youngest;
        preemption.reorder_count = reorder.or(preemption.reorder_count);
    }
    // As in Slurm, the two have to be said together.
    let is_on = preemption.is_on();
    if is_on != (preemption.mode != PreemptMode::Off)
        && let Some(Setting { place, .. }) =
            cluster.get("PreemptType").or_else(|| cluster.get("PreemptMode"))
    {
        let text = if is_on {
            "PreemptType asks for a PreemptMode of CANCEL or REQUEUE"
        } else {
            "PreemptMode asks for a PreemptType of preempt/partition_prio or preempt/qos"
        };
        report.problem(place, text);
    }
}

/// Seconds of `PreemptExemptTime`; none where it is `-1`.
pub(crate) fn exempt(value: &str) -> Result<u32, String> {
    if value == "-1" {
        return Ok(0);
    }
    let wanted = || "a time is wanted".to_owned();
    let span = time::parse_span(value).map_err(|_| wanted())?.ok_or_else(wanted)?;
    u32::try_from(span.seconds()).map_err(|_| wanted())
}

struct Options {
    youngest: bool,
    reorder: Option<u32>,
}

/// What a list of options says of preemption. In one list they begin with `preempt_`.
fn options(value: &str) -> Result<Options, String> {
    let mut found = Options { youngest: false, reorder: None };
    for option in value.split(',').map(str::trim) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let name = name.trim().to_ascii_lowercase();
        match name.strip_prefix("preempt_").unwrap_or(&name) {
            "youngest_first" => found.youngest = true,
            "reorder_count" => {
                let read = number(0..=1_000)(value.trim());
                found.reorder = Some(read.map_err(|why| format!("{name}: {why}"))?);
            }
            _ => {}
        }
    }
    Ok(found)
}

/// What a partition's line says.
pub(super) fn of_partition(
    partition: &mut super::PartitionConf,
    record: &Record,
    report: &mut Report,
) {
    let mode = |value: &str| PreemptMode::parse(value).map(Some);
    record.set("PreemptMode", &mut partition.preempt_mode, report, mode);
    record.set("GraceTime", &mut partition.grace_time, report, number(0..=u32::MAX - 2));
}

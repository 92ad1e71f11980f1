//! How jobs that wait are weighed against each other: `PriorityType=priority/multifactor` and what
//! goes with it (slurm.conf(5)).

use jiff::{ToSpan, tz::TimeZone};

use super::{
    Config,
    record::{Record, flag, number},
    report::Report,
};
use crate::{
    account::{TresWeights, Weighing},
    time::{self, Span, Timestamp},
};

/// What multifactor priorities are made of.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the manual's")]
pub struct Priority {
    pub age: f64,
    pub assoc: f64,
    pub fair_share: f64,
    pub job_size: f64,
    pub partition: f64,
    pub qos: f64,
    pub tres: TresWeights,
    /// `PriorityMaxAge`: who waits so long has the whole weight.
    pub max_age: Span,
    /// `PriorityDecayHalfLife`; none: what was used counts for ever.
    pub half_life: Option<Span>,
    pub reset: Reset,
    /// `PriorityCalcPeriod`: a plan counts no longer than that, though nothing happens.
    pub calc_period: Span,
    /// `FairShareDampeningFactor`
    pub dampening: f64,
    pub favor_small: bool,
    // Of `PriorityFlags`.
    /// `ACCRUE_ALWAYS`
    pub accrue_always: bool,
    /// `NO_FAIR_TREE`
    pub classic: bool,
    /// `SMALL_RELATIVE_TO_TIME`
    pub relative_to_time: bool,
    pub raw_assoc: bool,
    pub raw_partition: bool,
    pub raw_qos: bool,
    pub raw_tres: bool,
}

/// `PriorityUsageResetPeriod`: when what was used before ceases to count. UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    #[default]
    Never,
    Daily,
    /// On Sundays.
    Weekly,
    Monthly,
    Quarterly,
    Yearly,
}

impl Reset {
    /// When usage last began anew; at the beginning of time, where it never does.
    #[must_use]
    pub fn last(self, now: Timestamp) -> Timestamp {
        let never = Timestamp(0);
        let Some(day) = i64::try_from(now.0).ok().and_then(|at| {
            let at = jiff::Timestamp::from_millisecond(at).ok()?;
            Some(TimeZone::UTC.to_datetime(at).date())
        }) else {
            return never;
        };
        let first = |month: i8| day.with().month(month).day(1).build().ok();
        let begun = match self {
            Self::Never => None,
            Self::Daily => Some(day),
            Self::Weekly => {
                day.checked_sub(i64::from(day.weekday().to_sunday_zero_offset()).days()).ok()
            }
            Self::Monthly => first(day.month()),
            Self::Quarterly => first((day.month() - 1) / 3 * 3 + 1),
            Self::Yearly => first(1),
        };
        let midnight = begun.and_then(|day| day.to_zoned(TimeZone::UTC).ok());
        let at = midnight.and_then(|at| u64::try_from(at.timestamp().as_millisecond()).ok());
        at.map_or(never, Timestamp)
    }
}

/// The keys whose value is a weight.
const WEIGHTS: [&str; 6] = [
    "PriorityWeightAge",
    "PriorityWeightAssoc",
    "PriorityWeightFairShare",
    "PriorityWeightJobSize",
    "PriorityWeightPartition",
    "PriorityWeightQOS",
];

impl Priority {
    /// What the configuration says, whose values were checked where it entered. None under
    /// `priority/basic`, and where nothing has a weight: then the order of submission counts.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let text = |key: &str| config.settings.get(key).map(String::as_str);
        if text("PriorityType").is_some_and(|kind| kind.eq_ignore_ascii_case("priority/basic")) {
            return None;
        }
        let [age, assoc, fair_share, job_size, partition, qos] = WEIGHTS
            .map(|key| text(key).and_then(|value| weight(value).ok()).map_or(0.0, f64::from));
        let tres = text("PriorityWeightTRES").and_then(|value| weights(value).ok());
        let tres = tres.unwrap_or_default();
        let sum = age + assoc + fair_share + job_size + partition + qos;
        if sum == 0.0 && tres.is_empty() {
            return None;
        }
        let flags = text("PriorityFlags").unwrap_or_default();
        let has = |name: &str| has_flag(flags, name);
        let raw = |name: &str| has("NO_NORMAL_ALL") || has(name);
        let span = |key: &str, default: u64| match text(key).map(span) {
            Some(Ok(span)) => span,
            Some(Err(_)) | None => Span::from_minutes(default),
        };
        const WEEK: u64 = 7 * 24 * 60;
        Some(Self {
            age,
            assoc,
            fair_share,
            job_size,
            partition,
            qos,
            tres,
            max_age: span("PriorityMaxAge", WEEK),
            half_life: Some(span("PriorityDecayHalfLife", WEEK)).filter(|span| span.0 > 0),
            reset: text("PriorityUsageResetPeriod")
                .map(reset)
                .and_then(Result::ok)
                .unwrap_or_default(),
            calc_period: span("PriorityCalcPeriod", 5),
            dampening: text("FairShareDampeningFactor")
                .and_then(|value| dampening(value).ok())
                .map_or(1.0, f64::from),
            favor_small: text("PriorityFavorSmall").map(flag) == Some(Ok(true)),
            accrue_always: has("ACCRUE_ALWAYS"),
            classic: has("NO_FAIR_TREE"),
            relative_to_time: has("SMALL_RELATIVE_TO_TIME"),
            raw_assoc: raw("NO_NORMAL_ASSOC"),
            raw_partition: raw("NO_NORMAL_PART"),
            raw_qos: raw("NO_NORMAL_QOS"),
            raw_tres: raw("NO_NORMAL_TRES"),
        })
    }

    /// How weighed resources come to what is billed.
    #[must_use]
    pub fn billing(config: &Config) -> Weighing {
        let flags = config.settings.get("PriorityFlags").map_or("", String::as_str);
        if has_flag(flags, "MAX_TRES_GRES") {
            Weighing::GreatestAndGres
        } else if has_flag(flags, "MAX_TRES") {
            Weighing::Greatest
        } else {
            Weighing::Sum
        }
    }
}

/// Whether priorities depend on a key.
pub(super) fn concerns(key: &str) -> bool {
    let is = |begin: &str| key.get(..begin.len()).is_some_and(|it| it.eq_ignore_ascii_case(begin));
    is("Priority") || is("FairShare")
}

/// Holds the values against the manual's.
pub(super) fn check(cluster: &Record, report: &mut Report) {
    for key in WEIGHTS {
        cluster.read(key, report, weight);
    }
    cluster.read("PriorityWeightTRES", report, weights);
    for key in ["PriorityMaxAge", "PriorityDecayHalfLife", "PriorityCalcPeriod"] {
        cluster.read(key, report, span);
    }
    cluster.read("PriorityUsageResetPeriod", report, reset);
    cluster.read("PriorityFavorSmall", report, flag);
    cluster.read("FairShareDampeningFactor", report, dampening);
}

fn has_flag(flags: &str, name: &str) -> bool {
    flags.split(',').any(|flag| flag.trim().eq_ignore_ascii_case(name))
}

fn weight(value: &str) -> Result<u32, String> {
    number(0..=u32::MAX - 2)(value)
}

fn dampening(value: &str) -> Result<u16, String> {
    number(1..=u16::MAX)(value)
}

pub(super) fn weights(value: &str) -> Result<TresWeights, String> {
    TresWeights::parse(value).map_err(|_| {
        "weights of cpu, mem, node and gres/NAME are wanted, as in CPU=1.0,Mem=0.25G".to_owned()
    })
}

/// Minutes, or a time.
fn span(value: &str) -> Result<Span, String> {
    let wanted = || "minutes or a time are wanted, as in 7-0".to_owned();
    time::parse_span(value).map_err(|_| wanted())?.ok_or_else(wanted)
}

fn reset(value: &str) -> Result<Reset, String> {
    let known = [
        ("NONE", Reset::Never),
        ("DAILY", Reset::Daily),
        ("WEEKLY", Reset::Weekly),
        ("MONTHLY", Reset::Monthly),
        ("QUARTERLY", Reset::Quarterly),
        ("YEARLY", Reset::Yearly),
    ];
    if value.eq_ignore_ascii_case("NOW") {
        return Err("NOW is refused: usage would be lost with each reconfiguration".to_owned());
    }
    let found = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
    let names = || known.map(|(name, _)| name).join(", ");
    found.map(|(_, reset)| *reset).ok_or_else(|| format!("one of {} is wanted", names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_begins_anew_at_midnight_utc() {
        let at = |text: &str| {
            let at: jiff::Timestamp = text.parse().expect("a moment");
            Timestamp(u64::try_from(at.as_millisecond()).expect("after the epoch"))
        };
        // A Thursday.
        let now = at("2026-11-26T12:34:56Z");
        for (reset, expected) in [
            (Reset::Daily, "2026-11-26T00:00:00Z"),
            (Reset::Weekly, "2026-11-22T00:00:00Z"),
            (Reset::Monthly, "2026-11-01T00:00:00Z"),
            (Reset::Quarterly, "2026-10-01T00:00:00Z"),
            (Reset::Yearly, "2026-01-01T00:00:00Z"),
        ] {
            assert_eq!(reset.last(now), at(expected), "{reset:?}");
        }
        assert_eq!(Reset::Never.last(now), Timestamp(0));
        let sunday = at("2026-11-22T00:00:00Z");
        assert_eq!(Reset::Weekly.last(sunday), sunday);
    }
}

//! The options of lines, and what becomes of each.

use std::{collections::BTreeSet, str::FromStr};

use crate::{
    account::{
        Account, Association, Fairshare, Limits, Most, Qos, QosPreemption, Tres, TresLimits,
    },
    config::{PreemptMode, preempt_exempt},
    time::{self, Span},
};

/// What becomes of an option that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Set,
    /// Nothing depends on it.
    Idle(&'static str),
}

/// What Slurm writes for no limit.
const NONE: &str = "-1";

/// Slurm's number for the shares of a parent.
const PARENT_SHARES: u32 = i32::MAX as u32;

/// Limits of what is not counted here: of what was used in the past, or will be.
const UNCOUNTED: [&str; 14] = [
    "GrpTRESMins",
    "GrpTRESRunMins",
    "GrpCPUMins",
    "GrpCPURunMins",
    "GrpWall",
    "GrpJobsAccrue",
    "MaxJobsAccrue",
    "MaxJobsAccruePerUser",
    "MaxJobsAccruePerAccount",
    "MaxTRESMins",
    "MaxTRESMinsPerJob",
    "MaxTRESRunMins",
    "MaxTRESRunMinsPerUser",
    "MaxTRESRunMinsPerAccount",
];

type Taken = Result<Option<Found>, String>;

const SET: Taken = Ok(Some(Found::Set));

fn is(key: &str, names: &[&str]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(key))
}

/// The end of what is tried: an option that none has taken.
fn rest(key: &str, value: &str, taken: Option<Found>) -> Result<Found, String> {
    if let Some(found) = taken {
        return Ok(found);
    }
    match UNCOUNTED.iter().find(|name| name.eq_ignore_ascii_case(key)) {
        Some(name) if [NONE, ""].contains(&value) => Ok(Found::Idle(name)),
        Some(name) => Err(format!("{name} is refused: it would not be enforced")),
        None => Err(format!("{key} is no option that is known here")),
    }
}

fn number<N: FromStr>(key: &str, value: &str) -> Result<Option<N>, String> {
    if [NONE, ""].contains(&value) {
        return Ok(None);
    }
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|_| digits);
    number.map(Some).ok_or_else(|| format!("{key}={value}: a number is wanted"))
}

/// Minutes; or a time in Slurm's forms, which has to stand in quotes for its colons.
fn minutes(key: &str, value: &str) -> Result<Option<u32>, String> {
    let wanted = || format!("{key}={value}: minutes are wanted");
    if [NONE, ""].contains(&value) {
        return Ok(None);
    }
    let span = time::parse_span(value).map_err(|_| wanted())?;
    let minutes = |span: Span| u32::try_from(span.seconds().div_ceil(60)).map_err(|_| wanted());
    span.map(minutes).transpose()
}

/// A factor, in millionths; none where it changes nothing.
fn factor(key: &str, value: &str) -> Result<Option<u32>, String> {
    const MOST: f64 = 1_000.0;
    if [NONE, ""].contains(&value) {
        return Ok(None);
    }
    let wanted = || format!("{key}={value}: a number from 0 to {MOST} is wanted");
    let factor: f64 = value.parse().map_err(|_| wanted())?;
    if !(0.0..=MOST).contains(&factor) {
        return Err(wanted());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in bounds")]
    let millionths = (factor * 1e6).round() as u32;
    Ok(Some(millionths).filter(|factor| *factor != 1_000_000))
}

fn tres(key: &str, value: &str) -> Result<TresLimits, String> {
    TresLimits::parse(value).map_err(|error| format!("{key}={value}: {error}"))
}

/// Sets the limit of one resource, which older releases had a key for.
fn one(limits: &mut TresLimits, tres: Tres, key: &str, value: &str) -> Taken {
    match number(key, value)? {
        Some(amount) => limits.0.insert(tres, amount),
        None => limits.0.remove(&tres),
    };
    SET
}

fn name(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_ascii_lowercase())
}

fn names(key: &str, value: &str) -> Result<Option<BTreeSet<String>>, String> {
    let names: BTreeSet<String> = value.split(',').filter_map(name).collect();
    if names.iter().any(|name| name.starts_with(['+', '-'])) {
        return Err(format!("{key}={value}: whole lists are wanted, without + and -"));
    }
    Ok((!names.is_empty()).then_some(names))
}

/// A key that is passed over with these values, and refused with others.
fn only(key: &'static str, value: &str, harmless: &[&str], why: &str) -> Taken {
    if value.is_empty() || is(value, harmless) {
        return Ok(Some(Found::Idle(key)));
    }
    Err(format!("{key}={value} is refused: {why}"))
}

fn limits(limits: &mut Limits, key: &str, value: &str) -> Taken {
    if is(key, &["GrpJobs"]) {
        limits.grp_jobs = number(key, value)?;
    } else if is(key, &["GrpSubmitJobs", "GrpSubmit"]) {
        limits.grp_submit_jobs = number(key, value)?;
    } else if is(key, &["GrpTRES"]) {
        limits.grp_tres = tres(key, value)?;
    } else if is(key, &["GrpCPUs"]) {
        return one(&mut limits.grp_tres, Tres::Cpu, key, value);
    } else if is(key, &["GrpNodes"]) {
        return one(&mut limits.grp_tres, Tres::Node, key, value);
    } else if is(key, &["GrpMemory", "GrpMem"]) {
        return one(&mut limits.grp_tres, Tres::Mem, key, value);
    } else if is(key, &["MaxTRESPerJob", "MaxTRES"]) {
        limits.max_tres_per_job = tres(key, value)?;
    } else if is(key, &["MaxCPUsPerJob", "MaxCPUs"]) {
        return one(&mut limits.max_tres_per_job, Tres::Cpu, key, value);
    } else if is(key, &["MaxNodesPerJob", "MaxNodes"]) {
        return one(&mut limits.max_tres_per_job, Tres::Node, key, value);
    } else if is(key, &["MaxTRESPerNode"]) {
        limits.max_tres_per_node = tres(key, value)?;
    } else if is(key, &["MaxWallDurationPerJob", "MaxWallDuration", "MaxWall"]) {
        limits.max_wall = minutes(key, value)?;
    } else {
        return Ok(None);
    }
    SET
}

fn association(found: &mut Association, key: &str, value: &str) -> Taken {
    if is(key, &["Fairshare", "Share", "Shares"]) {
        found.fairshare = match value {
            parent if is(parent, &["parent"]) => Fairshare::Parent,
            number_of => match number(key, number_of)? {
                Some(PARENT_SHARES) => Fairshare::Parent,
                shares => Fairshare::Shares(shares.unwrap_or(1)),
            },
        };
        return SET;
    }
    if is(key, &["Priority"]) {
        found.priority = number(key, value)?.unwrap_or(0);
    } else if is(key, &["DefaultQOS"]) {
        found.default_qos = name(value);
    } else if is(key, &["QOS", "QOSLevel"]) {
        found.qos = names(key, value)?;
    } else if is(key, &["MaxJobs"]) {
        found.most.jobs = number(key, value)?;
    } else if is(key, &["MaxSubmitJobs", "MaxSubmit"]) {
        found.most.submit_jobs = number(key, value)?;
    } else {
        return limits(&mut found.limits, key, value);
    }
    SET
}

/// An account, and its association.
pub(super) struct OfAccount<'a>(pub(super) &'a mut Account, pub(super) &'a mut Association);

impl OfAccount<'_> {
    pub(super) fn take(self, key: &str, value: &str) -> Result<Found, String> {
        if is(key, &["Description"]) {
            value.clone_into(&mut self.0.description);
            return Ok(Found::Set);
        }
        if is(key, &["Organization"]) {
            value.clone_into(&mut self.0.organization);
            return Ok(Found::Set);
        }
        if is(key, &["Classification"]) {
            return Ok(Found::Idle("Classification"));
        }
        rest(key, value, association(self.1, key, value)?)
    }
}

/// A user's association, and the default account.
pub(super) struct OfUser<'a>(pub(super) &'a mut Association, pub(super) &'a mut Option<String>);

impl OfUser<'_> {
    pub(super) fn take(self, key: &str, value: &str) -> Result<Found, String> {
        if is(key, &["DefaultAccount"]) {
            *self.1 = name(value);
            return Ok(Found::Set);
        }
        if is(key, &["Partition"]) {
            self.0.partition = Some(value.to_owned()).filter(|name| !name.is_empty());
            return Ok(Found::Set);
        }
        let idle = ["AdminLevel", "Coordinator", "DefaultWCKey", "WCKeys", "Comment"];
        if let Some(key) = idle.into_iter().find(|name| name.eq_ignore_ascii_case(key)) {
            return Ok(Found::Idle(key));
        }
        rest(key, value, association(self.0, key, value)?)
    }
}

pub(super) struct OfQos<'a>(pub(super) &'a mut Qos);

impl OfQos<'_> {
    pub(super) fn take(self, key: &str, value: &str) -> Result<Found, String> {
        let qos = self.0;
        if is(key, &["Description"]) {
            value.clone_into(&mut qos.description);
            return Ok(Found::Set);
        }
        if is(key, &["Priority"]) {
            qos.priority = number(key, value)?.unwrap_or(0);
            return Ok(Found::Set);
        }
        if is(key, &["UsageFactor"]) {
            qos.usage_factor = factor(key, value)?;
            return Ok(Found::Set);
        }
        if is(key, &["Flags"]) {
            return flags(qos, value);
        }
        if preemption(&mut qos.preemption, key, value)? {
            return Ok(Found::Set);
        }
        if is(key, &["MinTRESPerJob", "MinTRES"]) {
            qos.min_tres_per_job = tres(key, value)?;
            return Ok(Found::Set);
        }
        let found = match limits(&mut qos.limits, key, value)? {
            None => match of_one(&mut qos.per_user, &["PerUser", "PU"], key, value)? {
                None => of_one(&mut qos.per_account, &["PerAccount", "PA"], key, value)?,
                found => found,
            },
            found => found,
        };
        let found = if found.is_some() { found } else { unlike(key, value)? };
        rest(key, value, found)
    }
}

/// Options that say who makes way. Says whether it is one of them.
fn preemption(found: &mut QosPreemption, key: &str, value: &str) -> Result<bool, String> {
    let seconds = |value: &str| match value {
        NONE | "" => Ok(None),
        value => preempt_exempt(value).map(Some).map_err(|why| format!("{key}={value}: {why}")),
    };
    if is(key, &["Preempt"]) {
        found.preempts = names(key, value)?.unwrap_or_default();
    } else if is(key, &["PreemptMode"]) {
        found.mode = match value {
            "" => None,
            value if is(value, &["cluster"]) => None,
            value => Some(PreemptMode::parse(value).map_err(|why| format!("{key}: {why}"))?),
        };
    } else if is(key, &["GraceTime"]) {
        // Seconds, or one of Slurm's forms of a time.
        found.grace_time = match value.parse() {
            Ok(seconds) => seconds,
            Err(_) => seconds(value)?.unwrap_or(0),
        };
    } else if is(key, &["PreemptExemptTime"]) {
        found.exempt = seconds(value)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Options of a QOS that ask for what is not here, unless they ask for what is so anyway.
fn unlike(key: &str, value: &str) -> Taken {
    const FACTOR: &str = "limits are counted as they are";
    let rows: [(&'static str, &[&str], &str); 3] = [
        ("LimitFactor", &[NONE, "1", "1.0", "1.000000"], FACTOR),
        ("UsageThreshold", &[NONE, "0", "0.000000"], "usage is not counted"),
        ("MinPrioThreshold", &[NONE, "0"], "whoever waits may keep nodes"),
    ];
    let row = rows.into_iter().find(|(name, ..)| name.eq_ignore_ascii_case(key));
    row.map_or(Ok(None), |(name, harmless, why)| only(name, value, harmless, why))
}

/// What one user or account may have; the older keys say nothing of whose it is, and mean a user.
fn of_one(most: &mut Most, of: &[&str; 2], key: &str, value: &str) -> Taken {
    let key_of = |names: &[&str]| {
        let by_one =
            |name: &&str| of.iter().any(|of| format!("{name}{of}").eq_ignore_ascii_case(key));
        names.iter().any(by_one) || (of[0] == "PerUser" && is(key, names))
    };
    if key_of(&["MaxJobs"]) {
        most.jobs = number(key, value)?;
    } else if key_of(&["MaxSubmitJobs", "MaxSubmit"]) {
        most.submit_jobs = number(key, value)?;
    } else if is(key, &[&format!("MaxTRES{}", of[0]), &format!("MaxTRES{}", of[1])]) {
        most.tres = tres(key, value)?;
    } else if is(key, &[&format!("MaxCPUs{}", of[0])]) {
        return one(&mut most.tres, Tres::Cpu, key, value);
    } else if is(key, &[&format!("MaxNodes{}", of[0])]) {
        return one(&mut most.tres, Tres::Node, key, value);
    } else {
        return Ok(None);
    }
    SET
}

fn flags(qos: &mut Qos, value: &str) -> Result<Found, String> {
    let mut found = Found::Set;
    for flag in value.split(',').filter(|flag| !flag.is_empty()) {
        if is(flag, &["DenyOnLimit"]) {
            qos.deny_on_limit = true;
        } else if is(flag, &["OverPartQOS"]) {
            qos.over_partition = true;
        } else if is(flag, &["NoDecay"]) {
            found = Found::Idle("Flags");
        } else {
            return Err(format!("Flags={flag} is refused: it would have no effect here"));
        }
    }
    Ok(found)
}

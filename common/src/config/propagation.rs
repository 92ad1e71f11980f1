//! Which resource limits of the submitting process reach the job: `PropagateResourceLimits` and
//! `PropagateResourceLimitsExcept`.

use super::{
    Config,
    record::{Record, Setting},
    report::Report,
};

const ONLY: &str = "PropagateResourceLimits";
const EXCEPT: &str = "PropagateResourceLimitsExcept";

/// Slurm's names of limits, and Linux's numbers of them.
const LIMITS: [(&str, u32); 10] = [
    ("CPU", 0),
    ("FSIZE", 1),
    ("DATA", 2),
    ("STACK", 3),
    ("CORE", 4),
    ("RSS", 5),
    ("NPROC", 6),
    ("NOFILE", 7),
    ("MEMLOCK", 8),
    ("AS", 9),
];

pub(super) fn check(cluster: &Record, report: &mut Report) {
    let only = cluster.read(ONLY, report, names);
    let except = cluster.read(EXCEPT, report, names);
    if let (Some(()), Some(()), Some(Setting { place, .. })) = (only, except, cluster.get(EXCEPT)) {
        report.problem(place, format!("{ONLY} and {EXCEPT} exclude each other"));
    }
}

fn names(value: &str) -> Result<(), String> {
    let known = |name: &str| {
        ["ALL", "NONE"].iter().any(|word| word.eq_ignore_ascii_case(name))
            || LIMITS.iter().any(|(limit, _)| limit.eq_ignore_ascii_case(name))
    };
    match value.split(',').map(str::trim).find(|name| !known(name)) {
        Some(wrong) => Err(format!("`{wrong}' is no limit of resources")),
        None => Ok(()),
    }
}

/// Whether a list of names has the limit in it.
fn lists(value: &str, resource: u32) -> bool {
    value.split(',').map(str::trim).any(|name| {
        name.eq_ignore_ascii_case("ALL")
            || LIMITS
                .iter()
                .any(|(limit, number)| *number == resource && limit.eq_ignore_ascii_case(name))
    })
}

impl Config {
    /// Whether a limit of the submitting process, by Linux's number, reaches the job.
    #[must_use]
    pub fn propagates(&self, resource: u32) -> bool {
        match (self.settings.get(ONLY), self.settings.get(EXCEPT)) {
            (Some(only), _) => lists(only, resource),
            (None, Some(except)) => !lists(except, resource),
            (None, None) => true,
        }
    }
}

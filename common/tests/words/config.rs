//! Configurations, whole: what is read, what is refused, and what is shown.

mod files;
mod gres;
mod licenses;
mod sections;
mod shown;
mod topology;

use std::{collections::BTreeMap, path::Path};

use common::config::{self, Checked, Config};

/// Checks files that are given as texts; the first one is the configuration.
pub(super) fn check(files: &[(&str, &str)]) -> Checked {
    let by_name: BTreeMap<&str, &str> = files.iter().copied().collect();
    config::check(Path::new(files[0].0), |path| {
        let name = path.to_str().expect("the names are texts");
        by_name.get(name).map(|text| (*text).to_owned()).ok_or("no such file")
    })
}

pub(super) const HEAD: &str = "ClusterName=c\nSlurmctldHost=ctl1\n";

/// A configuration of one file, after the lines that each must have.
pub(super) fn with_head(lines: &str) -> Checked {
    check(&[("/etc/slurm/slurm.conf", &format!("{HEAD}{lines}"))])
}

pub(super) fn config(lines: &str) -> Config {
    let Checked { config, problems, .. } = with_head(lines);
    config.unwrap_or_else(|| panic!("{problems:?}"))
}

/// The problems, each without the file's name; the lines after the head are counted from 1.
pub(super) fn problems(lines: &str) -> Vec<String> {
    let Checked { problems, .. } = with_head(lines);
    let text = |problem: config::Problem| {
        format!("{}: {}", problem.place.line.saturating_sub(2), problem.message)
    };
    problems.into_iter().map(text).collect()
}

pub(super) fn warnings(lines: &str) -> Vec<String> {
    let Checked { warnings, config, .. } = with_head(lines);
    assert!(config.is_some(), "what only has warnings can be used");
    warnings.into_iter().map(|warning| warning.message).collect()
}

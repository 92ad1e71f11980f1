//! The submitter's resource limits, which go with the job (`--propagate`).

use nix::sys::resource::{Resource, getrlimit};
use proto::types::ResourceLimit;

use super::complaint::Complaint;

/// Slurm's names of the limits that it propagates, without `RLIMIT_`.
const LIMITS: [(&str, Resource); 10] = [
    ("CPU", Resource::RLIMIT_CPU),
    ("FSIZE", Resource::RLIMIT_FSIZE),
    ("DATA", Resource::RLIMIT_DATA),
    ("STACK", Resource::RLIMIT_STACK),
    ("CORE", Resource::RLIMIT_CORE),
    ("RSS", Resource::RLIMIT_RSS),
    ("NPROC", Resource::RLIMIT_NPROC),
    ("NOFILE", Resource::RLIMIT_NOFILE),
    ("MEMLOCK", Resource::RLIMIT_MEMLOCK),
    ("AS", Resource::RLIMIT_AS),
];

/// Which limits go along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Propagate {
    #[default]
    All,
    None,
    Some(Vec<&'static str>),
}

impl Propagate {
    pub(super) fn parse(value: Option<&str>) -> Result<Self, Complaint> {
        let Some(text) = value else { return Ok(Self::All) };
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        if is("ALL") {
            return Ok(Self::All);
        }
        if is("NONE") {
            return Ok(Self::None);
        }
        let mut names = Vec::new();
        for given in text.split(',') {
            let upper = given.to_ascii_uppercase();
            let name = upper.strip_prefix("RLIMIT_").unwrap_or(&upper);
            let Some((name, _)) = LIMITS.iter().find(|(known, _)| *known == name) else {
                return Err(Complaint::error(format!("Bad rlimit name: {given}"))
                    .and(format!("--propagate={text} is not valid.")));
            };
            names.push(*name);
        }
        Ok(Self::Some(names))
    }

    fn includes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Some(names) => names.contains(&name),
        }
    }

    /// The limits of this process that go along.
    pub(super) fn limits(&self) -> Vec<ResourceLimit> {
        let chosen = LIMITS.iter().filter(|(name, _)| self.includes(name));
        chosen
            .filter_map(|(_, resource)| {
                let (soft, hard) = getrlimit(*resource).ok()?;
                Some(ResourceLimit { resource: *resource as u32, soft, hard })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_chosen_by_name() {
        assert_eq!(Propagate::parse(None), Ok(Propagate::All));
        assert_eq!(Propagate::parse(Some("none")), Ok(Propagate::None));
        let some = Propagate::parse(Some("nofile,RLIMIT_STACK")).expect("good");
        assert_eq!(some, Propagate::Some(vec!["NOFILE", "STACK"]));
        let numbers: Vec<u32> = some.limits().iter().map(|limit| limit.resource).collect();
        assert_eq!(numbers, [3, 7], "Linux's numbers of STACK and NOFILE");
        assert_eq!(Propagate::All.limits().len(), LIMITS.len());
        assert_eq!(Propagate::None.limits(), []);
    }
}

//! Every key of slurm.conf(5), and what becomes of it.

mod cluster;
mod flags;
mod lines;
mod scheduler;

pub(super) use cluster::CLUSTER;
pub(super) use flags::PRIORITY_FLAGS;
pub(super) use lines::{DOWN_NODES, GRES, NODE, NODE_SET, PARTITION, SWITCH};
pub(super) use scheduler::SCHEDULER;

use super::report::Fate;

/// A key, and what is done with its value.
pub(super) struct Key {
    /// As the manual spells it.
    pub(super) name: &'static str,
    rule: Rule,
    /// The key that it is another name of.
    alias_of: Option<&'static str>,
}

/// How a key's fate follows from its value.
enum Rule {
    Honoured,
    /// Nothing depends on it, and why.
    Idle(&'static str),
    /// Honoured if one of these options is in its list of options; else nothing depends on it.
    Options(&'static [&'static str], &'static str),
    /// Its value is a list of options, each with a fate of its own.
    Each(&'static [Key]),
    /// Honoured with one of these values; refused with others, and why.
    Only(&'static [&'static str], &'static str),
    /// These values ask for what is so anyway; others are refused, and why.
    Unless(&'static [&'static str], &'static str),
}

/// Why values that ask for what is so anyway have no effect.
const SO_ANYWAY: &str = "it is so here in any case";

impl Rule {
    fn fate(&self, value: &str) -> Fate {
        let among = |values: &[&str]| values.iter().any(|one| one.eq_ignore_ascii_case(value));
        match self {
            Self::Honoured => Fate::Honoured,
            Self::Idle(why) => Fate::NoEffect(why),
            Self::Options(options, why) => {
                let named = |option: &str| {
                    let name = option.split('=').next().unwrap_or(option).trim();
                    options.iter().any(|one| one.eq_ignore_ascii_case(name))
                };
                if value.split(',').any(named) { Fate::Honoured } else { Fate::NoEffect(why) }
            }
            // The options have their own.
            Self::Each(_) => Fate::Honoured,
            Self::Only(values, why) if !among(values) => Fate::Refused(why),
            Self::Only(..) => Fate::Honoured,
            Self::Unless(values, why) if !among(values) => Fate::Refused(why),
            Self::Unless(..) => Fate::NoEffect(SO_ANYWAY),
        }
    }
}

const fn honoured(name: &'static str) -> Key {
    Key { name, rule: Rule::Honoured, alias_of: None }
}

const fn idle(name: &'static str, why: &'static str) -> Key {
    Key { name, rule: Rule::Idle(why), alias_of: None }
}

/// Refused, whatever its value.
const fn refused(name: &'static str, why: &'static str) -> Key {
    unless(name, &[], why)
}

const fn unless(name: &'static str, harmless: &'static [&'static str], why: &'static str) -> Key {
    Key { name, rule: Rule::Unless(harmless, why), alias_of: None }
}

const fn only(name: &'static str, values: &'static [&'static str], why: &'static str) -> Key {
    Key { name, rule: Rule::Only(values, why), alias_of: None }
}

const fn options(name: &'static str, honoured: &'static [&'static str], why: &'static str) -> Key {
    Key { name, rule: Rule::Options(honoured, why), alias_of: None }
}

const fn each(name: &'static str, options: &'static [Key]) -> Key {
    Key { name, rule: Rule::Each(options), alias_of: None }
}

const fn alias(name: &'static str, of: &'static str) -> Key {
    Key { name, rule: Rule::Honoured, alias_of: Some(of) }
}

impl Key {
    /// The name that its value is kept under.
    pub(super) fn setting(&self) -> &'static str {
        self.alias_of.unwrap_or(self.name)
    }

    /// What becomes of it with this value. Another name of a key shares that key's fate.
    pub(super) fn fate(&self, table: &'static [Self], value: &str) -> Fate {
        let named = self.alias_of.and_then(|name| Self::find(table, name)).unwrap_or(self);
        named.rule.fate(value)
    }

    /// What its value is a list of, if it is one whose options have fates of their own.
    pub(super) fn options(&self) -> Option<&'static [Self]> {
        match self.rule {
            Rule::Each(options) => Some(options),
            Rule::Honoured
            | Rule::Idle(_)
            | Rule::Options(..)
            | Rule::Only(..)
            | Rule::Unless(..) => None,
        }
    }

    pub(super) fn find(table: &'static [Self], name: &str) -> Option<&'static Self> {
        table.iter().find(|key| key.name.eq_ignore_ascii_case(name))
    }

    /// The key whose name comes nearest, if one comes near at all.
    pub(super) fn nearest(table: &'static [Self], name: &str) -> Option<&'static Self> {
        // Distances cost the product of the lengths.
        const LONGEST: usize = 64;
        if name.len() > LONGEST {
            return None;
        }
        let name = name.to_ascii_lowercase();
        let distance =
            |key: &&Self| strsim::damerau_levenshtein(&key.name.to_ascii_lowercase(), &name);
        let nearest = table.iter().min_by_key(distance)?;
        (distance(&nearest) <= name.len().div_ceil(3)).then_some(nearest)
    }
}

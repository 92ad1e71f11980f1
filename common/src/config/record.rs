//! The settings of one kind that belong together, and how their values are read.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive, str::FromStr};

use super::{
    keys::Key,
    report::{Fate, KeyFate, Place, Report},
    source::Pair,
};
use crate::{
    hostlist::Hostlist,
    size,
    time::{self, Span, TimeLimit},
};

/// What may have been meant.
fn hint(table: &'static [Key], written: &str) -> String {
    let nearest = Key::nearest(table, written);
    nearest.map_or_else(String::new, |key| format!("; did you mean {}?", key.name))
}

/// Reports what becomes of each option in a key's value.
fn each_option(key: &Key, table: &'static [Key], value: &str, place: &Place, report: &mut Report) {
    for option in value.split(',').map(str::trim).filter(|option| !option.is_empty()) {
        let (name, of_option) = option.split_once('=').unwrap_or((option, ""));
        let fate = match Key::find(table, name.trim()) {
            Some(known) => {
                let fate = known.fate(table, of_option);
                if let Fate::Refused(why) = fate {
                    report.problem(place, format!("{}={option} is refused: {why}", key.name));
                }
                fate
            }
            None => {
                let hint = hint(table, name.trim());
                let text = format!("{}: {name} is no option that is known here{hint}", key.name);
                report.problem(place, text);
                Fate::Refused("there is no such option")
            }
        };
        report.fates.push(KeyFate {
            place: place.clone(),
            key: key.name,
            value: option.to_owned(),
            fate,
        });
    }
}

/// A key's value, and where it was set.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) place: Place,
}

/// What a line sets, or what the whole file sets of the cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    settings: BTreeMap<&'static str, Setting>,
}

impl Record {
    /// Takes a pair, if its key is one of the table, and reports what becomes of it. What was set
    /// before under the same key gives way.
    pub(super) fn take(&mut self, pair: Pair, table: &'static [Key], report: &mut Report) {
        let Pair { key: written, value, place } = pair;
        let Some(key) = Key::find(table, &written) else {
            let hint = hint(table, &written);
            return report.problem(&place, format!("{written} is no key that is known here{hint}"));
        };
        let fate = key.fate(table, &value);
        if let Fate::Refused(why) = fate {
            report.problem(&place, format!("{}={value} is refused: {why}", key.name));
        }
        match key.options() {
            Some(options) => each_option(key, options, &value, &place, report),
            None => report.fates.push(KeyFate {
                place: place.clone(),
                key: key.name,
                value: value.clone(),
                fate,
            }),
        }
        let before = self.settings.insert(key.setting(), Setting { value, place: place.clone() });
        if let Some(before) = before {
            let text = format!("{} is set twice; what {} says gives way", key.name, before.place);
            report.warning(&place, text);
        }
    }

    /// Lets what this does not set be as the defaults say.
    pub(super) fn default_to(&mut self, defaults: &Self) {
        for (key, setting) in &defaults.settings {
            self.settings.entry(key).or_insert_with(|| setting.clone());
        }
    }

    /// Changes defaults: what the other sets counts from here on.
    pub(super) fn change(&mut self, other: Self) {
        self.settings.extend(other.settings);
    }

    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(|setting| setting.value.as_str())
    }

    /// The key's value as this reads it; a value that can't be read is a problem.
    pub(super) fn read<T>(
        &self,
        key: &str,
        report: &mut Report,
        reader: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Setting { value, place } = self.get(key)?;
        match reader(value) {
            Ok(read) => Some(read),
            Err(wanted) => {
                report.problem(place, format!("{key}={value}: {wanted}"));
                None
            }
        }
    }

    /// Sets a field to the key's value, where it is set and can be read.
    pub(super) fn set<T>(
        &self,
        key: &str,
        field: &mut T,
        report: &mut Report,
        reader: impl FnOnce(&str) -> Result<T, String>,
    ) {
        if let Some(value) = self.read(key, report, reader) {
            *field = value;
        }
    }

    pub(super) fn into_texts(self) -> BTreeMap<String, String> {
        let text = |(key, setting): (&str, Setting)| (key.to_owned(), setting.value);
        self.settings.into_iter().map(text).collect()
    }
}

// Readers. An error says what is wanted.

pub(super) fn text(value: &str) -> Result<String, String> {
    Ok(value.to_owned())
}

/// Slurm's words for a yes and a no.
pub(super) fn flag(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "up" | "1" => Ok(true),
        "no" | "false" | "down" | "0" => Ok(false),
        _ => Err("YES or NO is wanted".to_owned()),
    }
}

/// A number of this range.
pub(super) fn number<N>(range: RangeInclusive<N>) -> impl FnOnce(&str) -> Result<N, String>
where
    N: FromStr + PartialOrd + Display,
{
    move |value| {
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let number = value.parse().ok().filter(|number| digits && range.contains(number));
        number
            .ok_or_else(|| format!("a number from {} to {} is wanted", range.start(), range.end()))
    }
}

/// A number, or none for `UNLIMITED`.
pub(super) fn number_or_unlimited(value: &str) -> Result<Option<u32>, String> {
    if is_unlimited(value) {
        return Ok(None);
    }
    let wanted = |_| "a number or UNLIMITED is wanted".to_owned();
    number(0..=u32::MAX - 2)(value).map(Some).map_err(wanted)
}

pub(super) fn is_unlimited(value: &str) -> bool {
    ["UNLIMITED", "INFINITE", "-1"].iter().any(|word| word.eq_ignore_ascii_case(value))
}

pub(super) fn mib(value: &str) -> Result<u64, String> {
    size::parse_mib(value).map_err(|error| error.to_string())
}

/// A time limit of at least a minute.
pub(super) fn time_limit(value: &str) -> Result<TimeLimit, String> {
    match time::parse_span(value) {
        Ok(Some(Span(0))) => Err("at least a minute is wanted, or UNLIMITED".to_owned()),
        Ok(_) => TimeLimit::parse(value).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn hostlist(value: &str) -> Result<Hostlist, String> {
    Hostlist::parse(value).map_err(|error| error.to_string())
}

/// One of these words, in whatever case.
pub(super) fn word<T: Copy>(words: &[(&str, T)]) -> impl FnOnce(&str) -> Result<T, String> {
    move |value| {
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("one of {} is wanted", words.join(", "))
        })
    }
}

//! What reading a configuration found: what is wrong, what is odd, and what becomes of each key.

use std::{fmt, sync::Arc};

use thiserror::Error;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: Arc<str>,
    /// Counted from 1. 0: the file as a whole.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Something that is wrong, or odd, with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {message}")]
pub struct Problem {
    pub place: Place,
    pub message: String,
}

/// A configuration that can't be used: everything that is wrong with it, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Honoured,
    /// It changes nothing here, and why that does no harm.
    NoEffect(&'static str),
    /// The configuration is refused, since ignoring the key would mislead; and why.
    Refused(&'static str),
}

/// A key of the configuration, as it was found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFate {
    pub place: Place,
    /// As the manual spells it.
    pub key: &'static str,
    pub value: String,
    pub fate: Fate,
}

#[derive(Default)]
pub(super) struct Report {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    pub(super) fates: Vec<KeyFate>,
}

impl Report {
    pub(super) fn problem(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.push(Problem { place: place.clone(), message: message.into() });
    }

    pub(super) fn warning(&mut self, place: &Place, message: impl Into<String>) {
        self.warnings.push(Problem { place: place.clone(), message: message.into() });
    }
}

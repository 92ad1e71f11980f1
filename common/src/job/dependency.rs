//! What a job waits for of other jobs: the language of `sbatch --dependency`.
//!
//! ```text
//! afterok:12:13,after:14+5     all of them
//! afterany:12?singleton        any of them
//! ```
//!
//! A condition is settled once, when what it names happens, and the log says so: nothing looks at
//! the other job again, which may be forgotten by then.

use std::fmt::{self, Write as _};

use crate::{
    id::JobId,
    time::{Span, Timestamp},
};

/// Conditions, and whether one of them suffices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependency {
    /// `?` between them.
    pub any: bool,
    /// In the order in which they were given, each once. Empty: nothing is waited for.
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    pub on: On,
    pub fate: Fate,
}

/// What must have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Job {
        relation: Relation,
        job: JobId,
        task: Option<Task>,
        /// Minutes that must have passed since.
        delay: u32,
    },
    /// No other job of the same name and user runs, or waits before this one.
    Singleton,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// It has started, or will never.
    After,
    AfterAny,
    AfterOk,
    AfterNotOk,
    /// The task of the same number of another array is over, and well.
    AfterCorr,
}

/// Which tasks of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    One(u32),
    /// `_*`, and what an array's own number means.
    All,
}

/// What became of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Open,
    /// It has happened, and counts from this moment on.
    Due(Timestamp),
    Met,
    /// It can't happen any more.
    Failed,
}

/// How far what is waited for has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Waits,
    Started {
        at: Timestamp,
    },
    /// `started` is none for what never ran.
    Over {
        started: Option<Timestamp>,
        ended: Timestamp,
        well: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DependencyError {
    #[error("Job dependency problem")]
    Malformed,
    /// A kind of condition that Slurm has and that is not supported.
    #[error("Requested operation not supported on this system")]
    Unsupported(&'static str),
}

/// Beyond this, minutes do not fit a span of Slurm's seconds.
const MOST_MINUTES: u32 = u32::MAX / 60;

impl Relation {
    const ALL: [Self; 5] =
        [Self::After, Self::AfterAny, Self::AfterOk, Self::AfterNotOk, Self::AfterCorr];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::After => "after",
            Self::AfterAny => "afterany",
            Self::AfterOk => "afterok",
            Self::AfterNotOk => "afternotok",
            Self::AfterCorr => "aftercorr",
        }
    }

    /// What follows for a condition of this kind, so many minutes of delay after it.
    #[must_use]
    pub fn fate(self, progress: Progress, delay: u32) -> Fate {
        let since = match (self, progress) {
            (_, Progress::Waits) => return Fate::Open,
            (Self::After, Progress::Started { at }) => at,
            (_, Progress::Started { .. }) => return Fate::Open,
            (Self::After, Progress::Over { started, ended, .. }) => started.unwrap_or(ended),
            (Self::AfterAny, Progress::Over { ended, .. })
            | (Self::AfterOk | Self::AfterCorr, Progress::Over { ended, well: true, .. })
            | (Self::AfterNotOk, Progress::Over { ended, well: false, .. }) => ended,
            (Self::AfterOk | Self::AfterCorr, Progress::Over { well: false, .. })
            | (Self::AfterNotOk, Progress::Over { well: true, .. }) => return Fate::Failed,
        };
        match delay {
            0 => Fate::Met,
            minutes => Fate::Due(since + Span::from_seconds(60 * u64::from(minutes))),
        }
    }
}

impl On {
    /// Whether both name the same, whatever the delay: Slurm keeps the first of them.
    fn repeats(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Job { relation, job, task, .. },
                Self::Job { relation: relation2, job: job2, task: task2, .. },
            ) => (relation, job, task) == (relation2, job2, task2),
            (Self::Singleton, Self::Singleton) => true,
            (Self::Job { .. }, Self::Singleton) | (Self::Singleton, Self::Job { .. }) => false,
        }
    }
}

impl Dependency {
    /// Reads what `--dependency` says. An empty text, and `0`, are none.
    ///
    /// # Errors
    /// Slurm's complaint, without its reason.
    pub fn parse(text: &str) -> Result<Self, DependencyError> {
        let mut dependency = Self { any: text.contains('?'), conditions: vec![] };
        if text.is_empty() || text == "0" {
            return Ok(Self::default());
        }
        // A comma within brackets is between numbers of tasks.
        let mut within = false;
        let separates = |letter| {
            within = letter == '[' || within && letter != ']';
            !within && (letter == ',' || letter == '?')
        };
        for part in text.split(separates) {
            dependency.read(part)?;
        }
        Ok(dependency)
    }

    /// One kind of condition, and the jobs that it names.
    fn read(&mut self, part: &str) -> Result<(), DependencyError> {
        if part.eq_ignore_ascii_case("singleton") {
            self.add(On::Singleton);
            return Ok(());
        }
        let Some((kind, targets)) = part.split_once(':') else {
            // A number alone is how Slurm was told so long ago.
            let id = part.parse().ok().filter(|id| *id > 0).ok_or(DependencyError::Malformed)?;
            self.add(On::Job {
                relation: Relation::AfterAny,
                job: JobId(id),
                task: None,
                delay: 0,
            });
            return Ok(());
        };
        for (name, named) in [("expand", "expand"), ("afterburstbuffer", "afterburstbuffer")] {
            if kind.eq_ignore_ascii_case(name) {
                return Err(DependencyError::Unsupported(named));
            }
        }
        let is = |relation: &&Relation| kind.eq_ignore_ascii_case(relation.as_str());
        let relation = *Relation::ALL.iter().find(is).ok_or(DependencyError::Malformed)?;
        for target in targets.split(':') {
            self.read_target(relation, target)?;
        }
        Ok(())
    }

    /// `12`, `12+5`, `12_3`, `12_*`, `12_[0-3,7]`.
    fn read_target(&mut self, relation: Relation, target: &str) -> Result<(), DependencyError> {
        let wrong = || DependencyError::Malformed;
        let (name, delay) = match target.split_once('+') {
            Some((name, minutes)) if !name.is_empty() => {
                let minutes = number(minutes).ok_or_else(wrong)?;
                (name, Some(minutes).filter(|m| (1..=MOST_MINUTES).contains(m)).ok_or_else(wrong)?)
            }
            Some(_) => return Err(wrong()),
            None => (target, 0),
        };
        let (job, tasks) = match name.split_once('_') {
            Some((job, tasks)) => (job, Some(tasks)),
            None => (name, None),
        };
        let job = JobId(number(job).filter(|id| *id > 0).ok_or_else(wrong)?);
        let mut add = |task| self.add(On::Job { relation, job, task, delay });
        match tasks {
            None => add(None),
            Some("*") => add(Some(Task::All)),
            Some(tasks) => match tasks.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
                None => add(Some(Task::One(number(tasks).ok_or_else(wrong)?))),
                Some(set) => {
                    for task in listed(set).ok_or_else(wrong)? {
                        add(Some(Task::One(task)));
                    }
                }
            },
        }
        Ok(())
    }

    fn add(&mut self, on: On) {
        if !self.conditions.iter().any(|known| known.on.repeats(&on)) {
            self.conditions.push(Condition { on, fate: Fate::Open });
        }
    }

    /// Whether nothing is waited for any more.
    #[must_use]
    pub fn is_met(&self) -> bool {
        let mut met = self.conditions.iter().map(|condition| condition.fate == Fate::Met);
        if self.any { self.conditions.is_empty() || met.any(|met| met) } else { met.all(|met| met) }
    }

    /// Whether it can't be met any more, whatever happens.
    #[must_use]
    pub fn is_never(&self) -> bool {
        let mut failed = self.conditions.iter().map(|condition| condition.fate == Fate::Failed);
        if self.any {
            !self.conditions.is_empty() && failed.all(|failed| failed)
        } else {
            failed.any(|failed| failed)
        }
    }

    /// When the next of its conditions counts.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        let due = self.conditions.iter().filter_map(|condition| match condition.fate {
            Fate::Due(at) => Some(at),
            Fate::Open | Fate::Met | Fate::Failed => None,
        });
        due.min()
    }

    /// Whether no other job of the name may run, and whether that is so.
    #[must_use]
    pub fn singleton(&self) -> Option<bool> {
        let mut all = self.conditions.iter();
        all.find(|one| one.on == On::Singleton).map(|one| one.fate == Fate::Met)
    }

    /// As `squeue` and `scontrol` show it; none where nothing is waited for.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        if self.is_met() {
            return None;
        }
        let mut text = String::new();
        for condition in self.conditions.iter().filter(|condition| condition.fate != Fate::Met) {
            if !text.is_empty() {
                text.push(if self.any { '?' } else { ',' });
            }
            let fate = match condition.fate {
                Fate::Open | Fate::Due(_) | Fate::Met => "unfulfilled",
                Fate::Failed => "failed",
            };
            let _ = write!(text, "{}({fate})", condition.on);
        }
        Some(text)
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// `0-3,7`: a few numbers, each to be waited for by itself.
fn listed(set: &str) -> Option<Vec<u32>> {
    const MOST: usize = 10_000;
    let mut tasks = Vec::new();
    for range in set.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (number(first)?, number(last)?);
        if first > last || (last - first) as usize >= MOST - tasks.len() {
            return None;
        }
        tasks.extend(first..=last);
    }
    Some(tasks)
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Singleton => f.write_str("singleton"),
            Self::Job { relation, job, task, delay } => {
                write!(f, "{}:{job}", relation.as_str())?;
                match task {
                    None => {}
                    Some(Task::One(task)) => write!(f, "_{task}")?,
                    Some(Task::All) => f.write_str("_*")?,
                }
                if *delay > 0 { write!(f, "+{delay}") } else { Ok(()) }
            }
        }
    }
}

/// As it could be asked for.
impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, condition) in self.conditions.iter().enumerate() {
            if at > 0 {
                f.write_char(if self.any { '?' } else { ',' })?;
            }
            condition.on.fmt(f)?;
        }
        Ok(())
    }
}

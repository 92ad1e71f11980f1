//! Job arrays: many jobs that differ in one number.
//!
//! ```text
//! 0-999:4%50     every fourth, of which at most 50 run at a time
//! 1,3-5,9
//! ```
//!
//! As long as they wait, they are one job, and the numbers are kept as runs of them.

use std::fmt;

use crate::id::JobId;

/// The highest number that a task can have where the configuration says nothing, and one more.
pub const MAX_ARRAY_SIZE: u32 = 1_001;

/// No configuration allows higher numbers, nor this one.
pub const MOST_TASKS: u32 = 4_000_001;

/// What `--array` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArraySpec {
    pub tasks: TaskSet,
    /// How many may run at a time.
    pub limit: Option<u32>,
}

/// What a job has to do with an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArrayPart {
    /// It stands for all tasks that have no job of their own yet, and has the array's number.
    Waiting(TaskSet),
    /// It is one of them.
    Task { array: JobId, index: u32 },
}

/// Numbers of tasks.
///
/// **Invariant:** the runs are in order, and no two of them overlap, not even in what lies between
/// their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskSet {
    runs: Vec<TaskRun>,
}

/// `first-last:step`. A single number has the step 1, and the last number is one of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskRun {
    pub first: u32,
    pub last: u32,
    pub step: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid job array specification")]
pub struct ArrayError;

impl TaskRun {
    fn new(first: u32, last: u32, step: u32) -> Self {
        let last = last - (last - first) % step;
        Self { first, last, step: if first == last { 1 } else { step } }
    }

    fn count(self) -> u32 {
        (self.last - self.first) / self.step + 1
    }

    fn contains(self, task: u32) -> bool {
        (self.first..=self.last).contains(&task) && (task - self.first).is_multiple_of(self.step)
    }

    fn numbers(self) -> impl Iterator<Item = u32> {
        (0..self.count()).map(move |at| self.first + at * self.step)
    }
}

impl ArraySpec {
    /// Reads what `--array` says, in brackets or not. Numbers are below `most`.
    ///
    /// # Errors
    /// Slurm has one word for all that may be wrong.
    pub fn parse(text: &str, most: u32) -> Result<Self, ArrayError> {
        let text = text.strip_prefix('[').unwrap_or(text);
        // Slurm takes the limit from behind whichever number it stands, and none for one that is
        // no number.
        let limit = text.split_once('%').and_then(|(_, limit)| {
            let digits = limit.bytes().take_while(u8::is_ascii_digit).count();
            limit[..digits].parse().ok().filter(|limit| *limit > 0)
        });
        let tasks = TaskSet::parse(&without_limit(text), most)?;
        Ok(Self { tasks, limit })
    }
}

/// The numbers alone.
fn without_limit(text: &str) -> String {
    let mut rest = text.to_owned();
    if let Some(at) = rest.find('%') {
        let end = rest[at..].find(',').map_or(rest.len(), |comma| at + comma);
        rest.replace_range(at..end, "");
    }
    rest.trim_end_matches(']').to_owned()
}

impl TaskSet {
    /// Reads `1,3-5,8-20:4`. Numbers are below `most`.
    ///
    /// # Errors
    /// As for an array.
    pub fn parse(text: &str, most: u32) -> Result<Self, ArrayError> {
        let mut runs = Vec::new();
        for part in text.split(',') {
            let (range, step) = match part.split_once(':') {
                Some((range, step)) => (range, number(step).filter(|step| *step > 0)),
                None => (part, Some(1)),
            };
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (number(first).ok_or(ArrayError)?, number(last).ok_or(ArrayError)?);
            let step = step.filter(|_| part.contains('-') || !part.contains(':'));
            if first > last || last >= most {
                return Err(ArrayError);
            }
            runs.push(TaskRun::new(first, last, step.ok_or(ArrayError)?));
        }
        Ok(Self::of_runs(runs))
    }

    /// Of runs in any order, which may have numbers in common.
    fn of_runs(mut runs: Vec<TaskRun>) -> Self {
        runs.sort_unstable_by_key(|run| (run.first, run.last));
        if runs.windows(2).all(|pair| pair[0].last < pair[1].first) {
            runs.dedup_by(|next, run| {
                let joins = run.step == 1 && next.step == 1 && run.last + 1 == next.first;
                if joins {
                    run.last = next.last;
                }
                joins
            });
            return Self { runs };
        }
        let mut numbers: Vec<u32> = runs.into_iter().flat_map(TaskRun::numbers).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self::of_numbers(&numbers)
    }

    /// Of numbers in order, each once.
    fn of_numbers(numbers: &[u32]) -> Self {
        let mut runs: Vec<TaskRun> = Vec::new();
        for number in numbers {
            match runs.last_mut() {
                Some(run) if run.last + 1 == *number => run.last = *number,
                Some(_) | None => runs.push(TaskRun { first: *number, last: *number, step: 1 }),
            }
        }
        Self { runs }
    }

    #[must_use]
    pub fn one(task: u32) -> Self {
        Self::of_numbers(&[task])
    }

    /// Of runs as a message has them; none where they are no set.
    #[must_use]
    pub fn checked(runs: Vec<TaskRun>) -> Option<Self> {
        let sound = |run: &TaskRun| {
            run.step > 0
                && run.first <= run.last
                && *run == TaskRun::new(run.first, run.last, run.step)
        };
        let apart = runs.windows(2).all(|pair| pair[0].last < pair[1].first);
        let low = runs.last().is_none_or(|run| run.last < MOST_TASKS);
        (low && apart && runs.iter().all(sound)).then_some(Self { runs })
    }

    #[must_use]
    pub fn runs(&self) -> &[TaskRun] {
        &self.runs
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> u32 {
        self.runs.iter().map(|run| run.count()).sum()
    }

    #[must_use]
    pub fn contains(&self, task: u32) -> bool {
        let at = self.runs.partition_point(|run| run.last < task);
        self.runs.get(at).is_some_and(|run| run.contains(task))
    }

    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.runs.first().map(|run| run.first)
    }

    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.runs.last().map(|run| run.last)
    }

    /// What lies between two tasks, as `SLURM_ARRAY_TASK_STEP` has it.
    #[must_use]
    pub fn step(&self) -> u32 {
        match self.runs.as_slice() {
            [run] => run.step,
            _ => 1,
        }
    }

    /// The tasks, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|run| run.numbers())
    }

    /// Takes one away. Returns whether it was there.
    pub fn remove(&mut self, task: u32) -> bool {
        let at = self.runs.partition_point(|run| run.last < task);
        let Some(run) = self.runs.get(at).copied().filter(|run| run.contains(task)) else {
            return false;
        };
        let before = (run.first < task).then(|| TaskRun::new(run.first, task - run.step, run.step));
        let after = (task < run.last).then(|| TaskRun::new(task + run.step, run.last, run.step));
        self.runs.splice(at..=at, before.into_iter().chain(after));
        true
    }

    /// Those that are in both.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        let (few, many) = if self.len() < other.len() { (self, other) } else { (other, self) };
        if few == many {
            return self.clone();
        }
        let numbers: Vec<u32> = few.iter().filter(|task| many.contains(*task)).collect();
        Self::of_numbers(&numbers)
    }

    /// Those that are in one of the two.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self::of_runs(self.runs.iter().chain(&other.runs).copied().collect())
    }

    /// Those that are not in the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        for task in self.common(other).iter() {
            rest.remove(task);
        }
        rest
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// As Slurm shows it: a step is told where all tasks have it, and there are more than a few.
impl fmt::Display for TaskSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FEW: u32 = 5;
        if let [run] = self.runs.as_slice()
            && run.step > 1
            && run.count() > FEW
        {
            return write!(f, "{}-{}:{}", run.first, run.last, run.step);
        }
        // Numbers without a gap are told as a range, whichever run they are of.
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let parts = self.runs.iter().flat_map(|run| {
            let whole = (run.step == 1).then_some((run.first, run.last));
            let single = (run.step > 1).then(|| run.numbers().map(|number| (number, number)));
            whole.into_iter().chain(single.into_iter().flatten())
        });
        for (first, last) in parts {
            match ranges.last_mut() {
                Some(range) if range.1 + 1 == first => range.1 = last,
                Some(_) | None => ranges.push((first, last)),
            }
        }
        for (at, (first, last)) in ranges.into_iter().enumerate() {
            let separator = if at > 0 { "," } else { "" };
            write!(f, "{separator}{first}")?;
            if first < last {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

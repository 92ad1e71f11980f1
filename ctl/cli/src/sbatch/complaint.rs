//! What is wrong with a submission before it is sent, and the exit code that Slurm ends with.

use crate::say;

/// Lines for stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    lines: Vec<Line>,
    pub(crate) exit: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// Behind `sbatch: error: `.
    Error(String),
    /// As it stands.
    Raw(String),
}

/// Slurm's exit code where an option's value makes no sense, as -1 shows in a shell.
const SENSELESS: u8 = 255;

impl Complaint {
    /// An error, after which the command ends with 1.
    pub(crate) fn error(text: impl Into<String>) -> Self {
        let lines = text.into().lines().map(|line| Line::Error(line.to_owned())).collect();
        Self { lines, exit: 1 }
    }

    /// An error, after which the command ends with 255.
    pub(crate) fn senseless(text: impl Into<String>) -> Self {
        Self { exit: SENSELESS, ..Self::error(text) }
    }

    /// `Invalid --time specification`.
    pub(crate) fn specification(option: &str) -> Self {
        Self::senseless(format!("Invalid --{option} specification"))
    }

    /// `Invalid numeric value "0" for --ntasks.`
    pub(crate) fn number(option: &str, value: &str) -> Self {
        Self::error(format!("Invalid numeric value \"{value}\" for --{option}."))
    }

    /// An option that Slurm has and Rafter has not.
    pub(crate) fn unsupported(option: &str, why: &str) -> Self {
        Self::error(format!("--{option} is not supported: {why}"))
    }

    /// The same, with a further error.
    pub(crate) fn and(mut self, text: impl Into<String>) -> Self {
        self.lines.push(Line::Error(text.into()));
        self
    }

    /// The same, after a line that stands alone.
    pub(crate) fn after(mut self, line: impl Into<String>) -> Self {
        self.lines.insert(0, Line::Raw(line.into()));
        self
    }

    /// What getopt says of a command line or of a script's directives.
    pub(crate) fn misuse(called: &str, name: &str, misuse: &impl ToString) -> Self {
        let line = format!("{called}: {}", misuse.to_string());
        let advice = format!("Try \"{name} --help\" for more information");
        Self { lines: vec![Line::Raw(line), Line::Raw(advice)], exit: SENSELESS }
    }

    /// Says it, and returns the exit code.
    pub(crate) fn say(&self) -> u8 {
        for line in &self.lines {
            match line {
                Line::Error(text) => say::error(text),
                Line::Raw(text) => say::err(&format!("{text}\n")),
            }
        }
        self.exit
    }

    /// All that it says, under this name.
    #[cfg(test)]
    pub(crate) fn text(&self, name: &str) -> String {
        let line = |line: &Line| match line {
            Line::Error(text) => format!("{name}: error: {text}\n"),
            Line::Raw(text) => format!("{text}\n"),
        };
        self.lines.iter().map(line).collect()
    }
}

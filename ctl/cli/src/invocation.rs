//! How a command was called.

use std::ffi::OsString;

/// A command that this executable can be.
#[derive(Clone, Copy)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The exit code for a command line that can't be understood: Slurm's differ.
    pub(crate) misuse: u8,
    pub(crate) run: fn(&Invocation) -> u8,
}

/// A command, the name that it was called by, and its arguments.
pub(crate) struct Invocation {
    command: Command,
    called: String,
    arguments: Vec<String>,
}

/// An argument that is not UTF-8. Job records are text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("argument {0:?} is not UTF-8")]
pub(crate) struct NotText(OsString);

impl Invocation {
    /// `called` is how the program was named on the command line, whole.
    pub(crate) fn new(
        command: Command,
        called: &str,
        arguments: Vec<OsString>,
    ) -> Result<Self, NotText> {
        let texts = arguments.into_iter().map(OsString::into_string);
        let arguments = texts.collect::<Result<_, _>>().map_err(NotText)?;
        Ok(Self { command, called: called.to_owned(), arguments })
    }

    /// Such as `sbatch`.
    pub(crate) fn name(&self) -> &'static str {
        self.command.name
    }

    /// Such as `/usr/bin/sbatch`.
    pub(crate) fn called(&self) -> &str {
        &self.called
    }

    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    pub(crate) fn misuse(&self) -> u8 {
        self.command.misuse
    }

    pub(crate) fn run(&self) -> u8 {
        (self.command.run)(self)
    }
}

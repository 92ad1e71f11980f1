//! What a command says: its results to stdout, everything else to stderr.
//!
//! **Invariant:** a reader that goes away (`squeue | head`) ends the command as SIGPIPE would,
//! without a word.

use std::{
    env,
    io::{self, ErrorKind, IsTerminal as _, Write as _},
    process,
    sync::OnceLock,
};

/// How a shell shows that SIGPIPE ended a process.
const BROKEN_PIPE: i32 = 128 + 13;

static NAME: OnceLock<&'static str> = OnceLock::new();

/// Under which name the command speaks. The first one stays.
pub(crate) fn begin(name: &'static str) {
    let _ = NAME.set(name);
}

fn name() -> &'static str {
    NAME.get().copied().unwrap_or("rafter")
}

/// Writes to stdout, all at once.
pub(crate) fn out(text: &str) {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
}

/// Writes to stderr.
pub(crate) fn err(text: &str) {
    // Where stderr is closed there is nobody to tell.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// `sbatch: error: TEXT`, each line of it.
pub(crate) fn error(text: &str) {
    for line in text.lines() {
        err(&format!("{}: error: {line}\n", name()));
    }
}

/// `sbatch: fatal: TEXT`.
pub(crate) fn fatal(text: &str) {
    err(&format!("{}: fatal: {text}\n", name()));
}

/// `sbatch: TEXT`: a remark that is no result.
pub(crate) fn info(text: &str) {
    err(&format!("{}: {text}\n", name()));
}

/// Whether stdout wants colours: it is a terminal, and nobody has asked for none
/// (<https://no-color.org>).
pub(crate) fn in_colour() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn written(outcome: io::Result<()>) {
    match outcome {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => process::exit(BROKEN_PIPE),
        Err(error) => {
            err(&format!("{}: error: can't write to stdout: {error}\n", name()));
            process::exit(1);
        }
    }
}

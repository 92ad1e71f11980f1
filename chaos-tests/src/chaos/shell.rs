//! Programs of the system that are called: `ip`, `nft`, `mount`, ...

use std::{
    ffi::OsStr,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Runs a program to its end.
///
/// # Errors
/// Where it can't be started or fails, with what it said.
pub(super) fn run<I: AsRef<OsStr>>(
    program: &str,
    words: impl IntoIterator<Item = I>,
) -> Result<String> {
    done(Command::new(program).args(words))
}

/// Runs a command to its end, and returns what it printed.
///
/// # Errors
/// Where it can't be started or fails, with what it said.
pub(super) fn done(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("`{shown}` can't be started"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed ({}): {}", output.status, said.trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` printed no UTF-8"))
}

/// Runs a command that reads `text`.
///
/// # Errors
/// As [`done`].
pub(super) fn fed(command: &mut Command, text: &str) -> Result<()> {
    let shown = shown(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{shown}` can't be started"))?;
    let mut input = child.stdin.take().context("its input is a pipe")?;
    input.write_all(text.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed ({}): {}\n{text}", output.status, said.trim_end());
    }
    Ok(())
}

/// Whether a program is there.
pub(super) fn there(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&folders).collect();
    folders.extend(["/usr/sbin", "/sbin"].map(Into::into));
    folders.iter().any(|folder| folder.join(program).is_file())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

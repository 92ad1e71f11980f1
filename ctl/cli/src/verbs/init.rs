//! `rafter init`, `rafter restore`, `rafter controller recover`: what `rafterctld` does offline.

use std::{
    env, ffi::OsString, os::unix::process::CommandExt as _, path::PathBuf, process::Command,
};

use crate::say;

const CONTROLLER: &str = "rafterctld";

/// Becomes `rafterctld` with this option. Returns only where that can't be done.
pub(super) fn run(option: &str, arguments: Vec<OsString>) -> u8 {
    let program = beside().unwrap_or_else(|| CONTROLLER.into());
    let error = Command::new(&program).arg(option).args(arguments).exec();
    say::error(&format!("can't run {}: {error}", program.display()));
    1
}

/// The controller's program in the folder of this one, where it is if both were installed together.
fn beside() -> Option<PathBuf> {
    let beside = env::current_exe().ok()?.with_file_name(CONTROLLER);
    beside.is_file().then_some(beside)
}

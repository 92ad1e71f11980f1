//! What the figures were taken on: printed on top of them.

use std::{fs, path::Path, process::Command};

use crate::workspace::{output, root};

/// Prints the machine and the versions.
pub(crate) fn print(folder: &Path, against: Option<&str>) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let said = |command: &mut Command| {
        let said = output(command).unwrap_or_default();
        said.lines().next().unwrap_or_default().to_owned()
    };
    let cpuinfo = read("/proc/cpuinfo");
    let model = value_of(&cpuinfo, "model name").unwrap_or("a processor without a name");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let meminfo = read("/proc/meminfo");
    let memory = value_of(&meminfo, "MemTotal").unwrap_or("0 kB").trim_end_matches(" kB");
    let memory = memory.parse::<u64>().unwrap_or(0) / 1024;
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let commit = said(Command::new("git").current_dir(root()).args(["describe", "--always"]));
    let dirty = said(Command::new("git").current_dir(root()).args(["status", "--porcelain"]));
    let changed = if dirty.is_empty() { "" } else { ", changed" };
    let rustc = said(Command::new("rustc").arg("--version"));
    println!("when     {}", said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])));
    println!("machine  {model}, {cores} CPUs, {memory} MiB, Linux {}", kernel.trim());
    println!("at rest  load average {load} before the first part");
    println!("disk     {} ({})", disk(folder), folder.display());
    println!("rafter   {commit}{changed}, {rustc}");
    if let Some(against) = against {
        println!("against  {against}");
    }
}

fn value_of<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim())
}

/// The device and type of the file system that `folder` is on. One in memory makes each fsync
/// free, so it is worth a word.
fn disk(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let of = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        Some((words.next()?, words.next()?, words.next()?))
    };
    let below = mounts.lines().filter_map(of).filter(|(_, at, _)| folder.starts_with(at));
    match below.max_by_key(|(_, at, _)| at.len()) {
        Some((_, _, kind)) if kind == "tmpfs" => {
            "tmpfs: it is memory, so nothing below says anything of a disk".to_owned()
        }
        Some((device, _, kind)) => format!("{kind} on {device}"),
        None => "unknown".to_owned(),
    }
}

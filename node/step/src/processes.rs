//! Processes, as `/proc` shows them: who descends from whom, and signals that can't go astray.
//!
//! A supervisor is the subreaper of its job: whatever a process of the job does, it stays a
//! descendant. So a walk over parents finds all of them, daemonised ones too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How often one sweep looks for children that were born while it stopped their parents. A
/// stopped process forks no more, so the first few looks find all but a fork bomb.
const LOOKS: usize = 50;

/// A process, told from a later one of the same number by its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: i32,
    /// Clock ticks since the boot.
    pub start_ticks: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) process: Process,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    pub(crate) dead: bool,
}

/// The process that has this number at the moment.
#[must_use]
pub fn process(pid: i32) -> Option<Process> {
    stat(pid).map(|stat| stat.process)
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// proc(5). The second field, in brackets, is any text at all.
fn parse_stat(line: &[u8]) -> Option<Stat> {
    let text = String::from_utf8_lossy(line);
    let (head, tail) = (text.split_once(' ')?, text.rsplit_once(") ")?);
    let fields: Vec<&str> = tail.1.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<i32>().ok();
    Some(Stat {
        process: Process {
            pid: head.0.parse().ok()?,
            start_ticks: fields.get(22 - 3)?.parse().ok()?,
        },
        parent: number(4)?,
        session: number(6)?,
        dead: matches!(*fields.first()?, "Z" | "X" | "x"),
    })
}

/// All processes of this host, as far as `/proc` shows them.
pub(crate) fn all() -> Vec<Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// The living descendants of `root`, itself not among them.
#[must_use]
pub fn descendants(root: i32) -> Vec<Process> {
    let mut children = BTreeMap::<i32, Vec<Stat>>::new();
    for stat in all() {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).into_iter().flatten() {
            parents.push(child.process.pid);
            found.extend((!child.dead).then_some(child.process));
        }
    }
    found
}

/// The signal of this number, a real-time one included.
#[must_use]
pub fn numbered(number: u8) -> Option<Signal> {
    let number = i32::from(number);
    let real_time = nix::libc::SIGRTMIN()..=nix::libc::SIGRTMAX();
    Signal::from_named_raw(number).or_else(|| {
        // SAFETY: those below SIGRTMIN, which the C library keeps for itself, are not among them.
        #[expect(unsafe_code, reason = "rustix names no real-time signals")]
        real_time.contains(&number).then(|| unsafe { Signal::from_raw_unchecked(number) })
    })
}

/// Sends `signal` to the process, if it is still the same one.
pub fn signal(to: Process, signal: Signal) {
    let Some(pid) = Pid::from_raw(to.pid) else { return };
    // The number may have gone to another process. What the descriptor means does not change, so
    // a look after it was opened decides.
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if process(to.pid) == Some(to) {
        // It may be gone, or belong to another user whom the supervisor may not signal.
        let _ = pidfd_send_signal(&pidfd, signal);
    }
}

pub fn signal_descendants(root: i32, signal: Signal) {
    for process in descendants(root) {
        self::signal(process, signal);
    }
}

/// Kills all descendants of `root` that one sweep finds. The caller repeats it until its children
/// are all gone.
pub fn kill_descendants(root: i32) {
    sweep(|| descendants(root));
}

/// Stops what `find` finds until it finds nothing more, and kills all of it: killed one by one, a
/// fork bomb would grow back.
pub(crate) fn sweep(find: impl Fn() -> Vec<Process>) -> usize {
    let mut stopped = BTreeSet::new();
    for _ in 0..LOOKS {
        let fresh: Vec<_> = find().into_iter().filter(|found| !stopped.contains(found)).collect();
        if fresh.is_empty() {
            break;
        }
        for process in fresh {
            signal(process, Signal::STOP);
            stopped.insert(process);
        }
    }
    for process in &stopped {
        signal(*process, Signal::KILL);
    }
    stopped.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_confuse() {
        let line = b"42 (a) b (c) S 7 42 41 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";
        let expected = Stat {
            process: Process { pid: 42, start_ticks: 98765 },
            parent: 7,
            session: 41,
            dead: false,
        };
        assert_eq!(parse_stat(line), Some(expected));
    }

    #[test]
    fn this_process_is_what_the_kernel_says() {
        let me = i32::try_from(std::process::id()).expect("a process number");
        let stat = stat(me).expect("this process is there");
        assert_eq!(stat.process.pid, me);
        assert_eq!(stat.parent, std::os::unix::process::parent_id().cast_signed());
    }

    proptest! {
        #[test]
        fn any_line_is_parsed_or_not(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_stat(&line);
        }

        #[test]
        fn any_fields_are_parsed_or_not(
            line in "[0-9]{1,3} \\([a-z) ]{0,9}\\) [RSZ]( -?[0-9]{1,20}){0,25}",
        ) {
            let _ = parse_stat(line.as_bytes());
        }
    }
}

//! What signals are called in sentences: strsignal(3).

/// Linux's signals, from 1.
const TEXTS: [&str; 31] = [
    "Hangup",
    "Interrupt",
    "Quit",
    "Illegal instruction",
    "Trace/breakpoint trap",
    "Aborted",
    "Bus error",
    "Floating point exception",
    "Killed",
    "User defined signal 1",
    "Segmentation fault",
    "User defined signal 2",
    "Broken pipe",
    "Alarm clock",
    "Terminated",
    "Stack fault",
    "Child exited",
    "Continued",
    "Stopped (signal)",
    "Stopped",
    "Stopped (tty input)",
    "Stopped (tty output)",
    "Urgent I/O condition",
    "CPU time limit exceeded",
    "File size limit exceeded",
    "Virtual timer expired",
    "Profiling timer expired",
    "Window changed",
    "I/O possible",
    "Power failure",
    "Bad system call",
];

/// The first signal that the C library leaves to programs.
const REAL_TIME: u32 = 34;
const LAST: u32 = 64;

pub(crate) fn of(signal: u32) -> String {
    let known = signal.checked_sub(1).and_then(|index| TEXTS.get(usize::try_from(index).ok()?));
    match known {
        Some(text) => (*text).to_owned(),
        None if (REAL_TIME..=LAST).contains(&signal) => {
            format!("Real-time signal {}", signal - REAL_TIME)
        }
        None => format!("Unknown signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn signals_have_the_c_librarys_names() {
        assert_eq!(super::of(9), "Killed");
        assert_eq!(super::of(31), "Bad system call");
        assert_eq!(super::of(53), "Real-time signal 19");
        assert_eq!(super::of(0), "Unknown signal 0");
    }
}

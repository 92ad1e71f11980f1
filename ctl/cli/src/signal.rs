//! Signals, as Slurm's options name them: `USR1`, `SIGUSR1`, `usr1` or `10`.

use nix::sys::signal::Signal;

/// The largest number of a signal on Linux (signal(7)).
const LAST: u8 = 64;

pub(crate) fn parse(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse() {
        return (1..=LAST).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    let signal: Signal = name.parse().ok()?;
    u8::try_from(signal as i32).ok()
}

/// The signal's name without `SIG`.
pub(crate) fn name(signal: u8) -> String {
    match Signal::try_from(i32::from(signal)) {
        Ok(known) => known.as_str().trim_start_matches("SIG").to_owned(),
        Err(_) => signal.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short() {
        assert_eq!(name(15), "TERM");
        assert_eq!(name(64), "64");
    }

    #[test]
    fn signals_have_names_and_numbers() {
        let good = [("USR1", 10), ("SIGUSR1", 10), ("sigterm", 15), ("9", 9), ("64", 64)];
        for (text, number) in good {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for text in ["", "SIG", "FOO", "0", "65", "-1", "USR1 ", "SIGSIGUSR1"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}

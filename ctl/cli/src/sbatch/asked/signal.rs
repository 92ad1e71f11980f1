//! `--signal=[B:]SIGNAL[@SECONDS]`.

use common::{job::WarnSignal, time::Span};

use crate::{sbatch::complaint::Complaint, signal};

/// How long before the limit the signal comes, unless it is said, in seconds (sbatch(1)).
const BEFORE: u16 = 60;

pub(super) fn parse(text: &str) -> Result<WarnSignal, Complaint> {
    let wrong = || Complaint::specification("signal");
    let (flags, rest) = match text.split_once(':') {
        Some((flags, rest)) => (flags, rest),
        None => ("", text),
    };
    let mut batch_only = false;
    for flag in flags.chars() {
        match flag.to_ascii_uppercase() {
            'B' => batch_only = true,
            'R' => {
                let why = "there are no reservations to make room for";
                return Err(Complaint::unsupported("signal=R:", why));
            }
            _ => return Err(wrong()),
        }
    }
    let (name, before) = match rest.split_once('@') {
        Some((name, before)) => (name, before.parse().map_err(|_| wrong())?),
        None => (rest, BEFORE),
    };
    let signal = signal::parse(name).ok_or_else(wrong)?;
    Ok(WarnSignal { signal, before: Span::from_seconds(u64::from(before)), batch_only })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn signals_before_the_limit() {
        let of = |signal, seconds, batch_only| WarnSignal {
            signal,
            before: Span::from_seconds(seconds),
            batch_only,
        };
        assert_eq!(parse("USR1@20"), Ok(of(10, 20, false)));
        assert_eq!(parse("SIGUSR1"), Ok(of(10, 60, false)));
        assert_eq!(parse("B:12@0"), Ok(of(12, 0, true)));
        for text in ["", "FOO", "B:USR1@x", "B:", "X:USR1", "USR1@", "USR1@70000", "USR1@-1"] {
            assert_eq!(parse(text), Err(Complaint::specification("signal")), "{text:?}");
        }
        assert!(parse("R:USR1@20").is_err_and(|complaint| complaint.exit == 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_text_panics(text in "[BRé]{0,2}:?[A-Z0-9]{0,5}@?[0-9-]{0,6}") {
            let _ = parse(&text);
        }
    }
}

//! Amounts of memory and disk, in MiB, as options and configurations write them.

use std::fmt;

use thiserror::Error;

/// A text that is no amount. The commands name the option that it was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an amount of memory: a number is, with K, M, G or T behind it or nothing for M")]
pub struct SizeError;

/// Reads an amount as `--mem` takes it and gives MiB: `500` and `500M` are MiB, `10G`, `10g` and
/// `10GB` are GiB, `1T` is TiB, and KiB are rounded up.
///
/// # Errors
/// Where the text is anything else, or the amount is beyond 64 bits.
pub fn parse_mib(text: &str) -> Result<u64, SizeError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, suffix) = text.split_at(digits);
    let number: u64 = digits.parse().map_err(|_| SizeError)?;
    let suffix = suffix.to_ascii_uppercase();
    let mib = match suffix.strip_suffix('B').unwrap_or(&suffix) {
        "K" => Some(number.div_ceil(1024)),
        // `5B` is 5 MiB in Slurm, too.
        "" | "M" => Some(number),
        "G" => number.checked_mul(1 << 10),
        "T" => number.checked_mul(1 << 20),
        _ => None,
    };
    mib.ok_or(SizeError)
}

/// MiB, displayed as Slurm prints them: in the largest unit in which the number is whole, so
/// `10G`, `500M`, `16000M`, and `0` for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mib(pub u64);

impl fmt::Display for Mib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("0");
        }
        let (mut number, mut units) = (self.0, ["M", "G", "T", "P", "E"].iter());
        let mut unit = units.next();
        while number % 1024 == 0
            && let Some(next) = units.next()
        {
            number /= 1024;
            unit = Some(next);
        }
        f.pad(&format!("{number}{}", unit.expect("the list of units is not empty")))
    }
}

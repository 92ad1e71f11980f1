//! Counts, as `--nodes`, `--ntasks` and their like take them.

use thiserror::Error;

/// How many of something: at least `min`, and at most `max` where one is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub min: u32,
    pub max: Option<u32>,
}

/// Why a text is no count of nodes, in the words of Slurm's commands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CountError {
    #[error("\"{0}\" is not a valid node count")]
    Invalid(String),
    #[error("Maximum node count {max} is less than minimum node count {min}")]
    Reversed { min: u32, max: u32 },
    /// `1,3,5-7:2`: sizes to choose from.
    #[error("a list of node counts (\"{0}\") is not supported")]
    List(String),
}

/// Reads a count of nodes: `2`, `2-4`, `1k`. Of one number, `max` equals `min`. Zero is a count;
/// that no job runs on zero nodes is for whom it is sent to.
///
/// # Errors
/// Where the text is no count, the bounds are the wrong way round, or it is a list of sizes.
pub fn parse_nodes(text: &str) -> Result<Count, CountError> {
    let invalid = || CountError::Invalid(text.to_owned());
    if is_list(text) {
        return Err(CountError::List(text.to_owned()));
    }
    // Slurm takes a sign for nothing.
    let unsigned = text.trim().strip_prefix(['-', '+']).unwrap_or(text.trim());
    let (min, max) = unsigned.split_once('-').unwrap_or((unsigned, unsigned));
    let min = with_suffix(min).ok_or_else(invalid)?;
    let max = with_suffix(max).ok_or_else(invalid)?;
    if max < min {
        return Err(CountError::Reversed { min, max });
    }
    Ok(Count { min, max: Some(max) })
}

fn is_list(text: &str) -> bool {
    let of_list = |byte: u8| byte.is_ascii_digit() || b",-:".contains(&byte);
    text.bytes().all(of_list) && text.contains([',', ':'])
}

/// Digits, and `k` or `m` for as many times 1024 or 1024 x 1024.
fn with_suffix(text: &str) -> Option<u32> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, suffix) = text.split_at(digits);
    let times = match suffix {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        _ => return None,
    };
    digits.parse::<u32>().ok()?.checked_mul(times)
}

/// Reads a number that counts tasks, CPUs and their like, from 1 to `i32::MAX` as in Slurm; a sign
/// `+` and blanks before it are allowed. None: it is no such number, which the commands report as
/// `Invalid numeric value "0" for --ntasks.`
#[must_use]
pub fn parse_positive(text: &str) -> Option<u32> {
    let number = text.trim_start();
    let digits = number.strip_prefix('+').unwrap_or(number);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|number| (1..=i32::MAX as u32).contains(number))
}

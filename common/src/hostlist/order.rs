//! The order of names: `n2` before `n10`, `rack2n1` before `rack10n1`.

use std::cmp::Ordering;

/// Compares as people count: digits within the text as numbers, all else by its bytes. Numbers that
/// begin with a zero come first, in the order of their digits; Slurm sorts so, too.
pub(super) fn natural(left: &str, right: &str) -> Ordering {
    Pieces(left.as_bytes()).cmp(Pieces(right.as_bytes()))
}

/// A text, cut into single bytes and runs of digits.
struct Pieces<'text>(&'text [u8]);

/// What decides, in this order. A run of digits stands where `0` does among the bytes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Piece<'text> {
    byte: u8,
    /// Of two numbers the longer is greater; zero for one that begins with a zero.
    length: usize,
    digits: &'text [u8],
}

impl<'text> Iterator for Pieces<'text> {
    type Item = Piece<'text>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&byte, rest) = self.0.split_first()?;
        if !byte.is_ascii_digit() {
            self.0 = rest;
            return Some(Piece { byte, length: 0, digits: &[] });
        }
        let run = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(run);
        self.0 = rest;
        let length = if byte == b'0' { 0 } else { run };
        Some(Piece { byte: b'0', length, digits })
    }
}

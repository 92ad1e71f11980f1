//! The pieces that a moment is written in, read one after the other.

use jiff::civil::{Date, Time};

use super::Day;

/// The hours that have a name.
const HOURS: [(&str, i8); 5] =
    [("midnight", 0), ("elevenses", 11), ("noon", 12), ("fika", 15), ("teatime", 16)];

/// In seconds. A longer name stands before its beginning.
const UNITS: [(&str, u64); 10] = [
    ("seconds", 1),
    ("second", 1),
    ("minutes", 60),
    ("minute", 60),
    ("hours", 3_600),
    ("hour", 3_600),
    ("days", 86_400),
    ("day", 86_400),
    ("weeks", 604_800),
    ("week", 604_800),
];

/// A place in a text. What does not fit leaves it where it is.
pub(super) struct Scanner<'text> {
    text: &'text str,
    at: usize,
}

impl<'text> Scanner<'text> {
    pub(super) fn new(text: &'text str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().trim_start().is_empty()
    }

    fn rest(&self) -> &'text str {
        &self.text[self.at..]
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        self.at += self.rest().bytes().take_while(|byte| wanted(*byte)).count();
    }

    fn skip_blanks(&mut self) {
        self.skip_while(|byte| byte.is_ascii_whitespace());
    }

    /// What may stand between a day and a time of day. The `t` of a word is none.
    pub(super) fn skip_separators(&mut self) {
        loop {
            self.skip_while(|byte| byte.is_ascii_whitespace() || byte == b'-');
            let before_digit = self.byte(1).is_none_or(|byte| !byte.is_ascii_alphabetic());
            if !(matches!(self.byte(0), Some(b'T' | b't')) && before_digit) {
                return;
            }
            self.at += 1;
        }
    }

    /// Takes a word, in whatever case, that no letter follows.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let rest = self.rest().as_bytes();
        let here =
            rest.get(..word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word.as_bytes()));
        let letter_follows =
            rest.get(word.len()).is_some_and(|byte| byte.is_ascii_alphabetic() && *byte != b'T');
        let taken = here && !letter_follows;
        if taken {
            self.at += word.len();
        }
        taken
    }

    /// `uts` and seconds since the epoch.
    pub(super) fn epoch(&mut self) -> Option<u64> {
        let digits = self.rest().strip_prefix("uts")?;
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        let seconds = digits[..count].parse().ok()?;
        self.at += "uts".len() + count;
        Some(seconds)
    }

    pub(super) fn hour_by_name(&mut self) -> Option<i8> {
        HOURS.iter().find(|(name, _)| self.word(name)).map(|(_, hour)| *hour)
    }

    /// `+2 hours`: whether it lies ahead, and seconds. None leaves the place where it is.
    pub(super) fn delta(&mut self) -> Option<(bool, u64)> {
        let start = self.at;
        self.skip_blanks();
        let forward = match self.byte(0) {
            Some(b'+') => true,
            Some(b'-') => false,
            Some(_) | None => return self.back_to(start),
        };
        self.at += 1;
        self.skip_blanks();
        let number_at = self.at;
        self.skip_while(|byte| byte.is_ascii_digit());
        let Ok(number) = self.text[number_at..self.at].parse::<u64>() else {
            return self.back_to(start);
        };
        self.skip_blanks();
        let unit = UNITS.iter().find(|(name, _)| self.word(name));
        if unit.is_none() && self.byte(0).is_some_and(|byte| byte.is_ascii_alphabetic()) {
            // Slurm points at the number.
            return self.back_to(number_at);
        }
        Some((forward, number.saturating_mul(unit.map_or(1, |(_, seconds)| *seconds))))
    }

    fn back_to<T>(&mut self, place: usize) -> Option<T> {
        self.at = place;
        None
    }

    /// Whether an hour and its colon come next.
    pub(super) fn is_clock(&self) -> bool {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        (1..=2).contains(&digits) && self.byte(digits) == Some(b':')
    }

    /// At most `most` digits, and how many there were.
    fn digits(&mut self, most: usize) -> Option<(i16, usize)> {
        let count = self.rest().bytes().take(most).take_while(u8::is_ascii_digit).count();
        let number = self.rest()[..count].parse().ok()?;
        self.at += count;
        Some((number, count))
    }

    /// Two digits of at most `most`; the place stays at them where they are wrong.
    fn two_digits(&mut self, most: i16) -> Option<i8> {
        let start = self.at;
        match self.digits(2) {
            Some((number, 2)) if number <= most => i8::try_from(number).ok(),
            Some((_, 1)) => None,
            Some(_) | None => self.back_to(start),
        }
    }

    /// `4:00`, `16:00:30`, `4:00 PM`.
    pub(super) fn clock(&mut self) -> Option<Time> {
        let start = self.at;
        let (hour, _) = self.digits(2)?;
        if hour > 23 {
            return self.back_to(start);
        }
        self.at += 1;
        let minute = self.two_digits(59)?;
        let second = match self.byte(0) {
            Some(b':') => {
                self.at += 1;
                self.two_digits(59)?
            }
            Some(_) | None => 0,
        };
        let hour = self.half_of_day(hour)?;
        Time::new(i8::try_from(hour).ok()?, minute, second, 0).ok()
    }

    /// The hour after what follows it, `AM` or `PM`, is taken into account.
    fn half_of_day(&mut self, hour: i16) -> Option<i16> {
        let start = self.at;
        self.skip_blanks();
        let afternoon = match (self.word("am"), self.word("pm")) {
            (true, _) => false,
            (false, true) => true,
            (false, false) => {
                self.at = start;
                return Some(hour);
            }
        };
        match (hour, afternoon) {
            (13.., _) => self.back_to(start),
            (12, false) => Some(0),
            (12, true) | (_, false) => Some(hour),
            (_, true) => Some(hour + 12),
        }
    }

    /// `2030-01-20`, `01/20/30`, `01.20.30`, `012030`, `1/20`, `0120`.
    pub(super) fn day(&mut self) -> Option<Day> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        match digits {
            4 if self.byte(4) == Some(b'-') => self.iso_day(),
            1 | 2 => self.american_day(),
            4 | 6.. => self.digits_day(),
            _ => None,
        }
    }

    fn iso_day(&mut self) -> Option<Day> {
        let start = self.at;
        let (year, _) = self.digits(4)?;
        self.at += 1;
        if self.byte(1).is_none_or(|byte| !byte.is_ascii_digit()) {
            return self.back_to(start);
        }
        let month_at = self.at;
        let month = self.two_digits(12)?;
        if self.byte(0) != Some(b'-') {
            return self.back_to(start);
        }
        self.at += 1;
        let day_at = self.at;
        let day = self.two_digits(31)?;
        match Date::new(year, month, day) {
            Ok(date) => Some(Day::Full(date)),
            Err(_) if month == 0 => self.back_to(month_at),
            Err(_) => self.back_to(day_at),
        }
    }

    fn american_day(&mut self) -> Option<Day> {
        let start = self.at;
        let (month, _) = self.digits(2)?;
        let separator = self.byte(0).filter(|byte| b"/.".contains(byte));
        let Some(separator) = separator.filter(|_| (1..=12).contains(&month)) else {
            let wrong_month = separator.is_some();
            return self.back_to(if wrong_month { start } else { self.at });
        };
        self.at += 1;
        let day_at = self.at;
        let (day, _) = self.digits(2)?;
        let year = (self.byte(0) == Some(separator)).then(|| self.at += 1);
        let year = match year {
            Some(()) => Some(self.digits(2).filter(|(_, count)| *count == 2)?.0),
            None => None,
        };
        if self.byte(0).is_some_and(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.day_of(month, day, year).or_else(|| self.back_to(day_at))
    }

    fn digits_day(&mut self) -> Option<Day> {
        let start = self.at;
        let (month, _) = self.digits(2)?;
        let (day, _) = self.digits(2)?;
        let year = self.digits(2).filter(|(_, count)| *count == 2).map(|(year, _)| year);
        if self.byte(0).is_some_and(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.day_of(month, day, year).or_else(|| self.back_to(start))
    }

    /// A year of two digits is of this century.
    fn day_of(&self, month: i16, day: i16, year: Option<i16>) -> Option<Day> {
        let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        match year {
            Some(year) => Date::new(2000 + year, month, day).ok().map(Day::Full),
            // 2000 has every day that any year has.
            None => Date::new(2000, month, day).ok().map(|_| Day::Yearly { month, day }),
        }
    }
}

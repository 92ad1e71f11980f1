//! Formats of lines: `-o "%.18i %j"` and `-O "jobid:8,name"`.
//!
//! What Slurm does with odd ones is kept, because scripts rely on it: `%%i` is `%i`, a letter that
//! there is not prints itself, and a key that there is not is left out.

use super::column::{Column, MAX_WIDTH};

/// A line: fields and what stands between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format<F> {
    pub(crate) parts: Vec<Part<F>>,
    /// What is no letter or key, in the order of the text.
    pub(crate) invalid: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part<F> {
    Text(String),
    /// A field with its heading.
    Field(F, &'static str, Column),
}

/// A field, and its heading.
pub(crate) type Lookup<F> = Option<(F, &'static str)>;

/// The width of a key that is given none.
const KEY_WIDTH: usize = 20;

impl<F> Format<F> {
    /// Reads `-o`: `%[.][WIDTH]LETTER`, with text in between.
    pub(crate) fn letters(text: &str, lookup: impl Fn(char) -> Lookup<F>) -> Self {
        let mut format = Self { parts: Vec::new(), invalid: Vec::new() };
        let (before, fields) = text.split_once('%').unwrap_or((text, ""));
        if !before.is_empty() {
            format.parts.push(Part::Text(before.to_owned()));
        }
        for token in fields.split('%').filter(|token| !token.is_empty()) {
            format.letter(token, &lookup);
        }
        format
    }

    fn letter(&mut self, token: &str, lookup: &impl Fn(char) -> Lookup<F>) {
        let (right, width, rest) = size(token);
        let mut rest = rest.chars();
        let letter = rest.next();
        match letter.and_then(lookup) {
            Some((field, heading)) => {
                let suffix = rest.as_str().to_owned();
                let column = Column { width: width.unwrap_or(0), right, suffix };
                self.parts.push(Part::Field(field, heading, column));
            }
            None => {
                self.parts.push(Part::Text(format!("%{token}")));
                self.invalid.push(letter.map_or_else(|| " ".to_owned(), String::from));
            }
        }
    }

    /// Reads `-O`: `KEY[:[.][WIDTH][SUFFIX]]`, separated by commas. A key without a colon is 20
    /// wide; one with a colon and no number is as wide as its text.
    pub(crate) fn keys(text: &str, lookup: impl Fn(&str) -> Lookup<F>) -> Self {
        let mut format = Self { parts: Vec::new(), invalid: Vec::new() };
        for token in text.split(',').filter(|token| !token.is_empty()) {
            let (key, size_given) = match token.split_once(':') {
                Some((key, size)) => (key, Some(size)),
                None => (token, None),
            };
            let column = match size_given.map(size) {
                None => Column { width: KEY_WIDTH, ..Column::default() },
                Some((right, width, suffix)) => {
                    let suffix = suffix.to_owned();
                    Column { width: width.unwrap_or(0), right, suffix }
                }
            };
            match lookup(key.trim()) {
                Some((field, heading)) => format.parts.push(Part::Field(field, heading, column)),
                None => format.invalid.push(key.trim().to_owned()),
            }
        }
        format
    }

    /// The headings, as one line.
    pub(crate) fn put_headings(&self, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(_, heading, column) => column.put(out, |out| out.push_str(heading)),
            }
        }
        out.push('\n');
    }

    /// A line, whose fields `write` writes.
    pub(crate) fn put_line(&self, out: &mut String, write: impl Fn(&mut String, &F)) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(field, _, column) => column.put(out, |out| write(out, field)),
            }
        }
        out.push('\n');
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = &F> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field(field, ..) => Some(field),
            Part::Text(_) => None,
        })
    }
}

/// Whether text stands at the right, how wide it is, and what follows.
fn size(token: &str) -> (bool, Option<usize>, &str) {
    let (right, rest) = match token.strip_prefix('.') {
        Some(rest) => (true, rest),
        None => (false, token),
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = rest.split_at(digits);
    // More digits than a number has are a width beyond all bounds.
    let width = (!digits.is_empty()).then(|| digits.parse().unwrap_or(MAX_WIDTH).min(MAX_WIDTH));
    (right, width, rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn letter(letter: char) -> Lookup<char> {
        letter.is_ascii_lowercase().then_some((letter, "HEAD"))
    }

    fn key(key: &str) -> Lookup<String> {
        let known = key.eq_ignore_ascii_case("name") || key.eq_ignore_ascii_case("id");
        known.then(|| (key.to_ascii_lowercase(), "HEAD"))
    }

    fn lines<F: std::fmt::Display>(format: &Format<F>) -> String {
        let mut out = String::new();
        format.put_headings(&mut out);
        format.put_line(&mut out, |out, field| out.push_str(&format!("<{field}>")));
        out
    }

    /// As the real commands print them: squeue.txt and sinfo.txt of the captures.
    #[test]
    fn letters_are_read_as_slurm_does() {
        let read = |text| {
            let format = Format::letters(text, letter);
            (lines(&format), format.invalid)
        };
        let none: Vec<String> = vec![];
        assert_eq!(read("%i"), ("HEAD\n<i>\n".into(), none.clone()));
        assert_eq!(read("a%%b %i"), ("aHEAD HEAD\na<b> <i>\n".into(), none.clone()));
        assert_eq!(read("|%6i|%.6j|"), ("|HEAD  |  HEAD|\n|<i>   |   <j>|\n".into(), none.clone()));
        assert_eq!(read("%05c|"), ("HEAD |\n<c>  |\n".into(), none.clone()));
        assert_eq!(read("plain"), ("plain\nplain\n".into(), none));
        assert_eq!(read("%i|%-8t|"), ("HEAD|%-8t|\n<i>|%-8t|\n".into(), vec!["-".into()]));
        assert_eq!(read("%5"), ("%5\n%5\n".into(), vec![" ".into()]));
        assert_eq!(read("%.99999999999999999999Q"), read("%.99999999999999999999Q"));
    }

    #[test]
    fn keys_are_read_as_slurm_does() {
        let read = |text| {
            let format = Format::keys(text, key);
            (lines(&format), format.invalid)
        };
        assert_eq!(read("NAME").0, format!("{:20}\n{:20}\n", "HEAD", "<name>"));
        assert_eq!(read("name:6,id:.6 ").0, "HEAD    HEAD \n<name>  <id> \n");
        assert_eq!(read("name:###,id:\u{1f}").0, "HEAD###HEAD\u{1f}\n<name>###<id>\u{1f}\n");
        assert_eq!(read("id:6:x,name:.").0, "HEAD  :xHEAD\n<id>  :x<name>\n");
        assert_eq!(read("bogus,id:").0, "HEAD\n<id>\n");
        assert_eq!(read("bogus,id:").1, ["bogus"]);
        assert_eq!(read("bogus").0, "\n\n");
    }

    proptest! {
        #[test]
        fn any_format_makes_lines_of_bounded_width(text in r"[%.:,a-zA-Zä0-9 -]{0,40}") {
            let fields = text.matches(['%', ',']).count() + 1;
            let most = 2 * (fields * (MAX_WIDTH + 8) + text.len() + 2);
            for out in [
                lines(&Format::letters(&text, letter)),
                lines(&Format::keys(&text, key)),
            ] {
                prop_assert_eq!(out.matches('\n').count(), 2);
                prop_assert!(out.chars().count() <= most);
            }
        }
    }
}

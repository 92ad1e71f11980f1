//! The text of a configuration: lines, what they include, and the pairs that they hold.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::report::{Place, Report};

/// How deep files may include each other.
const MAX_DEPTH: usize = 16;

/// How many files may be read in all.
const MAX_FILES: usize = 1_024;

/// `Key=value`, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) place: Place,
}

/// Reads a file's text; the error says why it can't.
pub(super) type Read<'r> = dyn FnMut(&Path) -> Result<String, String> + 'r;

/// The pairs of each line of a file and of what it includes, in order. No line is without a pair.
pub(super) fn lines(path: &Path, read: &mut Read<'_>, report: &mut Report) -> Vec<Vec<Pair>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut source =
        Source { folder, read, report, lines: vec![], cluster: None, open: vec![], files: 0 };
    source.file(path, None);
    source.lines
}

struct Source<'a, 'r> {
    /// That of the first file; names of included files are relative to it.
    folder: &'a Path,
    read: &'a mut Read<'r>,
    report: &'a mut Report,
    lines: Vec<Vec<Pair>>,
    /// The cluster's name, once it was read: `%c` in names of included files.
    cluster: Option<String>,
    /// The files that are being read, each included by the one before.
    open: Vec<PathBuf>,
    /// How many were read.
    files: usize,
}

impl Source<'_, '_> {
    fn file(&mut self, path: &Path, included_at: Option<&Place>) {
        let name: Arc<str> = path.display().to_string().into();
        let start = Place { file: Arc::clone(&name), line: 0 };
        self.files += 1;
        let again = self.open.iter().any(|open| open == path);
        if again || self.open.len() >= MAX_DEPTH || self.files > MAX_FILES {
            let place = included_at.unwrap_or(&start);
            return self.report.problem(place, "files include each other without end");
        }
        let text = match (self.read)(path) {
            Ok(text) => text,
            Err(error) => {
                let place = included_at.unwrap_or(&start);
                return self.report.problem(place, format!("{name} can't be read: {error}"));
            }
        };
        self.open.push(path.to_owned());
        for (number, line) in logical_lines(&text) {
            let place = Place { file: Arc::clone(&name), line: number };
            self.line(&line, &place);
        }
        self.open.pop();
    }

    fn line(&mut self, line: &str, place: &Place) {
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        if let Some(file) = included(line) {
            let file = file.replace("%c", self.cluster.as_deref().unwrap_or("%c"));
            let path = self.folder.join(file);
            return self.file(&path, Some(place));
        }
        match pairs(line, place) {
            Ok(pairs) => {
                let is_cluster = |pair: &&Pair| pair.key.eq_ignore_ascii_case("ClusterName");
                if let Some(pair) = pairs.iter().find(is_cluster) {
                    self.cluster = Some(pair.value.clone());
                }
                self.lines.push(pairs);
            }
            Err(message) => self.report.problem(place, message),
        }
    }
}

/// The file of an `Include FILE` line.
fn included(line: &str) -> Option<&str> {
    let (word, file) = line.split_once(|character: char| character.is_whitespace())?;
    let file = file.trim();
    (word.eq_ignore_ascii_case("include") && !file.starts_with('=')).then_some(file)
}

/// Lines without comments, a line that ends in a backslash joined with the next, each with the
/// number of its first line. A comment ends with its line, whatever that ends in.
fn logical_lines(text: &str) -> Vec<(u32, String)> {
    let mut lines = vec![];
    let mut open: Option<(u32, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = without_comment(line);
        let (line, goes_on) = match line.strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        let (_, joined) = open.get_or_insert_with(|| (number, String::new()));
        joined.push_str(line);
        if !goes_on {
            lines.extend(open.take());
        }
    }
    lines.extend(open);
    lines
}

/// The line up to a `#` that no backslash stands before.
fn without_comment(line: &str) -> &str {
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'#' if !escaped => return &line[..at],
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    line
}

pub(super) fn pairs(line: &str, place: &Place) -> Result<Vec<Pair>, String> {
    let mut pairs = vec![];
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest
            .split_once('=')
            .ok_or_else(|| format!("`{}' is no Key=value", first_word(rest)))?;
        let key = key.trim_end();
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
        if key.is_empty() || !key.bytes().all(is_word) {
            return Err(format!("`{}' is no Key=value", first_word(rest)));
        }
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted
                .split_once('"')
                .ok_or_else(|| format!("the quote that {key} begins with does not end"))?,
            None => after.split_at(first_word(after).len()),
        };
        if value.is_empty() && !after.starts_with('"') {
            return Err(format!("{key} has no value"));
        }
        if !left.is_empty() && !left.starts_with(char::is_whitespace) {
            return Err(format!("`{}' stands behind the quote of {key}", first_word(left)));
        }
        pairs.push(Pair { key: key.to_owned(), value: unescaped(value), place: place.clone() });
        rest = left.trim_start();
    }
    Ok(pairs)
}

fn first_word(text: &str) -> &str {
    text.split(char::is_whitespace).next().unwrap_or(text)
}

/// Each backslash goes, and what it stands before stays.
fn unescaped(value: &str) -> String {
    let mut escaped = false;
    let kept = value.chars().filter(|character| {
        escaped = *character == '\\' && !escaped;
        !escaped
    });
    kept.collect()
}

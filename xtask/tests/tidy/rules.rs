//! The rules.

use std::{collections::BTreeSet, path::Path};

use ra_ap_rustc_lexer::{FrontmatterAllowed, TokenKind, tokenize};

/// Which of our crates each crate may use, for building or for its tests. A new word here is a
/// change to the architecture: it goes into a commit of its own, together with `ARCHITECTURE.md`.
pub(crate) const LAYERS: &[(&str, &[&str])] = &[
    ("common", &[]),
    ("proto", &["common"]),
    ("proto/trust", &[]),
    ("proto/telemetry", &[]),
    ("ctl/sched", &["common"]),
    ("raft-store", &["common", "proto", "proto/trust"]),
    ("ctl", &["common", "proto", "proto/trust", "proto/telemetry", "raft-store", "ctl/sched"]),
    ("ctl/trials", &["common", "ctl/sched"]),
    ("ctl/cli", &["common", "proto", "proto/trust", "proto/telemetry", "ctl/sched"]),
    ("node", &["common", "proto", "proto/trust", "proto/telemetry", "node/step"]),
    ("node/step", &[]),
    (
        "chaos-tests",
        &[
            "common",
            "proto",
            "proto/trust",
            "proto/telemetry",
            "raft-store",
            "ctl",
            "ctl/sched",
            "ctl/cli",
            "node",
            "node/step",
        ],
    ),
    ("xtask", &[]),
];

/// All that the pure crates may use of others: nothing that could reach a clock, a file, a socket
/// or a source of randomness.
const PURE: &[(&str, &[&str])] = &[
    ("common", &["bytes", "imbl", "jiff", "serde", "sha2", "strsim", "thiserror"]),
    ("ctl/sched", &["imbl", "serde", "thiserror"]),
];

/// Crates that only one of ours may name, so that a change of theirs stays there.
const CONFINED: &[(&str, &str)] = &[("openraft", "raft-store"), ("rocksdb", "raft-store")];

/// Where `unsafe` may be said: beside `fork` and namespaces there is no safe way.
const UNSAFE_MAY_BE_IN: &[&str] = &["node/step/", "node/container/"];

/// Who builds with known bugs, to see them caught.
const PLANTED_IN: &[&str] = &["xtask/src/gate.rs"];

const FILE_LINES_MAX: usize = 500;
const LINE_CHARS_MAX: usize = 100;

/// Words for work that was put off. It is done, or it is an issue; it is not a comment.
const PUT_OFF: &[&str] = &["TODO", "FIXME", "XXX"];
const PUT_OFF_MACROS: &[&str] = &["todo", "unimplemented"];

/// A file of the repository, its path relative to the root.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A token of Rust that says something, and the line (from 1) where it begins.
struct Word<'t> {
    kind: TokenKind,
    text: &'t str,
    line: usize,
}

/// A crate of ours, by its folder: what it uses of ours, and of others.
pub(crate) struct Crate {
    pub(crate) folder: String,
    pub(crate) ours: Vec<String>,
    /// Their names, and whether only the tests use them.
    pub(crate) foreign: Vec<(String, bool)>,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|is| is == extension)
    }

    fn words(&self) -> Vec<Word<'_>> {
        let (mut words, mut at, mut line) = (Vec::new(), 0, 1);
        for token in tokenize(&self.text, FrontmatterAllowed::No) {
            let end = at + token.len as usize;
            let text = &self.text[at..end];
            if token.kind != TokenKind::Whitespace {
                words.push(Word { kind: token.kind, text, line });
            }
            line += text.matches('\n').count();
            at = end;
        }
        words
    }
}

impl Word<'_> {
    fn is_comment(&self) -> bool {
        matches!(self.kind, TokenKind::LineComment { .. } | TokenKind::BlockComment { .. })
    }

    fn is_literal(&self) -> bool {
        matches!(self.kind, TokenKind::Literal { .. })
    }

    fn names(&self, name: &str) -> bool {
        matches!(self.kind, TokenKind::Ident | TokenKind::RawIdent) && self.text == name
    }
}

pub(crate) fn wrong_arrows(crates: &[Crate]) -> Vec<String> {
    let mut wrong = Vec::new();
    for Crate { folder, ours, .. } in crates {
        let Some((_, allowed)) = LAYERS.iter().find(|(known, _)| known == folder) else {
            wrong.push(format!("{folder}: not in the table of layers"));
            continue;
        };
        let bad = ours.iter().filter(|used| !allowed.contains(&used.as_str()));
        wrong.extend(bad.map(|used| format!("{folder}: may not use {used}")));
    }
    wrong
}

pub(crate) fn impure_manifests(crates: &[Crate]) -> Vec<String> {
    let mut wrong = Vec::new();
    for Crate { folder, foreign, .. } in crates {
        let Some((_, allowed)) = PURE.iter().find(|(pure, _)| pure == folder) else { continue };
        let shipped = foreign.iter().filter(|(_, for_tests)| !for_tests);
        let bad = shipped.filter(|(name, _)| !allowed.contains(&name.as_str()));
        wrong.extend(bad.map(|(name, _)| format!("{folder}: is pure, and {name} may not be")));
    }
    wrong
}

/// Whoever's manifest does not have a crate cannot name it, so the manifests are enough.
pub(crate) fn escaped_names(crates: &[Crate]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, home) in CONFINED {
        let users = crates.iter().filter(|it| it.foreign.iter().any(|(used, _)| used == name));
        let strangers = users.filter(|it| it.folder != *home);
        wrong.extend(strangers.map(|it| format!("{}: {name} belongs to {home}", it.folder)));
    }
    wrong
}

pub(crate) fn long_files(files: &[File]) -> Vec<String> {
    let code = files.iter().filter(|file| file.is("rs") || file.is("proto"));
    code.filter_map(|file| {
        let lines = file.text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{}: {lines} lines", file.path))
    })
    .collect()
}

/// Lines that are too wide. A line that begins within a literal, or is one, is let through: what a
/// program prints is as wide as it is.
pub(crate) fn wide_lines(files: &[File]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| ["rs", "proto", "sh"].iter().any(|e| file.is(e))) {
        let mut within = BTreeSet::new();
        if file.is("rs") {
            for word in file.words().iter().filter(|word| word.is_literal()) {
                let more = word.text.matches('\n').count();
                within.extend(word.line + 1..=word.line + more);
            }
        }
        for (at, line) in file.text.lines().enumerate() {
            let wide = line.chars().count();
            let text = line.trim().trim_end_matches(',');
            let literal = text.starts_with('"') && text.ends_with('"');
            if wide > LINE_CHARS_MAX && !within.contains(&(at + 1)) && !literal {
                wrong.push(format!("{}:{}: {wide} characters", file.path, at + 1));
            }
        }
    }
    wrong
}

pub(crate) fn stray_unsafe(files: &[File]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| file.is("rs")) {
        let lines: Vec<&str> = file.text.lines().collect();
        for word in file.words().iter().filter(|word| word.names("unsafe")) {
            let place = format!("{}:{}", file.path, word.line);
            if !UNSAFE_MAY_BE_IN.iter().any(|folder| file.path.starts_with(folder)) {
                wrong.push(format!("{place}: `unsafe` is not for this crate"));
            } else if !is_argued(&lines, word.line) {
                wrong.push(format!("{place}: `unsafe` without a `// SAFETY:`"));
            }
        }
    }
    wrong
}

/// Whether the statement that `line` (from 1) belongs to has its reason on it or right above it.
fn is_argued(lines: &[&str], line: usize) -> bool {
    for (above, text) in lines[..line].iter().rev().enumerate() {
        let text = text.trim();
        if text.contains("// SAFETY:") {
            return true;
        }
        let ends = text.is_empty() || text.ends_with([';', '{', '}']);
        if above > 0 && ends && !text.starts_with("//") {
            return false;
        }
    }
    false
}

pub(crate) fn put_off(files: &[File]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files {
        let mut complain = |line: usize, word: &str| {
            wrong.push(format!("{}:{line}: {word}", file.path));
        };
        if !file.is("rs") {
            for (at, line) in file.text.lines().enumerate() {
                said(line).for_each(|word| complain(at + 1, word));
            }
            continue;
        }
        let words = file.words();
        for word in words.iter().filter(|word| word.is_comment()) {
            said(word.text).for_each(|said| complain(word.line, said));
        }
        for pair in words.windows(2) {
            let called = PUT_OFF_MACROS.iter().find(|name| pair[0].names(name));
            if let Some(name) = called.filter(|_| pair[1].kind == TokenKind::Bang) {
                complain(pair[0].line, name);
            }
        }
    }
    wrong
}

fn said(text: &str) -> impl Iterator<Item = &'static str> {
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    PUT_OFF.iter().copied().filter(move |word| words.contains(word))
}

/// `unwrap()` in what ships. Clippy knows the tests within a file better, but not all files.
pub(crate) fn unwraps(files: &[File]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| file.is("rs")) {
        if file.path.contains("/tests/") || file.path.ends_with("/tests.rs") {
            continue;
        }
        let tests_from = file.text.lines().position(|line| line.trim() == "#[cfg(test)]");
        let shipped = tests_from.unwrap_or(usize::MAX);
        for pair in file.words().windows(2) {
            let called = pair[0].kind == TokenKind::Dot && pair[1].names("unwrap");
            if called && pair[1].line <= shipped {
                let (path, line) = (&file.path, pair[1].line);
                wrong.push(format!("{path}:{line}: unwrap says no reason; expect does"));
            }
        }
    }
    wrong
}

/// Dependencies without a reason, and reasons without a dependency.
pub(crate) fn unexplained(manifest: &str, decisions: &str) -> Vec<String> {
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let named: BTreeSet<&str> = section
        .lines()
        .filter(|line| !line.contains("path = "))
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .collect();
    let rows: BTreeSet<&str> = decisions
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| ")?.split_once(" | ")?.0.trim()))
        .map(|name| name.trim_matches('`'))
        .filter(|name| *name != "crate")
        .collect();
    let missing = named.difference(&rows).map(|name| format!("{name}: has no row"));
    let stale = rows.difference(&named).map(|name| format!("{name}: is no dependency"));
    missing.chain(stale).collect()
}

/// Links of one document to another that lead nowhere. `exists` is asked for paths from the root.
pub(crate) fn dead_links(files: &[File], exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| file.is("md")) {
        let folder = Path::new(&file.path).parent().expect("a file is in a folder");
        for link in file.text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            let outward = target.is_empty() || target.contains("://");
            if !outward && !exists(&folder.join(target)) {
                wrong.push(format!("{}: {target} is not there", file.path));
            }
        }
    }
    wrong
}

/// Where known bugs could be built into something else than a harness that is to catch them: the
/// feature is forwarded and nothing more in manifests, and named where the harness is built alone.
pub(crate) fn shipped_bugs(files: &[File]) -> Vec<String> {
    let mut wrong = Vec::new();
    let builds = |file: &&File| !(file.is("md") || file.is("rs") && file.path.contains("/tests/"));
    for file in files.iter().filter(builds) {
        let manifest = file.path.ends_with("Cargo.toml");
        let code = file.is("rs");
        for (at, line) in file.text.lines().enumerate() {
            let line = line.trim();
            let forwards = line == "planted = []"
                || line.strip_prefix("planted = [").is_some_and(|list| {
                    let list = list.trim_end_matches(']').split(", ");
                    list.into_iter().all(|entry| entry.ends_with("/planted\""))
                });
            let turns_on = match manifest {
                true => line.contains("planted") && !line.starts_with('#') && !forwards,
                false if code => line.contains("\"planted\"") && !line.contains("feature ="),
                false => line.contains("features") && line.contains("planted"),
            };
            if turns_on && !PLANTED_IN.contains(&file.path.as_str()) {
                wrong.push(format!("{}:{}: turns on known bugs", file.path, at + 1));
            }
        }
        let builds = PLANTED_IN.contains(&file.path.as_str());
        if builds && file.text.contains("--release") {
            wrong.push(format!("{}: known bugs, and a release", file.path));
        }
    }
    wrong
}

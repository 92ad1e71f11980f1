//! What the real commands print, for tests: files of a command, its exit code and its output.

use std::{fs, path::Path};

/// One command that was tried.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// As it was typed, without the prompt.
    pub(crate) command: String,
    pub(crate) exit: u8,
    pub(crate) stdout: String,
}

const RULE: &str = "==================================================\n";

/// All entries of a file in `tests/slurm`.
pub(crate) fn read(file: &str) -> Vec<Entry> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slurm").join(file);
    let text = fs::read_to_string(path).expect("the capture is there");
    text.split(RULE).filter(|entry| !entry.trim().is_empty()).map(entry).collect()
}

fn entry(text: &str) -> Entry {
    let (command, rest) = text.split_once('\n').expect("an entry has a command");
    let (exit, rest) = rest.split_once('\n').expect("an entry has an exit code");
    let exit = exit.trim_start_matches("[exit ").trim_end_matches(']');
    let stdout = rest.split("--- stdout\n").nth(1).unwrap_or_default();
    let stdout = stdout.split("--- stderr\n").next().unwrap_or_default();
    Entry {
        command: command[2..].to_owned(),
        exit: exit.parse().expect("the exit code is a number"),
        stdout: stdout.to_owned(),
    }
}

/// The entry of this command.
pub(crate) fn one(file: &str, command: &str) -> Entry {
    let found = read(file).into_iter().find(|entry| entry.command == command);
    found.unwrap_or_else(|| panic!("{file} has {command}"))
}

/// The words of a command line as a shell reads them: single quotes, and a pipe that ends it.
pub(crate) fn words(command: &str) -> Vec<String> {
    let command = command.split(" | ").next().unwrap_or(command);
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quoted = false;
    for letter in command.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// The first line that differs, for people; the whole output is long.
pub(crate) fn assert_same(command: &str, ours: &str, theirs: &str) {
    for (line, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {} of {command}", line + 1);
    }
    assert_eq!(ours, theirs, "{command}");
}

/// Every long option of the real command, without its dashes; but not those that all have.
pub(crate) fn long_options(command: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slurm/long-options.txt");
    let text = fs::read_to_string(path).expect("the capture is there");
    let prefix = format!("{command} --");
    let options = text.lines().filter_map(|line| line.strip_prefix(&prefix));
    let common = ["help", "usage", "version"];
    options.filter(|option| !common.contains(option)).map(str::to_owned).collect()
}

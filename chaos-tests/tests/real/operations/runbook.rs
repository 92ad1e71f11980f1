//! The pages of `docs/operations/`, which the tests go by.

use std::{fs, path::Path};

/// A page. A test types nothing that is not in it.
pub(crate) struct Runbook {
    name: &'static str,
    text: String,
}

impl Runbook {
    pub(crate) fn open(name: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations");
        let text = fs::read_to_string(folder.join(format!("{name}.md")));
        Self { name, text: text.expect("the page is there") }
    }

    /// The words of a line that the page says to type, behind the program's name, with its words
    /// in capitals filled in.
    ///
    /// # Panics
    /// Where the page has no such line.
    pub(crate) fn line(&self, line: &str, fill: &[(&str, &str)]) -> Vec<String> {
        let typed = |text: &str| text.strip_prefix("$ ") == Some(line);
        assert!(self.text.lines().any(typed), "{} does not say to type `{line}`", self.name);
        let filled = |word: &str| {
            let value = fill.iter().find(|(key, _)| *key == word);
            value.map_or_else(|| word.to_owned(), |(_, value)| (*value).to_owned())
        };
        line.split(' ').skip(1).map(filled).collect()
    }

    /// Asserts that the page quotes what was printed.
    pub(crate) fn quotes(&self, words: &str) {
        assert!(self.text.contains(words), "{} does not speak of `{words}`", self.name);
    }
}

//! The batch script: where it comes from, whether it is one, and its `#SBATCH` lines.
//!
//! **Invariant:** the script goes to the controller byte for byte as it is. Its directives are read
//! by sbatch(1)'s rules: up to the first line that is neither a comment nor blank.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::complaint::Complaint;

/// The longest script that is read at all, in bytes. How long it may be, the controllers know.
const MOST: u64 = 64 << 20;

const DIRECTIVE: &[u8] = b"#SBATCH";

/// What stands between the components of a heterogeneous job. The second is what it once was.
const SEPARATORS: [&str; 2] = ["hetjob", "packjob"];

/// Directives of other schedulers, which Slurm takes for its own in part.
const FOREIGN: [&[u8]; 2] = [b"#PBS", b"#BSUB"];

/// A script, and what the job is called after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) content: Vec<u8>,
    /// The name of a job that has no other.
    pub(super) name: String,
    /// Its path, if it was a file.
    pub(super) path: Option<String>,
}

/// What was given on the command line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    File(&'a str),
    Stdin,
    /// `--wrap`.
    Command(&'a str),
}

impl Script {
    /// Gets the script, and refuses what is none.
    pub(super) fn read(source: Source<'_>, folder: &Path, path: &str) -> Result<Self, Complaint> {
        let content = match source {
            Source::Command(command) => return Ok(Self::wrapping(command)),
            Source::Stdin => read_all(io::stdin().lock())
                .map_err(|error| Complaint::error(format!("Unable to read stdin: {error}")))?,
            Source::File(name) => {
                let found = find(name, folder, path);
                let content = std::fs::File::open(&found).and_then(read_all);
                match content {
                    Ok(content) => content,
                    // A folder has no content, and Slurm's text for that is the one below.
                    Err(error) if error.kind() == io::ErrorKind::IsADirectory => Vec::new(),
                    Err(_) => return Err(Complaint::error(format!("Unable to open file {name}"))),
                }
            }
        };
        check(&content)?;
        let (name, path) = match source {
            Source::File(name) => {
                let base = Path::new(name).file_name().unwrap_or_default();
                let whole = find(name, folder, path);
                (base.to_string_lossy().into_owned(), Some(whole.to_string_lossy().into_owned()))
            }
            Source::Stdin | Source::Command(_) => ("sbatch".to_owned(), None),
        };
        Ok(Self { content, name, path })
    }

    /// The script that runs one command line: users see it, as Slurm shows it to them.
    fn wrapping(command: &str) -> Self {
        let text = format!("#!/bin/sh\n# This script was created by sbatch --wrap.\n\n{command}\n");
        Self { content: text.into_bytes(), name: "wrap".to_owned(), path: None }
    }

    /// The words of all directives, in order, of each component of a heterogeneous job.
    pub(super) fn directives(&self) -> Result<Vec<Vec<String>>, Complaint> {
        let mut components = vec![Vec::new()];
        for (at, line) in header(&self.content) {
            if let Some(rest) = line.strip_prefix(DIRECTIVE) {
                let rest = std::str::from_utf8(rest);
                let rest = rest.map_err(|_| wrong(&self.name, at, "the line is not UTF-8"))?;
                let words = split(rest).map_err(|why| wrong(&self.name, at, &why))?;
                if words.first().is_some_and(|word| SEPARATORS.contains(&word.as_str())) {
                    components.push(Vec::new());
                } else {
                    components.last_mut().expect("there is one").extend(words);
                }
            }
        }
        Ok(components)
    }

    /// The first line that is a directive of another scheduler.
    pub(super) fn foreign_directive(&self) -> Option<String> {
        let foreign = |line: &[u8]| FOREIGN.iter().any(|word| line.starts_with(word));
        let line = header(&self.content).find(|(_, line)| foreign(line))?;
        Some(String::from_utf8_lossy(line.1).into_owned())
    }
}

fn wrong(script: &str, line: usize, why: &str) -> Complaint {
    Complaint::senseless(format!("{script}: line {line}: {why}"))
}

/// The lines before the first command, with their numbers.
fn header(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = content.split(|byte| *byte == b'\n').enumerate();
    lines.map(|(at, line)| (at + 1, line)).take_while(|(_, line)| {
        let first = line.iter().find(|byte| !byte.is_ascii_whitespace());
        first.is_none_or(|byte| *byte == b'#')
    })
}

fn read_all(from: impl io::Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let length = from.take(MOST + 1).read_to_end(&mut content)?;
    if length as u64 > MOST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(content)
}

/// The file that `name` means: in `folder`, or else, where it names no folder, on the `PATH`.
fn find(name: &str, folder: &Path, path: &str) -> PathBuf {
    let here = folder.join(name);
    if name.contains('/') || here.exists() {
        return here;
    }
    let on_path = path.split(':').filter(|part| !part.is_empty());
    on_path.map(|part| Path::new(part).join(name)).find(|file| file.is_file()).unwrap_or(here)
}

/// Refuses what is no script, in Slurm's words.
fn check(content: &[u8]) -> Result<(), Complaint> {
    if content.is_empty() {
        return Err(Complaint::error("Batch script is empty!"));
    }
    if content.iter().all(u8::is_ascii_whitespace) {
        return Err(Complaint::error("Batch script contains only whitespace!"));
    }
    if !content.starts_with(b"#!") {
        let text = "This does not look like a batch script.  The first\n\
                    line must start with #! followed by the path to an interpreter.\n\
                    For instance: #!/bin/sh";
        return Err(Complaint::error(text));
    }
    if content.windows(2).any(|pair| pair == b"\r\n") {
        let text = "Batch script contains DOS line breaks (\\r\\n)\n\
                    instead of expected UNIX line breaks (\\n).";
        return Err(Complaint::error(text));
    }
    if content.contains(&0) {
        return Err(Complaint::error("Batch script contains a NUL byte (\\0): it is not text."));
    }
    Ok(())
}

/// Splits a directive into words: blanks part them, quotes and backslashes keep them together, and
/// a `#` that begins a word begins a comment.
pub(super) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => match letters.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err("a backslash at the end of the line".to_owned()),
            },
            (None, '#') if word.is_none() => break,
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if let Some(open) = quote {
        return Err(format!("Unmatched `{open}` in [{}]", text.trim()));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn script(content: &str) -> Script {
        Script { content: content.as_bytes().to_vec(), name: "x.sh".to_owned(), path: None }
    }

    fn words(content: &str) -> Vec<String> {
        script(content).directives().expect("good directives").concat()
    }

    #[test]
    fn directives_are_read_up_to_the_first_command() {
        let text = "#!/bin/sh\n\n#SBATCH -J x -n4\n# a comment\n  # another\n##SBATCH -n5\n\
                    # SBATCH -n6\n#SBATCH --time 5   # five minutes\n#SBATCH\n\nset -e\n\
                    #SBATCH --bogus\n";
        assert_eq!(words(text), ["-J", "x", "-n4", "--time", "5"]);
    }

    #[test]
    fn components_are_parted_by_a_directive_of_their_own() {
        let text = "#!/bin/sh\n#SBATCH -n1\n#SBATCH hetjob -n5\n#SBATCH packjob\n#SBATCH -n2\n\
                    #SBATCH --comment hetjob\ntrue\n#SBATCH hetjob\n";
        let components = script(text).directives().expect("good directives");
        let expected: [&[&str]; 3] = [&["-n1"], &[], &["-n2", "--comment", "hetjob"]];
        assert_eq!(components, expected);
    }

    #[test]
    fn words_may_be_quoted() {
        let cases: [(&str, &[&str]); 9] = [
            (r#" --comment="a b" -J 'c d'"#, &["--comment=a b", "-J", "c d"]),
            (r" --comment=a\ b", &["--comment=a b"]),
            (r#" "a\"b" 'c\d'"#, &["a\"b", "c\\d"]),
            (" -J '' x", &["-J", "", "x"]),
            ("--time=5", &["--time=5"]),
            (" -o a#b #c", &["-o", "a#b"]),
            (" '#x'", &["#x"]),
            ("\t-n\t4\t", &["-n", "4"]),
            (" --array=[1-2]%1", &["--array=[1-2]%1"]),
        ];
        for (line, expected) in cases {
            assert_eq!(words(&format!("#!/bin/sh\n#SBATCH{line}\n")), expected, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_names_its_line() {
        let wrong = script("#!/bin/sh\n#SBATCH -J 'x\n").directives().expect_err("no end");
        assert_eq!(wrong.text("sbatch"), "sbatch: error: x.sh: line 2: Unmatched `'` in [-J 'x]\n");
        assert_eq!(wrong.exit, 255);
        assert!(script("#!/bin/sh\n#SBATCH -J x\\").directives().is_err());
    }

    #[test]
    fn other_schedulers_directives_are_seen() {
        let foreign = |text| script(text).foreign_directive();
        assert_eq!(foreign("#!/bin/sh\n#PBS -N x\ntrue\n").as_deref(), Some("#PBS -N x"));
        assert_eq!(foreign("#!/bin/sh\ntrue\n#PBS -N x\n"), None);
        assert_eq!(foreign("#!/bin/sh\n# PBS\n"), None);
    }

    #[test]
    fn scripts_are_found_in_the_folder_and_on_the_path() {
        let scratch = tempfile::tempdir().expect("a folder");
        let (here, bin) = (scratch.path().join("here"), scratch.path().join("bin"));
        for (folder, name) in [(&here, "a"), (&bin, "a"), (&bin, "b")] {
            std::fs::create_dir_all(folder).expect("made");
            std::fs::write(folder.join(name), "#!/bin/sh\n").expect("written");
        }
        let path = format!("/nowhere::{}", bin.display());
        let read = |name| Script::read(Source::File(name), &here, &path).map(|script| script.path);
        let at = |folder: &Path, name| Ok(Some(folder.join(name).to_string_lossy().into_owned()));
        assert_eq!(read("a"), at(&here, "a"));
        assert_eq!(read("b"), at(&bin, "b"));
        assert!(read("./b").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_script_panics(
            lines in prop::collection::vec("#?#?(SBATCH)?[ a-z'\"\\\\#é=-]{0,12}", 0..6),
        ) {
            let script = script(&format!("#!/bin/sh\n{}", lines.join("\n")));
            let _ = script.directives();
            let _ = script.foreign_directive();
        }

        /// What is quoted comes out as it went in.
        #[test]
        fn quoted_words_survive(text in "[^'\\n]{0,20}") {
            prop_assert_eq!(words(&format!("#!/bin/sh\n#SBATCH '{text}'\n")), [text]);
        }
    }
}

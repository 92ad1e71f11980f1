//! Options as GNU's getopt_long(3) reads them: abbreviations, clusters, and its texts of error.
//!
//! Scripts rely on its rules (`--out=x`, `-n4`, `--tasks 3`), and on which names there are: an
//! abbreviation is good or ambiguous by the whole table, hidden names included.
//!
//! **Invariant:** options come in the order of the command line, one at a time, so that what is
//! wrong first is reported first.

use std::collections::VecDeque;

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    Value,
    /// Only where it is attached: `--json=list`, `-Jname`.
    MayValue,
}

/// What happens at the first word that is no option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// It is set aside, and options may follow.
    Permute,
    /// It and all that follows are operands, as with a `+` before the list of options.
    Stop,
}

/// The options of a command, in the order in which `--help` would list them.
#[derive(Clone, Debug)]
pub(crate) struct Table<'a> {
    pub(crate) order: Order,
    pub(crate) longs: Vec<Long<'a>>,
    pub(crate) shorts: Vec<Short<'a>>,
}

/// A long name. Several may have the same `id`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Long<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: &'a str,
    pub(crate) takes: Takes,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Short<'a> {
    pub(crate) letter: char,
    pub(crate) id: &'a str,
    pub(crate) takes: Takes,
}

/// An option as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given<'a> {
    pub(crate) id: &'a str,
    pub(crate) value: Option<String>,
}

/// What is wrong, in getopt's words. The name of the program stands before them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misuse {
    #[error("unrecognized option '--{0}'")]
    Unrecognized(String),
    #[error("option '--{given}' is ambiguous; possibilities:{possibilities}")]
    Ambiguous { given: String, possibilities: String },
    #[error("option '--{0}' requires an argument")]
    Requires(String),
    #[error("option '--{0}' doesn't allow an argument")]
    Allows(String),
    #[error("invalid option -- '{0}'")]
    Invalid(char),
    #[error("option requires an argument -- '{0}'")]
    ShortRequires(char),
}

/// Goes through the words of a command line.
#[derive(Debug)]
pub(crate) struct Getopt<'t, 'a> {
    table: &'t Table<'a>,
    words: VecDeque<String>,
    /// What is left of a cluster of letters.
    cluster: String,
    operands: Vec<String>,
}

impl<'t, 'a> Getopt<'t, 'a> {
    pub(crate) fn new(table: &'t Table<'a>, words: &[String]) -> Self {
        let words = words.iter().cloned().collect();
        Self { table, words, cluster: String::new(), operands: Vec::new() }
    }

    /// What is no option. Complete when the iterator has ended.
    pub(crate) fn operands(self) -> Vec<String> {
        self.operands
    }

    fn long(&mut self, word: &str) -> Result<Given<'a>, Misuse> {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        let found = self.table.find(name, word)?;
        let value = match (found.takes, attached) {
            (Takes::Nothing, Some(_)) => return Err(Misuse::Allows(found.name.to_owned())),
            (Takes::Nothing | Takes::MayValue, None) => None,
            (Takes::Value, None) => match self.words.pop_front() {
                Some(next) => Some(next),
                None => return Err(Misuse::Requires(found.name.to_owned())),
            },
            (Takes::Value | Takes::MayValue, Some(value)) => Some(value),
        };
        Ok(Given { id: found.id, value })
    }

    /// The next letter of the cluster.
    fn short(&mut self) -> Result<Given<'a>, Misuse> {
        let letter = self.cluster.remove(0);
        let found = self.table.shorts.iter().find(|short| short.letter == letter);
        let found = found.ok_or(Misuse::Invalid(letter))?;
        let value = match found.takes {
            Takes::Nothing => None,
            Takes::Value | Takes::MayValue if !self.cluster.is_empty() => {
                Some(std::mem::take(&mut self.cluster))
            }
            Takes::MayValue => None,
            Takes::Value => {
                let next = self.words.pop_front();
                Some(next.ok_or(Misuse::ShortRequires(letter))?)
            }
        };
        Ok(Given { id: found.id, value })
    }
}

impl<'a> Iterator for Getopt<'_, 'a> {
    type Item = Result<Given<'a>, Misuse>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.cluster.is_empty() {
            return Some(self.short());
        }
        loop {
            let word = self.words.pop_front()?;
            if word == "--" {
                self.operands.extend(self.words.drain(..));
                return None;
            }
            if let Some(long) = word.strip_prefix("--") {
                return Some(self.long(long));
            }
            match word.strip_prefix('-') {
                Some(letters) if !letters.is_empty() => {
                    letters.clone_into(&mut self.cluster);
                    return Some(self.short());
                }
                Some(_) | None => self.operands.push(word),
            }
            if self.table.order == Order::Stop {
                self.operands.extend(self.words.drain(..));
                return None;
            }
        }
    }
}

impl<'a> Table<'a> {
    /// The option that `name` means: exactly, else as the beginning of one name, or of several
    /// for the same thing. `word` is how it was written.
    fn find(&self, name: &str, word: &str) -> Result<&Long<'a>, Misuse> {
        if let Some(exact) = self.longs.iter().find(|long| long.name == name) {
            return Ok(exact);
        }
        let mut begin = self.longs.iter().filter(|long| long.name.starts_with(name));
        let first = begin.next().ok_or_else(|| Misuse::Unrecognized(word.to_owned()))?;
        if begin.all(|other| other.id == first.id && other.takes == first.takes) {
            return Ok(first);
        }
        let possible = self.longs.iter().filter(|long| long.name.starts_with(name));
        let possibilities = possible.map(|long| format!(" '--{}'", long.name)).collect();
        Err(Misuse::Ambiguous { given: word.to_owned(), possibilities })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(order: Order) -> Table<'static> {
        let long = |name, id, takes| Long { name, id, takes };
        let short = |letter, id, takes| Short { letter, id, takes };
        Table {
            order,
            longs: vec![
                long("ntasks", "ntasks", Takes::Value),
                long("ntasks-per-node", "ntasks-per-node", Takes::Value),
                long("tasks-per-node", "ntasks-per-node", Takes::Value),
                long("hold", "hold", Takes::Nothing),
                long("exclusive", "exclusive", Takes::MayValue),
                long("cluster", "clusters", Takes::Value),
                long("clusters", "clusters", Takes::Value),
                long("mem", "mem", Takes::Value),
                long("mem-per-cpu", "mem-per-cpu", Takes::Value),
                long("mem-bind", "mem-bind", Takes::Value),
            ],
            shorts: vec![
                short('n', "ntasks", Takes::Value),
                short('H', "hold", Takes::Nothing),
                short('k', "kill", Takes::MayValue),
            ],
        }
    }

    /// The options and operands, or the error, as one line.
    fn read(line: &str, order: Order) -> String {
        let words: Vec<String> = line.split_terminator(' ').map(str::to_owned).collect();
        let table = table(order);
        let mut getopt = Getopt::new(&table, &words);
        let mut out = Vec::new();
        for given in getopt.by_ref() {
            match given {
                Ok(Given { id, value: Some(value) }) => out.push(format!("{id}={value}")),
                Ok(Given { id, value: None }) => out.push(id.to_owned()),
                Err(misuse) => return misuse.to_string(),
            }
        }
        let operands = getopt.operands();
        if !operands.is_empty() {
            out.push(format!("| {}", operands.join(" ")));
        }
        out.join(" ")
    }

    #[test]
    fn options_are_read_as_getopt_does() {
        #[rustfmt::skip]
        let stories = [
            ("-n4 -H",                 "ntasks=4 hold"),
            ("-Hn 4",                  "hold ntasks=4"),
            ("-Hn4 x",                 "hold ntasks=4 | x"),
            ("-n -3",                  "ntasks=-3"),
            ("-k5 -k 5",               "kill=5 kill | 5"),
            ("--ntasks 4 --ntasks=5",  "ntasks=4 ntasks=5"),
            ("--ntasks=",              "ntasks="),
            ("--ntasks=a=b",           "ntasks=a=b"),
            ("--tasks=3",              "ntasks-per-node=3"),
            ("--t 3",                  "ntasks-per-node=3"),
            ("--ntasks-p 3",           "ntasks-per-node=3"),
            ("--clu=x",                "clusters=x"),
            ("--mem=1",                "mem=1"),
            ("--exclusiv x",           "exclusive | x"),
            ("--exclusive=user",       "exclusive=user"),
            ("x -H y",                 "hold | x y"),
            ("x -- -H y",              "| x -H y"),
            ("- -H",                   "hold | -"),
            ("--bogus=1",              "unrecognized option '--bogus=1'"),
            ("--m=1",                  "option '--m=1' is ambiguous; possibilities: '--mem' \
                                        '--mem-per-cpu' '--mem-bind'"),
            ("--hol=1",                "option '--hold' doesn't allow an argument"),
            ("--nt",                   "option '--nt' is ambiguous; possibilities: '--ntasks' \
                                        '--ntasks-per-node'"),
            ("--ntasks-per",           "option '--ntasks-per-node' requires an argument"),
            ("-Hn",                    "option requires an argument -- 'n'"),
            ("-Hx",                    "invalid option -- 'x'"),
            ("-é",                     "invalid option -- 'é'"),
        ];
        for (line, expected) in stories {
            assert_eq!(read(line, Order::Permute), expected, "{line}");
        }
    }

    #[test]
    fn a_script_keeps_its_own_options() {
        assert_eq!(read("-H run.sh -n 4 --bogus", Order::Stop), "hold | run.sh -n 4 --bogus");
        assert_eq!(read("-H -- -n", Order::Stop), "hold | -n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_words_come_to_an_end(words in prop::collection::vec("-{0,2}[a-zH=é]{0,6}", 0..8)) {
            let table = table(Order::Permute);
            let mut getopt = Getopt::new(&table, &words);
            let options = getopt.by_ref().take(100).count();
            prop_assert!(options < 100);
            prop_assert!(getopt.operands().len() <= words.len());
        }
    }
}

//! The components of a heterogeneous job: what of the command line and of the script is for which.
//!
//! On the command line a `:` stands between them, in the script a line `#SBATCH hetjob`. What is
//! said of one component and concerns the job as a whole, such as its name or its time limit, goes
//! for those behind it as well, unless something else is said of them; and what the command line
//! says of any goes for those of which nothing is said, as with the real one.

use common::job::{Asks, MemoryRequest};

use super::{
    asked::{Asked, Level, Memory, Setting},
    complaint::Complaint,
    request::Submitter,
    script::Script,
    table::{self, Opt},
};
use crate::options::getopt::Getopt;

/// Stands between components on the command line.
const SEPARATOR: &str = ":";

/// What the command line says before anything of it is looked at closely.
pub(super) enum First {
    /// One of `--help`, `--usage`, `--version`.
    Answer(&'static str),
    Submit {
        wrap: Option<String>,
        /// The options of each component.
        components: Vec<Vec<String>>,
        operands: Vec<String>,
    },
}

pub(super) fn first(called: &str, words: &[String]) -> Result<First, Complaint> {
    let table = table::table();
    let (mut wrap, mut components) = (None, Vec::new());
    let mut words = words.to_vec();
    loop {
        let mut getopt = Getopt::new(&table, &words);
        for given in getopt.by_ref() {
            let given = given.map_err(|misuse| Complaint::misuse(called, "sbatch", &misuse))?;
            let row = table::row(given.id);
            if row.opt == Opt::Answered {
                return Ok(First::Answer(row.long));
            }
            if row.opt == Opt::Wrap {
                wrap = given.value;
            }
        }
        let operands = getopt.operands();
        let options = words.len() - operands.len();
        if operands.first().is_none_or(|word| word != SEPARATOR) {
            // With all that follows: that is no option, and is passed over.
            components.push(words);
            return Ok(First::Submit { wrap, components, operands });
        }
        components.push(words[..options].to_vec());
        words = operands[1..].to_vec();
    }
}

/// What is asked for each component, the leader's first.
pub(super) fn asked(
    script: &Script,
    components: &[Vec<String>],
    submitter: &Submitter,
    (setting, called): (Setting<'_>, &str),
) -> Result<Vec<Asked>, Complaint> {
    let directives = script.directives()?;
    let count = directives.len().max(components.len());
    let mut carried = Asked::default();
    if count > 1 {
        for words in components {
            carried.read(Level::CommandLine, words, setting, called)?;
            carried = carried.carried();
        }
    }
    let mut all: Vec<Asked> = Vec::with_capacity(count);
    for at in 0..count {
        let mut asked = match all.last() {
            Some(before) => before.clone().carried(),
            None => std::mem::take(&mut carried),
        };
        if let Some(words) = directives.get(at) {
            let operands = asked.read(Level::Script, words, setting, called)?;
            if let Some(word) = operands.first() {
                return Err(Complaint::senseless(format!("Invalid argument: {word}")));
            }
        }
        asked.read_environment(&|name| submitter.variable(name), setting)?;
        if let Some(words) = components.get(at) {
            asked.read(Level::CommandLine, words, setting, called)?;
        }
        if asked.required.is_empty() {
            asked.required = std::mem::take(&mut asked.nodefile);
        }
        all.push(asked);
    }
    Ok(all)
}

impl Asked {
    /// What of it goes for the next component, too.
    fn carried(self) -> Self {
        let per_node = |memory: &Memory| matches!(memory.request, MemoryRequest::PerNode(_));
        let memory = self.memory.filter(per_node);
        let Asks { deadline, time_min, priority, .. } = self.asks;
        Self {
            account: self.account,
            array: self.array,
            asks: Asks { deadline, time_min, priority, ..Asks::NONE },
            qos: self.qos,
            begin: self.begin,
            chdir: self.chdir,
            clusters: self.clusters,
            comment: self.comment,
            dependency: self.dependency,
            std_err: self.std_err,
            std_in: self.std_in,
            std_out: self.std_out,
            excluded: self.excluded,
            export: self.export,
            export_file: self.export_file,
            hold: self.hold,
            ignore_pbs: self.ignore_pbs,
            kill_on_invalid_dep: self.kill_on_invalid_dep,
            name: self.name,
            // Another kind may be asked for instead.
            memory: memory.map(|memory| Memory { level: Level::Earlier, ..memory }),
            nice: self.nice,
            open_mode: self.open_mode,
            parsable: self.parsable,
            propagate: self.propagate,
            quiet: self.quiet,
            requeue: self.requeue,
            test_only: self.test_only,
            time: self.time,
            wait: self.wait,
            wrap: self.wrap,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> (Vec<Vec<String>>, Vec<String>) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match first("sbatch", &words) {
            Ok(First::Submit { components, operands, .. }) => (components, operands),
            Ok(First::Answer(_)) | Err(_) => panic!("{line}"),
        }
    }

    #[test]
    fn a_colon_parts_options_and_not_what_a_script_is_given() {
        for (line, components, operands) in [
            ("-n1 x.sh", 1, 1),
            ("-n1 : -n2 x.sh a", 2, 2),
            ("-n1 : : -c 2 : x.sh", 4, 1),
            (": -n2 x.sh", 2, 1),
            ("-n1 x.sh : -n2", 1, 3),
            ("-J : x.sh", 1, 1),
        ] {
            let (found, rest) = split(line);
            assert_eq!((found.len(), rest.len()), (components, operands), "{line}");
        }
    }
}

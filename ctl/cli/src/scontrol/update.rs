//! `scontrol update`: changes jobs, nodes and reservations.

mod job;
mod node;
pub(super) mod pair;

use self::pair::Pair;
use super::{reserve, session::Session};

/// Slurm's text where a word says nothing that can be changed.
const NO_ENTITY: &str = "No valid entity in update command\n\
    Input line must include \"NodeName\", \"PartitionName\", \"Reservation\", \"JobId\", or \
    \"SlurmctldDebug\"\n";

/// What entities are called that Rafter changes by other means, or has none of.
const OTHERS: &[(&str, usize, &str)] = &[
    ("PartitionName", 1, "partitions: change slurm.conf, and say scontrol reconfigure"),
    ("SlurmctldDebug", 10, "the controllers' log"),
    ("StepId", 4, "steps"),
    ("SuspendExcNodes", 11, "power saving"),
];

/// The first word that names an entity decides what all are about.
pub(super) fn run(session: &mut Session<'_>, words: &[&str]) -> u8 {
    if words.is_empty() {
        return session.complain("too few arguments for update keyword\n");
    }
    for word in words {
        let pair = Pair::of(word);
        if pair.is("NodeName", 3) {
            return node::run(session, words);
        }
        if pair.is("JobId", 1) || pair.is("JobName", 4) {
            return job::run(session, words);
        }
        if reserve::is_named(&pair) {
            return reserve::update(session, words);
        }
        if let Some((.., what)) = OTHERS.iter().find(|(name, least, _)| pair.is(name, *least)) {
            return session
                .complain(&format!("scontrol: error: update of {what}: not supported\n"));
        }
    }
    session.complain(NO_ENTITY)
}

/// What is wrong with a command, as it is printed.
type Wrong = String;

fn unsupported(pair: &Pair<'_>) -> Wrong {
    format!("Update of this parameter is not supported: {}\nRequest aborted\n", pair.word)
}

const NO_CHANGES: &str = "No changes specified\n";

//! What the scheduler does, as transcripts: `scenarios/*.txt`.
//!
//! A file begins with lines of `slurm.conf` and, where it has any, of a table of accounts, up to
//! the first empty line. Then each line that begins
//! with `> ` is a command, and what it answers stands below it. `UPDATE_EXPECT=1` writes the
//! answers anew; every change of them is then to be read with care. `cargo xtask sim scenarios`
//! plays them on the real Slurm, where it is installed, and shows what that one does otherwise.
//!
//! | command | |
//! |---|---|
//! | `submit OPTIONS` | a job, by some of sbatch's options |
//! | `plan` | what would be done |
//! | `start` | the same, and does it |
//! | `holds JOB` | which generic resources it has |
//! | `cpus JOB` | which CPUs it has |
//! | `end JOB` | it ends everywhere; `1_3` is a task of an array |
//! | `limit ARRAY COUNT` | so many tasks of it may run at a time |
//! | `cancel ARRAY_TASKS` | ends tasks that wait |
//! | `node NAME drain` | or `down` or `resume` |
//! | `hold JOB` | by its owner |
//! | `why JOB` | why it waits, until when, and what would start it sooner |
//! | `features NAME LIST` | the configuration gives the node these features from now on |
//! | `update JOB OPTIONS` | what it asks for of nodes becomes what the options ask for |
//! | `priorities` | the queue in its order, with what each priority comes from |
//! | `priority JOB NUMBER` | an operator sets it |
//! | `release JOB` | by its owner |
//! | `pass SECONDS` | the clock goes on |
//! | `clock` | what is due by the clock is done |
//! | `state JOB` | where it is in its life |
//! | `reserve NAME OPTIONS` | an operator makes a reservation |
//! | `change NAME OPTIONS` | or changes it |
//! | `unreserve NAME` | or deletes it |

mod accounts;
mod bench;
mod everything;
mod explained;
mod options;
mod preempting;
mod priorities;
mod properties;
mod reserved;
mod stories;
mod told;

use std::{fmt::Write, fs, path::Path};

use bench::Bench;

#[test]
fn scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let files = fs::read_dir(&folder).expect("the folder is there");
    let mut files: Vec<_> =
        files.map(|file| file.expect("the folder can be read").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(!files.is_empty(), "there are scenarios");
    for file in files {
        let text = fs::read_to_string(&file).expect("a scenario can be read");
        expect_test::expect_file![&file].assert_eq(&replayed(&text));
    }
}

/// The transcript with the answers that there are today.
fn replayed(text: &str) -> String {
    let (conf, story) = text.split_once("\n\n").expect("an empty line ends the configuration");
    let mut bench = Bench::new(conf);
    let mut transcript = format!("{conf}\n\n");
    for line in story.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            let answer = bench.run(command);
            write!(transcript, "{line}\n{answer}").expect("a text takes what is written");
        } else if line.is_empty() || line.starts_with('#') {
            writeln!(transcript, "{line}").expect("a text takes what is written");
        }
    }
    transcript
}

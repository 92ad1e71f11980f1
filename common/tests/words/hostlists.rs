use common::hostlist::{Hostlist, HostlistError};

use crate::captures::{self, Capture};

fn captures() -> Vec<Capture> {
    captures::parse(include_str!("../captures/hostlist.txt"))
}

/// What is asked for, and the list.
fn question(capture: &Capture) -> (&str, &str) {
    let question = capture.command.strip_prefix("scontrol show ").expect("each shows something");
    let (what, list) = question.split_once(' ').expect("each names a list");
    (what, list.trim_matches('\''))
}

#[test]
fn lists_are_read_and_printed_as_slurm_does() {
    for capture in captures() {
        let (what, text) = question(&capture);
        let list = Hostlist::parse(text);
        if !capture.stderr.is_empty() {
            let error = list.expect_err("Slurm refused it");
            // Slurm names the function that complains, too.
            let complaint = capture.stderr.iter().find_map(|line| line.split_once(": Invalid r"));
            match complaint {
                Some((_, rest)) => assert_eq!(error.to_string(), format!("Invalid r{rest}")),
                None => assert!(matches!(error, HostlistError::Brackets(_)), "{text}"),
            }
            continue;
        }
        let list = list.expect(text);
        let lines = match what {
            "hostnames" => list.iter().collect(),
            "hostlist" => vec![list.to_string()],
            "hostlistsorted" => vec![list.sorted().to_string()],
            _ => panic!("the captures ask for nothing else: {what}"),
        };
        assert_eq!(lines, capture.stdout, "{what} {text}");
    }
}

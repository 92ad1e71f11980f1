use clap::Parser;
use expect_test::expect;

use super::*;

const NOW: u64 = 1_795_475_298_000;
const MINUTE: u64 = 60_000;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn asked(line: &str) -> Result<WhatIfRequest, String> {
    let words = std::iter::once("what-if").chain(line.split(' '));
    let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
    request(&line.args)
}

#[test]
fn all_that_is_supposed_is_asked_together() {
    let line = "--add-nodes n[8-9] like=n1 --drain n[1-2] --resume n3 --partition cpu MaxTime=60 \
                State=UP --partition gpu MaxNodes=1 --add-nodes m1 like=n2";
    let request = asked(line).expect("it makes sense");
    let added: Vec<_> =
        request.add.iter().map(|it| (it.names.join(","), it.like.as_str())).collect();
    assert_eq!(added, [("n8,n9".to_owned(), "n1"), ("m1".to_owned(), "n2")]);
    let nodes: Vec<_> = request.nodes.iter().map(|it| (it.names.len(), it.drain)).collect();
    assert_eq!(nodes, [(2, true), (1, false)]);
    let partitions: Vec<_> =
        request.partitions.iter().map(|it| (it.name.as_str(), it.changes.as_str())).collect();
    assert_eq!(partitions, [("cpu", "MaxTime=60 State=UP"), ("gpu", "MaxNodes=1")]);
}

#[test]
fn what_makes_no_sense_is_not_asked() {
    for (line, text) in [
        ("--json", "what is to be supposed?"),
        ("--add-nodes n1 n2", "like=NODE"),
        ("--add-nodes n1", "required"),
        ("--drain n[1", "n[1"),
        ("--partition cpu", "required"),
        ("--partition cpu gpu", "nothing is said of it"),
        ("--partition State=UP State=DOWN", "comes before State=UP"),
        ("--count 3", "--submit"),
    ] {
        let wrong = asked(line).expect_err(line);
        assert!(wrong.contains(text), "{line}: {wrong}");
    }
}

fn reply() -> WhatIfReply {
    let waits = |jobs, start_now, unknown, minutes: [u64; 3]| Waits {
        jobs,
        start_now,
        unknown,
        mean: Some(minutes[0] * MINUTE),
        median: Some(minutes[1] * MINUTE),
        most: Some(minutes[2] * MINUTE),
    };
    let moved = |job, before: Option<u64>, after: Option<u64>| Moved {
        job,
        user: "alice".to_owned(),
        partition: "cpu".to_owned(),
        before: before.map(|minutes| NOW + minutes * MINUTE),
        after: after.map(|minutes| NOW + minutes * MINUTE),
    };
    WhatIfReply {
        now: NOW,
        before: Some(waits(4, 0, 1, [90, 60, 300])),
        after: Some(waits(4, 1, 0, [35, 30, 90])),
        submitted: Some(waits(2, 0, 0, [10, 10, 15])),
        sooner: 2,
        later: 1,
        moved: vec![
            moved(9, None, Some(90)),
            moved(7, Some(300), Some(0)),
            moved(8, Some(60), Some(75)),
        ],
    }
}

#[test]
fn people_see_how_waits_change() {
    expect![[r#"
                           JOBS  START NOW   MEAN WAIT  MEDIAN         MAX  UNKNOWN
        as it is              4          0  1 h 30 min     1 h         5 h        1
        what if               4          1      35 min  30 min  1 h 30 min        0
        the supposed jobs     2          0      10 min  10 min      15 min        0

        2 of the jobs that wait would start sooner, 1 later
        JOB  USER   PARTITION  AS IT IS             WHAT IF              MOVES
          9  alice  cpu        unknown              2026-11-24T00:38:18
          7  alice  cpu        2026-11-24T04:08:18  now                  5 h sooner
          8  alice  cpu        2026-11-24T00:08:18  2026-11-24T00:23:18  15 min later
    "#]]
    .assert_eq(&text(&reply(), &TimeZone::UTC, false));
    let coloured = text(&reply(), &TimeZone::UTC, true);
    assert!(coloured.contains("\u{1b}[31m  8"), "{coloured}");
    let same = WhatIfReply { moved: vec![], submitted: None, sooner: 0, later: 0, ..reply() };
    assert!(!text(&same, &TimeZone::UTC, false).contains("MOVES"));
}

#[test]
fn programs_see_these_names() {
    let reply = WhatIfReply { submitted: None, ..reply() };
    expect![[r#"
        {
          "now_ms": 1795475298000,
          "before": {
            "jobs": 4,
            "start_now": 0,
            "unknown": 1,
            "mean_ms": 5400000,
            "median_ms": 3600000,
            "max_ms": 18000000
          },
          "after": {
            "jobs": 4,
            "start_now": 1,
            "unknown": 0,
            "mean_ms": 2100000,
            "median_ms": 1800000,
            "max_ms": 5400000
          },
          "submitted": null,
          "sooner": 2,
          "later": 1,
          "moved": [
            {
              "job": 9,
              "user": "alice",
              "partition": "cpu",
              "before_ms": null,
              "after_ms": 1795480698000
            },
            {
              "job": 7,
              "user": "alice",
              "partition": "cpu",
              "before_ms": 1795493298000,
              "after_ms": 1795475298000
            },
            {
              "job": 8,
              "user": "alice",
              "partition": "cpu",
              "before_ms": 1795478898000,
              "after_ms": 1795479798000
            }
          ]
        }
    "#]]
    .assert_eq(&format!("{:#}\n", object(&reply)));
}

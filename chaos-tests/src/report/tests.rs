//! The page has what it promises, and needs nothing else.

use std::collections::BTreeMap;

use super::*;
use crate::{
    check::Violation,
    figures::{Figures, grouped, quantile, time},
    record::{
        Call, Fault, FaultKind, LogLine, Moment, Nanos, NodeShape, Operation, Outcome, Phases, Run,
        Witness,
    },
};

const SECOND: Nanos = 1_000_000_000;

fn operation(start: Nanos, took: Nanos, outcome: Outcome) -> Operation {
    let call = Call::Submit { name: format!("op-{start}"), cpus: 1, hold: false };
    let end = start + took;
    let request = Some(format!("{start:032x}"));
    Operation { client: "c1".into(), request, user: 0, call, start, end, outcome }
}

fn run() -> Run {
    Run {
        seed: 42,
        command: "cargo xtask chaos --seed 42".into(),
        planted: None,
        options: BTreeMap::from([("minutes".into(), "1".into())]),
        versions: BTreeMap::from([("rafter".into(), "0.1.0".into())]),
        controllers: vec!["ctl1".into(), "ctl2".into(), "ctl3".into()],
        nodes: BTreeMap::from([(
            "n1".into(),
            NodeShape { cpus: 8, memory_mib: 1024, gpus: vec![] },
        )]),
        slurmd_timeout_s: 10,
        wall_offset: 0,
        phases: Phases {
            began: 10 * SECOND,
            faults_began: 15 * SECOND,
            faults_ended: 60 * SECOND,
            healed: 61 * SECOND,
            ended: 70 * SECOND,
        },
        unsettled: vec![],
        orphans: vec![],
    }
}

fn record() -> Record {
    let fault = |kind, from: Nanos, leader| Fault {
        kind,
        on: vec!["ctl<1>".into()],
        from,
        to: Some(from + SECOND),
        leader,
        note: "why & how".into(),
    };
    let cut = FaultKind::Cut { pairs: vec![("ctl1".into(), "n1".into())] };
    let operations = (0..600).map(|number| {
        let start = 10 * SECOND + number * SECOND / 10;
        let outcome = match number % 50 {
            7 => Outcome::Refused { words: "no".into() },
            8 => Outcome::Unknown { words: "killed".into() },
            _ => Outcome::Submitted { job: u32::try_from(number).unwrap() },
        };
        operation(start, (1 + number % 40) * SECOND / 1_000, outcome)
    });
    let operations: Vec<_> = operations.collect();
    let log = operations.iter().map(|one| LogLine {
        index: one.start / SECOND,
        // Who led until 20 s was killed then.
        term: 1 + u64::from(one.start > 20 * SECOND),
        sequence: 1,
        at_ms: 0,
        request: one.request.clone(),
        kinds: vec![],
        entry: String::new(),
    });
    let log = log.collect();
    let begun = Witness {
        moment: Moment::Begin,
        job: 1,
        attempt: 1,
        pid: 9,
        at: 12 * SECOND,
        cpus: 1,
        gpus: vec![],
    };
    Record {
        run: run(),
        operations,
        faults: vec![
            fault(FaultKind::Kill, 20 * SECOND + 1, true),
            fault(cut, 30 * SECOND, false),
            fault(FaultKind::Pause, 70 * SECOND - SECOND / 20, true),
        ],
        witnesses: BTreeMap::from([("n1".into(), vec![begun])]),
        logs: BTreeMap::from([("ctl1".into(), log)]),
        watches: BTreeMap::new(),
        digests: BTreeMap::new(),
    }
}

fn checked(violations: Vec<Violation>) -> Checked {
    Checked {
        name: "runs".into(),
        rule: "a run happens once".into(),
        counted: 1_234,
        unit: "runs".into(),
        violations,
    }
}

fn text(checked: &[Checked]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    write(&record(), checked, &path).unwrap();
    fs::read_to_string(path).unwrap()
}

#[test]
fn the_page_says_what_held_and_needs_nothing_else() {
    let html = text(&[checked(vec![])]);
    for part in [
        "every rule held",
        "cargo xtask chaos --seed 42",
        "a run happens once",
        "1\u{202f}234 runs",
        "ctl&lt;1&gt;",
        "why &amp; how",
        "prefers-color-scheme: dark",
        "never: <b>1</b>",
    ] {
        assert!(html.contains(part), "`{part}` is missing");
    }
    // The name of a namespace is fetched by nobody.
    let html = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for outside in ["http:", "https:", "src=", "href=", "<script"] {
        assert!(!html.contains(outside), "`{outside}` is there");
    }
    assert!(!html.contains("NaN") && !html.contains("inf "), "a number is none");
    assert_eq!(html.matches("<svg").count(), 2);
    assert_eq!(html.matches("<section").count(), html.matches("</section>").count());
}

#[test]
fn violations_stand_out_and_are_not_all_shown() {
    let one = Violation { text: "job 1 <ran> twice".into(), at: Some(11 * SECOND) };
    let html = text(&[checked(vec![one; 30])]);
    assert!(html.contains("30 violations"), "the verdict");
    assert!(html.contains("1.00 s: job 1 &lt;ran&gt; twice"), "the violation");
    assert!(html.contains("and 10 more"), "the rest");
}

#[test]
fn an_empty_run_has_a_page_all_the_same() {
    let mut record = record();
    record.operations.clear();
    record.faults.clear();
    record.run.phases.ended = record.run.phases.began;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    write(&record, &[], &path).unwrap();
    let html = fs::read_to_string(path).unwrap();
    assert!(!html.contains("NaN") && !html.contains("inf"), "a number is none");
}

#[test]
fn the_next_acknowledgement_is_the_next_leaders() {
    let record = record();
    let figures = Figures::of(&record);
    // That of 20 s was on its way when its leader was hurt; the one of 20.1 s took 22 ms.
    let after: Vec<_> = figures.next.iter().map(|next| next.after).collect();
    assert_eq!(after, [Some(SECOND / 10 + 22 * SECOND / 1_000 - 1), None]);
    let waits = figures.waits();
    assert_eq!(waits.keys().copied().collect::<Vec<_>>(), ["any fault", "kill", "pause"]);
    assert_eq!((waits["any fault"].len(), waits["pause"].len()), (1, 0));
    let counted: u64 = figures.bins.iter().map(|bin| bin.acknowledged + bin.refused).sum();
    let unknown: u64 = figures.bins.iter().map(|bin| bin.unknown).sum();
    assert_eq!((counted, unknown), (588, 12));
}

#[test]
fn submissions_are_told_by_what_went_on_beside_them() {
    let record = record();
    let figures = Figures::of(&record);
    let beside = |kind: &str| figures.beside()[kind].len();
    // Eleven each, with the one on whose way the fault began, less two that were not acknowledged.
    assert_eq!((beside("kill"), beside("cut")), (9, 9));
    assert_eq!(beside("none"), figures.submissions.len() - 18);
    assert!(!figures.beside().contains_key("pause"), "the last was answered before it");
}

#[test]
fn numbers_are_for_people() {
    assert_eq!(quantile(&[], 0.5), None);
    assert_eq!(quantile(&[1, 2, 3, 4], 0.5), Some(2));
    assert_eq!(quantile(&[1, 2, 3, 4], 0.99), Some(4));
    assert_eq!(quantile(&[1], 0.0), Some(1));
    let times = [900, 42_000_000, 1_234_000_000, 150_000_000_000].map(time);
    assert_eq!(times, ["1 µs", "42 ms", "1.23 s", "150 s"]);
    assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
}

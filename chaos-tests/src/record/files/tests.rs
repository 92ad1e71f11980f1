//! A record comes back as it was written, and nothing of it is lost without a word.

use std::{fs::OpenOptions, io::Write as _};

use common::{
    id::{JobId, RequestId, Term},
    job::Hold,
    machine::{Answer, Answered, Event},
    time::{Span, Timestamp},
};

use super::*;
use crate::record::{
    Call, Digest, Fault, FaultKind, Moment, NodeShape, Operation, Outcome, Phases, Run, Seen,
    Watched, Witness,
};

fn run() -> Run {
    let phases =
        Phases { began: 1, faults_began: 2, faults_ended: 3, healed: 4, ended: u64::MAX / 2 };
    let shape = NodeShape { cpus: 8, memory_mib: 1024, gpus: vec!["gpu0".into()] };
    Run {
        seed: 7,
        command: "cargo xtask chaos --seed 7".into(),
        planted: None,
        options: BTreeMap::from([("minutes".into(), "2".into())]),
        versions: BTreeMap::new(),
        controllers: vec!["ctl1".into()],
        nodes: BTreeMap::from([("n1".into(), shape)]),
        slurmd_timeout_s: 10,
        wall_offset: -5,
        phases,
        unsettled: vec![],
        orphans: vec![],
    }
}

fn entry() -> Entry {
    let answer = Ok(Answer::Job(JobId(3)));
    Entry {
        at: Timestamp(1_795_475_289_015),
        term: Term(2),
        sequence: 9,
        digest: u64::MAX,
        request: Some(Answered { request: RequestId([7; 16]), answer, forget_at: Span(5) }),
        events: vec![Event::JobHeld { job: JobId(3), hold: Hold::User }],
    }
}

fn operation(call: Call, outcome: Outcome) -> Operation {
    let request = Some("00".repeat(16));
    Operation { client: "c1".into(), request, user: 0, call, start: 10, end: 20, outcome }
}

fn operations() -> Vec<Operation> {
    let seen = Seen {
        state: "RUNNING".into(),
        restarts: Some(0),
        comment: Some("a".into()),
        priority: None,
    };
    let submit = Call::Submit { name: "op-1".into(), cpus: 2, hold: false };
    vec![
        operation(submit, Outcome::Submitted { job: 3 }),
        operation(Call::Cancel { job: 3 }, Outcome::Done),
        operation(Call::Update { job: 3, comment: "b".into() }, Outcome::Done),
        operation(Call::Query { job: 3 }, Outcome::Seen(seen)),
        operation(Call::List, Outcome::Listed { jobs: vec![(3, "RUNNING".into())] }),
        operation(Call::Hold { job: 3 }, Outcome::Refused { words: "no".into() }),
        operation(Call::Release { job: 3 }, Outcome::Unknown { words: "killed".into() }),
    ]
}

fn record() -> Record {
    let cut = FaultKind::Cut { pairs: vec![("ctl1".into(), "n1".into())] };
    let fault = |kind| Fault {
        kind,
        on: vec!["ctl1".into()],
        from: 30,
        to: Some(40),
        leader: true,
        note: String::new(),
    };
    let witness =
        |moment, at| Witness { moment, job: 3, attempt: 1, pid: 99, at, cpus: 2, gpus: vec![] };
    let watched = Watched {
        seen: 50,
        index: 4,
        term: 2,
        at_ms: 6,
        kind: "JobHeld".into(),
        job: Some(3),
        node: None,
    };
    let witnesses = vec![witness(Moment::Begin, 50), witness(Moment::End, 60)];
    Record {
        run: run(),
        operations: operations(),
        faults: vec![
            fault(cut),
            fault(FaultKind::Kill),
            fault(FaultKind::ClockJump { seconds: -9 }),
        ],
        witnesses: BTreeMap::from([("n1".into(), witnesses)]),
        logs: BTreeMap::from([("ctl1".into(), vec![LogLine::of(4, &entry())])]),
        watches: BTreeMap::from([("1".into(), vec![watched])]),
        digests: BTreeMap::from([("ctl1".into(), Digest { index: 4, digest: "ab".into() })]),
    }
}

#[test]
fn a_record_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = Folder::new(folder.path());
    folder.write(&record()).unwrap();
    assert_eq!(folder.read().unwrap(), record());
    assert_eq!(record().logs["ctl1"][0].decode().unwrap(), entry());
}

#[test]
fn lines_are_added_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/lines.jsonl");
    let mut file = Lines::create(path.clone()).unwrap();
    for operation in operations() {
        file.add(&operation).unwrap();
    }
    append_line(&path, &operations()[0], true).unwrap();
    let read: Vec<Operation> = lines(&path, Torn::Refused).unwrap();
    assert_eq!(read, [operations(), operations()[..1].to_vec()].concat());
}

#[test]
fn a_torn_line_is_tolerated_at_the_end_of_a_witness_only() {
    let folder = tempfile::tempdir().unwrap();
    let folder = Folder::new(folder.path());
    folder.write(&record()).unwrap();
    let tear = |path: &Path, text: &[u8]| {
        OpenOptions::new().append(true).open(path).unwrap().write_all(text).unwrap();
    };
    tear(&folder.witness("n1"), b"{\"moment\":\"begin\",\"jo");
    assert_eq!(folder.read().unwrap(), record());

    // Who writes on marks it.
    let more = record().witnesses["n1"][1].clone();
    append_line(&folder.witness("n1"), &more, true).unwrap();
    assert_eq!(folder.read().unwrap().witnesses["n1"].len(), 3);

    tear(&folder.witness("n1"), b"{\"moment\"\n");
    let error = folder.read().unwrap_err().to_string();
    assert!(error.contains("witness/n1.jsonl, line 5: "), "{error}");

    folder.write(&record()).unwrap();
    tear(&folder.operations(), b"{\"client\"");
    let error = folder.read().unwrap_err().to_string();
    assert!(error.contains("operations.jsonl, line 8: "), "{error}");
}

#[test]
fn a_missing_file_is_no_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = Folder::new(folder.path());
    folder.write(&record()).unwrap();
    fs::remove_file(folder.faults()).unwrap();
    assert!(folder.read().unwrap_err().to_string().contains("faults.jsonl"));
}

#[test]
fn a_line_of_the_log_that_contradicts_itself_is_refused() {
    let good = LogLine::of(4, &entry());
    let other = LogLine { term: 3, ..good.clone() };
    assert!(other.decode().unwrap_err().contains("not the one"));
    let cut = LogLine { entry: good.entry[1..].to_owned(), ..good.clone() };
    assert!(cut.decode().is_err());
    let wrong = LogLine { entry: format!("zz{}", &good.entry[2..]), ..good };
    assert!(wrong.decode().is_err());
}

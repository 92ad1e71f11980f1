use expect_test::expect;
use proto::types::{EndState, Resources};

use super::*;
use crate::view::samples::{SUBMITTED, Sample as _, pending, place};

const NOW: u64 = SUBMITTED * 1_000;
const MINUTE: u64 = 60_000;

fn obstacle(reason: types::Reason, text: &str, minutes: Option<u64>) -> Obstacle {
    let until = minutes.map(|minutes| NOW + minutes * MINUTE);
    Obstacle { reason: reason.into(), text: text.to_owned(), until }
}

fn reply() -> WhyReply {
    let place = |node: &str| Place {
        node: node.to_owned(),
        held: Some(Resources { cpus: 1, memory_mib: 100 }),
        tasks: 1,
        gres: vec![],
    };
    let earlier = |job, by: Lead| Earlier {
        job,
        user: "bob".to_owned(),
        partition: "cpu".to_owned(),
        by: by.into(),
        ..Earlier::default()
    };
    let weighed = |earlier| {
        let factors = Factors { age: 7.3, fair_share: 2_500.4, ..Factors::default() };
        Earlier { priority: 2_507, factors: Some(factors), ..earlier }
    };
    let freed = |job, runs, minutes| Freed {
        job,
        runs,
        makes_way: job == 3,
        until: NOW + minutes * MINUTE,
        nodes: vec!["n1".to_owned(), "n2".to_owned()],
    };
    let sooner =
        |option: &str, minutes| Sooner { option: option.to_owned(), start: NOW + minutes * MINUTE };
    let waiting = Waiting {
        partition: "cpu".to_owned(),
        obstacles: vec![
            obstacle(types::Reason::Resources, "needs 2 nodes, and 1 has room now", Some(30)),
            obstacle(types::Reason::Priority, "2 jobs are ahead of it, and get nodes first", None),
        ],
        room: Some(Room { nodes: 3, down: 1, fit: 1, short_cpus: 1, needs: 2, ..Room::default() }),
        ahead: 2,
        first: vec![weighed(earlier(5, Lead::Priority)), earlier(4, Lead::Submission)],
        factors: Some(Factors { fair_share: 800.0, partition: 100.0, ..Factors::default() }),
        alone: Some(NOW + 30 * MINUTE),
        planned: Some(Planned {
            at: NOW + 90 * MINUTE,
            places: vec![place("n1"), place("n2")],
            freed: vec![freed(5, false, 90), freed(3, true, 90)],
        }),
        supposed: vec![],
        sooner: vec![sooner("--nodes=1", 0), sooner("--time=20", 5)],
        all_tried: true,
    };
    let job = pending(7, "train", 900, types::Reason::Resources).nodes(2).minutes(60);
    WhyReply { now: NOW, job: Some(job), waiting: Some(waiting) }
}

fn text(reply: &WhyReply) -> String {
    page::text(reply, &TimeZone::UTC, false).expect("a whole answer")
}

#[test]
fn people_see_what_holds_a_job_and_what_would_help() {
    expect![[r#"
        Job 7 (train) of alice waits in partition cpu
        Submitted 2026-11-23T23:08:18, priority 900; asks for cpu=2,mem=200M,node=2,billing=2, time=01:00:00

        What holds it
          Resources  needs 2 nodes, and 1 has room now            until 2026-11-23T23:38:18
          Priority   2 jobs are ahead of it, and get nodes first

        2 jobs are ahead of it
          JOB  USER  PARTITION  AHEAD BY
            5  bob   cpu        priority 2507: fair share 2500 against 800, age 7 against 0
            4  bob   cpu        the moment of submission

        Planned to start 2026-11-24T00:38:18, in 1 h 30 min, on n[1-2]
          Were nobody ahead of it, it would start 2026-11-23T23:38:18, in 30 min
          That is when these end at the latest, which have what it needs:
          JOB  NOW        ENDS                 NODES
            5  planned    2026-11-24T00:38:18  n[1-2]
            3  makes way  2026-11-24T00:38:18  n[1-2]

        It would start sooner with
          --nodes=1  now                  1 h 30 min sooner
          --time=20  2026-11-23T23:13:18  1 h 25 min sooner
    "#]].assert_eq(&text(&reply()));
    let coloured = page::text(&reply(), &TimeZone::UTC, true).expect("a whole answer");
    assert!(coloured.contains("\u{1b}[33m  Resources"), "{coloured}");
}

#[test]
fn what_holds_a_job_for_good_is_told_apart() {
    let mut reply = reply();
    let waiting = reply.waiting.as_mut().expect("it waits");
    waiting.obstacles = vec![obstacle(types::Reason::JobHeldUser, "held by its owner", None)];
    waiting.supposed = vec![types::Reason::JobHeldUser.into()];
    (waiting.ahead, waiting.alone) = (0, None);
    waiting.first.clear();
    waiting.sooner.clear();
    waiting.planned.as_mut().expect("it would start").freed.clear();
    expect![[r#"
        Job 7 (train) of alice waits in partition cpu
        Submitted 2026-11-23T23:08:18, priority 900; asks for cpu=2,mem=200M,node=2,billing=2, time=01:00:00

        What holds it
          JobHeldUser  held by its owner

        If nothing of that held it, it would start 2026-11-24T00:38:18, in 1 h 30 min, on n[1-2]

        No smaller request would start sooner
    "#]].assert_eq(&text(&reply));
    let coloured = page::text(&reply, &TimeZone::UTC, true).expect("a whole answer");
    assert!(coloured.contains("\u{1b}[31m  JobHeldUser"), "{coloured}");
    let waiting = reply.waiting.as_mut().expect("it waits");
    (waiting.planned, waiting.all_tried) = (None, false);
    assert!(text(&reply).contains("No start is known"));
    assert!(text(&reply).contains("too long to try all"));
}

#[test]
fn jobs_that_do_not_wait_get_a_clear_answer() {
    let whole = |job| WhyReply { now: NOW, job: Some(job), waiting: None };
    let job = || pending(7, "train", 900, types::Reason::None).minutes(60);
    let runs = job().runs(SUBMITTED, vec![place("n1", 1, 1)]);
    let ended = runs.clone().ended(SUBMITTED + 60, EndState::Failed);
    expect![[r#"
        Job 7 (train) of alice does not wait: it has n1 since 2026-11-23T23:08:18, until 2026-11-24T00:08:18 at the latest
        Job 7 (train) of alice has ended: FAILED at 2026-11-23T23:09:18, exit code 0:0
    "#]].assert_eq(&(text(&whole(runs)) + &text(&whole(ended))));
}

/// One of each.
fn lean() -> WhyReply {
    let mut reply = reply();
    let waiting = reply.waiting.as_mut().expect("it waits");
    waiting.room = None;
    waiting.factors = None;
    waiting.obstacles.truncate(1);
    waiting.first.truncate(1);
    waiting.first[0].factors = None;
    waiting.sooner.truncate(1);
    let planned = waiting.planned.as_mut().expect("its start");
    planned.places.clear();
    planned.freed.truncate(1);
    planned.freed[0].nodes.truncate(1);
    reply
}

#[test]
fn programs_see_what_priorities_come_from() {
    let object = object(&reply()).expect("a whole answer");
    let own = &object["waiting"]["factors"];
    assert_eq!((&own["fair_share"], &own["partition"]), (&json!(800.0), &json!(100.0)));
    let theirs = &object["waiting"]["first_ahead"][0];
    assert_eq!((&theirs["priority"], &theirs["factors"]["age"]), (&json!(2_507), &json!(7.3)));
    let keys = own.as_object().map(|own| own.keys().cloned().collect::<Vec<_>>().join(" "));
    let known = "age assoc fair_share job_size nice partition qos tres";
    let mut keys: Vec<_> = keys.iter().flat_map(|keys| keys.split(' ')).collect();
    keys.sort_unstable();
    assert_eq!(keys.join(" "), known);
}

#[test]
fn programs_see_these_names() {
    let object = object(&lean()).expect("a whole answer");
    expect![[r#"
        {
          "job": 7,
          "name": "train",
          "user": "alice",
          "partition": "cpu",
          "state": "PENDING",
          "reason": "Resources",
          "priority": 900,
          "now_ms": 1795475298000,
          "waiting": {
            "partition": "cpu",
            "obstacles": [
              {
                "reason": "Resources",
                "text": "needs 2 nodes, and 1 has room now",
                "until_ms": 1795477098000
              }
            ],
            "room": null,
            "ahead": 2,
            "factors": null,
            "first_ahead": [
              {
                "job": 5,
                "user": "bob",
                "partition": "cpu",
                "by": "priority",
                "priority": 2507,
                "factors": null
              }
            ],
            "alone_ms": 1795477098000,
            "planned": {
              "at_ms": 1795480698000,
              "places": [],
              "when_these_end": [
                {
                  "job": 5,
                  "runs": false,
                  "makes_way": false,
                  "until_ms": 1795480698000,
                  "nodes": [
                    "n1"
                  ]
                }
              ]
            },
            "supposed_gone": [],
            "sooner": [
              {
                "option": "--nodes=1",
                "start_ms": 1795475298000
              }
            ],
            "all_tried": true
          }
        }
    "#]]
    .assert_eq(&format!("{object:#}\n"));
}

#[test]
fn programs_see_how_its_nodes_stand() {
    let room = room(&reply().waiting.expect("it waits").room.expect("it was looked at"));
    expect![[r#"
        {"nodes":3,"down":1,"drained":0,"not_for_it":0,"have_room":1,"short_of_cpus":1,"short_of_memory":0,"short_of_gpus":0,"kept_off_by_others":0,"needs":2,"tasks":null,"tasks_have_room":null}
    "#]]
    .assert_eq(&format!("{room}\n"));
}

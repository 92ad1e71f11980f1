//! How controllers join and leave, and what the clock asks of a cluster that forgets nothing.

use std::sync::Arc;

use common::{
    config::Config,
    id::{ContentHash, ControllerName, NodeName, RequestId, Term},
    job::Hold,
    machine::{Answer, Command, Refusal, TokenRole, next_alarm, timers},
    node::Inventory,
    time::Span,
};

use crate::cluster::{ALICE, Cluster, ROOT, config, spec};

fn join(name: &str, raft_id: u64, port: u16) -> Command {
    let controller = ControllerName::from(name);
    Command::JoinController { controller, raft_id, address: format!("10.0.0.1:{port}") }
}

fn leave(cluster: &mut Cluster, name: &str) -> Result<Answer, Refusal> {
    let by = cluster.by(ROOT);
    cluster.send(Command::LeaveController { by, controller: ControllerName::from(name) })
}

#[test]
fn another_store_can_t_take_a_member_s_name() {
    let mut cluster = Cluster::new(&["n1"], 8);
    cluster.send(join("ctl1", 1, 6817)).expect("the first");
    cluster.send(join("ctl2", 77, 6818)).expect("another name");
    let known = Err(Refusal::ControllerKnown("ctl2".into()));
    assert_eq!(cluster.send(join("ctl2", 78, 6818)), known);
    cluster.send(join("ctl2", 77, 6900)).expect("its own store may move");
    let address = &cluster.state.controllers[&ControllerName::from("ctl2")].address;
    assert_eq!(address, "10.0.0.1:6900");
    leave(&mut cluster, "ctl2").expect("a member");
    cluster.send(join("ctl2", 78, 6818)).expect("removed, it joins anew");
}

#[test]
fn the_last_controller_stays() {
    let mut cluster = Cluster::new(&["n1"], 8);
    cluster.send(join("ctl1", 1, 6817)).expect("the first");
    let unknown = Err(Refusal::NoSuchController("ctl9".into()));
    assert_eq!(leave(&mut cluster, "ctl9"), unknown);
    let last = Err(Refusal::LastController("ctl1".into()));
    assert_eq!(leave(&mut cluster, "ctl1"), last);
}

#[test]
fn a_token_is_spent_once_and_its_spender_may_ask_again() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let (secret, role, name) = (ContentHash([5; 32]), TokenRole::Node, "n1".to_owned());
    let by = cluster.by(ROOT);
    let expires = cluster.now + Span::from_seconds(60);
    let issue = Command::IssueToken { by, secret, role, name: name.clone(), expires };
    cluster.send(issue).expect("root may");
    let spend = |joiner| Command::SpendToken {
        request: RequestId([joiner; 16]),
        secret,
        role,
        name: name.clone(),
    };
    assert_eq!(cluster.send(spend(1)), Ok(Answer::Done));
    assert_eq!(cluster.send(spend(1)), Ok(Answer::Done), "its answer was lost on the way");
    assert_eq!(cluster.send(spend(2)), Err(Refusal::Token), "somebody else's is another request");
}

#[test]
fn without_a_min_job_age_ended_jobs_stay() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let kept = Arc::new(Config { min_job_age: 0, ..config(&["n1"], 8) });
    cluster.send(Command::SetConfig { config: kept }).expect("a change");
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let by = cluster.by(ALICE);
    cluster.send(Command::Cancel { by, job, signal: None }).expect("hers");
    cluster.pass(1_000_000);
    assert_eq!(timers(&cluster.state, cluster.now), []);
    assert_eq!(next_alarm(&cluster.state), None);
}

#[test]
fn a_node_that_names_no_address_has_the_configured_one() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let address = |cluster: &Cluster| cluster.state.nodes[&"n1".into()].address.clone();
    let say = |cluster: &mut Cluster, address: &str| {
        let node = "n1".into();
        let inventory = cluster.state.nodes[&node].inventory.clone().expect("registered");
        let inventory = Box::new(inventory.as_ref().clone());
        let register = Command::Register { node, address: address.to_owned(), inventory };
        cluster.send(register).expect("a known node");
    };
    say(&mut cluster, "10.0.0.9");
    say(&mut cluster, "");
    assert_eq!(address(&cluster), "10.0.0.9", "nothing said, nothing changed");
    let mut moved = config(&["n1"], 8);
    moved.nodes[0].address = "10.0.0.10".to_owned();
    cluster.send(Command::SetConfig { config: Arc::new(moved) }).expect("a configuration");
    assert_eq!(address(&cluster), "10.0.0.10");
    let entries = cluster.log.len();
    say(&mut cluster, "");
    assert_eq!(cluster.log.len(), entries, "the same registration is no event");
}

#[test]
fn a_node_may_say_whatever_it_has() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let node: NodeName = "n1".into();
    let known = cluster.state.nodes[&node].inventory.clone().expect("registered");
    for memory_mib in [u64::MAX, u64::MAX - 1, 0, u64::MAX] {
        let inventory = Box::new(Inventory { memory_mib, ..known.as_ref().clone() });
        let address = String::new();
        let register = Command::Register { node: node.clone(), address, inventory };
        cluster.send(register).expect("a known node");
    }
    assert!(cluster.state.nodes[&node].drain, "it has shrunk once");
}

#[test]
fn a_leader_whose_clock_is_ahead_remembers_what_was_answered() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let hold = Command::Hold { by: cluster.by(ALICE), job, admin: false };
    cluster.send(hold.clone()).expect("hers");
    for _ in 0..3 {
        // The next leader is ahead of the last one, and decides something.
        cluster.term = Term(cluster.term.0 + 1);
        cluster.pass(3_600);
        let release = Command::Release { by: cluster.by(ALICE), job };
        cluster.send(release).expect("hers");
    }
    cluster.send(hold.clone()).expect("the first answer again");
    assert_eq!(cluster.state.jobs[&job].hold, Hold::None, "it is not held once more");
    // It is forgotten all the same, once as much time has passed as was meant.
    for _ in 0..13 {
        cluster.pass(10);
        let release = Command::Release { by: cluster.by(ALICE), job };
        cluster.send(release).expect("hers");
    }
    assert!(cluster.state.requests.len() < 16, "{}", cluster.state.requests.len());
    cluster.send(hold).expect("it is new again");
    assert_eq!(cluster.state.jobs[&job].hold, Hold::User);
}

#[test]
fn an_answer_is_remembered_for_longer_than_commands_ask_for_it() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let patient = Arc::new(Config { message_timeout: 600, ..config(&["n1"], 8) });
    cluster.send(Command::SetConfig { config: patient }).expect("a change");
    let job = cluster.submit(ALICE, spec(ALICE)).expect("room");
    let hold = Command::Hold { by: cluster.by(ALICE), job, admin: false };
    cluster.send(hold.clone()).expect("hers");
    let release = Command::Release { by: cluster.by(ALICE), job };
    cluster.pass(600);
    cluster.send(release).expect("hers");
    cluster.send(hold).expect("the first answer again");
    assert_eq!(cluster.state.jobs[&job].hold, Hold::None, "it is not held once more");
}

#[test]
fn one_authority_takes_the_place_of_another_step_by_step() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let bring = |cluster: &mut Cluster, user| {
        let [signing, coming] = [&b"old"[..], b"new"].map(bytes::Bytes::from_static);
        let by = cluster.by(user);
        cluster.send(Command::BringAuthority { by, signing, coming })
    };
    assert_eq!(bring(&mut cluster, ALICE), Err(Refusal::NotOperator));
    bring(&mut cluster, ROOT).expect("root may");
    assert_eq!(bring(&mut cluster, ROOT), Err(Refusal::AuthorityChanging), "one at a time");
    let seen = |cluster: &Cluster| {
        let known = cluster.state.authorities.clone().expect("it was set");
        let text = |der: &bytes::Bytes| String::from_utf8_lossy(der).into_owned();
        let [coming, going] = [&known.coming, &known.going].map(|der| der.as_ref().map(text));
        (text(&known.signing), coming, going, known.since)
    };
    let (signing, coming, going, since) = seen(&cluster);
    assert_eq!((signing.as_str(), coming.as_deref(), going), ("old", Some("new"), None));
    cluster.pass(60);
    for _ in 0..2 {
        // What was due then is done once.
        cluster.send(Command::StepAuthorities { since }).expect("never refused");
    }
    let (signing, coming, going, since) = seen(&cluster);
    assert_eq!((signing.as_str(), coming, going.as_deref()), ("new", None, Some("old")));
    cluster.pass(60);
    cluster.send(Command::StepAuthorities { since }).expect("never refused");
    let (signing, coming, going, since) = seen(&cluster);
    assert_eq!((signing.as_str(), coming, going), ("new", None, None));
    let length = cluster.log.len();
    cluster.pass(60);
    cluster.send(Command::StepAuthorities { since }).expect("there is none left");
    assert!(cluster.log[length..].iter().all(|entry| entry.events.is_empty()));
}

//! `docs/operations/controllers.md`.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use super::{runbook::Runbook, words};
use crate::{
    cluster::{BOUND, Cluster},
    stream::Stream,
    wait::until,
};

/// Adds a controller as the page says: types the command, and then what that prints.
pub(crate) fn add(cluster: &Cluster, name: &str) {
    let line = Runbook::open("controllers").line("rafter controller add NAME", &[("NAME", name)]);
    cluster.know(name);
    let mut command = cluster.command("rafter");
    command.args(line).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut adding = command.spawn().expect("a command can be started");
    let printed = first_line(&mut adding);
    let typed: Vec<&str> = printed.split_whitespace().collect();
    assert_eq!(typed[..3], ["rafterctld", "--name", name], "{printed}");
    cluster.start_with(name, &typed[3..]);
    let added = adding.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&added.stderr);
    assert!(added.status.success(), "{said}{}", cluster.logs());
    assert!(said.contains(&format!("{name} votes: ")), "{said}");
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    let stdout = child.stdout.as_mut().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("it prints a line");
    line
}

fn remove(cluster: &Cluster, name: &str) {
    let page = Runbook::open("controllers");
    let line = page.line("rafter controller remove NAME", &[("NAME", name)]);
    cluster.ask("rafter", &words(&line));
    // A controller that lives finds out, and ends.
    cluster.until_gone(name);
    let log = fs::read_to_string(cluster.path(&format!("log/{name}.log"))).unwrap_or_default();
    if !log.contains("is no member of the cluster any more") {
        assert!(cluster.was_killed(name), "{name} does not say why it ended");
    }
    fs::remove_dir_all(cluster.path("state").join(name)).expect("its state is moved away");
}

/// 1, 3, 5, a dead one replaced, and back to 1, the leader itself among those that go; submissions
/// go on all the time, and none fails.
#[test]
fn controllers_come_and_go_under_load() {
    let cluster = Cluster::raise(1, 1, &[]);
    let stream = Stream::start(&cluster, 2);
    for name in ["ctl2", "ctl3", "ctl4", "ctl5"] {
        add(&cluster, name);
    }
    cluster.joined(&["ctl1", "ctl2", "ctl3", "ctl4", "ctl5"]);
    cluster.kill("ctl5");
    remove(&cluster, "ctl5");
    add(&cluster, "ctl5");
    let leader = cluster.leader(None);
    remove(&cluster, &leader);
    let mut left: Vec<&str> =
        ["ctl1", "ctl2", "ctl3", "ctl4", "ctl5"].into_iter().filter(|n| *n != leader).collect();
    while left.len() > 1 {
        let leader = cluster.leader(None);
        let place = left.iter().position(|name| *name == leader).expect("a member leads");
        // Once more the leader, and then the followers.
        let gone = left.remove(if left.len() == 3 { place } else { (place + 1) % left.len() });
        remove(&cluster, gone);
    }
    let acknowledged = stream.check_without_failure(&cluster);
    assert!(acknowledged > 20, "{acknowledged} are too few to prove anything");
    let status = cluster.ask("rafter", &["status"]);
    assert_eq!(status.matches("127.0.0.1:").count(), 1, "{status}");
}

/// What would cost the majority is refused, in words that say what to do.
#[test]
fn the_majority_is_not_given_away() {
    let cluster = Cluster::raise(3, 1, &[]);
    let leader = cluster.leader(None);
    let others: Vec<&str> =
        ["ctl1", "ctl2", "ctl3"].into_iter().filter(|name| *name != leader).collect();
    let taken = cluster.run("rafter", &["controller", "add", others[0]]);
    let said = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert!(!taken.status.success() && said.contains("is a member already"), "{said}");
    cluster.kill(others[0]);
    let refused = until("the leader to miss it", BOUND, || {
        let output = cluster.run("rafter", &["status"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains("unreachable")
            .then(|| cluster.run("rafter", &["controller", "remove", others[1]]))
    });
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{said}");
    let wanted = format!("without {} no majority would remain", others[1]);
    assert!(said.contains(&wanted) && said.contains(others[0]), "{said}");
    Runbook::open("controllers").quotes("without NAME no majority would remain");
    remove(&cluster, others[0]);
    cluster.joined(&[&leader, others[1]]);
}

/// `scontrol takeover` moves the leadership while submissions go on.
#[test]
fn the_leadership_is_moved() {
    let cluster = Cluster::raise(3, 1, &[]);
    let page = Runbook::open("controllers");
    let stream = Stream::start(&cluster, 2);
    for index in ["2", "1", "0"] {
        let line = page.line("scontrol takeover INDEX", &[("INDEX", index)]);
        cluster.ask("scontrol", &words(&line));
        let place: usize = index.parse().expect("a number");
        assert_eq!(cluster.leader(None), ["ctl1", "ctl2", "ctl3"][place]);
    }
    cluster.ask("scontrol", &words(&page.line("scontrol takeover", &[])));
    assert_ne!(cluster.leader(None), "ctl1");
    let refused = cluster.run("scontrol", &["takeover", "7"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("invalid backup controller index"), "{said}");
    page.quotes("invalid backup controller index");
    stream.check_without_failure(&cluster);
}

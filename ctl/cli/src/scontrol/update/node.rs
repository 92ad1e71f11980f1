//! `scontrol update NodeName=...`.

use common::hostlist::Hostlist;
use proto::ctl::{NodeTarget, UpdateNodeRequest};
use trust::controllers::Target;

use super::{NO_CHANGES, Wrong, pair::Pair, unsupported};
use crate::{
    client::{self, Client, Controller},
    fetch,
    scontrol::session::Session,
    trouble::Trouble,
};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Update {
    /// A list of hosts, as it was written.
    nodes: String,
    target: Option<NodeTarget>,
    reason: Option<String>,
}

const FAILED: &str = "slurm_update error: ";

pub(super) fn run(session: &mut Session<'_>, words: &[&str]) -> u8 {
    let update = match parse(words) {
        Ok(update) => update,
        Err(wrong) => return session.complain(&wrong),
    };
    let names = match names(session, &update.nodes) {
        Ok(names) => names,
        Err(exit) => return exit,
    };
    let mut exit = 0;
    for node in names {
        match session.call(async |client| send(client, &update, node).await) {
            Ok(Ok(())) => {}
            Ok(Err(trouble)) => exit = session.failed(FAILED, &trouble),
            Err(exit) => return exit,
        }
    }
    exit
}

fn names(session: &mut Session<'_>, text: &str) -> Result<Vec<String>, u8> {
    if text.eq_ignore_ascii_case("ALL") {
        let reply = session.ask(FAILED, async |client| fetch::nodes(client, false).await)?;
        let nodes = reply.nodes.into_iter().filter_map(|view| view.node);
        return Ok(nodes.map(|node| node.name).collect());
    }
    match Hostlist::parse(text) {
        Ok(list) => Ok(list.iter().collect()),
        Err(_) => Err(session.complain(&format!("Invalid hostlist: {text}\n"))),
    }
}

async fn send(client: &Client, update: &Update, node: String) -> Result<(), Trouble> {
    let request = UpdateNodeRequest {
        request: client::request_id(),
        node,
        target: update.target.map(Into::into),
        reason: update.reason.clone(),
    };
    let attempt = |mut controller: Controller| {
        let request = client::request(request.clone());
        async move { controller.update_node(request).await }
    };
    client.call(Target::Leader, attempt).await.map(|_| ())
}

fn parse(words: &[&str]) -> Result<Update, Wrong> {
    let mut update = Update::default();
    for word in words {
        let pair = Pair::of(word);
        if pair.value.is_none() {
            return Err(format!("Invalid input: {word}\nRequest aborted\n"));
        }
        if pair.is("NodeName", 3) {
            pair.text().clone_into(&mut update.nodes);
        } else if pair.is("State", 5) {
            update.target = Some(state(pair.text())?);
        } else if pair.is("Reason", 1) {
            update.reason = Some(pair.text().to_owned());
        } else {
            return Err(unsupported(&pair));
        }
    }
    let down = matches!(update.target, Some(NodeTarget::Down | NodeTarget::Drain));
    if down && update.reason.as_deref().is_none_or(str::is_empty) {
        let text = "You must specify a reason when DOWNING or DRAINING a node. Request denied\n";
        return Err(text.to_owned());
    }
    if update.target.is_none() && update.reason.is_none() {
        return Err(NO_CHANGES.to_owned());
    }
    Ok(update)
}

/// States, and how many of their first letters will do.
const STATES: &[(&str, usize, NodeTarget)] = &[
    ("DRAIN", 3, NodeTarget::Drain),
    ("DOWN", 3, NodeTarget::Down),
    ("IDLE", 4, NodeTarget::Idle),
    ("RESUME", 3, NodeTarget::Resume),
    ("UNDRAIN", 3, NodeTarget::Undrain),
];

/// What real Slurm can do to a node, and Rafter can't.
const OTHERS: &[&str] = &["NoResp", "FAIL", "FUTURE", "POWER_DOWN", "POWER_UP"];

fn state(text: &str) -> Result<NodeTarget, Wrong> {
    let begins = |(name, letters, _): &&(&str, usize, NodeTarget)| {
        let head = name.get(..text.len());
        text.len() >= *letters && head.is_some_and(|head| head.eq_ignore_ascii_case(text))
    };
    if let Some((.., target)) = STATES.iter().find(begins) {
        return Ok(*target);
    }
    if OTHERS.iter().any(|other| other.eq_ignore_ascii_case(text)) {
        return Err(format!("scontrol: error: State={text} is not supported\n"));
    }
    Err(format!(
        "Invalid input: State={text}\nRequest aborted\n\
         Valid states are: NoResp DRAIN FAIL FUTURE RESUME POWER_DOWN POWER_UP UNDRAIN\n\
         Not all states are valid given a node's prior state\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read() {
        let update = parse(&["NodeName=n[7-8]", "State=drain", "Reason=a b"]).unwrap();
        let expected = Update {
            nodes: "n[7-8]".to_owned(),
            target: Some(NodeTarget::Drain),
            reason: Some("a b".to_owned()),
        };
        assert_eq!(update, expected);
        let resume = parse(&["nodename=n1", "state=RESUME"]).unwrap();
        assert_eq!((resume.target, resume.reason), (Some(NodeTarget::Resume), None));
    }

    /// As the real command says it: scontrol-update.txt of the captures, and tried besides.
    #[test]
    fn mistakes_are_named_in_slurms_words() {
        let cases: [(&[&str], &str); 5] = [
            (
                &["NodeName=n1", "State=DRAIN"],
                "You must specify a reason when DOWNING or DRAINING a node. Request denied\n",
            ),
            (
                &["NodeName=n1", "State=BOGUS"],
                "Invalid input: State=BOGUS\nRequest aborted\nValid states are: NoResp DRAIN FAIL \
                 FUTURE RESUME POWER_DOWN POWER_UP UNDRAIN\nNot all states are valid given a \
                 node's prior state\n",
            ),
            (&["nodename=n1"], "No changes specified\n"),
            (
                &["nodename=n1", "bogus=abc"],
                "Update of this parameter is not supported: bogus=abc\nRequest aborted\n",
            ),
            (&["nodename=n1", "state=fail"], "scontrol: error: State=fail is not supported\n"),
        ];
        for (words, expected) in cases {
            assert_eq!(parse(words), Err(expected.to_owned()), "{words:?}");
        }
    }
}

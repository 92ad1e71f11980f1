//! Which controllers there are, and which of them leads.

use common::{
    id::ControllerName,
    machine::{Command, Refusal, State},
};
use proto::ctl as wire;
use raft_store::{Log, Member, MembershipError, Progress};
use tonic::{Request, Status};
use trust::controllers::not_leader;

use super::{
    admin::operator,
    job::carry_out,
    status::{by, refused},
};
use crate::shared::Shared;

/// Removes a controller, where those that remain can go on without it. The membership of Raft
/// follows.
pub(super) async fn remove(
    shared: &Shared,
    request: Request<wire::RemoveControllerRequest>,
) -> Result<wire::Done, Status> {
    operator(shared, &request)?;
    let by = by(&request, &request.get_ref().request)?;
    let controller = ControllerName::from(request.into_inner().name);
    if let Some(view) = shared.head()
        && view.state.controllers.contains_key(&controller)
    {
        let (members, progress) = (shared.log.members(), shared.log.progress());
        remain(&view.state, &controller, &members, &progress)
            .map_err(Status::failed_precondition)?;
    }
    carry_out(shared, Command::LeaveController { by, controller }).await
}

/// Whether those that remain without `gone` can make a majority, as things are.
fn remain(
    state: &State,
    gone: &ControllerName,
    members: &[Member],
    progress: &[Progress],
) -> Result<(), String> {
    let votes = |raft_id: u64| {
        let voter = members.iter().any(|member| member.raft_id == raft_id && member.voter);
        voter && progress.iter().any(|one| one.raft_id == raft_id && one.reachable)
    };
    let rest: Vec<_> = state.controllers.iter().filter(|(name, _)| *name != gone).collect();
    let (able, not): (Vec<_>, Vec<_>) = rest.iter().partition(|(_, known)| votes(known.raft_id));
    if rest.is_empty() || able.len() > rest.len() / 2 {
        return Ok(());
    }
    let names = |list: &[&(&ControllerName, &common::machine::Controller)]| {
        let names: Vec<&str> = list.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    };
    Err(format!(
        "without {gone} no majority would remain: of the {} others only {} can vote now, and {} \
         can't. Bring {} back first, or remove it instead",
        rest.len(),
        able.len(),
        names(&not),
        if not.len() == 1 { "that one" } else { "one of those" },
    ))
}

/// Hands the leadership over. Asked again after it went, it is there already.
pub(super) async fn take_over(
    shared: &Shared,
    request: Request<wire::TakeOverRequest>,
) -> Result<wire::TakeOverReply, Status> {
    operator(shared, &request)?;
    let wire::TakeOverRequest { index, from, .. } = request.into_inner();
    let applied = shared.log.applied();
    let done = match index {
        Some(index) => {
            let name = at(&applied.state, index)
                .ok_or_else(|| Status::failed_precondition("invalid backup controller index"))?;
            let known = applied.state.controllers.get(&name);
            let known =
                known.ok_or_else(|| refused(&Refusal::NoSuchController(name.to_string())))?;
            if known.raft_id == shared.identity.raft_id {
                return Ok(wire::TakeOverReply { leader: name.to_string() });
            }
            let handed = shared.log.hand_over_to(known.raft_id).await;
            let leader = leader(&shared.log);
            // All that follow are told to expect another leader, and a third one may be quicker.
            // Whoever leads is asked again.
            if handed.is_err() && !leader.is_empty() && leader != shared.identity.name {
                return Err(not_leader(Some(&leader)));
            }
            handed.map_err(|error| refusal(name.as_str(), &error))
        }
        None if from != shared.identity.name => {
            return Ok(wire::TakeOverReply { leader: shared.identity.name.clone() });
        }
        None => {
            if shared.log.members().iter().filter(|member| member.voter).count() < 2 {
                let text = "no backup controller defined";
                return Err(Status::failed_precondition(text));
            }
            let handed = shared.log.hand_over().await;
            handed.map_err(|error| refusal("another controller", &error))
        }
    };
    done.map(|()| wire::TakeOverReply { leader: leader(&shared.log) })
}

fn leader(log: &Log) -> String {
    log.leadership().borrow().leader.clone().unwrap_or_default()
}

fn refusal(name: &str, error: &MembershipError) -> Status {
    Status::failed_precondition(format!("{name} did not take over: {error}"))
}

/// The controllers in Slurm's order: as the configuration has them, the first one being the
/// primary; and then those that it does not name.
fn at(state: &State, index: u32) -> Option<ControllerName> {
    let configured = state.config.iter().flat_map(|config| &config.controllers);
    let configured: Vec<_> =
        configured.map(|conf| ControllerName::from(conf.name.as_str())).collect();
    let others = state.controllers.keys().filter(|name| !configured.contains(name)).cloned();
    configured.iter().cloned().chain(others).nth(usize::try_from(index).ok()?)
}

#[cfg(test)]
mod tests {
    use common::machine::Controller;

    use super::*;

    fn state(names: &[&str]) -> State {
        let mut state = State::default();
        for (raft_id, name) in (1..).zip(names) {
            let controller = Controller { raft_id, address: String::new() };
            state.controllers.insert(ControllerName::from(*name), controller);
        }
        state
    }

    /// Whether ctl2 may go where of ctl1, ctl2, ... those vote, and those answer.
    fn may_go(voters: &[bool], answer: &[bool]) -> Result<(), String> {
        let names = ["ctl1", "ctl2", "ctl3", "ctl4", "ctl5"];
        let state = state(&names[..voters.len()]);
        let member = |(raft_id, (name, voter)): (u64, (&&str, &bool))| Member {
            name: (*name).to_owned(),
            raft_id,
            address: String::new(),
            voter: *voter,
        };
        let members: Vec<_> = (1..).zip(names.iter().zip(voters)).map(member).collect();
        let progress = |(raft_id, reachable): (u64, &bool)| Progress {
            name: String::new(),
            raft_id,
            matched: 0,
            reachable: *reachable,
        };
        let progress: Vec<_> = (1..).zip(answer).map(progress).collect();
        remain(&state, &ControllerName::from("ctl2"), &members, &progress)
    }

    #[test]
    fn a_majority_must_remain() {
        may_go(&[true; 3], &[true; 3]).expect("two of two remain");
        may_go(&[true; 3], &[true, false, true]).expect("the dead one goes");
        may_go(&[true; 5], &[true, true, true, true, false]).expect("three of four");
        may_go(&[true, true], &[true, false]).expect("one of one");
        let refused = may_go(&[true; 3], &[true, true, false]).expect_err("one of two");
        assert!(
            refused.contains("of the 2 others only 1 can vote now, and ctl3 can't"),
            "{refused}"
        );
        let learns = may_go(&[true, true, false], &[true; 3]).expect_err("ctl3 has no vote yet");
        assert!(learns.contains("ctl3"), "{learns}");
        may_go(&[true; 5], &[true, true, true, false, false]).expect_err("two of four");
    }

    #[test]
    fn controllers_are_counted_as_they_are_configured() {
        let mut state = state(&["a", "b", "c"]);
        let conf = |name: &str| common::config::ControllerConf {
            name: name.to_owned(),
            address: String::new(),
            port: 0,
        };
        let controllers = vec![conf("c"), conf("a")];
        let config =
            common::config::Config { controllers, ..common::config::Config::defaults("test") };
        state.config = Some(std::sync::Arc::new(config));
        let order: Vec<_> = (0..4).map(|index| at(&state, index)).collect();
        let named = |name: &str| Some(ControllerName::from(name));
        assert_eq!(order, [named("c"), named("a"), named("b"), None]);
    }
}

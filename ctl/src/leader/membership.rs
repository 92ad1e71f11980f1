//! Makes Raft's membership follow what the log says it should be, and forms the cluster at first.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use common::{
    id::{ControllerName, UserId},
    machine::{Command, FORMAT, State},
};
use proto::ctl::{PingRequest, controller_client::ControllerClient};
use raft_store::{Applied, Log, Member};
use tokio::{sync::watch, time::sleep};
use trust::connect::{Life, channel};

use crate::{
    proposer::{Proposer, Rejected},
    shared::Shared,
};

/// How long until something that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How often the others are asked which events they understand, while not all do.
const ASK: Duration = Duration::from_secs(10);

/// Works for as long as it is let.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut applied = shared.log.watch();
    loop {
        let state = applied.borrow_and_update().state.clone();
        let settled = match settle(&shared, &state).await {
            Ok(settled) => settled,
            Err(reason) => {
                tracing::warn!(reason, "the membership does not follow the log yet");
                false
            }
        };
        if !settled {
            let mut other = applied.clone();
            tokio::select! {
                () = sleep(AGAIN) => {}
                _ = changed(&mut other, &state) => {}
            }
        } else if state.format < FORMAT {
            raise_format(&shared, &state).await;
            sleep(ASK).await;
        } else if !changed(&mut applied, &state).await {
            return;
        }
    }
}

/// Waits until the controllers differ from `state`'s.
async fn changed(applied: &mut watch::Receiver<Arc<Applied>>, state: &State) -> bool {
    let differs = |applied: &Arc<Applied>| {
        !applied.state.controllers.ptr_eq(&state.controllers)
            && applied.state.controllers != state.controllers
    };
    applied.wait_for(differs).await.is_ok()
}

/// Takes the next step. Says whether there is none left.
async fn settle(shared: &Shared, state: &State) -> Result<bool, String> {
    let text = |rejected: Rejected| rejected.to_string();
    if state.cluster.is_none() {
        form(shared).await?;
        return Ok(false);
    }
    let own = ControllerName::from(shared.identity.name.as_str());
    let known = state.controllers.get(&own);
    let moved = known.is_some_and(|known| {
        known.raft_id == shared.identity.raft_id && known.address != shared.identity.address
    });
    if state.controllers.is_empty() || moved {
        let join = join(shared);
        shared.proposer.submit(join).await.map_err(text)?;
        return Ok(false);
    }
    let difference = difference(state, &shared.log.members());
    let settled = difference.is_empty();
    let (mut failed, mut applied) = (None, shared.log.watch());
    for step in difference {
        // One that can't be reached keeps no other out, nor in.
        let taken = tokio::select! {
            taken = step.take(&shared.log, shared.identity.raft_id) => taken,
            _ = changed(&mut applied, state) => return Ok(false),
        };
        if let Err(reason) = taken {
            failed = Some(reason);
        }
    }
    failed.map_or(Ok(settled), Err)
}

/// Says in the log what the cluster is. Only the controller that was made by `--init` ever finds
/// that it is nothing yet.
async fn form(shared: &Shared) -> Result<(), String> {
    let read = Arc::clone(&shared.read_config);
    let config = tokio::task::spawn_blocking(move || read()).await;
    let config = config.map_err(|error| error.to_string())??;
    let operator = shared.operator.unwrap_or(UserId::ROOT);
    let cluster = shared.identity.cluster;
    let form = Command::Form { cluster, operator, config: Arc::new(config) };
    submit(&shared.proposer, form).await?;
    tracing::info!(%cluster, %operator, "the cluster is formed");
    submit(&shared.proposer, join(shared)).await
}

async fn submit(proposer: &Proposer, command: Command) -> Result<(), String> {
    proposer.submit(command).await.map(drop).map_err(|rejected| rejected.to_string())
}

fn join(shared: &Shared) -> Command {
    Command::JoinController {
        controller: ControllerName::from(shared.identity.name.as_str()),
        raft_id: shared.identity.raft_id,
        address: shared.identity.address.clone(),
    }
}

/// A change of Raft's membership that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Admit {
        raft_id: u64,
        name: String,
        address: String,
    },
    /// A member is reached elsewhere.
    Move {
        raft_id: u64,
        name: String,
        address: String,
    },
    Dismiss {
        raft_id: u64,
        name: String,
    },
}

/// What Raft's membership lacks, and then what it has too much.
fn difference(state: &State, members: &[Member]) -> Vec<Step> {
    let wanted: BTreeMap<u64, (&ControllerName, &str)> = state
        .controllers
        .iter()
        .map(|(name, known)| (known.raft_id, (name, known.address.as_str())))
        .collect();
    let is = |raft_id: u64, address: &str| {
        members.iter().any(|m| m.raft_id == raft_id && m.voter && m.address == address)
    };
    let admitted = wanted.iter().filter(|(id, (_, address))| !is(**id, address));
    let admitted = admitted.map(|(raft_id, (name, address))| {
        let (raft_id, name, address) = (*raft_id, name.to_string(), (*address).to_owned());
        if members.iter().any(|member| member.raft_id == raft_id && member.address != address) {
            Step::Move { raft_id, name, address }
        } else {
            Step::Admit { raft_id, name, address }
        }
    });
    let dismissed = members.iter().filter(|member| !wanted.contains_key(&member.raft_id));
    let dismissed = dismissed
        .map(|member| Step::Dismiss { raft_id: member.raft_id, name: member.name.clone() });
    admitted.chain(dismissed).collect()
}

impl Step {
    async fn take(self, log: &Log, own: u64) -> Result<(), String> {
        match self {
            Self::Admit { raft_id, name, address } => {
                log.admit(raft_id, &name, &address).await.map_err(|error| error.to_string())?;
                tracing::info!(name, raft_id, address, "a controller is a member");
            }
            Self::Move { raft_id, name, address } => {
                log.admit(raft_id, &name, &address).await.map_err(|error| error.to_string())?;
                tracing::info!(name, raft_id, address, "a controller has moved");
                // A leader keeps to the connections that it made when its term began.
                if raft_id != own {
                    log.campaign();
                }
            }
            // The one that leads can't take itself out: the next leader does.
            Self::Dismiss { raft_id, .. } if raft_id == own => {
                log.hand_over().await.map_err(|error| error.to_string())?;
            }
            Self::Dismiss { raft_id, name } => {
                log.dismiss(raft_id).await.map_err(|error| error.to_string())?;
                tracing::info!(name, raft_id, "a controller is no member any more");
            }
        }
        Ok(())
    }
}

/// A kind of events may be proposed once every controller understands it: asks them all.
async fn raise_format(shared: &Shared, state: &State) {
    let mut common = FORMAT;
    for (name, controller) in &state.controllers {
        if controller.raft_id == shared.identity.raft_id {
            continue;
        }
        match understands(shared, name.as_str(), &controller.address).await {
            Ok(format) => common = common.min(format),
            Err(reason) => {
                tracing::info!(%name, reason, "can't tell yet which events it understands");
                return;
            }
        }
    }
    if common < FORMAT {
        tracing::info!(
            format = FORMAT,
            common,
            "not every controller understands the newest events"
        );
    }
    if common > state.format {
        let raise = Command::RaiseFormat { format: common };
        if let Err(reason) = submit(&shared.proposer, raise).await {
            tracing::warn!(reason, "the format of events was not raised");
        }
    }
}

async fn understands(shared: &Shared, name: &str, address: &str) -> Result<u32, String> {
    let config = shared.keyring.client(Some(name)).map_err(|error| error.to_string())?;
    let channel = channel(address, Arc::new(config), Life::Command);
    let channel = channel.map_err(|error| error.to_string())?;
    let reply = ControllerClient::new(channel).ping(PingRequest {}).await;
    Ok(reply.map_err(|status| status.message().to_owned())?.into_inner().format)
}

#[cfg(test)]
mod tests {
    use common::machine::Controller;

    use super::*;

    fn state(controllers: &[(&str, u64, &str)]) -> State {
        let mut state = State::default();
        for (name, raft_id, address) in controllers {
            let controller = Controller { raft_id: *raft_id, address: (*address).to_owned() };
            state.controllers.insert(ControllerName::from(*name), controller);
        }
        state
    }

    fn member(name: &str, raft_id: u64, address: &str, voter: bool) -> Member {
        Member { name: name.to_owned(), raft_id, address: address.to_owned(), voter }
    }

    #[test]
    fn membership_follows_the_log() {
        let wanted = state(&[("ctl1", 1, "a:1"), ("ctl2", 77, "b:1"), ("ctl3", 99, "c:2")]);
        let first = member("ctl1", 1, "a:1", true);
        let members = [
            first.clone(),
            member("ctl2", 77, "b:1", false),
            member("ctl3", 99, "c:1", true),
            member("ctl4", 5, "d:1", true),
        ];
        let admit = |raft_id, name: &str, address: &str| Step::Admit {
            raft_id,
            name: name.to_owned(),
            address: address.to_owned(),
        };
        let steps = difference(&wanted, &members);
        let dismiss = Step::Dismiss { raft_id: 5, name: "ctl4".to_owned() };
        let (name, address) = ("ctl3".to_owned(), "c:2".to_owned());
        let moved = Step::Move { raft_id: 99, name, address };
        // Who has not caught up is admitted again; who left goes last.
        assert_eq!(steps, [admit(77, "ctl2", "b:1"), moved, dismiss]);
        assert_eq!(difference(&state(&[("ctl1", 1, "a:1")]), &[first]), []);
    }
}

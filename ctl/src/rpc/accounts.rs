//! Accounts, users, associations and QOS: loaded by operators, seen by all.

use std::sync::Arc;

use common::machine::{Command, State, Tally, Whose};
use proto::{account, ctl as wire};
use tonic::{Request, Status};

use super::{
    job::carry_out,
    reads,
    status::{by, invalid},
};
use crate::shared::Shared;

pub(super) async fn load(
    shared: &Shared,
    request: Request<wire::LoadAccountsRequest>,
) -> Result<wire::Done, Status> {
    let by = by(&request, &request.get_ref().request)?;
    let accounts = request.into_inner().accounts;
    let accounts = accounts.ok_or_else(|| Status::invalid_argument("`accounts` is missing"))?;
    let accounts = Arc::new(accounts.try_into().map_err(|error| invalid(&error))?);
    carry_out(shared, Command::LoadAccounts { by, accounts }).await
}

pub(super) async fn show(
    shared: &Shared,
    request: Request<wire::AccountsRequest>,
) -> Result<wire::AccountsReply, Status> {
    let applied = reads::state(shared, request.into_inner().stale_ok).await?;
    Ok(reply(&applied.state))
}

fn reply(state: &State) -> wire::AccountsReply {
    let enforce = state.config.as_ref().map(|config| config.enforce.into());
    let Some(accounts) = &state.accounts else {
        return wire::AccountsReply { enforce, ..wire::AccountsReply::default() };
    };
    let nothing = Tally::default();
    let tally = |whose| state.tallies.get(whose).unwrap_or(&nothing).into();
    let all = |count: usize, whose: fn(u32) -> Whose| -> Vec<account::Tally> {
        (0..).take(count).map(|at| tally(whose(at))).collect()
    };
    wire::AccountsReply {
        enforce,
        of_associations: all(accounts.associations().len(), Whose::Association),
        of_qos: all(accounts.parts().qos.len(), Whose::Qos),
        accounts: Some(accounts.as_ref().into()),
    }
}

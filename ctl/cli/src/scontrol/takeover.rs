//! `scontrol takeover [INDEX]`: another controller leads.
//!
//! Slurm's backup waits for the primary to end. Here the leadership goes over while both serve, and
//! what the old leader had acknowledged is in the new one's log already.

use proto::ctl::{TakeOverReply, TakeOverRequest};
use tonic::Response;
use trust::controllers::Target;

use super::session::Session;
use crate::{
    client::{self, Controller},
    fetch,
};

const PREFIX: &str = "slurm_takeover error: ";

pub(super) fn run(session: &mut Session<'_>, words: &[&str]) -> u8 {
    let index = match *words {
        [] => None,
        [word] => match word.parse::<u32>() {
            Ok(index) => Some(index),
            Err(_) => return session.complain("takeover: invalid backup controller index\n"),
        },
        _ => return session.complain("takeover: too many arguments\n"),
    };
    let taken = session.ask(PREFIX, async |client| {
        let from = match index {
            Some(_) => String::new(),
            None => fetch::status(client, false).await?.leader,
        };
        let request = TakeOverRequest { request: client::request_id(), index, from };
        let attempt = |mut controller: Controller| {
            let request = client::request(request.clone());
            async move { controller.take_over(request).await.map(Response::into_inner) }
        };
        client.call(Target::Leader, attempt).await
    });
    taken.map_or_else(|exit| exit, |TakeOverReply { .. }| 0)
}

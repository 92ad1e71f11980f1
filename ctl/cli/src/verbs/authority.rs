//! `rafter authority`: whose signatures count, and how another authority takes its place.

use common::{date, time::Timestamp};
use jiff::tz::TimeZone;
use proto::ctl::{AuthorityStep, RollAuthorityReply, RollAuthorityRequest};
use tonic::Response;
use trust::{controllers::Target, hex};

use super::failed;
use crate::{
    client::{self, Client, Controller},
    say,
    trouble::Trouble,
};

#[derive(clap::Subcommand)]
pub(super) enum Authority {
    /// Show whose signatures count
    Show,
    /// Let another authority take the place of the cluster's: over two lifetimes of certificates
    Roll {
        /// Take the next step at once. Whoever has not renewed since the last one is shut out
        #[arg(long)]
        now: bool,
    },
}

pub(super) fn run(authority: &Authority) -> u8 {
    let step = match authority {
        Authority::Show => AuthorityStep::Show,
        Authority::Roll { now: false } => AuthorityStep::Begin,
        Authority::Roll { now: true } => AuthorityStep::Next,
    };
    match client::runtime().block_on(ask(step)) {
        Ok(reply) => {
            say::out(&text(&reply, &TimeZone::system()));
            0
        }
        Err(trouble) => failed("authority", &trouble),
    }
}

async fn ask(step: AuthorityStep) -> Result<RollAuthorityReply, Trouble> {
    let request = RollAuthorityRequest { request: client::request_id(), step: step.into() };
    let attempt = |mut controller: Controller| {
        let request = client::request(request.clone());
        async move { controller.roll_authority(request).await.map(Response::into_inner) }
    };
    Client::open()?.call(Target::Leader, attempt).await
}

fn text(reply: &RollAuthorityReply, zone: &TimeZone) -> String {
    let RollAuthorityReply { signing, coming, going, due } = reply;
    let mut text = format!("signs   {}\n", hex::encode(signing));
    if let Some(coming) = coming {
        text += &format!("coming  {}\n", hex::encode(coming));
    }
    if let Some(going) = going {
        text += &format!("going   {}\n", hex::encode(going));
    }
    if let Some(due) = due {
        let due = date::format(Timestamp(*due), zone);
        let what = if coming.is_some() { "the coming one signs" } else { "the old one is gone" };
        text += &format!("at {due} {what}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_says_what_comes_next() {
        let print = |byte: u8| bytes::Bytes::copy_from_slice(&[byte; 2]);
        let mut reply = RollAuthorityReply {
            signing: print(1),
            coming: Some(print(2)),
            going: None,
            due: Some(1_795_475_289_015),
        };
        let first = "signs   0101\ncoming  0202\nat 2026-11-23T23:08:09 the coming one signs\n";
        assert_eq!(text(&reply, &TimeZone::UTC), first);
        (reply.going, reply.coming) = (reply.coming, None);
        let second = "signs   0101\ngoing   0202\nat 2026-11-23T23:08:09 the old one is gone\n";
        assert_eq!(text(&reply, &TimeZone::UTC), second);
        reply = RollAuthorityReply { going: None, due: None, ..reply };
        assert_eq!(text(&reply, &TimeZone::UTC), "signs   0101\n");
    }
}

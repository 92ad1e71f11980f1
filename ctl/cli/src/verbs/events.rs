//! `rafter events`: the log as people read it.

use common::{
    date,
    machine::{Entry, Event},
    time::Timestamp,
};
use jiff::tz::TimeZone;
use prost::Message as _;
use proto::{
    ctl::{EventsReply, EventsRequest},
    log,
};
use serde_json::json;
use tonic::{Response, Status, Streaming};
use trust::controllers::Target;

use super::failed;
use crate::{
    client::{self, Client, Controller},
    say,
    trouble::Trouble,
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Go on with what happens from here on, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// Only what concerns this job
    #[arg(short, long, value_name = "ID")]
    job: Option<u32>,
    /// Only what comes after this entry of the log
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    after: u64,
    /// For programs: an object a line
    #[arg(long)]
    json: bool,
    /// Whole entries as the log holds them, for programs; operators only
    #[arg(long, requires = "json", conflicts_with = "job")]
    entries: bool,
    /// What this controller has, though it may be behind the others
    #[arg(long, value_name = "CONTROLLER", conflicts_with = "follow")]
    from: Option<String>,
}

pub(super) fn run(args: &Args) -> u8 {
    let zone = TimeZone::system();
    match client::runtime().block_on(print(args, &zone)) {
        Ok(()) => 0,
        Err(trouble) => failed("events", &trouble),
    }
}

/// How far it has come: the last entry, and how many of its events were printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    index: u64,
    printed: u64,
}

impl Progress {
    /// From where to ask on. An entry of which the stream broke off is asked for again.
    fn after(self) -> u64 {
        if self.printed == 0 { self.index } else { self.index - 1 }
    }
}

/// What the next answer must leave out, since it was printed before the stream broke.
struct Skip {
    index: u64,
    left: u64,
}

impl Skip {
    fn takes(&mut self, event: &EventsReply) -> bool {
        let known = event.index == self.index && self.left > 0;
        self.left -= u64::from(known);
        known
    }
}

async fn print(args: &Args, zone: &TimeZone) -> Result<(), Trouble> {
    let client = match &args.from {
        Some(controller) => Client::open_to(controller)?,
        None if args.follow => Client::open_to_follow()?,
        None => Client::open()?,
    };
    let mut progress = Progress { index: args.after, printed: 0 };
    loop {
        let stream = match open(&client, args, progress).await {
            Ok(stream) => stream,
            // Who follows waits for the controllers, too.
            Err(Trouble::Unreachable { .. } | Trouble::Silent { .. }) if args.follow => continue,
            Err(trouble) => return Err(trouble),
        };
        match copy(stream, args, zone, &mut progress).await {
            Ok(()) if !args.follow => return Ok(()),
            // The stream ended or broke: with another controller it goes on.
            Ok(()) => {}
            Err(status) if is_broken(&status) => {}
            Err(status) => return Err(status.into()),
        }
    }
}

fn is_broken(status: &Status) -> bool {
    let broken = trust::connect::Broken::from_status(status).is_some();
    broken || status.code() == tonic::Code::Unavailable
}

async fn open(
    client: &Client,
    args: &Args,
    progress: Progress,
) -> Result<Streaming<EventsReply>, Trouble> {
    let Args { follow, job, entries, from, .. } = args;
    let request = EventsRequest {
        follow: *follow,
        job: *job,
        after: progress.after(),
        entries: *entries,
        stale_ok: from.is_some(),
    };
    let attempt = |mut controller: Controller| async move {
        controller.events(client::request(request)).await.map(Response::into_inner)
    };
    client.call(Target::Any, attempt).await
}

async fn copy(
    mut stream: Streaming<EventsReply>,
    args: &Args,
    zone: &TimeZone,
    progress: &mut Progress,
) -> Result<(), Status> {
    let mut skip = Skip { index: progress.index, left: progress.printed };
    while let Some(event) = stream.message().await? {
        if skip.takes(&event) {
            continue;
        }
        say::out(&if args.entries {
            entry(&event)?
        } else if args.json {
            object(&event)
        } else {
            line(&event, zone)
        });
        let printed = if event.index == progress.index { progress.printed } else { 0 };
        *progress = Progress { index: event.index, printed: printed + 1 };
    }
    Ok(())
}

fn line(event: &EventsReply, zone: &TimeZone) -> String {
    let at = date::format(Timestamp(event.at), zone);
    format!("{at}  {:>8}  {}\n", event.index, event.text)
}

/// An interface: names are added, and none is renamed or taken away.
fn object(event: &EventsReply) -> String {
    let EventsReply { index, at, term, text, kind, job, node, entry: _ } = event;
    let object = json!({
        "index": index,
        "at_ms": at,
        "term": term,
        "kind": kind,
        "job": job,
        "node": node,
        "text": text,
    });
    format!("{object}\n")
}

/// An interface, too: a whole entry.
fn entry(reply: &EventsReply) -> Result<String, Status> {
    let unknown = |error: &dyn std::fmt::Display| {
        Status::internal(format!("entry {} can't be understood: {error}", reply.index))
    };
    let wire = log::Entry::decode(&*reply.entry).map_err(|error| unknown(&error))?;
    let entry = Entry::try_from(wire).map_err(|error| unknown(&error))?;
    let digits = trust::hex::encode(&reply.entry);
    let object = json!({
        "index": reply.index,
        "term": entry.term.0,
        "sequence": entry.sequence,
        "at_ms": entry.at.0,
        "request": entry.request.as_ref().map(|answered| answered.request.to_string()),
        "kinds": entry.events.iter().map(Event::kind).collect::<Vec<_>>(),
        "entry": digits,
    });
    Ok(format!("{object}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(index: u64, text: &str) -> EventsReply {
        let (text, kind) = (text.to_owned(), "job_submitted".to_owned());
        let at = 1_795_475_289_015;
        let (job, entry) = (Some(7), prost::bytes::Bytes::new());
        EventsReply { index, at, term: 3, text, kind, job, node: None, entry }
    }

    #[test]
    fn people_and_programs_read_events() {
        let event = event(42, "job 7 submitted");
        let people = "2026-11-23T23:08:09        42  job 7 submitted\n";
        assert_eq!(line(&event, &TimeZone::UTC), people);
        let programs = "{\"index\":42,\"at_ms\":1795475289015,\"term\":3,\
                        \"kind\":\"job_submitted\",\"job\":7,\"node\":null,\
                        \"text\":\"job 7 submitted\"}";
        assert_eq!(object(&event), format!("{programs}\n"));
    }

    #[test]
    fn a_broken_stream_goes_on_where_it_broke() {
        assert_eq!(Progress { index: 5, printed: 0 }.after(), 5);
        let progress = Progress { index: 5, printed: 2 };
        assert_eq!(progress.after(), 4);
        let mut skip = Skip { index: 5, left: 2 };
        let taken: Vec<bool> = [5, 5, 5, 6].map(|index| skip.takes(&event(index, "x"))).into();
        assert_eq!(taken, [true, true, false, false]);
    }
}

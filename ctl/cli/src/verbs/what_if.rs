//! `rafter what-if`: how waits would change, were the cluster or its queue otherwise.

use anstyle::Style;
use clap::ArgAction;
use common::{
    date,
    hostlist::Hostlist,
    time::{Span, Timestamp},
};
use jiff::tz::TimeZone;
use proto::plan::{
    JobsSubmitted, Moved, NodesAdded, NodesChanged, PartitionChanged, Waits, WhatIfReply,
    WhatIfRequest,
};
use serde_json::{Value, json};
use tonic::Response;
use trust::controllers::Target;

use super::{
    failed,
    page::{BAD, GOOD, HEADING, Page, length, plain},
    print_json,
};
use crate::{
    client::{self, Client, Controller},
    say, sbatch,
    trouble::Trouble,
};

/// Nothing of the cluster is changed: all is supposed on a copy, and planned there.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Suppose more nodes, each like one that there is, and in the same partitions
    #[arg(long, num_args = 2, value_names = ["LIST", "like=NODE"], action = ArgAction::Append)]
    add_nodes: Vec<String>,
    /// Suppose nodes drained
    #[arg(long, value_name = "LIST", action = ArgAction::Append)]
    drain: Vec<String>,
    /// Suppose nodes back
    #[arg(long, value_name = "LIST", action = ArgAction::Append)]
    resume: Vec<String>,
    /// Suppose a partition otherwise, such as `--partition cpu MaxTime=60 PriorityTier=10`
    #[arg(long, num_args = 2.., value_names = ["NAME", "KEY=VALUE"], action = ArgAction::Append)]
    partition: Vec<String>,
    /// Suppose priorities weighed otherwise, such as `--weight PriorityWeightFairShare=10000`
    #[arg(long, value_name = "KEY=VALUE", action = ArgAction::Append)]
    weight: Vec<String>,
    /// Suppose a job of yours, by options of sbatch
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true, action = ArgAction::Append)]
    submit: Vec<String>,
    /// So many of them; with more than one --submit, one for each
    #[arg(long, value_name = "N", requires = "submit", action = ArgAction::Append)]
    count: Vec<u32>,
    /// For programs: one object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> u8 {
    let request = match request(args) {
        Ok(request) => request,
        Err(text) => {
            say::error(&text);
            return 2;
        }
    };
    match client::runtime().block_on(ask(&request)) {
        Ok(reply) if args.json => print_json(&object(&reply)),
        Ok(reply) => say::out(&text(&reply, &TimeZone::system(), say::in_colour())),
        Err(trouble) => return failed("what-if", &trouble),
    }
    0
}

async fn ask(request: &WhatIfRequest) -> Result<WhatIfReply, Trouble> {
    let client = Client::open()?;
    let attempt = |mut controller: Controller| {
        let request = client::request(request.clone());
        async move { controller.what_if(request).await.map(Response::into_inner) }
    };
    client.call(Target::Any, attempt).await
}

fn request(args: &Args) -> Result<WhatIfRequest, String> {
    let mut request = WhatIfRequest::default();
    for pair in args.add_nodes.chunks(2) {
        let [list, like] = pair else { return Err("--add-nodes LIST like=NODE".to_owned()) };
        let like = like.strip_prefix("like=").ok_or("--add-nodes LIST like=NODE")?.to_owned();
        request.add.push(NodesAdded { names: names(list)?, like });
    }
    for word in &args.partition {
        match (word.contains('='), request.partitions.last_mut()) {
            (false, _) => {
                let change = PartitionChanged { name: word.clone(), changes: String::new() };
                request.partitions.push(change);
            }
            (true, Some(PartitionChanged { changes, .. })) => {
                *changes = format!("{changes} {word}").trim().to_owned();
            }
            (true, None) => return Err(format!("--partition NAME comes before {word}")),
        }
    }
    if let Some(bare) = request.partitions.iter().find(|change| change.changes.is_empty()) {
        return Err(format!("--partition {}: nothing is said of it", bare.name));
    }
    for (lists, drain) in [(&args.drain, true), (&args.resume, false)] {
        for list in lists {
            request.nodes.push(NodesChanged { names: names(list)?, drain });
        }
    }
    let counts = args.count.len();
    if counts > 0 && counts != args.submit.len() {
        return Err("as many --count as --submit are wanted, or none".to_owned());
    }
    for (at, options) in args.submit.iter().enumerate() {
        let spec =
            sbatch::supposed(options).map_err(|text| format!("--submit {options}: {text}"))?;
        let count = args.count.get(at).copied().unwrap_or(1);
        request.jobs.push(JobsSubmitted { spec: Some(spec), count });
    }
    request.priorities = args.weight.join(" ");
    let WhatIfRequest { add, partitions, nodes, jobs, priorities } = &request;
    let nodes = add.is_empty() && nodes.is_empty();
    if nodes && partitions.is_empty() && jobs.is_empty() && priorities.is_empty() {
        return Err("what is to be supposed? See rafter what-if --help".to_owned());
    }
    Ok(request)
}

fn names(list: &str) -> Result<Vec<String>, String> {
    let list = Hostlist::parse(list).map_err(|error| format!("{list}: {error}"))?;
    Ok(list.iter().collect())
}

/// An interface: names are added, and none is renamed or taken away.
fn object(reply: &WhatIfReply) -> Value {
    let waits = |waits: &Waits| {
        json!({
            "jobs": waits.jobs,
            "start_now": waits.start_now,
            "unknown": waits.unknown,
            "mean_ms": waits.mean,
            "median_ms": waits.median,
            "max_ms": waits.most,
        })
    };
    let moved = |moved: &Moved| {
        let Moved { job, user, partition, before, after } = moved;
        json!({
            "job": job,
            "user": user,
            "partition": partition,
            "before_ms": before,
            "after_ms": after,
        })
    };
    json!({
        "now_ms": reply.now,
        "before": reply.before.as_ref().map(waits),
        "after": reply.after.as_ref().map(waits),
        "submitted": reply.submitted.as_ref().map(waits),
        "sooner": reply.sooner,
        "later": reply.later,
        "moved": reply.moved.iter().map(moved).collect::<Vec<_>>(),
    })
}

fn text(reply: &WhatIfReply, zone: &TimeZone, in_colour: bool) -> String {
    let mut page = Page::new(in_colour);
    let header = ["", "JOBS", "START NOW", "MEAN WAIT", "MEDIAN", "MAX", "UNKNOWN"];
    let mut table = plain(header, &[1, 2, 3, 4, 5, 6]);
    let mut styles = vec![HEADING];
    let rows = [
        ("as it is", &reply.before),
        ("what if", &reply.after),
        ("the supposed jobs", &reply.submitted),
    ];
    let wait = |wait: Option<u64>| wait.map(|wait| length(Span(wait))).unwrap_or_default();
    for (name, waits) in rows {
        let Some(waits) = waits else { continue };
        let Waits { jobs, start_now, unknown, mean, median, most } = waits;
        let [jobs, now, unknown] = [jobs, start_now, unknown].map(|count| count.to_string());
        let [mean, median, most] = [*mean, *median, *most].map(wait);
        table.add_row([name, &jobs, &now, &mean, &median, &most, &unknown]);
        styles.push(Style::new());
    }
    page.table(&table, &styles);
    let WhatIfReply { sooner, later, moved, .. } = reply;
    let count = format!("\n{sooner} of the jobs that wait would start sooner, {later} later");
    page.line(Style::new(), &count);
    if moved.is_empty() {
        return page.into_text();
    }
    let header = ["JOB", "USER", "PARTITION", "AS IT IS", "WHAT IF", "MOVES"];
    let mut table = plain(header, &[0]);
    let mut styles = vec![HEADING];
    for Moved { job, user, partition, before, after } in moved {
        let at = |at: Option<u64>| match at {
            None => "unknown".to_owned(),
            Some(at) if at <= reply.now => "now".to_owned(),
            Some(at) => date::format(Timestamp(at), zone),
        };
        let (moves, style) = match (*before, *after) {
            (Some(before), Some(after)) if after > before => {
                (format!("{} later", length(Span(after - before))), BAD)
            }
            (Some(before), Some(after)) => {
                (format!("{} sooner", length(Span(before - after))), GOOD)
            }
            (None, _) => (String::new(), GOOD),
            (Some(_), None) => (String::new(), BAD),
        };
        table.add_row([&job.to_string(), user, partition, &at(*before), &at(*after), &moves]);
        styles.push(style);
    }
    page.table(&table, &styles);
    page.into_text()
}

#[cfg(test)]
mod tests;

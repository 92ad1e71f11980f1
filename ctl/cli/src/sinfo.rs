//! `sinfo`: shows partitions and nodes.
//!
//! [`text`] and what it calls are pure; they are held against the output of the real command by
//! the tests.

mod field;
mod json;
mod options;
mod reservations;
mod row;
mod sort;
mod table;
#[cfg(test)]
mod tests;

use std::{cell::RefCell, env, time::Duration};

use common::hostlist::Hostlist;
use proto::ctl::NodesReply;

use self::{
    field::{Field, Style},
    options::Wanted,
    row::{Grouping, Row},
};
use crate::{
    client::{self, Client},
    cluster, fetch,
    invocation::{Command, Invocation},
    render::{Clock, json::Meta},
    say,
    trouble::Trouble,
    users::UserNames,
    view::{Malformed, Node, Partition},
};

pub(crate) const COMMAND: Command =
    Command { name: "sinfo", about: "Show partitions and nodes", misuse: 1, run };

fn run(invocation: &Invocation) -> u8 {
    let environment = |name: &str| env::var(name).ok();
    let wanted = match options::read(invocation, &environment) {
        Ok(wanted) => wanted,
        Err(exit) => return exit,
    };
    let client = match Client::open() {
        Ok(client) => client,
        Err(trouble) => return failed(&trouble),
    };
    if let Err(exit) = cluster::check(&client, "cluster", wanted.clusters.as_deref()) {
        return exit;
    }
    client::runtime().block_on(async {
        loop {
            let shown = match wanted.reservations {
                true => reservations::show(&client, &wanted, &environment).await,
                false => show(&client, &wanted, invocation, &environment).await,
            };
            match shown {
                Ok(out) => say::out(&out),
                Err(exit) => return exit,
            }
            match wanted.iterate {
                None => return 0,
                Some(seconds) => {
                    say::out("\n");
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
            }
        }
    })
}

fn failed(trouble: &Trouble) -> u8 {
    trouble.report("slurm_load_partitions: ");
    1
}

async fn show(
    client: &Client,
    wanted: &Wanted,
    invocation: &Invocation,
    environment: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<String, u8> {
    let reply = fetch::nodes(client, wanted.stale_ok).await.map_err(|trouble| failed(&trouble))?;
    let clock = Clock::of_host(reply.now, environment);
    let names = RefCell::new(UserNames::default());
    let user = |uid| names.borrow_mut().name(uid);
    let style = Style { clock: &clock, user: &user };
    let meta = Meta::of_caller(client.cluster(), "sinfo", invocation.arguments());
    let compact = environment("SLURM_JSON").is_some_and(|style| style == "compact");
    let shown = if wanted.json {
        with_rows(&reply, wanted, &style, |rows| json::answer(&rows, &meta, &style, compact))
    } else {
        text(&reply, wanted, &style, client.cluster())
    };
    shown.map_err(|malformed| {
        say::error(&malformed.to_string());
        1
    })
}

/// All that is printed.
fn text(
    reply: &NodesReply,
    wanted: &Wanted,
    style: &Style<'_>,
    cluster: &str,
) -> Result<String, Malformed> {
    let mut out = String::new();
    if wanted.clusters.is_some() {
        out.push_str(&format!("CLUSTER: {cluster}\n"));
    }
    if wanted.dated && !wanted.no_header {
        out.push_str(&style.clock.headline());
        out.push('\n');
    }
    if !wanted.no_header {
        wanted.format.put_headings(&mut out);
    }
    with_rows(reply, wanted, style, |rows| {
        for row in &rows {
            wanted.format.put_line(&mut out, |out, field| field.put(out, row, style));
        }
        out
    })
}

fn with_rows<T>(
    reply: &NodesReply,
    wanted: &Wanted,
    style: &Style<'_>,
    then: impl FnOnce(Vec<Row<'_>>) -> T,
) -> Result<T, Malformed> {
    let nodes = Node::all(&reply.nodes)?;
    let mut partitions = Partition::all(&reply.partitions, &nodes);
    partitions.retain(|partition| match &wanted.partitions {
        Some(names) => names.contains(&partition.conf.name),
        None => wanted.all || !partition.conf.hidden,
    });
    // As in Slurm, a list that can't be read names no node.
    let named = wanted.nodes.as_deref().map(|text| Hostlist::parse(text).unwrap_or_default());
    let is_wanted = |node: &Node<'_>| {
        let state = node.state();
        named.as_ref().is_none_or(|named| named.contains(node.name()))
            && wanted.states.as_ref().is_none_or(|states| states.has(state))
            && wanted.responding.is_none_or(|responding| responding != state.silent)
            && (!wanted.reasons || node.reason().is_some())
    };
    let fields: Vec<Field> =
        if wanted.json { json::FIELDS.to_vec() } else { wanted.format.fields().copied().collect() };
    let grouping = Grouping { fields, exact: wanted.exact, by_node: wanted.by_node };
    let mut rows = grouping.rows(&partitions, is_wanted, style);
    sort::sort(&mut rows, &wanted.sort, style);
    Ok(then(rows))
}

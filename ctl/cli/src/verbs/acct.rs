//! `rafter acct`: accounts, users, associations and QOS, as a file in the form of `sacctmgr dump`.

use std::{fmt::Display, fs, io::Read as _, path::PathBuf};

use anstyle::Style;
use common::{
    account::{Accounts, Association, Fairshare, Limits, LineError, Loaded, Most, Qos, parse},
    size::Mib,
};
use proto::{
    account::Tally,
    ctl::{AccountsReply, AccountsRequest, LoadAccountsRequest},
};
use serde_json::{Value, json};
use trust::controllers::Target;

use super::{
    failed,
    page::{DOUBTFUL, HEADING, Page, plain},
    print_json,
};
use crate::{
    client::{self, Client, Controller},
    say,
    trouble::Trouble,
};

#[derive(clap::Subcommand)]
pub(super) enum Acct {
    /// Read a file in the form of `sacctmgr dump`, and let it take the place of what there is
    Load(Load),
    /// Show accounts, users and QOS, their limits, and what their jobs have
    Show(Show),
    /// Print what there is, in the form of `sacctmgr dump`
    Dump,
}

#[derive(clap::Args)]
pub(super) struct Load {
    /// The file; - is standard input
    file: PathBuf,
    /// Only say what is wrong with it
    #[arg(long)]
    check: bool,
}

#[derive(clap::Args)]
pub(super) struct Show {
    /// For programs: one object
    #[arg(long)]
    json: bool,
    /// Take what the first controller that answers knows, though it may be out of date
    #[arg(long)]
    stale_ok: bool,
}

pub(super) fn run(acct: &Acct) -> u8 {
    match acct {
        Acct::Load(args) => load(args),
        Acct::Show(Show { json, stale_ok }) => match shown(*stale_ok) {
            Ok(table) if *json => {
                print_json(&table.object());
                0
            }
            Ok(table) => {
                say::out(&table.text(say::in_colour()));
                0
            }
            Err(trouble) => failed("acct show", &trouble),
        },
        Acct::Dump => match shown(false) {
            Ok(Table { accounts: Some(accounts), .. }) => {
                say::out(&accounts.to_string());
                0
            }
            Ok(_) => {
                say::error("no accounts were loaded");
                1
            }
            Err(trouble) => failed("acct dump", &trouble),
        },
    }
}

fn load(Load { file, check }: &Load) -> u8 {
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            say::error(&format!("{}: {error}", file.display()));
            return 1;
        }
    };
    let loaded = match parse(&text) {
        Ok(loaded) => loaded,
        Err(errors) => {
            say::err(&complaints(file.display(), &errors));
            return 1;
        }
    };
    say::err(&remarks(file.display(), &loaded));
    let summary = summary(&loaded.accounts);
    if *check {
        say::info(&format!("{summary}: it can be loaded"));
        return 0;
    }
    match client::runtime().block_on(send(&loaded.accounts)) {
        Ok(()) => {
            say::info(&format!("{summary}: loaded"));
            0
        }
        Err(trouble) => failed("acct load", &trouble),
    }
}

fn complaints(file: impl Display, errors: &[LineError]) -> String {
    errors.iter().map(|LineError { line, message }| format!("{file}:{line}: {message}\n")).collect()
}

/// What is in the file, and changes nothing.
fn remarks(file: impl Display, loaded: &Loaded) -> String {
    // Every line of Slurm's has it.
    let telling = loaded.idle.iter().filter(|(key, _)| **key != "Fairshare");
    telling.map(|(key, line)| format!("{file}:{line}: {key} has no effect\n")).collect()
}

fn summary(accounts: &Accounts) -> String {
    let parts = accounts.parts();
    let (accounts, users, qos) = (parts.accounts.len(), parts.users.len(), parts.qos.len());
    format!("{accounts} accounts, {users} users, {qos} QOS")
}

async fn send(accounts: &Accounts) -> Result<(), Trouble> {
    let (request, accounts) = (client::request_id(), Some(accounts.into()));
    let request = LoadAccountsRequest { request, accounts };
    let attempt = |mut controller: Controller| {
        let request = client::request(request.clone());
        async move { controller.load_accounts(request).await }
    };
    Client::open()?.call(Target::Leader, attempt).await.map(drop)
}

fn shown(stale_ok: bool) -> Result<Table, Trouble> {
    let reply = client::runtime().block_on(async {
        let attempt = |mut controller: Controller| async move {
            let reply = controller.accounts(client::request(AccountsRequest { stale_ok })).await?;
            Ok(reply.into_inner())
        };
        Client::open()?.call(Target::Any, attempt).await
    })?;
    Table::of(reply).map_err(|error| tonic::Status::internal(error.to_string()).into())
}

/// What is there.
struct Table {
    accounts: Option<Accounts>,
    /// What is enforced.
    enforced: Vec<&'static str>,
    of_associations: Vec<Tally>,
    of_qos: Vec<Tally>,
}

impl Table {
    fn of(reply: AccountsReply) -> Result<Self, proto::Invalid> {
        let AccountsReply { accounts, enforce, of_associations, of_qos } = reply;
        let enforce = enforce.unwrap_or_default();
        let all = [
            (enforce.associations, "associations"),
            (enforce.limits, "limits"),
            (enforce.qos, "qos"),
        ];
        Ok(Self {
            accounts: accounts.map(TryInto::try_into).transpose()?,
            enforced: all.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect(),
            of_associations,
            of_qos,
        })
    }

    fn text(&self, in_colour: bool) -> String {
        let mut page = Page::new(in_colour);
        match self.enforced.as_slice() {
            [] => page.line(DOUBTFUL, "Nothing is enforced (AccountingStorageEnforce)"),
            names => page.line(HEADING, &format!("Enforced: {}", names.join(", "))),
        }
        page.line(Style::new(), "");
        let Some(accounts) = &self.accounts else {
            page.line(DOUBTFUL, "No accounts were loaded (rafter acct load FILE)");
            return page.into_text();
        };
        const HEADER: [&str; 7] = ["", "RUN", "SUBMIT", "CPUS", "MEM", "NODES", "LIMITS"];
        let numbers = [1, 2, 3, 4, 5];
        let mut header = HEADER;
        header[0] = "ACCOUNT AND USER";
        let mut table = plain(header, &numbers);
        let mut styles = vec![HEADING];
        for (at, depth) in in_order(accounts) {
            let association = &accounts.associations()[at];
            let name = format!("{}{}", "  ".repeat(depth), name(association));
            let limits = of_association(association).join(" ");
            table.add_row(row(&name, self.of_associations.get(at), &limits));
            styles.push(if association.user.is_none() { HEADING } else { Style::new() });
        }
        page.table(&table, &styles);
        page.line(Style::new(), "");
        header[0] = "QOS";
        let mut table = plain(header, &numbers);
        for (at, qos) in accounts.parts().qos.iter().enumerate() {
            table.add_row(row(&qos.name, self.of_qos.get(at), &of_qos(qos).join(" ")));
        }
        let styles =
            std::iter::once(HEADING).chain(accounts.parts().qos.iter().map(|_| Style::new()));
        page.table(&table, &styles.collect::<Vec<_>>());
        page.into_text()
    }

    /// An interface: names are added, and none is renamed or taken away.
    fn object(&self) -> Value {
        let of = |tally: Option<&Tally>| {
            let tally = tally.copied().unwrap_or_default();
            json!({
                "running": tally.running, "submitted": tally.submitted, "cpus": tally.cpus,
                "memory_mib": tally.memory_mib, "nodes": tally.nodes,
            })
        };
        let association = |(at, one): (usize, &Association)| {
            json!({
                "account": one.account, "user": one.user, "partition": one.partition,
                "parent": one.parent.map(|at| {
                    let parent = self.accounts.as_ref().map(|all| &all.associations()[at as usize]);
                    parent.map(|parent| parent.account.clone())
                }),
                "qos": one.qos, "default_qos": one.default_qos,
                "limits": pairs(&of_limits_of(one)), "has": of(self.of_associations.get(at)),
            })
        };
        let qos = |(at, one): (usize, &Qos)| {
            json!({
                "name": one.name, "description": one.description, "priority": one.priority,
                "deny_on_limit": one.deny_on_limit, "over_partition": one.over_partition,
                "limits": pairs(&of_qos(one)), "has": of(self.of_qos.get(at)),
            })
        };
        let all = self.accounts.as_ref();
        let associations = all.iter().flat_map(|all| all.associations().iter().enumerate());
        let qualities = all.iter().flat_map(|all| all.parts().qos.iter().enumerate());
        let users = all.iter().flat_map(|all| &all.parts().users);
        json!({
            "enforced": self.enforced,
            "cluster": all.map(|all| &all.parts().cluster),
            "associations": associations.map(association).collect::<Vec<_>>(),
            "users": users
                .map(|user| json!({ "name": user.name, "default_account": user.default_account }))
                .collect::<Vec<_>>(),
            "qos": qualities.map(qos).collect::<Vec<_>>(),
        })
    }
}

/// The places of all, each account's users and accounts below it, and how deep they stand.
fn in_order(accounts: &Accounts) -> Vec<(usize, usize)> {
    let all = accounts.associations();
    let mut below: Vec<Vec<usize>> = vec![vec![]; all.len()];
    for (at, one) in all.iter().enumerate() {
        if let Some(parent) = one.parent {
            below[parent as usize].push(at);
        }
    }
    let (mut order, mut ahead) = (Vec::with_capacity(all.len()), vec![(0, 0)]);
    while let Some((at, depth)) = ahead.pop() {
        order.push((at, depth));
        // Users stand before accounts.
        below[at].sort_by_key(|at| (all[*at].user.is_none(), *at));
        ahead.extend(below[at].iter().rev().map(|at| (*at, depth + 1)));
    }
    order
}

fn name(association: &Association) -> String {
    match (&association.user, &association.partition) {
        (Some(user), Some(partition)) => format!("{user} (in {partition})"),
        (Some(user), None) => user.clone(),
        (None, _) => association.account.clone(),
    }
}

fn row(name: &str, tally: Option<&Tally>, limits: &str) -> [String; 7] {
    let tally = tally.copied().unwrap_or_default();
    [
        name.to_owned(),
        tally.running.to_string(),
        tally.submitted.to_string(),
        tally.cpus.to_string(),
        Mib(tally.memory_mib).to_string(),
        tally.nodes.to_string(),
        limits.to_owned(),
    ]
}

fn of_association(one: &Association) -> Vec<String> {
    let mut texts = of_limits_of(one);
    if let Fairshare::Shares(shares) = one.fairshare
        && shares != 1
    {
        texts.push(format!("Fairshare={shares}"));
    }
    texts.extend(one.default_qos.as_ref().map(|name| format!("DefaultQOS={name}")));
    texts.extend(one.qos.as_ref().map(|names| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        format!("QOS={}", names.join(","))
    }));
    texts
}

fn of_limits_of(one: &Association) -> Vec<String> {
    let mut texts = of_limits(&one.limits);
    texts.extend(of_most("", &one.most));
    texts
}

fn of_qos(qos: &Qos) -> Vec<String> {
    let mut texts = of_limits(&qos.limits);
    texts.extend(of_most("PerUser", &qos.per_user));
    texts.extend(of_most("PerAccount", &qos.per_account));
    texts.extend(text("MinTRESPerJob", &qos.min_tres_per_job));
    let flags = qos.flags();
    texts.extend((!flags.is_empty()).then(|| format!("Flags={flags}")));
    texts
}

fn of_limits(limits: &Limits) -> Vec<String> {
    let Limits { grp_jobs, grp_submit_jobs, grp_tres, .. } = limits;
    let mut texts = Vec::new();
    texts.extend(grp_jobs.map(|most| format!("GrpJobs={most}")));
    texts.extend(grp_submit_jobs.map(|most| format!("GrpSubmitJobs={most}")));
    texts.extend(text("GrpTRES", grp_tres));
    texts.extend(text("MaxTRESPerJob", &limits.max_tres_per_job));
    texts.extend(text("MaxTRESPerNode", &limits.max_tres_per_node));
    texts.extend(limits.max_wall.map(|minutes| format!("MaxWall={minutes}")));
    texts
}

fn of_most(suffix: &str, most: &Most) -> Vec<String> {
    let mut texts = Vec::new();
    texts.extend(most.jobs.map(|most| format!("MaxJobs{suffix}={most}")));
    texts.extend(most.submit_jobs.map(|most| format!("MaxSubmitJobs{suffix}={most}")));
    texts.extend(text(&format!("MaxTRES{suffix}"), &most.tres));
    texts
}

fn text(key: &str, limits: &common::account::TresLimits) -> Option<String> {
    (!limits.is_empty()).then(|| format!("{key}={limits}"))
}

/// `Key=value` texts as an object.
fn pairs(texts: &[String]) -> Value {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key.to_owned(), value.parse::<u64>().map_or_else(|_| json!(value), |number| json!(number)))
    };
    Value::Object(texts.iter().map(pair).collect())
}

#[cfg(test)]
mod tests;

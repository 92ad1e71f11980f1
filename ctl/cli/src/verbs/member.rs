//! `rafter node` and `rafter controller`: who becomes a member, and who ceases to be one.

use std::time::{Duration, Instant};

use common::{hostlist::Hostlist, time};
use indicatif::ProgressBar;
use proto::ctl::{IssueTokenReply, IssueTokenRequest, RemoveControllerRequest, StatusReply};
use tonic::Response;
use trust::controllers::Target;

use super::failed;
use crate::{
    client::{self, Client, Controller as Channel},
    fetch, say,
    trouble::Trouble,
};

/// How often it is looked at what becomes of a controller.
const LOOK: Duration = Duration::from_millis(200);

#[derive(clap::Subcommand)]
pub(super) enum Node {
    /// Print a token with which a node of this name can join, once (rafterd --join TOKEN)
    Token(Token),
}

#[derive(clap::Subcommand)]
pub(super) enum Controller {
    /// Print a token with which a controller of this name can join, once (rafterctld --join TOKEN)
    Token(Token),
    /// Add a controller: print what to type on its host, and wait until it votes
    Add(Add),
    /// On the last controller that is left, stopped: make it the cluster. Says what may be lost
    #[command(disable_help_flag = true)]
    Recover {
        /// For rafterctld --recover
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Take a controller out of the cluster: it has no vote any more, and can't come back by itself
    Remove(Remove),
}

#[derive(clap::Args)]
pub(super) struct Token {
    /// The name, as the configuration has it; for a list such as n[1-8], a line for each
    name: String,
    /// For how long the token can be used, such as 30m, 1h or 2d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    lifetime: u64,
}

#[derive(clap::Args)]
pub(super) struct Add {
    /// The name, as SlurmctldHost has it, or as rafterctld --name will say
    name: String,
    /// For how long the token can be used, such as 30m, 1h or 2d; so long it is waited at most
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    lifetime: u64,
    /// Print what to type, and don't wait
    #[arg(long)]
    no_wait: bool,
}

#[derive(clap::Args)]
pub(super) struct Remove {
    /// The name, as `rafter status` has it
    name: String,
    /// How long to wait until it is out, such as 30s or 5m
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = lifetime)]
    timeout: u64,
}

pub(super) fn node(node: &Node) -> u8 {
    match node {
        Node::Token(token) => tokens(token, false),
    }
}

pub(super) fn controller(controller: &Controller) -> u8 {
    match controller {
        Controller::Token(token) => tokens(token, true),
        Controller::Add(Add { name, lifetime, no_wait }) => {
            done("controller add", client::runtime().block_on(add(name, *lifetime, !no_wait)))
        }
        // It becomes another program.
        Controller::Recover { .. } => unreachable!("the caller has seen to it"),
        Controller::Remove(Remove { name, timeout }) => {
            let limit = Duration::from_secs(*timeout);
            done("controller remove", client::runtime().block_on(remove(name, limit)))
        }
    }
}

/// The exit code. What was waited for in vain has been said.
fn done(verb: &str, outcome: Result<bool, Trouble>) -> u8 {
    match outcome {
        Ok(done) => u8::from(!done),
        Err(trouble) => failed(verb, &trouble),
    }
}

/// Prints the line that is typed on the new controller's host, and follows it until it votes.
async fn add(name: &str, lifetime_s: u64, wait: bool) -> Result<bool, Trouble> {
    let client = Client::open()?;
    let known = fetch::status(&client, true).await?.controllers;
    let token = issue(&client, name, lifetime_s, true).await?;
    let others = known.iter().map(|known| format!(" --controller {}", known.address));
    say::info(&format!("on the host of {name}, type (add --listen HOST:PORT where its slurm.conf"));
    say::info(&format!("has no SlurmctldHost={name}):"));
    say::out(&format!("rafterctld --name {name} --join {token}{}\n", others.collect::<String>()));
    if !wait {
        return Ok(true);
    }
    let limit = Duration::from_secs(lifetime_s);
    let joined = watch(&client, limit, |status| {
        let found = status.controllers.iter().find(|controller| controller.name == name);
        match found {
            None => Err(format!("waiting for {name} to join")),
            Some(found) if ["leader", "follower"].contains(&found.role.as_str()) => Ok(()),
            Some(found) if found.role == "learner" => {
                Err(format!("{name} learns the log: {} entries to go", found.lag))
            }
            Some(_) => Err(format!("{name} has joined, and does not answer yet")),
        }
    });
    match joined.await {
        Ok(status) => {
            let voters = status.controllers.len();
            let most = voters / 2 + 1;
            say::info(&format!("{name} votes: {voters} controllers, of which {most} decide"));
            Ok(true)
        }
        Err(last) => {
            say::error(&format!(
                "{last}: gave up waiting; `rafter status` shows what becomes of it"
            ));
            Ok(false)
        }
    }
}

/// Looks at the cluster's status until `right` is content; else returns what it said last.
async fn watch(
    client: &Client,
    limit: Duration,
    right: impl Fn(&StatusReply) -> Result<(), String>,
) -> Result<StatusReply, String> {
    let line = ProgressBar::new_spinner();
    line.enable_steady_tick(LOOK);
    let deadline = Instant::now() + limit;
    let mut told = String::new();
    loop {
        let found = match fetch::status(client, false).await {
            Ok(status) => right(&status).map(|()| status),
            Err(trouble) => Err(trouble.to_string()),
        };
        let waiting = match found {
            Ok(status) => {
                line.finish_and_clear();
                return Ok(status);
            }
            Err(waiting) => waiting,
        };
        if waiting != told && line.is_hidden() {
            say::info(&waiting);
        }
        line.set_message(waiting.clone());
        if Instant::now() >= deadline {
            line.finish_and_clear();
            return Err(waiting);
        }
        told = waiting;
        tokio::time::sleep(LOOK).await;
    }
}

/// Prints a token alone, and several behind their names.
fn tokens(token: &Token, controller: bool) -> u8 {
    let names: Vec<String> = match Hostlist::parse(&token.name) {
        Ok(list) => list.unique().iter().collect(),
        Err(error) => {
            say::error(&error.to_string());
            return 1;
        }
    };
    let issued = client::runtime().block_on(async {
        let client = Client::open()?;
        let mut issued = Vec::with_capacity(names.len());
        for name in &names {
            issued.push(issue(&client, name, token.lifetime, controller).await?);
        }
        Ok(issued)
    });
    match issued {
        Ok(issued) => {
            let alone = names.len() == 1;
            for (name, token) in names.iter().zip(issued) {
                say::out(&if alone { format!("{token}\n") } else { format!("{name} {token}\n") });
            }
            0
        }
        Err(trouble) => failed("token", &trouble),
    }
}

async fn issue(
    client: &Client,
    name: &str,
    lifetime_s: u64,
    controller: bool,
) -> Result<String, Trouble> {
    let (request, name) = (client::request_id(), name.to_owned());
    let request = IssueTokenRequest { request, controller, name, lifetime_s };
    let attempt = |mut controller: Channel| {
        let request = client::request(request.clone());
        async move { controller.issue_token(request).await.map(Response::into_inner) }
    };
    let IssueTokenReply { token } = client.call(Target::Leader, attempt).await?;
    Ok(token)
}

/// Removes a controller, and waits until it counts in no majority any more.
async fn remove(name: &str, limit: Duration) -> Result<bool, Trouble> {
    let request = RemoveControllerRequest { request: client::request_id(), name: name.to_owned() };
    let attempt = |mut controller: Channel| {
        let request = client::request(request.clone());
        async move { controller.remove_controller(request).await }
    };
    let client = Client::open()?;
    client.call(Target::Leader, attempt).await?;
    let gone = watch(&client, limit, |status| {
        match status.controllers.iter().any(|controller| controller.name == name) {
            true => Err(format!("{name} is on its way out")),
            false => Ok(()),
        }
    });
    match gone.await {
        Ok(status) => {
            let left = status.controllers.len();
            let controllers = if left == 1 { "controller remains" } else { "controllers remain" };
            say::info(&format!("{name} is out: {left} {controllers}"));
            Ok(true)
        }
        Err(last) => {
            say::error(&format!("{last}: gave up waiting; `rafter status` shows when it is out"));
            Ok(false)
        }
    }
}

/// Seconds: a number with a unit, or a time in Slurm's forms.
fn lifetime(text: &str) -> Result<u64, String> {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let in_units = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(*unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    });
    let slurms = || time::parse_span(text).ok().flatten().map(time::Span::seconds);
    let seconds = in_units.or_else(slurms).filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| "a time such as 30m, 1h or 2d is needed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_units() {
        let good = [("90s", 90), ("30m", 1_800), ("1h", 3_600), ("2d", 172_800), ("1-0", 86_400)];
        for (text, seconds) in good {
            assert_eq!(lifetime(text), Ok(seconds), "{text}");
        }
        for text in ["", "h", "0h", "1w", "-1", "UNLIMITED", "99999999999999999999d"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}

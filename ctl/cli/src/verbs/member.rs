//! `rafter node` and `rafter controller`: who becomes a member, and who ceases to be one.

use common::{hostlist::Hostlist, time};
use proto::ctl::{IssueTokenReply, IssueTokenRequest, RemoveControllerRequest};
use tonic::Response;
use trust::controllers::Target;

use super::failed;
use crate::{
    client::{self, Client, Controller as Channel},
    say,
    trouble::Trouble,
};

#[derive(clap::Subcommand)]
pub(super) enum Node {
    /// Print a token with which a node of this name can join, once (rafterd --join TOKEN)
    Token(Token),
}

#[derive(clap::Subcommand)]
pub(super) enum Controller {
    /// Print a token with which a controller of this name can join, once (rafterctld --join TOKEN)
    Token(Token),
    /// Take a controller out of the cluster: it has no vote any more, and can't come back by itself
    Remove { name: String },
}

#[derive(clap::Args)]
pub(super) struct Token {
    /// The name, as the configuration has it; for a list such as n[1-8], a line for each
    name: String,
    /// For how long the token can be used, such as 30m, 1h or 2d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    lifetime: u64,
}

pub(super) fn node(node: &Node) -> u8 {
    match node {
        Node::Token(token) => tokens(token, false),
    }
}

pub(super) fn controller(controller: &Controller) -> u8 {
    match controller {
        Controller::Token(token) => tokens(token, true),
        Controller::Remove { name } => match client::runtime().block_on(remove(name)) {
            Ok(()) => 0,
            Err(trouble) => failed("controller remove", &trouble),
        },
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

async fn remove(name: &str) -> Result<(), Trouble> {
    let request = RemoveControllerRequest { request: client::request_id(), name: name.to_owned() };
    let attempt = |mut controller: Channel| {
        let request = client::request(request.clone());
        async move { controller.remove_controller(request).await }
    };
    Client::open()?.call(Target::Leader, attempt).await?;
    Ok(())
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

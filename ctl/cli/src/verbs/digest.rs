//! `rafter digest`: whether the controllers agree on what the cluster is.
//!
//! Each is asked for what its own state comes to. Two that have applied equally much of the log
//! must say the same.

use std::collections::BTreeMap;

use futures::future::join_all;
use proto::ctl::{DigestReply, DigestRequest};
use serde_json::json;
use tonic::Response;
use trust::{controllers::Target, hex};

use super::{
    failed,
    page::{BAD, DOUBTFUL, GOOD, HEADING, Page, plain},
    print_json,
};
use crate::{
    client,
    client::{Client, Controller},
    say,
    trouble::Trouble,
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// For programs: an array
    #[arg(long)]
    json: bool,
}

/// What a controller said, or why it said nothing.
type Said = (String, Result<DigestReply, Trouble>);

pub(super) fn run(args: &Args) -> u8 {
    let said = match client::runtime().block_on(ask_all()) {
        Ok(said) => said,
        Err(trouble) => return failed("digest", &trouble),
    };
    if args.json {
        print_json(&said.iter().map(object).collect());
    } else {
        say::out(&text(&said, say::in_colour()));
    }
    u8::from(said.iter().any(|(_, said)| said.is_err()) || !differing(&said).is_empty())
}

async fn ask_all() -> Result<Vec<Said>, Trouble> {
    let names = Client::open()?.known();
    let asked = names.into_iter().map(|name| async move {
        let said = ask(&name).await;
        (name, said)
    });
    Ok(join_all(asked).await)
}

async fn ask(name: &str) -> Result<DigestReply, Trouble> {
    let attempt = async |mut controller: Controller| {
        controller.digest(client::request(DigestRequest {})).await.map(Response::into_inner)
    };
    Client::open_to(name)?.call(Target::Any, attempt).await
}

/// The entries of the log after which two controllers have different states.
fn differing(said: &[Said]) -> Vec<u64> {
    let mut digests: BTreeMap<u64, Vec<&[u8]>> = BTreeMap::new();
    for reply in said.iter().filter_map(|(_, said)| said.as_ref().ok()) {
        digests.entry(reply.index).or_default().push(&reply.digest);
    }
    digests.retain(|_, same| same.windows(2).any(|pair| pair[0] != pair[1]));
    digests.into_keys().collect()
}

/// An interface: names are added, and none is renamed or taken away.
fn object((name, said): &Said) -> serde_json::Value {
    match said {
        Ok(DigestReply { index, digest, .. }) => {
            json!({ "controller": name, "index": index, "digest": hex::encode(digest) })
        }
        Err(trouble) => json!({ "controller": name, "error": trouble.to_string() }),
    }
}

fn text(said: &[Said], in_colour: bool) -> String {
    let differing = differing(said);
    let mut table = plain(["CONTROLLER", "APPLIED", "DIGEST"], &[1]);
    let mut styles = vec![HEADING];
    for (name, said) in said {
        match said {
            Ok(DigestReply { index, digest, .. }) => {
                // As much as two can be told apart by.
                let short = hex::encode(&digest[..digest.len().min(8)]);
                table.add_row([name, &index.to_string(), &short]);
                styles.push(if differing.contains(index) { BAD } else { GOOD });
            }
            Err(trouble) => {
                table.add_row([name, "", &trouble.to_string()]);
                styles.push(DOUBTFUL);
            }
        }
    }
    let mut page = Page::new(in_colour);
    page.table(&table, &styles);
    for index in differing {
        page.line(BAD, &format!("After entry {index} of the log, controllers differ."));
    }
    page.into_text()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn said(name: &str, index: u64, digest: u8) -> Said {
        let digest = vec![digest; 32].into();
        (name.into(), Ok(DigestReply { name: name.into(), index, digest }))
    }

    #[test]
    fn those_who_differ_after_the_same_entry_are_named() {
        let silent = ("ctl4".into(), Err(Trouble::Silent { cause: String::new() }));
        let all = [said("ctl1", 9, 1), said("ctl2", 10, 2), said("ctl3", 10, 3), silent];
        assert_eq!(differing(&all), [10]);
        assert!(differing(&all[..2]).is_empty());
        expect![[r#"
            CONTROLLER  APPLIED  DIGEST
            ctl1              9  0101010101010101
            ctl2             10  0202020202020202
            ctl3             10  0303030303030303
            ctl4                 Socket timed out on send/recv operation
            After entry 10 of the log, controllers differ.
        "#]]
        .assert_eq(&text(&all, false));
    }

    #[test]
    fn programs_read_the_whole_digest() {
        let object = object(&said("ctl1", 9, 255)).to_string();
        let digits = "f".repeat(64);
        let expected = format!(r#"{{"controller":"ctl1","index":9,"digest":"{digits}"}}"#);
        assert_eq!(object, expected);
    }
}

//! What the commands of one `scontrol` share: the connection, and how they speak.

use std::env;

use crate::{
    client::Client,
    cluster,
    door::Method,
    invocation::Invocation,
    render::{Clock, json::Meta},
    say,
    trouble::Trouble,
};

/// What the options and some commands set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    pub(super) all: bool,
    pub(super) details: bool,
    pub(super) one_line: bool,
    pub(super) quiet: bool,
    pub(super) json: bool,
    pub(super) stale_ok: bool,
}

pub(super) struct Session<'a> {
    invocation: &'a Invocation,
    pub(super) flags: Flags,
    clusters: Option<String>,
    client: Option<Client>,
}

impl<'a> Session<'a> {
    pub(super) fn new(invocation: &'a Invocation, flags: Flags, clusters: Option<String>) -> Self {
        Self { invocation, flags, clusters, client: None }
    }

    /// Says what is wrong, unless it is to be quiet, and returns the exit code.
    pub(super) fn complain(&self, text: &str) -> u8 {
        if !self.flags.quiet {
            say::err(text);
        }
        1
    }

    fn at_hand(&mut self) -> Result<&Client, u8> {
        if self.client.is_none() {
            let client =
                Client::at_hand().map_err(|trouble| self.failed("scontrol: error: ", &trouble))?;
            cluster::check(&client, "cluster", self.clusters.as_deref())?;
            self.client = Some(client);
        }
        Ok(self.client.as_ref().expect("it has just been made"))
    }

    /// The connection, opened when it is needed first. An error is the exit code.
    pub(super) fn client(&mut self) -> Result<&Client, u8> {
        if let Err(trouble) = self.at_hand()?.connect() {
            return Err(self.failed("scontrol: error: ", &trouble));
        }
        self.at_hand()
    }

    /// Makes calls, one after the other.
    pub(super) fn call<T>(
        &mut self,
        act: impl AsyncFnOnce(&Client) -> Result<T, Trouble>,
    ) -> Result<Result<T, Trouble>, u8> {
        let client = self.client()?;
        Ok(client.block_on(act(client)))
    }

    /// Makes a call that needs no connection where the host's daemon makes it.
    pub(super) fn change<Q, R>(
        &mut self,
        method: &Method<Q, R>,
        message: &Q,
    ) -> Result<Result<R, Trouble>, u8>
    where
        Q: prost::Message + Clone,
        R: prost::Message + Default,
    {
        if let Some(answer) = self.at_hand()?.at_door(method, message) {
            return Ok(answer);
        }
        self.call(async |client| client.directly(method, message).await)
    }

    /// The answer to a question. A failure is reported with this before it.
    pub(super) fn ask<T>(
        &mut self,
        prefix: &str,
        act: impl AsyncFnOnce(&Client) -> Result<T, Trouble>,
    ) -> Result<T, u8> {
        self.call(act)?.map_err(|trouble| self.failed(prefix, &trouble))
    }

    pub(super) fn failed(&self, prefix: &str, trouble: &Trouble) -> u8 {
        if !self.flags.quiet {
            trouble.report(prefix);
        }
        1
    }

    pub(super) fn clock(&self, now: u64) -> Clock {
        Clock::of_host(now, &|name| env::var(name).ok())
    }

    /// Where JSON says it comes from; only after the connection was opened.
    pub(super) fn meta(&self) -> Meta<'_> {
        let cluster = self.client.as_ref().map_or("", Client::cluster);
        Meta::of_caller(cluster, "scontrol", self.invocation.arguments())
    }

    pub(super) fn compact_json(&self) -> bool {
        env::var("SLURM_JSON").is_ok_and(|style| style == "compact")
    }
}

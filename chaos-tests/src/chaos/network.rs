//! What the fabric does not let through, and what it lets through slowly.
//!
//! Cuts and losses are two sets of pairs of addresses in one chain of nftables: what is silently
//! dropped, and what is dropped now and then. Several faults may concern one pair: it is counted.
//! A slow link is a token bucket (tc-tbf(8)) on both ends of the host's cable: a packet waits for
//! its turn, longer the larger it is. There is no delay that is the same for all packets here,
//! since many kernels lack `sch_netem`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, Result};

use super::{
    hosts::Hosts,
    shell::{done, fed},
};

/// From whom to whom.
pub(super) type Pair = (String, String);

/// Of packets between hosts with loss, how many of a hundred are dropped.
pub(super) const LOSS_PERCENT: u32 = 25;

/// The rate of a slow link in kbit/s.
const SLOW_KBIT: u64 = 600;

/// How long a full packet takes through a slow link, in milliseconds.
pub(super) const SLOW_MILLIS: u64 = 1_500 * 8 / SLOW_KBIT;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Drops {
    All,
    Some,
}

pub(super) struct Network {
    hosts: Arc<Hosts>,
    dropped: Mutex<BTreeMap<(Drops, Pair), u32>>,
    slow: Mutex<BTreeMap<String, u32>>,
}

impl Network {
    /// # Errors
    /// Where there is no nftables here.
    pub(super) fn new(hosts: Arc<Hosts>) -> Result<Self> {
        let rules = format!(
            "table bridge chaos {{\n set cut {{\n type ipv4_addr . ipv4_addr\n }}\n \
             set lossy {{\n type ipv4_addr . ipv4_addr\n }}\n \
             chain forward {{\n type filter hook forward priority 0; policy accept;\n \
             ip saddr . ip daddr @cut drop\n \
             ip saddr . ip daddr @lossy numgen random mod 100 < {LOSS_PERCENT} drop\n }}\n}}\n"
        );
        fed(hosts.in_fabric("nft").args(["-f", "-"]), &rules)?;
        Ok(Self { hosts, dropped: Mutex::default(), slow: Mutex::default() })
    }

    /// # Errors
    /// Where nftables fails.
    pub(super) fn drop_between(&self, drops: Drops, pairs: &[Pair]) -> Result<()> {
        let mut dropped = self.dropped.lock().expect("no holder panics");
        for pair in pairs {
            *dropped.entry((drops, pair.clone())).or_default() += 1;
        }
        self.apply(&dropped)
    }

    /// # Errors
    /// Where nftables fails.
    pub(super) fn mend(&self, drops: Drops, pairs: &[Pair]) -> Result<()> {
        let mut dropped = self.dropped.lock().expect("no holder panics");
        for pair in pairs {
            let key = (drops, pair.clone());
            let left = dropped.get(&key).map_or(0, |count| count.saturating_sub(1));
            if left == 0 {
                dropped.remove(&key)
            } else {
                dropped.insert(key, left)
            };
        }
        self.apply(&dropped)
    }

    /// Both sets as they should be, in one transaction.
    fn apply(&self, dropped: &BTreeMap<(Drops, Pair), u32>) -> Result<()> {
        let mut text = String::new();
        for (drops, name) in [(Drops::All, "cut"), (Drops::Some, "lossy")] {
            let mut pairs = Vec::new();
            for ((_, (from, to)), _) in dropped.iter().filter(|((it, _), _)| *it == drops) {
                let address = |name: &str| {
                    let host = self.hosts.host(name).with_context(|| format!("no host {name}"))?;
                    anyhow::Ok(host.address)
                };
                pairs.push(format!("{} . {}", address(from)?, address(to)?));
            }
            text.push_str(&format!("flush set bridge chaos {name}\n"));
            if !pairs.is_empty() {
                let pairs = pairs.join(", ");
                text.push_str(&format!("add element bridge chaos {name} {{ {pairs} }}\n"));
            }
        }
        fed(self.hosts.in_fabric("nft").args(["-f", "-"]), &text)
    }

    /// # Errors
    /// Where `tc` fails.
    pub(super) fn slow_down(&self, host: &str) -> Result<()> {
        let mut slow = self.slow.lock().expect("no holder panics");
        *slow.entry(host.to_owned()).or_default() += 1;
        let rate = format!("root tbf rate {SLOW_KBIT}kbit burst 3200 latency 2s");
        self.tc(host, "replace", rate.split(' ').collect())
    }

    /// # Errors
    /// Where `tc` fails.
    pub(super) fn speed_up(&self, host: &str) -> Result<()> {
        let mut slow = self.slow.lock().expect("no holder panics");
        let left = slow.get(host).map_or(0, |count| count.saturating_sub(1));
        slow.insert(host.to_owned(), left);
        if left == 0 { self.tc(host, "del", vec!["root"]) } else { Ok(()) }
    }

    fn tc(&self, host: &str, verb: &str, rest: Vec<&str>) -> Result<()> {
        let port = self.hosts.port(host)?;
        let ends = [
            (self.hosts.in_fabric("tc"), port.as_str()),
            (self.hosts.command(host, "tc"), "veth0"),
        ];
        for (mut tc, device) in ends {
            done(tc.args(["qdisc", verb, "dev", device]).args(&rest))?;
        }
        Ok(())
    }
}

//! A dead leader is replaced as soon as that is safe.
//!
//! A follower grants no vote before it has been without a word from the leader for the longest
//! election timeout. By the book it then waits for another random time, so that not all campaign
//! at once. But most leaders that die take their connections with them, and that is seen at once:
//! the followers then campaign in an agreed order as soon as the first time is over.
//!
//! It is a hint, and no more. The campaign begins by asking whether a vote would be granted, which
//! changes nothing, and which those who still hear the leader deny.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use openraft::async_runtime::watch::WatchReceiver as _;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tonic::Code;
use trust::connect::Broken;

use crate::{log::Shared, members, muster};

/// How often it is tried, once it may succeed.
const PACE: Duration = Duration::from_millis(20);

/// How far apart the followers begin.
const APART: Duration = Duration::from_millis(120);

/// How often the others are greeted, so that the connections for an election are ready.
const GREETING: Duration = Duration::from_secs(2);

/// Who sends entries, and whose streams have broken off. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Doubts {
    /// How many streams each sender has open; one who had some and has none is doubted.
    open: Arc<watch::Sender<BTreeMap<u64, u32>>>,
}

/// A stream of entries that is open until it is dropped.
pub(crate) struct Incoming {
    doubts: Doubts,
    from: Option<u64>,
}

impl Doubts {
    pub(crate) fn stream(&self) -> Incoming {
        Incoming { doubts: self.clone(), from: None }
    }
}

impl Incoming {
    pub(crate) fn comes_from(&mut self, raft_id: u64) {
        if self.from.is_none() {
            self.from = Some(raft_id);
            self.doubts.open.send_modify(|open| *open.entry(raft_id).or_default() += 1);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(from) = self.from {
            self.doubts.open.send_modify(|open| {
                let streams = open.entry(from).or_default();
                *streams = streams.saturating_sub(1);
            });
        }
    }
}

/// Starts the tasks. They end with the log.
pub(crate) fn start(shared: &Arc<Shared>) {
    tokio::spawn(hasten(Arc::downgrade(shared), shared.doubts.open.subscribe()));
    tokio::spawn(greet(Arc::downgrade(shared)));
}

type Open = watch::Receiver<BTreeMap<u64, u32>>;

async fn hasten(shared: Weak<Shared>, mut open: Open) {
    while open.changed().await.is_ok() {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let doubted = leader(&shared).filter(|from| open.borrow_and_update().get(from) == Some(&0));
        if let Some(from) = doubted
            && let Some(rank) = rank(&shared, from)
        {
            campaign(&shared, from, rank, &open).await;
        }
    }
}

/// The place of this controller among those who may follow the leader `from`; none where it may
/// not.
fn rank(shared: &Shared, from: u64) -> Option<u32> {
    let voters = members::members(&shared.raft).into_iter().filter(|member| member.voter);
    let mut heirs: Vec<u64> = voters.map(|member| member.raft_id).collect();
    heirs.retain(|raft_id| *raft_id != from);
    heirs.sort_unstable();
    let place = heirs.iter().position(|raft_id| *raft_id == shared.own.raft_id)?;
    u32::try_from(place).ok()
}

fn leader(shared: &Shared) -> Option<u64> {
    shared.raft.server_metrics().borrow_watched().current_leader
}

async fn campaign(shared: &Shared, from: u64, rank: u32, open: &Open) {
    let term = shared.leadership.borrow().term;
    let (_, most) = shared.options.election_timeout;
    let began = Instant::now();
    // The first one may succeed a heartbeat earlier than the time since the connection broke says.
    let first = most.saturating_sub(shared.options.heartbeat);
    let start = if rank == 0 { first } else { most + rank * APART };
    sleep_until(began + start).await;
    while began.elapsed() < 2 * most {
        let known = shared.leadership.borrow().term;
        let back = open.borrow().get(&from).is_some_and(|streams| *streams > 0);
        if back || known != term || leader(shared).is_some_and(|leader| leader != from) {
            return;
        }
        // Does nothing where the leader has been heard since.
        if shared.raft.trigger().elect(true).await.is_err() {
            return;
        }
        sleep(PACE).await;
    }
}

async fn greet(shared: Weak<Shared>) {
    // What went wrong with whom, so that it is told once.
    let mut told: BTreeMap<u64, String> = BTreeMap::new();
    loop {
        let Some(strong) = shared.upgrade() else {
            return;
        };
        let membership = strong.raft.server_metrics().borrow_watched().membership_config.clone();
        let others = membership.membership().nodes().filter(|(id, _)| **id != strong.own.raft_id);
        let greetings = others.map(|(id, peer)| {
            let network = strong.network.clone();
            async move { (*id, &peer.name, network.greet(*id, peer).await) }
        });
        for (raft_id, name, greeted) in futures::future::join_all(greetings).await {
            match greeted {
                // It was removed, or the other one is behind.
                Ok(true) if muster::ask(&strong).await == Some(false) => {
                    return muster::ended(&strong);
                }
                Ok(_) => drop(told.remove(&raft_id)),
                Err(status) => {
                    // It takes this controller for a stranger, or its store is another.
                    if status.code() == Code::FailedPrecondition
                        && muster::ask(&strong).await == Some(false)
                    {
                        return muster::ended(&strong);
                    }
                    let text = Broken::from_status(&status)
                        .map_or_else(|| status.message().to_owned(), |broken| broken.to_string());
                    if told.get(&raft_id) != Some(&text) {
                        tracing::warn!("controller {name} can't be reached: {text}");
                        told.insert(raft_id, text);
                    }
                }
            }
        }
        drop(strong);
        sleep(GREETING).await;
    }
}

//! The controllers, seen from those who call them: where they are, and which of them leads.
//!
//! [`Controllers::call`] makes one call and does not give up while it may still succeed: it begins
//! with the controller that led last, follows the names of leaders that others give, goes round
//! them all with growing pauses, and stops at the deadline.
//!
//! **Invariant:** a call may be made several times, and may have been carried out although its
//! answer was lost. Whoever changes something sends a request id, the same in every attempt.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::ClientConfig;
use tokio::time::{Instant, timeout};
use tonic::{Status, transport::Channel};

use crate::{
    connect::{Broken, Life, NoAddress, channel},
    credential::Credential,
    file,
    identity::random,
    tls::{Keyring, TlsError, joining},
};

/// The metadata in which a controller that doesn't lead names the one that does. Empty where it
/// knows of none.
pub const LEADER_KEY: &str = "rafter-leader";

/// What a controller answers that can't serve a call because it doesn't lead.
#[must_use]
pub fn not_leader(leader: Option<&str>) -> Status {
    let mut status = Status::unavailable(match leader {
        Some(leader) => format!("{leader} is the leader"),
        None => "there is no leader".to_owned(),
    });
    let value = leader.unwrap_or_default().parse();
    let value = value.expect("a controller's name is ASCII and fits into metadata");
    status.metadata_mut().insert(LEADER_KEY, value);
    status
}

/// A controller, and where it listens (`HOST:PORT`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    pub name: String,
    pub address: String,
}

/// Which controller will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The leader only: for whatever changes something.
    Leader,
    /// Any of them: for reading.
    Any,
}

/// One call: how long it may take, and who hears that it takes long.
pub struct Call<'a> {
    pub target: Target,
    pub deadline: Instant,
    /// How long one controller may take to answer, before another is asked. It doubles each time
    /// that it was not enough.
    pub patience: Duration,
    /// Is told once, with the last failure, when all controllers were asked in vain.
    pub waiting: Option<&'a mut (dyn FnMut(&Failure) + Send)>,
}

impl Call<'_> {
    /// A call that may take `limit` in all, and tells nobody.
    #[must_use]
    pub fn within(target: Target, limit: Duration) -> Self {
        Self { target, deadline: Instant::now() + limit, patience: PATIENCE, waiting: None }
    }
}

/// A leader that is stopped, but whose machine still answers, is given up after this time.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// The first pause after a round in vain, by how much each further one is longer, and the longest.
/// A pause is thus about a fifth of the time that has passed, which is what is wasted at most once
/// there is a leader.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const PAUSE_GROWTH: f64 = 1.25;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why one controller did not answer a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("{controller} can't be reached: {reason}")]
    Unreachable { controller: String, reason: String },
    #[error("{controller} and this program don't trust each other: {reason}")]
    Untrusted { controller: String, reason: String },
    #[error("{controller} did not answer within {} ms", .after.as_millis())]
    Silent { controller: String, after: Duration },
    #[error("{controller} can't serve: {reason}")]
    Unavailable { controller: String, reason: String },
}

/// What came of a call instead of an answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The service answered, and this is the answer.
    #[error("{}", .0.message())]
    Refused(Status),
    #[error("no controller answered within {} ms; the last failure: {last}", .waited.as_millis())]
    Unanswered { waited: Duration, last: Failure },
    /// It won't be better by itself, so nobody waits for it.
    #[error("no controller can be trusted or trusts us: {last}")]
    Untrusted { last: Failure },
    #[error("this program's own certificate has expired")]
    Expired,
    #[error("no controllers are known")]
    NoControllers,
    #[error("a controller's address is wrong")]
    Address(#[from] NoAddress),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The controllers of a cluster, and a channel to each, opened when it is needed.
pub struct Controllers {
    ourselves: Ourselves,
    life: Life,
    peers: ArcSwap<Vec<Arc<Peer>>>,
    leader: Mutex<Leader>,
    leader_file: Option<PathBuf>,
}

#[derive(Default)]
struct Leader {
    /// Who is believed to lead.
    name: Option<String>,
    /// Who stands in the file.
    filed: Option<String>,
}

impl fmt::Debug for Controllers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controllers")
            .field("addresses", &self.addresses())
            .field("leader", &self.leader())
            .finish_non_exhaustive()
    }
}

/// Who calls.
enum Ourselves {
    Member(Arc<Keyring>),
    /// Somebody who joins, and knows the authority by its pin.
    Joiner {
        pin: [u8; 32],
    },
}

impl Ourselves {
    fn credential(&self) -> Option<Arc<Credential>> {
        match self {
            Self::Member(keyring) => Some(keyring.credential()),
            Self::Joiner { .. } => None,
        }
    }

    fn config(&self, controller: &str) -> Result<ClientConfig, TlsError> {
        match self {
            Self::Member(keyring) => keyring.client(Some(controller)),
            Self::Joiner { pin } => joining(*pin),
        }
    }

    fn has_expired(&self) -> bool {
        self.credential().is_some_and(|own| own.not_after() <= SystemTime::now())
    }
}

struct Peer {
    address: Address,
    open: Mutex<Option<Open>>,
}

struct Open {
    /// What it was opened with: a renewed one calls for another channel.
    with: Option<Arc<Credential>>,
    channel: Channel,
}

impl Peer {
    fn channel(&self, ourselves: &Ourselves, life: Life) -> Result<Channel, CallError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let with = ourselves.credential();
        let current = |open: &&Open| match (&open.with, &with) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if let Some(open) = open.as_ref().filter(current) {
            return Ok(open.channel.clone());
        }
        let config = ourselves.config(&self.address.name)?;
        let channel = channel(&self.address.address, Arc::new(config), life)?;
        *open = Some(Open { with, channel: channel.clone() });
        Ok(channel)
    }

    /// Forgets a connection on which nothing comes any more.
    fn close(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Controllers {
    /// With a `leader_file`, the name of the last leader is kept there for the next command, which
    /// then connects to the right controller at once. It is a hint and no more.
    #[must_use]
    pub fn new(
        addresses: Vec<Address>,
        keyring: Arc<Keyring>,
        life: Life,
        leader_file: Option<PathBuf>,
    ) -> Self {
        let hint = leader_file.as_deref().and_then(|path| file::read_private(path).ok());
        let hint = hint.map(|text| text.trim().to_owned());
        let known = |name: &String| addresses.iter().any(|a| a.name == *name);
        let hint = hint.filter(known);
        let leader = Mutex::new(Leader { name: hint.clone(), filed: hint });
        let peers = ArcSwap::from_pointee(peers(addresses, &[]));
        Self { ourselves: Ourselves::Member(keyring), life, peers, leader, leader_file }
    }

    /// For one who joins with a token: any controller of the cluster that `pin` names will do,
    /// whatever its name, since the token's holder need not know them.
    #[must_use]
    pub fn joining(addresses: Vec<Address>, pin: [u8; 32]) -> Self {
        Self {
            ourselves: Ourselves::Joiner { pin },
            life: Life::Command,
            peers: ArcSwap::from_pointee(peers(addresses, &[])),
            leader: Mutex::default(),
            leader_file: None,
        }
    }

    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.peers.load().iter().map(|peer| peer.address.clone()).collect()
    }

    /// Takes over a new list. Connections to those that are in both lists stay.
    pub fn replace(&self, addresses: Vec<Address>) {
        self.peers.rcu(|old| peers(addresses.clone(), old));
    }

    /// The controller that led when last heard of.
    #[must_use]
    pub fn leader(&self) -> Option<String> {
        self.believed().name.clone()
    }

    /// Takes note of who leads, from whatever source.
    pub fn note_leader(&self, leader: Option<&str>) {
        self.believed().name = leader.map(str::to_owned);
    }

    fn believed(&self) -> MutexGuard<'_, Leader> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `name` has served as the leader. Only such a one is worth keeping for the next command.
    fn served(&self, name: &str) {
        let mut leader = self.believed();
        leader.name = Some(name.to_owned());
        let Some(path) = &self.leader_file else { return };
        if leader.filed.as_deref() == Some(name) {
            return;
        }
        leader.filed = Some(name.to_owned());
        drop(leader);
        if let Err(error) = file::write_hint(path, name) {
            tracing::debug!(%error, "can't keep the leader's name");
        }
    }

    /// The channel to the controller of this name. Ask again for each use: after the certificate
    /// was renewed it is another one.
    pub fn channel(&self, name: &str) -> Option<Result<Channel, CallError>> {
        let peers = self.peers.load();
        let peer = peers.iter().find(|peer| peer.address.name == name)?;
        Some(peer.channel(&self.ourselves, self.life))
    }

    /// Makes the call that `attempt` makes on a channel, with whichever controller can serve it.
    pub async fn call<T, F, A>(&self, call: Call<'_>, mut attempt: F) -> Result<T, CallError>
    where
        F: FnMut(Channel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        let began = Instant::now();
        let Call { target, deadline, mut patience, mut waiting } = call;
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        loop {
            if self.ourselves.has_expired() {
                return Err(CallError::Expired);
            }
            let mut round = Round::new(self, last);
            while let Some(peer) = round.next() {
                let left = deadline.saturating_duration_since(Instant::now());
                let (limit, cut_short) = (patience.min(left), left < patience);
                let made = attempt(peer.channel(&self.ourselves, self.life)?);
                let outcome = timeout(limit, made).await;
                let failure = match judge(&peer, outcome, limit) {
                    Judged::Answered(answer) => {
                        if target == Target::Leader && answer.is_ok() {
                            self.served(&peer.address.name);
                        }
                        return answer.map_err(CallError::Refused);
                    }
                    Judged::Elsewhere { leader, failure } => {
                        self.note_leader(leader.as_deref());
                        round.prefer(leader.clone());
                        round.named = leader.or(round.named);
                        failure
                    }
                    Judged::Failed(failure) => {
                        if matches!(failure, Failure::Silent { .. }) {
                            patience = patience.saturating_mul(2);
                            peer.close();
                        }
                        self.forget(&peer.address.name);
                        failure
                    }
                };
                round.fail(failure, cut_short);
                if Instant::now() >= deadline {
                    break;
                }
            }
            let (failure, hopeless) = round.end()?;
            if hopeless {
                return Err(CallError::Untrusted { last: failure });
            }
            if let Some(waiting) = waiting.take() {
                waiting(&failure);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            tokio::time::sleep(jittered(pause).min(left)).await;
            if Instant::now() >= deadline {
                return Err(CallError::Unanswered { waited: began.elapsed(), last: failure });
            }
            last = Some(failure);
            pause = pause.mul_f64(PAUSE_GROWTH).min(LONGEST_PAUSE);
        }
    }

    fn forget(&self, name: &str) {
        let mut leader = self.believed();
        if leader.name.as_deref() == Some(name) {
            leader.name = None;
        }
    }
}

fn peers(addresses: Vec<Address>, old: &[Arc<Peer>]) -> Vec<Arc<Peer>> {
    let keep = |address| {
        let same = old.iter().find(|peer| peer.address == address);
        same.cloned().unwrap_or_else(|| Arc::new(Peer { address, open: Mutex::new(None) }))
    };
    addresses.into_iter().map(keep).collect()
}

/// A number from 0 to 1.
fn chance() -> f64 {
    f64::from(u16::from_le_bytes(random())) / f64::from(u16::MAX)
}

/// From half of `pause` to the whole, so that those who wait for the same leader come apart.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + chance() / 2.0)
}

enum Judged<T> {
    Answered(Result<T, Status>),
    Elsewhere { leader: Option<String>, failure: Failure },
    Failed(Failure),
}

/// What an attempt's outcome means for the call.
fn judge<T>(
    peer: &Peer,
    outcome: Result<Result<T, Status>, tokio::time::error::Elapsed>,
    after: Duration,
) -> Judged<T> {
    let controller = peer.address.name.clone();
    let status = match outcome {
        Ok(Ok(answer)) => return Judged::Answered(Ok(answer)),
        Ok(Err(status)) => status,
        Err(_) => return Judged::Failed(Failure::Silent { controller, after }),
    };
    match Broken::from_status(&status) {
        Some(Broken::Unreachable(reason)) => {
            return Judged::Failed(Failure::Unreachable { controller, reason });
        }
        Some(Broken::Untrusted(reason)) => {
            return Judged::Failed(Failure::Untrusted { controller, reason });
        }
        None => {}
    }
    let reason = status.message().to_owned();
    let failure = Failure::Unavailable { controller, reason };
    if let Some(leader) = status.metadata().get(LEADER_KEY) {
        let leader = leader.to_str().ok().filter(|name| !name.is_empty()).map(str::to_owned);
        return Judged::Elsewhere { leader, failure };
    }
    if status.code() == tonic::Code::Unavailable {
        return Judged::Failed(failure);
    }
    Judged::Answered(Err(status))
}

/// Each controller once: the one that led last, then the others from a random one on.
struct Round {
    left: Vec<Arc<Peer>>,
    last: Option<Failure>,
    hopeless: bool,
    /// Who did not trust us, or whom we did not.
    untrusted: Vec<String>,
    /// Who leads, as others say.
    named: Option<String>,
}

impl Round {
    /// `last` is the failure that the round before ended with.
    fn new(controllers: &Controllers, last: Option<Failure>) -> Self {
        let mut left = Vec::clone(&controllers.peers.load());
        if !left.is_empty() {
            let first = usize::from(u16::from_le_bytes(random())) % left.len();
            left.rotate_left(first);
        }
        let mut round = Self { left, last, hopeless: true, untrusted: vec![], named: None };
        round.prefer(controllers.leader());
        round
    }

    /// The next to ask stands last.
    fn next(&mut self) -> Option<Arc<Peer>> {
        self.left.pop()
    }

    /// Asks `leader` next, unless it was asked in this round.
    fn prefer(&mut self, leader: Option<String>) {
        let Some(leader) = leader else { return };
        if let Some(at) = self.left.iter().position(|peer| peer.address.name == leader) {
            let peer = self.left.remove(at);
            self.left.push(peer);
        }
    }

    /// A controller that was `cut_short` by the deadline may not have been silent at all: whatever
    /// failed before says more.
    fn fail(&mut self, failure: Failure, cut_short: bool) {
        match &failure {
            Failure::Untrusted { controller, .. } => self.untrusted.push(controller.clone()),
            Failure::Unreachable { .. } | Failure::Silent { .. } | Failure::Unavailable { .. } => {
                self.hopeless = false;
            }
        }
        let silent = matches!(failure, Failure::Silent { .. });
        if self.last.is_none() || !(silent && cut_short) {
            self.last = Some(failure);
        }
    }

    /// The last failure, and whether it is for want of trust: of all controllers, or of the one
    /// that leads. The others' connections may be of a time when everybody trusted us.
    fn end(self) -> Result<(Failure, bool), CallError> {
        let leader = self.named.is_some_and(|leader| self.untrusted.contains(&leader));
        let hopeless = leader || self.hopeless && self.left.is_empty();
        self.last.map(|last| (last, hopeless)).ok_or(CallError::NoControllers)
    }
}

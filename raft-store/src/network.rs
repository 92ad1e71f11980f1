//! The calling side: this controller's messages to the others.
//!
//! Each peer has three connections: one for entries, one for what must not wait behind them
//! (heartbeats, votes, reads), and one for snapshots. Each is TLS with both certificates verified,
//! and goes to the controller of that name or to nobody.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt as _};
use openraft::{
    OptionalSend, RaftNetworkFactory,
    base::{BoxFuture, BoxStream},
    errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::{RPCOption, RaftNetworkV2, stream_append_sequential},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError,
        StreamAppendResult, TransferLeaderRequest, TransferLeaderResponse, VoteRequest,
        VoteResponse,
    },
};
use proto::raft::{self as pb, raft_client::RaftClient};
use tokio::time::timeout;
use tonic::{Code, Status, transport::Channel};
use trust::{
    connect::{Life, channel},
    tls::Keyring,
};

use crate::{
    History, Identity, transfer,
    types::{Peer, Snapshot, TypeConfig, Vote},
    wire,
};

/// The largest message either side takes. It must hold the largest request of a user behind a batch
/// that is all but full (see `ctl`), or followers could never take it.
pub(crate) const MESSAGE_LIMIT: usize = 128 << 20;

/// How long a peer may take to accept a stream of entries.
const OPENING: Duration = Duration::from_secs(1);

/// How long the leader may take to say how far a reader must wait.
const READ_LIMIT: Duration = Duration::from_secs(2);

/// How long a peer may take to say whether this controller is a member: it asks its leader.
const MUSTER_LIMIT: Duration = Duration::from_secs(5);

type Client = RaftClient<Channel>;
type Failure = RPCError<TypeConfig>;

/// How the other controllers are reached. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Network {
    own: Arc<Identity>,
    keyring: Arc<Keyring>,
    history: History,
    lines: Arc<Mutex<BTreeMap<u64, Line>>>,
}

/// The connections to one peer.
#[derive(Clone)]
struct Line {
    peer: Peer,
    entries: Client,
    control: Client,
    snapshots: Client,
    confirmed: Arc<Mutex<Confirmed>>,
}

/// What a peer said that it has of our entries on its disk, in our current term.
#[derive(Default)]
struct Confirmed {
    term: u64,
    upto: Option<u64>,
    /// It took something back, and that was told.
    broken: bool,
}

impl Network {
    pub(crate) fn new(own: Arc<Identity>, keyring: Arc<Keyring>, history: History) -> Self {
        Self { own, keyring, history, lines: Arc::default() }
    }

    fn line(&self, raft_id: u64, peer: &Peer) -> Result<Line, String> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(&raft_id)
            && line.peer == *peer
        {
            return Ok(line.clone());
        }
        let config = self.keyring.client(Some(&peer.name)).map_err(|error| error.to_string())?;
        let config = Arc::new(config);
        let connect = || {
            let channel = channel(&peer.address, Arc::clone(&config), Life::Daemon)
                .map_err(|error| error.to_string())?;
            let client = RaftClient::new(channel)
                .max_decoding_message_size(MESSAGE_LIMIT)
                .max_encoding_message_size(MESSAGE_LIMIT);
            Ok::<_, String>(client)
        };
        let line = Line {
            peer: peer.clone(),
            entries: connect()?,
            control: connect()?,
            snapshots: connect()?,
            confirmed: Arc::default(),
        };
        lines.insert(raft_id, line.clone());
        Ok(line)
    }

    fn connection(&self, raft_id: u64, peer: &Peer) -> Connection {
        let route = pb::Route {
            cluster: self.own.cluster.0.to_vec().into(),
            from: self.own.raft_id,
            to: raft_id,
        };
        let line = self.line(raft_id, peer).map_err(|error| {
            tracing::warn!(peer = peer.name, address = peer.address, "can't be called: {error}");
            error
        });
        Connection { route, line, heartbeats: false, history: self.history.clone() }
    }

    /// Says that this controller is there, which makes the connection if there is none.
    /// Whether the peer takes it for a stranger.
    pub(crate) async fn greet(&self, raft_id: u64, peer: &Peer) -> Result<bool, Status> {
        let Connection { route, line, .. } = self.connection(raft_id, peer);
        let mut line = line.map_err(Status::unavailable)?;
        let request = pb::GreetRequest { route: Some(route) };
        let reply = timeout(READ_LIMIT, line.control.greet(request)).await;
        let reply = reply.map_err(|_| Status::deadline_exceeded("no answer in time"))??;
        Ok(reply.into_inner().stranger)
    }

    /// Asks a peer whether this controller is a member still. None: it can't tell.
    pub(crate) async fn muster(&self, raft_id: u64, peer: &Peer) -> Result<Option<bool>, Status> {
        let Connection { route, line, .. } = self.connection(raft_id, peer);
        let mut line = line.map_err(Status::unavailable)?;
        let request = pb::MusterRequest { cluster: route.cluster, raft_id: route.from };
        let reply = timeout(MUSTER_LIMIT, line.control.muster(request)).await;
        let reply = reply.map_err(|_| Status::deadline_exceeded("no answer in time"))??;
        Ok(reply.into_inner().member)
    }

    /// Asks the leader how far a reader must have applied.
    pub(crate) async fn read_index(&self, raft_id: u64, peer: &Peer) -> Result<u64, Status> {
        let Connection { route, line, .. } = self.connection(raft_id, peer);
        let mut line = line.map_err(Status::unavailable)?;
        let request = pb::ReadIndexRequest { route: Some(route) };
        let reply = timeout(READ_LIMIT, line.control.read_index(request)).await;
        let reply = reply.map_err(|_| Status::deadline_exceeded("no answer in time"))??;
        Ok(reply.into_inner().index)
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, peer: &Peer) -> Connection {
        self.connection(target, peer)
    }

    async fn new_heartbeat_client(&mut self, target: u64, peer: &Peer) -> Connection {
        Connection { heartbeats: true, ..self.connection(target, peer) }
    }
}

/// One peer, for one purpose.
pub(crate) struct Connection {
    route: pb::Route,
    line: Result<Line, String>,
    /// It carries heartbeats, which must not wait behind entries.
    heartbeats: bool,
    /// What a snapshot takes along.
    history: History,
}

impl Connection {
    fn line(&mut self) -> Result<&mut Line, Failure> {
        self.line.as_mut().map_err(|error| unreachable(&*error))
    }
}

fn unreachable(error: impl ToString) -> Failure {
    RPCError::Unreachable(Unreachable::from_string(error))
}

/// A peer that can't be reached is tried again after a pause; one that answered wrongly, at once.
fn failure(status: &Status) -> Failure {
    let broken = trust::connect::Broken::from_status(status);
    let code = status.code();
    let away = matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled);
    match broken {
        Some(broken) => unreachable(broken),
        None if away => unreachable(status.message()),
        None => {
            tracing::debug!(?code, "a controller refused: {}", status.message());
            // It is not who we think, or does not take us for who we are: asking again at once
            // would not help.
            let stranger = matches!(
                code,
                Code::FailedPrecondition | Code::PermissionDenied | Code::Unauthenticated
            );
            if stranger {
                unreachable(status.message())
            } else {
                RPCError::Network(NetworkError::from_string(status.message()))
            }
        }
    }
}

/// Waits for the answer to a short call, and no longer than openraft would.
async fn short<T>(
    option: &RPCOption,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Failure> {
    match timeout(option.hard_ttl(), call).await {
        Ok(Ok(reply)) => Ok(reply.into_inner()),
        Ok(Err(status)) => Err(failure(&status)),
        Err(_) => Err(unreachable("no answer in time")),
    }
}

impl Line {
    /// Whether the answer can be believed. A peer whose log is shorter than what it once confirmed
    /// in this term has lost what others rely on: nothing it says counts until it is replaced.
    fn vouch(&self, term: u64, appended: &StreamAppendResult<TypeConfig>) -> Result<(), Failure> {
        let mut confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        if confirmed.term != term {
            *confirmed = Confirmed { term, ..Confirmed::default() };
        }
        match appended {
            Ok(Some(id)) => confirmed.upto = confirmed.upto.max(Some(id.index)),
            Err(StreamAppendError::Conflict(id)) if Some(id.index) <= confirmed.upto => {
                if !confirmed.broken {
                    let name = &self.peer.name;
                    tracing::error!(
                        "controller {name} has lost entries of its log that it had confirmed. \
                         Remove it from the cluster (rafter controller remove {name}), and let it \
                         join anew, empty"
                    );
                }
                confirmed.broken = true;
            }
            Ok(None) | Err(StreamAppendError::Conflict(_) | StreamAppendError::HigherVote(_)) => {}
        }
        if confirmed.broken { Err(unreachable("its log went back")) } else { Ok(()) }
    }
}

impl RaftNetworkV2<TypeConfig> for Connection {
    type SnapshotData = crate::snapshot::SnapshotFile;

    /// One by itself: a heartbeat. Entries go by [`Self::stream_append`].
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, Failure> {
        let term = request.vote.leader_id.term;
        let request = wire::from_append(self.route.clone(), request);
        let line = self.line()?;
        let reply = short(&option, line.control.heartbeat(request)).await?;
        let appended = wire::to_appended(reply).map_err(|status| failure(&status))?;
        line.vouch(term, &appended)?;
        Ok(appended.into())
    }

    fn stream_append<'s, S>(
        &'s mut self,
        requests: S,
        option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<TypeConfig>, Failure>>, Failure>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        if self.heartbeats {
            return stream_append_sequential(self, requests, option);
        }
        Box::pin(async move {
            let route = self.route.clone();
            let line = self.line()?;
            let mut requests = requests;
            // The first request tells the term; there is always one.
            let Some(first) = requests.next().await else {
                return Ok(Box::pin(futures::stream::empty()) as BoxStream<'s, _>);
            };
            let term = first.vote.leader_id.term;
            let requests = futures::stream::iter([first]).chain(requests);
            let requests = requests.map(move |request| wire::from_append(route.clone(), request));
            let opened = timeout(OPENING, line.entries.append(requests)).await;
            let replies = opened
                .map_err(|_| unreachable("no answer in time"))?
                .map_err(|status| failure(&status))?
                .into_inner();
            let replies = replies.map(move |reply| {
                let appended = reply.and_then(wire::to_appended);
                let appended = appended.map_err(|status| failure(&status))?;
                line.vouch(term, &appended)?;
                Ok(appended)
            });
            Ok(Box::pin(replies) as BoxStream<'s, _>)
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Failure> {
        let request = wire::from_vote_request(self.route.clone(), &request);
        let reply = short(&option, self.line()?.control.vote(request)).await?;
        wire::to_vote_reply(reply).map_err(|status| failure(&status))
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Failure> {
        let request = wire::from_vote_request(self.route.clone(), &request);
        let reply = short(&option, self.line()?.control.pre_vote(request)).await?;
        wire::to_vote_reply(reply).map_err(|status| failure(&status))
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, Failure> {
        let message = wire::from_transfer(self.route.clone(), &request);
        let reply = short(&option, self.line()?.control.transfer_leader(message)).await?;
        wire::to_transferred(reply, &request).map_err(|status| failure(&status))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let (route, history) = (self.route.clone(), self.history.clone());
        let line = match &mut self.line {
            Ok(line) => line,
            Err(error) => return Err(Unreachable::from_string(&*error).into()),
        };
        tokio::select! {
            closed = cancel => Err(closed.into()),
            sent = transfer::send(line.snapshots.clone(), route, vote, snapshot, history) => {
                let vote = sent.map_err(|status| {
                    tracing::warn!(peer = line.peer.name, "a snapshot was not sent: {status}");
                    StreamingError::Unreachable(Unreachable::from_string(status))
                })?;
                Ok(SnapshotResponse { vote })
            }
        }
    }
}

//! A controller as a whole: its services, its tasks, and how it ends.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use common::{
    id::{ControllerName, UserId},
    machine::State,
};
use proto::{
    ctl::controller_server::ControllerServer,
    node::{
        RenewRequest, join_server::JoinServer, node_client::NodeClient, node_server::NodeServer,
    },
};
use raft_store::{Applied, Identity, Log};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot, watch},
    task::JoinHandle,
    time::sleep,
};
use trust::{
    authority::{Authority, Validity},
    connect::Life,
    controllers::{Address, Call, Controllers, Target},
    credential::KeyRequest,
    gate::Speakers,
    identity::{Identity as Member, Subject},
    serve::{Limits, incoming, server},
    tls::{ClientCertificate, Keyring, TlsError},
};

use crate::{
    authorities::{self, Authorities, present},
    clock, leader,
    measures::Measures,
    nodes::Nodes,
    proposer::Proposer,
    reasons::Reasons,
    rpc::{self, MAX_MESSAGE, Service},
    shared::{ReadConfig, Shared},
};

/// The scheduler's cycle has not come round for so long: somebody should look.
const STUCK: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_secs(5);

/// How long open requests may take when the controller stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long until the others are told again where this controller is.
const AGAIN: Duration = Duration::from_secs(5);

/// What a controller is made of.
pub struct Parts {
    pub identity: Identity,
    /// Who forms the cluster, on its first controller.
    pub operator: Option<UserId>,
    pub authorities: Authorities,
    pub keyring: Arc<Keyring>,
    pub log: Log,
    pub listener: TcpListener,
    pub read_config: ReadConfig,
}

/// A running controller.
pub struct Controller {
    shared: Arc<Shared>,
    scheduler: Arc<leader::Scheduler>,
    /// Closed when the scheduler's thread ends.
    death: oneshot::Receiver<()>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Controller {
    /// Starts all of it.
    ///
    /// # Errors
    /// Where TLS can't be set up.
    pub fn start(parts: Parts) -> Result<Self, TlsError> {
        let Parts { identity, operator, authorities, keyring, log, listener, read_config } = parts;
        let measures = Measures::new();
        let config = keyring.server(ClientCertificate::Optional)?;
        let shared = Arc::new(Shared {
            identity,
            operator,
            proposer: Proposer::start(log.clone(), measures.clone()),
            log,
            authorities,
            keyring,
            nodes: Nodes::default(),
            reasons: Reasons::default(),
            planning: Arc::new(Semaphore::new(rpc::AT_ONCE)),
            read_config,
            started: clock::now(),
            measures,
        });
        let (scheduler, death) = leader::Scheduler::start(Arc::clone(&shared));
        let (stop, stopped) = watch::channel(false);
        let connections = incoming(listener, config, Limits::STANDARD);
        let serving = tokio::spawn(serve(Arc::clone(&shared), connections, stopped));
        let tasks = vec![
            tokio::spawn(leader::lead(Arc::clone(&shared))),
            tokio::spawn(watch_scheduler(Arc::clone(&shared), Arc::clone(&scheduler))),
            tokio::spawn(renew(Arc::clone(&shared))),
            tokio::spawn(authorities::keep(Arc::clone(&shared))),
            tokio::spawn(announce(Arc::clone(&shared))),
        ];
        Ok(Self { shared, scheduler, death, stop, serving, tasks })
    }

    /// Waits until a part that all depends on has come to an end by itself, and says why. The
    /// process is to end then, too.
    pub async fn ended(&mut self) -> String {
        let log = self.shared.log.clone();
        tokio::select! {
            stopped = log.stopped() => stopped.to_string(),
            _ = &mut self.death => "the scheduler has failed".to_owned(),
            served = &mut self.serving => match served {
                Ok(Ok(())) => "the port is closed".to_owned(),
                Ok(Err(error)) => format!("the port can't be served: {error}"),
                Err(error) => format!("the services have failed: {error}"),
            },
        }
    }

    /// Hands leadership over, and stops.
    pub async fn stop(self) {
        if let Err(error) = self.shared.log.hand_over().await {
            tracing::info!(%error, "leadership was not handed over");
        }
        self.stop.send_replace(true);
        self.scheduler.stop();
        let scheduler_ended = tokio::time::timeout(LAST_WORDS, self.death);
        // With the leader's tasks, the streams of nodes end, and these look for another leader.
        for task in self.tasks {
            task.abort();
        }
        let serving = self.serving.abort_handle();
        if tokio::time::timeout(LAST_WORDS, self.serving).await.is_err() {
            // Followers of events have no end of their own.
            serving.abort();
        }
        // Beyond that it is at a plan that takes very long.
        let _ = scheduler_ended.await;
        self.shared.log.shutdown().await;
    }
}

async fn serve(
    shared: Arc<Shared>,
    connections: impl tokio_stream::Stream<Item = std::io::Result<trust::serve::Connection>>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let raft = shared.log.service();
    let speaks = Arc::clone(&shared);
    let speakers = Speakers::Checked(Arc::new(move |host, uid| rpc::may_speak(&speaks, host, uid)));
    let service = Service(shared);
    server(speakers)
        .add_service(raft)
        .add_service(ControllerServer::new(service.clone()).max_decoding_message_size(MAX_MESSAGE))
        .add_service(JoinServer::new(service.clone()))
        .add_service(NodeServer::new(service).max_encoding_message_size(MAX_MESSAGE))
        .serve_with_incoming_shutdown(connections, async move {
            // Where nobody can say stop any more, it is time to.
            let _ = stopped.wait_for(|stop| *stop).await;
        })
        .await
}

/// Looks whether the scheduler still comes round. While answers come and nothing starts, nobody
/// else would notice.
async fn watch_scheduler(shared: Arc<Shared>, scheduler: Arc<leader::Scheduler>) {
    loop {
        sleep(LOOK).await;
        let age = scheduler.age();
        shared.measures.scheduler_age.record(age.as_secs_f64(), &[]);
        if age > STUCK {
            let seconds = age.as_secs();
            tracing::error!(seconds, "the scheduler's cycle does not come round");
        }
    }
}

/// A controller signs its own next certificate, at half of the last one's life, or where that one
/// was made while its clock was ahead.
async fn renew(shared: Arc<Shared>) {
    loop {
        if shared.keyring.credential().is_due(SystemTime::now()) {
            match present(&shared, &shared.log.applied().state) {
                Ok(()) => tracing::info!("this controller has a fresh certificate"),
                Err(reason) => tracing::error!(reason, "can't have a fresh certificate"),
            }
        }
        sleep(shared.keyring.credential().look_again()).await;
    }
}

/// Tells the leader where this controller is reached, where the log says something else: it moved
/// while it was not running, and the others look for it in vain. A leader tells itself.
async fn announce(shared: Arc<Shared>) {
    let own = ControllerName::from(shared.identity.name.as_str());
    let mut applied = shared.log.watch();
    loop {
        let moved = |applied: &Arc<Applied>| {
            applied.state.controllers.get(&own).is_some_and(|known| {
                let Identity { raft_id, address, .. } = &shared.identity;
                known.raft_id == *raft_id && known.address != *address
            })
        };
        let state = match applied.wait_for(moved).await {
            Ok(applied) => applied.state.clone(),
            Err(_) => return,
        };
        if shared.head().is_none()
            && let Err(reason) = tell_address(&shared, &state).await
        {
            tracing::warn!(reason, "the others don't know yet where this controller is reached");
        }
        sleep(AGAIN).await;
    }
}

async fn tell_address(shared: &Shared, state: &State) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let others = state.controllers.iter().filter(|(_, c)| c.raft_id != shared.identity.raft_id);
    let address = |(name, controller): (&ControllerName, &common::machine::Controller)| Address {
        name: name.to_string(),
        address: controller.address.clone(),
    };
    let others = others.map(address).collect();
    let keyring = Arc::clone(&shared.keyring);
    let controllers = Controllers::new(others, keyring, Life::Command, None);
    let request = KeyRequest::generate().and_then(|request| request.signing_request());
    let message = RenewRequest {
        signing_request: request.map_err(|error| text(&error))?,
        address: shared.identity.address.clone(),
    };
    let told = controllers.call(Call::within(Target::Leader, AGAIN), |channel| {
        let message = message.clone();
        async move { NodeClient::new(channel).renew(message).await }
    });
    told.await.map(drop).map_err(|error| text(&error))
}

/// A certificate for the controller of this name.
///
/// # Errors
/// Where the name can't stand in a certificate.
pub fn sign_own(
    authority: &Authority,
    name: &str,
    now: SystemTime,
    lifetime: Duration,
) -> Result<trust::credential::Credential, trust::credential::IssueError> {
    let subject = Subject::Controller { name: name.to_owned() };
    let identity = Member { cluster: authority.cluster(), subject };
    authority.issue(&identity, Validity::from_now(now, lifetime), &[])
}

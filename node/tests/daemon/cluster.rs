//! Controllers that do what the test says.

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use common::{config::Config, id::ContentHash};
use futures::Stream;
use proto::node::{
    self as wire, join_server, leader_message::Kind as Down, node_message::Kind as Up, node_server,
};
use tokio::{net::TcpListener, runtime::Runtime, sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use trust::{
    authority::{Authority, Validity},
    controllers::{Address, not_leader},
    gate::{Speakers, caller},
    identity::{Identity, Subject},
    serve::{Limits, incoming, server},
    tls::{ClientCertificate, Keyring},
    token::{JoinRole, Token},
};

use crate::called::{Called, Made};

/// The longest that any wait of a test may take.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(3600);

/// A controller: what it answers, and who has attached.
pub(crate) struct Controller {
    pub(crate) address: Address,
    face: Arc<Face>,
    sessions: mpsc::Receiver<Session>,
}

/// A stream of a node that has said hello.
pub(crate) struct Session {
    pub(crate) hello: wire::Hello,
    reports: Streaming<wire::NodeMessage>,
    /// Reports that came before they were asked for.
    said: VecDeque<wire::Report>,
    orders: mpsc::Sender<Result<wire::LeaderMessage, Status>>,
    pub(crate) term: u64,
    beats: tokio::task::AbortHandle,
}

impl Session {
    /// Says nothing any more, and does not hang up either.
    pub(crate) fn hush(&self) {
        self.beats.abort();
    }
}

/// What a controller does at the moment.
pub(crate) struct Conduct {
    /// None: another one leads, or nobody does.
    pub(crate) term: Option<u64>,
    pub(crate) blobs: HashMap<ContentHash, Bytes>,
    /// Why it does not let the node vouch.
    pub(crate) vouching: Result<(), &'static str>,
    /// What every call for a user is answered, and those that have come.
    pub(crate) reply: Result<Bytes, Status>,
    pub(crate) calls: Vec<Made>,
    pub(crate) config: Config,
    pub(crate) addresses: Vec<Address>,
}

pub(crate) struct Face {
    authority: Arc<Authority>,
    pub(crate) conduct: Mutex<Conduct>,
    sessions: mpsc::Sender<Session>,
}

/// A cluster of made-up controllers. They stop when it is dropped.
pub(crate) struct Cluster {
    pub(crate) authority: Arc<Authority>,
    pub(crate) controllers: Vec<Controller>,
    runtime: Runtime,
}

impl Cluster {
    /// So many controllers, of which the first one leads in term 5.
    pub(crate) fn new(count: usize) -> Self {
        let authority = Arc::new(Authority::generate(SystemTime::now()).expect("an authority"));
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let mut controllers: Vec<Controller> =
            (1..=count).map(|at| serve(&runtime, &authority, &format!("ctl{at}"))).collect();
        let addresses: Vec<_> = controllers.iter().map(|it| it.address.clone()).collect();
        for controller in &mut controllers {
            controller.conduct().addresses = addresses.clone();
        }
        controllers[0].conduct().term = Some(5);
        Self { authority, controllers, runtime }
    }

    pub(crate) fn token(&self) -> Token {
        let expires = SystemTime::now() + HOUR;
        Token::issue(JoinRole::Node, "n1", expires, self.authority.anchor()).expect("a token")
    }

    /// The next node that attaches to a controller. Its first heartbeat shows that it was welcomed,
    /// and by this one: it asks all of them at once.
    pub(crate) fn attached(&mut self, controller: usize) -> Session {
        loop {
            let next = self.controllers[controller].sessions.recv();
            let session = self.runtime.block_on(async { timeout(BOUND, next).await });
            let session = session.expect("a node attaches in time");
            let mut session = session.expect("the controller serves");
            loop {
                match self.heard(&mut session) {
                    Some(Up::Heartbeat(_)) => return session,
                    Some(Up::Report(report)) => session.said.push_back(report),
                    Some(Up::Hello(_)) => panic!("a second hello"),
                    None => break,
                }
            }
        }
    }

    /// Forgets whoever said hello to the controller before.
    pub(crate) fn forget(&mut self, controller: usize) {
        while self.controllers[controller].sessions.try_recv().is_ok() {}
    }

    /// A node says hello to the controller, and hangs up on its welcome.
    pub(crate) fn shunned(&mut self, controller: usize) {
        let next = self.controllers[controller].sessions.recv();
        let session = self.runtime.block_on(async { timeout(BOUND, next).await });
        let mut session = session.expect("a node says hello in time").expect("a session");
        assert_eq!(self.heard(&mut session), None, "the node stays");
    }

    fn heard(&self, session: &mut Session) -> Option<Up> {
        let next = session.reports.message();
        let message = self.runtime.block_on(async { timeout(BOUND, next).await });
        let message = message.expect("the node says something in time");
        message.ok().flatten().map(|message| message.kind.expect("a kind"))
    }

    /// What the node says next, beside heartbeats; none where it has hung up.
    pub(crate) fn said(&self, session: &mut Session) -> Option<wire::Report> {
        if let Some(report) = session.said.pop_front() {
            return Some(report);
        }
        loop {
            match self.heard(session)? {
                Up::Report(report) => return Some(report),
                Up::Heartbeat(_) => {}
                Up::Hello(_) => panic!("a second hello"),
            }
        }
    }

    pub(crate) fn tell(&self, session: &Session, kind: Down) {
        let message = wire::LeaderMessage { term: session.term, kind: Some(kind) };
        let sent = self.runtime.block_on(session.orders.send(Ok(message)));
        sent.expect("the node listens");
    }
}

fn serve(runtime: &Runtime, authority: &Arc<Authority>, name: &str) -> Controller {
    let subject = Subject::Controller { name: name.to_owned() };
    let identity = Identity { cluster: authority.cluster(), subject };
    let validity = Validity::from_now(SystemTime::now(), HOUR);
    let credential = authority.issue(&identity, validity, &[]).expect("a credential");
    let keyring = Keyring::new(credential).expect("a keyring");
    let config = keyring.server(ClientCertificate::Optional).expect("a configuration");
    let (sender, sessions) = mpsc::channel(16);
    let face = Arc::new(Face {
        authority: Arc::clone(authority),
        conduct: Mutex::new(Conduct {
            term: None,
            blobs: HashMap::new(),
            vouching: Ok(()),
            reply: Ok(Bytes::new()),
            calls: vec![],
            config: Config::defaults("test"),
            addresses: vec![],
        }),
        sessions: sender,
    });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("an address").to_string();
    let service = Service(Arc::clone(&face));
    let called = Called::new(Arc::clone(&face));
    let asks = Arc::clone(&face);
    let speakers = Speakers::Checked(Arc::new(move |node, _| {
        assert_eq!(node, "n1");
        let conduct = asks.conduct.lock().expect("not poisoned");
        conduct.term.ok_or_else(|| not_leader(None))?;
        conduct.vouching.map_err(Status::permission_denied)
    }));
    runtime.spawn(async move {
        let listener = TcpListener::from_std(listener).expect("a listener");
        let connections = incoming(listener, config, Limits::STANDARD);
        let node = node_server::NodeServer::new(service.clone());
        let join = join_server::JoinServer::new(service);
        server(speakers)
            .add_service(called)
            .add_service(node)
            .add_service(join)
            .serve_with_incoming(connections)
            .await
            .expect("served");
    });
    let address = Address { name: name.to_owned(), address };
    Controller { address, face, sessions }
}

impl Controller {
    pub(crate) fn conduct(&self) -> MutexGuard<'_, Conduct> {
        self.face.conduct.lock().expect("not poisoned")
    }
}

#[derive(Clone)]
struct Service(Arc<Face>);

impl Service {
    fn conduct(&self) -> MutexGuard<'_, Conduct> {
        self.0.conduct.lock().expect("not poisoned")
    }

    fn term(&self) -> Result<u64, Status> {
        self.conduct().term.ok_or_else(|| not_leader(None))
    }

    fn sign(&self, subject: Subject, request: &str) -> String {
        let authority = &self.0.authority;
        let identity = Identity { cluster: authority.cluster(), subject };
        let validity = Validity::from_now(SystemTime::now(), HOUR);
        authority.sign(request, &identity, validity, &[]).expect("signed")
    }

    fn addresses(&self) -> Vec<wire::ControllerAddress> {
        let addresses = self.conduct().addresses.clone();
        let address = |it: Address| wire::ControllerAddress { name: it.name, address: it.address };
        addresses.into_iter().map(address).collect()
    }
}

#[tonic::async_trait]
impl join_server::Join for Service {
    async fn join(
        &self,
        request: Request<wire::JoinRequest>,
    ) -> Result<Response<wire::JoinReply>, Status> {
        self.term()?;
        let request = request.into_inner();
        let token: Token = request.token.parse().expect("a token");
        let subject = token.role().subject(token.name());
        Ok(Response::new(wire::JoinReply {
            certificate: self.sign(subject, &request.signing_request),
            authority: self.0.authority.anchor().pem(),
            cluster_id: self.0.authority.cluster().to_string(),
            cluster: "test".to_owned(),
            name: token.name().to_owned(),
            controllers: self.addresses(),
            ..Default::default()
        }))
    }
}

#[tonic::async_trait]
impl node_server::Node for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<wire::LeaderMessage, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<wire::NodeMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        assert_eq!(caller(&request)?.node(), Some("n1"));
        let term = self.term()?;
        let mut reports = request.into_inner();
        let Some(Up::Hello(hello)) = reports.message().await?.and_then(|it| it.kind) else {
            panic!("a stream begins with hello");
        };
        let (orders, stream) = mpsc::channel(64);
        let config = Some((&self.conduct().config).into());
        let welcome = wire::Welcome { config, controllers: self.addresses() };
        let welcome = wire::LeaderMessage { term, kind: Some(Down::Welcome(welcome)) };
        orders.send(Ok(welcome)).await.expect("there is room");
        let beats = tokio::spawn(beat(orders.clone(), term)).abort_handle();
        let session = Session { hello, reports, said: VecDeque::new(), orders, term, beats };
        self.0.sessions.send(session).await.expect("the test goes on");
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn vouch(
        &self,
        request: Request<wire::VouchRequest>,
    ) -> Result<Response<wire::VouchReply>, Status> {
        self.term()?;
        self.conduct().vouching.map_err(Status::permission_denied)?;
        let wire::VouchRequest { uid, user, signing_request } = request.into_inner();
        Ok(Response::new(wire::VouchReply {
            certificate: self.sign(Subject::User { uid, name: user }, &signing_request),
            authority: self.0.authority.anchor().pem(),
            controllers: self.addresses(),
        }))
    }

    async fn renew(
        &self,
        request: Request<wire::RenewRequest>,
    ) -> Result<Response<wire::RenewReply>, Status> {
        self.term()?;
        let node = caller(&request)?.node().expect("a node").to_owned();
        let request = request.into_inner();
        let certificate = self.sign(Subject::Node { name: node }, &request.signing_request);
        Ok(Response::new(wire::RenewReply { certificate, authority: String::new() }))
    }

    async fn fetch(
        &self,
        request: Request<wire::FetchRequest>,
    ) -> Result<Response<wire::FetchReply>, Status> {
        let hash = ContentHash(request.into_inner().hash.as_ref().try_into().expect("a hash"));
        let content = self.conduct().blobs.get(&hash).cloned();
        let content = content.ok_or_else(|| Status::not_found("no such content"))?;
        Ok(Response::new(wire::FetchReply { content }))
    }
}

/// As a leader does for as long as the stream lives.
async fn beat(orders: mpsc::Sender<Result<wire::LeaderMessage, Status>>, term: u64) {
    // It must not keep the stream open.
    let orders = { orders }.downgrade();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let Some(orders) = orders.upgrade() else { return };
        let message = wire::LeaderMessage { term, kind: Some(Down::Beat(wire::Beat {})) };
        if orders.send(Ok(message)).await.is_err() {
            return;
        }
    }
}

/// Waits for a level, with a bound.
pub(crate) fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + BOUND;
    while !reached() {
        assert!(std::time::Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

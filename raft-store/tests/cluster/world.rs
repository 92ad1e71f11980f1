//! Controllers on loopback, each with a folder, a port, a certificate and a runtime of its own.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use common::machine::Entry;
use proto::convert::encode_batch;
use raft_store::{Identity, Leadership, Log, Lost, Options, StoreError};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use trust::{
    authority::{Authority, Validity},
    gate::Speakers,
    identity::{Identity as Subjected, Subject},
    serve::{Limits, incoming, server},
    tls::{ClientCertificate, Keyring},
};

use crate::story::Head;

/// The longest that any wait of a test may take.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) folder: TempDir,
    pub(crate) nodes: Vec<Node>,
    /// Where stores are made from here on, if not in the folder.
    elsewhere: Option<TempDir>,
    /// Changes the options with which logs are opened.
    pub(crate) tune: fn(&mut Options),
}

/// A controller, running or not.
pub(crate) struct Node {
    pub(crate) identity: Identity,
    pub(crate) folder: PathBuf,
    address: SocketAddr,
    running: Option<Running>,
}

struct Running {
    log: Log,
    runtime: Runtime,
}

impl Node {
    pub(crate) fn log(&self) -> Log {
        self.running.as_ref().expect("it runs").log.clone()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Ends it as a crash would: nothing is told to anybody.
    pub(crate) fn kill(&mut self) {
        let Running { log, runtime } = self.running.take().expect("it runs");
        runtime.shutdown_timeout(Duration::from_secs(5));
        drop(log);
    }

    /// Ends it in order.
    pub(crate) fn stop(&mut self) {
        let Running { log, runtime } = self.running.take().expect("it runs");
        runtime.block_on(log.shutdown());
        drop(log);
        runtime.shutdown_timeout(Duration::from_secs(5));
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    fn new_in(place: &Path) -> Self {
        let authority = Authority::generate(SystemTime::now()).expect("an authority");
        let folder = tempfile::tempdir_in(place).expect("a folder");
        Self { authority, folder, nodes: Vec::new(), elsewhere: None, tune: |_| {} }
    }

    /// A controller that was never started: its store is made.
    pub(crate) fn add(&mut self, raft_id: u64) -> usize {
        let name = format!("ctl{raft_id}");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let folder = self.elsewhere.as_ref().unwrap_or(&self.folder).path().join(&name);
        let cluster = common::id::ClusterId(self.authority.cluster().0);
        let identity = Identity { cluster, raft_id, name, address: address.to_string() };
        Log::create(&folder, &identity).expect("a store");
        self.nodes.push(Node { identity, folder, address, running: None });
        self.nodes.len() - 1
    }

    pub(crate) fn keyring(&self, name: &str) -> Arc<Keyring> {
        let subject = Subject::Controller { name: name.to_owned() };
        let identity = Subjected { cluster: self.authority.cluster(), subject };
        let validity = Validity::from_now(SystemTime::now(), Duration::from_secs(3600));
        let credential = self.authority.issue(&identity, validity, &[]).expect("a credential");
        Arc::new(Keyring::new(credential).expect("a keyring"))
    }

    pub(crate) fn options(&self, node: usize) -> Options {
        let Node { identity, folder, .. } = &self.nodes[node];
        let mut options = Options::new(folder.clone(), identity.clone());
        (self.tune)(&mut options);
        options
    }

    pub(crate) fn try_start(&mut self, node: usize) -> Result<(), StoreError> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
        let keyring = self.keyring(&self.nodes[node].identity.name);
        let config = keyring.server(ClientCertificate::Optional).expect("a configuration");
        let opened = runtime.block_on(Log::open(self.options(node), keyring));
        let log = match opened {
            Ok(log) => log,
            Err(error) => {
                runtime.shutdown_timeout(Duration::from_secs(5));
                return Err(error);
            }
        };
        let listener = TcpListener::bind(self.nodes[node].address).expect("its port");
        listener.set_nonblocking(true).expect("a socket");
        let service = log.service();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let connections = incoming(listener, config, Limits::STANDARD);
            let served = server(Speakers::Nobody).add_service(service);
            let served = served.serve_with_incoming(connections).await;
            served.expect("served");
        });
        self.nodes[node].running = Some(Running { log, runtime });
        Ok(())
    }

    pub(crate) fn start(&mut self, node: usize) {
        self.try_start(node).expect("it starts");
    }

    pub(crate) fn log(&self, node: usize) -> Log {
        self.nodes[node].log()
    }

    /// Runs `work` where `node` runs.
    pub(crate) fn run<T>(&self, node: usize, work: impl Future<Output = T>) -> T {
        let running = self.nodes[node].running.as_ref().expect("it runs");
        running
            .runtime
            .block_on(async { tokio::time::timeout(BOUND, work).await.expect("it ends in time") })
    }

    /// A cluster of one that leads, with the first entries in its log.
    pub(crate) fn formed() -> (Self, Head) {
        Self::formed_with(|_| {})
    }

    pub(crate) fn formed_with(tune: fn(&mut Options)) -> (Self, Head) {
        let mut world = Self::new();
        world.tune = tune;
        world.form()
    }

    /// As [`Self::formed`], with its stores in `place`.
    pub(crate) fn formed_in(place: &Path) -> (Self, Head) {
        Self::new_in(place).form()
    }

    fn form(self) -> (Self, Head) {
        let mut world = self;
        world.add(1);
        world.start(0);
        let log = world.log(0);
        world.run(0, log.form()).expect("formed");
        let mut head = world.lead(0);
        let entries = [head.form(), head.register()];
        world.append(0, &head, &entries).expect("appended");
        (world, head)
    }

    /// A cluster of three, the first of which leads.
    pub(crate) fn three(tune: fn(&mut Options)) -> (Self, Head) {
        let (world, head) = Self::formed_with(tune);
        world.grown(head)
    }

    /// As [`Self::three`], with the first one's store in `place`.
    pub(crate) fn three_with_first_in(place: &Path) -> (Self, Head) {
        let (mut world, head) = Self::formed_in(place);
        world.elsewhere = Some(tempfile::tempdir().expect("a folder"));
        world.grown(head)
    }

    fn grown(mut self, head: Head) -> (Self, Head) {
        let world = &mut self;
        for raft_id in [2, 3] {
            let node = world.add(raft_id);
            world.start(node);
            let Identity { raft_id, name, address, .. } = world.nodes[node].identity.clone();
            let log = world.log(0);
            world.run(0, log.admit(raft_id, &name, &address)).expect("admitted");
        }
        (self, head)
    }

    /// Waits until `node` leads, and takes its head.
    pub(crate) fn lead(&self, node: usize) -> Head {
        let leadership = self.until(node, |leadership| leadership.ready);
        Head::new(self.log(node).applied().state.clone(), leadership.term)
    }

    pub(crate) fn until(&self, node: usize, met: impl Fn(&Leadership) -> bool) -> Leadership {
        let mut leadership = self.log(node).leadership();
        self.run(node, async {
            leadership.wait_for(|known| met(known)).await.expect("the log lives").clone()
        })
    }

    /// Waits until one of the running controllers leads.
    pub(crate) fn leader(&self) -> usize {
        self.leader_but(usize::MAX)
    }

    /// As [`Self::leader`], and it is not `but`.
    pub(crate) fn leader_but(&self, but: usize) -> usize {
        let deadline = Instant::now() + BOUND;
        loop {
            let running = (0..self.nodes.len()).filter(|node| self.nodes[*node].is_running());
            let running = running.filter(|node| *node != but);
            for node in running {
                if self.log(node).leadership().borrow().ready {
                    return node;
                }
            }
            assert!(Instant::now() < deadline, "nobody leads");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Gives something that must not happen some time to happen; whether it did.
    pub(crate) fn settled(happened: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline {
            if happened() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    pub(crate) fn append(&self, node: usize, head: &Head, entries: &[Entry]) -> Result<u64, Lost> {
        let term = head.state.term.0;
        self.run(node, self.log(node).append(encode_batch(entries), term))
    }

    /// Waits until `node` has applied up to `index`.
    pub(crate) fn applied(&self, node: usize, index: u64) -> common::machine::State {
        let mut applied = self.log(node).watch();
        self.run(node, async {
            let reached = applied.wait_for(|applied| applied.index >= index).await;
            reached.expect("the log lives").state.clone()
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if node.is_running() {
                node.kill();
            }
        }
    }
}

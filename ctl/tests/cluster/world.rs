//! A cluster of one controller, and whoever calls it.

use std::{
    future::Future,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use common::{
    config::{Config, NodeConf, PartitionConf},
    id::{ClusterId, UserId},
};
use ctl::{
    authorities::Authorities,
    daemon::{Controller, Parts, sign_own},
};
use proto::{ctl::controller_client::ControllerClient, node::node_client::NodeClient, types};
use raft_store::{Identity, Log, Options};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};
use tonic::{Status, transport::Channel};
use trust::{
    authority::{Authority, Validity},
    connect::{Life, channel},
    identity::{Identity as Member, Subject, random},
    tls::{Keyring, joining},
};

/// The longest that any wait of a test may take.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

pub(crate) const OPERATOR: u32 = 500;
pub(crate) const ALICE: u32 = 1001;
pub(crate) const BOB: u32 = 1002;

pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) address: String,
    pub(crate) log: Log,
    /// What the configuration file says; an error is what is wrong with it.
    pub(crate) file: File,
    controller: Controller,
    scratch: tempfile::TempDir,
}

/// Nodes `n1` and `n2` with 4 CPUs each in partition `cpu`; `login` is a login host.
pub(crate) fn config() -> Config {
    let node = |name: &str| NodeConf { cpus: 4, ..NodeConf::defaults(name) };
    let partition = PartitionConf {
        nodes: vec!["n1".to_owned(), "n2".to_owned()],
        nodes_text: "n[1-2]".to_owned(),
        default: true,
        ..PartitionConf::defaults("cpu")
    };
    Config {
        select_memory: false,
        login_hosts: vec!["login".to_owned()],
        nodes: vec![node("n1"), node("n2")],
        partitions: vec![partition],
        ..Config::defaults("test")
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let scratch = tempfile::tempdir().expect("a folder");
        let authority = Authority::generate(SystemTime::now()).expect("an authority");
        let file = Arc::new(Mutex::new(Ok(config)));
        let folder = scratch.path().join("store");
        let started = Started::new(&authority, "ctl1", 1, &folder, &file, None).await;
        let Started { address, log, controller } = started;
        let world = Self { authority, address, log, file, controller, scratch };
        world.until(|| world.log.applied().state.controllers.len() == 1).await;
        world
    }

    pub(crate) async fn stop(self) {
        self.controller.stop().await;
    }

    /// One more controller, which has joined under this name and number.
    pub(crate) async fn another(&self, name: &str, raft_id: u64, listener: TcpListener) -> Started {
        let folder = self.scratch.path().join(name);
        let listener = Some(listener);
        Started::new(&self.authority, name, raft_id, &folder, &self.file, listener).await
    }

    /// Waits for a level, with a bound.
    pub(crate) async fn until(&self, level: impl Fn() -> bool) {
        let deadline = Instant::now() + BOUND;
        let mut applied = self.log.watch();
        while !level() {
            assert!(Instant::now() < deadline, "it takes too long");
            tokio::select! {
                changed = applied.changed() => changed.expect("the log goes on"),
                // What is waited for may be no part of the state.
                () = sleep(Duration::from_millis(10)) => {}
            }
        }
    }

    pub(crate) fn keyring(&self, subject: Subject) -> Keyring {
        let identity = Member { cluster: self.authority.cluster(), subject };
        let validity = Validity::from_now(SystemTime::now(), Duration::from_secs(3600));
        let credential = self.authority.issue(&identity, validity, &[]).expect("a credential");
        Keyring::new(credential).expect("a keyring")
    }

    pub(crate) fn channel(&self, subject: Option<Subject>) -> Channel {
        self.channel_to(&self.address, "ctl1", subject)
    }

    pub(crate) fn channel_to(
        &self,
        address: &str,
        name: &str,
        subject: Option<Subject>,
    ) -> Channel {
        let config = match subject {
            Some(subject) => self.keyring(subject).client(Some(name)),
            None => joining(self.authority.anchor().pin()),
        };
        let config = Arc::new(config.expect("a configuration"));
        channel(address, config, Life::Command).expect("an address")
    }

    pub(crate) fn user(&self, uid: u32) -> ControllerClient<Channel> {
        let subject = Subject::User { uid, name: format!("user{uid}") };
        ControllerClient::new(self.channel(Some(subject)))
    }

    pub(crate) fn node(&self, name: &str) -> NodeClient<Channel> {
        NodeClient::new(self.channel(Some(Subject::Node { name: name.to_owned() })))
    }
}

/// A controller with its log.
pub(crate) struct Started {
    pub(crate) address: String,
    pub(crate) log: Log,
    pub(crate) controller: Controller,
}

type File = Arc<Mutex<Result<Config, String>>>;

impl Started {
    async fn new(
        authority: &Authority,
        name: &str,
        raft_id: u64,
        folder: &Path,
        file: &File,
        listener: Option<TcpListener>,
    ) -> Self {
        let listener = match listener {
            Some(listener) => listener,
            None => TcpListener::bind("127.0.0.1:0").await.expect("a port"),
        };
        let address = listener.local_addr().expect("an address").to_string();
        let identity = Identity {
            cluster: ClusterId(authority.cluster().0),
            raft_id,
            name: name.to_owned(),
            address: address.clone(),
        };
        let own = sign_own(authority, name, SystemTime::now(), Duration::from_secs(3_600))
            .expect("a certificate");
        let keyring = Arc::new(Keyring::new(own).expect("a keyring"));
        Log::create(folder, &identity).expect("a store");
        let options = Options::new(folder.to_owned(), identity.clone());
        let log = Log::open(options, Arc::clone(&keyring)).await.expect("a log");
        let first = raft_id == 1;
        if first {
            log.form().await.expect("formed");
        }
        let read = Arc::clone(file);
        let controller = Controller::start(Parts {
            identity,
            operator: first.then_some(UserId(OPERATOR)),
            authorities: Authorities::alone(again(authority)),
            keyring,
            log: log.clone(),
            listener,
            read_config: Arc::new(move || read.lock().expect("not poisoned").clone()),
        });
        Self { address, log, controller: controller.expect("started") }
    }
}

/// The same authority once more.
fn again(authority: &Authority) -> Authority {
    Authority::from_pem(&authority.anchor().pem(), &authority.key_pem()).expect("the same")
}

/// A fresh request id.
pub(crate) fn id() -> prost::bytes::Bytes {
    random::<16>().to_vec().into()
}

pub(crate) fn spec() -> types::JobSpec {
    types::JobSpec {
        name: "job".to_owned(),
        // The controller must take no user from here.
        user: 0,
        user_name: "root".to_owned(),
        group: 100,
        group_name: "users".to_owned(),
        layout: Some(types::Layout { min_nodes: 1, tasks: 1, ..types::Layout::default() }),
        work_dir: "/tmp".to_owned(),
        submit_line: "sbatch job.sh".to_owned(),
        umask: 0o022,
        ..types::JobSpec::default()
    }
}

pub(crate) fn submission() -> proto::ctl::SubmitRequest {
    proto::ctl::SubmitRequest {
        request: id(),
        spec: Some(spec()),
        script: "#!/bin/sh\ntrue\n".into(),
        environment: "PATH=/bin\0".into(),
        components: vec![],
    }
}

/// A job of this user.
pub(crate) async fn submit(world: &World, uid: u32) -> u32 {
    let reply = world.user(uid).submit(submission()).await.expect("accepted");
    reply.into_inner().job
}

/// What a call was refused with.
pub(crate) async fn refusal<T>(call: impl Future<Output = Result<T, Status>>) -> Refused {
    let status = call.await.err().expect("a refusal");
    let errno = status.metadata().get("slurm-errno");
    let errno = errno.map(|value| value.to_str().expect("digits").parse().expect("a number"));
    Refused { code: status.code(), text: status.message().to_owned(), errno }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: tonic::Code,
    pub(crate) text: String,
    pub(crate) errno: Option<u32>,
}

/// A refusal in Slurm's words, with its number.
pub(crate) fn slurm(text: &str, errno: u32) -> Refused {
    let code = tonic::Code::FailedPrecondition;
    Refused { code, text: text.to_owned(), errno: Some(errno) }
}

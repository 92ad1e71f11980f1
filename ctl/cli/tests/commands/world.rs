//! A host that belongs to a cluster of fake controllers, and commands that run on it.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use proto::ctl::controller_server::ControllerServer;
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, UnixListener},
    runtime::Runtime,
};
use trust::{
    authority::{Authority, Validity},
    controllers::Address,
    gate::Speakers,
    identity::{ClusterId, Identity, Subject},
    serve::{Limits, incoming, server},
    site::Site,
    tls::{ClientCertificate, Keyring},
};

use crate::{
    door::Daemon,
    fake::{Fake, Service},
};

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) cluster: ClusterId,
    pub(crate) controllers: Vec<Arc<Fake>>,
    runtime: Option<Runtime>,
    /// What is not a controller, and goes on without them.
    host: Runtime,
}

/// What a command said, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn said(exit: i32, out: &str, err: &str) -> Said {
    Said { exit, out: out.to_owned(), err: err.to_owned() }
}

impl World {
    /// A cluster `ref` of so many controllers: `ctl1` and so on.
    pub(crate) fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::generate(SystemTime::now()).expect("an authority");
        authority.save(&folder.path().join("authority")).expect("saved");
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let host = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let (mut controllers, mut addresses) = (Vec::new(), Vec::new());
        for number in 1..=count {
            let (name, fake) = (format!("ctl{number}"), Arc::new(Fake::default()));
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
            let address = listener.local_addr().expect("an address").to_string();
            serve(&runtime, listener, &authority, &name, &fake);
            addresses.push(Address { name, address });
            controllers.push(fake);
        }
        let cluster = authority.cluster();
        let world = Self { folder, cluster, controllers, runtime: Some(runtime), host };
        fs::create_dir(world.path("run")).expect("made");
        world.site(addresses).write(world.folder.path()).expect("written");
        fs::write(world.path("ok.sh"), "#!/bin/sh\n#SBATCH -J okjob\ntrue\n").expect("written");
        world
    }

    fn site(&self, controllers: Vec<Address>) -> Site {
        Site {
            cluster: "ref".to_owned(),
            id: self.cluster,
            controllers,
            socket: None,
            authority: Some(self.path("authority")),
            message_timeout: Duration::from_secs(2),
        }
    }

    /// Lets the host have a daemon, at whose door commands knock.
    pub(crate) fn daemon(&self) -> Arc<Daemon> {
        let (daemon, path) = (Arc::new(Daemon::default()), self.path("socket"));
        let listener = self.host.block_on(async { UnixListener::bind(&path) }).expect("bound");
        self.host.spawn(Arc::clone(&daemon).serve(listener));
        let site = Site::read(self.folder.path()).expect("a site");
        let site = Site { socket: Some(path), ..site };
        site.write(self.folder.path()).expect("written");
        daemon
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// All controllers die.
    pub(crate) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }

    /// A command line, as it would be typed in the world's folder.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rafter"));
        command
            .args(line.split(' '))
            .current_dir(self.folder.path())
            .env_clear()
            .env("RAFTER_DIR", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Said {
        let output = self.command(line).output().expect("the command runs");
        let Output { status, stdout, stderr } = output;
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Said { exit: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }
}

fn serve(
    runtime: &Runtime,
    listener: TcpListener,
    authority: &Authority,
    name: &str,
    fake: &Arc<Fake>,
) {
    let subject = Subject::Controller { name: name.to_owned() };
    let identity = Identity { cluster: authority.cluster(), subject };
    let validity = Validity::from_now(SystemTime::now(), Duration::from_secs(3600));
    let credential = authority.issue(&identity, validity, &[]).expect("a credential");
    let keyring = Keyring::new(credential).expect("a keyring");
    let config = keyring.server(ClientCertificate::Required).expect("a configuration");
    let service = ControllerServer::new(Service(Arc::clone(fake)));
    runtime.spawn(async move {
        let connections = incoming(listener, config, Limits::STANDARD);
        let served = server(Speakers::Nobody).add_service(service);
        let served = served.serve_with_incoming(connections).await;
        served.expect("served");
    });
}

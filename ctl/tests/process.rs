//! The daemon as a process: how a cluster is made, started, stopped, and refused.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use proto::ctl::{StatusReply, StatusRequest, controller_client::ControllerClient};
use trust::{
    authority::{Authority, Validity},
    connect::{Life, channel},
    identity::{Identity, Subject},
    tls::Keyring,
};

const BOUND: Duration = Duration::from_secs(30);

/// A folder with a configuration, and a port that was free a moment ago.
struct Site {
    folder: tempfile::TempDir,
    port: u16,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        let conf = format!(
            "ClusterName=test\nSlurmUser=root\nSlurmctldHost=ctl1(127.0.0.1)\n\
             SlurmctldPort={port}\nStateSaveLocation={}\n\
             NodeName=n1 CPUs=4\nPartitionName=cpu Nodes=n1 Default=YES\n",
            folder.path().join("state").display()
        );
        fs::write(folder.path().join("slurm.conf"), conf).expect("written");
        Self { folder, port }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rafterctld"));
        command
            .arg("--conf")
            .arg(self.folder.path().join("slurm.conf"))
            .arg("--site-dir")
            .arg(self.folder.path().join("site"))
            .args(more)
            .env_remove("RUST_LOG");
        command
    }

    fn run(&self, more: &[&str]) -> Output {
        self.command(more).output().expect("it runs")
    }

    /// Why it does not start.
    fn refusal(&self, more: &[&str]) -> String {
        let output = self.run(more);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).expect("text")
    }

    fn start(&self) -> Running {
        let child = self.command(&[]).stderr(Stdio::null()).spawn().expect("it starts");
        Running(child)
    }

    /// What the controller says of the cluster, once it says something.
    fn status(&self) -> StatusReply {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let deadline = Instant::now() + BOUND;
        loop {
            match runtime.block_on(ask(&self.state(), self.port)) {
                Ok(status) if !status.controllers.is_empty() => return status,
                Ok(_) | Err(_) => assert!(Instant::now() < deadline, "no status in time"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

async fn ask(state: &Path, port: u16) -> Result<StatusReply, tonic::Status> {
    let authority = Authority::load(&state.join("authority")).expect("the authority");
    let subject = Subject::User { uid: 0, name: "root".to_owned() };
    let identity = Identity { cluster: authority.cluster(), subject };
    let validity = Validity::from_now(SystemTime::now(), Duration::from_secs(60));
    let credential = authority.issue(&identity, validity, &[]).expect("a credential");
    let keyring = Keyring::new(credential).expect("a keyring");
    let config = Arc::new(keyring.client(Some("ctl1")).expect("a configuration"));
    let channel = channel(&format!("127.0.0.1:{port}"), config, Life::Command).expect("an address");
    let status = ControllerClient::new(channel).status(StatusRequest::default()).await;
    status.map(tonic::Response::into_inner)
}

struct Running(Child);

impl Running {
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).expect("a process");
        kill(Pid::from_raw(pid), signal).expect("it is there");
    }

    fn stop(mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        let deadline = Instant::now() + BOUND;
        loop {
            if let Some(status) = self.0.try_wait().expect("our child") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_cluster_is_made_once_started_stopped_and_found_again() {
    let site = Site::new();
    let refused = site.refusal(&[]);
    assert!(refused.contains("rafterctld --init"), "{refused}");
    let made = site.run(&["--init", "--operator", "1000"]);
    assert!(made.status.success(), "{made:?}");
    let cluster = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    let client = fs::read_to_string(site.folder.path().join("site/client.conf")).expect("made");
    assert!(client.contains(&format!("cluster test {cluster}")), "{client}");
    let again = site.refusal(&["--init"]);
    assert!(again.contains("already"), "{again}");

    let running = site.start();
    let status = site.status();
    assert_eq!((status.cluster_id.as_str(), status.leader.as_str()), (cluster.as_str(), "ctl1"));
    // While it runs, its directory and its name are its own.
    let second = site.refusal(&[]);
    assert!(second.contains("is in use by controller ctl1"), "{second}");
    let shared = site.refusal(&["--name", "ctl2", "--listen", "127.0.0.1:1"]);
    assert!(shared.contains("Each controller needs a StateSaveLocation"), "{shared}");
    assert_eq!(running.stop(Signal::SIGTERM), Some(0));

    // Killed or stopped, it goes on where it was.
    let running = site.start();
    assert_eq!(site.status().cluster_id, cluster);
    assert_eq!(running.stop(Signal::SIGKILL), None);
    let running = site.start();
    let status = site.status();
    assert_eq!((status.cluster.as_str(), status.controllers.len()), ("test", 1));
    assert!(status.term > 1, "each start is another term");
    assert_eq!(running.stop(Signal::SIGINT), Some(0));
}

#[test]
fn a_controller_without_its_store_does_not_come_back_under_its_number() {
    let site = Site::new();
    assert!(site.run(&["--init"]).status.success());
    let running = site.start();
    site.status();
    assert_eq!(running.stop(Signal::SIGTERM), Some(0));
    fs::remove_dir_all(site.state().join("store")).expect("removed");
    let refused = site.refusal(&[]);
    assert!(refused.contains("rafter controller remove"), "{refused}");
    // The directory says who may use it.
    let other = site.refusal(&["--name", "ctl9", "--listen", "127.0.0.1:1"]);
    assert!(other.contains("belongs to controller ctl1"), "{other}");
}

//! Many clients of a cluster, each with a connection of its own, each submitting one job after the
//! other. They stand for programs that keep a connection open.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result};
use common::{
    id::{GroupId, UserId},
    job::JobSpec,
};
use nix::unistd::{Gid, Group, User, getegid, geteuid};
use proto::ctl::{PingRequest, SubmitRequest, controller_client::ControllerClient};
use tokio::{
    sync::{Barrier, Semaphore},
    task::JoinSet,
    time::sleep_until,
};
use trust::{
    connect::Life,
    controllers::{Call, Controllers, Target},
    site::{DEFAULT_FOLDER, FOLDER_VARIABLE, Site},
    tls::Keyring,
};

use crate::pass;

/// What is submitted, by how many, and how long.
pub struct Load {
    /// How many connections, each with one submission at a time.
    pub connections: usize,
    pub spec: JobSpec,
    pub script: String,
    /// Whether no two jobs have the same script: each then has a line more.
    pub distinct: bool,
    pub last: Last,
    /// How long one submission may take, changes of leader included.
    pub patience: Duration,
    /// Where it is given, each submission takes one of it. Who hands it out keeps the queue short.
    pub room: Option<Arc<Semaphore>>,
    /// At most so many a second, evenly: who was held up does not hurry afterwards.
    pub rate: Option<f64>,
    /// Counts what is acknowledged, for who looks on.
    pub acknowledged: Arc<AtomicU64>,
}

/// When it is over.
#[derive(Clone, Copy, Debug)]
pub enum Last {
    Jobs(u64),
    For(Duration),
}

/// What the clients saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Of each acknowledged submission, in microseconds.
    pub latencies: Vec<u32>,
    pub jobs: Vec<u32>,
    pub errors: u64,
    pub first_error: Option<String>,
    pub took: Duration,
}

/// What all clients share.
struct Plan {
    load: Load,
    spec: proto::types::JobSpec,
    /// How many submissions may still begin.
    left: AtomicU64,
    /// Of this run, so that no request id is ever used twice.
    salt: u64,
    next: AtomicU64,
    /// From when on the next submission may begin.
    turn: Mutex<Instant>,
}

impl Load {
    /// Submits to the cluster that the environment names. A connection to the leader is made
    /// before the clock starts.
    ///
    /// # Errors
    /// Where the caller can't get a certificate, or it is not known where the cluster is.
    pub async fn run(self) -> Result<Seen> {
        let folder = std::env::var_os(FOLDER_VARIABLE).unwrap_or_else(|| DEFAULT_FOLDER.into());
        let site = Site::read(folder.as_ref())?;
        let pass = pass::obtain(&site)?;
        let keyring = Arc::new(Keyring::new(pass.credential)?);
        let salt = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
        let plan = Arc::new(Plan {
            spec: (&self.spec).into(),
            left: AtomicU64::new(match self.last {
                Last::Jobs(jobs) => jobs,
                Last::For(_) => u64::MAX,
            }),
            salt: u64::try_from(salt & u128::from(u64::MAX))? ^ u64::from(std::process::id()) << 48,
            next: AtomicU64::new(0),
            turn: Mutex::new(Instant::now()),
            load: self,
        });
        let begin = Arc::new(Barrier::new(plan.load.connections + 1));
        let mut clients = JoinSet::new();
        for _ in 0..plan.load.connections {
            let addresses = pass.controllers.clone();
            let controllers = Controllers::new(addresses, Arc::clone(&keyring), Life::Daemon, None);
            clients.spawn(client(controllers, Arc::clone(&plan), Arc::clone(&begin)));
        }
        begin.wait().await;
        let started = Instant::now();
        let mut seen = Seen::default();
        while let Some(one) = clients.join_next().await {
            let one = one?;
            seen.latencies.extend(one.latencies);
            seen.jobs.extend(one.jobs);
            seen.errors += one.errors;
            seen.first_error = seen.first_error.or(one.first_error);
        }
        seen.took = started.elapsed();
        Ok(seen)
    }
}

/// Connects, waits for the others, and submits until the time or the jobs are used up.
async fn client(controllers: Controllers, plan: Arc<Plan>, begin: Arc<Barrier>) -> Seen {
    let mut seen = Seen::default();
    let patience = plan.load.patience;
    let greeting = controllers.call(Call::within(Target::Leader, patience), |channel| async move {
        let reply = ControllerClient::new(channel).ping(PingRequest {}).await?.into_inner();
        if reply.leader {
            return Ok(());
        }
        let leader = Some(reply.leader_name).filter(|name| !name.is_empty());
        Err(trust::controllers::not_leader(leader.as_deref()))
    });
    if let Err(error) = greeting.await {
        seen.errors += 1;
        seen.first_error = Some(error.to_string());
    }
    begin.wait().await;
    let deadline = match plan.load.last {
        Last::Jobs(_) => None,
        Last::For(time) => Some(Instant::now() + time),
    };
    while deadline.is_none_or(|deadline| Instant::now() < deadline) && plan.may_begin().await {
        let request = plan.request();
        let asked = Instant::now();
        let call = Call::within(Target::Leader, patience);
        let answer = controllers.call(call, |channel| {
            let request = request.clone();
            async move { Ok(ControllerClient::new(channel).submit(request).await?.into_inner()) }
        });
        match answer.await {
            Ok(reply) => {
                let took = u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX);
                seen.latencies.push(took);
                seen.jobs.push(reply.job);
                plan.load.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                seen.errors += 1;
                seen.first_error.get_or_insert_with(|| error.to_string());
            }
        }
    }
    seen
}

impl Plan {
    /// Whether there is another one to submit, once there is room for it.
    async fn may_begin(&self) -> bool {
        let one_less = |left: u64| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
            return false;
        }
        if let Some(rate) = self.load.rate {
            sleep_until(self.turn(Duration::from_secs_f64(1.0 / rate)).into()).await;
        }
        match &self.load.room {
            // A closed one is the end of it.
            Some(room) => room.acquire().await.map(tokio::sync::SemaphorePermit::forget).is_ok(),
            None => true,
        }
    }

    fn turn(&self, between: Duration) -> Instant {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let own = turn.max(Instant::now());
        *turn = own + between;
        own
    }

    fn request(&self) -> SubmitRequest {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = self.salt.to_be_bytes().to_vec();
        id.extend(number.to_be_bytes());
        let mut script = self.load.script.clone();
        if self.load.distinct {
            script.push_str(&format!("# {number}\n"));
        }
        SubmitRequest {
            request: id.into(),
            spec: Some(self.spec.clone()),
            components: vec![],
            script: script.into_bytes().into(),
            environment: b"PATH=/usr/local/bin:/usr/bin:/bin\0".to_vec().into(),
        }
    }
}

/// A job of one CPU. Who submits it is filled in by the controller, from the certificate.
///
/// # Errors
/// Where the caller has no name.
pub fn plain_job(program: &str) -> Result<JobSpec> {
    let user = User::from_uid(geteuid())?.context("the caller has no name")?;
    let gid: Gid = getegid();
    let group = Group::from_gid(gid)?.map_or_else(|| gid.to_string(), |group| group.name);
    Ok(JobSpec {
        name: "load".to_owned(),
        user: UserId(user.uid.as_raw()),
        user_name: user.name,
        group: GroupId(gid.as_raw()),
        group_name: group,
        work_dir: "/tmp".to_owned(),
        std_out: Some("/dev/null".to_owned()),
        submit_line: program.to_owned(),
        submit_host: "localhost".to_owned(),
        session: 0,
        ..JobSpec::plain()
    })
}

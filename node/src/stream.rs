//! The stream to the leader: found among the controllers, greeted, and listened to.
//!
//! All controllers are asked at once. Those that follow refuse, and are asked again after growing
//! pauses; the one that leads answers with a welcome, once the node's registration is in the log.
//! So a node finds a leader as soon as there is one, whoever led before and whatever it is that
//! the others believe, and it has an open connection to each of them for the next time.

use std::time::Duration;

use common::{
    config::Config,
    id::{Attempt, JobId, Term},
    job::Job,
    machine::{Cause, Report},
    time::{Span, Timestamp},
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use nix::time::{ClockId, clock_gettime};
use proto::{
    Invalid,
    ctl::{PingRequest, controller_client::ControllerClient},
    node::{self as wire, leader_message, node_client::NodeClient, node_message, report},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};
use trust::{
    connect::Broken,
    controllers::{Address, Controllers, LEADER_KEY},
};

use crate::run::{Launch, Order, RunId, Signal, Termination};

#[cfg(test)]
mod tests;

/// The first pause after a refusal, by how much each further one is longer, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const PAUSE_GROWTH: f64 = 1.25;
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Between two attempts with a leader that will not have the node, as of a login host that runs no
/// jobs: it may change its mind with its configuration.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// How long one controller may take to welcome the node.
const WELCOME: Duration = Duration::from_secs(10);

/// How many messages to the leader may wait. A stream that takes no more is given up: the next
/// hello says everything again.
const QUEUE: usize = 4_096;

/// The largest order: a batch script and an environment may come with it.
const MAX_ORDER: usize = 64 << 20;

/// A stream that its leader has welcomed.
#[derive(Debug)]
pub struct Attached {
    pub leader: String,
    pub term: Term,
    pub config: Config,
    pub controllers: Vec<Address>,
    pub reports: Reports,
    pub orders: Orders,
}

/// The way up.
#[derive(Debug)]
pub struct Reports(mpsc::Sender<wire::NodeMessage>);

/// The stream takes nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the leader takes no more reports")]
pub struct Clogged;

impl Reports {
    /// # Errors
    /// Where the stream is to be given up.
    pub fn report(&self, run: RunId, report: Report) -> Result<(), Clogged> {
        self.send(node_message::Kind::Report(report_of(run, report)))
    }

    /// # Errors
    /// Where the stream is to be given up.
    pub fn heartbeat(&self, cpu_load: u64, free_memory_mib: u64) -> Result<(), Clogged> {
        let beat = wire::Heartbeat { cpu_load, free_memory_mib };
        self.send(node_message::Kind::Heartbeat(beat))
    }

    fn send(&self, kind: node_message::Kind) -> Result<(), Clogged> {
        self.0.try_send(wire::NodeMessage { kind: Some(kind) }).map_err(|_| Clogged)
    }
}

/// The way down.
#[derive(Debug)]
pub struct Orders {
    messages: Streaming<wire::LeaderMessage>,
    /// When the leader counts as silent. Waits that are given up for other work do not move it.
    deadline: Instant,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub enum Gone {
    #[error("the leader closed the stream")]
    Closed,
    #[error("the stream broke")]
    Broken(#[source] Status),
    #[error("the leader was silent for {} ms", .0.as_millis())]
    Silent(Duration),
    #[error("the leader's message makes no sense")]
    Invalid(#[from] Invalid),
}

impl Gone {
    /// The reason, for people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Broken(status) => format!("{self}: {}", status_text(status)),
            Self::Closed | Self::Silent(_) | Self::Invalid(_) => crate::reason(self),
        }
    }
}

/// What a leader says.
#[derive(Debug)]
pub enum Said {
    /// It leads on.
    Beat,
    Order(Order),
    /// The configuration has changed.
    Welcome {
        config: Box<Config>,
        controllers: Vec<Address>,
    },
}

impl Orders {
    /// What the leader says next, and its term. May be dropped and called again.
    ///
    /// # Errors
    /// Where the stream is over.
    pub async fn next(&mut self) -> Result<(Term, Said), Gone> {
        let message = timeout_at(self.deadline, self.messages.message());
        let message = message.await.map_err(|_| Gone::Silent(PATIENCE))?;
        self.deadline = Instant::now() + PATIENCE;
        let message = message.map_err(Gone::Broken)?.ok_or(Gone::Closed)?;
        Ok((Term(message.term), said(message)?))
    }
}

/// Why a controller did not welcome the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is not there, leads no more, or it and the node don't trust each other.
    Away(String),
    /// It leads, and will not have the node.
    Refused(String),
}

/// Asks all controllers, again and again, until one of them welcomes the node in a term that is not
/// before `least`. May be dropped.
///
/// `trouble` hears what is wrong with which controller, each time that it changes.
pub async fn attach(
    controllers: &Controllers,
    hello: &wire::Hello,
    least: Term,
    mut trouble: impl FnMut(&str, &Trouble),
) -> Attached {
    let (sender, mut troubles) = mpsc::channel(16);
    let mut attempts: FuturesUnordered<_> = controllers
        .addresses()
        .into_iter()
        .map(|address| persist(controllers, address.name, hello, least, sender.clone()))
        .collect();
    drop(sender);
    loop {
        tokio::select! {
            Some(attached) = attempts.next() => return attached,
            Some((controller, what)) = troubles.recv() => trouble(&controller, &what),
            else => std::future::pending().await,
        }
    }
}

/// Asks one controller until it welcomes the node.
async fn persist(
    controllers: &Controllers,
    name: String,
    hello: &wire::Hello,
    least: Term,
    troubles: mpsc::Sender<(String, Trouble)>,
) -> Attached {
    let mut pause = FIRST_PAUSE;
    let mut known = None;
    loop {
        let trouble = match greet(controllers, &name, hello).await {
            Ok(attached) if attached.term >= least => return attached,
            Ok(attached) => {
                Some(Trouble::Away(format!("its term {} is of the past", attached.term)))
            }
            Err(trouble) => trouble,
        };
        if trouble.is_some() && trouble != known {
            // Nobody waits for it to be read.
            let _ = trouble.clone().map(|trouble| troubles.try_send((name.clone(), trouble)));
        }
        known = trouble;
        let refused = matches!(known, Some(Trouble::Refused(_)));
        tokio::time::sleep(if refused { REFUSED_PAUSE } else { pause }).await;
        pause = pause.mul_f64(PAUSE_GROWTH).min(LONGEST_PAUSE);
    }
}

/// One attempt with one controller. Of a refusal because it does not lead, nothing is said.
async fn greet(
    controllers: &Controllers,
    name: &str,
    hello: &wire::Hello,
) -> Result<Attached, Option<Trouble>> {
    let channel = controllers.channel(name).ok_or(None)?;
    let channel = channel.map_err(|error| Some(Trouble::Away(crate::reason(&error))))?;
    match timeout(WELCOME, open(channel, name, hello)).await {
        Err(_) => Err(Some(Trouble::Away("no welcome in time".to_owned()))),
        Ok(Ok(attached)) => Ok(attached),
        Ok(Err(Gone::Broken(status))) if status.metadata().contains_key(LEADER_KEY) => Err(None),
        Ok(Err(Gone::Broken(status))) => Err(Some(match Broken::from_status(&status) {
            Some(broken) => Trouble::Away(broken.to_string()),
            // As where leadership was lost meanwhile.
            None if status.code() == Code::Unavailable => {
                Trouble::Away(status.message().to_owned())
            }
            None => Trouble::Refused(status.message().to_owned()),
        })),
        Ok(Err(gone)) => Err(Some(Trouble::Refused(gone.text()))),
    }
}

fn status_text(status: &Status) -> String {
    Broken::from_status(status)
        .map_or_else(|| status.message().to_owned(), |broken| broken.to_string())
}

async fn open(channel: Channel, name: &str, hello: &wire::Hello) -> Result<Attached, Gone> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let hello = wire::Hello { number: boot_time(), ..hello.clone() };
    let kind = node_message::Kind::Hello(hello);
    let sent = sender.try_send(wire::NodeMessage { kind: Some(kind) });
    sent.expect("the queue is empty and its receiver is there");
    let mut client = NodeClient::new(channel).max_decoding_message_size(MAX_ORDER);
    let answer = client.attach(ReceiverStream::new(receiver)).await.map_err(Gone::Broken)?;
    let mut messages = answer.into_inner();
    let first = messages.message().await.map_err(Gone::Broken)?.ok_or(Gone::Closed)?;
    let term = Term(first.term);
    let Said::Welcome { config, controllers } = said(first)? else {
        return Err(Gone::Invalid(Invalid::Missing("welcome")));
    };
    Ok(Attached {
        leader: name.to_owned(),
        term,
        config: *config,
        controllers,
        reports: Reports(sender),
        orders: Orders { messages, deadline: Instant::now() + PATIENCE },
    })
}

/// Nanoseconds of this boot. Only ever higher, whatever becomes of the wall clock and the daemon.
fn boot_time() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every kernel has this clock");
    let part = |value: i64| u64::try_from(value).expect("the clock began at 0");
    part(time.tv_sec()) * 1_000_000_000 + part(time.tv_nsec())
}

/// How long a leader may be silent: it beats once a second, and a busy machine makes it late. A
/// leader whose process dies is noticed at once, by its connections.
const PATIENCE: Duration = Duration::from_millis(3_500);

fn said(message: wire::LeaderMessage) -> Result<Said, Invalid> {
    use leader_message::Kind;
    Ok(match message.kind.ok_or(Invalid::Missing("kind"))? {
        Kind::Beat(wire::Beat {}) => Said::Beat,
        Kind::Welcome(welcome) => {
            let config = welcome.config.ok_or(Invalid::Missing("config"))?;
            let controllers = welcome
                .controllers
                .into_iter()
                .map(|controller| Address { name: controller.name, address: controller.address });
            Said::Welcome {
                config: Box::new(config.try_into()?),
                controllers: controllers.collect(),
            }
        }
        Kind::Launch(launch) => Said::Order(Order::Launch(Box::new(launch_of(launch)?))),
        Kind::Terminate(terminate) => Said::Order(terminate_of(&terminate)?),
        Kind::Signal(signal) => Said::Order(signal_of(&signal)?),
        Kind::Release(release) => Said::Order(Order::Release(run(release.job, release.attempt))),
    })
}

fn run(job: u32, attempt: u32) -> RunId {
    RunId { job: JobId(job), attempt: Attempt(attempt) }
}

fn launch_of(launch: wire::Launch) -> Result<Launch, Invalid> {
    let job = launch.job.ok_or(Invalid::Missing("job"))?;
    let given = |content: bytes::Bytes| (!content.is_empty()).then_some(content);
    Ok(Launch {
        job: std::sync::Arc::new(job.try_into()?),
        components: launch.components.into_iter().map(Job::try_from).collect::<Result<_, _>>()?,
        script: given(launch.script),
        environment: given(launch.environment),
    })
}

fn terminate_of(terminate: &wire::Terminate) -> Result<Order, Invalid> {
    let cause = match terminate.cause() {
        wire::Cause::Unspecified => return Err(Invalid::Unknown("cause")),
        wire::Cause::Cancelled => Cause::Cancelled,
        wire::Cause::TimeLimit => Cause::TimeLimit,
        wire::Cause::NodeFailure => Cause::NodeFailure,
        wire::Cause::Requeue => Cause::Requeue,
        wire::Cause::Preempted => Cause::Preempted,
        wire::Cause::Stale => Cause::Stale,
    };
    let kill_wait = Span::from_seconds(u64::from(terminate.kill_wait_s));
    let termination = Termination { cause, kill_wait, at: Timestamp(terminate.at) };
    Ok(Order::Terminate { run: run(terminate.job, terminate.attempt), termination })
}

fn signal_of(order: &wire::Signal) -> Result<Order, Invalid> {
    let signal = u8::try_from(order.signal).map_err(|_| Invalid::Range("signal"))?;
    let scope = order.scope().try_into()?;
    let signal = Signal { number: order.number, signal, scope };
    Ok(Order::Signal { run: run(order.job, order.attempt), signal })
}

/// A report for the wire.
#[must_use]
pub fn report_of(run: RunId, report: Report) -> wire::Report {
    use report::Kind;
    let kind = match report {
        Report::Launching => Kind::Launching(wire::Launching {}),
        Report::Running => Kind::Running(wire::Running {}),
        Report::Delivered { number } => Kind::Delivered(wire::Delivered { number }),
        Report::Ended { at, exit, out_of_memory } => Kind::Ended(wire::Ended {
            at: at.0,
            exit_code: u32::from(exit.code),
            exit_signal: u32::from(exit.signal),
            out_of_memory,
        }),
        Report::LaunchFailed { at, message, node_fault } => {
            Kind::LaunchFailed(wire::LaunchFailed { at: at.0, message, node_fault })
        }
        Report::Lost { at } => Kind::Lost(wire::Lost { at: at.0 }),
    };
    wire::Report { job: run.job.0, attempt: run.attempt.0, kind: Some(kind) }
}

/// How often controllers that do not lead hear from us.
const WARMTH: Duration = Duration::from_secs(15);

/// Keeps a connection to each controller, for ever, so that the next leader is a call away.
pub async fn keep_warm(controllers: std::sync::Arc<Controllers>) {
    loop {
        tokio::time::sleep(WARMTH).await;
        for address in controllers.addresses() {
            if controllers.leader().as_ref() == Some(&address.name) {
                continue;
            }
            if let Some(Ok(channel)) = controllers.channel(&address.name) {
                let mut client = ControllerClient::new(channel);
                // What comes of it is of no interest: the connection was tried.
                let _ = timeout(WELCOME, client.ping(PingRequest {})).await;
            }
        }
    }
}

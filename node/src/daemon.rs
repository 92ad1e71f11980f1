//! The daemon: one loop that waits for what happens, tells the agent, and has its acts done.

use std::{
    collections::HashMap, future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration,
};

use common::{
    config::Config,
    id::{ClusterId, Term},
    machine::Report,
    node::Inventory,
    time::Timestamp,
};
use proto::node as wire;
use tokio::{
    sync::mpsc,
    time::{Instant, Interval, MissedTickBehavior, interval},
};
use tracing::Span;
use trust::{
    controllers::{Address, Controllers},
    site::SiteError,
    store::Pass,
    tls::Keyring,
};

use crate::{
    agent::{Act, Agent, Input},
    disk::Disk,
    inventory,
    life::Life,
    measures::Measures,
    run::{Launch, RunId},
    stream::{Attached, Gone, Orders, Reports, Said, Trouble, attach, report_of},
    supervisor::{Begin, Supervision, Supervisor},
};

/// How many inputs may wait for the loop. Who sends more waits.
pub const QUEUE: usize = 1_024;

/// Between two heartbeats, unless `SlurmdTimeout` is short.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How often the machine is measured again.
const MEASURING: Duration = Duration::from_secs(60);

/// How long a stopping daemon waits for what it is writing.
const SETTLING: Duration = Duration::from_secs(5);

/// What the daemon is made of.
pub struct Parts {
    /// The node's name.
    pub name: String,
    pub life: Life,
    pub cluster: ClusterId,
    pub inventory: Inventory,
    /// How many CPUs the node poses as, whatever it has.
    pub pose: Option<u32>,
    pub agent: Agent,
    /// What the agent wants done at the start.
    pub acts: Vec<Act>,
    pub disk: Disk,
    pub inputs: (mpsc::Sender<Input>, mpsc::Receiver<Input>),
    pub supervision: Supervision,
    pub keyring: Arc<Keyring>,
    pub controllers: Arc<Controllers>,
    /// Where `client.conf` is.
    pub site: PathBuf,
    pub socket: PathBuf,
}

/// The daemon's state. One task owns it.
pub struct Daemon {
    parts: Parts,
    config: Option<Arc<Config>>,
    link: Link,
    supervisors: HashMap<RunId, Supervisor>,
    /// A span for each run that began in this daemon's time, and when that was.
    spans: HashMap<RunId, (Span, Instant)>,
    heartbeat: Interval,
    detached_at: Instant,
    measured_at: Instant,
    measures: Measures,
}

/// Whether there is a leader to talk to.
enum Link {
    Searching(Pin<Box<dyn Future<Output = Attached> + Send>>),
    Attached { leader: String, reports: Reports, orders: Box<Orders> },
}

/// What the loop waits for.
enum Happening {
    Input(Input),
    Welcomed(Box<Attached>),
    Said(Result<(Term, Said), Gone>),
    Heartbeat,
}

impl Daemon {
    #[must_use]
    pub fn new(mut parts: Parts) -> Self {
        let link = Link::Searching(search(&mut parts));
        Self {
            parts,
            config: None,
            link,
            supervisors: HashMap::new(),
            spans: HashMap::new(),
            heartbeat: beats(HEARTBEAT),
            detached_at: Instant::now(),
            measured_at: Instant::now(),
            measures: Measures::new(),
        }
    }

    /// Runs until `stop` is done, and then for as long as something is being written. The jobs go
    /// on.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let acts = std::mem::take(&mut self.parts.acts);
        self.carry_out(acts);
        tokio::pin!(stop);
        loop {
            let happening = tokio::select! {
                happening = self.next() => happening,
                () = &mut stop => break,
            };
            self.handle(happening);
        }
        let deadline = Instant::now() + SETTLING;
        while !self.parts.agent.is_settled() {
            match tokio::time::timeout_at(deadline, self.next()).await {
                Ok(happening) => self.handle(happening),
                Err(_) => break,
            }
        }
    }

    async fn next(&mut self) -> Happening {
        let link = async {
            match &mut self.link {
                Link::Searching(search) => Happening::Welcomed(Box::new(search.await)),
                Link::Attached { orders, .. } => Happening::Said(orders.next().await),
            }
        };
        tokio::select! {
            Some(input) = self.parts.inputs.1.recv() => Happening::Input(input),
            happening = link => happening,
            _ = self.heartbeat.tick() => Happening::Heartbeat,
        }
    }

    fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::Input(input) => self.tell(input),
            Happening::Welcomed(attached) => self.welcomed(*attached),
            Happening::Said(Ok((term, said))) => self.heard(term, said),
            Happening::Said(Err(gone)) => {
                let reason = gone.text();
                self.detach(&reason);
            }
            Happening::Heartbeat => self.beat(),
        }
    }

    /// Tells the agent, and has done what it wants.
    fn tell(&mut self, input: Input) {
        self.note(&input);
        let acts = self.parts.agent.handle(now(), input);
        self.carry_out(acts);
    }

    /// What people and dashboards are to see of an input.
    fn note(&mut self, input: &Input) {
        match input {
            Input::Started(run) => {
                tracing::info!(%run, "running");
                if let Some((_, since)) = self.spans.get(run) {
                    self.measures.launching.record(since.elapsed().as_secs_f64(), &[]);
                }
            }
            Input::Failed { run, message, node_fault } => {
                tracing::warn!(%run, message, node_fault, "launch failed");
                self.measures.failures.add(1, &[]);
                self.forget(*run);
            }
            Input::Ended { run, end } => {
                tracing::info!(%run, ?end, "ended");
                self.forget(*run);
            }
            Input::Vanished(run) => {
                tracing::warn!(%run, "lost: its supervisor is gone");
                self.forget(*run);
            }
            Input::Removed(run) | Input::Unavailable(run) => self.forget(*run),
            Input::Attached { .. }
            | Input::Detached
            | Input::Heard { .. }
            | Input::Prepared(_)
            | Input::Delivered { .. }
            | Input::Recorded(_)
            | Input::Held(_) => {}
        }
    }

    fn forget(&mut self, run: RunId) {
        self.supervisors.remove(&run);
        self.spans.remove(&run);
    }

    fn welcomed(&mut self, attached: Attached) {
        let Attached { leader, term, config, controllers, reports, orders } = attached;
        let waited = self.detached_at.elapsed();
        tracing::info!(leader, %term, waited_ms = waited.as_millis(), "attached to the leader");
        self.measures.detached.record(waited.as_secs_f64(), &[]);
        self.parts.controllers.note_leader(Some(&leader));
        self.link = Link::Attached { leader, reports, orders: Box::new(orders) };
        self.configure(config, controllers);
        if self.has_looked() {
            // No job may count on what nobody has found.
            return self.detach("the generic resources were not told yet");
        }
        self.tell(Input::Attached { term });
    }

    fn heard(&mut self, term: Term, said: Said) {
        match said {
            Said::Beat => {
                if term < self.parts.agent.term() {
                    self.detach("the leader is of the past");
                }
            }
            Said::Welcome { config, controllers } => {
                self.configure(*config, controllers);
                if self.has_looked() {
                    self.detach("the generic resources are to be told anew");
                }
            }
            Said::Order(order) => {
                tracing::debug!(%term, ?order, "ordered");
                self.tell(Input::Heard { term, order });
            }
        }
    }

    /// Takes over what the leader says of the cluster.
    fn configure(&mut self, config: Config, controllers: Vec<Address>) {
        let limit = Duration::from_secs(u64::from(config.slurmd_timeout));
        let period = if limit.is_zero() { HEARTBEAT } else { HEARTBEAT.min(limit / 6) };
        self.heartbeat = beats(period.max(Duration::from_millis(200)));
        let Parts { controllers: known, keyring, life, site, socket, .. } = &self.parts;
        let changed = !controllers.is_empty() && known.addresses() != controllers;
        if changed {
            known.replace(controllers.clone());
            let credential = keyring.credential().as_ref().clone();
            let pass = Pass { credential, controllers };
            let timeout = Duration::from_secs(u64::from(config.message_timeout));
            let (cluster, file) = (config.cluster_name.clone(), life.pass());
            let (site, socket) = (site.clone(), socket.clone());
            tokio::task::spawn_blocking(move || {
                let kept = pass.write(&file).map_err(|error| crate::reason(&error));
                // A host without this file has no commands, or an operator who does without it.
                let kept = kept.and_then(|()| match trust::site::Site::read(&site) {
                    Err(SiteError::File(error)) if error.is_missing() => Ok(()),
                    Err(_) | Ok(_) => {
                        crate::join::write_site(&site, &pass, &cluster, &socket, Some(timeout))
                            .map_err(|error| crate::reason(&error))
                    }
                });
                if let Err(reason) = kept {
                    tracing::warn!(reason, "can't keep where the controllers are");
                }
            });
        }
        self.config = Some(Arc::new(config));
    }

    /// Looks for the generic resources that the configuration gives the node. Says whether that is
    /// something else than what the leader was told.
    fn has_looked(&mut self) -> bool {
        let conf = self.config.as_ref().and_then(|config| config.node(&self.parts.name));
        let found = conf.and_then(inventory::gres_found);
        let known = &mut self.parts.inventory.gres;
        let news = *known != found;
        if news {
            tracing::info!(?found, "looked for generic resources");
            *known = found;
        }
        news
    }

    /// Looks for a leader anew.
    fn detach(&mut self, reason: &str) {
        if let Link::Attached { leader, .. } = &self.link {
            tracing::info!(leader, reason, "lost the leader");
        }
        self.detached_at = Instant::now();
        self.tell(Input::Detached);
        self.link = Link::Searching(search(&mut self.parts));
    }

    fn beat(&mut self) {
        let active = u32::try_from(self.parts.agent.active()).unwrap_or(u32::MAX);
        self.measures.runs.record(f64::from(active), &[]);
        let Link::Attached { reports, .. } = &self.link else { return };
        let (cpu_load, free_memory_mib) = inventory::load();
        if let Err(clogged) = reports.heartbeat(cpu_load, free_memory_mib) {
            self.detach(&clogged.to_string());
        } else if self.has_changed() {
            // The next hello says so: the leader compares it with what it knows.
            self.detach("the machine has changed");
        }
    }

    /// Measures the machine, now and then, and takes over what has become of it.
    fn has_changed(&mut self) -> bool {
        if self.measured_at.elapsed() < MEASURING {
            return false;
        }
        self.measured_at = Instant::now();
        let Parts { inventory: known, pose, name, .. } = &mut self.parts;
        let conf = self.config.as_ref().and_then(|config| config.node(name));
        let measured = inventory::measure(*pose, known.incarnation, known.daemon_started);
        let measured = Inventory { gres: conf.and_then(inventory::gres_found), ..measured };
        let changed = inventory::has_changed(known, &measured);
        if changed {
            tracing::warn!(?known, ?measured, "the machine has changed");
            *known = measured;
        }
        changed
    }

    /// Has done what the agent wants: all of it, even where the stream is lost on the way.
    fn carry_out(&mut self, acts: Vec<Act>) {
        let mut lost = None;
        for act in acts {
            match act {
                Act::KeepTerm(term) => self.keep(term),
                Act::Detach => lost = Some("the leader is of the past"),
                Act::Prepare(launch) => self.prepare(*launch),
                Act::Spawn(run) => self.supervise(run, Begin::Anew),
                Act::Watch(run) => self.supervise(run, Begin::Watching),
                Act::Terminate { run, termination } => {
                    if let Some(supervisor) = self.supervisors.get(&run) {
                        tracing::info!(%run, cause = ?termination.cause, "terminating");
                        supervisor.terminate(termination);
                    }
                }
                Act::Signal { run, signal } => {
                    if let Some(supervisor) = self.supervisors.get(&run) {
                        supervisor.signal(signal);
                    }
                }
                Act::Record { run, end } => self.parts.disk.record(run, end),
                Act::Remove(run) => self.parts.disk.remove(run),
                Act::Report { run, report } => {
                    if !self.report(run, report) {
                        lost = Some("the leader takes no more reports");
                    }
                }
            }
        }
        if let Some(reason) = lost {
            self.detach(reason);
        }
    }

    /// Where the disk does not keep it, the node goes on: its jobs' ends are to be told, and a
    /// leader of the past welcomes nobody, for it can't register them.
    fn keep(&self, term: Term) {
        if let Err(error) = self.parts.life.keep_term(self.parts.cluster, term) {
            let reason = crate::reason(&error);
            tracing::error!(%term, reason, "can't keep the leader's term");
        }
    }

    fn prepare(&mut self, launch: Launch) {
        let run = launch.run();
        let Some(config) = &self.config else {
            unreachable!("a launch comes on a stream that began with the configuration");
        };
        let span = tracing::info_span!("run", %run, node = %self.parts.disk.node());
        if let Some(trace) = &launch.job.spec.trace {
            telemetry::continue_from(&span, trace);
        }
        self.measures.launches.add(1, &[]);
        self.spans.insert(run, (span, Instant::now()));
        let term = self.parts.agent.term();
        self.parts.disk.prepare(launch, term, Arc::clone(config));
    }

    fn supervise(&mut self, run: RunId, begin: Begin) {
        let Parts { supervision, disk, inputs, .. } = &self.parts;
        let supervisor = supervision.start(run, disk.folder(run), begin, inputs.0.clone());
        self.supervisors.insert(run, supervisor);
    }

    /// Whether the report is on its way.
    fn report(&self, run: RunId, report: Report) -> bool {
        match &self.link {
            Link::Attached { reports, .. } => reports.report(run, report).is_ok(),
            Link::Searching(_) => true,
        }
    }
}

/// The wall clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

fn beats(period: Duration) -> Interval {
    let mut beats = interval(period);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// What the node says first, to any leader.
fn hello(parts: &mut Parts) -> wire::Hello {
    let steps = parts.agent.hello().into_iter().map(|(run, report)| wire::StepStatus {
        job: run.job.0,
        attempt: run.attempt.0,
        report: Some(report_of(run, report)),
    });
    wire::Hello {
        address: String::new(),
        inventory: Some((&parts.inventory).into()),
        steps: steps.collect(),
        // Each attempt has its own.
        number: 0,
    }
}

/// Looks for a leader that is none of the past.
fn search(parts: &mut Parts) -> Pin<Box<dyn Future<Output = Attached> + Send>> {
    let hello = hello(parts);
    let (controllers, least) = (Arc::clone(&parts.controllers), parts.agent.term());
    Box::pin(async move {
        attach(&controllers, &hello, least, |controller, trouble| match trouble {
            // As is usual where a leader has died.
            Trouble::Away(reason) => {
                tracing::info!(controller, reason, "a controller does not serve");
            }
            Trouble::Refused(reason) => {
                tracing::warn!(controller, reason, "the leader does not welcome the node");
            }
        })
        .await
    })
}

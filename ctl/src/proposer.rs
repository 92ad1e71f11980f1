//! The one door through which the state changes.
//!
//! Users, nodes, the scheduler, and the clock all send commands here. One task takes them in turn,
//! so what `decide` saw is still true when the log accepts what it decided, and no other code
//! needs to think about two requests crossing. It takes as many as are waiting, and appends what
//! they cause as one batch: one round trip and one fsync for all of them, while the next batch is
//! decided already.
//!
//! **Invariant:** nobody is answered before everything the head held when it decided is committed.
//! That goes for a refusal too: "already cancelled" may rest on an entry that is yet to be lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use common::{
    id::Term,
    machine::{Answer, Command, Refusal, State},
    planted::{Bug, planted},
};
use proto::convert::encode_batch;
use raft_store::{Appended, Leadership, Log};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument as _;

use crate::{clock, head::Head, measures::Measures};

/// How many commands one batch takes at most, so that its entry stays small.
const BATCH_COMMANDS: usize = 1_024;
/// How many bytes of scripts and environments one batch takes, about.
const BATCH_BYTES: usize = 1 << 20;
/// Commands that wait to be decided. Beyond it senders wait: that is the back-pressure.
const INBOX: usize = 16_384;
/// Batches on their way to the disks of a majority.
const IN_FLIGHT: usize = 64;

/// What came of a command.
pub type Outcome = Result<Answer, Rejected>;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Try the leader. The command was not carried out.
    #[error("this controller is not the leader")]
    NotLeader { leader: Option<String> },
    /// Leadership was lost on the way. Ask again with the same request id: if the command was
    /// carried out, its answer is remembered.
    #[error("leadership was lost before the outcome was known")]
    Unknown,
}

/// The head after a batch, for the scheduler and the timers.
#[derive(Clone, Debug)]
pub struct View {
    pub term: Term,
    pub state: State,
}

/// A handle to the proposer. Cheap to clone.
#[derive(Clone)]
pub struct Proposer {
    inbox: mpsc::Sender<Proposal>,
    view: watch::Receiver<Option<Arc<View>>>,
}

struct Proposal {
    command: Command,
    reply: oneshot::Sender<Outcome>,
}

/// A batch on its way, and who waits for it.
struct Flight {
    term: Term,
    append: Option<Appended>,
    decided: Instant,
    replies: Vec<(oneshot::Sender<Outcome>, Outcome)>,
}

impl Proposer {
    /// Starts the task.
    #[must_use]
    pub fn start(log: Log, measures: Measures) -> Self {
        let (inbox, proposals) = mpsc::channel(INBOX);
        let (publish, view) = watch::channel(None);
        let (flights, landing) = mpsc::channel(IN_FLIGHT);
        let (lost, losses) = watch::channel(None);
        let airborne = Arc::new(AtomicUsize::new(0));
        let ground = Ground { log: log.clone(), lost, airborne: Arc::clone(&airborne), measures };
        tokio::spawn(ground.land(landing));
        let desk = Desk { log, head: None, publish, flights, losses, airborne, spoiled: None };
        tokio::spawn(desk.run(proposals));
        Self { inbox, view }
    }

    /// Sends `command` through, and returns once what it caused is committed.
    ///
    /// # Errors
    /// The refusal, or that this controller can't tell.
    pub async fn submit(&self, command: Command) -> Outcome {
        // In a job's trace, this is the log: from the queue to the disks of a majority.
        let logged = async {
            match self.send(command).await {
                Ok(outcome) => outcome.await.unwrap_or(Err(Rejected::Unknown)),
                Err(rejected) => Err(rejected),
            }
        };
        logged.instrument(tracing::info_span!("log")).await
    }

    /// Puts `command` into the queue, behind all that were sent before, and returns at once; the
    /// outcome comes when it is committed.
    ///
    /// # Errors
    /// Where the proposer has stopped.
    pub async fn send(&self, command: Command) -> Result<oneshot::Receiver<Outcome>, Rejected> {
        let (reply, outcome) = oneshot::channel();
        let sent = self.inbox.send(Proposal { command, reply }).await;
        sent.map_err(|_| Rejected::NotLeader { leader: None })?;
        Ok(outcome)
    }

    /// The head's states, while this controller leads; none while it does not.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<Option<Arc<View>>> {
        self.view.clone()
    }
}

/// The task's own things.
struct Desk {
    log: Log,
    head: Option<Head>,
    publish: watch::Sender<Option<Arc<View>>>,
    flights: mpsc::Sender<Flight>,
    /// The last term in which a batch was lost: its head holds what never came to be.
    losses: watch::Receiver<Option<Term>>,
    /// How many batches are on their way.
    airborne: Arc<AtomicUsize>,
    /// The term in which an append was lost. What the head held then can't be told, so there is no
    /// other head in that term.
    spoiled: Option<Term>,
}

impl Desk {
    async fn run(mut self, mut proposals: mpsc::Receiver<Proposal>) {
        let mut leadership = self.log.leadership();
        let mut batch = Vec::with_capacity(BATCH_COMMANDS);
        loop {
            self.follow(&leadership.borrow_and_update().clone());
            tokio::select! {
                biased;
                changed = leadership.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                changed = self.losses.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let lost = *self.losses.borrow_and_update();
                    self.spoil(lost);
                }
                taken = proposals.recv_many(&mut batch, BATCH_COMMANDS) => {
                    if taken == 0 {
                        return;
                    }
                    self.decide(&mut batch, &mut leadership).await;
                }
            }
        }
    }

    /// Makes or drops the head as leadership comes and goes.
    fn follow(&mut self, leadership: &Leadership) {
        let term = Term(leadership.term);
        let leads = (leadership.ready && self.spoiled != Some(term)).then_some(term);
        if leads == self.head.as_ref().map(Head::term) {
            return;
        }
        self.drop_head();
        if let Some(term) = leads {
            let head = Head::new(self.log.applied().state.clone(), term);
            tracing::info!(term = term.0, "this controller leads");
            self.head = Some(head);
            self.publish_head();
        }
    }

    /// An append was lost, and the head of its term holds what it would have caused. All that was
    /// decided on top of it is void. A new term makes a clean start.
    fn spoil(&mut self, lost: Option<Term>) {
        self.spoiled = lost;
        if self.head.as_ref().map(Head::term) == lost {
            self.log.campaign();
            self.drop_head();
        }
    }

    fn drop_head(&mut self) {
        if let Some(head) = self.head.take() {
            tracing::info!(term = head.term().0, "this controller no longer leads");
            self.publish.send_replace(None);
        }
    }

    fn publish_head(&self) {
        let view = |head: &Head| Arc::new(View { term: head.term(), state: head.state().clone() });
        self.publish.send_replace(self.head.as_ref().map(view));
    }

    /// With nothing on its way, the applied state is the head's: taking it lets both share their
    /// memory, where else each would keep a copy of all that has changed since the term began.
    fn share_memory(&mut self) {
        if self.airborne.load(Ordering::Acquire) > 0 {
            return;
        }
        if let Some(head) = &mut self.head {
            let applied = self.log.applied();
            let (ours, theirs) = (head.state(), &applied.state);
            if (ours.term, ours.sequence) == (theirs.term, theirs.sequence) {
                head.rebase(theirs);
            }
        }
    }

    /// Waits while too many batches are on their way: the inbox fills meanwhile. Nothing may land
    /// for a long time where the others can't be reached, so leadership is followed here, too.
    async fn place(
        &mut self,
        leadership: &mut watch::Receiver<Leadership>,
    ) -> mpsc::OwnedPermit<Flight> {
        let place = self.flights.clone().reserve_owned();
        tokio::pin!(place);
        loop {
            tokio::select! {
                biased;
                Ok(()) = leadership.changed() => {
                    self.follow(&leadership.borrow_and_update().clone());
                }
                place = &mut place => {
                    return place.expect("the landing task lives as long as this one");
                }
            }
        }
    }

    async fn decide(
        &mut self,
        batch: &mut Vec<Proposal>,
        leadership: &mut watch::Receiver<Leadership>,
    ) {
        self.share_memory();
        let mut waiting = batch.drain(..).peekable();
        while waiting.peek().is_some() {
            let place = self.place(leadership).await;
            let Some(head) = &mut self.head else {
                let leader = self.log.leadership().borrow().leader.clone();
                for proposal in waiting {
                    let not_leader = Rejected::NotLeader { leader: leader.clone() };
                    let _ = proposal.reply.send(Err(not_leader));
                }
                return;
            };
            let now = clock::now();
            let (mut entries, mut replies, mut bytes) = (Vec::new(), Vec::new(), 0);
            while let Some(proposal) = waiting.next_if(|_| bytes < BATCH_BYTES) {
                bytes += weight(&proposal.command);
                let proposed = head.propose(proposal.command, now);
                entries.extend(proposed.entry);
                replies.push((proposal.reply, proposed.answer.map_err(Rejected::Refused)));
            }
            let append = match entries.as_slice() {
                [] => None,
                entries => Some(self.log.append(encode_batch(entries), head.term().0)),
            };
            self.airborne.fetch_add(1, Ordering::AcqRel);
            let (term, decided) = (head.term(), Instant::now());
            place.send(Flight { term, append, decided, replies });
        }
        self.publish_head();
    }
}

/// About how many bytes a command adds to its batch.
fn weight(command: &Command) -> usize {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only submissions carry content")]
    match command {
        Command::Submit(submission) => {
            let content = submission.script.len() + submission.environment.len();
            512 * (1 + submission.components.len()) + content
        }
        _ => 256,
    }
}

/// Where batches land.
struct Ground {
    log: Log,
    lost: watch::Sender<Option<Term>>,
    airborne: Arc<AtomicUsize>,
    measures: Measures,
}

impl Ground {
    /// Answers in the order of the decisions, each batch once it and all before it are committed.
    async fn land(self, mut flights: mpsc::Receiver<Flight>) {
        let mut last_lost = None;
        while let Some(Flight { term, append, decided, replies }) = flights.recv().await {
            let appended = append.is_some();
            let committed = match append {
                Some(_) if planted(Bug::AcknowledgeBeforeCommit) => true,
                Some(append) => append.await.is_ok(),
                // It rests on what was lost.
                None if last_lost == Some(term) => false,
                // Nothing was appended: what was answered rests on what is committed already, if
                // this controller still leads. A deposed leader must not answer from an old state.
                None => self.log.read_index().await.is_ok(),
            };
            if committed {
                self.measures.commands.add(replies.len() as u64, &[]);
                if appended {
                    self.measures.batches.add(1, &[]);
                    self.measures.commit.record(decided.elapsed().as_secs_f64(), &[]);
                }
            } else if appended {
                last_lost = Some(term);
                self.lost.send_replace(last_lost);
            }
            self.airborne.fetch_sub(1, Ordering::AcqRel);
            for (reply, outcome) in replies {
                let outcome = if committed { outcome } else { Err(Rejected::Unknown) };
                // A sender that has gone away no longer waits for its answer.
                let _ = reply.send(outcome);
            }
        }
    }
}

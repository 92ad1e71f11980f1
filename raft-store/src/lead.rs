//! Who leads, and how leadership is given up.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use openraft::{
    Instant as _, ServerState, async_runtime::watch::WatchReceiver as _, raft::VoteRequest,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    Leadership, MembershipError,
    log::Shared,
    members,
    types::{Raft, vote},
};

/// Whom a leader votes for that steps down: no store has this number.
const NOBODY: u64 = 0;

/// Starts the tasks that follow the leadership and the disk. They end with the log.
pub(crate) fn start(shared: &Arc<Shared>) {
    tokio::spawn(follow(Arc::downgrade(shared), shared.raft.clone()));
    tokio::spawn(watch_disk(Arc::downgrade(shared)));
    tokio::spawn(watch_majority(Arc::downgrade(shared)));
}

/// Publishes who leads, whenever it changes.
async fn follow(shared: Weak<Shared>, raft: Raft) {
    let mut metrics = raft.server_metrics();
    let Some((mut term, health)) =
        shared.upgrade().map(|shared| (shared.board.term.subscribe(), shared.health.clone()))
    else {
        return;
    };
    loop {
        let known = metrics.borrow_and_update().clone();
        let applied = *term.borrow_and_update();
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let elected = known.vote.leader_id.term;
        let leads = known.state == ServerState::Leader;
        let members = known.membership_config.membership();
        let leader = known.current_leader.and_then(|id| members.get_node(&id));
        let leadership = Leadership {
            term: elected,
            // The first entry of a leader's term comes after all that went before it.
            ready: leads && applied == elected,
            leader: leader.map(|peer| peer.name.clone()),
        };
        shared.publish(leadership);
        drop(shared);
        let changed = tokio::select! {
            changed = metrics.changed() => changed.is_ok(),
            changed = term.changed() => changed.is_ok(),
            _ = health.failed() => false,
        };
        if !changed {
            break;
        }
    }
    if let Some(shared) = shared.upgrade() {
        let term = shared.leadership.borrow().term;
        shared.publish(Leadership { term, ready: false, leader: None });
        if !shared.ending.load(Ordering::SeqCst) {
            let state = raft.metrics().borrow_watched().running_state.clone();
            let reason = state.err().map_or("Raft ended".to_owned(), |error| error.to_string());
            shared.health.fail(reason);
        }
    }
}

impl Shared {
    fn publish(&self, leadership: Leadership) {
        self.leadership.send_if_modified(|known| {
            let changed = *known != leadership;
            if known.leader != leadership.leader || known.term != leadership.term {
                let leader = leadership.leader.as_deref().unwrap_or("nobody");
                tracing::info!(term = leadership.term, leader, "who leads");
            }
            *known = leadership;
            changed
        });
    }

    fn leads(&self) -> bool {
        self.raft.server_metrics().borrow_watched().state == ServerState::Leader
    }
}

/// Steps down where the disk does not answer for longer than an election takes: the others' disks
/// may still make a majority, and would be led by one who can't keep up.
async fn watch_disk(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else {
            return;
        };
        let (_, most) = strong.options.election_timeout;
        let stalled = strong.disk.pulse().stalled();
        if stalled > most && strong.leads() {
            tracing::warn!(?stalled, "the disk does not answer: this controller steps down");
            give_up(&strong).await;
        }
        drop(strong);
        sleep(most / 4).await;
    }
}

/// Steps down where no majority has answered for so long that the others may have another leader.
/// Whoever listens to this controller, nodes above all, would else stay with it as long as it has
/// nothing to append, and be missed by the one that leads.
async fn watch_majority(shared: Weak<Shared>) {
    // Since when this controller has led without a majority's answer, and in which term.
    let mut alone: Option<(u64, Instant)> = None;
    loop {
        let Some(strong) = shared.upgrade() else {
            return;
        };
        let (_, most) = strong.options.election_timeout;
        let deserted = deserted(&strong, 2 * most);
        alone = deserted.map(|term| match alone {
            Some((known, since)) if known == term => (term, since),
            Some(_) | None => (term, Instant::now()),
        });
        // Not at the first look: a process that was stopped has yet to hear its answers.
        if alone.is_some_and(|(_, since)| since.elapsed() >= most / 2) {
            tracing::warn!("no majority answers: this controller steps down");
            alone = None;
            give_up(&strong).await;
        }
        drop(strong);
        sleep(most / 4).await;
    }
}

/// The term, where this controller leads in it, not alone, and no majority has answered within
/// `limit`. One that was just elected has no answer yet.
fn deserted(shared: &Shared, limit: Duration) -> Option<u64> {
    let metrics = shared.raft.metrics();
    let metrics = metrics.borrow_watched();
    let members = metrics.membership_config.membership();
    let alone = members.voter_ids().eq([shared.own.raft_id]);
    let acked = metrics.last_quorum_acked.as_deref();
    let silent = acked.is_none_or(|acked| acked.elapsed() > limit);
    let leads = metrics.state == ServerState::Leader && !alone && silent;
    leads.then_some(metrics.vote.leader_id.term)
}

/// Ends this controller's term, if it leads. Another one takes over at once where one can; else
/// there is an election.
pub(crate) async fn give_up(shared: &Shared) {
    let (state, term) = {
        let metrics = shared.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        (metrics.state, metrics.vote.leader_id.term)
    };
    if state != ServerState::Leader {
        return;
    }
    if let Some(heir) = members::heir(shared) {
        let (_, most) = shared.options.election_timeout;
        if shared.raft.trigger().transfer_leader(heir).await.is_ok()
            && ended(shared, term, most).await
        {
            return;
        }
    }
    // Nobody took it. A vote for nobody in the next term makes a follower of this controller, and
    // its own timer starts an election.
    let last = shared.raft.data_metrics().borrow_watched().last_log;
    let mut request = VoteRequest::new(vote(term + 1, NOBODY, false), last);
    request.leadership_transfer = true;
    if let Err(error) = shared.raft.vote(request).await {
        tracing::warn!(%error, "this controller could not step down");
    }
}

/// Waits until the term is over.
async fn ended(shared: &Shared, term: u64, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut metrics = shared.raft.server_metrics();
    loop {
        {
            let known = metrics.borrow_and_update();
            if known.vote.leader_id.term != term || known.state != ServerState::Leader {
                return true;
            }
        }
        match timeout_at(deadline, metrics.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return false,
        }
    }
}

/// Hands the leadership to another one, if there is one, and waits until it leads.
pub(crate) async fn hand_over(shared: &Shared) -> Result<(), MembershipError> {
    if !shared.leads() || members::voters(&shared.raft) < 2 {
        return Ok(());
    }
    give_up(shared).await;
    let (_, most) = shared.options.election_timeout;
    // An election that nobody called for begins within two of these. Where even that brings
    // nobody, the others are gone, too, and there is nobody to wait for.
    let deadline = Instant::now() + 4 * most;
    let mut leadership = shared.leadership.subscribe();
    let own = &shared.own.name;
    let other = leadership.wait_for(|known| known.leader.as_ref().is_some_and(|name| name != own));
    match timeout_at(deadline, other).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => {
            let reason = "nobody took the leadership".to_owned();
            Err(MembershipError::Failed { reason })
        }
    }
}

/// Hands the leadership to one other controller, and waits until that one leads.
pub(crate) async fn hand_over_to(shared: &Shared, raft_id: u64) -> Result<(), MembershipError> {
    let Leadership { term, .. } = *shared.leadership.borrow();
    if !shared.leads() {
        return Err(MembershipError::NotLeader);
    }
    if raft_id == shared.own.raft_id {
        return Ok(());
    }
    let failed = |reason: &str| MembershipError::Failed { reason: reason.to_owned() };
    if members::heirs(shared).iter().all(|heir| heir.raft_id != raft_id) {
        return Err(failed("it has no vote, or does not answer"));
    }
    let transferred = shared.raft.trigger().transfer_leader(raft_id).await;
    transferred.map_err(|error| failed(&error.to_string()))?;
    let (_, most) = shared.options.election_timeout;
    if !ended(shared, term, 2 * most).await {
        return Err(failed("it did not take the leadership in time"));
    }
    let deadline = Instant::now() + 4 * most;
    let mut leadership = shared.leadership.subscribe();
    let led = leadership.wait_for(|known| known.term > term && known.leader.is_some());
    match timeout_at(deadline, led).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) | Err(_) => return Err(failed("nobody took the leadership")),
    }
    let leader = shared.raft.server_metrics().borrow_watched().current_leader;
    if leader == Some(raft_id) { Ok(()) } else { Err(failed("another controller was elected")) }
}

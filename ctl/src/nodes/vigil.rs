//! Which nodes have been silent for too long.
//!
//! Pure. A new leader has heard from nobody yet, so silence counts from the later of a node's last
//! word and the leader's own start: each gets a full grace. So it does where the leader itself was
//! stopped, since words may have come that it could not hear. And where many fall silent together,
//! the fault is more likely on our side than on theirs: they get one more grace, and a person can
//! read why.

use std::time::{Duration, Instant};

use common::{
    id::NodeName,
    node::{Availability, Node},
    planted::{Bug, planted},
};

/// With at least this many nodes, more than half of them silent at once are not believed at first.
const MANY: usize = 10;

/// A controller that did not look for so long was not running.
const STALL: Duration = Duration::from_secs(5);

/// A node that would be lost if it stayed silent.
#[derive(Clone, Debug)]
pub struct Watched {
    pub node: NodeName,
    pub last_word: Option<Instant>,
}

/// Whether the silence of `node` would mean something: it counts as up, or holds jobs.
#[must_use]
pub fn matters(node: &Node) -> bool {
    match node.availability {
        Availability::Up => true,
        Availability::Down => node.jobs > 0,
        Availability::Unknown | Availability::Lost => false,
    }
}

/// Keeps watch during one leadership.
#[derive(Debug)]
pub struct Vigil {
    /// From when silence counts.
    since: Instant,
    looked: Instant,
    /// Until when a silence of many is borne.
    held: Option<Instant>,
}

/// What a look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub lost: Vec<NodeName>,
    /// How many are silent that are not given up yet, where it was decided so just now.
    pub held: Option<usize>,
    /// For how long this controller itself did not run.
    pub stalled: Option<Duration>,
}

impl Vigil {
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { since: now, looked: now, held: None }
    }

    /// Whom to give up. To be asked every second or so, with all nodes that [matter](matters).
    pub fn look(&mut self, now: Instant, timeout: Duration, nodes: &[Watched]) -> Found {
        let gap = now.saturating_duration_since(self.looked);
        self.looked = now;
        if gap > STALL {
            self.since = now;
            self.held = None;
            return Found { stalled: Some(gap), ..Found::default() };
        }
        if timeout.is_zero() {
            return Found::default();
        }
        let never = now.checked_sub(timeout).filter(|_| planted(Bug::NoGrace));
        let since = never.unwrap_or(self.since);
        let silent: Vec<NodeName> = nodes
            .iter()
            .filter(|watched| {
                let from = watched.last_word.map_or(since, |word| word.max(since));
                now.saturating_duration_since(from) >= timeout
            })
            .map(|watched| watched.node.clone())
            .collect();
        let many = nodes.len() >= MANY && silent.len() * 2 > nodes.len();
        match self.held {
            _ if !many => {
                self.held = None;
                Found { lost: silent, ..Found::default() }
            }
            None => {
                self.held = Some(now + timeout);
                Found { held: Some(silent.len()), ..Found::default() }
            }
            Some(until) if now < until => Found::default(),
            Some(_) => Found { lost: silent, ..Found::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn watched(count: usize, last_word: Option<Instant>) -> Vec<Watched> {
        let node = |n| Watched { node: NodeName::from(format!("n{n}")), last_word };
        (0..count).map(node).collect()
    }

    /// Looks every second for `seconds`, and says after how many how many were lost.
    fn lost(
        vigil: &mut Vigil,
        from: Instant,
        seconds: u64,
        nodes: &[Watched],
    ) -> Option<(u64, usize)> {
        (1..=seconds).find_map(|second| {
            let found = vigil.look(from + Duration::from_secs(second), TIMEOUT, nodes);
            (!found.lost.is_empty()).then_some((second, found.lost.len()))
        })
    }

    #[test]
    fn silence_counts_from_the_leader_s_start() {
        let start = Instant::now() + Duration::from_secs(1_000);
        let long_ago = start - Duration::from_secs(900);
        for word in [None, Some(long_ago)] {
            let mut vigil = Vigil::new(start);
            assert_eq!(lost(&mut vigil, start, 100, &watched(3, word)), Some((60, 3)));
        }
        let mut vigil = Vigil::new(start);
        let word = Some(start + Duration::from_secs(30));
        assert_eq!(lost(&mut vigil, start, 100, &watched(3, word)), Some((90, 3)));
    }

    #[test]
    fn a_stopped_leader_gives_everybody_a_full_grace() {
        let start = Instant::now();
        let mut vigil = Vigil::new(start);
        let nodes = watched(3, Some(start));
        assert_eq!(lost(&mut vigil, start, 50, &nodes), None);
        let back = start + Duration::from_secs(500);
        let found = vigil.look(back, TIMEOUT, &nodes);
        assert_eq!(found.stalled, Some(Duration::from_secs(450)));
        assert_eq!(found.lost, []);
        assert_eq!(lost(&mut vigil, back, 100, &nodes), Some((60, 3)));
    }

    #[test]
    fn many_at_once_get_another_grace() {
        let start = Instant::now();
        let mut vigil = Vigil::new(start);
        assert_eq!(lost(&mut vigil, start, 200, &watched(10, None)), Some((120, 10)));

        // Half of them is not more than half.
        let mut vigil = Vigil::new(start);
        let mut nodes = watched(10, None);
        for node in &mut nodes[..5] {
            node.last_word = Some(start + Duration::from_secs(1_000));
        }
        assert_eq!(lost(&mut vigil, start, 200, &nodes), Some((60, 5)));

        // If they come back meanwhile, nothing has happened.
        let mut vigil = Vigil::new(start);
        assert_eq!(lost(&mut vigil, start, 90, &watched(10, None)), None);
        let back = watched(10, Some(start + Duration::from_secs(90)));
        assert_eq!(lost(&mut vigil, start + Duration::from_secs(90), 59, &back), None);
    }

    #[test]
    fn without_a_timeout_nobody_is_lost() {
        let start = Instant::now();
        let mut vigil = Vigil::new(start);
        let later = start + Duration::from_secs(4);
        assert_eq!(vigil.look(later, Duration::ZERO, &watched(3, None)), Found::default());
    }
}

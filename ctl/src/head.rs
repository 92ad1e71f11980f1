//! The leader's state-to-be. No I/O, so the simulator drives it as it is.

use common::{
    id::Term,
    machine::{Answer, Answered, Command, Entry, Event, Refusal, State, decide, refused},
    time::Timestamp,
};

/// The state as it will be once everything that was proposed is committed.
///
/// It decides against that state, so it need not wait for one entry to commit before the next.
/// When leadership or an append is lost, the head is dropped and made anew from the applied state.
#[derive(Clone, Debug)]
pub struct Head {
    state: State,
    term: Term,
}

/// What came of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// Holds only once everything that the head holds is committed, a refusal too.
    pub answer: Result<Answer, Refusal>,
    /// The entry to append, already applied to the head; none where nothing was left to do.
    pub entry: Option<Entry>,
}

impl Head {
    /// A head of the leader of `term`, over what is applied.
    #[must_use]
    pub fn new(applied: State, term: Term) -> Self {
        Self { state: applied, term }
    }

    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    #[must_use]
    pub fn term(&self) -> Term {
        self.term
    }

    /// Takes the applied state in place of its own. Both must be the same: it only lets the two
    /// share their memory again.
    pub fn rebase(&mut self, applied: &State) {
        assert_eq!(self.state.digest, applied.digest, "the head and the applied state differ");
        self.state = applied.clone();
    }

    /// Decides `command`, and applies what it causes to the head.
    ///
    /// Time never runs backwards in the log, even where a new leader's clock is behind the last's.
    /// The refusal of a user's request is an entry, too: a copy of it that is still on its way must
    /// not be carried out after that.
    pub fn propose(&mut self, command: Command, now: Timestamp) -> Proposed {
        let at = now.max(self.state.at);
        let by = command.by().map(|by| by.request);
        match decide(&self.state, at, command) {
            Ok(decided) if decided.events.is_empty() && decided.request.is_none() => {
                Proposed { answer: Ok(decided.answer), entry: None }
            }
            Ok(decided) => {
                let entry = self.enter(at, decided.request, decided.events);
                Proposed { answer: Ok(decided.answer), entry: Some(entry) }
            }
            Err(refusal) => {
                let request = by.and_then(|by| refused(&self.state, at, by, &refusal));
                let entry = request.map(|request| self.enter(at, Some(request), vec![]));
                Proposed { answer: Err(refusal), entry }
            }
        }
    }

    fn enter(&mut self, at: Timestamp, request: Option<Answered>, events: Vec<Event>) -> Entry {
        let begun = self.state.term == self.term;
        let entry = Entry {
            at,
            term: self.term,
            sequence: if begun { self.state.sequence + 1 } else { 1 },
            digest: self.state.digest,
            request,
            events,
        };
        self.state.apply(&entry);
        entry
    }
}

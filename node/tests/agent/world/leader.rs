//! What the leader orders, and what it takes note of.

use common::{
    id::{Attempt, JobId, Term},
    machine::{Cause, Report},
    time::{Span, Timestamp},
};
use node::{
    agent::Input,
    run::{Launch, Order, RunId, Termination},
};

use super::{Folder, Logged, Task, World, pick};
use crate::jobs::job;

impl World {
    pub(super) fn current(&self, job: u32) -> Option<RunId> {
        self.log.keys().rfind(|run| run.job == JobId(job)).copied()
    }

    pub(crate) fn launch(&mut self, job: u32) {
        let run = match self.current(job) {
            // Requeued, once the log has the end.
            Some(last) if self.log[&last].end.is_some() => {
                RunId { attempt: last.attempt.next(), ..last }
            }
            Some(last) if self.log[&last].terminated => return,
            Some(last) => last,
            None => RunId { job: JobId(job), attempt: Attempt(1) },
        };
        self.log.entry(run).or_default();
        self.order(Self::launch_of(run));
    }

    fn launch_of(run: RunId) -> Order {
        let launch = Launch { job: job(run), components: vec![], script: None, environment: None };
        Order::Launch(Box::new(launch))
    }

    pub(crate) fn terminate(&mut self, job: u32) {
        let Some(run) = self.current(job) else { return };
        let logged = self.log.get_mut(&run).expect("it is current");
        if logged.end.is_some() {
            return;
        }
        logged.terminated = true;
        let unknown = !self.disk.contains_key(&run)
            && self.tasks.iter().all(|task| task.run() != run)
            && !self.inputs.iter().any(|input| *input == Input::Prepared(run));
        if unknown && self.attached {
            self.doomed.insert(run);
        }
        self.order(Self::terminate_of(run));
    }

    pub(super) fn terminate_of(run: RunId) -> Order {
        let termination =
            Termination { cause: Cause::Cancelled, kill_wait: Span(30_000), at: Timestamp(1) };
        Order::Terminate { run, termination }
    }

    /// Says again what holds of some run.
    pub(crate) fn repeat(&mut self, choice: usize) {
        let Some((run, logged)) = pick(&self.log, choice) else { return };
        let order = match logged {
            Logged { end: Some(_), .. } => return,
            Logged { terminated: true, .. } => Self::terminate_of(run),
            Logged { .. } => Self::launch_of(run),
        };
        self.order(order);
    }

    pub(crate) fn release(&mut self, choice: usize) {
        if let Some((run, logged)) = pick(&self.log, choice)
            && logged.over
        {
            self.order(Order::Release(run));
        }
    }

    /// Whatever a leader of the past orders, on a stream that it still has or that is new.
    pub(crate) fn haunt(&mut self, choice: usize) {
        let past = Term(self.term.0 - 1);
        let Some((run, _)) = pick(&self.log, choice) else { return };
        if past >= self.heard {
            return;
        }
        let order =
            if choice.is_multiple_of(2) { Self::launch_of(run) } else { Order::Release(run) };
        let tasks = self.tasks.len();
        if !self.attached {
            self.agent.hello();
            self.think(Input::Attached { term: past });
        }
        self.think(Input::Heard { term: past, order });
        assert_eq!(tasks, self.tasks.len(), "a leader of the past was obeyed");
        self.detach();
    }

    /// The leader gives the node up, and all that runs there.
    pub(crate) fn give_up(&mut self) {
        if self.attached {
            return;
        }
        let begins = |run: &RunId| {
            let begun = |folder: &Folder| *folder != Folder::Prepared;
            let spawned = |task: &Task| matches!(task, Task::Spawn(next) if next == run);
            self.starts.contains_key(run)
                || self.disk.get(run).is_some_and(begun)
                || self.tasks.iter().any(spawned)
        };
        let unbegun = self.log.keys().copied().filter(|run| !begins(run));
        self.doomed.extend(unbegun.collect::<Vec<_>>());
        for logged in self.log.values_mut().filter(|logged| logged.end.is_none()) {
            logged.end = Some(Report::Lost { at: Timestamp(self.now) });
            logged.given_up = true;
        }
    }

    pub(super) fn order(&mut self, order: Order) {
        if self.attached {
            self.think(Input::Heard { term: self.term, order });
        }
    }

    pub(super) fn report(&mut self, run: RunId, report: &Report) {
        self.log.get_mut(&run).expect("nobody reports what was not ordered").seen = true;
        match report {
            Report::Launching | Report::Running | Report::Delivered { .. } => {}
            Report::Ended { .. } | Report::LaunchFailed { .. } | Report::Lost { .. } => {
                let logged = self.log.get_mut(&run).expect("nobody reports what was not ordered");
                logged.over = true;
                let end = logged.end.get_or_insert_with(|| report.clone());
                match (&*end, report) {
                    // A run that is lost again is lost at another time.
                    (Report::Lost { .. }, Report::Lost { .. }) => {}
                    _ if logged.given_up => {}
                    (first, again) => assert_eq!(first, again, "the end of {run} has changed"),
                }
            }
        }
    }

    /// The node says hello, is busy, and is welcomed.
    pub(crate) fn attach(&mut self, between: usize) {
        self.detach();
        let listed = self.agent.hello();
        for (run, report) in &listed {
            self.report(*run, report);
        }
        for choice in 0..between {
            self.work(choice);
            self.hear();
        }
        self.attached = true;
        self.heard = self.term;
        self.think(Input::Attached { term: self.term });
        self.refuse();
        // Whatever it lists, it may not begin without being told.
        let wanted = |run: &RunId| {
            let logged = &self.log[run];
            logged.end.is_none() && !logged.terminated && listed[run] == Report::Launching
        };
        for run in listed.keys().copied().filter(wanted).collect::<Vec<_>>() {
            self.order(Self::launch_of(run));
        }
    }

    /// Terminates what the log does not want any more, of what the node says that it has.
    pub(super) fn refuse(&mut self) {
        let unwanted = |logged: &Logged| logged.given_up && logged.seen && !logged.over;
        let runs = self.log.iter().filter(|(_, logged)| unwanted(logged)).map(|(run, _)| *run);
        for run in runs.collect::<Vec<_>>() {
            self.order(Self::terminate_of(run));
        }
    }

    pub(crate) fn detach(&mut self) {
        self.attached = false;
        self.think(Input::Detached);
    }

    pub(crate) fn elect(&mut self) {
        self.detach();
        self.term = Term(self.term.0 + 1);
    }
}

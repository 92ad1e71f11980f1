//! A plan up to one job: what is left when its turn comes.

use common::{
    id::{JobId, PartitionName},
    job::{Job, Place, Reason},
    machine::State,
    time::Timestamp,
};

use crate::{
    placement::need,
    plan::{Line, Pass, Verdict, lines},
    timeline::{ClassId, Start},
};

/// All that is planned before the job is taken, and nothing for the job itself: so it can be
/// considered again and again, with another request each time.
///
/// **Invariant:** what is found for a request is what a plan finds that comes to it at this place.
pub(crate) struct Reached<'a> {
    pub(crate) pass: Pass<'a>,
    lines: Vec<Line<'a>>,
    /// Its own line's place.
    own: usize,
}

/// When, where and in which partition a job starts that waits in one. A heterogeneous one has the
/// places of all its components.
pub(crate) fn start(
    view: &State,
    now: Timestamp,
    job: JobId,
) -> Option<(Timestamp, Vec<Place>, PartitionName)> {
    let mut reached = Reached::new(view, now, job)?;
    let job = view.jobs.get(&job)?;
    let start = reached.consider(job).start?;
    Some((Timestamp(start.at), reached.all_places(job, &start), job.partition.clone()))
}

/// What came of a request.
pub(crate) struct Considered {
    pub(crate) class: Option<ClassId>,
    pub(crate) start: Option<Start>,
    /// Why it can't start now.
    pub(crate) reason: Reason,
    /// The policy plans no more jobs of its kind.
    pub(crate) passed_over: bool,
}

impl<'a> Reached<'a> {
    /// Nothing where its turn never comes: it stands in no queue, or those before it close it.
    pub(crate) fn new(view: &'a State, now: Timestamp, job: JobId) -> Option<Self> {
        let config = view.config.as_deref()?;
        let mut pass = Pass::new(view, config, now);
        let mut lines = lines(view, config, &mut pass.board, now);
        pass.wanted = Some(job);
        pass.run(view, &mut lines, usize::MAX);
        let own = lines.iter_mut().position(|line| line.next() == Some(job))?;
        Some(Self { pass, lines, own })
    }

    pub(crate) fn line(&self) -> &Line<'a> {
        &self.lines[self.own]
    }

    /// When and where the job would start, if this were what it asks for.
    pub(crate) fn consider(&mut self, job: &Job) -> Considered {
        let Self { pass, lines, own } = self;
        let line = &mut lines[*own];
        let counted = (pass.looked, line.looked, pass.of_user.clone());
        pass.found = None;
        let verdict = pass.consider(line, job);
        let passed_over = matches!(verdict, Verdict::Behind) && pass.looked == counted.0;
        (pass.looked, line.looked, pass.of_user) = counted;
        let (class, start) = pass.found.take().unzip();
        let start = start.flatten();
        let reason = match verdict {
            Verdict::Start(_) => Reason::None,
            Verdict::Behind => match &start {
                Some(start) if start.at == pass.now.0 => Reason::None,
                Some(_) => Reason::Resources,
                None => Reason::Priority,
            },
            Verdict::Wait(reason) | Verdict::Close(reason) => reason,
            Verdict::WaitUntil(_) => Reason::BeginTime,
        };
        Considered { class, start, reason, passed_over }
    }

    /// What the start takes; of a heterogeneous job, what all its components take.
    pub(crate) fn all_places(&self, job: &Job, start: &Start) -> Vec<Place> {
        if job.het().is_some() {
            let together = self.pass.found_together.iter();
            return together.flat_map(|(_, places)| places.clone()).collect();
        }
        self.places(job, start)
    }

    fn places(&self, job: &Job, start: &Start) -> Vec<Place> {
        let need = need(self.pass.config, self.line().conf, job);
        self.pass.board.places(&need, start)
    }
}

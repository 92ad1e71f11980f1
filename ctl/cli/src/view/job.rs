//! A job, and what `squeue`, `scontrol` and JSON say of it.

use std::fmt::Write as _;

use common::{
    cpus::CpuSet,
    hostlist::Hostlist,
    job::TaskSet,
    pattern::{BATCH, Names, expand},
    size::Mib,
    time::{Span, Timestamp},
};
use proto::{
    convert::cpu_set,
    ctl::JobView,
    types::{
        End, EndState, JobSpec, Layout, Place, Reason, Run, Stage, TimeLimit, job::Array,
        memory_request::Amount,
    },
};

use super::{Malformed, State, signal_text};

/// A job with its parts at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) view: &'a JobView,
    pub(crate) job: &'a proto::types::Job,
    pub(crate) spec: &'a JobSpec,
    pub(crate) layout: &'a Layout,
    pub(crate) now: Timestamp,
    /// Which one it is, where each waiting task of an array is looked at by itself.
    pub(crate) task: Option<u32>,
}

impl<'a> Job<'a> {
    pub(crate) fn of(view: &'a JobView, now: Timestamp) -> Result<Self, Malformed> {
        let job = view.job.as_ref().ok_or(Malformed("job"))?;
        let spec = job.spec.as_ref().ok_or(Malformed("job's specification"))?;
        let layout = spec.layout.as_ref().ok_or(Malformed("job's layout"))?;
        Ok(Self { view, job, spec, layout, now, task: None })
    }

    pub(crate) fn all(views: &'a [JobView], now: Timestamp) -> Result<Vec<Self>, Malformed> {
        views.iter().map(|view| Self::of(view, now)).collect()
    }

    pub(crate) fn id(&self) -> u32 {
        self.job.id
    }

    /// The array that it belongs to.
    pub(crate) fn array(&self) -> Option<u32> {
        match self.job.array.as_ref()? {
            Array::Waiting(_) => Some(self.job.id),
            Array::Task(task) => Some(task.array),
        }
    }

    /// The tasks that it stands for while they wait.
    pub(crate) fn waiting(&self) -> Option<TaskSet> {
        match self.job.array.as_ref()? {
            Array::Waiting(tasks) => TaskSet::try_from(tasks.clone()).ok(),
            Array::Task(_) => None,
        }
    }

    /// Each of the tasks that it stands for, as if it were a job by itself.
    pub(crate) fn each(self, tasks: &TaskSet) -> impl Iterator<Item = Self> {
        tasks.iter().map(move |task| Self { task: Some(task), ..self })
    }

    /// Which tasks of its array it is: `7`, or `0-3%2`.
    pub(crate) fn task_text(&self) -> Option<String> {
        if let Some(task) = self.task {
            return Some(task.to_string());
        }
        match self.job.array.as_ref()? {
            Array::Task(task) => Some(task.index.to_string()),
            Array::Waiting(_) => {
                let limit = self.view.array_limit.map(|limit| format!("%{limit}"));
                Some(format!("{}{}", self.waiting()?, limit.unwrap_or_default()))
            }
        }
    }

    /// As people name it, where it is no component: `7`, `7_3`, `7_[0-3%2]`.
    pub(super) fn put_own_id(&self, out: &mut String) {
        let array = self.array().unwrap_or(self.job.id);
        let written = match (self.task_text(), &self.job.array, self.task) {
            (Some(tasks), Some(Array::Waiting(_)), None) => write!(out, "{array}_[{tasks}]"),
            (Some(task), _, _) => write!(out, "{array}_{task}"),
            (None, _, _) => write!(out, "{array}"),
        };
        written.expect("a String takes it");
    }

    /// What `%A` and `%a` stand for.
    fn names_in_array(&self) -> Option<(u32, u32)> {
        let index = match self.job.array.as_ref()? {
            Array::Task(task) => task.index,
            // Slurm's `NO_VAL`.
            Array::Waiting(_) => self.task.unwrap_or(0xffff_fffe),
        };
        Some((self.array()?, index))
    }

    pub(crate) fn run(&self) -> Option<&'a Run> {
        self.job.run.as_ref()
    }

    pub(crate) fn end(&self) -> Option<&'a End> {
        self.job.end.as_ref()
    }

    pub(crate) fn state(&self) -> State {
        match (self.end(), self.run()) {
            (Some(end), _) if self.job.over => State::Ended(end.state()),
            (Some(end), _) => State::Completing(end.state()),
            (None, Some(run)) => match run.stage() {
                Stage::Running => State::Running,
                Stage::Allocated | Stage::Launching | Stage::Unspecified => State::Configuring,
            },
            (None, None) => State::Pending,
        }
    }

    /// The nodes that it holds or held, in the order of their ranks.
    pub(crate) fn places(&self) -> &'a [Place] {
        self.run().map_or(&[], |run| &run.places)
    }

    /// Which CPUs of each place it has; of those that do not say so, none.
    pub(crate) fn cpu_ids(&self) -> impl Iterator<Item = CpuSet> + 'a {
        let known = self.run().into_iter().flat_map(|run| &run.cpus);
        let sets = known.flat_map(|ids| {
            // What a controller has checked says no nonsense.
            let cpus = cpu_set(&ids.runs).unwrap_or_default();
            std::iter::repeat_n(cpus, ids.places as usize)
        });
        sets.chain(std::iter::repeat(CpuSet::default()))
    }

    /// Appends the nodes as a list; nothing where there are none.
    pub(crate) fn put_nodes(&self, out: &mut String) {
        match self.places() {
            [] => {}
            [one] => out.push_str(&one.node),
            many => {
                let list = Hostlist::from_names(many.iter().map(|place| &place.node));
                write!(out, "{list}").expect("a String takes it");
            }
        }
    }

    pub(crate) fn batch_host(&self) -> Option<&'a str> {
        self.places().first().map(|place| place.node.as_str())
    }

    /// The node whose failure ended it, where it is known which.
    pub(crate) fn failed_node(&self) -> Option<&'a str> {
        let failed = self.end().is_some_and(|end| end.state() == EndState::NodeFail);
        match self.places() {
            [only] if failed => Some(&only.node),
            _ => None,
        }
    }

    pub(crate) fn node_count(&self) -> u32 {
        match self.places().len() {
            0 => self.view.nodes,
            places => u32::try_from(places).unwrap_or(u32::MAX),
        }
    }

    pub(crate) fn cpus(&self) -> u32 {
        let held = self.held().map(|held| held.0);
        held.unwrap_or(self.view.cpus)
    }

    /// CPUs and MiB on all nodes.
    pub(crate) fn held(&self) -> Option<(u32, u64)> {
        let places = self.places();
        if places.is_empty() {
            return None;
        }
        let held = places.iter().filter_map(|place| place.held.as_ref());
        Some(held.fold((0, 0), |(cpus, mib), held| {
            (u32::saturating_add(cpus, held.cpus), u64::saturating_add(mib, held.memory_mib))
        }))
    }

    /// What it asks for, as `ReqTRES=` has it.
    pub(crate) fn requested(&self) -> String {
        let tres = tres(self.view.cpus, self.view.memory_mib, self.view.nodes);
        tres + &self.requested_gres()
    }

    /// What it holds or held, as `AllocTRES=` has it.
    pub(crate) fn allocated(&self) -> Option<String> {
        let (cpus, mib) = self.held()?;
        Some(tres(cpus, mib, self.node_count()) + &self.allocated_gres())
    }

    /// How long it has run.
    pub(crate) fn elapsed(&self) -> Span {
        let Some(run) = self.run() else { return Span(0) };
        let until = self.end().map_or(self.now, |end| Timestamp(end.at));
        Span::from_seconds(until.seconds().saturating_sub(Timestamp(run.started).seconds()))
    }

    pub(crate) fn time_limit(&self) -> common::time::TimeLimit {
        limit(granted(self.job))
    }

    /// What is left of the time limit; none where there is no limit.
    pub(crate) fn time_left(&self) -> Option<Span> {
        let limit = self.time_limit().span()?;
        Some(Span(limit.0.saturating_sub(self.elapsed().0)))
    }

    /// When it started, or is planned to, or will not start before.
    pub(crate) fn start(&self) -> Option<Timestamp> {
        match (self.run(), self.end()) {
            (Some(run), _) => Some(Timestamp(run.started)),
            // Slurm has cancelled jobs start and end at one moment.
            (None, Some(end)) => Some(Timestamp(end.at)),
            (None, None) => self.waits_until().or(self.view.planned_start.map(Timestamp)),
        }
    }

    /// The moment before which it may not start, where that is still to come.
    pub(crate) fn waits_until(&self) -> Option<Timestamp> {
        let waits = self.state() == State::Pending && self.job.hold() == proto::types::Hold::None;
        self.job.begin.map(Timestamp).filter(|begin| waits && *begin > self.now)
    }

    /// When it ended, or has to. `Err`: it runs without a limit.
    pub(crate) fn finish(&self) -> Result<Option<Timestamp>, NoLimit> {
        if let Some(end) = self.end() {
            return Ok(Some(Timestamp(end.at)));
        }
        match self.run() {
            Some(run) => run.deadline.map(|at| Some(Timestamp(at))).ok_or(NoLimit),
            None => {
                Ok(self.waits_until().and_then(|start| Some(start + self.time_limit().span()?)))
            }
        }
    }

    /// What it waits for of other jobs, or was to wait for.
    pub(crate) fn dependency(&self) -> Option<String> {
        let dependency = self.job.dependency.clone()?;
        common::job::Dependency::try_from(dependency).ok()?.shown()
    }

    /// Since when it may run. None: its owner has never let it, or it waits for others.
    pub(crate) fn eligible(&self) -> Option<Timestamp> {
        let begun = self.run().is_some();
        if !begun && (self.job.hold() == proto::types::Hold::User || self.dependency().is_some()) {
            return None;
        }
        let submitted = Timestamp(self.job.submitted);
        Some(self.job.begin.map_or(submitted, |begin| submitted.max(Timestamp(begin))))
    }

    /// Since when it makes way for another job.
    pub(crate) fn preempted(&self) -> Option<Timestamp> {
        let preempted = self.run()?.preempted.as_ref()?;
        Some(Timestamp(preempted.at))
    }

    /// From when on it may have to.
    pub(crate) fn preemptable(&self) -> Option<Timestamp> {
        self.view.preemptable.map(Timestamp)
    }

    /// Since when it waits for resources.
    pub(crate) fn accrues_since(&self) -> Option<Timestamp> {
        let held = self.job.hold() != proto::types::Hold::None;
        self.eligible().filter(|at| !held && *at <= self.now)
    }

    /// Why it waits or ended so, as `squeue` has it.
    pub(crate) fn reason(&self) -> std::borrow::Cow<'static, str> {
        match (self.view.reason(), self.end()) {
            (Reason::RaisedSignal, Some(end)) => {
                let signal = end.exit_signal;
                format!("RaisedSignal:{signal}({})", signal_text::of(signal)).into()
            }
            (reason, _) => match common::job::Reason::try_from(reason) {
                Ok(reason) => reason.as_str().into(),
                Err(_) => "None".into(),
            },
        }
    }

    /// Whether the reason says more than the nodes do.
    pub(crate) fn shows_reason(&self) -> bool {
        use proto::types::EndState as E;
        match self.state() {
            State::Pending => true,
            State::Configuring | State::Running | State::Completing(_) => false,
            State::Ended(end) => match end {
                E::Failed | E::Timeout | E::OutOfMemory | E::Deadline => true,
                E::Completed | E::Cancelled | E::NodeFail | E::Preempted | E::Unspecified => false,
            },
        }
    }

    /// What it waits for, or is in, of reservations.
    pub(crate) fn reservation(&self) -> Option<String> {
        let stay = self.run().and_then(|run| run.stay.as_ref());
        let named = Some(self.spec.reservations.join(",")).filter(|names| !names.is_empty());
        named.or_else(|| stay.map(|stay| stay.name.clone()))
    }

    pub(crate) fn cpus_per_task(&self) -> u32 {
        self.layout.cpus_per_task.unwrap_or(1)
    }

    /// The least CPUs of a node that would do.
    pub(crate) fn min_cpus(&self) -> u32 {
        let tasks = self.layout.tasks_per_node.unwrap_or(1).max(1);
        let needed = tasks.saturating_mul(self.cpus_per_task());
        needed.max(self.layout.min_cpus_per_node.unwrap_or(1))
    }

    /// What it asks for, with the default filled in.
    pub(crate) fn memory(&self) -> Option<Amount> {
        self.view.memory.as_ref().and_then(|memory| memory.amount)
    }

    pub(crate) fn memory_mib(&self) -> u64 {
        match self.memory() {
            Some(Amount::PerNode(mib) | Amount::PerCpu(mib)) => mib,
            None => 0,
        }
    }

    /// `ExitCode=`: the code and the signal.
    pub(crate) fn exit_code(&self) -> String {
        self.end().map_or_else(
            || "0:0".to_owned(),
            |end| format!("{}:{}", end.exit_code, end.exit_signal),
        )
    }

    /// Where the files are, with the patterns as they were given. None: to stdout's.
    pub(crate) fn std_out(&self) -> String {
        self.file(self.spec.std_out.as_deref())
    }

    pub(crate) fn std_err(&self) -> Option<String> {
        self.spec.std_err.as_deref().map(|pattern| in_folder(&self.spec.work_dir, pattern))
    }

    pub(crate) fn std_in(&self) -> String {
        let pattern = self.spec.std_in.as_deref().filter(|pattern| !pattern.is_empty());
        pattern.map_or_else(|| NULL.to_owned(), |pattern| in_folder(&self.spec.work_dir, pattern))
    }

    fn file(&self, pattern: Option<&str>) -> String {
        in_folder(&self.spec.work_dir, pattern.unwrap_or(self.default_output()))
    }

    /// What `--output` is where it is not given.
    pub(crate) fn default_output(&self) -> &'static str {
        if self.job.array.is_some() { "slurm-%A_%a.out" } else { "slurm-%j.out" }
    }

    /// A path with its patterns filled in.
    pub(crate) fn expanded(&self, path: &str) -> String {
        let names = Names {
            job: self.id(),
            array: self.names_in_array(),
            step: BATCH,
            node: self.batch_host(),
            node_index: 0,
            task: 0,
            user: &self.spec.user_name,
            job_name: &self.spec.name,
        };
        expand(path, &names)
    }

    /// The script with its arguments, as `Command=` has it.
    pub(crate) fn command(&self) -> Option<String> {
        let mut command = self.spec.command.clone()?;
        for argument in &self.spec.arguments {
            command.push(' ');
            command.push_str(argument);
        }
        Some(command)
    }
}

const NULL: &str = "/dev/null";

/// It ends when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoLimit;

fn in_folder(folder: &str, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") }
}

/// The limit of its run, or what it asks for.
pub(crate) fn granted(job: &proto::types::Job) -> Option<&TimeLimit> {
    job.run.as_ref().and_then(|run| run.time_limit.as_ref()).or(job.time_limit.as_ref())
}

pub(crate) fn limit(limit: Option<&TimeLimit>) -> common::time::TimeLimit {
    match limit.and_then(|limit| limit.minutes) {
        Some(minutes) => common::time::TimeLimit::Minutes(minutes),
        None => common::time::TimeLimit::Unlimited,
    }
}

/// Trackable resources, as Slurm writes them. No memory is not mentioned.
fn tres(cpus: u32, mib: u64, nodes: u32) -> String {
    let memory = if mib > 0 { format!("mem={},", Mib(mib)) } else { String::new() };
    format!("cpu={cpus},{memory}node={nodes},billing={cpus}")
}

/// Names, as a list.
pub(crate) fn list(names: &[String]) -> String {
    Hostlist::from_names(names).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::{self, SUBMITTED, Sample as _, place};

    fn at(view: &JobView, seconds: u64) -> Job<'_> {
        Job::of(view, Timestamp::from_seconds(seconds)).expect("a whole view")
    }

    #[test]
    fn a_run_without_a_limit_ends_when_it_ends() {
        let runs = samples::pending(1, "a", 1, Reason::None).runs(SUBMITTED, vec![]);
        let job = at(&runs, SUBMITTED + 90);
        assert_eq!((job.finish(), job.time_left()), (Err(NoLimit), None));
        assert_eq!(job.elapsed(), Span::from_seconds(90));
        let limited = runs.clone().minutes(1);
        // The limit has passed, and the run is being ended.
        assert_eq!(at(&limited, SUBMITTED + 90).time_left(), Some(Span(0)));
        let ended = limited.ended(SUBMITTED + 70, EndState::Timeout);
        let job = at(&ended, SUBMITTED + 90);
        assert_eq!(job.elapsed(), Span::from_seconds(70));
        assert_eq!(job.finish(), Ok(Some(Timestamp::from_seconds(SUBMITTED + 70))));
        assert!(job.shows_reason());
    }

    #[test]
    fn the_failed_node_is_named_where_it_can_only_be_one() {
        let failed = |places| {
            let run = samples::pending(1, "a", 1, Reason::None).runs(SUBMITTED, places);
            run.ended(SUBMITTED, EndState::NodeFail)
        };
        let one = failed(vec![place("n7", 1, 1)]);
        assert_eq!(at(&one, SUBMITTED).failed_node(), Some("n7"));
        let two = failed(vec![place("n7", 1, 1), place("n8", 1, 1)]);
        assert_eq!(at(&two, SUBMITTED).failed_node(), None);
        let done = one.clone().ended(SUBMITTED, EndState::Completed);
        assert_eq!(at(&done, SUBMITTED).failed_node(), None);
    }

    #[test]
    fn the_command_has_its_arguments() {
        let mut view = samples::pending(1, "a", 1, Reason::None);
        assert_eq!(at(&view, SUBMITTED).command(), None);
        view.spec().command = Some("/a/b.sh".to_owned());
        view.spec().arguments = vec!["-x".to_owned(), "y z".to_owned()];
        assert_eq!(at(&view, SUBMITTED).command().as_deref(), Some("/a/b.sh -x y z"));
    }

    #[test]
    fn memory_that_is_not_asked_for_is_not_mentioned() {
        let mut view = samples::pending(1, "a", 1, Reason::None);
        view.memory_mib = 0;
        assert_eq!(at(&view, SUBMITTED).requested(), "cpu=1,node=1,billing=1");
        view.memory = None;
        assert_eq!(at(&view, SUBMITTED).memory_mib(), 0);
    }

    #[test]
    fn answers_that_lack_a_job_are_not_guessed_at() {
        let view = JobView::default();
        assert_eq!(Job::of(&view, Timestamp(0)).err(), Some(Malformed("job")));
    }
}

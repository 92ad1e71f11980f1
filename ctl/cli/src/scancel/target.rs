//! Which jobs `scancel` concerns.

use common::hostlist::Hostlist;
use proto::ctl::JobView;

use crate::view::JobTarget;

/// What a word of the command line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Job(u32),
    /// Tasks of an array, or a component of a heterogeneous job, as they were written.
    Tasks(JobTarget, String),
    /// A step, or a component that is not there, such as `118.0`: well formed, but there is no such
    /// thing in this cluster.
    Part(String),
}

impl Target {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (id, rest) = text.split_at(digits);
        let id: u32 = id.parse().ok().filter(|id| *id != 0)?;
        if rest.is_empty() {
            return Some(Self::Job(id));
        }
        if let Some(target) = JobTarget::parse(text) {
            return Some(Self::Tasks(target, text.to_owned()));
        }
        is_part(rest).then(|| Self::Part(text.to_owned()))
    }

    /// The number of the job or array.
    pub(super) fn job(&self) -> Option<u32> {
        self.named().map(|target| target.job)
    }

    /// What there may be of it.
    pub(super) fn named(&self) -> Option<JobTarget> {
        match self {
            Self::Job(id) => Some(JobTarget::job(*id)),
            Self::Tasks(target, _) => Some(target.clone()),
            Self::Part(_) => None,
        }
    }

    /// Whether it names the job, or some of the tasks that it stands for.
    pub(super) fn names(&self, view: &JobView) -> bool {
        let job = view.job.as_ref();
        job.is_some_and(|job| self.named().is_some_and(|target| target.names(job)))
    }

    /// The job, as far as `wanted` names it: an array's number alone would mean more.
    pub(super) fn of(view: &JobView, wanted: &[Self]) -> Option<Self> {
        let job = view.job.as_ref()?;
        let mut target = JobTarget::of(job);
        let named = || wanted.iter().filter_map(Self::named).filter_map(|one| one.waiting(job));
        if let Some(tasks) = &mut target.tasks
            && !wanted.is_empty()
            && target.job == job.id
            && let Some(all) = named().reduce(|all, more| all.with(&more))
        {
            *tasks = all;
        }
        Some(match target.tasks {
            None => Self::Job(target.job),
            Some(_) => Self::Tasks(target.clone(), target.to_string()),
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Job(id) => id.fmt(f),
            Self::Tasks(_, text) | Self::Part(text) => text.fmt(f),
        }
    }
}

/// Whether `.0`, `_5`, `_[1-3,7]` or `+1` follows a job's id, the first two also together.
fn is_part(rest: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (rest, step) = match rest.split_once('.') {
        Some((rest, step)) => (rest, Some(step)),
        None => (rest, None),
    };
    let range = |text: &str| match text.split_once('-') {
        Some((first, last)) => number(first) && number(last),
        None => number(text),
    };
    let element = |text: &str| match text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        Some(list) => list.split(',').all(range),
        None => number(text),
    };
    let whole = match rest.split_at_checked(1) {
        None => true,
        Some(("_", text)) => element(text),
        Some(("+", text)) => number(text),
        Some(_) => false,
    };
    whole && step.is_none_or(number)
}

/// A state that `--state` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    Pending,
    Running,
    /// No job is, in this release.
    Suspended,
}

impl Wants {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is = |names: [&str; 2]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
        if is(["PENDING", "PD"]) {
            Some(Self::Pending)
        } else if is(["RUNNING", "R"]) {
            Some(Self::Running)
        } else if is(["SUSPENDED", "S"]) {
            Some(Self::Suspended)
        } else {
            None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Suspended => "SUSPENDED",
        }
    }
}

/// A user, and how the command line named him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) id: u32,
    pub(super) text: String,
}

/// What a job must be like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) account: Option<String>,
    pub(super) qos: Option<String>,
    pub(super) name: Option<String>,
    pub(super) nodes: Option<Hostlist>,
    pub(super) partition: Option<String>,
    pub(super) reservation: Option<String>,
    pub(super) state: Option<Wants>,
    pub(super) user: Option<Owner>,
}

impl Filter {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn matches(&self, view: &JobView) -> bool {
        let Some((job, spec)) = view.job.as_ref().and_then(|job| Some((job, job.spec.as_ref()?)))
        else {
            return false;
        };
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let stay = job.run.as_ref().and_then(|run| run.stay.as_ref());
        let reservation = match spec.reservations.as_slice() {
            [] => stay.map(|stay| stay.name.clone()).unwrap_or_default(),
            names => names.join(","),
        };
        let places = || job.run.iter().flat_map(|run| &run.places);
        let on = |nodes: &Hostlist| places().any(|place| nodes.contains(&place.node));
        is(&self.account, spec.account.as_deref().unwrap_or_default())
            && is(&self.qos, spec.qos.as_deref().unwrap_or_default())
            && is(&self.name, &spec.name)
            && is(&self.partition, &job.partition)
            && is(&self.reservation, &reservation)
            && self.nodes.as_ref().is_none_or(on)
            && self.user.as_ref().is_none_or(|user| user.id == spec.user)
            && self.state.is_none_or(|state| match state {
                Wants::Pending => job.run.is_none(),
                Wants::Running => job.run.is_some(),
                Wants::Suspended => false,
            })
    }
}

/// As `scancel -v` lists what it looked for.
impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { account, qos, name, nodes, partition, reservation, state, user } = self;
        let mut part = |key: &str, value: Option<String>| match value {
            Some(value) => write!(f, "{key}={value} "),
            None => Ok(()),
        };
        part("account", account.clone())?;
        part("qos", qos.clone())?;
        part("reservation", reservation.clone())?;
        part("job_name", name.clone())?;
        part("nodelist", nodes.as_ref().map(ToString::to_string))?;
        part("partition", partition.clone())?;
        part("state", state.map(|state| state.name().to_owned()))?;
        part("user_name", user.as_ref().map(|user| user.text.clone()))
    }
}

/// Whether the job waits or runs: what is completing is out of reach.
pub(super) fn is_active(view: &JobView) -> bool {
    view.job.as_ref().is_some_and(|job| job.end.is_none())
}

/// What `--interactive` asks.
pub(super) fn question(view: &JobView, signal: Option<u8>) -> String {
    let job = view.job.as_ref();
    let name = job.and_then(|job| job.spec.as_ref()).map_or("", |spec| &spec.name);
    let id = job.map_or_else(String::new, |job| JobTarget::of(job).to_string());
    let partition = job.map_or("", |job| &job.partition);
    let what = match signal {
        None => "Cancel".to_owned(),
        Some(signal) => format!("Signal {signal} to"),
    };
    format!("{what} job_id={id} name={name} partition={partition} [y/n]? ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::types;

    use super::*;

    #[test]
    fn ids_are_read_as_slurm_does() {
        assert_eq!(Target::parse("117"), Some(Target::Job(117)));
        for tasks in ["118_5", "118_[6-7]", "118_[0-7,9]", "7+1"] {
            let target = JobTarget::parse(tasks).expect("tasks");
            assert_eq!(Target::parse(tasks), Some(Target::Tasks(target, tasks.to_owned())));
        }
        for part in ["119.0", "118_5.0", "7+1.0"] {
            assert_eq!(Target::parse(part), Some(Target::Part(part.to_owned())), "{part}");
        }
        let wrong =
            ["", "abc", "0", "197.batch", "1_", "1_[", "1_[]", "1_[2-]", "1x", "4294967296", "-1"];
        for text in wrong {
            assert_eq!(Target::parse(text), None, "{text}");
        }
    }

    fn view(id: u32, user: u32, name: &str, node: Option<&str>) -> JobView {
        let place = |node: &str| types::Place { node: node.into(), ..Default::default() };
        let run = node.map(|n| types::Run { places: vec![place(n)], ..Default::default() });
        let account = Some("proj".to_owned());
        let (name, qos) = (name.into(), Some("long".to_owned()));
        let spec = types::JobSpec { name, user, account, qos, ..Default::default() };
        let partition = "cpu".to_owned();
        let job = types::Job { id, spec: Some(spec), partition, run, ..Default::default() };
        JobView { job: Some(job), ..Default::default() }
    }

    #[test]
    fn a_job_matches_all_filters_or_not_at_all() {
        let running = view(1, 500, "a", Some("n3"));
        let all = Filter {
            account: Some("proj".into()),
            qos: Some("long".into()),
            name: Some("a".into()),
            nodes: Some(Hostlist::parse("n[1-4]").expect("a list")),
            reservation: None,
            partition: Some("cpu".into()),
            state: Some(Wants::Running),
            user: Some(Owner { id: 500, text: "alice".into() }),
        };
        assert!(all.matches(&running));
        assert!(!all.matches(&view(1, 500, "a", Some("n5"))), "another node");
        assert!(!all.matches(&view(1, 500, "b", Some("n3"))), "another name");
        assert!(!all.matches(&view(1, 501, "a", Some("n3"))), "another user");
        assert!(!all.matches(&view(1, 500, "a", None)), "pending");
        let of = |filter: Filter| filter.matches(&running);
        assert!(!of(Filter { account: Some("x".into()), ..Filter::default() }));
        assert!(!of(Filter { qos: Some("x".into()), ..Filter::default() }));
        assert!(!of(Filter { partition: Some("x".into()), ..Filter::default() }));
        assert!(!of(Filter { state: Some(Wants::Pending), ..Filter::default() }));
        assert!(!of(Filter { state: Some(Wants::Suspended), ..Filter::default() }));
        assert!(of(Filter::default()));
    }

    #[test]
    fn questions_are_slurms() {
        let job = view(120, 0, "renamed", None);
        assert_eq!(question(&job, None), "Cancel job_id=120 name=renamed partition=cpu [y/n]? ");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_word_panics(text in "[0-9]{0,11}[_.+]{0,2}[\\[\\]0-9,é-]{0,8}") {
            let _ = Target::parse(&text);
        }
    }
}

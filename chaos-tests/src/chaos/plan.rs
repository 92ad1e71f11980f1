//! What is to be broken when: written by people, or drawn from a seed.
//!
//! ```text
//! # Comments, and empty lines, are passed over.
//! at 12s for 5s kill leader
//! at 14s for 8s cut peers leader
//! at 20s for 6s clock +600 ctl2
//! at 21s for 9s cut all n1
//! ```
//!
//! Who leads is seen when the moment comes, so a plan says the same of each run, and each run of it
//! is one of its own.

mod draw;

use std::{fmt, str::FromStr, time::Duration};

pub(super) use draw::draw;

/// A plan: its steps in the order of their moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Since the faults began.
    pub(super) at: Duration,
    pub(super) lasts: Duration,
    pub(super) what: What,
    pub(super) whom: Whom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// `kill -9`; started again at the end.
    Kill,
    /// SIGSTOP, and SIGCONT at the end.
    Pause,
    Cut(Shape),
    /// A part of the packets to and from it is lost.
    Loss,
    /// Its cable is slow.
    Slow,
    /// Its wall clock jumps by so many seconds, and back at the end.
    Clock(i64),
    /// Its wall clock runs past the lives of all certificates, and back at the end.
    Expiry,
    /// Its disk is full.
    Full,
    /// Each fsync fails.
    SyncError,
    /// Each fsync takes so many milliseconds more.
    SyncStall(i32),
    /// All its processes end, and its disk loses what was not synced.
    Power,
    /// Its memory is limited to less than it uses.
    Memory,
    /// It is removed, forgets all, and joins anew.
    Replace,
    /// It ends in good order, and is started at once.
    Restart,
    /// It hands over in good order.
    Takeover,
}

/// Who does not hear whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The host and all others.
    All,
    /// The controller and the other controllers: nodes and clients reach all.
    Peers,
    /// Two halves, the host in the one with fewer controllers.
    Minority,
    /// Two halves, the host in the one with more controllers.
    Majority,
    /// Nothing reaches the host; what it sends arrives.
    Deaf,
    /// Nothing that the host sends arrives.
    Mute,
    /// The others are two halves that don't hear each other; the host hears both.
    Bridge,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    Leader,
    /// A controller that does not lead.
    Follower,
    /// All controllers, one after the other or at once.
    Controllers,
    /// A node, whichever.
    Node,
    Named(String),
}

/// A line that is not understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {reason}")]
pub struct PlanError {
    line: usize,
    reason: String,
}

const SHAPES: &[(&str, Shape)] = &[
    ("all", Shape::All),
    ("peers", Shape::Peers),
    ("minority", Shape::Minority),
    ("majority", Shape::Majority),
    ("deaf", Shape::Deaf),
    ("mute", Shape::Mute),
    ("bridge", Shape::Bridge),
];

/// Those that need no number.
const PLAIN: &[(&str, What)] = &[
    ("kill", What::Kill),
    ("pause", What::Pause),
    ("loss", What::Loss),
    ("slow", What::Slow),
    ("expiry", What::Expiry),
    ("full", What::Full),
    ("eio", What::SyncError),
    ("power", What::Power),
    ("memory", What::Memory),
    ("replace", What::Replace),
    ("restart", What::Restart),
    ("takeover", What::Takeover),
];

impl What {
    /// Whether it is done to controllers only.
    pub(super) fn needs_controller(self) -> bool {
        match self {
            Self::Memory
            | Self::Replace
            | Self::Takeover
            | Self::Cut(Shape::Peers)
            | Self::Cut(Shape::Bridge) => true,
            Self::Kill
            | Self::Pause
            | Self::Cut(_)
            | Self::Loss
            | Self::Slow
            | Self::Clock(_)
            | Self::Expiry
            | Self::Full
            | Self::SyncError
            | Self::SyncStall(_)
            | Self::Power
            | Self::Restart => false,
        }
    }

    /// Whether it is over once it is done.
    pub(super) fn is_done_at_once(self) -> bool {
        matches!(self, Self::Replace | Self::Restart | Self::Takeover)
    }

    /// Whether it concerns the host's processes or disk: one at a time on each host.
    pub(super) fn holds_host(self) -> bool {
        match self {
            Self::Kill
            | Self::Pause
            | Self::Full
            | Self::SyncError
            | Self::SyncStall(_)
            | Self::Power
            | Self::Memory
            | Self::Replace
            | Self::Restart => true,
            Self::Cut(_)
            | Self::Loss
            | Self::Slow
            | Self::Clock(_)
            | Self::Expiry
            | Self::Takeover => false,
        }
    }
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let mut steps = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let code = line.split('#').next().unwrap_or_default().trim();
            if !code.is_empty() {
                let wrong = |reason| PlanError { line: number + 1, reason };
                steps.push(step(code).map_err(wrong)?);
            }
        }
        steps.sort_by_key(|step: &Step| step.at);
        Ok(Self { steps })
    }
}

fn step(code: &str) -> Result<Step, String> {
    let mut words = code.split_whitespace();
    let mut word = |what: &str| words.next().ok_or_else(|| format!("{what} is missing"));
    let mut time = |key: &str| {
        let found = word(key)?;
        if found != key {
            return Err(format!("`{key}` is wanted where `{found}` stands"));
        }
        seconds(word("a time such as 5s")?)
    };
    let (at, lasts) = (time("at")?, time("for")?);
    let kind = word("what is to be done")?;
    let what = match kind {
        "cut" => {
            let shape = word("the shape of the cut")?;
            let found = SHAPES.iter().find(|(name, _)| *name == shape);
            What::Cut(found.ok_or_else(|| format!("`{shape}` is no shape of a cut"))?.1)
        }
        "clock" => What::Clock(number(word("seconds such as +600")?)?),
        "stall" => What::SyncStall(number(word("milliseconds")?)?),
        _ => PLAIN.iter().find(|(name, _)| *name == kind).ok_or_else(|| unknown(kind))?.1,
    };
    let whom = Whom::from(word("whom it is done to")?);
    if let Some(more) = words.next() {
        return Err(format!("`{more}` is too much"));
    }
    if what.needs_controller() && whom == Whom::Node {
        return Err(format!("`{kind}` is for controllers"));
    }
    Ok(Step { at, lasts, what, whom })
}

fn unknown(kind: &str) -> String {
    let known = PLAIN.iter().map(|(name, _)| *name).chain(["cut", "clock", "stall"]);
    format!("`{kind}` is none of {}", known.collect::<Vec<_>>().join(", "))
}

fn number<T: FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("`{word}` is no such number"))
}

fn seconds(word: &str) -> Result<Duration, String> {
    let wrong = || format!("`{word}` is no time such as 5s or 0.5s");
    let seconds: f64 = word.strip_suffix('s').and_then(|s| s.parse().ok()).ok_or_else(wrong)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

impl From<&str> for Whom {
    fn from(word: &str) -> Self {
        match word {
            "leader" => Self::Leader,
            "follower" => Self::Follower,
            "controllers" => Self::Controllers,
            "node" => Self::Node,
            name => Self::Named(name.to_owned()),
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Controllers => "controllers",
            Self::Node => "node",
            Self::Named(name) => name,
        })
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(shape) => {
                let named = SHAPES.iter().find(|(_, known)| known == shape);
                write!(f, "cut {}", named.expect("each shape is in the table").0)
            }
            Self::Clock(seconds) => write!(f, "clock {seconds:+}"),
            Self::SyncStall(millis) => write!(f, "stall {millis}"),
            Self::Kill
            | Self::Pause
            | Self::Loss
            | Self::Slow
            | Self::Expiry
            | Self::Full
            | Self::SyncError
            | Self::Power
            | Self::Memory
            | Self::Replace
            | Self::Restart
            | Self::Takeover => {
                let named = PLAIN.iter().find(|(_, known)| known == self);
                f.write_str(named.expect("each is in the table").0)
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at.as_secs_f64(), self.lasts.as_secs_f64());
        write!(f, "at {at:.1}s for {lasts:.1}s {} {}", self.what, self.whom)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_written_as_it_is_read() {
        let text = "at 3.0s for 0.5s kill leader\nat 5.0s for 2.0s cut bridge follower\n\
                    at 6.0s for 9.0s clock -600 n2\nat 7.0s for 1.0s stall 200 controllers\n";
        let plan: Plan = text.parse().expect("a plan");
        assert_eq!(plan.to_string(), text);
        let mixed: Plan =
            "at 9s for 1s power node # late\n\nat 1s for 1s eio ctl1".parse().unwrap();
        assert_eq!(mixed.to_string(), "at 1.0s for 1.0s eio ctl1\nat 9.0s for 1.0s power node\n");
    }

    #[test]
    fn what_is_drawn_is_a_plan_and_the_same_for_a_seed() {
        for seed in 0..200 {
            let plan = draw(seed, Duration::from_secs(120));
            assert!(plan.steps.len() >= 10, "{plan}");
            assert_eq!(plan.to_string(), draw(seed, Duration::from_secs(120)).to_string());
            let read: Plan = plan.to_string().parse().expect("what is written can be read");
            assert_eq!(read.to_string(), plan.to_string());
            let last = plan.steps.iter().map(|step| step.at + step.lasts).max();
            assert!(last.is_some_and(|last| last <= Duration::from_secs(120)), "{plan}");
        }
    }

    #[test]
    fn each_kind_is_drawn() {
        let all: String = (0..50).map(|s| draw(s, Duration::from_secs(120)).to_string()).collect();
        let kinds = PLAIN.iter().map(|(name, _)| (*name).to_owned());
        let cuts = SHAPES.iter().map(|(name, _)| format!("cut {name}"));
        for kind in kinds.chain(cuts).chain(["clock +".into(), "clock -".into(), "stall".into()]) {
            assert!(all.contains(&format!("s {kind}")), "{kind} is never drawn");
        }
    }

    #[test]
    fn a_wrong_line_is_told() {
        for (text, reason) in [
            ("at 3s kill leader", "line 1: `for` is wanted where `kill` stands"),
            ("\nat 3s for 1s hug leader", "line 2: `hug` is none of"),
            ("at x for 1s kill leader", "line 1: `x` is no time such as"),
            ("at -1s for 1s kill leader", "line 1: `-1s` is no time such as"),
            ("at 1s for 1s kill", "line 1: whom it is done to is missing"),
            ("at 1s for 1s kill n1 n2", "line 1: `n2` is too much"),
            ("at 1s for 1s cut here n1", "line 1: `here` is no shape of a cut"),
            ("at 1s for 1s clock soon n1", "line 1: `soon` is no such number"),
            ("at 1s for 1s replace node", "line 1: `replace` is for controllers"),
        ] {
            let error = text.parse::<Plan>().expect_err(text).to_string();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }
}

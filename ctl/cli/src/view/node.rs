//! A node, and what `sinfo`, `scontrol` and JSON say of it.

use proto::{
    config::NodeConf,
    ctl::NodeView,
    types::{Availability, Inventory, NodeReason, Resources},
};

use super::Malformed;

/// A node with its parts at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    pub(crate) view: &'a NodeView,
    pub(crate) node: &'a proto::types::Node,
    pub(crate) conf: &'a NodeConf,
    pub(crate) total: Resources,
    pub(crate) used: Resources,
}

/// What a node does, apart from what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Base {
    Unknown,
    Down,
    Idle,
    Allocated,
    Mixed,
}

/// A node's state: what it does, and its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeState {
    pub(crate) base: Base,
    pub(crate) drain: bool,
    /// Some job on it completes.
    pub(crate) completing: bool,
    /// There is no word from it.
    pub(crate) silent: bool,
    /// A reservation holds it; and it is for maintenance.
    pub(crate) reserved: bool,
    pub(crate) maintenance: bool,
}

impl<'a> Node<'a> {
    pub(crate) fn of(view: &'a NodeView) -> Result<Self, Malformed> {
        let node = view.node.as_ref().ok_or(Malformed("node"))?;
        let conf = view.conf.as_ref().ok_or(Malformed("node's configuration"))?;
        let total = node.total.ok_or(Malformed("node's resources"))?;
        Ok(Self { view, node, conf, total, used: node.used.unwrap_or_default() })
    }

    pub(crate) fn all(views: &'a [NodeView]) -> Result<Vec<Self>, Malformed> {
        views.iter().map(Self::of).collect()
    }

    pub(crate) fn name(&self) -> &'a str {
        &self.node.name
    }

    pub(crate) fn inventory(&self) -> Option<&'a Inventory> {
        self.node.inventory.as_ref()
    }

    pub(crate) fn reason(&self) -> Option<&'a NodeReason> {
        self.node.reason.as_ref()
    }

    /// What its daemon says its version is.
    pub(crate) fn version(&self) -> Option<&'a str> {
        self.inventory().map(|inventory| inventory.version.as_str())
    }

    /// Hundredths.
    pub(crate) fn load(&self) -> Option<u64> {
        self.view.cpu_load
    }

    pub(crate) fn free_mib(&self) -> Option<u64> {
        self.view.free_memory_mib
    }

    pub(crate) fn features(&self) -> Option<String> {
        let features = &self.conf.features;
        (!features.is_empty()).then(|| features.join(","))
    }

    pub(crate) fn state(&self) -> NodeState {
        let lost = self.node.availability() == Availability::Lost;
        let base = match self.node.availability() {
            Availability::Unknown | Availability::Unspecified => Base::Unknown,
            Availability::Down | Availability::Lost => Base::Down,
            Availability::Up if self.node.jobs <= self.view.completing_jobs => Base::Idle,
            Availability::Up if self.used.cpus >= self.total.cpus => Base::Allocated,
            Availability::Up => Base::Mixed,
        };
        NodeState {
            base,
            drain: self.node.drain,
            completing: self.view.completing_jobs > 0,
            silent: self.view.silent || lost,
            reserved: self.view.reservation.is_some(),
            maintenance: self.view.maintenance,
        }
    }
}

impl NodeState {
    fn busy(self) -> bool {
        matches!(self.base, Base::Allocated | Base::Mixed) || self.completing
    }

    /// As `sinfo -T` shows it, and as `sinfo -t` does.
    fn words(self) -> (&'static str, &'static str) {
        if self.drain {
            return if self.busy() { ("draining", "drng") } else { ("drained", "drain") };
        }
        match self.base {
            Base::Down => ("down", "down"),
            Base::Allocated if self.completing && !self.silent => ("allocated+", "alloc+"),
            Base::Allocated => ("allocated", "alloc"),
            _ if self.completing => ("completing", "comp"),
            Base::Idle if self.maintenance => ("maint", "maint"),
            Base::Idle if self.reserved => ("reserved", "resv"),
            Base::Idle => ("idle", "idle"),
            Base::Mixed => ("mixed", "mix"),
            Base::Unknown => ("unknown", "unk"),
        }
    }

    /// Behind what it does: that there is no word from it, or that it is in maintenance all the
    /// same.
    fn star(self) -> &'static str {
        let busy = matches!(self.base, Base::Allocated | Base::Mixed);
        match self.silent {
            true => "*",
            false if self.maintenance && busy && !self.drain => "$",
            false => "",
        }
    }

    /// Such as `drained*`.
    pub(crate) fn long(self) -> String {
        format!("{}{}", self.words().0, self.star())
    }

    /// Such as `drain*`.
    pub(crate) fn compact(self) -> String {
        format!("{}{}", self.words().1, self.star())
    }

    /// What it does and its flags, such as `DOWN`, `DRAIN` and `NOT_RESPONDING`.
    pub(crate) fn list(self) -> Vec<&'static str> {
        let base = match self.base {
            Base::Unknown => "UNKNOWN",
            Base::Down => "DOWN",
            Base::Idle => "IDLE",
            Base::Allocated => "ALLOCATED",
            Base::Mixed => "MIXED",
        };
        let flags = [
            (self.completing, "COMPLETING"),
            (self.drain, "DRAIN"),
            (self.maintenance, "MAINTENANCE"),
            (self.reserved, "RESERVED"),
            (self.silent, "NOT_RESPONDING"),
        ];
        let flags = flags.iter().filter(|(has, _)| *has).map(|(_, name)| *name);
        std::iter::once(base).chain(flags).collect()
    }

    /// The order of states, in which flags weigh more than what a node does.
    pub(crate) fn rank(self) -> (bool, bool, bool, Base) {
        (self.silent, self.completing, self.drain, self.base)
    }

    /// How many of its nodes and CPUs count as allocated, idle or other.
    pub(crate) fn share(self) -> Share {
        match self.base {
            Base::Allocated | Base::Mixed => Share::Allocated,
            _ if self.drain => Share::Other,
            _ if self.completing => Share::Allocated,
            Base::Idle => Share::Idle,
            Base::Unknown | Base::Down => Share::Other,
        }
    }

    /// Whether CPUs that no job holds could be given to one.
    pub(crate) fn usable(self) -> bool {
        !self.drain && !matches!(self.base, Base::Down | Base::Unknown)
    }
}

/// As what a node counts in `NODES(A/I/O/T)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    Allocated,
    Idle,
    Other,
}

/// States that `sinfo --states` may name, as Slurm lists them, and their short names.
const STATES: &[(&str, &str)] = &[
    ("unknown", "unk"),
    ("down", "down"),
    ("idle", "idle"),
    ("allocated", "alloc"),
    ("mixed", "mix"),
    ("future", "futr"),
    ("drain", "drain"),
    ("drained", "drained"),
    ("draining", "drng"),
    ("no_respond", "no_resp"),
    ("reserved", "resv"),
    ("planned", "plnd"),
    ("blocked", "block"),
    ("cloud", "cloud"),
    ("completing", "comp"),
    ("powering_down", "pow_dn"),
    ("powered_down", "powered_down"),
    ("power_down", "power_down"),
    ("powering_up", "pow_up"),
    ("power_up", "power_up"),
    ("inval", "inval"),
    ("fail", "fail"),
    ("maint", "maint"),
    ("reboot", "boot"),
    ("reboot^", "reboot^"),
    ("external", "external"),
    ("dynamic_future", "dynamic_future"),
    ("dynamic_norm", "dynamic_norm"),
];

/// What `--states` asks for: any of these, each of which is all of those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted(Vec<Vec<&'static str>>);

impl Wanted {
    /// Reads `idle,mix` and `drain&down`. Names may be abbreviated; `all` is any state.
    ///
    /// # Errors
    /// What is no state.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let name = |word: &str| {
            let word = word.trim().to_ascii_lowercase();
            let by_short = STATES.iter().find(|(_, short)| *short == word);
            let known =
                by_short.or_else(|| STATES.iter().find(|(long, _)| long.starts_with(&word)));
            match known {
                Some((long, _)) if !word.is_empty() => Ok(*long),
                Some(_) | None => Err(word),
            }
        };
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self(vec![vec![]]));
        }
        let any = text.split(',').filter(|word| !word.is_empty());
        any.map(|all| all.split('&').map(name).collect()).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn has(&self, state: NodeState) -> bool {
        let is = |name: &&str| match *name {
            "unknown" => state.base == Base::Unknown,
            "down" => state.base == Base::Down,
            "idle" => state.base == Base::Idle,
            "allocated" => state.base == Base::Allocated,
            "mixed" => state.base == Base::Mixed,
            "drain" => state.drain,
            "drained" => state.drain && !state.busy(),
            "draining" => state.drain && state.busy(),
            "no_respond" => state.silent,
            "completing" => state.completing,
            "reserved" => state.reserved,
            "maint" => state.maintenance,
            // No node is ever in one of the others.
            _ => false,
        };
        self.0.iter().any(|all| all.iter().all(is))
    }
}

/// All names, as Slurm lists them.
pub(crate) fn names() -> String {
    let names: Vec<_> = STATES.iter().map(|(name, _)| *name).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(base: Base, flags: &str) -> NodeState {
        NodeState {
            base,
            drain: flags.contains('d'),
            completing: flags.contains('c'),
            silent: flags.contains('s'),
            reserved: flags.contains(['r', 'm']),
            maintenance: flags.contains('m'),
        }
    }

    /// States as sinfo(1) explains them, "NODE STATE CODES".
    #[test]
    fn states_have_slurms_words() {
        let cases = [
            (Base::Idle, "", "idle", "idle", "IDLE"),
            (Base::Idle, "d", "drain", "drained", "IDLE+DRAIN"),
            (Base::Mixed, "d", "drng", "draining", "MIXED+DRAIN"),
            (Base::Allocated, "d", "drng", "draining", "ALLOCATED+DRAIN"),
            (Base::Down, "d", "drain", "drained", "DOWN+DRAIN"),
            (Base::Down, "s", "down*", "down*", "DOWN+NOT_RESPONDING"),
            (Base::Down, "ds", "drain*", "drained*", "DOWN+DRAIN+NOT_RESPONDING"),
            (Base::Idle, "c", "comp", "completing", "IDLE+COMPLETING"),
            (Base::Idle, "cd", "drng", "draining", "IDLE+COMPLETING+DRAIN"),
            (Base::Allocated, "c", "alloc+", "allocated+", "ALLOCATED+COMPLETING"),
            (Base::Allocated, "s", "alloc*", "allocated*", "ALLOCATED+NOT_RESPONDING"),
            (Base::Unknown, "", "unk", "unknown", "UNKNOWN"),
            // As Slurm 22.05 shows them.
            (Base::Idle, "r", "resv", "reserved", "IDLE+RESERVED"),
            (Base::Allocated, "r", "alloc", "allocated", "ALLOCATED+RESERVED"),
            (Base::Idle, "dr", "drain", "drained", "IDLE+DRAIN+RESERVED"),
            (Base::Idle, "m", "maint", "maint", "IDLE+MAINTENANCE+RESERVED"),
            (Base::Allocated, "m", "alloc$", "allocated$", "ALLOCATED+MAINTENANCE+RESERVED"),
        ];
        for (base, flags, compact, long, full) in cases {
            let state = state(base, flags);
            assert_eq!(state.compact(), compact, "{state:?}");
            assert_eq!(state.long(), long, "{state:?}");
            assert_eq!(state.list().join("+"), full, "{state:?}");
        }
    }

    #[test]
    fn what_a_node_does_follows_from_its_jobs() {
        use crate::view::samples::{self, NodeSample as _};
        let compact = |view: &NodeView| Node::of(view).expect("a whole view").state().compact();
        let full = samples::node(1).holds(8, 800);
        assert_eq!(compact(&samples::node(1)), "idle");
        assert_eq!(compact(&full), "alloc");
        assert_eq!(compact(&samples::node(1).holds(7, 800)), "mix");
        // A job that completes holds its CPUs, but does nothing any more.
        let completing = |view: &NodeView, jobs| NodeView { completing_jobs: jobs, ..view.clone() };
        assert_eq!(compact(&completing(&full, 1)), "comp");
        let mut two = full.clone();
        two.node().jobs = 2;
        assert_eq!(compact(&completing(&two, 1)), "alloc+");
        assert_eq!(compact(&completing(&two, 2)), "comp");
        let mut silent = full.clone();
        silent.silent = true;
        assert_eq!(compact(&silent), "alloc*");
        for (availability, expected) in [
            (Availability::Unknown, "unk"),
            (Availability::Down, "down"),
            (Availability::Lost, "down*"),
        ] {
            let mut view = full.clone();
            view.node().availability = availability.into();
            assert_eq!(compact(&view), expected);
        }
    }

    /// What the real sinfo shows of n1 ALLOCATED+DRAIN, n2 MIXED, n4 IDLE+DRAIN, n6 DOWN+DRAIN.
    #[test]
    fn states_are_asked_for_by_what_a_node_does_and_by_flags() {
        let nodes = [
            ("n1", state(Base::Allocated, "d")),
            ("n2", state(Base::Mixed, "")),
            ("n3", state(Base::Idle, "")),
            ("n4", state(Base::Idle, "d")),
            ("n5", state(Base::Down, "")),
            ("n6", state(Base::Down, "d")),
        ];
        let find = |text: &str| {
            let wanted = Wanted::parse(text).unwrap();
            let found = nodes.iter().filter(|(_, state)| wanted.has(*state));
            found.map(|(name, _)| *name).collect::<Vec<_>>().join(",")
        };
        assert_eq!(find("drain"), "n1,n4,n6");
        assert_eq!(find("drained"), "n4,n6");
        assert_eq!(find("drng"), "n1");
        assert_eq!(find("idle"), "n3,n4");
        assert_eq!(find("mix,alloc"), "n1,n2");
        assert_eq!(find("drain&down"), "n6");
        assert_eq!(find("planned"), "");
        assert_eq!(find("all"), "n1,n2,n3,n4,n5,n6");
        assert_eq!(Wanted::parse("idle,bogus"), Err("bogus".to_owned()));
    }
}

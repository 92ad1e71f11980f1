//! Generic resources (GRES): what nodes have beside CPUs and memory, GPUs above all.
//!
//! Resources of a node that have device files, and all GPUs, are told apart: each has an id, its
//! place among the node's of the same name, whatever their types. Of others only the count matters.
//!
//! **Invariant:** a [`Gres`] has either no ids, or as many as it counts, rising.

mod request;
mod units;

use std::fmt;

pub use request::{GresError, GresRequest, Wanted, parse_count};
pub use units::Units;

/// So much of one kind of generic resource, on one node: what the node has, what jobs hold of it,
/// or one job's share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gres {
    pub name: String,
    /// `Type`; none where the configuration names none.
    pub kind: Option<String>,
    pub count: u64,
    /// Which, where they are told apart.
    pub ids: Vec<u32>,
}

/// The name of GPUs among generic resources.
pub const GPU: &str = "gpu";

impl Gres {
    #[must_use]
    pub fn is(&self, name: &str, kind: Option<&str>) -> bool {
        self.name == name && self.kind.as_deref() == kind
    }

    fn is_like(&self, other: &Self) -> bool {
        self.is(&other.name, other.kind.as_deref())
    }

    /// With its ids, as `scontrol show job -d` has it: `gpu:a100:2(IDX:0-1)`.
    #[must_use]
    pub fn detailed(&self) -> String {
        match self.ids.as_slice() {
            [] => format!("{}(CNT:{})", self.label(), self.count),
            ids => format!("{self}(IDX:{})", ranges(ids)),
        }
    }

    /// Its name, and its type where it has one.
    #[must_use]
    pub fn label(&self) -> String {
        label(&self.name, self.kind.as_deref())
    }
}

/// A name, and a type where there is one: `gpu:a100`.
#[must_use]
pub fn label(name: &str, kind: Option<&str>) -> String {
    kind.map_or_else(|| name.to_owned(), |kind| format!("{name}:{kind}"))
}

impl fmt::Display for Gres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.label(), self.count)
    }
}

/// A count as Slurm writes it: in the largest binary unit that loses nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut count, mut units) = (self.0, "KMGTP".chars());
        let mut unit = None;
        while count > 0 && count % 1_024 == 0 {
            let Some(next) = units.next() else { break };
            (count, unit) = (count / 1_024, Some(next));
        }
        write!(f, "{count}")?;
        unit.map_or(Ok(()), |unit| write!(f, "{unit}"))
    }
}

/// Rising numbers as ranges: `0-1,3`.
#[must_use]
pub fn ranges(ids: &[u32]) -> String {
    let runs = ids.chunk_by(|one, next| one + 1 == *next);
    let texts = runs.map(|run| match run {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    texts.collect::<Vec<_>>().join(",")
}

/// What a node has, as a list; none where there is nothing.
#[must_use]
pub fn listed(all: &[Gres]) -> Option<String> {
    let texts = all.iter().map(|gres| format!("{}:{}", gres.label(), Count(gres.count)));
    (!all.is_empty()).then(|| texts.collect::<Vec<_>>().join(","))
}

/// What of `total` is held, as `GresUsed` has it: `gpu:a100:2(IDX:0-1),tmp:0`.
#[must_use]
pub fn used_text(total: &[Gres], used: &[Gres]) -> Option<String> {
    let text = |all: &Gres| {
        let held = used.iter().find(|held| held.is_like(all));
        match held {
            Some(held) if all.ids.is_empty() => held.to_string(),
            Some(held) => held.detailed(),
            None if all.ids.is_empty() => Gres { count: 0, ..all.clone() }.to_string(),
            None => format!("{}(IDX:N/A)", Gres { count: 0, ..all.clone() }),
        }
    };
    (!total.is_empty()).then(|| total.iter().map(text).collect::<Vec<_>>().join(","))
}

/// How much there is of the name, whatever its types.
#[must_use]
pub fn count_of(all: &[Gres], name: &str) -> u64 {
    let named = all.iter().filter(|gres| gres.name == name);
    named.fold(0, |sum, gres| sum.saturating_add(gres.count))
}

/// What of `total` is not in `used`, in the order of `total`. A configuration may have made one
/// type of another, or less of what there was, so an id that is held is not free whatever its type.
#[must_use]
pub fn free(total: &[Gres], used: &[Gres]) -> Vec<Gres> {
    let left = |all: &Gres| {
        let holders = || used.iter().filter(|held| held.name == all.name);
        if all.ids.is_empty() {
            let held = holders().filter(|held| held.kind == all.kind).map(|held| held.count);
            let count = all.count.saturating_sub(held.fold(0, u64::saturating_add));
            return Gres { count, ..all.clone() };
        }
        let is_held = |id: &u32| holders().any(|held| held.ids.binary_search(id).is_ok());
        let ids: Vec<u32> = all.ids.iter().copied().filter(|id| !is_held(id)).collect();
        Gres { count: ids.len() as u64, ids, ..all.clone() }
    };
    total.iter().map(left).collect()
}

/// Chooses out of `free` what is `wanted` by name, type and count: the lowest ids. None where there
/// is too little.
#[must_use]
pub fn choose(free: &[Gres], wanted: &[Gres]) -> Option<Vec<Gres>> {
    let mut free = free.to_vec();
    let mut chosen = Vec::with_capacity(wanted.len());
    for want in wanted {
        let there = free.iter_mut().find(|there| there.is_like(want))?;
        there.count = there.count.checked_sub(want.count)?;
        let ids = match there.ids.len() as u64 {
            0 => vec![],
            _ => there.ids.drain(..usize::try_from(want.count).ok()?).collect(),
        };
        chosen.push(Gres { ids, ..want.clone() });
    }
    Some(chosen)
}

/// Adds `more` to what is held. What is held of one kind stands once, in the order of the kinds.
///
/// # Panics
/// Where something would be held twice.
pub fn take(held: &mut Vec<Gres>, more: &[Gres]) {
    for gres in more.iter().filter(|gres| gres.count > 0) {
        let twice = |other: &&Gres| {
            let holds = |id: &u32| other.ids.binary_search(id).is_ok();
            other.name == gres.name && gres.ids.iter().any(holds)
        };
        let other = held.iter().find(twice);
        assert!(other.is_none(), "{} is held already: {other:?}", gres.detailed());
        match held.iter_mut().find(|known| known.is_like(gres)) {
            Some(known) => {
                known.count = known.count.saturating_add(gres.count);
                known.ids.extend(&gres.ids);
                known.ids.sort_unstable();
            }
            None => held.push(gres.clone()),
        }
    }
    held.sort_unstable();
}

/// Takes `less` out of what is held.
///
/// # Panics
/// Where it was not held.
pub fn give_back(held: &mut Vec<Gres>, less: &[Gres]) {
    for gres in less.iter().filter(|gres| gres.count > 0) {
        let known = held.iter_mut().find(|known| known.is_like(gres));
        let known = known.expect("what is given back was taken");
        known.count = known.count.checked_sub(gres.count).expect("as much was taken");
        let before = known.ids.len();
        known.ids.retain(|id| gres.ids.binary_search(id).is_err());
        assert_eq!(before, known.ids.len() + gres.ids.len(), "the same ones were taken");
    }
    held.retain(|known| known.count > 0);
}

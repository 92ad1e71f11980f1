//! Generic resources, as the timeline counts them.
//!
//! Nodes whose generic resources are of the same names and types form a class. In each class the
//! kinds of amounts after CPUs and memory mean something else: each name has one, and each type of
//! a name that comes in several types has another. What is asked for without a type takes of the
//! name alone; which types it gets is chosen where it is booked, and taken of those types, too.

use common::gres::{Gres, Wanted};

use crate::timeline::{Amounts, KINDS};

/// CPUs and memory.
const FIRST: usize = 2;

/// What a kind of amounts stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    name: String,
    of: Of,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    /// All of the name, which has this one type, or none.
    Only(Option<String>),
    /// All types of the name together.
    All,
    /// One type of several.
    Type(Option<String>),
}

/// What the kinds of amounts mean on the nodes of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kinds(Vec<Kind>);

impl Kinds {
    /// Of a node that has this.
    pub(crate) fn of(all: &[Gres]) -> Self {
        let mut kinds: Vec<Kind> = vec![];
        for gres in all {
            if kinds.iter().any(|kind| kind.name == gres.name) {
                continue;
            }
            let types = || all.iter().filter(|other| other.name == gres.name);
            let mut add = |of| kinds.push(Kind { name: gres.name.clone(), of });
            if types().count() == 1 {
                add(Of::Only(gres.kind.clone()));
            } else {
                add(Of::All);
                types().for_each(|one| add(Of::Type(one.kind.clone())));
            }
        }
        // The configuration is held against this where it is read; what no place is left for is
        // not given away.
        kinds.truncate(KINDS - FIRST);
        Self(kinds)
    }

    fn places(&self) -> impl Iterator<Item = (usize, &Kind)> {
        (FIRST..).zip(&self.0)
    }

    /// Adds so much of a name and type to the amounts.
    fn add(&self, amounts: &mut Amounts, name: &str, kind: Option<&str>, count: u64) {
        for (place, known) in self.places().filter(|(_, known)| known.name == name) {
            let counts = match &known.of {
                Of::Only(_) | Of::All => true,
                Of::Type(of) => of.as_deref() == kind,
            };
            if counts {
                amounts.0[place] = amounts.0[place].saturating_add(count);
            }
        }
    }

    /// What a node of the class has.
    pub(crate) fn total(&self, all: &[Gres]) -> Amounts {
        let mut amounts = Amounts::NONE;
        for gres in all {
            self.add(&mut amounts, &gres.name, gres.kind.as_deref(), gres.count);
        }
        amounts
    }

    /// What a run holds of a node. An id counts as what the configuration has made of it.
    pub(crate) fn held(&self, all: &[Gres], held: &[Gres]) -> Amounts {
        let mut amounts = Amounts::NONE;
        for gres in held {
            if gres.ids.is_empty() {
                self.add(&mut amounts, &gres.name, gres.kind.as_deref(), gres.count);
            }
            for id in &gres.ids {
                let has = |one: &&Gres| one.name == gres.name && one.ids.contains(id);
                if let Some(one) = all.iter().find(has) {
                    self.add(&mut amounts, &one.name, one.kind.as_deref(), 1);
                }
            }
        }
        amounts
    }

    /// What is asked for of a node of the class; none where it has nothing of the kind.
    pub(crate) fn asked<'a>(&self, wanted: impl Iterator<Item = &'a Wanted>) -> Option<Amounts> {
        let mut amounts = Amounts::NONE;
        for Wanted { name, kind, count } in wanted {
            let mut found = false;
            for (place, known) in self.places().filter(|(_, known)| known.name == *name) {
                let takes = match (&known.of, kind) {
                    (Of::Only(of), Some(_)) if of != kind => continue,
                    (Of::Only(_), _) | (Of::All, None) => {
                        found = true;
                        true
                    }
                    (Of::All, Some(_)) => true,
                    (Of::Type(_), None) => false,
                    (Of::Type(of), Some(_)) => {
                        found |= of == kind;
                        of == kind
                    }
                };
                if takes {
                    amounts.0[place] = amounts.0[place].saturating_add(*count);
                }
            }
            if !found {
                return None;
            }
        }
        Some(amounts)
    }

    /// Which types are given for what is asked for, with their counts. `free` is the least that is
    /// free of each type for as long as it is wanted. Says what that takes of the types, where the
    /// name alone was counted.
    pub(crate) fn choose(
        &self,
        all: &[Gres],
        wanted: &[Wanted],
        free: Amounts,
    ) -> (Vec<Gres>, Amounts) {
        let (mut given, mut besides) = (Vec::new(), Amounts::NONE);
        for Wanted { name, kind, count } in wanted {
            let mut give = |kind: &Option<String>, count| {
                let (name, kind) = (name.clone(), kind.clone());
                given.push(Gres { name, kind, count, ids: vec![] });
            };
            let types: Vec<&Gres> = all.iter().filter(|gres| gres.name == *name).collect();
            match (kind, types.as_slice()) {
                (Some(_), _) => give(kind, *count),
                (None, [only]) => give(&only.kind, *count),
                (None, several) => {
                    for (of, count) in self.shared_out(several, *count, free) {
                        give(&of.kind, count);
                        self.add_type(&mut besides, of, count);
                    }
                }
            }
        }
        (given, besides)
    }

    fn type_place(&self, gres: &Gres) -> Option<usize> {
        let is = |(_, known): &(usize, &Kind)| {
            known.name == gres.name && known.of == Of::Type(gres.kind.clone())
        };
        self.places().find(is).map(|(place, _)| place)
    }

    fn add_type(&self, amounts: &mut Amounts, gres: &Gres, count: u64) {
        if let Some(place) = self.type_place(gres) {
            amounts.0[place] = amounts.0[place].saturating_add(count);
        }
    }

    /// Of the types of a name, so many in all: of each what is free, in the configuration's order.
    /// Where the types that are free change meanwhile, the plan can't know which it will be, and
    /// takes the first.
    fn shared_out<'a>(
        &self,
        types: &[&'a Gres],
        count: u64,
        free: Amounts,
    ) -> Vec<(&'a Gres, u64)> {
        let (mut left, mut shares) = (count, Vec::new());
        let free_of = |gres: &Gres| self.type_place(gres).map_or(0, |place| free.0[place]);
        for gres in types {
            let share = left.min(free_of(gres));
            left -= share;
            shares.push((*gres, share));
        }
        for (gres, share) in &mut shares {
            let more = left.min(gres.count.saturating_sub(*share));
            left -= more;
            *share += more;
        }
        shares.retain(|(_, share)| *share > 0);
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gres(text: &str) -> Vec<Gres> {
        let wanted = Wanted::parse_list(text).expect("it is a list");
        let one = |Wanted { name, kind, count }| Gres { name, kind, count, ids: vec![] };
        wanted.into_iter().map(one).collect()
    }

    #[test]
    fn each_class_of_nodes_has_kinds_of_its_own() {
        let asked = |node: &str, job: &str| {
            let wanted = Wanted::parse_list(job).expect("it is a list");
            Kinds::of(&gres(node)).asked(wanted.iter()).map(|amounts| amounts.0[2..5].to_vec())
        };
        let same = "gpu:a100:4,tmp:9";
        assert_eq!(asked(same, "gpu:2,tmp:3"), Some(vec![2, 3, 0]));
        assert_eq!(asked(same, "gpu:a100:2"), Some(vec![2, 0, 0]));
        assert_eq!(asked(same, "gpu:v100:2"), None);
        assert_eq!(asked("gpu:4", "gpu:a100:2"), None, "nobody knows what they are");
        let mixed = "gpu:a100:2,gpu:v100:2";
        assert_eq!(asked(mixed, "gpu:3"), Some(vec![3, 0, 0]));
        assert_eq!(asked(mixed, "gpu:v100:1"), Some(vec![1, 0, 1]));
        assert_eq!(asked(mixed, "tmp:1"), None);
        let total = Kinds::of(&gres(mixed)).total(&gres(mixed));
        assert_eq!(total.0[2..5], [4, 2, 2]);
    }

    #[test]
    fn types_that_stay_free_are_given_first() {
        let node = gres("gpu:a100:2,gpu:v100:2");
        let choose = |count, free: [u64; 5]| {
            let wanted = Wanted { name: "gpu".into(), kind: None, count };
            let (given, besides) = Kinds::of(&node).choose(&node, &[wanted], Amounts::of(free));
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            (given.join(","), besides.0[3..5].to_vec())
        };
        assert_eq!(choose(2, [0, 0, 2, 0, 2]), ("gpu:v100:2".to_owned(), vec![0, 2]));
        let both = ("gpu:a100:1,gpu:v100:1".to_owned(), vec![1, 1]);
        assert_eq!(choose(2, [0, 0, 2, 1, 1]), both);
        let unknown = ("gpu:a100:2".to_owned(), vec![2, 0]);
        assert_eq!(choose(2, [0, 0, 2, 0, 0]), unknown);
    }
}

//! Sets of CPUs, and which of them are chosen.

use std::collections::BTreeSet;

use common::cpus::{CpuLayout, CpuSet, Grain, Request, choose};
use proptest::prelude::*;

fn set(ids: impl IntoIterator<Item = u32>) -> CpuSet {
    ids.into_iter().collect()
}

#[test]
fn sets_are_written_as_slurm_does() {
    assert_eq!(set([]).to_string(), "");
    assert_eq!(set([3]).to_string(), "3");
    assert_eq!(set([0, 1, 2, 3, 4, 5, 8, 9]).to_string(), "0-5,8-9");
    assert_eq!(set([0, 2, 4, 6]).to_string(), "0,2,4,6");
    assert_eq!(CpuSet::first(256).to_string(), "0-255");
}

fn ids() -> impl Strategy<Value = BTreeSet<u32>> {
    proptest::collection::btree_set(prop_oneof![0..70_u32, 100..300_u32], 0..40)
}

fn layout() -> impl Strategy<Value = CpuLayout> {
    (1..5_u32, 1..5_u32, 1..4_u32).prop_map(|(sockets, cores, threads)| CpuLayout {
        sockets,
        cores,
        threads,
    })
}

fn grain() -> impl Strategy<Value = Grain> {
    prop_oneof![Just(Grain::Cpu), Just(Grain::Core), Just(Grain::Socket)]
}

proptest! {
    #[test]
    fn sets_are_sets(one in ids(), other in ids()) {
        let (mut left, right) = (set(one.clone()), set(other.clone()));
        prop_assert_eq!(left.len() as usize, one.len());
        prop_assert_eq!(left.is_empty(), one.is_empty());
        prop_assert_eq!(left.iter().collect::<BTreeSet<_>>(), one.clone());
        prop_assert_eq!(left.is_disjoint(&right), one.is_disjoint(&other));
        prop_assert_eq!(left.includes(&right), one.is_superset(&other));
        prop_assert!((0..300).all(|id| left.contains(id) == one.contains(&id)));
        let runs = left.runs().into_iter().flat_map(|(first, count)| first..first + count);
        prop_assert_eq!(runs.collect::<BTreeSet<_>>(), one.clone());
        left.add(&right);
        prop_assert_eq!(&left, &set(one.union(&other).copied()));
        left.remove(&right);
        prop_assert_eq!(&left, &set(one.difference(&other).copied()), "equal sets are alike");
    }

    #[test]
    fn a_run_is_its_ids(first in 0..200_u32, count in 0..200_u32) {
        let mut run = CpuSet::default();
        run.insert_run(first, count);
        prop_assert_eq!(run, set(first..first + count));
    }

    /// What is chosen was free, is whole, and is as much as was asked for; and where there is as
    /// much, something is chosen.
    #[test]
    fn what_is_chosen_was_free(
        layout in layout(),
        grain in grain(),
        used in ids(),
        unnamed in 0..9_u32,
        steps in 1..20_u32,
        of_task in 0..9_u32,
    ) {
        let step = layout.step(grain);
        let used = set(used.into_iter().filter(|id| *id < layout.cpus()));
        let whole: Vec<u32> = (0..layout.cpus() / step)
            .filter(|at| (at * step..(at + 1) * step).all(|id| !used.contains(id)))
            .collect();
        let left = whole.len().saturating_sub(unnamed.div_ceil(step) as usize);
        let request = Request { cpus: steps * step, of_task };
        let chosen = choose(layout, grain, (&used, unnamed), request);
        prop_assert_eq!(chosen.is_some(), steps as usize <= left);
        if let Some(chosen) = chosen {
            prop_assert_eq!(chosen.len(), steps * step);
            let starts: BTreeSet<u32> = chosen.iter().map(|id| id / step).collect();
            prop_assert_eq!(starts.len(), steps as usize);
            prop_assert!(starts.iter().all(|at| whole[..left].contains(at)));
        }
        let part = Request { cpus: steps * step + 1, of_task };
        let parted = choose(layout, grain, (&used, unnamed), part);
        prop_assert!(step == 1 || parted.is_none(), "only whole cores and sockets are given");
    }
}

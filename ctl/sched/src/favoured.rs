//! Under `preempt/qos`, a job comes before those that would make way for it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, VecDeque},
};

use common::{
    account::Accounts,
    config::PreemptType,
    job::Job,
    machine::{QueueKey, State},
};

/// A job's place but for its QOS: the tier of its partition, and its own.
type Place = (Reverse<u16>, QueueKey);

/// Which QOS come before which: what Slurm looks at before tiers and priorities.
///
/// **Invariant:** no QOS comes before itself, by however many others: a table with such a circle is
/// refused.
#[derive(Debug)]
pub(crate) struct Favoured<'a> {
    /// Those before each.
    before: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Favoured<'a> {
    /// None where the order is that of tiers and priorities alone.
    pub(crate) fn of(view: &'a State) -> Option<Self> {
        let by_qos = view.config.as_deref()?.preemption.by == PreemptType::Qos;
        let accounts: &Accounts = view.accounts.as_deref().filter(|_| by_qos)?;
        let mut before: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for qos in &accounts.parts().qos {
            for below in &qos.preemption.preempts {
                before.entry(below).or_default().insert(&qos.name);
            }
        }
        (!before.is_empty()).then_some(Self { before })
    }

    /// Whether the job comes after another one, whatever their priorities.
    fn yields(&self, job: &Job, to: &Job) -> bool {
        let own = job.spec.qos.as_deref().and_then(|own| self.before.get(own));
        own.zip(to.spec.qos.as_deref()).is_some_and(|(before, other)| before.contains(other))
    }

    /// Of the first of each line: where the one stands who goes next.
    pub(crate) fn first(&self, view: &State, heads: &[(Place, usize)]) -> Option<usize> {
        let job = |head: &(Place, usize)| view.jobs.get(&head.0.1.job);
        let yields = |head: &(Place, usize)| {
            let others = heads.iter().filter_map(job);
            job(head).is_some_and(|own| others.into_iter().any(|other| self.yields(own, other)))
        };
        heads.iter().filter(|head| !yields(head)).min().map(|(_, at)| *at)
    }

    /// Puts those first that others would make way for, and changes nothing else.
    pub(crate) fn order<T>(&self, sorted: Vec<T>, qos: impl Fn(&T) -> Option<&'a str>) -> Vec<T> {
        let mut groups: BTreeMap<&str, VecDeque<(usize, T)>> = BTreeMap::new();
        for (at, one) in sorted.into_iter().enumerate() {
            groups.entry(qos(&one).unwrap_or_default()).or_default().push_back((at, one));
        }
        let mut order = Vec::new();
        loop {
            let yields = |name| {
                let before = self.before.get(name).into_iter().flatten();
                before.into_iter().any(|other| groups.contains_key(other))
            };
            let heads = groups.iter().filter(|(name, _)| !yields(*name));
            let places = heads.filter_map(|(name, group)| Some((group.front()?.0, *name)));
            let Some((_, first)) = places.min() else { return order };
            let group = groups.get_mut(first).expect("it was found there");
            order.extend(group.pop_front().map(|(_, one)| one));
            if group.is_empty() {
                groups.remove(first);
            }
        }
    }
}

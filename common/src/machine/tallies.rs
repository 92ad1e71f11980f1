//! How much the jobs of each association and QOS have: kept for speed, and follows from the jobs,
//! from the table of accounts, and from which partition has which QOS.
//!
//! Nothing is counted where no table was loaded.

use imbl::OrdMap;

use crate::{
    account::{Accounts, Qos, Tres},
    config::Config,
    gres::Gres,
    id::{NodeName, UserId},
    job::{Job, Phase, Place},
};

/// Whose jobs are counted together. Associations and QOS are known by their places in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// Of an association, and of all below it.
    Association(u32),
    /// Of a QOS: those that have it, and those in a partition that has it.
    Qos(u32),
    /// Of a QOS, those of one user.
    QosUser(u32, UserId),
    /// Of a QOS, those of one account: the place of its own association.
    QosAccount(u32, u32),
}

impl Whose {
    /// `account physics`
    pub(super) fn told(self, accounts: &Accounts) -> String {
        match self {
            Self::Association(at) => {
                let own = &accounts.associations()[at as usize];
                match &own.user {
                    Some(user) => format!("user {user} in account {}", own.account),
                    None => format!("account {}", own.account),
                }
            }
            Self::Qos(at) | Self::QosUser(at, _) | Self::QosAccount(at, _) => {
                format!("QOS {}", accounts.parts().qos[at as usize].name)
            }
        }
    }
}

/// What they have together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many are not over.
    pub submitted: u32,
    /// How many hold nodes.
    pub running: u32,
    pub cpus: u64,
    pub memory_mib: u64,
    /// How many of them hold something of each node.
    pub nodes: OrdMap<NodeName, u32>,
    /// Generic resources by name, and by name and type: `gpu`, `gpu:a100`. In small letters, as in
    /// limits.
    pub gres: OrdMap<String, u64>,
}

/// What says for whom a job counts.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a> {
    pub(super) accounts: &'a Accounts,
    pub(super) config: Option<&'a Config>,
}

impl<'a> Tables<'a> {
    /// None where no table of accounts was loaded.
    pub(super) fn of(accounts: Option<&'a Accounts>, config: Option<&'a Config>) -> Option<Self> {
        accounts.map(|accounts| Self { accounts, config })
    }

    /// The QOS of a partition, and its place; `Some(None)` where it has one that is not there.
    pub(super) fn qos_of(&self, partition: &str) -> Option<Option<(usize, &'a Qos)>> {
        let name = self.config?.partition(partition)?.qos.as_deref()?;
        Some(self.accounts.qos(name))
    }

    /// All that a job counts for. One that waits in several partitions counts in the first.
    fn counted(&self, job: &Job) -> impl Iterator<Item = Whose> + use<> {
        let mut all = Vec::with_capacity(8);
        let (accounts, spec) = (self.accounts, &job.spec);
        let account = spec.account.as_deref();
        let partition = job.partition.first();
        let own =
            account.and_then(|account| accounts.association(&spec.user_name, account, partition));
        if let Some((own, _)) = own {
            all.extend(accounts.upwards(own).map(|(at, _)| Whose::Association(number(at))));
        }
        let account = account.and_then(|account| accounts.account(account)).map(number);
        let own = spec.qos.as_deref().and_then(|name| accounts.qos(name)).map(|(at, _)| at);
        let of_partition = self.qos_of(partition).flatten().map(|(at, _)| at);
        for qos in own.into_iter().chain(of_partition.filter(|at| own != Some(*at))) {
            let qos = number(qos);
            all.extend([Whose::Qos(qos), Whose::QosUser(qos, spec.user)]);
            all.extend(account.map(|account| Whose::QosAccount(qos, account)));
        }
        all.into_iter()
    }
}

/// See the module. What has nothing is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies(OrdMap<Whose, Tally>);

/// What one job adds to each tally that it counts for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Part<'a> {
    submitted: u32,
    /// None: it holds no nodes.
    places: Option<&'a [Place]>,
}

impl Part<'_> {
    fn of(job: &Job) -> Part<'_> {
        let submitted = match job.phase {
            // Each waiting task of an array counts, as one with a job of its own does.
            Phase::Pending | Phase::Active(_) | Phase::Completing { .. } => job.tasks(),
            Phase::Ended { .. } => 0,
        };
        Part { submitted, places: job.holding().map(|run| run.places.as_slice()) }
    }
}

/// As what a share counts: as its name, and as its type.
pub(super) fn labelled(gres: &Gres) -> impl Iterator<Item = (String, u64)> {
    let count = gres.count;
    let of_type = gres.kind.is_some().then(|| gres.label());
    let labels = std::iter::once(gres.name.clone()).chain(of_type);
    labels.map(move |label| (label.to_ascii_lowercase(), count)).filter(|(_, count)| *count > 0)
}

impl Tally {
    /// How much of a resource its jobs hold.
    #[must_use]
    pub fn amount(&self, tres: &Tres) -> u64 {
        match tres {
            Tres::Cpu => self.cpus,
            Tres::Mem => self.memory_mib,
            Tres::Node => self.nodes.len() as u64,
            Tres::Gres(name) => self.gres.get(name).copied().unwrap_or(0),
        }
    }

    fn add(&mut self, part: Part<'_>) {
        self.submitted += part.submitted;
        let Some(places) = part.places else { return };
        self.running += 1;
        for place in places {
            self.cpus += u64::from(place.held.cpus);
            self.memory_mib += place.held.memory_mib;
            *self.nodes.entry(place.node.clone()).or_default() += 1;
            for (label, count) in place.gres.iter().flat_map(labelled) {
                *self.gres.entry(label).or_default() += count;
            }
        }
    }

    fn remove(&mut self, part: Part<'_>) {
        const COUNTED: &str = "what is taken away was counted";
        self.submitted = self.submitted.checked_sub(part.submitted).expect(COUNTED);
        let Some(places) = part.places else { return };
        self.running = self.running.checked_sub(1).expect(COUNTED);
        for place in places {
            let cpus = u64::from(place.held.cpus);
            self.cpus = self.cpus.checked_sub(cpus).expect(COUNTED);
            let memory_mib = self.memory_mib.checked_sub(place.held.memory_mib);
            self.memory_mib = memory_mib.expect(COUNTED);
            let jobs = self.nodes.get_mut(&place.node).expect(COUNTED);
            *jobs -= 1;
            if *jobs == 0 {
                self.nodes.remove(&place.node);
            }
            for (label, count) in place.gres.iter().flat_map(labelled) {
                let held = self.gres.get_mut(&label).expect(COUNTED);
                *held = held.checked_sub(count).expect(COUNTED);
                if *held == 0 {
                    self.gres.remove(&label);
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Tallies {
    /// Counts all of `jobs`.
    pub(super) fn of<'a>(tables: Tables<'_>, jobs: impl Iterator<Item = &'a Job>) -> Self {
        let mut tallies = Self::default();
        for job in jobs {
            tallies.add(tables, job, Part::of(job));
        }
        tallies
    }

    /// What they have; none where that is nothing.
    #[must_use]
    pub fn get(&self, whose: Whose) -> Option<&Tally> {
        self.0.get(&whose)
    }

    /// Follows a job's record from one to the next.
    pub(super) fn follow(&mut self, tables: Tables<'_>, old: Option<&Job>, new: Option<&Job>) {
        if let (Some(old), Some(new)) = (old, new)
            && same_place(old, new)
            && Part::of(old) == Part::of(new)
        {
            return;
        }
        if let Some(old) = old {
            let part = Part::of(old);
            for whose in tables.counted(old).filter(|_| part.submitted > 0) {
                let tally = self.0.get_mut(&whose).expect("a job that is not over was counted");
                tally.remove(part);
                if tally.is_empty() {
                    self.0.remove(&whose);
                }
            }
        }
        if let Some(new) = new {
            self.add(tables, new, Part::of(new));
        }
    }

    /// Counts a job as running that is to start.
    pub(super) fn start(&mut self, tables: Tables<'_>, job: &Job, places: &[Place]) {
        self.add(tables, job, Part { submitted: 0, places: Some(places) });
    }

    fn add(&mut self, tables: Tables<'_>, job: &Job, part: Part<'_>) {
        if part.submitted == 0 && part.places.is_none() {
            return;
        }
        for whose in tables.counted(job) {
            self.0.entry(whose).or_default().add(part);
        }
    }
}

/// Whether both count for the same.
fn same_place(old: &Job, new: &Job) -> bool {
    let spec = |job: &Job| (job.spec.user, job.spec.account.clone(), job.spec.qos.clone());
    old.partition == new.partition
        && (std::sync::Arc::ptr_eq(&old.spec, &new.spec) || spec(old) == spec(new))
}

/// A place in the table, as it is known by.
pub(super) fn number(place: usize) -> u32 {
    u32::try_from(place).expect("a table has fewer rows")
}

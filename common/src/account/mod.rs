//! Accounts, users, associations and QOS: who may have how much.
//!
//! A table of them is loaded as a whole, from a file in the form that `sacctmgr dump` writes
//! ([`parse()`]; [`Accounts`] displays itself as such a file). An association joins an account of
//! this cluster, a user of it and perhaps a partition, and is what limits hang on, beside the QOS
//! of a job.
//!
//! ```text
//!   root ─┬─ physics ─┬─ alice
//!         │           └─ alice, in the partition gpu
//!         └─ biology ─── lab ─── bob
//! ```
//!
//! **Invariant:** the root account is the first association, and a parent stands before its
//! children.

mod limits;
mod parse;
mod print;
mod tres;
mod weights;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::PreemptMode;

pub use limits::{Limits, Most};
pub use parse::{LineError, Loaded, parse};
pub use tres::{Tres, TresError, TresLimits};
pub use weights::{TresWeights, Weighing};

/// The account at the top, which is always there.
pub const ROOT: &str = "root";

/// The QOS that is always there.
pub const NORMAL: &str = "normal";

/// The longest name of an account, a user or a QOS, in bytes.
const MAX_NAME: usize = 255;

/// What a table holds, before it is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The cluster that it was made for.
    pub cluster: String,
    pub qos: Vec<Qos>,
    pub accounts: Vec<Account>,
    pub users: Vec<User>,
    pub associations: Vec<Association>,
}

/// A table that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    parts: Parts,
    // What follows from the parts.
    users: BTreeMap<String, usize>,
    of_user: BTreeMap<String, Vec<usize>>,
    of_account: BTreeMap<String, usize>,
    qos: BTreeMap<String, usize>,
}

/// A quality of service: limits, and a priority, that a job may choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qos {
    pub name: String,
    pub description: String,
    pub priority: u32,
    /// `Flags=DenyOnLimit`: a job that can never start for a limit of its size is refused.
    pub deny_on_limit: bool,
    /// `Flags=OverPartQOS`: its limits go before those of the partition's QOS.
    pub over_partition: bool,
    pub limits: Limits,
    /// `Max...PerUser`.
    pub per_user: Most,
    /// `Max...PerAccount`.
    pub per_account: Most,
    pub min_tres_per_job: TresLimits,
    /// `UsageFactor`, in millionths: how much a run under it counts as used; none: as it is.
    pub usage_factor: Option<u32>,
    pub preemption: QosPreemption,
}

impl Qos {
    /// `Flags`, as `sacctmgr` writes them.
    #[must_use]
    pub fn flags(&self) -> String {
        let flags = [(self.deny_on_limit, "DenyOnLimit"), (self.over_partition, "OverPartQOS")];
        let set: Vec<&str> =
            flags.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag).collect();
        set.join(",")
    }
}

/// Who makes way for jobs of a QOS, and how its own do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QosPreemption {
    /// `Preempt`: the QOS whose jobs make way.
    pub preempts: BTreeSet<String>,
    /// What becomes of its own jobs that make way. None: as the cluster says.
    pub mode: Option<PreemptMode>,
    /// Seconds that they are given to end.
    pub grace_time: u32,
    /// Seconds for which they do not. None: as the cluster says.
    pub exempt: Option<u32>,
}

/// Who pays, or for whom it is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub description: String,
    pub organization: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub name: String,
    /// The account of jobs that name none.
    pub default_account: String,
}

/// The shares of one association among its siblings: what it may use of what they use together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fairshare {
    Shares(u32),
    /// As if it stood in its parent's place.
    Parent,
}

/// An account, or a user of one, perhaps in one partition only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    pub account: String,
    /// None: the account itself.
    pub user: Option<String>,
    pub partition: Option<String>,
    /// The place of what it hangs below; none for the root account.
    pub parent: Option<u32>,
    pub fairshare: Fairshare,
    pub priority: u32,
    pub limits: Limits,
    /// `MaxJobs` and `MaxSubmitJobs`: of a user, or of each user of an account that does not say.
    pub most: Most,
    /// Which QOS a job may choose; none: as the parent says.
    pub qos: Option<BTreeSet<String>>,
    pub default_qos: Option<String>,
}

impl Association {
    /// One without limits.
    #[must_use]
    pub fn of(account: &str, parent: Option<u32>) -> Self {
        Self {
            account: account.to_owned(),
            user: None,
            partition: None,
            parent,
            fairshare: Fairshare::Shares(1),
            priority: 0,
            limits: Limits::default(),
            most: Most::default(),
            qos: None,
            default_qos: None,
        }
    }
}

/// Why a table makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    #[error("`{0}' can't be a name")]
    Name(String),
    #[error("`{0}' can't be a description")]
    Text(String),
    #[error("{0} stands twice")]
    Twice(String),
    #[error("there is no account {0}")]
    NoAccount(String),
    #[error("there is no QOS {0}")]
    NoQos(String),
    #[error("user {user} has the default account {account}, and no association with it")]
    DefaultAccount { user: String, account: String },
    #[error("jobs of QOS {0} would make way for each other")]
    Circle(String),
    #[error("the associations are no tree")]
    Tree,
}

/// Nobody makes way for those who make way for him.
fn check_preemption(parts: &Parts, known: &BTreeMap<String, usize>) -> Result<(), AccountsError> {
    for qos in &parts.qos {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&String> = qos.preemption.preempts.iter().collect();
        while let Some(name) = next.pop() {
            if *name == qos.name {
                return Err(AccountsError::Circle(name.clone()));
            }
            let Some(at) = known.get(name) else { return Err(AccountsError::NoQos(name.clone())) };
            if seen.insert(name) {
                next.extend(&parts.qos[*at].preemption.preempts);
            }
        }
    }
    Ok(())
}

impl Accounts {
    /// # Errors
    /// Where something is named that is not there, or stands twice, or in the wrong order.
    pub fn new(mut parts: Parts) -> Result<Self, AccountsError> {
        if !parts.qos.iter().any(|qos| qos.name == NORMAL) {
            parts.qos.push(Qos { name: NORMAL.to_owned(), ..Qos::default() });
        }
        let qos = unique(parts.qos.iter().map(|qos| qos.name.as_str()), "QOS")?;
        let accounts = unique(parts.accounts.iter().map(|one| one.name.as_str()), "account")?;
        let users = unique(parts.users.iter().map(|user| user.name.as_str()), "user")?;
        check_texts(&parts)?;
        check_preemption(&parts, &qos)?;
        let mut of_user: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut of_account = BTreeMap::new();
        for (at, association) in parts.associations.iter().enumerate() {
            check_tree(&parts, at)?;
            let Association { account, user, partition, .. } = association;
            if !accounts.contains_key(account) {
                return Err(AccountsError::NoAccount(account.clone()));
            }
            let mut named = association.qos.iter().flatten().chain(&association.default_qos);
            if let Some(unknown) = named.find(|name| !qos.contains_key(*name)) {
                return Err(AccountsError::NoQos(unknown.clone()));
            }
            let Some(user) = user else {
                if of_account.insert(account.clone(), at).is_some() {
                    return Err(AccountsError::Twice(format!("account {account}")));
                }
                continue;
            };
            if !users.contains_key(user) {
                return Err(AccountsError::Name(user.clone()));
            }
            let theirs = of_user.entry(user.clone()).or_default();
            let same = |other: &&usize| {
                let other = &parts.associations[**other];
                other.account == *account && other.partition == *partition
            };
            if theirs.iter().find(same).is_some() {
                return Err(AccountsError::Twice(format!("user {user} of account {account}")));
            }
            theirs.push(at);
        }
        if of_account.get(ROOT) != Some(&0) || of_account.len() != accounts.len() {
            return Err(AccountsError::Tree);
        }
        for User { name: user, default_account } in &parts.users {
            let theirs = of_user.get(user).into_iter().flatten();
            let mut accounts = theirs.map(|at| &parts.associations[*at].account);
            if !accounts.any(|account| account == default_account) {
                let (user, account) = (user.clone(), default_account.clone());
                return Err(AccountsError::DefaultAccount { user, account });
            }
        }
        Ok(Self { parts, users, of_user, of_account, qos })
    }

    #[must_use]
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// All associations, the root account first.
    #[must_use]
    pub fn associations(&self) -> &[Association] {
        &self.parts.associations
    }

    /// The association of a user's job, and its place: the one for its partition, or else the one
    /// for all partitions.
    #[must_use]
    pub fn association(
        &self,
        user: &str,
        account: &str,
        partition: &str,
    ) -> Option<(usize, &Association)> {
        let theirs = self.of_user.get(user)?.iter().map(|at| (*at, &self.parts.associations[*at]));
        let of_account = theirs.filter(|(_, one)| one.account == account);
        let fits = of_account
            .filter(|(_, one)| one.partition.as_deref().is_none_or(|name| name == partition));
        fits.max_by_key(|(_, one)| one.partition.is_some())
    }

    /// The place of an account's own association.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<usize> {
        self.of_account.get(name).copied()
    }

    /// The association at this place and those above it, up to the root account.
    pub fn upwards(&self, at: usize) -> impl Iterator<Item = (usize, &Association)> {
        let above = |at: &usize| self.parts.associations[*at].parent.map(|parent| parent as usize);
        std::iter::successors(Some(at), above).map(|at| (at, &self.parts.associations[at]))
    }

    #[must_use]
    pub fn qos(&self, name: &str) -> Option<(usize, &Qos)> {
        self.qos.get(name).map(|at| (*at, &self.parts.qos[*at]))
    }

    #[must_use]
    pub fn default_account(&self, user: &str) -> Option<&str> {
        self.users.get(user).map(|at| self.parts.users[*at].default_account.as_str())
    }

    /// Whether a job of the association may choose the QOS.
    #[must_use]
    pub fn allows_qos(&self, association: usize, name: &str) -> bool {
        match self.allowed_qos(association) {
            Some(allowed) => allowed.contains(name),
            None => name == NORMAL,
        }
    }

    /// Which QOS the association, or the nearest above it that says so, allows.
    fn allowed_qos(&self, association: usize) -> Option<&BTreeSet<String>> {
        self.upwards(association).find_map(|(_, one)| one.qos.as_ref())
    }

    /// The QOS of a job of the association that chooses none: the default one; else the only one
    /// that it may choose; else `normal`.
    #[must_use]
    pub fn default_qos(&self, association: Option<usize>) -> &str {
        let Some(association) = association else { return NORMAL };
        if let Some(default) =
            self.upwards(association).find_map(|(_, one)| one.default_qos.as_ref())
        {
            return default;
        }
        match self.allowed_qos(association) {
            Some(allowed) if allowed.len() == 1 => allowed.first().map_or(NORMAL, String::as_str),
            Some(_) | None => NORMAL,
        }
    }
}

/// The places of what has these names.
fn unique<'a>(
    names: impl Iterator<Item = &'a str>,
    what: &str,
) -> Result<BTreeMap<String, usize>, AccountsError> {
    let mut places = BTreeMap::new();
    for (at, name) in names.enumerate() {
        if !is_name(name) {
            return Err(AccountsError::Name(name.to_owned()));
        }
        if places.insert(name.to_owned(), at).is_some() {
            return Err(AccountsError::Twice(format!("{what} {name}")));
        }
    }
    Ok(places)
}

/// Whether this can be the name of an account, a user, a QOS or a partition. What separates names
/// in a file, or would not be seen, is in none.
fn is_name(text: &str) -> bool {
    let valid = |letter: char| !letter.is_control() && !" \t'\":,=|".contains(letter);
    !text.is_empty() && text.len() <= MAX_NAME && text.chars().all(valid)
}

/// A description stands on one line, between quotes of one kind.
fn check_texts(parts: &Parts) -> Result<(), AccountsError> {
    let of_accounts = parts.accounts.iter().flat_map(|one| [&one.description, &one.organization]);
    let mut texts = of_accounts.chain(parts.qos.iter().map(|qos| &qos.description));
    let bad = |text: &&String| {
        text.chars().any(char::is_control) || (text.contains('"') && text.contains('\''))
    };
    texts.find(bad).map_or(Ok(()), |text| Err(AccountsError::Text(text.clone())))
}

/// Whether the association hangs below an account that stands before it: its own, if it is a
/// user's.
fn check_tree(parts: &Parts, at: usize) -> Result<(), AccountsError> {
    let Association { account, user, partition, parent, .. } = &parts.associations[at];
    if partition.as_deref().is_some_and(|name| !is_name(name)) {
        return Err(AccountsError::Name(partition.clone().unwrap_or_default()));
    }
    let Some(parent) = parent else {
        let is_root = at == 0 && account == ROOT && user.is_none() && partition.is_none();
        return if is_root { Ok(()) } else { Err(AccountsError::Tree) };
    };
    let above = parts.associations[..at].get(*parent as usize).ok_or(AccountsError::Tree)?;
    let own = user.is_none() || above.account == *account;
    let sound = above.user.is_none() && own && (user.is_some() || partition.is_none());
    if sound { Ok(()) } else { Err(AccountsError::Tree) }
}

//! Reads a file in the form of `sacctmgr dump`.
//!
//! ```text
//! # a comment
//! QOS - 'long':Description='for long jobs':MaxWallDurationPerJob=10080
//! Cluster - 'linux':Fairshare=1:QOS='normal'
//! Parent - 'root'
//! Account - 'physics':Description='Physics':Organization='science':GrpTRES=cpu=512
//! Parent - 'physics'
//! User - 'alice':DefaultAccount='physics':MaxSubmitJobs=100
//! ```
//!
//! Keys are read in whatever case, and names of accounts and QOS in small letters, as Slurm keeps
//! them. What would limit something that is not counted here is refused by its name.

mod options;
mod scan;

use std::collections::{BTreeMap, BTreeSet};

use options::{Found, OfAccount, OfQos, OfUser};
use scan::{Line, scan};

use super::{Account, Accounts, AccountsError, Association, Parts, Qos, ROOT, User};

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    pub accounts: Accounts,
    /// What is kept, or passed over, and has no effect: the keys, each with the line where it
    /// stands first.
    pub idle: BTreeMap<&'static str, usize>,
}

/// What is wrong with a line; lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct LineError {
    pub line: usize,
    pub message: String,
}

/// Reads the text of a file.
///
/// # Errors
/// All that is wrong with it: a file that is wrong somewhere says nothing.
pub fn parse(text: &str) -> Result<Loaded, Vec<LineError>> {
    let mut reader = Reader::default();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        reader.line = line;
        if let Err(message) = scan(text).and_then(|line| reader.take(&line)) {
            reader.errors.push(LineError { line, message });
        }
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    parts: Parts,
    /// The line that each association stands on.
    lines: Vec<usize>,
    /// Where a QOS is named, and which.
    named_qos: Vec<(usize, String)>,
    /// The places of accounts and users, and whose associations have been seen.
    accounts: BTreeMap<String, usize>,
    users: BTreeMap<String, usize>,
    seen: BTreeSet<(usize, String, Option<String>)>,
    /// The place of the account whose children follow.
    parent: Option<usize>,
    line: usize,
    idle: BTreeMap<&'static str, usize>,
    errors: Vec<LineError>,
}

impl Reader {
    fn take(&mut self, line: &Line<'_>) -> Result<(), String> {
        let kind = line.kind.to_ascii_lowercase();
        match kind.as_str() {
            "qos" => self.qos(line),
            "cluster" | "machine" => self.cluster(line),
            "parent" => self.below(line),
            "account" | "project" => self.account(line),
            "user" => self.user(line),
            _ => {
                let kind = line.kind;
                Err(format!("`{kind}' is none of QOS, Cluster, Parent, Account and User"))
            }
        }
    }

    /// Notes a key that has no effect.
    fn note(&mut self, found: Found) {
        if let Found::Idle(key) = found {
            self.idle.entry(key).or_insert(self.line);
        }
    }

    fn qos(&mut self, line: &Line<'_>) -> Result<(), String> {
        let mut qos = Qos { name: line.name.to_ascii_lowercase(), ..Qos::default() };
        if self.parts.qos.iter().any(|known| known.name == qos.name) {
            return Err(format!("QOS {} stands twice", qos.name));
        }
        let read = line.options.iter().try_for_each(|(key, value)| {
            let found = OfQos(&mut qos).take(key, value)?;
            self.note(found);
            Ok(())
        });
        let below = qos.preemption.preempts.iter();
        self.named_qos.extend(below.map(|name| (self.line, name.clone())));
        // Whoever names it is not to blame for what is wrong with it.
        self.parts.qos.push(qos);
        read
    }

    fn cluster(&mut self, line: &Line<'_>) -> Result<(), String> {
        if !self.parts.associations.is_empty() {
            return Err("a second cluster: a file is of one".to_owned());
        }
        self.parts.cluster = line.name.to_ascii_lowercase();
        self.add(line, root(), Association::of(ROOT, None))
    }

    /// Takes over an account with the options of its line. Whatever is wrong with these, the lines
    /// below are read as those of its children.
    fn add(
        &mut self,
        line: &Line<'_>,
        mut account: Account,
        mut association: Association,
    ) -> Result<(), String> {
        let read = line.options.iter().try_for_each(|(key, value)| {
            let found = OfAccount(&mut account, &mut association).take(key, value)?;
            self.note(found);
            Ok(())
        });
        self.accounts.insert(account.name.clone(), self.parts.associations.len());
        self.parts.accounts.push(account);
        self.push(association);
        read
    }

    fn push(&mut self, association: Association) {
        let named = association.qos.iter().flatten().chain(&association.default_qos);
        self.named_qos.extend(named.map(|name| (self.line, name.clone())));
        self.parts.associations.push(association);
        self.lines.push(self.line);
    }

    fn below(&mut self, line: &Line<'_>) -> Result<(), String> {
        self.begun()?;
        if let Some((key, _)) = line.options.first() {
            return Err(format!("a Parent has no options, such as {key}"));
        }
        let name = line.name.to_ascii_lowercase();
        let place = self.accounts.get(&name).copied();
        self.parent = place;
        place.map(|_| ()).ok_or_else(|| format!("account {name} has to stand before its children"))
    }

    fn begun(&self) -> Result<(), String> {
        match self.parts.associations.is_empty() {
            true => Err("a line `Cluster - 'NAME'' has to come first".to_owned()),
            false => Ok(()),
        }
    }

    fn account(&mut self, line: &Line<'_>) -> Result<(), String> {
        self.begun()?;
        let name = line.name.to_ascii_lowercase();
        let parent = self.parent.unwrap_or(0);
        let account = Account { name: name.clone(), ..Account::default() };
        let association = Association::of(&name, place(parent));
        if self.accounts.contains_key(&name) {
            // What is below it is read all the same, as the first one's.
            return Err(format!("account {name} stands twice"));
        }
        self.add(line, account, association)
    }

    fn user(&mut self, line: &Line<'_>) -> Result<(), String> {
        self.begun()?;
        let parent = self.parent.unwrap_or(0);
        let account = self.parts.associations[parent].account.clone();
        let mut association = Association::of(&account, place(parent));
        association.user = Some(line.name.to_owned());
        let mut default = None;
        for (key, value) in &line.options {
            let found = OfUser(&mut association, &mut default).take(key, value)?;
            self.note(found);
        }
        let own = (parent, line.name.to_owned(), association.partition.clone());
        if !self.seen.insert(own) {
            return Err(format!("user {} of account {account} stands twice", line.name));
        }
        let known = self.users.get(line.name).map(|at| &self.parts.users[*at].default_account);
        match (known, default) {
            (Some(other), Some(default)) if *other != default => {
                return Err(format!("DefaultAccount of {} is {other} above", line.name));
            }
            (Some(_), _) => {}
            (None, default) => {
                let (name, default_account) = (line.name.to_owned(), default.unwrap_or(account));
                self.users.insert(name.clone(), self.parts.users.len());
                self.parts.users.push(User { name, default_account });
            }
        }
        self.push(association);
        Ok(())
    }

    fn finish(mut self) -> Result<Loaded, Vec<LineError>> {
        for (line, name) in &self.named_qos {
            if name != super::NORMAL && !self.parts.qos.iter().any(|qos| qos.name == *name) {
                let message = format!("there is no QOS {name} in this file");
                self.errors.push(LineError { line: *line, message });
            }
        }
        if let Err(message) = self.begun()
            && self.errors.is_empty()
        {
            self.errors.push(LineError { line: self.line + 1, message });
        }
        if !self.errors.is_empty() {
            self.errors.sort_by_key(|error| error.line);
            return Err(self.errors);
        }
        let Self { parts, lines, idle, .. } = self;
        let line_of = |error: &AccountsError| match error {
            AccountsError::DefaultAccount { user, .. } => {
                let of_user = |one: &Association| one.user.as_ref() == Some(user);
                parts.associations.iter().position(of_user).map(|at| lines[at])
            }
            AccountsError::Name(name) => {
                let named = |one: &Association| {
                    let user = one.user.as_ref().or(one.partition.as_ref());
                    one.account == *name || user == Some(name)
                };
                parts.associations.iter().position(named).map(|at| lines[at])
            }
            AccountsError::Text(_)
            | AccountsError::Twice(_)
            | AccountsError::NoAccount(_)
            | AccountsError::NoQos(_)
            | AccountsError::Circle(_)
            | AccountsError::Tree => None,
        };
        match Accounts::new(parts.clone()) {
            Ok(accounts) => Ok(Loaded { accounts, idle }),
            Err(error) => {
                let line = line_of(&error).unwrap_or(1);
                Err(vec![LineError { line, message: error.to_string() }])
            }
        }
    }
}

fn root() -> Account {
    Account {
        name: ROOT.to_owned(),
        description: "default root account".to_owned(),
        organization: ROOT.to_owned(),
    }
}

fn place(at: usize) -> Option<u32> {
    Some(u32::try_from(at).expect("a file has fewer lines"))
}

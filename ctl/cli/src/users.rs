//! Users by name and by number, as this host knows them.

use std::collections::HashMap;

use nix::unistd::{Uid, User};

/// The number of a user who is named, or whose number is given.
pub(crate) fn id(name: &str) -> Option<u32> {
    if let Some(user) = User::from_name(name).ok().flatten() {
        return Some(user.uid.as_raw());
    }
    name.parse().ok()
}

/// Names of users, each looked up once.
#[derive(Debug, Default)]
pub(crate) struct UserNames(HashMap<u32, Option<String>>);

impl UserNames {
    /// The user's name, or the number of one who has none.
    pub(crate) fn name(&mut self, uid: u32) -> String {
        let look = || User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
        let name = self.0.entry(uid).or_insert_with(look);
        name.clone().unwrap_or_else(|| uid.to_string())
    }
}

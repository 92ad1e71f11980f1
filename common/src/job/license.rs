//! Licenses: what a cluster has so many of in all, on whichever nodes (`sbatch --licenses`).

use std::collections::BTreeMap;

/// So many of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Licenses {
    /// As they were asked for, which is what is shown.
    pub text: String,
    /// Each name once, in rising order, and at least one of it.
    pub counts: Vec<(String, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LicenseError {
    /// In Slurm's words.
    #[error("Invalid license specification")]
    Malformed,
    #[error("alternatives (`|`) are not chosen among")]
    Alternatives,
}

impl Licenses {
    pub const NONE: Self = Self { text: String::new(), counts: vec![] };

    /// `matlab:2,ansys`, with commas or semicolons. A name that stands twice counts for the sum; 0
    /// of one is none of it.
    ///
    /// # Errors
    /// Where it is no such list.
    pub fn parse(text: &str) -> Result<Self, LicenseError> {
        if text.contains('|') {
            return Err(LicenseError::Alternatives);
        }
        let mut counts: Vec<(String, u32)> = vec![];
        for item in text.split([',', ';']).map(str::trim).filter(|item| !item.is_empty()) {
            let (name, count) = license(item).ok_or(LicenseError::Malformed)?;
            match counts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum = sum.checked_add(count).ok_or(LicenseError::Malformed)?,
                None => counts.push((name, count)),
            }
        }
        counts.retain(|(_, count)| *count > 0);
        counts.sort();
        Ok(Self { text: text.trim().to_owned(), counts })
    }

    /// What several ask for together. Saturates.
    pub fn sum<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = BTreeMap::<&str, u32>::new();
        for (name, count) in all.into_iter().flat_map(|asked| &asked.counts) {
            let all = sum.entry(name).or_default();
            *all = all.saturating_add(*count);
        }
        let counts = sum.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        Self { text: String::new(), counts }
    }

    /// How many of one.
    #[must_use]
    pub fn count(&self, name: &str) -> u32 {
        let asked = self.counts.iter().find(|(known, _)| known == name);
        asked.map_or(0, |(_, count)| *count)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// `name` or `name:count`.
pub(crate) fn license(item: &str) -> Option<(String, u32)> {
    let (name, count) = match item.split_once(':') {
        Some((name, count)) => (name, digits(count)?),
        None => (item, 1),
    };
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@/+".contains(&byte);
    let named = (1..=64).contains(&name.len()) && name.bytes().all(valid);
    named.then(|| (name.to_owned(), count))
}

fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

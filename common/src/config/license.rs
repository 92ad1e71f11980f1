//! Which licenses a cluster has.

use super::Config;
use crate::job::license;

/// So many of one (`Licenses=matlab:4`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LicenseConf {
    pub name: String,
    pub total: u32,
}

/// `matlab:4,ansys:2`
pub(super) fn licenses(value: &str) -> Result<Vec<LicenseConf>, String> {
    let mut all: Vec<LicenseConf> = vec![];
    for item in value.split([',', ';']).map(str::trim).filter(|item| !item.is_empty()) {
        let wanted = || format!("`{item}': a name and a number are wanted, such as matlab:4");
        let (name, total) = license(item).ok_or_else(wanted)?;
        if all.iter().any(|known| known.name == name) {
            return Err(format!("{name} stands twice"));
        }
        all.push(LicenseConf { name, total });
    }
    all.sort();
    Ok(all)
}

impl Config {
    /// How many there are of a license.
    #[must_use]
    pub fn license_total(&self, name: &str) -> u32 {
        let known = self.licenses.iter().find(|license| license.name == name);
        known.map_or(0, |license| license.total)
    }
}

//! What `AccountingStorageEnforce` lets hold.

/// Each of the later ones brings the first with it, as in Slurm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enforce {
    /// A job needs an association.
    pub associations: bool,
    /// Limits of associations and QOS hold.
    pub limits: bool,
    /// A job's QOS is one that its association allows.
    pub qos: bool,
}

/// What asks for nothing.
pub(super) const NOTHING: [&str; 3] = ["none", "0", "no"];

pub(super) fn enforce(value: &str) -> Result<Enforce, String> {
    let mut enforce = Enforce::default();
    for option in value.split(',').map(str::trim).filter(|option| !option.is_empty()) {
        let is = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(option));
        if is(&NOTHING) {
            continue;
        }
        enforce.associations = true;
        if is(&["limits", "limit"]) {
            enforce.limits = true;
        } else if is(&["qos"]) {
            enforce.qos = true;
        } else if is(&["safe", "all", "1", "yes"]) {
            return Err(format!("{option} is refused: usage is not counted; name what is wanted"));
        } else if is(&["wckeys", "wckey", "nojobs", "nosteps"]) {
            return Err(format!("{option} is refused: it would not be enforced"));
        } else if !is(&["associations", "association"]) {
            return Err(format!("`{option}' is none of associations, limits and qos"));
        }
    }
    Ok(enforce)
}

//! `--mail-type` and `--mail-user`: no mail is sent.

use super::complaint::Complaint;

/// Slurm's events for mail.
const TYPES: [&str; 13] = [
    "BEGIN",
    "END",
    "FAIL",
    "REQUEUE",
    "ALL",
    "INVALID_DEPEND",
    "STAGE_OUT",
    "TIME_LIMIT",
    "TIME_LIMIT_90",
    "TIME_LIMIT_80",
    "TIME_LIMIT_50",
    "ARRAY_TASKS",
    "NONE",
];

/// Refuses mail, unless none is asked for.
pub(super) fn check(types: &str) -> Result<(), Complaint> {
    let is = |text: &str, name: &str| text.trim().eq_ignore_ascii_case(name);
    let known = |text: &str| TYPES.iter().any(|name| is(text, name));
    if !types.split(',').all(known) {
        return Err(Complaint::specification("mail-type"));
    }
    if types.split(',').all(|text| is(text, "NONE")) {
        return Ok(());
    }
    Err(not_configured("mail-type"))
}

pub(super) fn not_configured(option: &str) -> Complaint {
    Complaint::unsupported(option, "mail is not configured on this cluster")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_no_mail_is_accepted() {
        assert_eq!(check("none"), Ok(()));
        for types in ["END", "begin,End", "ALL", "time_limit_80", "NONE,END"] {
            assert_eq!(check(types), Err(not_configured("mail-type")), "{types}");
        }
        for types in ["BOGUS", "", "END,", "END FAIL"] {
            assert_eq!(check(types), Err(Complaint::specification("mail-type")), "{types}");
        }
    }
}

//! How the value of a key is printed.

use crate::time;

/// What stands where nothing is set.
pub(super) const NULL: &str = "(null)";

/// How a value is printed, each with what is printed of a key that is not set.
pub(super) enum Form {
    /// As it was written.
    Text(&'static str),
    /// In capital letters.
    Capitals(&'static str),
    /// A number, with its unit behind it.
    Unit(&'static str, &'static str),
    /// A length of time in Slurm's forms.
    Time(&'static str),
    YesNo,
    /// On a line for each value; on none where none is set.
    List,
    /// Not from the settings, but by the key's own code.
    Own,
}

pub(super) const OWN: Form = Form::Own;
pub(super) const LIST: Form = Form::List;
pub(super) const YES_NO: Form = Form::YesNo;
pub(super) const UNSET: Form = Form::Text(NULL);

pub(super) const fn text(default: &'static str) -> Form {
    Form::Text(default)
}

pub(super) const fn capitals(default: &'static str) -> Form {
    Form::Capitals(default)
}

pub(super) const fn unit(default: &'static str, unit: &'static str) -> Form {
    Form::Unit(default, unit)
}

pub(super) const fn time(default: &'static str) -> Form {
    Form::Time(default)
}

impl Form {
    /// The text of a value that is set, or of none that is.
    pub(super) fn print(&self, set: Option<&str>) -> String {
        match self {
            Self::Text(default) => {
                let value = set.unwrap_or(default);
                // A plugin that does nothing is shown as none.
                let none = value.ends_with("/none") || (*default == NULL && value == "none");
                if none { NULL.to_owned() } else { value.to_owned() }
            }
            Self::Capitals(default) => set.unwrap_or(default).to_ascii_uppercase(),
            Self::Unit(default, unit) => format!("{} {unit}", set.unwrap_or(default)),
            Self::Time(default) => {
                let value = set.unwrap_or(default);
                match time::parse_span(value) {
                    Ok(Some(span)) => span.padded(),
                    Ok(None) | Err(_) => value.to_owned(),
                }
            }
            Self::YesNo => {
                let yes = set.is_some_and(|value| {
                    ["yes", "true", "up", "1"].iter().any(|yes| yes.eq_ignore_ascii_case(value))
                });
                if yes { "yes" } else { "no" }.to_owned()
            }
            Self::List | Self::Own => set.unwrap_or(NULL).to_owned(),
        }
    }
}

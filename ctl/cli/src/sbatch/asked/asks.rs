//! What few jobs ask for.

use common::{
    job::{LicenseError, Licenses},
    time::TimeLimit,
};

use super::{
    Asked,
    apply::{Setting, moment},
};
use crate::sbatch::{complaint::Complaint, table::Ask};

impl Asked {
    pub(super) fn ask(
        &mut self,
        ask: Ask,
        text: &str,
        setting: Setting<'_>,
    ) -> Result<(), Complaint> {
        match ask {
            Ask::Deadline => self.asks.deadline = Some(moment("deadline", text, setting)?),
            Ask::Licenses => self.asks.licenses = licenses(text)?,
            Ask::Priority => self.asks.priority = Some(priority(text)?),
            Ask::TimeMin => self.asks.time_min = Some(time_min(text)?),
        }
        Ok(())
    }
}

/// Slurm's controller reads them, so they are wrong in the controller's words.
fn licenses(text: &str) -> Result<Licenses, Complaint> {
    Licenses::parse(text).map_err(|error| match error {
        LicenseError::Malformed => {
            Complaint::error(format!("Batch job submission failed: {error}"))
        }
        LicenseError::Alternatives => {
            Complaint::unsupported("licenses with |", "ask for one of them")
        }
    })
}

fn time_min(text: &str) -> Result<TimeLimit, Complaint> {
    TimeLimit::parse(text).map_err(|_| Complaint::specification("time-min"))
}

/// Above this Slurm takes no priority. `TOP` is the highest below.
const MOST_PRIORITY: u32 = 4_294_967_294;

/// Slurm takes a word for 0, and 0 for no priority at all.
fn priority(text: &str) -> Result<u32, Complaint> {
    if text.eq_ignore_ascii_case("TOP") {
        return Ok(MOST_PRIORITY - 1);
    }
    if text.starts_with('-') {
        return Err(Complaint::senseless("Priority must be >= 0"));
    }
    match text.parse::<u64>() {
        Ok(0) | Err(_) => Err(Complaint::number("priority", text)),
        Ok(number) => u32::try_from(number)
            .ok()
            .filter(|number| *number < MOST_PRIORITY)
            .ok_or_else(|| Complaint::senseless(format!("Priority must be < {MOST_PRIORITY}"))),
    }
}

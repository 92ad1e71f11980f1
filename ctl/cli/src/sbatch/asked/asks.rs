//! What few jobs ask for.

use common::job::{LicenseError, Licenses};

use super::Asked;
use crate::sbatch::{complaint::Complaint, table::Ask};

impl Asked {
    pub(super) fn ask(&mut self, ask: Ask, text: &str) -> Result<(), Complaint> {
        match ask {
            Ask::Licenses => self.asks.licenses = licenses(text)?,
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

//! What a run is charged.

use crate::{
    account::TresWeights,
    config::{PartitionConf, Priority},
    job::{Charge, Job, Place},
    machine::{State, Wants},
};

/// What a run of the job on these places costs; none where that is a unit for each CPU.
pub(super) fn charge(
    state: &State,
    partition: &PartitionConf,
    job: &Job,
    places: &[Place],
) -> Option<Charge> {
    let config = state.config.as_ref()?;
    let qos = state.accounts.as_ref().zip(job.spec.qos.as_deref());
    let factor = qos.and_then(|(accounts, name)| accounts.qos(name)?.1.usage_factor);
    let weights = &partition.billing_weights;
    if state.format < 2 || (weights.is_empty() && factor.is_none()) {
        return None;
    }
    let weights = TresWeights::parse(weights).unwrap_or_default();
    let wants = Wants::of(places);
    #[expect(clippy::cast_precision_loss, reason = "a charge is rounded in any case")]
    let billed = match weights.is_empty() {
        true => wants.cpus as f64,
        false => weights.weigh(Priority::billing(config), |tres| wants.amount(tres)),
    };
    let factor = f64::from(factor.unwrap_or(1_000_000));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let charge = (billed * factor).round() as u64;
    Some(Charge(charge))
}

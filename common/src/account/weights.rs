//! What resources weigh: `TRESBillingWeights` of partitions, `PriorityWeightTRES`.

use super::{Tres, TresError};

/// Weights, each once, of a unit of a resource: a CPU, a MiB, a node, a generic resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TresWeights(pub Vec<(Tres, f64)>);

/// How weighed amounts come to one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weighing {
    #[default]
    Sum,
    /// `PriorityFlags=MAX_TRES`: the greatest counts alone.
    Greatest,
    /// `MAX_TRES_GRES`: the greatest of CPUs, memory and nodes, and generic resources with it.
    GreatestAndGres,
}

impl TresWeights {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads `CPU=1.0,Mem=0.25G,GRES/gpu=2.0`. A weight with a unit is for one of that unit; memory
    /// is in MiB where none is given.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TresError> {
        let mut weights: Vec<(Tres, f64)> = vec![];
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, weight) = part.split_once('=').ok_or(TresError::Form)?;
            let tres = Tres::parse(name.trim())?;
            let weight = weight_of(&tres, weight.trim()).ok_or(TresError::Form)?;
            if weights.iter().any(|(known, _)| *known == tres) {
                return Err(TresError::Twice(name.to_owned()));
            }
            weights.push((tres, weight));
        }
        Ok(Self(weights))
    }

    /// What amounts come to.
    #[must_use]
    pub fn weigh(&self, how: Weighing, amount: impl Fn(&Tres) -> u64) -> f64 {
        let (mut sum, mut greatest) = (0.0, 0.0_f64);
        for (tres, weight) in &self.0 {
            #[expect(clippy::cast_precision_loss, reason = "a weight is no exact thing")]
            let weighed = weight * amount(tres) as f64;
            match (how, tres) {
                (Weighing::Sum, _) | (Weighing::GreatestAndGres, Tres::Gres(_)) => sum += weighed,
                (Weighing::Greatest | Weighing::GreatestAndGres, _) => {
                    greatest = greatest.max(weighed);
                }
            }
        }
        sum + greatest
    }
}

fn weight_of(tres: &Tres, text: &str) -> Option<f64> {
    const UNITS: &str = "KMGTP";
    let unit = text.chars().last().and_then(|last| UNITS.find(last.to_ascii_uppercase()));
    let digits = if unit.is_some() { &text[..text.len() - 1] } else { text };
    let weight: f64 = digits.parse().ok().filter(|weight: &f64| weight.is_finite())?;
    let base = if *tres == Tres::Mem { 1 } else { -1 };
    let power = unit.map_or(0, |unit| i32::try_from(unit).expect("one of five") - base);
    (weight >= 0.0).then(|| weight / 1024_f64.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(tres: &Tres) -> u64 {
        match tres {
            Tres::Cpu => 4,
            Tres::Mem => 8_192,
            Tres::Node => 1,
            Tres::Gres(_) => 2,
        }
    }

    #[test]
    fn amounts_are_weighed() {
        let weights = TresWeights::parse("CPU=1.0,Mem=0.25G,GRES/gpu=2.0").expect("sound");
        // The manual's own example: 4 CPUs, 8 GiB and 2 GPUs.
        for (how, sum) in [
            (Weighing::Sum, 4.0 + 2.0 + 4.0),
            (Weighing::Greatest, 4.0),
            (Weighing::GreatestAndGres, 8.0),
        ] {
            assert_eq!(weights.weigh(how, amount), sum, "{how:?}");
        }
    }

    #[test]
    fn a_weight_is_for_one_of_its_unit() {
        for (text, weighed) in [
            ("mem=1", 8_192.0),
            ("mem=1M", 8_192.0),
            ("mem=1k", 8_388_608.0),
            ("cpu=1K", 4.0 / 1024.0),
        ] {
            let weights = TresWeights::parse(text).expect("sound");
            assert_eq!(weights.weigh(Weighing::Sum, amount), weighed, "{text}");
        }
    }

    #[test]
    fn what_is_no_weight_is_refused() {
        for text in
            ["cpu", "cpu=", "cpu=x", "cpu=-1", "cpu=inf", "cpu=1,CPU=2", "license/a=1", "=1"]
        {
            assert!(TresWeights::parse(text).is_err(), "{text}");
        }
        assert_eq!(TresWeights::parse(""), Ok(TresWeights::default()));
    }
}

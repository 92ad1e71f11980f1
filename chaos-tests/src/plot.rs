//! What all plots share: SVG of one width, with an axis of time. Colours are classes, which the
//! style around it gives.

#![expect(clippy::cast_precision_loss, reason = "coordinates are for the eye")]

use std::fmt::Write as _;

use crate::record::Nanos;

pub(crate) const WIDTH: f64 = 1_000.0;
pub(crate) const LEFT: f64 = 96.0;
pub(crate) const RIGHT: f64 = 14.0;

/// Text as HTML has it.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// From times to the width of a plot.
pub(crate) struct Across {
    pub(crate) from: Nanos,
    pub(crate) to: Nanos,
}

impl Across {
    pub(crate) fn at(&self, time: Nanos) -> f64 {
        let share = (time.clamp(self.from, self.to) - self.from) as f64;
        LEFT + share / (self.to - self.from) as f64 * (WIDTH - LEFT - RIGHT)
    }
}

/// A round step of which about `steps` make up `span`.
pub(crate) fn step(span: f64, steps: f64) -> f64 {
    let rough = (span / steps).max(1e-9);
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| rough <= factor * power);
    factor.unwrap_or(10.0) * power
}

pub(crate) fn opening(height: f64, label: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"{}\">\n",
        escape(label)
    )
}

/// A line across the plot, and what it stands for.
pub(crate) fn grid(svg: &mut String, y: f64, label: &str) {
    let (x, end, below) = (LEFT - 6.0, WIDTH - RIGHT, y + 3.5);
    let _ = writeln!(
        svg,
        "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
         <text class=\"tick\" x=\"{x}\" y=\"{below:.1}\" text-anchor=\"end\">{label}</text>"
    );
}

/// The axis of time.
pub(crate) fn seconds(svg: &mut String, across: &Across, bottom: f64) {
    let span = (across.to - across.from) as f64 / 1e9;
    let by = step(span, 10.0);
    let mut at = 0.0;
    while at <= span {
        let x = LEFT + at / span * (WIDTH - LEFT - RIGHT);
        let y = bottom + 18.0;
        let _ = writeln!(
            svg,
            "<text class=\"tick\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{at} s</text>"
        );
        at += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (span, expected) in [(100.0, 20.0), (7.0, 1.0), (0.9, 0.2), (61.0, 10.0)] {
            let step = step(span, 7.0);
            assert!((step - expected).abs() < 1e-9, "{span}: {step}");
        }
    }
}

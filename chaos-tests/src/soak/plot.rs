//! `soak.svg`: what was done and what it took, over time.

#![expect(clippy::cast_precision_loss, reason = "coordinates are for the eye")]

use std::fmt::Write as _;

use super::sample::{Sample, Usage};
use crate::{
    plot::{Across, LEFT, escape, grid, opening, seconds, step},
    record::Nanos,
};

const HEIGHT: f64 = 110.0;
const GAP: f64 = 40.0;
const TOP: f64 = 26.0;

/// Enough contrast on light and on dark pages, and told apart without red and green.
const STYLE: &str = "<style>\
    svg { background: #fff; font: 11px system-ui, sans-serif }\
    text { fill: #5b6675 } .name { font-size: 13px; fill: #1c2430 }\
    .grid { stroke: #dfe3e9 } polyline { fill: none; stroke-width: 1.5 }\
    .s0 { stroke: #17649c } .s1 { stroke: #d0703a } .s2 { stroke: #7a5aa8 }\
    .s3 { stroke: #3f8f7a } .s4 { stroke: #b77f1f }\
    text.s0 { fill: #17649c; stroke: none } text.s1 { fill: #d0703a; stroke: none }\
    text.s2 { fill: #7a5aa8; stroke: none } text.s3 { fill: #3f8f7a; stroke: none }\
    text.s4 { fill: #b77f1f; stroke: none }</style>\n";

/// How many colours there are.
const COLOURS: usize = 5;

/// Lines on one scale.
struct Panel<'a> {
    title: &'a str,
    unit: &'a str,
    lines: Vec<(String, Vec<f64>)>,
}

/// The plot.
#[must_use]
pub fn plot(samples: &[Sample]) -> String {
    let nanos = |sample: &Sample| nanos(sample.at_s);
    let across = Across {
        from: samples.first().map_or(0, nanos),
        to: samples.last().map_or(1, nanos).max(samples.first().map_or(0, nanos) + 1),
    };
    let panels = panels(samples);
    let bottom = TOP + panels.len() as f64 * (HEIGHT + GAP) - GAP;
    let mut svg = opening(bottom + 32.0, "Jobs, memory and disk over time");
    svg.push_str(STYLE);
    for (place, panel) in panels.iter().enumerate() {
        let top = TOP + place as f64 * (HEIGHT + GAP);
        draw(&mut svg, panel, samples, &across, top);
    }
    seconds(&mut svg, &across, bottom);
    svg + "</svg>\n"
}

fn nanos(seconds: f64) -> Nanos {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time in a run")]
    let nanos = (seconds * 1e9) as Nanos;
    nanos
}

fn panels(samples: &[Sample]) -> Vec<Panel<'static>> {
    let all = |name: &str, of: fn(&Sample) -> f64| {
        (name.to_owned(), samples.iter().map(of).collect::<Vec<f64>>())
    };
    let names = samples.last().map(|sample| sample.controllers.keys()).into_iter().flatten();
    let each = |of: fn(&Usage) -> u64| {
        let line = |name: &String| {
            let of = |sample: &Sample| sample.controllers.get(name).map_or(0, of) as f64 / 1024.0;
            (name.clone(), samples.iter().map(of).collect())
        };
        names.clone().map(line).collect::<Vec<_>>()
    };
    let rates = vec![
        all("submitted", |sample| sample.submissions_per_s),
        all("ended", |sample| sample.ends_per_s),
    ];
    vec![
        Panel { title: "Jobs a second", unit: "/s", lines: rates },
        Panel {
            title: "Jobs in the live state",
            unit: "",
            lines: vec![all("live", |sample| sample.live as f64)],
        },
        Panel {
            title: "Memory of each controller",
            unit: " MiB",
            lines: each(|usage| usage.rss_kib),
        },
        Panel {
            title: "Memory of all nodes",
            unit: " MiB",
            lines: vec![all("fleet", |it| it.fleet_rss_kib.unwrap_or(0) as f64 / 1024.0)],
        },
        Panel {
            title: "Log and snapshots on disk",
            unit: " MiB",
            lines: each(|usage| usage.log_kib + usage.snapshots_kib),
        },
        Panel {
            title: "History on disk: all jobs that ever were",
            unit: " MiB",
            lines: each(|usage| usage.history_kib),
        },
    ]
}

fn draw(svg: &mut String, panel: &Panel<'_>, samples: &[Sample], across: &Across, top: f64) {
    let bottom = top + HEIGHT;
    let values = panel.lines.iter().flat_map(|(_, values)| values);
    let most = values.copied().fold(1.0, f64::max);
    let by = step(most, 3.0);
    let mut level = 0.0;
    while level <= most {
        grid(svg, bottom - level / most * HEIGHT, &format!("{level}{}", panel.unit));
        level += by;
    }
    let above = top - 8.0;
    let title = escape(panel.title);
    let _ = writeln!(svg, "<text class=\"name\" x=\"{LEFT}\" y=\"{above:.1}\">{title}</text>");
    for (place, (name, values)) in panel.lines.iter().enumerate() {
        let colour = place % COLOURS;
        let x = LEFT + 330.0 + place as f64 * 90.0;
        let name = escape(name);
        let _ = writeln!(svg, "<text class=\"s{colour}\" x=\"{x}\" y=\"{above:.1}\">{name}</text>");
        let mut points = String::new();
        for (sample, value) in samples.iter().zip(values) {
            let (x, y) = (across.at(nanos(sample.at_s)), bottom - value / most * HEIGHT);
            let _ = write!(points, "{x:.1},{y:.1} ");
        }
        let _ = writeln!(svg, "<polyline class=\"s{colour}\" points=\"{points}\"/>");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_measure_of_each_controller_is_a_line() {
        let sample = |at_s: f64, rss_kib| Sample {
            at_s,
            acknowledged: 0,
            ended: 0,
            live: 5,
            submissions_per_s: 100.0,
            ends_per_s: 50.0,
            controllers: BTreeMap::from([
                ("ctl1".to_owned(), Usage { rss_kib, ..Usage::default() }),
                ("ctl2".to_owned(), Usage::default()),
            ]),
            fleet_rss_kib: Some(1),
        };
        let svg = plot(&[sample(0.0, 0), sample(10.0, 4 << 10)]);
        assert_eq!(svg.matches("<polyline").count(), 2 + 1 + 1 + 3 * 2);
        // The last value is the largest: at the right end, and on top.
        let top = TOP + 2.0 * (HEIGHT + GAP);
        assert!(svg.contains(&format!(" 986.0,{top:.1} ")), "{svg}");
        assert!(svg.contains("<svg xmlns"));
        assert!(plot(&[]).ends_with("</svg>\n"));
    }
}

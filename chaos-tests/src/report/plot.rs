//! The plots, as SVG. Colours are classes, which the page's style gives.

#![expect(clippy::cast_precision_loss, reason = "coordinates are for the eye")]

use std::fmt::Write as _;

use crate::{
    figures::{Figures, quantile, time},
    plot::{Across, LEFT, RIGHT, WIDTH, escape, grid, opening, seconds, step},
    record::{Nanos, Record},
};

const THROUGHPUT: f64 = 110.0;
const LATENCY: f64 = 150.0;
const GAP: f64 = 30.0;
const LANE: f64 = 15.0;

/// The kinds of faults in the order of their lanes, each with its family's class.
const LANES: &[(&str, &str)] = &[
    ("kill", "process"),
    ("pause", "process"),
    ("restart", "process"),
    ("takeover", "process"),
    ("cut", "network"),
    ("delay", "network"),
    ("loss", "network"),
    ("disk full", "disk"),
    ("fsync error", "disk"),
    ("fsync stall", "disk"),
    ("power cut", "disk"),
    ("clock jump", "other"),
    ("memory", "other"),
    ("certificate", "other"),
    ("membership", "other"),
];

/// Throughput and latency over the faults, on one axis of time.
pub(super) fn timeline(record: &Record, figures: &Figures) -> String {
    let across = Across { from: figures.from, to: figures.to };
    let used =
        |(name, _): &&(&str, &str)| record.faults.iter().any(|fault| fault.kind.name() == *name);
    let lanes: Vec<_> = LANES.iter().filter(used).collect();
    let first = 18.0;
    let second = first + THROUGHPUT + GAP;
    let third = second + LATENCY + GAP;
    let bottom = third + LANE * lanes.len().max(1) as f64;
    let mut svg = opening(bottom + 32.0, "Operations, their latency, and faults over time");
    phases(&mut svg, record, &across, bottom);
    throughput(&mut svg, figures, first);
    latency(&mut svg, figures, &across, second);
    faults(&mut svg, record, &across, &lanes, third);
    for fault in record.faults.iter().filter(|fault| fault.leader) {
        let x = across.at(fault.from);
        let _ = writeln!(
            svg,
            "<line class=\"hurt\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{first}\" y2=\"{bottom}\"/>"
        );
    }
    seconds(&mut svg, &across, bottom);
    svg + "</svg>\n"
}

/// The part of the time in which there are faults.
fn phases(svg: &mut String, record: &Record, across: &Across, bottom: f64) {
    let phases = record.run.phases;
    let (from, to) = (across.at(phases.faults_began), across.at(phases.faults_ended));
    let (width, height) = (to - from, bottom - 18.0);
    let _ = writeln!(
        svg,
        "<rect class=\"faulty\" x=\"{from:.1}\" y=\"18\" width=\"{width:.1}\" \
         height=\"{height:.1}\"/>\n<text class=\"note\" x=\"{:.1}\" y=\"12\">faults</text>\n\
         <text class=\"note\" x=\"{:.1}\" y=\"12\" text-anchor=\"end\">healed</text>",
        from + 4.0,
        (to + 40.0).min(WIDTH - RIGHT),
    );
}

fn throughput(svg: &mut String, figures: &Figures, top: f64) {
    let seconds = figures.bin_seconds();
    let rate = |count: u64| count as f64 / seconds;
    let totals = figures.bins.iter().map(|bin| rate(bin.acknowledged + bin.refused + bin.unknown));
    let most = totals.fold(1.0, f64::max);
    let (bottom, by) = (top + THROUGHPUT, step(most, 3.0));
    let mut level = 0.0;
    while level <= most {
        grid(svg, bottom - level / most * THROUGHPUT, &format!("{level} /s"));
        level += by;
    }
    let width = (WIDTH - LEFT - RIGHT) / figures.bins.len() as f64;
    for (place, bin) in figures.bins.iter().enumerate() {
        let mut y = bottom;
        let parts = [("ok", bin.acknowledged), ("no", bin.refused), ("open", bin.unknown)];
        for (class, count) in parts.into_iter().filter(|(_, count)| *count > 0) {
            let height = rate(count) / most * THROUGHPUT;
            y -= height;
            let x = LEFT + place as f64 * width;
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" \
                 height=\"{height:.1}\"/>",
                (width - 0.6).max(0.5)
            );
        }
    }
}

/// The height of a latency, from the least to the most on a logarithmic scale.
fn high(nanos: f64, least: f64, most: f64, top: f64) -> f64 {
    let share = (nanos.max(least) / least).ln() / (most / least).ln();
    top + LATENCY * (1.0 - share)
}

fn latency(svg: &mut String, figures: &Figures, across: &Across, top: f64) {
    let all = || figures.bins.iter().flat_map(|bin| &bin.latencies);
    let least = all().min().map_or(1e6, |nanos| *nanos as f64);
    let least = 10_f64.powf(least.max(1e5).log10().floor());
    let most = all().max().map_or(1e9, |nanos| *nanos as f64).max(least * 10.0) * 1.1;
    let mut level = least;
    while level <= most {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a decade")]
        grid(svg, high(level, least, most, top), &time(level as Nanos));
        level *= 10.0;
    }
    let width = (across.to - across.from) / figures.bins.len() as u64;
    let (mut middle, mut late) = (String::new(), String::new());
    for (place, bin) in figures.bins.iter().enumerate() {
        let x = across.at(across.from + place as u64 * width + width / 2);
        let Some(longest) = bin.latencies.last() else { continue };
        let y = |nanos: Nanos| high(nanos as f64, least, most, top);
        let (half, tail) = (quantile(&bin.latencies, 0.5), quantile(&bin.latencies, 0.99));
        let _ = write!(middle, "{x:.1},{:.1} ", y(half.unwrap_or(0)));
        let _ = write!(late, "{x:.1},{:.1} ", y(tail.unwrap_or(0)));
        let _ = writeln!(
            svg,
            "<circle class=\"longest\" cx=\"{x:.1}\" cy=\"{:.1}\" r=\"1.8\"><title>{}</title>\
             </circle>",
            y(*longest),
            time(*longest)
        );
    }
    let _ = writeln!(svg, "<polyline class=\"late\" points=\"{late}\"/>");
    let _ = writeln!(svg, "<polyline class=\"middle\" points=\"{middle}\"/>");
}

fn faults(svg: &mut String, record: &Record, across: &Across, lanes: &[&(&str, &str)], top: f64) {
    for (place, (name, class)) in lanes.iter().enumerate() {
        let y = top + place as f64 * LANE;
        grid(svg, y + LANE / 2.0, name);
        for fault in record.faults.iter().filter(|fault| fault.kind.name() == *name) {
            let end = fault.to.unwrap_or(across.to);
            let (x, width) = (across.at(fault.from), across.at(end) - across.at(fault.from));
            let hurt = if fault.leader { ", the leader" } else { "" };
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
                 rx=\"2\"><title>{name} on {}{hurt}, {} {}</title></rect>",
                y + 3.0,
                width.max(2.5),
                LANE - 6.0,
                escape(&fault.on.join(", ")),
                time(end.saturating_sub(fault.from)),
                escape(&fault.note),
            );
        }
    }
}

/// What share of the leaders' faults was followed by an acknowledgement within what time.
pub(super) fn distribution(waits: &[Nanos]) -> String {
    const HEIGHT: f64 = 190.0;
    let mut svg = opening(HEIGHT + 40.0, "Time to the next acknowledged submission");
    let most = waits.last().map_or(1e9, |nanos| *nanos as f64).max(1e6) * 1.05;
    let bottom = 10.0 + HEIGHT;
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        grid(&mut svg, bottom - share * HEIGHT, &format!("{:.0} %", share * 100.0));
    }
    let x = |nanos: f64| LEFT + nanos / most * (WIDTH - LEFT - RIGHT);
    let mut points = format!("{LEFT},{bottom} ");
    let mut before = bottom;
    for (place, wait) in waits.iter().enumerate() {
        let y = bottom - (place + 1) as f64 / waits.len() as f64 * HEIGHT;
        let _ = write!(points, "{0:.1},{before:.1} {0:.1},{y:.1} ", x(*wait as f64));
        before = y;
    }
    let _ = writeln!(svg, "<polyline class=\"middle\" points=\"{points}\"/>");
    let by = step(most / 1e9, 8.0);
    let mut at = 0.0;
    while at * 1e9 <= most {
        let (x, y) = (x(at * 1e9), bottom + 18.0);
        let _ = writeln!(
            svg,
            "<text class=\"tick\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{} s</text>",
            (at * 1_000.0).round() / 1_000.0
        );
        at += by;
    }
    svg + "</svg>\n"
}

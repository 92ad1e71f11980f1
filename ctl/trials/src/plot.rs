//! How full the machine was, and how long the queue, as a picture (SVG).

#![expect(clippy::cast_precision_loss, reason = "coordinates are for the eye")]

use std::fmt::Write as _;

use crate::replay::Sample;

const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 14.0;
const HEIGHT: f64 = 150.0;
const GAP: f64 = 40.0;
/// Columns over the width: of the moments that fall into one, the mean and the most are drawn.
const COLUMNS: usize = 460;

/// One column: how much was in use on average, and the longest queue.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Column {
    busy: f64,
    queued: usize,
}

/// The picture of a played log on a machine of so many processors.
#[must_use]
pub fn plot(title: &str, processors: u64, samples: &[Sample]) -> String {
    let columns = columns(samples);
    let longest = columns.iter().map(|column| column.queued).max().unwrap_or(0).max(1);
    let (first, second) = (40.0, 40.0 + HEIGHT + GAP);
    let total = second + HEIGHT + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {total}\" role=\"img\">\n\
         <style>\n\
         text {{ font: 12px sans-serif; fill: #555 }}\n\
         .grid {{ stroke: #8884; }}\n\
         .busy {{ fill: #2a78c4; fill-opacity: .65 }}\n\
         .queue {{ fill: #c4622a; fill-opacity: .65 }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #aaa }} }}\n\
         </style>\n<text x=\"{LEFT}\" y=\"18\">{}</text>\n",
        escaped(title)
    );
    let busy: Vec<f64> =
        columns.iter().map(|column| column.busy / processors.max(1) as f64).collect();
    let queue: Vec<f64> =
        columns.iter().map(|column| column.queued as f64 / longest as f64).collect();
    panel(&mut svg, "busy", first, &busy, &["0 %", "50 %", "100 %"]);
    let marks = ["0".to_owned(), format!("{}", longest / 2), format!("{longest} wait")];
    panel(&mut svg, "queue", second, &queue, &marks.each_ref().map(String::as_str));
    let days = samples.last().zip(samples.first());
    let days = days.map_or(0.0, |(last, first)| (last.at - first.at) as f64 / 86_400.0);
    let (right, below) = (WIDTH - RIGHT, second + HEIGHT + 18.0);
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{below}\">day 0</text>\n\
         <text x=\"{right}\" y=\"{below}\" text-anchor=\"end\">day {days:.0}</text>\n</svg>"
    );
    svg
}

fn panel(svg: &mut String, class: &str, top: f64, shares: &[f64], marks: &[&str]) {
    let bottom = top + HEIGHT;
    for (place, mark) in marks.iter().enumerate() {
        let y = bottom - HEIGHT * place as f64 / (marks.len() - 1).max(1) as f64;
        let (x, end, beside) = (LEFT - 6.0, WIDTH - RIGHT, y + 4.0);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{end}\" y1=\"{y}\" y2=\"{y}\"/>\n\
             <text x=\"{x}\" y=\"{beside}\" text-anchor=\"end\">{mark}</text>"
        );
    }
    let wide = (WIDTH - LEFT - RIGHT) / shares.len().max(1) as f64;
    let mut path = format!("M{LEFT},{bottom}");
    for (place, share) in shares.iter().enumerate() {
        let (x, y) = (LEFT + place as f64 * wide, bottom - share.min(1.0) * HEIGHT);
        let _ = write!(path, "L{x:.1},{y:.1}H{:.1}", x + wide);
    }
    let _ = writeln!(svg, "<path class=\"{class}\" d=\"{path}V{bottom}Z\"/>");
}

/// Each sample counts until the next one.
fn columns(samples: &[Sample]) -> Vec<Column> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return vec![];
    };
    let span = (last.at - first.at).max(1) as f64;
    let mut columns = vec![Column::default(); COLUMNS];
    for pair in samples.windows(2) {
        let place = |at: u64| (at - first.at) as f64 / span * COLUMNS as f64;
        let (from, to) = (place(pair[0].at), place(pair[1].at));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a column")]
        let touched = from as usize..=(to as usize).min(COLUMNS - 1);
        for at in touched {
            let share = to.min((at + 1) as f64) - from.max(at as f64);
            let column = &mut columns[at];
            column.busy += pair[0].busy as f64 * share.max(0.0);
            column.queued = column.queued.max(pair[0].queued);
        }
    }
    columns
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_hold_means_and_the_most() {
        let sample = |at, busy, queued| Sample { at, busy, queued };
        let samples = [sample(0, 10, 1), sample(230, 0, 7), sample(460, 0, 0)];
        let columns = columns(&samples);
        assert_eq!(columns.len(), COLUMNS);
        assert_eq!(columns[0], Column { busy: 10.0, queued: 1 });
        assert_eq!(columns[300], Column { busy: 0.0, queued: 7 });
        let sum: f64 = columns.iter().map(|column| column.busy).sum();
        assert!((sum - 2_300.0).abs() < 1e-6, "nothing is lost: {sum}");
    }

    #[test]
    fn a_title_is_no_markup() {
        assert!(plot("a<b & c", 1, &[]).contains("a&lt;b &amp; c"));
    }
}

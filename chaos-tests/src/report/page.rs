//! The page around the plots.

use std::fmt::Write as _;

use super::plot::{distribution, timeline};
use crate::{
    check::Checked,
    figures::{ANY, Figures, NextAcknowledged, grouped, quantile, time},
    plot::escape,
    record::{Nanos, Record},
};

const STYLE: &str = include_str!("style.css");

/// How many violations of a checker are shown at once: the rest repeat.
const SHOWN: usize = 20;

/// Of how many a figure is told.
const SHARES: [(&str, f64); 4] =
    [("half", 0.5), ("9 of 10", 0.9), ("99 of 100", 0.99), ("all", 1.0)];

pub(super) fn page(record: &Record, checked: &[Checked]) -> String {
    let figures = Figures::of(record);
    let run = &record.run;
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Rafter under faults: seed {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <main>\n",
        run.seed
    );
    head(&mut html, record, checked);
    tiles(&mut html, record, &figures);
    let _ = write!(
        html,
        "<section>\n<h2>What clients noticed</h2>\n<p class=\"legend\"><span><i class=\"ok\"></i>\
         acknowledged</span><span><i class=\"no\"></i>refused</span><span><i class=\"open\"></i>\
         outcome unknown</span><span class=\"gap\"><i class=\"middle line\"></i>median latency\
         </span><span><i class=\"late line\"></i>99th percentile</span><span><i class=\"longest \
         dot\"></i>longest</span><span class=\"gap\"><i class=\"hurt line\"></i>the leader is hurt\
         </span></p>\n<div class=\"plot\">{}</div>\n</section>\n",
        timeline(record, &figures)
    );
    next_acknowledged(&mut html, &figures);
    beside(&mut html, &figures);
    checkers(&mut html, record, checked);
    faults(&mut html, record, &figures);
    about(&mut html, record);
    html + "</main>\n</body>\n</html>\n"
}

fn head(html: &mut String, record: &Record, checked: &[Checked]) {
    let run = &record.run;
    let violations: usize = checked.iter().map(|one| one.violations.len()).sum();
    let (class, verdict) = match violations {
        0 => ("good", "every rule held".to_owned()),
        1 => ("bad", "1 violation".to_owned()),
        many => ("bad", format!("{} violations", grouped(many as u64))),
    };
    let planted = run.planted.as_ref().map_or(String::new(), |bug| {
        format!("<p class=\"planted\">Planted on purpose: <code>{}</code></p>\n", escape(bug))
    });
    let _ = write!(
        html,
        "<header>\n<h1>Rafter under faults</h1>\n<p class=\"verdict {class}\">{verdict}</p>\n\
         <p>Seed {}: {} controllers, {} nodes, {}. Again: <code>{}</code></p>\n\
         {planted}</header>\n",
        run.seed,
        run.controllers.len(),
        run.nodes.len(),
        time(run.phases.ended.saturating_sub(run.phases.began)),
        escape(&run.command),
    );
}

fn tiles(html: &mut String, record: &Record, figures: &Figures) {
    let waits = waits(figures);
    let of = |sorted: &[Nanos], share| quantile(sorted, share).map_or("none".to_owned(), time);
    let runs: usize = record
        .witnesses
        .values()
        .flatten()
        .filter(|witness| witness.moment == crate::record::Moment::Begin)
        .count();
    let entries = record.logs.values().map(Vec::len).max().unwrap_or(0);
    let tiles = [
        ("operations", grouped(record.operations.len() as u64)),
        ("jobs acknowledged", grouped(figures.submissions.len() as u64)),
        ("runs witnessed", grouped(runs as u64)),
        ("entries of the log", grouped(entries as u64)),
        ("faults", grouped(record.faults.len() as u64)),
        ("of them on a leader", grouped(figures.next.len() as u64)),
        ("submission, median", of(&figures.submissions, 0.5)),
        ("submission, p99", of(&figures.submissions, 0.99)),
        ("next acknowledged, median", of(&waits, 0.5)),
        ("next acknowledged, longest", of(&waits, 1.0)),
    ];
    html.push_str("<section class=\"tiles\">\n");
    for (what, number) in tiles {
        let _ = writeln!(html, "<div><b>{number}</b><span>{what}</span></div>");
    }
    html.push_str("</section>\n");
}

/// After any fault on a leader, in order.
fn waits(figures: &Figures) -> Vec<Nanos> {
    figures.waits().remove(ANY).unwrap_or_default()
}

fn next_acknowledged(html: &mut String, figures: &Figures) {
    let waits = waits(figures);
    if figures.next.is_empty() {
        return;
    }
    let never = figures.next.len() - waits.len();
    let mut rows = String::new();
    for (name, share) in SHARES {
        let within = quantile(&waits, share).map_or("none".to_owned(), time);
        let _ = write!(rows, "<span>{name}: <b>{within}</b></span>");
    }
    if never > 0 {
        let _ = write!(rows, "<span>never: <b>{never}</b></span>");
    }
    let _ = write!(
        html,
        "<section>\n<h2>Time to the next acknowledged submission</h2>\n<p>After each of {} faults \
         on a leader, until a later leader, or the same one once it was over, acknowledged a submission.</p>\n\
         <p class=\"legend\">{rows}</p>\n<div class=\"plot\">{}</div>\n</section>\n",
        grouped(figures.next.len() as u64),
        distribution(&waits)
    );
}

/// How long submissions took beside each kind of fault.
fn beside(html: &mut String, figures: &Figures) {
    if figures.beside().is_empty() {
        return;
    }
    html.push_str(
        "<section>\n<h2>Submissions, by what went on beside them</h2>\n<div class=\"wide\">\
         <table>\n<thead><tr><th>fault</th><th class=\"number\">submissions</th>",
    );
    for share in SHARES {
        let _ = write!(html, "<th class=\"number\">{}</th>", share.0);
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (kind, times) in figures.beside() {
        let count = grouped(times.len() as u64);
        let _ = write!(html, "<tr><td>{kind}</td><td class=\"number\">{count}</td>");
        for (_, share) in SHARES {
            let within = quantile(times, share).map_or("none".to_owned(), time);
            let _ = write!(html, "<td class=\"number\">{within}</td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n</section>\n");
}

fn checkers(html: &mut String, record: &Record, checked: &[Checked]) {
    html.push_str(
        "<section>\n<h2>What was checked</h2>\n<div class=\"wide\"><table>\n<thead><tr><th></th>\
         <th>checker</th><th>rule</th><th class=\"number\">looked at</th>\
         <th class=\"number\">violations</th></tr></thead>\n<tbody>\n",
    );
    for Checked { name, rule, counted, unit, violations } in checked {
        let (class, mark) = match (violations.len(), counted) {
            (0, 0) => ("nothing", "–"),
            (0, _) => ("good", "✓"),
            (_, _) => ("bad", "✗"),
        };
        let _ = writeln!(
            html,
            "<tr class=\"{class}\"><td class=\"mark\">{mark}</td><td><code>{}</code></td>\
             <td>{}</td><td class=\"number\">{} {}</td><td class=\"number\">{}</td></tr>",
            escape(name),
            escape(rule),
            grouped(*counted),
            escape(unit),
            violations.len(),
        );
        for violation in violations.iter().take(SHOWN) {
            let at = violation.at.map_or(String::new(), |at| since(record, at) + ": ");
            let text = escape(&violation.text);
            let _ = writeln!(
                html,
                "<tr class=\"violation\"><td></td><td colspan=\"4\">{at}{text}</td></tr>"
            );
        }
        if violations.len() > SHOWN {
            let more = violations.len() - SHOWN;
            let _ = writeln!(
                html,
                "<tr class=\"violation\"><td></td><td colspan=\"4\">and {more} more</td></tr>"
            );
        }
    }
    html.push_str("</tbody>\n</table></div>\n</section>\n");
}

/// A moment, from the beginning of the run.
#[expect(clippy::cast_precision_loss, reason = "for the eye")]
fn since(record: &Record, at: Nanos) -> String {
    format!("{:.2} s", at.saturating_sub(record.run.phases.began) as f64 / 1e9)
}

fn faults(html: &mut String, record: &Record, figures: &Figures) {
    let _ = write!(
        html,
        "<section>\n<h2>Faults</h2>\n<details{}><summary>{} faults</summary>\n\
         <div class=\"wide\"><table>\n<thead><tr><th class=\"number\">at</th><th>fault</th>\
         <th>on</th><th class=\"number\">for</th><th class=\"number\">next acknowledged</th>\
         <th></th></tr></thead>\
         \n<tbody>\n",
        if record.faults.len() > 40 { "" } else { " open" },
        grouped(record.faults.len() as u64),
    );
    for fault in &record.faults {
        let lasted = fault.to.map_or("ever".to_owned(), |to| time(to.saturating_sub(fault.from)));
        let leader = if fault.leader { " <span class=\"leader\">leader</span>" } else { "" };
        let same = |next: &&NextAcknowledged| std::ptr::eq(next.fault, fault);
        let next = figures
            .next
            .iter()
            .find(same)
            .map_or(String::new(), |next| next.after.map_or("never".to_owned(), time));
        let _ = writeln!(
            html,
            "<tr><td class=\"number\">{}</td><td>{}</td><td>{}{leader}</td>\
             <td class=\"number\">{lasted}</td><td class=\"number\">{next}</td><td>{}</td></tr>",
            since(record, fault.from),
            fault.kind.name(),
            escape(&fault.on.join(", ")),
            escape(&fault.note),
        );
    }
    html.push_str("</tbody>\n</table></div>\n</details>\n</section>\n");
}

fn about(html: &mut String, record: &Record) {
    let run = &record.run;
    html.push_str("<section>\n<h2>The run</h2>\n<dl>\n");
    let nodes: Vec<String> =
        run.nodes.iter().map(|(name, shape)| format!("{name} ({} CPUs)", shape.cpus)).collect();
    let mut rows = vec![
        ("controllers".to_owned(), run.controllers.join(", ")),
        ("nodes".to_owned(), nodes.join(", ")),
        ("SlurmdTimeout".to_owned(), format!("{} s", run.slurmd_timeout_s)),
    ];
    rows.extend(run.options.clone());
    rows.extend(run.versions.clone());
    for (name, value) in rows {
        let _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", escape(&name), escape(&value));
    }
    html.push_str("</dl>\n</section>\n");
}

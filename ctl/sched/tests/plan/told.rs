//! Why a job waits, as the transcripts tell it.

use std::fmt::Write;

use common::{hostlist::Hostlist, id::JobId, machine::State, time::Timestamp};
use sched::why::{Lead, Waiting, why};

use crate::priorities::parts;

pub(crate) fn told(state: &State, now: Timestamp, job: JobId) -> String {
    let Some(waiting) = why(state, now, job) else {
        return "it does not wait\n".to_owned();
    };
    let mut text = String::new();
    put(&mut text, &waiting, now);
    text
}

fn put(text: &mut String, waiting: &Waiting, now: Timestamp) {
    let mut line = |line: String| writeln!(text, "{line}").expect("a text takes it");
    let after = |at: Timestamp| format!("in {} s", at.since(now).seconds());
    for obstacle in &waiting.obstacles {
        let until = obstacle.until.map(|at| format!(" (until {})", after(at))).unwrap_or_default();
        line(format!("{}: {}{until}", obstacle.reason, obstacle.text));
    }
    for earlier in &waiting.ahead.first {
        let by = match earlier.by {
            Lead::Qos => "QOS",
            Lead::Tier => "tier",
            Lead::Priority => "priority",
            Lead::Submission => "submission",
            Lead::Number => "number",
        };
        let parts = |factors: &Option<_>| factors.as_ref().map(parts).unwrap_or_default();
        let theirs = match earlier.factors {
            Some(_) => format!(" {}{}", earlier.priority, parts(&earlier.factors)),
            None => String::new(),
        };
        line(format!("ahead: {} by {by}{theirs}", earlier.job));
    }
    let told = u32::try_from(waiting.ahead.first.len()).expect("few are told");
    if waiting.ahead.count > told {
        line(format!("ahead: {} in all", waiting.ahead.count));
    }
    if let Some(planned) = &waiting.planned {
        let nodes = Hostlist::from_names(planned.places.iter().map(|place| place.node.as_str()));
        let supposed: Vec<_> = waiting.supposed.iter().map(|reason| reason.as_str()).collect();
        let without = match supposed.as_slice() {
            [] => String::new(),
            supposed => format!(" without {}", supposed.join(", ")),
        };
        line(format!("start {} on {nodes}{without}", after(planned.at)));
        for freed in &planned.freed {
            let nodes = Hostlist::from_names(freed.nodes.iter().map(|node| node.as_str()));
            let how = match (freed.makes_way, freed.runs) {
                (true, _) => "makes way",
                (false, true) => "runs",
                (false, false) => "is planned",
            };
            line(format!("when {} ends, which {how} on {nodes}", freed.job));
        }
    }
    for sooner in &waiting.sooner {
        line(format!("sooner: {} {}", sooner.change.option(), after(sooner.start)));
    }
}

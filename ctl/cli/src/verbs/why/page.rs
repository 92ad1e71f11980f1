//! The page that people see.

use anstyle::Style;
use common::{
    date,
    hostlist::Hostlist,
    job::Reason,
    time::{Span, Timestamp},
};
use jiff::tz::TimeZone;
use proto::{
    ctl::WhyReply,
    plan::{Earlier, Factors, Freed, Lead, Planned, Waiting},
};

use super::{
    super::page::{BAD, DOUBTFUL, GOOD, HEADING, Page, length, plain},
    job, word,
};
use crate::view::{Job, Malformed, State};

const PLAIN: Style = Style::new();

/// What holds until somebody does something: time alone does not end it.
const LASTING: &[Reason] = &[
    Reason::JobHeldUser,
    Reason::JobHeldAdmin,
    Reason::DependencyNeverSatisfied,
    Reason::PartitionDown,
    Reason::PartitionInactive,
    Reason::PartitionNodeLimit,
    Reason::PartitionTimeLimit,
    Reason::PartitionConfig,
    Reason::ReqNodeNotAvail,
    Reason::NodesNotAvail,
    Reason::BadConstraints,
];

pub(super) fn text(
    reply: &WhyReply,
    zone: &TimeZone,
    in_colour: bool,
) -> Result<String, Malformed> {
    let job = job(reply)?;
    let mut sheet = Sheet { page: Page::new(in_colour), zone, now: Timestamp(reply.now) };
    match &reply.waiting {
        Some(waiting) => sheet.waiting(&job, waiting),
        None => sheet.not_waiting(&job),
    }
    Ok(sheet.page.into_text())
}

struct Sheet<'a> {
    page: Page,
    zone: &'a TimeZone,
    now: Timestamp,
}

impl Sheet<'_> {
    fn at(&self, at: u64) -> String {
        date::format(Timestamp(at), self.zone)
    }

    /// The moment, and how far away it is.
    fn moment(&self, at: u64) -> String {
        match Timestamp(at).since(self.now) {
            Span(0) => "now".to_owned(),
            span => format!("{}, in {}", self.at(at), length(span)),
        }
    }

    fn not_waiting(&mut self, job: &Job<'_>) {
        let who = format!("Job {} ({}) of {}", job.id(), job.spec.name, job.spec.user_name);
        let mut nodes = String::new();
        job.put_nodes(&mut nodes);
        let (style, text) = match (job.state(), job.run(), job.end()) {
            (State::Ended(_) | State::Completing(_), _, Some(end)) => {
                let (state, at, exit) = (job.state(), self.at(end.at), job.exit_code());
                let over = if state.is_ended() { "has ended" } else { "is over, and cleaned up" };
                let reason = job.reason();
                let why = if reason == "None" { String::new() } else { format!(" ({reason})") };
                let name = State::Ended(end.state()).name();
                (PLAIN, format!("{who} {over}: {name}{why} at {at}, exit code {exit}"))
            }
            (_, Some(run), _) => {
                let until = match run.deadline {
                    Some(deadline) => format!("until {} at the latest", self.at(deadline)),
                    None => "without a time limit".to_owned(),
                };
                let since = self.at(run.started);
                (GOOD, format!("{who} does not wait: it has {nodes} since {since}, {until}"))
            }
            _ => (PLAIN, format!("{who} does not wait")),
        };
        self.page.line(style, &text);
    }

    fn waiting(&mut self, job: &Job<'_>, waiting: &Waiting) {
        let (spec, partition) = (job.spec, &job.job.partition);
        let head = format!(
            "Job {} ({}) of {} waits in partition{} {partition}",
            job.id(),
            spec.name,
            spec.user_name,
            if partition.contains(',') { "s" } else { "" },
        );
        self.page.line(HEADING, &head);
        if partition.contains(',') {
            let where_first =
                format!("It would start first in {}, of which this is", waiting.partition);
            self.page.line(PLAIN, &where_first);
        }
        let submitted = self.at(job.job.submitted);
        let asks = format!(
            "Submitted {submitted}, priority {}; asks for {}, time={}\n",
            job.job.priority,
            job.requested(),
            job.time_limit().padded()
        );
        self.page.line(PLAIN, &asks);
        self.obstacles(waiting);
        self.ahead(waiting);
        match &waiting.planned {
            Some(planned) => self.planned(waiting, planned),
            None => {
                let text = "No start is known: nothing that ends by itself makes room for it";
                self.page.line(DOUBTFUL, text);
            }
        }
        self.sooner(waiting);
    }

    fn obstacles(&mut self, waiting: &Waiting) {
        if waiting.obstacles.is_empty() {
            self.page.line(GOOD, "Nothing holds it: it starts with the next plan");
            return;
        }
        self.page.line(HEADING, "What holds it");
        let mut table = plain(["", "", ""], &[]);
        let mut styles = vec![];
        for obstacle in &waiting.obstacles {
            let until = obstacle.until.filter(|at| Timestamp(*at) > self.now);
            let until = until.map(|at| format!("until {}", self.at(at))).unwrap_or_default();
            // One of Slurm's words is a sentence.
            let word = Some(word(obstacle.reason)).filter(|word| !word.contains(' '));
            let word = word.unwrap_or("NodesNotAvail");
            table.add_row([&format!("  {word}"), &obstacle.text, &until]);
            let lasts = LASTING.iter().any(|reason| reason.as_str() == self::word(obstacle.reason));
            styles.push(if lasts { BAD } else { DOUBTFUL });
        }
        self.page.bare_table(&table, &styles);
        self.page.line(PLAIN, "");
    }

    fn ahead(&mut self, waiting: &Waiting) {
        if waiting.ahead == 0 {
            return;
        }
        let jobs = if waiting.ahead == 1 { "One job is" } else { "jobs are" };
        let count = if waiting.ahead == 1 { String::new() } else { format!("{} ", waiting.ahead) };
        let first = waiting.first.len();
        let told = if (first as u64) < u64::from(waiting.ahead) {
            format!(", the first {first}")
        } else {
            String::new()
        };
        self.page.line(HEADING, &format!("{count}{jobs} ahead of it{told}"));
        let mut table = plain(["  JOB", "USER", "PARTITION", "AHEAD BY"], &[0]);
        let mut styles = vec![HEADING];
        for earlier in &waiting.first {
            let by = match earlier.by() {
                Lead::Qos => "the QOS that come before this one's".to_owned(),
                Lead::Tier => "the tier of its partition".to_owned(),
                Lead::Priority => priority(earlier, waiting.factors.as_ref()),
                Lead::Submission => "the moment of submission".to_owned(),
                Lead::Number | Lead::Unspecified => "its number".to_owned(),
            };
            table.add_row([&earlier.job.to_string(), &earlier.user, &earlier.partition, &by]);
            styles.push(PLAIN);
        }
        self.page.table(&table, &styles);
        self.page.line(PLAIN, "");
    }

    fn planned(&mut self, waiting: &Waiting, planned: &Planned) {
        let nodes = Hostlist::from_names(planned.places.iter().map(|place| &place.node));
        let when = self.moment(planned.at);
        let head = if waiting.supposed.is_empty() {
            format!("Planned to start {when}, on {nodes}")
        } else {
            format!("If nothing of that held it, it would start {when}, on {nodes}")
        };
        self.page.line(HEADING, &head);
        if let Some(alone) = waiting.alone.filter(|alone| *alone < planned.at) {
            let alone = self.moment(alone);
            self.page.line(PLAIN, &format!("  Were nobody ahead of it, it would start {alone}"));
        }
        if !planned.freed.is_empty() {
            self.page
                .line(PLAIN, "  That is when these end at the latest, which have what it needs:");
            let mut table = plain(["  JOB", "NOW", "ENDS", "NODES"], &[0]);
            let mut styles = vec![HEADING];
            for Freed { job, runs, until, nodes, makes_way } in &planned.freed {
                let state = match (makes_way, runs) {
                    (true, _) => "makes way",
                    (false, true) => "runs",
                    (false, false) => "planned",
                };
                let nodes = Hostlist::from_names(nodes).to_string();
                table.add_row([&job.to_string(), state, &self.at(*until), &nodes]);
                styles.push(PLAIN);
            }
            self.page.table(&table, &styles);
        }
    }

    fn sooner(&mut self, waiting: &Waiting) {
        if !waiting.sooner.is_empty() {
            self.page.line(HEADING, "\nIt would start sooner with");
            let mut table = plain(["", "", ""], &[]);
            let mut styles = vec![];
            let planned = waiting.planned.as_ref().map(|planned| Timestamp(planned.at));
            for sooner in &waiting.sooner {
                let start = Timestamp(sooner.start);
                let (at, style) = match start > self.now {
                    true => (self.at(sooner.start), PLAIN),
                    false => ("now".to_owned(), GOOD),
                };
                let gain = planned.map(|planned| planned.since(start));
                let gain = gain.map(|gain| format!("{} sooner", length(gain))).unwrap_or_default();
                table.add_row([&format!("  {}", sooner.option), &at, &gain]);
                styles.push(style);
            }
            self.page.bare_table(&table, &styles);
        } else if waiting.planned.as_ref().is_none_or(|planned| Timestamp(planned.at) > self.now) {
            self.page.line(PLAIN, "\nNo smaller request would start sooner");
        }
        if !waiting.all_tried {
            let text = "  The queue is too long to try all partitions";
            self.page.line(DOUBTFUL, text);
        }
    }
}
/// How a priority is higher: `priority 2607: fair share 2500 against 1000`.
fn priority(earlier: &Earlier, own: Option<&Factors>) -> String {
    let Some(theirs) = &earlier.factors else { return "priority".to_owned() };
    let own = own.copied().unwrap_or_default();
    let named = |factors: &Factors| {
        let Factors { age, assoc, fair_share, job_size, partition, qos, tres, nice } = *factors;
        [
            ("age", age),
            ("association", assoc),
            ("fair share", fair_share),
            ("size", job_size),
            ("partition", partition),
            ("QOS", qos),
            ("TRES", tres),
            ("nice", -(nice as f64)),
        ]
    };
    let pairs = named(theirs).into_iter().zip(named(&own));
    let mut better: Vec<_> = pairs.filter(|(theirs, own)| theirs.1 >= own.1 + 1.0).collect();
    better.sort_by(|left, right| (right.0.1 - right.1.1).total_cmp(&(left.0.1 - left.1.1)));
    let told = better
        .iter()
        .take(2)
        .map(|((name, theirs), (_, own))| format!("{name} {theirs:.0} against {own:.0}"));
    let told: Vec<String> = told.collect();
    match told.is_empty() {
        true => format!("priority {}", earlier.priority),
        false => format!("priority {}: {}", earlier.priority, told.join(", ")),
    }
}

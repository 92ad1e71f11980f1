//! `squeue -s`: the steps of running jobs. A batch job has one, its script.

use crate::{
    render::{Column, clock::put_brief},
    view::{Job, State},
};

/// Headings, widths, and what stands under them.
const COLUMNS: [(&str, usize); 6] =
    [("STEPID", 15), ("NAME", 8), ("PARTITION", 9), ("USER", 8), ("TIME", 9), ("NODELIST", 0)];

/// Appends a line for each step.
pub(super) fn put(out: &mut String, mut jobs: Vec<Job<'_>>, no_header: bool) {
    if !no_header {
        line(out, |index, out| out.push_str(COLUMNS[index].0));
    }
    jobs.retain(|job| job.state() == State::Running);
    jobs.sort_by_key(Job::id);
    for job in &jobs {
        line(out, |index, out| match index {
            0 => out.push_str(&format!("{}.batch", job.id())),
            1 => out.push_str("batch"),
            2 => out.push_str(&job.job.partition),
            3 => out.push_str(&job.spec.user_name),
            4 => put_brief(out, job.elapsed()),
            _ => out.push_str(job.batch_host().unwrap_or_default()),
        });
    }
}

fn line(out: &mut String, write: impl Fn(usize, &mut String)) {
    for (index, (_, width)) in COLUMNS.iter().enumerate() {
        let suffix = if *width > 0 { " " } else { "\n" };
        let column = Column { width: *width, right: true, suffix: suffix.to_owned() };
        column.put(out, |out| write(index, out));
    }
}

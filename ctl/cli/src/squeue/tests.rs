//! `squeue` against what the real one printed (`tests/slurm`).

use std::time::Instant;

use common::hostlist::Hostlist;
use proptest::prelude::*;
use proto::{
    ctl::{JobView, JobsReply},
    types::{Asks, CoreAsk, Hold, Reason, TaskRun, Tasks, TimeLimit, job},
};

use super::{COMMAND, chosen, field::Style, json, options, text};
use crate::{
    captures::{self, Entry},
    invocation::Invocation,
    render,
    view::{
        Job,
        samples::{self, LATER, SUBMITTED, Sample as _},
    },
};

/// What this version of `squeue` prints of these jobs, and its exit code.
fn run(command: &str, jobs: &[JobView], now: u64) -> (String, u8) {
    let words = captures::words(command);
    let arguments = words[1..].iter().map(Into::into).collect();
    let invocation = Invocation::new(COMMAND, "squeue", arguments).expect("the words are text");
    let wanted = match options::read(&invocation, &|_| None) {
        Ok(wanted) => wanted,
        Err(exit) => return (String::new(), exit),
    };
    let clock = samples::clock(now);
    let reply = JobsReply { jobs: jobs.to_vec(), now: now * 1000 };
    let nodes = wanted.filter.nodes.as_deref().map(|text| Hostlist::parse(text).expect("a list"));
    let chosen = chosen(&reply, &wanted, nodes.as_ref()).expect("the views are whole");
    let style = Style {
        clock: &clock,
        cluster: "ref",
        no_convert: wanted.no_convert,
        expand: wanted.expand,
    };
    let (out, unsortable) = text(chosen, reply.jobs.len(), &wanted, &style);
    (out, u8::from(unsortable.is_some()))
}

/// Lines of jobs that Rafter has nothing like: arrays, dependencies, several partitions.
fn without_others(entry: &Entry) -> String {
    let others = ["118", "139", "126", "127", "128", "129", "124", "125", "131", "132", "136"];
    let lines = entry.stdout.lines().filter(|line| {
        let first = line.split([' ', '|']).find(|word| !word.is_empty()).unwrap_or_default();
        let id = first.split(['_', '[']).next().unwrap_or_default();
        let of_array = id.starts_with("130") || (id.starts_with("14") && id.len() == 3);
        let nameless = ["Nodes required", "Dependency", "afterok", "after", "singleton", "expand"];
        let names = line.ends_with("reserved for jobs in higher priority partitions)")
            || nameless.iter().any(|word| line.contains(word));
        !(others.contains(&id) || of_array || names)
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// Commands whose lines begin with no id, so that those of other jobs can't be told.
fn is_anonymous(command: &str) -> bool {
    command.starts_with("squeue -o '%30E")
}

#[test]
fn lists_are_as_slurm_prints_them() {
    let mut tried = 0;
    for entry in captures::read("squeue.txt") {
        if is_anonymous(&entry.command) || entry.command.starts_with("squeue -s") {
            continue;
        }
        let (ours, exit) = run(&entry.command, &samples::jobs(), SUBMITTED + 4);
        captures::assert_same(&entry.command, &ours, &without_others(&entry));
        assert_eq!(exit, entry.exit, "{}", entry.command);
        tried += 1;
    }
    assert!(tried > 25, "only {tried} captures were tried");
}

/// The lines of job 118, an array, are among those of the capture.
#[test]
fn arrays_are_as_slurm_prints_them() {
    for command in ["squeue ", "squeue -l", "squeue -o '%A %i %F %K'"] {
        let entry = captures::one("squeue.txt", command);
        let (ours, _) = run(command, &[samples::array_job()], SUBMITTED + 4);
        let line = ours.lines().find(|line| line.contains(" 118_")).expect("it is listed");
        assert!(entry.stdout.lines().any(|theirs| theirs == line), "{command}: {line}");
    }
    let mut held = samples::array_job();
    held.reason = Reason::JobHeldUser.into();
    let job = held.job();
    (job.id, job.hold) = (277, Hold::User.into());
    job.spec.as_mut().expect("a spec").name = "jarr".to_owned();
    let runs = vec![TaskRun { first: 0, last: 3, step: 1 }];
    job.array = Some(job::Array::Waiting(Tasks { runs }));
    for entry in captures::read("squeue-array.txt") {
        let (ours, _) = run(&entry.command, &[held.clone()], SUBMITTED + 4);
        captures::assert_same(&entry.command, &ours, &entry.stdout);
    }
    let one = "118_5|118|118|5|PD\n";
    let (ours, _) = run("squeue -h -j 118_5 -o %i|%A|%F|%K|%t", &[samples::array_job()], SUBMITTED);
    assert_eq!(ours, one);
    let (ours, _) = run("squeue -h -j 118_9 -o %i", &[samples::array_job()], SUBMITTED);
    assert_eq!(ours, "");
}

#[test]
fn what_jobs_wait_for_is_as_slurm_prints_it() {
    let entry = captures::one("squeue.txt", "squeue -o '%30E %r' -S i");
    let (ours, _) = run(&entry.command, &samples::dependent_jobs(), SUBMITTED + 4);
    let lines: Vec<&str> = ours.lines().collect();
    assert_eq!(lines.len(), 6);
    for line in lines {
        assert!(entry.stdout.lines().any(|theirs| theirs == line), "{line}");
    }
}

#[test]
fn sockets_cores_and_threads_are_shown_as_asked_for() {
    let mut asks = samples::pending(1, "a", 1, Reason::Resources);
    let cores = CoreAsk { sockets: Some(2), threads: Some(1), ..CoreAsk::default() };
    asks.spec().asks = Some(Asks { cores: Some(cores), ..Asks::default() });
    let jobs = [asks, samples::pending(2, "b", 1, Reason::Priority)];
    let shown = run("squeue -h -S i -o '%i %z %H %I %J'", &jobs, SUBMITTED).0;
    assert_eq!(shown, "1 2:*:1 2 * 1\n2 *:*:* * * *\n");
}

#[test]
fn licenses_are_shown_and_asked_for_by_name() {
    let mut waits = samples::pending(1, "a", 1, Reason::Licenses);
    waits.spec().asks = Some(Asks {
        licenses: Some("matlab:4,ansys".to_owned()),
        time_min: Some(TimeLimit { minutes: Some(90) }),
        deadline: Some((SUBMITTED + 60) * 1000),
        ..Asks::default()
    });
    let places = vec![samples::place("n1", 1, 100)];
    let mut runs = samples::pending(2, "b", 1, Reason::None).runs(SUBMITTED, places);
    runs.spec().asks = Some(Asks { licenses: Some("matlab".to_owned()), ..Asks::default() });
    let jobs = [waits, runs, samples::pending(3, "c", 1, Reason::Priority)];
    let shown = |line: &str| run(line, &jobs, SUBMITTED).0;
    let all = shown("squeue -h -S i -O jobid:3,licenses:15,licensesalloc:9,reason");
    let all: Vec<&str> = all.lines().map(str::trim_end).collect();
    assert_eq!(
        all,
        [
            "1  matlab:4,ansys (null)   Licenses",
            "2  matlab         matlab   None",
            "3  (null)         (null)   Priority"
        ]
    );
    let times = shown("squeue -h -S i -j 1,3 -O jobid:2,mintime:8,deadline");
    let times: Vec<&str> = times.lines().map(str::trim_end).collect();
    let deadline = shown("squeue -h -j 1 -O deadline");
    assert_eq!(times, [format!("1 1:30:00 {}", deadline.trim()), "3 0:00    N/A".to_owned()]);
    assert!(deadline.starts_with("20"), "{deadline}");
    assert_eq!(shown("squeue -h -S i -L ansys,spice -o %A%W"), "1matlab:4,ansys\n");
    assert_eq!(shown("squeue -h -S i -L matlab -o %A"), "1\n2\n");
}

#[test]
fn what_is_asked_beyond_cpus_and_memory_is_shown() {
    let mut view = samples::pending(1, "a", 1, Reason::BadConstraints);
    let spec = view.spec();
    spec.tmp_disk_mib = 1500;
    spec.constraint = Some("[rack1|rack2]&gpu*1".to_owned());
    let (ours, _) = run("squeue -h -o '%i|%f|%d|%r'", &[view.clone()], SUBMITTED);
    assert_eq!(ours, "1|[rack1|rack2]&gpu*1|1500M|BadConstraints\n");
    let (ours, _) = run("squeue -h -O Feature:25,JobId:3", &[view], SUBMITTED);
    assert_eq!(ours, "[rack1|rack2]&gpu*1      1  \n");
}

#[test]
fn each_letter_has_slurms_heading() {
    for entry in captures::read("squeue-format-letters.txt") {
        let (ours, _) = run(&entry.command, &[], SUBMITTED);
        captures::assert_same(&entry.command, &ours, &entry.stdout);
    }
}

/// Rafter has no unique id of Slurm's.
fn is_other(field: &str) -> bool {
    ["'|%s|'", "'SLUID'", "'AssocId'"].contains(&field)
}

#[test]
fn each_letter_has_slurms_value() {
    let mut tried = 0;
    for entry in captures::read("squeue-format-values.txt") {
        let field = entry.command.rsplit(' ').next().expect("a command has words");
        if is_other(field) {
            continue;
        }
        let mut jobs = samples::jobs();
        jobs.push(samples::array_job());
        let (ours, _) = run(&entry.command, &jobs, SUBMITTED + 5);
        captures::assert_same(&entry.command, &ours, &entry.stdout);
        tried += 1;
    }
    assert!(tried >= 50, "only {tried} letters were tried");
}

#[test]
fn each_key_has_slurms_heading_and_value() {
    let mut tried = 0;
    for entry in captures::read("squeue-Format-all26.txt") {
        let field = entry.command.split(' ').nth(4).expect("a command has words");
        // When it was last looked at is not kept for a job that waits.
        if is_other(field) || field == "'LastSchedEval'" {
            continue;
        }
        // The captures took a while, which shows in what counts.
        let now = match field {
            "'PendingTime'" => LATER + 5,
            _ => LATER + 5,
        };
        let (ours, _) = run(&entry.command, &samples::later_jobs(), now);
        let ours: String = ours.lines().map(|line| format!("{line}|\n")).collect();
        let folder = |text: &str| text.replace("/srv/slurm/jobs     ", "/srv/slurm/");
        let ours = folder(&ours.replace("/srv/slurm/jobs/jrun", "/srv/slurm/"));
        captures::assert_same(&entry.command, &ours, &entry.stdout);
        tried += 1;
    }
    assert!(tried > 110, "only {tried} keys were tried");
}

#[test]
fn rarer_options_are_as_slurms() {
    for entry in captures::read("extra-squeue.txt") {
        let others = ["277_[0-3%1]", "278"];
        let lines = entry.stdout.lines().filter(|line| {
            let first = line.split_whitespace().next().unwrap_or_default();
            !others.contains(&first)
        });
        let theirs: String = lines.map(|line| format!("{line}\n")).collect();
        // No unique id.
        let theirs = theirs.replace("sC2HM85B4K1800", "(null)");
        let (ours, exit) = run(&entry.command, &samples::later_jobs(), LATER + 3);
        captures::assert_same(&entry.command, &ours, &theirs);
        assert_eq!(exit, entry.exit, "{}", entry.command);
    }
}

#[test]
fn json_has_slurms_keys_order_and_values() {
    for (index, id) in [275, 276].into_iter().enumerate() {
        let command = format!("squeue --json -j {id}");
        let entry = captures::one("json-squeue-job.txt", &command);
        let mut theirs: serde_json::Value =
            serde_json::from_str(&entry.stdout).expect("the capture is JSON");
        // The style alone: what is read comes out as it was.
        captures::assert_same(&command, &render::json::text(&theirs, false), &entry.stdout);
        let views = samples::later_jobs();
        let clock = samples::clock(LATER + 6);
        let job = Job::of(&views[index], clock.now).expect("the view is whole");
        let meta = json::Meta {
            cluster: "ref",
            command: vec!["squeue", "--json", "-j", if id == 275 { "275" } else { "276" }],
            user: "alice".to_owned(),
            group: "alice".to_owned(),
        };
        let ours = json::answer(&[job], &meta, clock.now, false);
        patch(&mut theirs, id);
        let folder = r"\/srv\/scratch\/slurm\/jobs";
        let theirs = render::json::text(&theirs, false).replace(folder, r"\/srv\/slurm\/jobs");
        captures::assert_same(&command, &ours, &theirs);
    }
}

/// What Rafter says otherwise, and why.
fn patch(theirs: &mut serde_json::Value, id: u32) {
    use serde_json::json;
    let job = &mut theirs["jobs"][0];
    // No numbers of associations, no unique id of Slurm's.
    job["association_id"] = json!(0);
    job["step_id"]["sluid"] = json!("");
    // What Rafter knows of a submission.
    let waits = json!(["USING_DEFAULT_QOS", "USING_DEFAULT_WCKEY", "PARTITION_ASSIGNED"]);
    let runs = json!([
        "EXACT_TASK_COUNT_REQUESTED",
        "EXACT_CPU_COUNT_REQUESTED",
        "JOB_WAS_RUNNING",
        "EXACT_MEMORY_REQUESTED",
        "USING_DEFAULT_QOS",
        "USING_DEFAULT_WCKEY",
        "PARTITION_ASSIGNED",
    ]);
    job["flags"] = if id == 275 { runs } else { waits };
    // When a job that waits was looked at is not kept.
    if id != 275 {
        job["last_sched_evaluation"]["number"] = json!(0);
    }
    theirs["last_backfill"]["number"] = json!(0);
    theirs["last_update"]["number"] = json!(LATER + 6);
    theirs["meta"]["plugin"]["accounting_storage"] = json!("");
    theirs["meta"]["slurm"]["version"]["micro"] = json!("0");
    theirs["meta"]["slurm"]["release"] = json!("26.05.0");
}

#[test]
fn what_is_not_confirmed_is_not_shown_as_running() {
    use proto::types::Stage;
    let mut views = samples::later_jobs();
    for stage in [Stage::Allocated, Stage::Launching] {
        views[0].job().run.as_mut().expect("it runs").stage = stage.into();
        let (out, _) = run("squeue -h -j 275 -o '%t %T'", &views, LATER);
        assert_eq!(out, "CF CONFIGURING\n");
        assert_eq!(run("squeue -h -t R", &views, LATER).0, "");
        assert_eq!(run("squeue -h -t CF -o %i", &views, LATER).0, "275\n");
    }
}

#[test]
fn planned_starts_are_shown_earliest_first() {
    let mut later = samples::pending(7, "later", 3, Reason::Priority);
    later.planned_start = Some(samples::SUBMITTED * 1000 + 7_200_000);
    let mut next = samples::pending(8, "next", 2, Reason::Resources);
    next.planned_start = Some(samples::SUBMITTED * 1000 + 3_600_000);
    let unknown = samples::pending(9, "unknown", 1, Reason::Priority);
    let (out, exit) =
        run("squeue --start -ho '%i %S %r'", &[later, next, unknown], samples::SUBMITTED);
    assert_eq!(exit, 0);
    let lines: Vec<&str> = out.lines().collect();
    let [first, second, third] = lines[..] else { panic!("{out}") };
    assert!(first.starts_with("8 20") && first.ends_with(" Resources"), "{out}");
    assert!(second.starts_with("7 20") && second.ends_with(" Priority"), "{out}");
    assert_eq!(third, "9 N/A Priority");
}

#[test]
fn ended_jobs_are_shown_to_who_asks_for_them() {
    use proto::types::EndState;
    let mut killed = samples::pending(13, "wrap", 107, Reason::RaisedSignal)
        .runs(SUBMITTED, vec![samples::place("n1", 1, 100)])
        .ended(SUBMITTED + 1, EndState::Failed);
    killed.reason = Reason::RaisedSignal.into();
    killed.job().end.as_mut().expect("it has ended").exit_signal = 53;
    let cancelled =
        samples::pending(18, "wrap", 107, Reason::None).ended(SUBMITTED + 1, EndState::Cancelled);
    let done = samples::pending(25, "okjob", 107, Reason::None)
        .runs(SUBMITTED, vec![samples::place("n1", 1, 100)])
        .ended(SUBMITTED + 61, EndState::Completed);
    let views = [killed, cancelled, done];
    assert_eq!(run("squeue -h", &views, SUBMITTED + 100).0, "");
    // The lines of squeue.txt's `squeue -t all`.
    let expected = "                18       cpu     wrap    alice CA       0:00      1 \n\
                    \u{20}               25       cpu    okjob    alice CD       1:01      1 n1\n\
                    \u{20}               13       cpu     wrap    alice  F       0:01      1 \
                    (RaisedSignal:53(Real-time signal 19))\n";
    assert_eq!(run("squeue -h -t all", &views, SUBMITTED + 100).0, expected);
    assert_eq!(run("squeue -h -t CD -o %i", &views, SUBMITTED + 100).0, "25\n");
}

/// As 22.05 was seen to show `sbatch -n1 : -n2 env.sh`.
#[test]
fn components_are_shown_by_their_leaders() {
    let component = |id, priority| {
        samples::pending(id, "env.sh", priority, Reason::Resources).component(77_160, 2)
    };
    let views =
        [component(77_160, 9), component(77_161, 8), samples::pending(5, "x", 7, Reason::Priority)];
    let shown = |command: &str| run(command, &views, SUBMITTED).0;
    assert_eq!(shown("squeue -h -o %i"), "77160+0\n77160+1\n5\n");
    assert_eq!(
        shown("squeue -h -o '%i|%A|%F|%K'"),
        "77160+0|77160|77160|N/A\n77160+1|77161|77161|N/A\n5|5|5|N/A\n"
    );
    assert_eq!(
        shown("squeue -h -O JobID:6,JobArrayID:8,HetJobID:6,HetJobOffset:4,HetJobIDSet"),
        "77160 77160+0 77160 0   77160-77161         \n\
         77161 77160+1 77160 1   77160-77161         \n\
         5     5       N/A   N/A N/A                 \n"
    );
    // The leader's number means all, any other one itself.
    assert_eq!(shown("squeue -h -o %A -j 77160"), "77160\n77161\n");
    assert_eq!(shown("squeue -h -o %A -j 77161"), "77161\n");
    assert_eq!(shown("squeue -h -o %A -j 77160+1"), "77161\n");
    assert_eq!(shown("squeue -h -o %A -j 77160+2"), "");
    let jobs = Job::all(&views, common::time::Timestamp::from_seconds(SUBMITTED)).expect("whole");
    let values: Vec<_> = jobs.iter().map(|job| json::job(job, "ref")).collect();
    let number = |value: &serde_json::Value, key: &str| value[key]["number"].as_u64();
    assert_eq!(number(&values[1], "het_job_id"), Some(77_160));
    assert_eq!(number(&values[1], "het_job_offset"), Some(1));
    assert_eq!(values[1]["het_job_id_set"], "77160-77161");
    assert_eq!(
        (number(&values[2], "het_job_id"), &values[2]["het_job_id_set"]),
        (Some(0), &"".into())
    );
}

/// Every long option of the real command is known, be it to be refused.
#[test]
fn all_of_slurms_options_are_known() {
    let known = options::known();
    let real = captures::long_options("squeue");
    assert!(real.len() > 40, "only {} options", real.len());
    for option in real {
        assert!(known.contains(&option), "--{option} is not known");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_words_are_taken_or_refused(
        sort in "[-#,+a-zA-Z0-9ä ]{0,12}",
        states in "[a-zA-Z_,]{0,20}",
        jobs in "[0-9,_+.a\\[\\]-]{0,20}",
        format in "[%.0-9a-zA-Z:,]{0,20}",
    ) {
        for command in [
            format!("squeue '--sort={sort}' '--format={format}'"),
            format!("squeue '--states={states}' '--jobs={jobs}' '--Format={format}'"),
        ] {
            let (out, exit) = run(&command, &samples::jobs(), SUBMITTED);
            prop_assert!(exit <= 1, "{}", command);
            prop_assert!(out.len() < 10_000_000, "{}", command);
        }
    }
}

#[test]
#[ignore = "a measurement: cargo nextest run -p cli --run-ignored only --no-capture"]
fn ten_thousand_lines() {
    let views: Vec<_> = (0..10_000)
        .map(|id| samples::pending(id, "some-job", u32::MAX - id, Reason::Priority))
        .collect();
    let begun = Instant::now();
    let (out, _) = run("squeue", &views, SUBMITTED);
    println!("{} bytes in {:?}", out.len(), begun.elapsed());
}

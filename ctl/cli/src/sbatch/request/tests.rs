//! What is asked for against what is sent, and against what the real `sbatch` said.

use std::fs;

use common::time::Timestamp;
use expect_test::{Expect, expect, expect_file};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::sbatch::{
    script,
    table::{self, Opt},
};

/// 2026-11-23T23:08:09Z, when the captures were taken.
const NOW: Timestamp = Timestamp(1_795_475_289_000);

/// A folder with the scripts that the captures use.
struct World {
    folder: TempDir,
    submitter: Submitter,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let scripts: [(&str, &[u8]); 7] = [
            ("ok.sh", b"#!/bin/bash\n#SBATCH --job-name=okjob\necho hello from $SLURM_JOB_ID\n"),
            ("noshebang.sh", b"echo no shebang\n"),
            ("bin.sh", b"\x7fELF\x00binary"),
            ("empty.sh", b""),
            ("dos.sh", b"#!/bin/bash\r\necho hi\r\n"),
            ("badopt.sh", b"#!/bin/bash\n#SBATCH --frobnicate\necho x\n"),
            ("badinterp.sh", b"#!/no/such/interp\necho x\n"),
        ];
        for (name, content) in scripts {
            fs::write(folder.path().join(name), content).expect("written");
        }
        let text = |text: &str| text.to_owned();
        let submitter = Submitter {
            folder: folder.path().to_str().expect("text").to_owned(),
            host: text("ctl1"),
            group: 2003,
            group_name: text("alice"),
            session: 17_587,
            umask: 0o022,
            login: Login { user: text("alice"), home: text("/home/alice"), shell: text("/bin/sh") },
            variables: vec![(b"A".to_vec(), b"1".to_vec())],
        };
        Self { folder, submitter }
    }

    fn script(self, content: &str) -> Self {
        fs::write(self.folder.path().join("ok.sh"), content).expect("written");
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        environment::set(&mut self.submitter.variables, name, value);
        self
    }

    fn prepare(&self, line: &str) -> Result<Box<Prepared>, Complaint> {
        let words = script::split(line).expect("a good line");
        let setting = Setting { now: NOW, zone: &TimeZone::UTC, root: false };
        match prepare("sbatch", &words, &self.submitter, setting)? {
            Outcome::Submit(prepared) => Ok(prepared),
            Outcome::Answer(id) => panic!("{line} asks for {id}"),
        }
    }

    fn spec(&self, line: &str) -> wire::JobSpec {
        let prepared = self.prepare(line).unwrap_or_else(|complaint| panic!("{complaint:?}"));
        prepared.request.spec.expect("a spec")
    }
}

/// One command of a capture, and what the real one did.
struct Captured<'a> {
    line: &'a str,
    exit: u8,
    stderr: String,
}

fn captured(text: &str) -> impl Iterator<Item = Captured<'_>> {
    let entries = text.split("==================================================\n");
    entries.filter_map(|entry| {
        // What follows the entry before.
        let entry = entry
            .strip_prefix("--> ")
            .map_or(Some(entry), |rest| rest.split_once('\n').map(|(_, entry)| entry))?;
        let (command, rest) = entry.strip_prefix("$ sbatch ")?.split_once("\n[exit ")?;
        let (exit, output) = rest.split_once("]\n")?;
        let stderr = output.split_once("--- stderr\n").map_or("", |(_, stderr)| stderr);
        let plain = !command.contains('\n');
        let exit = exit.parse().expect("a number");
        plain.then(|| Captured { line: command, exit, stderr: stderr.to_owned() })
    })
}

const CAPTURES: [&str; 6] = [
    include_str!("../../../tests/slurm/sbatch-errors.txt"),
    include_str!("../../../tests/slurm/sbatch-submit.txt"),
    include_str!("../../../tests/slurm/extra-sbatch.txt"),
    include_str!("../../../tests/slurm/sbatch-time-formats.txt"),
    include_str!("../../../tests/slurm/sbatch-mem-formats.txt"),
    include_str!("../../../tests/slurm/sbatch-begin-formats.txt"),
];

/// Where the real one refuses before it asks its controller, we say the same. Where it goes on, so
/// do we. All else is an option that is not supported, and named.
#[test]
fn the_captures_are_met_or_the_option_is_refused_by_name() {
    let world = World::new();
    let (mut met, mut unsupported, mut differ) = (0, Vec::new(), Vec::new());
    for Captured { line, exit, stderr } in CAPTURES.into_iter().flat_map(captured) {
        let ours = world.prepare(line).map_err(|wrong| (wrong.text("sbatch"), wrong.exit));
        match ours {
            Err((text, 1)) if text.contains(" is not supported: ") => {
                let (option, _) = text.split_once(" is not").expect("looked at");
                unsupported.push(option.trim_start_matches("sbatch: error: --").to_owned());
                continue;
            }
            // What its controller refused is for ours to refuse; a script's own end is no error.
            Ok(_) if stderr.contains("submission failed") || stderr.contains("by database") => {}
            Ok(_) if stderr.contains("(gres) specification") => {}
            Ok(_) if line.contains("--wait ") || line.contains("-W ") => {}
            Ok(_) if exit == 0 && ["-v ", "--test-only "].iter().any(|o| line.contains(o)) => {}
            Ok(prepared) if exit == 0 => {
                let said = prepared.asked.remarks.iter().map(|text| format!("sbatch: {text}\n"));
                assert_eq!(said.collect::<String>(), stderr, "{line}");
            }
            Ok(_) => differ.push(format!("{line}: accepted")),
            Err((text, code)) if text == stderr && code == exit => {}
            Err((text, code)) => differ.push(format!("{line}: [{code}] {text}")),
        }
        met += 1;
    }
    assert_eq!(differ, [""; 0]);
    assert!(met > 90, "only {met} entries were read");
    unsupported.sort();
    unsupported.dedup();
    let list = unsupported.iter().map(|option| format!("{option}\n")).collect::<String>();
    expect_file!["unsupported.txt"].assert_eq(&list);
}

fn check(line: &str, show: impl Fn(&wire::JobSpec) -> String, expected: &Expect) {
    expected.assert_eq(&show(&World::new().spec(line)));
}

#[test]
fn a_bare_submission_says_what_it_must() {
    let world = World::new();
    let mut spec = world.spec("ok.sh a 'b c'");
    assert_eq!(spec.command.take(), Some(format!("{}/ok.sh", world.submitter.folder)));
    assert_eq!(std::mem::take(&mut spec.work_dir), world.submitter.folder);
    assert!(!std::mem::take(&mut spec.limits).is_empty());
    let expected = wire::JobSpec {
        name: "okjob".into(),
        group: 2003,
        group_name: "alice".into(),
        layout: Some(common::job::Layout::SINGLE.into()),
        arguments: vec!["a".into(), "b c".into()],
        submit_line: "sbatch ok.sh a b c".into(),
        submit_host: "ctl1".into(),
        session: 17_587,
        umask: 0o022,
        ..wire::JobSpec::default()
    };
    assert_eq!(spec, expected);
}

#[test]
fn options_become_fields() {
    let layout = |spec: &wire::JobSpec| {
        let l = spec.layout.expect("a layout");
        format!(
            "nodes {}-{:?}{} tasks {}{} cpus {:?} per node {:?} min {:?}",
            l.min_nodes,
            l.max_nodes,
            if l.nodes_given { " given" } else { "" },
            l.tasks,
            if l.tasks_given { " given" } else { "" },
            l.cpus_per_task,
            l.tasks_per_node,
            l.min_cpus_per_node
        )
    };
    let cases = [
        ("-N2 ok.sh", expect!["nodes 2-Some(2) given tasks 2 cpus None per node None min None"]),
        (
            "-N1-3 -n2 --ntasks-per-node=4 ok.sh",
            expect!["nodes 1-Some(3) given tasks 2 given cpus None per node Some(4) min None"],
        ),
        (
            "-n 65 -c2 ok.sh",
            expect!["nodes 1-None tasks 65 given cpus Some(2) per node None min None"],
        ),
        (
            "--tasks=3 -N2 ok.sh",
            expect!["nodes 2-Some(2) given tasks 6 given cpus None per node Some(3) min None"],
        ),
        (
            "-w n[1-3] --mincpus=2 ok.sh",
            expect!["nodes 3-None tasks 3 cpus None per node None min Some(2)"],
        ),
        (
            "-N4 -n2 ok.sh",
            expect!["nodes 2-Some(2) given tasks 2 given cpus None per node None min None"],
        ),
    ];
    for (line, expected) in cases {
        check(line, layout, &expected);
    }
}

#[test]
fn texts_become_fields() {
    let world = World::new();
    let spec = world.spec(
        "-A proj -p cpu -J '' -x n2,n[3-4] --exclusiv -H --requeue --nice --comment='x y' -o none \
         -e e.%j --open-mode=a --signal=B:USR1@20 -t 1:30 --mem-per-cpu=2G -D sub --begin=now+60 \
         --export=NIL -C fast,a*2 ok.sh",
    );
    let expected = wire::JobSpec {
        name: String::new(),
        account: Some("proj".into()),
        partition: "cpu".into(),
        excluded_nodes: vec!["n2".into(), "n3".into(), "n4".into()],
        exclusive: true,
        hold: true,
        requeue: Some(true),
        nice: 100,
        comment: Some("x y".into()),
        std_out: Some("/dev/null".into()),
        std_err: Some("e.%j".into()),
        append: Some(true),
        warn_signal: Some(wire::WarnSignal { signal: 10, before_ms: 20_000, batch_only: true }),
        time_limit: Some(wire::TimeLimit { minutes: Some(2) }),
        memory: Some(common::job::MemoryRequest::PerCpu(2048).into()),
        work_dir: format!("{}/sub", world.submitter.folder),
        begin: Some(NOW.0 + 60_000),
        export: Some("NIL".into()),
        constraint: Some("fast&a*2".into()),
        submit_line: spec.submit_line.clone(),
        limits: spec.limits.clone(),
        ..world.spec("ok.sh")
    };
    assert_eq!(spec, expected);
}

#[test]
fn a_file_may_name_the_nodes() {
    let world = World::new();
    let file = world.folder.path().join("hosts");
    fs::write(&file, "n1,n2\nn2 n[3-4]\n").expect("a file");
    let file = file.display();
    let spec = world.spec(&format!("-F {file} --tmp=2G ok.sh"));
    assert_eq!(spec.required_nodes, ["n1", "n2", "n3", "n4"]);
    assert_eq!((spec.layout.expect("a layout").min_nodes, spec.tmp_disk_mib), (4, 2_048));
    let both = world.spec(&format!("-w n9 -F {file} ok.sh"));
    assert_eq!(both.required_nodes, ["n9"]);
}

#[test]
fn licenses_are_asked_for_as_they_are_written() {
    let script = "#!/bin/sh\n#SBATCH -L matlab:2;ansys\ntrue\n";
    let world = World::new().script(script);
    let asked = |spec: wire::JobSpec| spec.asks.and_then(|asks| asks.licenses);
    assert_eq!(asked(world.spec("ok.sh")).as_deref(), Some("matlab:2;ansys"));
    assert_eq!(asked(world.spec("--licenses=spice ok.sh")).as_deref(), Some("spice"));
    assert_eq!(world.spec("-L '' ok.sh").asks, None);
    let wrong = |line| world.prepare(line).expect_err("it is no list").text("sbatch");
    let text = "sbatch: error: Batch job submission failed: Invalid license specification\n";
    assert_eq!(wrong("-L matlab=2 ok.sh"), text);
    assert!(wrong("-L 'a|b' ok.sh").contains("--licenses with | is not supported"));
}

/// What is refused, in the words of the real one.
#[test]
fn times_and_priorities_are_asked_for() {
    let world = World::new();
    let spec = world.spec("--deadline=now+1hour --time-min=10 --priority=TOP ok.sh");
    let asks = spec.asks.expect("something is asked for");
    assert_eq!(asks.deadline, Some(NOW.0 + 3_600_000));
    assert_eq!(asks.time_min, Some(wire::TimeLimit { minutes: Some(10) }));
    assert_eq!(asks.priority, Some(4_294_967_293));
    let wrong = |line: &str| world.prepare(line).expect_err("it makes no sense").text("sbatch");
    assert_eq!(
        wrong("--deadline=xx ok.sh"),
        "Invalid time specification (pos=0): xx\nsbatch: error: Invalid --deadline specification\n"
    );
    assert_eq!(wrong("--time-min=xx ok.sh"), "sbatch: error: Invalid --time-min specification\n");
    let most = "sbatch: error: Priority must be < 4294967294\n";
    assert_eq!(wrong("--priority=4294967295 ok.sh"), most);
    assert_eq!(wrong("--priority=-4 ok.sh"), "sbatch: error: Priority must be >= 0\n");
    let number = "sbatch: error: Invalid numeric value \"x\" for --priority.\n";
    assert_eq!(wrong("--priority=x ok.sh"), number);
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_script() {
    let script = "#!/bin/sh\n#SBATCH -p script -t 1 -J script --mem=1G\ntrue\n";
    let world = World::new().script(script);
    let world = world.variable("SBATCH_PARTITION", "environment");
    let world = world.variable("SBATCH_TIMELIMIT", "2").variable("SBATCH_EXCLUSIVE", "");
    let spec = world.spec("-t3 --mem-per-cpu=5 ok.sh");
    assert_eq!((spec.partition.as_str(), spec.name.as_str()), ("environment", "script"));
    assert_eq!(spec.time_limit, Some(wire::TimeLimit { minutes: Some(3) }));
    assert_eq!(spec.memory, Some(common::job::MemoryRequest::PerCpu(5).into()));
    assert!(spec.exclusive);
    let user = world.spec("--exclusive=user ok.sh");
    let placing = user.asks.and_then(|asks| asks.placing).expect("it says so");
    assert!(placing.user_alone && !user.exclusive, "the last one counts");
    let few = world.spec("--switches=2@1:30 ok.sh").asks.and_then(|asks| asks.placing);
    let few = few.and_then(|placing| placing.switches);
    assert_eq!(few, Some(wire::Switches { most: 2, wait_s: Some(90) }));
    for wrong in ["--switches=0", "--switches=1@x", "--switches=@5"] {
        let refused = world.prepare(&format!("{wrong} ok.sh")).map(drop);
        assert_eq!(refused, Err(Complaint::specification("switches")), "{wrong}");
    }
    let both = world.prepare("--mem=1 --mem-per-cpu=5 ok.sh").expect_err("both");
    assert!(both.text("sbatch").contains("mutually exclusive"), "{both:?}");
}

#[test]
fn what_the_environment_says_wrong_is_said() {
    let world = World::new().variable("SBATCH_TIMELIMIT", "x");
    assert_eq!(world.prepare("ok.sh").map(drop), Err(Complaint::specification("time")));
    let world = World::new().variable("SBATCH_CONSTRAINT", "a&&b");
    let refused = world.prepare("ok.sh").expect_err("no constraint").text("sbatch");
    assert_eq!(
        refused,
        "sbatch: error: Batch job submission failed: Invalid feature specification\n"
    );
    assert_eq!(World::new().spec("-C '' ok.sh").constraint, None);
    let world = World::new().variable("SBATCH_QOS", "high");
    assert_eq!(world.spec("ok.sh").qos.as_deref(), Some("high"));
    assert_eq!(world.spec("-q low ok.sh").qos.as_deref(), Some("low"));
}

#[test]
fn what_is_wrong_first_is_said_first() {
    let world = World::new();
    let said = |line| world.prepare(line).expect_err("wrong").text("sbatch");
    assert!(said("--bogus nosuch.sh").contains("unrecognized option '--bogus'"));
    assert_eq!(said("-N abc nosuch.sh"), "sbatch: error: Unable to open file nosuch.sh\n");
    assert!(said("-t abc badopt.sh").contains("unrecognized option '--frobnicate'"));
    assert!(said("-t abc -N abc ok.sh").contains("--time"));
}

#[test]
fn the_script_goes_as_it_is() {
    let world = World::new();
    let request = |line| world.prepare(line).expect("good").request;
    let file = fs::read(world.folder.path().join("ok.sh")).expect("there");
    assert_eq!(request("ok.sh").script, file);
    let wrapped = request("--wrap='echo wrapped; hostname'");
    let text = "#!/bin/sh\n# This script was created by sbatch --wrap.\n\necho wrapped; hostname\n";
    assert_eq!(wrapped.script, text);
    let spec = wrapped.spec.expect("a spec");
    assert_eq!((spec.name.as_str(), spec.command), ("wrap", None));
    assert_eq!(spec.submit_line, "sbatch --wrap=echo wrapped; hostname");
    assert_ne!(request("ok.sh").request, request("ok.sh").request, "ids are random");
}

#[test]
fn the_environment_goes_along() {
    let world = World::new();
    let environment = |line: &str| {
        let request = world.prepare(line).expect("good").request;
        String::from_utf8_lossy(&request.environment).replace('\0', "\n")
    };
    let (folder, host) = (&world.submitter.folder, "ctl1");
    let submit = format!("SLURM_SUBMIT_DIR={folder}\nSLURM_SUBMIT_HOST={host}\n");
    assert_eq!(environment("ok.sh"), format!("A=1\n{submit}"));
    assert_eq!(
        environment("-D /x --export=B=2 --open=t ok.sh"),
        format!("B=2\n{submit}SLURM_OPEN_MODE=t\n")
    );
}

#[test]
fn foreign_directives_are_not_taken_for_comments() {
    let world = World::new().script("#!/bin/sh\n#PBS -l walltime=1:00:00\ntrue\n");
    let text = world.prepare("ok.sh").expect_err("not read").text("sbatch");
    assert!(text.contains("#PBS -l walltime=1:00:00"), "{text}");
    assert!(world.prepare("--ignore-pbs ok.sh").is_ok());
    assert!(world.variable("SBATCH_IGNORE_PBS", "1").prepare("ok.sh").is_ok());
}

/// The specs of all components that the line asks for.
fn components(world: &World, line: &str) -> Vec<wire::JobSpec> {
    let request = world.prepare(line).unwrap_or_else(|wrong| panic!("{wrong:?}")).request;
    request.spec.into_iter().chain(request.components).collect()
}

/// As the real one was seen to do.
#[test]
fn what_is_said_of_one_component_may_go_for_others() {
    let world = World::new().script("#!/bin/sh\ntrue\n");
    let asked = |line: &str| components(&world, line);
    let tasks = |line: &str| asked(line).iter().map(tasks_of).collect::<Vec<_>>();
    assert_eq!(tasks("-n1 : -n2 ok.sh"), [1, 2]);
    assert_eq!(tasks("-n3 : : -n2 ok.sh a : b"), [3, 1, 2]);
    assert_eq!(asked("-n3 ok.sh : -n2")[0].arguments, [":", "-n2"]);
    assert_eq!(tasks("-n2 --wrap=true : -n4"), [2, 4]);
    // What concerns the job as a whole goes for all.
    for line in ["-J x -t 7 -n2 -p a : -c2 ok.sh", "-n2 -p a : -c2 -J x -t 7 ok.sh"] {
        let [first, second] = &asked(line)[..] else { panic!("{line}") };
        assert_eq!([&first.name, &second.name], ["x", "x"], "{line}");
        assert_eq!([first.time_limit, second.time_limit], [Some(minutes(7)); 2], "{line}");
        assert_eq!([&*first.partition, &*second.partition], ["a", ""], "{line}");
        assert_eq!([tasks_of(first), tasks_of(second)], [2, 1], "{line}");
        let cpus = [first, second].map(|spec| spec.layout.and_then(|all| all.cpus_per_task));
        assert_eq!(cpus, [None, Some(2)], "{line}");
    }
    let memory = |line: &str| -> Vec<_> {
        asked(line).iter().map(|spec| spec.memory.and_then(|memory| memory.amount)).collect()
    };
    use wire::memory_request::Amount::{PerCpu, PerNode};
    assert_eq!(memory("--mem=5 : -n2 ok.sh"), [Some(PerNode(5)); 2]);
    assert_eq!(memory("--mem-per-cpu=5 : ok.sh"), [Some(PerCpu(5)), None]);
    assert_eq!(memory("--mem=5 : --mem-per-cpu=7 ok.sh"), [Some(PerNode(5)), Some(PerCpu(7))]);
}

fn tasks_of(spec: &wire::JobSpec) -> u32 {
    spec.layout.map_or(0, |layout| layout.tasks)
}

fn minutes(minutes: u32) -> wire::TimeLimit {
    wire::TimeLimit { minutes: Some(minutes) }
}

#[test]
fn a_scripts_components_meet_those_of_the_command_line() {
    let script = "#!/bin/sh\n#SBATCH -n2 -J first -t 5\n#SBATCH hetjob\n#SBATCH -n3 -c2\n\
                  #SBATCH hetjob\n#SBATCH -N2 -p short -J third\ntrue\n";
    let world = World::new().script(script);
    let said = |line: &str| -> Vec<(String, u32)> {
        components(&world, line).iter().map(|spec| (spec.name.clone(), tasks_of(spec))).collect()
    };
    let name = |name: &str, tasks| (name.to_owned(), tasks);
    assert_eq!(said("ok.sh"), [name("first", 2), name("first", 3), name("third", 2)]);
    let more = [name("h", 1), name("h", 2), name("third", 2)];
    assert_eq!(said("-J h -n1 : -n2 ok.sh"), more);
    assert_eq!(said(": : : -n7 ok.sh").len(), 4);
    let limits: Vec<_> = components(&world, "ok.sh").iter().map(|spec| spec.time_limit).collect();
    assert_eq!(limits, [Some(minutes(5)); 3]);
    assert!(super::super::supposed("-n1 : -n2").is_err(), "not asked of what-if");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is given with whatever value, there is a submission or a complaint.
    #[test]
    fn no_option_panics(at in 0..200_usize, value in "[a-zA-Z0-9:@,=/\\[\\]é+-]{0,12}") {
        let world = World::new();
        let rows: Vec<_> = table::rows().filter(|row| row.opt != Opt::Answered).collect();
        let row = rows[at % rows.len()];
        let words = [format!("--{}={value}", row.long), "ok.sh".to_owned()];
        let setting = Setting { now: NOW, zone: &TimeZone::UTC, root: false };
        if let Err(complaint) = prepare("sbatch", &words, &world.submitter, setting) {
            prop_assert!(complaint.exit != 0 && complaint.text("sbatch").contains("sbatch: "));
        }
    }
}

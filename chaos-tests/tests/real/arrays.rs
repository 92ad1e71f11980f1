//! Arrays of jobs, from the commands to the scripts and back.

use std::fs;

use crate::{
    cluster::{BOUND, Cluster},
    wait::until,
};

#[test]
fn each_task_of_an_array_runs_once_under_its_own_number() {
    let cluster = Cluster::raise(1, 1, &[]);
    let script = "echo $SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT
        exit $SLURM_ARRAY_TASK_ID";
    let words = ["--parsable", "--wait", "--array=1-5:2%2", "--wrap", script];
    let output = cluster.run("sbatch", &words);
    assert_eq!(output.status.code(), Some(5), "the highest of the tasks'{}", cluster.logs());
    let array = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    for task in [1, 3, 5] {
        let path = cluster.path(&format!("jobs/slurm-{array}_{task}.out"));
        let said = fs::read_to_string(&path).expect("each task has an output of its own");
        assert_eq!(said, format!("{array} {task} of 3\n"));
    }
}

#[test]
fn tasks_are_cancelled_released_and_limited_by_their_numbers() {
    let cluster = Cluster::raise(1, 1, &[]);
    let array = cluster.submit("true", &["--hold", "--array=0-9"]);
    let listed = || cluster.ask("squeue", &["-h", "-o", "%i %r"]);
    assert_eq!(listed(), format!("{array}_[0-9] JobHeldUser"));
    cluster.ask("scancel", &[&format!("{array}_[1-3]"), &format!("{array}_9")]);
    assert_eq!(listed(), format!("{array}_[0,4-8] JobHeldUser"));
    let four = format!("{array}_4");
    cluster.ask("scontrol", &["release", &four]);
    until("task 4 to be over", BOUND, || {
        let shown = cluster.ask("scontrol", &["show", "job", "-o", &four]);
        shown.contains("JobState=COMPLETED").then_some(())
    });
    cluster.ask("scontrol", &["update", &format!("JobId={array}"), "ArrayTaskThrottle=2"]);
    assert_eq!(listed(), format!("{array}_[0,5-8%2] JobHeldUser"));
    cluster.ask("scancel", &[&array.to_string()]);
    cluster.until_empty();
}

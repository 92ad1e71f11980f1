//! `scontrol update JobId=...`.

use common::{
    count::{self, CountError},
    date,
    hostlist::Hostlist,
    job::{Constraint, Dependency, Licenses},
    time::{TimeLimit, Timestamp},
};
use jiff::tz::TimeZone;
use proto::{
    ctl::{JobsRequest, UpdateJobRequest},
    types::{self, JobChanges, MemoryRequest, NameList, memory_request::Amount},
};

use super::{
    NO_CHANGES, Wrong,
    pair::{Change, Pair},
    unsupported,
};
use crate::{
    client::{self, Client},
    door::UPDATE_JOB,
    scontrol::{act, session::Session},
    trouble::Trouble,
    view::job::{granted, limit},
};

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
struct Update {
    /// Lists of jobs, as they were written: `5,7-9` or `jobname=a`.
    jobs: Vec<String>,
    changes: JobChanges,
    /// Minutes more or less than the time limit that there is.
    shift: Option<i64>,
    /// What the controller would refuse for each job, as `NumNodes=3-2`.
    wrong: Option<String>,
}

pub(super) fn run(session: &mut Session<'_>, words: &[&str]) -> u8 {
    let update = match parse(words, now(), &TimeZone::system()) {
        Ok(update) => update,
        Err(wrong) => return session.complain(&wrong),
    };
    let Update { jobs, changes, shift, wrong } = update;
    let jobs: Vec<&str> = jobs.iter().map(String::as_str).collect();
    act::each(session, &jobs, None, |session, target| {
        if let Some(wrong) = &wrong {
            session.client()?;
            return Ok(Err(refused(wrong)));
        }
        let mut changes = changes.clone();
        if let Some(shift) = shift {
            match session.call(async |client| shifted(client, target.job, shift).await)? {
                Ok(limit) => changes.time_limit = Some(limit),
                Err(trouble) => return Ok(Err(trouble)),
            }
        }
        let request = UpdateJobRequest {
            request: client::request_id(),
            job: target.job,
            changes: Some(changes),
            tasks: target.runs(),
        };
        session.change(&UPDATE_JOB, &request)
    })
}

fn refused(message: &str) -> Trouble {
    Trouble::Refused {
        message: message.to_owned(),
        errno: None,
        detail: None,
        code: tonic::Code::FailedPrecondition,
    }
}

fn now() -> Timestamp {
    let now = jiff::Timestamp::now().as_millisecond();
    Timestamp(u64::try_from(now).unwrap_or(0))
}

/// The job's limit, so many minutes longer.
async fn shifted(client: &Client, job: u32, minutes: i64) -> Result<types::TimeLimit, Trouble> {
    let request = JobsRequest { jobs: vec![job], ..JobsRequest::default() };
    let reply = client::jobs(client, request).await?;
    let job = reply.jobs.first().and_then(|view| view.job.as_ref());
    let job = job.ok_or_else(|| refused(act::NO_SUCH_JOB))?;
    let TimeLimit::Minutes(current) = limit(granted(job)) else {
        return Err(refused("Time limit is UNLIMITED and can't be shifted"));
    };
    let minutes = i64::from(current).saturating_add(minutes);
    match u32::try_from(minutes) {
        Ok(minutes @ 1..) => Ok(types::TimeLimit { minutes: Some(minutes) }),
        Ok(0) | Err(_) => Err(refused("Requested time limit is invalid")),
    }
}

fn parse(words: &[&str], now: Timestamp, zone: &TimeZone) -> Result<Update, Wrong> {
    let mut update = Update::default();
    let has_id = words.iter().any(|word| Pair::of(word).is("JobId", 1));
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let pair = Pair::of(word);
        if pair.is("JobId", 1) {
            // `job 5` is `job=5`.
            let list = pair.value.or_else(|| words.next().copied());
            update.jobs.push(list.unwrap_or_default().to_owned());
        } else if pair.is("JobName", 4) && !has_id {
            update.jobs.push((*word).to_owned());
        } else {
            set(&mut update, &pair, now, zone)?;
        }
    }
    let unchanged = update.changes == JobChanges::default();
    if unchanged && update.shift.is_none() && update.wrong.is_none() {
        return Err(NO_CHANGES.to_owned());
    }
    Ok(update)
}

fn set(update: &mut Update, pair: &Pair<'_>, now: Timestamp, zone: &TimeZone) -> Result<(), Wrong> {
    let changes = &mut update.changes;
    let text = pair.text();
    if pair.value.is_none() && !pair.is("Nice", 2) {
        return Err(format!("Invalid input: {}\nRequest aborted\n", pair.word));
    }
    if pair.change != Change::Set && !pair.is("TimeLimit", 5) {
        return Err(unsupported(pair));
    }
    if pair.is("TimeLimit", 5) {
        return time_limit(update, pair);
    }
    if pair.is("JobName", 4) || pair.is("Name", 2) {
        changes.name = Some(text.to_owned());
    } else if pair.is("Comment", 3) {
        changes.comment = Some(text.to_owned());
    } else if pair.is("Account", 1) {
        changes.account = Some(text.to_owned());
    } else if pair.is("QOS", 3) {
        changes.qos = Some(text.to_owned());
    } else if pair.is("Partition", 2) {
        changes.partition = Some(text.to_owned());
    } else if pair.is("Priority", 2) {
        changes.priority = Some(number(pair, "Priority")?);
    } else if pair.is("Nice", 2) {
        changes.nice = Some(nice(pair)?);
    } else if pair.is("Requeue", 4) {
        changes.requeue = Some(match text {
            "0" => false,
            "1" => true,
            _ => return Err(invalid(pair, "Requeue")),
        });
    } else if pair.is("StartTime", 2) || pair.is("EligibleTime", 2) {
        changes.begin = Some(moment(text, now, zone)?);
    } else if pair.is("ArrayTaskThrottle", 9) {
        changes.array_limit = Some(number(pair, "ArrayTaskThrottle")?);
    } else if pair.is("Dependency", 4) {
        match Dependency::parse(text) {
            Ok(dependency) => changes.dependency = Some((&dependency).into()),
            Err(error) => update.wrong = Some(error.to_string()),
        }
    } else if pair.is("Features", 1) {
        match Constraint::parse(text) {
            Ok(constraint) => changes.constraint = Some(constraint.text),
            Err(_) if text.is_empty() => changes.constraint = Some(String::new()),
            Err(error) => update.wrong = Some(error.to_string()),
        }
    } else if pair.is("Licenses", 1) {
        match Licenses::parse(text) {
            Ok(Licenses { text, .. }) => asks(changes).licenses = Some(text),
            Err(error) => update.wrong = Some(error.to_string()),
        }
    } else if pair.is("ReservationName", 3) {
        let names = text.split(',').filter(|name| !name.is_empty());
        changes.reservations = Some(NameList { names: names.map(str::to_owned).collect() });
    } else if pair.is("Deadline", 3) {
        asks(changes).deadline = Some(moment(text, now, zone)?);
    } else if pair.is("TimeMin", 5) {
        let limit = TimeLimit::parse(text).map_err(|_| invalid(pair, "TimeMin"))?;
        asks(changes).time_min = Some(limit.into());
    } else if pair.is("StdOut", 4) {
        changes.std_out = Some(text.to_owned());
    } else if pair.is("StdErr", 4) {
        changes.std_err = Some(text.to_owned());
    } else {
        return layout(update, pair);
    }
    Ok(())
}

fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> Result<u64, Wrong> {
    let at = date::parse(text, now, zone).map_err(|error| format!("{error}\n{NO_CHANGES}"))?;
    Ok(at.0)
}

fn asks(changes: &mut JobChanges) -> &mut types::AskChanges {
    changes.asks.get_or_insert_default()
}

/// What changes where a job may run, and with how much.
fn layout(update: &mut Update, pair: &Pair<'_>) -> Result<(), Wrong> {
    let changes = &mut update.changes;
    let text = pair.text();
    if pair.is("ReqNodeList", 8) || pair.is("NodeList", 8) {
        changes.required_nodes = Some(nodes(text)?);
    } else if pair.is("ExcNodeList", 3) {
        changes.excluded_nodes = Some(nodes(text)?);
    } else if pair.is("NumNodes", 8) || pair.is("ReqNodes", 8) || pair.is("MinNodes", 8) {
        match count::parse_nodes(text) {
            Ok(count) => {
                changes.min_nodes = Some(count.min);
                changes.max_nodes = count.max;
            }
            Err(CountError::Reversed { .. }) => {
                update.wrong = Some("Node count specification invalid".to_owned());
            }
            Err(CountError::Invalid(_) | CountError::List(_)) => {
                return Err(format!(
                    "scontrol: error: Invalid numeric value \"{text}\" for requested node count.\n"
                ));
            }
        }
    } else if pair.is("NumTasks", 8) || pair.is("Tasks", 5) || pair.is("ReqTasks", 8) {
        changes.tasks = Some(count::parse_positive(text).ok_or_else(|| invalid(pair, "NumTasks"))?);
    } else if pair.is("CPUsPerTask", 9) {
        let cpus = count::parse_positive(text).ok_or_else(|| invalid(pair, "CPUsPerTask"))?;
        changes.cpus_per_task = Some(cpus);
    } else if pair.is("MinMemoryNode", 10) {
        let mib = number(pair, "MinMemoryNode")?;
        changes.memory = Some(MemoryRequest { amount: Some(Amount::PerNode(mib)) });
    } else if pair.is("MinTmpDiskNode", 5) {
        changes.tmp_disk_mib = Some(number(pair, "MinTmpDiskNode")?);
    } else if pair.is("MinMemoryCPU", 10) {
        let mib = number(pair, "MinMemoryCPU")?;
        changes.memory = Some(MemoryRequest { amount: Some(Amount::PerCpu(mib)) });
    } else {
        return Err(unsupported(pair));
    }
    Ok(())
}

fn invalid(pair: &Pair<'_>, name: &str) -> Wrong {
    format!("scontrol: error: Invalid {name} value: {}\n", pair.text())
}

fn number<T: std::str::FromStr>(pair: &Pair<'_>, name: &str) -> Result<T, Wrong> {
    pair.text().parse().map_err(|_| invalid(pair, name))
}

/// `Nice` alone is 100.
fn nice(pair: &Pair<'_>) -> Result<i64, Wrong> {
    match pair.value {
        None => Ok(100),
        Some(_) => number(pair, "Nice"),
    }
}

fn nodes(text: &str) -> Result<NameList, Wrong> {
    let list = Hostlist::parse(text).map_err(|_| format!("Invalid hostlist: {text}\n"))?;
    Ok(NameList { names: list.iter().collect() })
}

/// `30`, `+10`, `-5`, and the same with the sign before the `=`. A negative limit by itself is one
/// that is shorter.
fn time_limit(update: &mut Update, pair: &Pair<'_>) -> Result<(), Wrong> {
    let wrong = || "scontrol: error: Invalid TimeLimit value\n".to_owned();
    let (change, text) = match (pair.change, pair.text()) {
        (Change::Set, text) if text.starts_with('+') => (Change::Add, &text[1..]),
        (Change::Set, text) if text.starts_with('-') => (Change::Subtract, &text[1..]),
        (change, text) => (change, text),
    };
    let limit = TimeLimit::parse(text).map_err(|_| wrong())?;
    let minutes = match limit {
        TimeLimit::Minutes(minutes) => Some(minutes),
        TimeLimit::Unlimited => None,
    };
    match (change, minutes) {
        (Change::Set, minutes) => update.changes.time_limit = Some(types::TimeLimit { minutes }),
        (Change::Add, Some(minutes)) => update.shift = Some(minutes.into()),
        (Change::Subtract, Some(minutes)) => update.shift = Some(-i64::from(minutes)),
        (Change::Add | Change::Subtract, None) => return Err(wrong()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Result<Update, Wrong> {
        let words: Vec<&str> = line.split(' ').collect();
        parse(&words, Timestamp::from_seconds(1_000_000), &TimeZone::UTC)
    }

    #[test]
    fn changes_are_read() {
        let update = read("jobid=5,7 TIMELIMIT=1-0 nice=-5 numnodes=2-3 comment=hi").unwrap();
        assert_eq!(update.jobs, ["5,7"]);
        assert_eq!(update.changes.time_limit, Some(types::TimeLimit { minutes: Some(1440) }));
        assert_eq!(update.changes.nice, Some(-5));
        assert_eq!((update.changes.min_nodes, update.changes.max_nodes), (Some(2), Some(3)));
        assert_eq!(update.changes.comment.as_deref(), Some("hi"));
        let changes = read("jobid=5 account=physics qos=long").unwrap().changes;
        assert_eq!(
            changes.account.as_deref().zip(changes.qos.as_deref()),
            Some(("physics", "long"))
        );
        assert_eq!(read("job 5 nice").unwrap().changes.nice, Some(100));
        assert_eq!(read("jobname=a name=b").unwrap().jobs, ["jobname=a"]);
        assert_eq!(read("jobid=5 jobname=b").unwrap().changes.name.as_deref(), Some("b"));
        assert_eq!(read("jobid=5 timelimit=+10").unwrap().shift, Some(10));
        assert_eq!(read("jobid=5 timelimit-=10").unwrap().shift, Some(-10));
        assert_eq!(
            read("jobid=5 reqnodelist=").unwrap().changes.required_nodes.unwrap().names,
            [""; 0]
        );
        let nodes = read("jobid=5 nodelist=n[1-2]").unwrap().changes.required_nodes.unwrap();
        assert_eq!(nodes.names, ["n1", "n2"]);
        assert_eq!(read("jobid=5 starttime=now+1hour").unwrap().changes.begin, Some(1_003_600_000));
        let wrong = read("jobid=5 numnodes=3-2").unwrap().wrong;
        assert_eq!(wrong.as_deref(), Some("Node count specification invalid"));
        let dependent = read("jobid=5 dependency=afterok:1").unwrap();
        let expected = Dependency::parse("afterok:1").unwrap();
        assert_eq!(dependent.changes.dependency, Some((&expected).into()));
        let features = |line| read(line).unwrap().changes.constraint;
        assert_eq!(features("jobid=5 features=a,b").as_deref(), Some("a&b"));
        assert_eq!(features("jobid=5 f=").as_deref(), Some(""));
        let licenses = |line| read(line).unwrap().changes.asks.unwrap().licenses;
        assert_eq!(licenses("jobid=5 licenses=matlab:2").as_deref(), Some("matlab:2"));
        assert_eq!(licenses("jobid=5 lic=").as_deref(), Some(""));
        let wrong = read("jobid=5 licenses=a=b").unwrap().wrong;
        assert_eq!(wrong.as_deref(), Some("Invalid license specification"));
        let disk = read("jobid=5 mintmpdisknode=3000").unwrap().changes.tmp_disk_mib;
        assert_eq!(disk, Some(3_000));
        let reserved = read("jobid=5 reservationname=one,two").unwrap().changes.reservations;
        assert_eq!(reserved.unwrap().names, ["one", "two"]);
        let reserved = read("jobid=5 res=").unwrap().changes.reservations;
        assert_eq!(reserved.unwrap().names, [""; 0]);
        let wrong = read("jobid=5 features=a&&b").unwrap().wrong;
        assert_eq!(wrong.as_deref(), Some("Invalid feature specification"));
        let wrong = read("jobid=5 dependency=bogus").unwrap().wrong;
        assert_eq!(wrong.as_deref(), Some("Job dependency problem"));
    }

    /// As the real command says it: scontrol-update.txt of the captures, and tried besides.
    #[test]
    fn mistakes_are_named_in_slurms_words() {
        let cases = [
            ("JobId=119", "No changes specified\n"),
            ("JobId=121 TimeLimit=bogus", "scontrol: error: Invalid TimeLimit value\n"),
            ("jobid=7 timelimit=", "scontrol: error: Invalid TimeLimit value\n"),
            (
                "JobId=119 Bogus=1",
                "Update of this parameter is not supported: Bogus=1\nRequest aborted\n",
            ),
            ("jobid=5 priority=xx", "scontrol: error: Invalid Priority value: xx\n"),
            ("jobid=5 requeue=no", "scontrol: error: Invalid Requeue value: no\n"),
            ("jobid=5 numtasks=x", "scontrol: error: Invalid NumTasks value: x\n"),
            ("jobid=5 minmemorynode=2G", "scontrol: error: Invalid MinMemoryNode value: 2G\n"),
            ("jobid=5 mintmpdisk=2G", "scontrol: error: Invalid MinTmpDiskNode value: 2G\n"),
            (
                "jobid=5 starttime=bogus",
                "Invalid time specification (pos=0): bogus\nNo changes specified\n",
            ),
            (
                "jobid=5 numnodes=xx",
                "scontrol: error: Invalid numeric value \"xx\" for requested node count.\n",
            ),
            (
                "jobid=5 wckey=a",
                "Update of this parameter is not supported: wckey=a\nRequest aborted\n",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(read(line), Err(expected.to_owned()), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_words_are_taken_or_refused(
            key in "[a-zA-Z/]{0,14}",
            sign in "[+-]?",
            value in "[-+a-z0-9:, ä'\"\\[\\]]{0,12}",
        ) {
            let known = ["TimeLimit", "Nice", "NumNodes", "StartTime", "NodeList", "MinMemoryCPU"];
            for key in known.into_iter().chain([key.as_str()]) {
                let word = format!("{key}{sign}={value}");
                let words = ["JobId=5", &word];
                let now = Timestamp::from_seconds(1_000_000);
                if let Err(wrong) = parse(&words, now, &TimeZone::UTC) {
                    prop_assert!(wrong.ends_with('\n'), "{}: {}", word, wrong);
                }
            }
        }
    }
}

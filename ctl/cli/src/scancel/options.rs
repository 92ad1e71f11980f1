//! What `scancel` is asked for: its options, and the environment's.

use common::job::SignalScope;
use nix::unistd::{User, geteuid};

use super::target::{Filter, Owner, Target, Wants};
use crate::{
    invocation::Invocation,
    options::{self, Refused, getopt::Takes},
    say, signal,
};

/// Ends jobs, or sends them a signal
///
/// Without a filter it concerns the jobs that are named; with filters, those that match all of
/// them. An ordinary user's filters see his own jobs, unless --user names somebody.
#[derive(clap::Parser)]
#[command(override_usage = "scancel [OPTIONS] [JOB_ID...]")]
struct Args {
    /// Only jobs of this quality of service
    #[arg(short = 'q', long, value_name = "QOS")]
    qos: Option<String>,
    /// Only jobs of this account
    #[arg(short = 'A', long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Signal the batch script alone
    #[arg(short, long)]
    batch: bool,
    /// Go through the controller, which this command always does
    #[arg(long)]
    ctld: bool,
    /// Signal the batch script and all that it has started
    #[arg(short, long)]
    full: bool,
    /// Do not wait for data to be staged out, of which there is none
    #[arg(short = 'H', long)]
    hurry: bool,
    /// Ask before each job
    #[arg(short, long)]
    interactive: bool,
    /// The cluster, which must be this one
    #[arg(short = 'M', long, alias = "cluster", value_name = "NAME")]
    clusters: Option<String>,
    /// Only one's own jobs
    #[arg(long)]
    me: bool,
    /// Only jobs of this name
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,
    /// Only jobs in this partition
    #[arg(short, long, value_name = "PARTITION")]
    partition: Option<String>,
    /// Say nothing of jobs that are over
    #[arg(short = 'Q', long)]
    quiet: bool,
    /// Only jobs of this reservation
    #[arg(short = 'R', long, value_name = "NAME")]
    reservation: Option<String>,
    /// Send this signal instead of ending the job: a name or a number
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// Only jobs in this state: PENDING, RUNNING or SUSPENDED
    #[arg(short = 't', long, value_name = "STATE")]
    state: Option<String>,
    /// Only jobs of this user
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Say what is done
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Only jobs that run on one of these nodes
    #[arg(short = 'w', long, value_name = "NODES")]
    nodelist: Option<String>,
    /// Jobs
    #[arg(value_name = "JOB_ID", hide = true)]
    jobs: Vec<String>,
}

/// What real scancel has, and what there is nothing for it to mean here.
const REFUSED: &[Refused] = &[
    Refused::new("admin-comment", None, Takes::Value, "jobs have no such comment"),
    Refused::new("autocomplete", None, Takes::Value, "completion comes from the shell"),
    Refused::new("cron", Some('c'), Takes::Nothing, "there are no scrontab jobs"),
    Refused::new("sibling", None, Takes::Value, "there are no federations"),
    Refused::new("wckey", None, Takes::Value, "jobs have no workload key"),
];

/// What is to be done, and to which jobs.
pub(super) struct Wanted {
    pub(super) targets: Vec<Target>,
    pub(super) filter: Filter,
    /// None: the job is ended.
    pub(super) signal: Option<u8>,
    pub(super) scope: SignalScope,
    pub(super) interactive: bool,
    pub(super) clusters: Option<String>,
    /// Below 0: not even errors of jobs that are over.
    pub(super) verbosity: i16,
}

impl Wanted {
    /// Whether ids alone say what is to be done.
    pub(super) fn is_plain(&self) -> bool {
        let batch_only = self.scope == SignalScope::Batch;
        !self.targets.is_empty()
            && self.filter.is_empty()
            && self.signal.is_none()
            && !self.interactive
            && !batch_only
    }
}

const SIGKILL: u8 = 9;

/// Reads the command line and the environment. An error is the exit code.
pub(super) fn read(
    invocation: &Invocation,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Wanted, u8> {
    let mut args: Args = options::parse(invocation, REFUSED)?;
    fill_in(&mut args, environment);
    if args.me {
        args.user = Some(geteuid().to_string());
    }
    let filter = filter(&args)?;
    let signal = match args.signal.as_deref() {
        Some(text) => Some(signal::parse(text).ok_or_else(|| {
            say::err(&format!("Unknown job signal: {text}\n"));
            1
        })?),
        None => None,
    };
    let scope = match (args.batch, args.full) {
        (true, false) => SignalScope::Batch,
        (_, true) => SignalScope::Full,
        (false, false) => SignalScope::Steps,
    };
    let mut targets = Vec::new();
    for text in args.jobs.iter().flat_map(|text| text.split_whitespace()) {
        targets.push(Target::parse(text).ok_or_else(|| {
            say::error(&format!("Invalid job id {text}"));
            1
        })?);
    }
    if targets.is_empty() && filter.is_empty() {
        say::error("No job identification provided");
        return Err(1);
    }
    let verbosity = if args.quiet { -1 } else { i16::from(args.verbose) };
    Ok(Wanted {
        targets,
        filter,
        // To the batch script alone, the end is a signal like others.
        signal: signal.or_else(|| (scope == SignalScope::Batch).then_some(SIGKILL)),
        scope,
        interactive: args.interactive,
        clusters: args.clusters,
        verbosity,
    })
}

/// What the command line does not say, the environment may.
fn fill_in(args: &mut Args, environment: &dyn Fn(&str) -> Option<String>) {
    let text = |name: &str| environment(name).filter(|text| !text.is_empty());
    let or = |field: &mut Option<String>, name| {
        if field.is_none() {
            *field = text(name);
        }
    };
    or(&mut args.account, "SCANCEL_ACCOUNT");
    or(&mut args.qos, "SCANCEL_QOS");
    or(&mut args.name, "SCANCEL_NAME");
    or(&mut args.partition, "SCANCEL_PARTITION");
    or(&mut args.state, "SCANCEL_STATE");
    if !args.me {
        or(&mut args.user, "SCANCEL_USER");
    }
    // Slurm takes any value for a yes, but for those that say no.
    let yes = |name| environment(name).is_some_and(|text| !says_no(&text));
    args.batch |= yes("SCANCEL_BATCH");
    args.full |= yes("SCANCEL_FULL");
    args.interactive |= yes("SCANCEL_INTERACTIVE");
    if args.verbose == 0 {
        args.verbose = text("SCANCEL_VERBOSE").and_then(|text| text.parse().ok()).unwrap_or(0);
    }
}

fn says_no(text: &str) -> bool {
    ["0", "f", "false", "n", "no"].iter().any(|no| text.eq_ignore_ascii_case(no))
}

fn filter(args: &Args) -> Result<Filter, u8> {
    let state = match args.state.as_deref() {
        Some(text) => Some(Wants::parse(text).ok_or_else(|| {
            say::err(&format!("Invalid job state specified: {text}\n"));
            say::err("Valid job states are PENDING, RUNNING, and SUSPENDED\n");
            1
        })?),
        None => None,
    };
    let user = match args.user.as_deref() {
        Some(text) => Some(owner(text).ok_or_else(|| {
            say::error(&format!("Invalid user name: {text}"));
            1
        })?),
        None => None,
    };
    let nodes = match args.nodelist.as_deref() {
        Some(text) => Some(common::hostlist::Hostlist::parse(text).map_err(|error| {
            say::error(&error.to_string());
            1
        })?),
        None => None,
    };
    Ok(Filter {
        account: args.account.clone(),
        qos: args.qos.clone(),
        reservation: args.reservation.clone(),
        name: args.name.clone(),
        nodes,
        partition: args.partition.clone(),
        state,
        user,
    })
}

/// A user by name or number. A number needs no account on this host.
fn owner(text: &str) -> Option<Owner> {
    let id = match User::from_name(text).ok().flatten() {
        Some(user) => user.uid.as_raw(),
        None => text.parse().ok()?,
    };
    Some(Owner { id, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scancel::COMMAND;

    fn reads(line: &str, environment: &[(&str, &str)]) -> Result<Wanted, u8> {
        let words = line.split_terminator(' ').map(Into::into).collect();
        let invocation = Invocation::new(COMMAND, "scancel", words).expect("text");
        let find = |name: &str| {
            let pair = environment.iter().find(|(key, _)| *key == name);
            pair.map(|(_, value)| (*value).to_owned())
        };
        read(&invocation, &find)
    }

    #[test]
    fn what_is_wrong_ends_it() {
        let lines = [
            "",
            "abc",
            "-u nosuchuser",
            "-t bogus 1",
            "-s FOO 117",
            "--bogus",
            "197.batch",
            "--cron 1",
            "-w n[1",
            "-s",
        ];
        for line in lines {
            assert_eq!(reads(line, &[]).err(), Some(1), "{line}");
        }
    }

    #[test]
    fn ids_alone_are_plain() {
        assert!(reads("7 8", &[]).expect("good").is_plain());
        assert!(reads("-v -Q --hurry 7", &[]).expect("good").is_plain());
        for line in ["-s USR1 7", "-p cpu 7", "-i 7", "-b 7", "--me", "--state=pd 7"] {
            assert!(!reads(line, &[]).expect("good").is_plain(), "{line}");
        }
        assert!(!reads("7", &[("SCANCEL_PARTITION", "cpu")]).expect("good").is_plain());
    }

    #[test]
    fn signals_go_where_they_are_sent() {
        let read = |line| reads(line, &[]).expect("good");
        let of = |wanted: Wanted| (wanted.signal, wanted.scope);
        assert_eq!(of(read("7")), (None, SignalScope::Steps));
        assert_eq!(of(read("-s USR1 7")), (Some(10), SignalScope::Steps));
        assert_eq!(of(read("-b 7")), (Some(9), SignalScope::Batch));
        assert_eq!(of(read("-f --sig=15 7")), (Some(15), SignalScope::Full));
    }

    #[test]
    fn the_environment_fills_in() {
        let environment = [("SCANCEL_NAME", "x"), ("SCANCEL_VERBOSE", "2"), ("SCANCEL_BATCH", "n")];
        let wanted = reads("--name=y 7", &environment).expect("good");
        assert_eq!(wanted.filter.name.as_deref(), Some("y"));
        assert_eq!((wanted.verbosity, wanted.scope), (2, SignalScope::Steps));
        let wanted = reads("7", &environment).expect("good");
        assert_eq!(wanted.filter.name.as_deref(), Some("x"));
    }
}

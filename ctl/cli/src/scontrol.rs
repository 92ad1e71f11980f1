//! `scontrol`: shows and changes jobs, nodes and the cluster.
//!
//! A command line is one command; without one, commands are read from stdin until it ends.

mod act;
mod keyword;
mod ping;
mod reserve;
mod session;
pub(crate) mod show;
mod takeover;
#[cfg(test)]
mod tests;
mod update;
mod write;

use std::io::{self, BufRead as _};

use self::{
    keyword::Keyword,
    session::{Flags, Session},
};
use crate::{
    invocation::{Command, Invocation},
    options::{self, Refused, SLURM_VERSION, getopt::Takes},
    render::json,
    say,
};

pub(crate) const COMMAND: Command = Command {
    name: "scontrol",
    about: "Show and change jobs, nodes and the cluster",
    misuse: 1,
    run,
};

/// Shows and changes jobs, nodes and the cluster
///
/// Commands: completing, create, delete, errnumstr, exit, getaddrs, help, hold, ping, quit,
/// reconfigure, release, requeue, requeuehold, show, takeover, uhold, update, version, wait_job,
/// write batch_script.
///
/// show takes aliases, config, hostlist, hostlistsorted, hostnames, jobs, licenses, nodes,
/// partitions, reservations or topology. All words may be abbreviated, in any case.
#[derive(clap::Parser)]
#[command(override_usage = "scontrol [OPTIONS] [COMMAND [ARGUMENT...]]")]
struct Args {
    /// Also hidden partitions
    #[arg(short, long)]
    all: bool,
    /// The cluster, which must be this one
    #[arg(short = 'M', long, alias = "clusters", value_name = "NAME")]
    cluster: Option<String>,
    /// Show more
    #[arg(short, long, action = clap::ArgAction::Count)]
    details: u8,
    /// Jobs of the federation, which is this cluster alone
    #[arg(long)]
    federation: bool,
    /// Also nodes that may come, of which there are none
    #[arg(short = 'F', long)]
    future: bool,
    /// No hidden partitions
    #[arg(long)]
    hide: bool,
    /// Write JSON
    #[arg(long, value_name = "VERSION", num_args = 0..=1, require_equals = true,
          default_missing_value = "")]
    json: Option<String>,
    /// Jobs of this cluster alone
    #[arg(long)]
    local: bool,
    /// A line for each record
    #[arg(short, long)]
    oneliner: bool,
    /// Say nothing but results
    #[arg(short = 'Q', long)]
    quiet: bool,
    /// Jobs of sibling clusters, of which there are none
    #[arg(long)]
    sibling: bool,
    /// Answer from what the controller has, though it may be behind
    #[arg(long)]
    stale_ok: bool,
    /// Say more of what is done
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// The command
    #[arg(hide = true)]
    words: Vec<String>,
}

/// What real scontrol has, and Rafter has not.
const REFUSED: &[Refused] = &[
    Refused::new("autocomplete", None, Takes::Value, "completion comes from the shell"),
    Refused::new("uid", Some('u'), Takes::Value, "nobody acts under another's name"),
    Refused::new("yaml", None, Takes::MayValue, "--json is"),
];

fn run(invocation: &Invocation) -> u8 {
    let args: Args = match options::parse(invocation, REFUSED) {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    if let Some(version) = args.json.as_deref().filter(|version| !json::is_known(version)) {
        say::error(&format!("--json={version} is not supported"));
        return 1;
    }
    let flags = Flags {
        all: args.all && !args.hide,
        details: args.details > 0,
        one_line: args.oneliner,
        quiet: args.quiet,
        json: args.json.is_some(),
        stale_ok: args.stale_ok,
    };
    let mut session = Session::new(invocation, flags, args.cluster);
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    if words.is_empty() {
        return interact(&mut session);
    }
    match command(&mut session, &words) {
        Done::Exit(exit) => exit,
        Done::Quit => 0,
    }
}

/// What becomes of a session after a command.
enum Done {
    Exit(u8),
    Quit,
}

/// Reads commands until the input ends or one says so.
fn interact(session: &mut Session<'_>) -> u8 {
    let mut exit = 0;
    let mut last = String::new();
    let mut lines = io::stdin().lock().lines();
    loop {
        say::out("scontrol: ");
        let Some(Ok(mut line)) = lines.next() else {
            say::out("\n");
            return exit;
        };
        if line.trim() == "!!" {
            line.clone_from(&last);
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        match command(session, &words) {
            // The last command's counts, and that of the end is 0.
            Done::Exit(code) => exit = code,
            Done::Quit => return 0,
        }
        last = line;
    }
}

fn command(session: &mut Session<'_>, words: &[&str]) -> Done {
    let (word, rest) = words.split_first().expect("a command has a word");
    let Some(keyword) = Keyword::parse(word) else {
        return Done::Exit(session.complain(&format!("invalid keyword: {word}\n")));
    };
    if let Err(text) = keyword.check(rest.len()) {
        return Done::Exit(session.complain(&text));
    }
    Done::Exit(match keyword {
        Keyword::Exit => return Done::Quit,
        Keyword::All => set(&mut session.flags.all, true),
        Keyword::Hide => set(&mut session.flags.all, false),
        Keyword::Details => set(&mut session.flags.details, true),
        Keyword::OneLiner => set(&mut session.flags.one_line, true),
        Keyword::Quiet => set(&mut session.flags.quiet, true),
        Keyword::Verbose => set(&mut session.flags.quiet, false),
        Keyword::Help => {
            say::out(&<Args as clap::CommandFactory>::command().render_help().to_string());
            0
        }
        Keyword::Version => {
            say::out(&format!("{SLURM_VERSION}\n"));
            0
        }
        Keyword::ErrNumStr => act::errnumstr(session, rest[0]),
        Keyword::Show => show::run(session, rest),
        Keyword::Update => update::run(session, rest),
        Keyword::Create => reserve::create(session, rest),
        Keyword::Delete => reserve::delete(session, rest),
        Keyword::Hold => act::hold(session, rest, false),
        Keyword::UserHold => act::hold(session, rest, true),
        Keyword::Release => act::release(session, rest),
        Keyword::Requeue => act::requeue(session, rest, false),
        Keyword::RequeueHold => act::requeue(session, rest, true),
        Keyword::Reconfigure => act::reconfigure(session),
        Keyword::TakeOver => takeover::run(session, rest),
        Keyword::WaitJob => act::wait_job(session, rest[0]),
        Keyword::Completing => show::completing(session),
        Keyword::GetAddrs => show::addresses(session, rest[0]),
        Keyword::Ping => ping::run(session),
        Keyword::Write => write::run(session, rest),
        Keyword::Unsupported(name) => {
            session.complain(&format!("scontrol: error: {name} is not supported\n"))
        }
    })
}

fn set(flag: &mut bool, to: bool) -> u8 {
    *flag = to;
    0
}

/// Every long option, be it to be refused.
#[cfg(test)]
fn known_options() -> Vec<String> {
    options::long_names::<Args>(REFUSED)
}

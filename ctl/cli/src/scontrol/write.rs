//! `scontrol write batch_script`: a job's script, into a file or to stdout.

use std::{fs, io::Write as _};

use proto::ctl::BatchScriptRequest;
use trust::controllers::Target;

use super::{act::NO_SUCH_JOB, session::Session};
use crate::{
    client::{self, Client, Controller},
    say,
    trouble::Trouble,
};

const FAILED: &str = "job script retrieval failed: ";

pub(super) fn run(session: &mut Session<'_>, words: &[&str]) -> u8 {
    match words {
        [what, job, rest @ ..] if begins(what, "batch_script") => {
            batch_script(session, job, rest.first().copied())
        }
        [what] if begins(what, "batch_script") => {
            session.complain("too few arguments for keyword:write\n")
        }
        [what, ..] if begins(what, "config") => {
            session.complain("scontrol: error: write config is not supported\n")
        }
        _ => session.complain(&format!("invalid write argument:{}\n", words[0])),
    }
}

fn begins(word: &str, name: &str) -> bool {
    name.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
}

/// As in Slurm, a script that can't be had is said so, and the exit code is 0.
fn batch_script(session: &mut Session<'_>, job: &str, file: Option<&str>) -> u8 {
    let Ok(id) = job.parse() else {
        session.complain(&format!("{FAILED}{NO_SUCH_JOB}\n"));
        return 0;
    };
    let script = match session.call(async |client| fetch(client, id).await) {
        Ok(Ok(script)) => script,
        Ok(Err(trouble)) => {
            session.failed(FAILED, &trouble);
            return 0;
        }
        Err(exit) => return exit,
    };
    if file == Some("-") {
        // Scripts are bytes, and what goes to stdout is written as it is.
        let mut stdout = std::io::stdout().lock();
        return u8::from(stdout.write_all(&script).is_err());
    }
    let path = file.map_or_else(|| format!("slurm-{id}.sh"), str::to_owned);
    match fs::write(&path, &script) {
        Ok(()) => {
            say::out(&format!("batch script for job {id} written to {path}\n"));
            0
        }
        Err(error) => session.complain(&format!("failed to open file `{path}`: {error}\n")),
    }
}

async fn fetch(client: &Client, job: u32) -> Result<Vec<u8>, Trouble> {
    let attempt = |mut controller: Controller| async move {
        let reply = controller.batch_script(client::request(BatchScriptRequest { job })).await?;
        Ok(reply.into_inner().script.to_vec())
    };
    client.call(Target::Any, attempt).await
}

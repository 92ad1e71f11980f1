//! `rafter backup`: a copy of all that the cluster knows, while it goes on.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use common::{date, time::Timestamp};
use indicatif::{HumanBytes, ProgressBar};
use jiff::tz::TimeZone;
use proto::ctl::{BackupFacts, BackupReply, BackupRequest};
use ring::digest::{Context, SHA256};
use tonic::{Response, Streaming};
use trust::controllers::Target;

use super::failed;
use crate::{
    client::{self, Client, Controller},
    say,
    trouble::{Trouble, chain},
};

/// How often the line on a terminal moves.
const TICK: Duration = Duration::from_millis(200);

/// The record behind what the checksum is of, in bytes: its head, a number of at most nine, and
/// the checksum.
const FOOT_LEAST: u64 = 12 + 1 + 32;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where the backup goes; a file that is there already is not touched
    file: PathBuf,
}

/// Why there is no backup.
enum Failed {
    Trouble(Trouble),
    Text(String),
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

pub(super) fn run(args: &Args) -> u8 {
    let file = &args.file;
    if file.exists() {
        say::error(&format!("{} is there already: name another file", file.display()));
        return 1;
    }
    let unfinished = file.with_extension("unfinished");
    match client::runtime().block_on(take(&unfinished)) {
        Ok(facts) => match finish(&unfinished, file) {
            Ok(()) => {
                say::out(&line(file, &facts, &TimeZone::system()));
                0
            }
            Err(error) => wrong(file, &unfinished, &error.to_string()),
        },
        Err(Failed::Text(text)) => wrong(file, &unfinished, &text),
        Err(Failed::Trouble(trouble)) => {
            let _ = fs::remove_file(&unfinished);
            failed("backup", &trouble)
        }
    }
}

fn wrong(file: &Path, unfinished: &Path, text: &str) -> u8 {
    // What there is of it is of no use.
    let _ = fs::remove_file(unfinished);
    say::error(&format!("{}: {text}", file.display()));
    1
}

fn finish(unfinished: &Path, file: &Path) -> io::Result<()> {
    fs::hard_link(unfinished, file)?;
    fs::remove_file(unfinished)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Scripts and environments are in it, and passwords in those: it is for its owner alone.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

async fn take(path: &Path) -> Result<BackupFacts, Failed> {
    let text = |error: io::Error| Failed::Text(chain(&error));
    let client = Client::open_to_follow()?;
    let attempt = |mut controller: Controller| async move {
        controller.backup(client::request(BackupRequest {})).await.map(Response::into_inner)
    };
    let mut parts: Streaming<BackupReply> = client.call(Target::Any, attempt).await?;
    let mut file = create(path).map_err(text)?;
    let (mut sum, mut bytes, mut last) = (Context::new(&SHA256), 0, bytes::Bytes::new());
    let progress = ProgressBar::new_spinner();
    progress.enable_steady_tick(TICK);
    loop {
        let part = parts.message().await.map_err(|status| Failed::Trouble(status.into()))?;
        let BackupReply { chunk, facts } =
            part.ok_or_else(|| Failed::Text("the controller stopped before the end".to_owned()))?;
        // The last chunk is the foot, which is not in its own checksum.
        if let Some(facts) = facts {
            progress.finish_and_clear();
            let complete = bytes == facts.bytes && last.len() as u64 >= FOOT_LEAST;
            if !complete || sum.finish().as_ref() != facts.sha256.as_ref() {
                return Err(Failed::Text("it came in damaged: try again".to_owned()));
            }
            file.sync_all().map_err(text)?;
            return Ok(facts);
        }
        file.write_all(&chunk).map_err(text)?;
        bytes += chunk.len() as u64;
        sum.update(&std::mem::replace(&mut last, chunk));
        progress.set_message(format!("{}", HumanBytes(bytes)));
    }
}

fn line(file: &Path, facts: &BackupFacts, zone: &TimeZone) -> String {
    let BackupFacts { cluster, index, at, digest, bytes, .. } = facts;
    let at = date::format(Timestamp(*at), zone);
    format!(
        "{}: cluster {cluster} up to entry {index} of {at}, digest {digest:016x}, {bytes} bytes\n",
        file.display()
    )
}

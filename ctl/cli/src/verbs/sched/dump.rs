//! `rafter sched dump`: saves what a plan is made of.

use std::{
    fs::{self, OpenOptions},
    io::{self, IsTerminal as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use proto::{convert::read_inputs, plan::DumpRequest};
use tonic::Response;
use trust::controllers::Target;

use super::super::failed;
use crate::{
    client::{self, Client, Controller},
    say,
    trouble::Trouble,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where it goes; a file that is there already is not touched. Without it, to stdout
    file: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> u8 {
    if args.file.is_none() && io::stdout().is_terminal() {
        say::error("a terminal can't show it: name a file");
        return 1;
    }
    let bytes = match client::runtime().block_on(take()) {
        Ok(bytes) => bytes,
        Err(trouble) => return failed("sched dump", &trouble),
    };
    let written = match (read_inputs(&bytes), &args.file) {
        (Err(error), _) => Err(format!("it came in damaged: {error}")),
        (Ok(_), Some(file)) => {
            write(file, &bytes).map_err(|error| format!("{}: {error}", file.display()))
        }
        (Ok(_), None) => io::stdout().write_all(&bytes).map_err(|error| error.to_string()),
    };
    match written {
        Ok(()) => 0,
        Err(text) => {
            say::error(&text);
            1
        }
    }
}

async fn take() -> Result<Bytes, Trouble> {
    let client = Client::open_to_follow()?;
    let attempt = |mut controller: Controller| async move {
        controller.sched_dump(client::request(DumpRequest {})).await.map(Response::into_inner)
    };
    let mut parts = client.call(Target::Any, attempt).await?;
    let mut bytes = BytesMut::new();
    while let Some(part) = parts.message().await? {
        bytes.extend_from_slice(&part.chunk);
    }
    Ok(bytes.freeze())
}

/// The file is there whole, or not at all.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

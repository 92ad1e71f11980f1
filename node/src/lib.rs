//! A compute node: its daemon, `rafterd`.
//!
//! - [`agent`] decides, pure, what is done about the node's runs; [`run`] is what it speaks of.
//! - [`daemon`] carries it out: [`disk`] keeps the runs' folders, which [`launch`] fills with what
//!   [`environment`], [`account`] and [`blobs`] give; a [`supervisor`] runs each job's script.
//! - [`stream`] finds the leader, and brings its orders and our reports; [`join`] and [`vouch`]
//!   are about certificates: the node's own and its users'; `door` makes calls for users.
//! - [`admit`] makes a daemon of options: [`options`] and [`settings`] say how it was started,
//!   [`inventory`] what the machine has, and [`life`] which life the spool is in.

pub mod account;
pub mod admit;
pub mod agent;
pub mod binding;
pub mod blobs;
pub mod daemon;
pub mod disk;
mod door;
pub mod environment;
pub mod inventory;
pub mod join;
pub mod launch;
pub mod life;
mod measures;
pub mod options;
pub mod run;
pub mod settings;
pub mod stream;
pub mod supervisor;
pub mod vouch;

/// An error with all its causes, in a line.
#[must_use]
pub fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        // Transparent errors say what their source says.
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        next = source.source();
    }
    text
}

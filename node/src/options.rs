//! What `rafterd` is told on its command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use trust::token::Token;

/// The configuration file, unless an option or the environment names another.
pub const DEFAULT_CONF: &str = "/etc/slurm/slurm.conf";

/// Where local commands ask for their certificates.
pub const DEFAULT_SOCKET: &str = "/run/rafter/rafterd.sock";

/// Rafter's node daemon: registers the node, and runs jobs as the controllers order.
#[derive(Clone, Debug, Parser)]
#[command(name = "rafterd", version)]
pub struct Options {
    /// This node's name, as NodeName= has it [default: the token's or the certificate's, else the
    /// one whose NodeHostname= is this host]
    #[arg(short = 'N', long, value_name = "NAME")]
    pub name: Option<String>,
    /// The configuration file, for the defaults of the spool and the controllers [default:
    /// $SLURM_CONF, else /etc/slurm/slurm.conf, if there is one]
    #[arg(short = 'c', long, value_name = "FILE")]
    pub conf: Option<PathBuf>,
    /// Where runs and the certificate are kept [default: SlurmdSpoolDir]
    #[arg(long, value_name = "DIR")]
    pub spool_dir: Option<PathBuf>,
    /// The socket on which users of this host obtain certificates
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// Where client.conf is, by which commands find the cluster [default: $RAFTER_DIR, else
    /// /etc/rafter]
    #[arg(long, value_name = "DIR")]
    pub site_dir: Option<PathBuf>,
    /// Join the cluster with this one-time token of `rafter node token`, then serve
    #[arg(long, value_name = "TOKEN")]
    pub join: Option<Token>,
    /// A controller's address; repeat it for several [default: what joining told, else
    /// SlurmctldHost=]
    #[arg(long = "controller", value_name = "HOST:PORT")]
    pub controllers: Vec<String>,
    /// Pose as so many CPUs, whatever the machine has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub cpus: Option<u32>,
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Human)]
    pub log_format: LogFormat,
    /// Log more; twice, everything
    #[arg(short = 'v', long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Human,
    Json,
}

impl Options {
    /// Which log lines are written, as `RUST_LOG` would say it.
    #[must_use]
    pub fn log_filter(&self) -> &'static str {
        match self.verbose {
            0 => "info",
            1 => "info,node=debug,trust=debug,step=debug",
            _ => "debug",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn what_is_typed_is_understood() {
        let typed = ["rafterd", "-N", "n1", "--controller", "a:1", "--controller", "b:2", "-vv"];
        let options = Options::try_parse_from(typed).expect("options");
        assert_eq!(options.name.as_deref(), Some("n1"));
        assert_eq!(options.controllers, ["a:1", "b:2"]);
        assert_eq!(options.socket, PathBuf::from(DEFAULT_SOCKET));
        assert_eq!(options.log_filter(), "debug");
        for wrong in [["rafterd", "--cpus", "0"], ["rafterd", "--join", "secret"]] {
            assert!(Options::try_parse_from(wrong).is_err());
        }
    }
}

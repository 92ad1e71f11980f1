//! The wire: generated messages and services, and how they become the words of `common`.
//!
//! - [`types`] says what jobs and nodes are, [`config`] the cluster's configuration, [`account`]
//!   who may have how much, [`reservation`] what is kept for whom;
//! - [`log`] is the replicated log and its snapshots;
//! - [`plan`] is what they ask of the planner, and what a plan is made of;
//! - [`ctl`] is what commands ask of controllers, [`node`] what nodes and controllers say to each
//!   other;
//! - [`raft`] is what controllers say to each other to keep the log.
//!
//! **Invariant:** nothing but conversions. A message that can't be converted is [`Invalid`]; it is
//! never read with a guess.

pub mod convert;

pub use convert::Invalid;
pub use generated::rafter::{
    account::v1 as account, config::v1 as config, ctl::v1 as ctl, log::v1 as log, node::v1 as node,
    plan::v1 as plan, raft::v1 as raft, reservation::v1 as reservation, types::v1 as types,
};

/// The modules nest as the packages do, because the generated code refers to itself so.
#[expect(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    unreachable_pub,
    reason = "generated"
)]
mod generated {
    pub mod rafter {
        pub mod types {
            pub mod v1 {
                tonic::include_proto!("rafter.types.v1");
            }
        }
        pub mod account {
            pub mod v1 {
                tonic::include_proto!("rafter.account.v1");
            }
        }
        pub mod reservation {
            pub mod v1 {
                tonic::include_proto!("rafter.reservation.v1");
            }
        }
        pub mod config {
            pub mod v1 {
                tonic::include_proto!("rafter.config.v1");
            }
        }
        pub mod log {
            pub mod v1 {
                tonic::include_proto!("rafter.log.v1");
            }
        }
        pub mod plan {
            pub mod v1 {
                tonic::include_proto!("rafter.plan.v1");
            }
        }
        pub mod ctl {
            pub mod v1 {
                tonic::include_proto!("rafter.ctl.v1");
            }
        }
        pub mod node {
            pub mod v1 {
                tonic::include_proto!("rafter.node.v1");
            }
        }
        pub mod raft {
            pub mod v1 {
                tonic::include_proto!("rafter.raft.v1");
            }
        }
    }
}

//! Who may speak to whom: certificates, connections, and the table of permissions.
//!
//! One authority per cluster signs a certificate for each controller, node and user. Every
//! connection is TLS 1.3 with both sides' certificates verified, and [`permit`] says which role
//! may call which method. Servers read [`serve`], clients [`controllers`] and [`connect`]; a
//! command on a host with a `rafterd` needs neither, and goes through the [`door`].
//!
//! **Invariant:** there is no way to switch a check off. The one caller without a certificate is
//! [`permit::Caller::Anonymous`], and the table lets it join and nothing else.

pub mod authority;
pub mod connect;
pub mod controllers;
pub mod credential;
pub mod door;
pub mod file;
pub mod gate;
pub mod hex;
pub mod identity;
pub mod permit;
pub mod secret;
pub mod serve;
pub mod site;
pub mod store;
pub mod tls;
pub mod token;
pub mod verify;
pub mod vouch;

mod cork;

//! Rafter.

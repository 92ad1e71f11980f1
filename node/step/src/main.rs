//! The supervisor of one job's batch script.
fn main() {}

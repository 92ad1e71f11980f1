//! The commands as processes, against controllers that say what each test wants.

mod door;
mod fake;
mod looking;
mod stories;
mod world;

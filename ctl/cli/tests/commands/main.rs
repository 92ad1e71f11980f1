//! The commands as processes, against controllers that say what each test wants.

mod fake;
mod stories;
mod world;

//! What a run's folder holds, against real Slurm's batch jobs.

mod environment;
mod folder;
mod jobs;

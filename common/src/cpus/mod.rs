//! CPUs of a node, each by its id, and what they are given out in.
//!
//! Ids count through the node's threads core by core, and through its cores socket by socket, as
//! the configuration has them. Which of the machine's CPUs an id means, its daemon says.

mod choose;
mod set;
mod steps;

pub use choose::{Request, choose};
pub use set::{CpuSet, MOST};
pub use steps::Steps;

use crate::config::NodeConf;

/// What CPUs are given out in (`SelectTypeParameters`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grain {
    /// `CR_CPU`: single ones. Jobs may share a core that has several.
    Cpu,
    /// `CR_Core`
    Core,
    /// `CR_Socket`
    Socket,
}

/// How the CPUs of a node lie, as they are counted: where `CPUs` counts cores, a core has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuLayout {
    pub sockets: u32,
    /// Cores of each socket.
    pub cores: u32,
    /// CPUs of each core.
    pub threads: u32,
}

impl CpuLayout {
    /// Where nothing is known but how many there are.
    #[must_use]
    pub fn flat(cpus: u32) -> Self {
        Self { sockets: cpus.max(1), cores: 1, threads: 1 }
    }

    #[must_use]
    pub fn of(conf: &NodeConf) -> Self {
        let (sockets, cores) = (conf.sockets.max(1), conf.cores_per_socket.max(1));
        let all = sockets.saturating_mul(cores);
        let layout = Self { sockets, cores, threads: conf.cpus / all };
        if layout.cpus() == conf.cpus && conf.cpus > 0 { layout } else { Self::flat(conf.cpus) }
    }

    #[must_use]
    pub fn cpus(self) -> u32 {
        self.sockets.saturating_mul(self.of_socket())
    }

    /// CPUs of each socket.
    #[must_use]
    pub fn of_socket(self) -> u32 {
        self.cores.saturating_mul(self.threads)
    }

    /// How many CPUs are given out together.
    #[must_use]
    pub fn step(self, grain: Grain) -> u32 {
        match grain {
            Grain::Cpu => 1,
            Grain::Core => self.threads.max(1),
            Grain::Socket => self.of_socket().max(1),
        }
    }

    /// How many CPUs a job keeps from others that has these, and as many more of which it is not
    /// known which they are.
    #[must_use]
    pub fn kept(self, grain: Grain, held: &CpuSet, cpus: u32) -> u32 {
        let step = self.step(grain);
        if step == 1 {
            return cpus;
        }
        let mut steps = 0;
        let mut last = None;
        for id in held.iter() {
            if last != Some(id / step) {
                (steps, last) = (steps + 1, Some(id / step));
            }
        }
        let unnamed = cpus.saturating_sub(held.len());
        unnamed.div_ceil(step).saturating_add(steps).saturating_mul(step)
    }
}

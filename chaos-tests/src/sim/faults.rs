//! What goes wrong, and that it ends.

use super::{
    network::Place,
    world::{Happening, World},
};

impl World {
    /// One fault more; several overlap.
    pub(super) fn fault(&mut self) {
        if !self.faults {
            return;
        }
        let next = 500 + self.random.below(6_000);
        self.soon(next, Happening::Fault);
        let controller = self.random.index(self.controllers.len());
        let node = self.random.index(self.hosts.len());
        match self.random.below(12) {
            0 => self.crash(controller),
            1 => {
                if let Some(leader) = self.raft.leader {
                    self.crash(leader);
                }
            }
            2 => self.pause(controller),
            3 => self.divide(),
            4 => {
                let places = self.places();
                self.network.cut_off(Place::Node(node), places);
                self.say(format_args!("n{node} is cut off"));
            }
            5 => self.one_way(),
            6 => {
                self.network.loss = u32::try_from(self.random.below(60)).expect("small");
                self.network.doubling = u32::try_from(self.random.below(100)).expect("small");
                self.network.delay_max = 1 + self.random.below(800);
                self.say(format_args!("the network gets worse"));
            }
            7 => {
                self.kill_daemon(node);
                let down = self.random.below(15_000);
                self.soon(down, Happening::HostRestart { node });
            }
            8 => {
                let wipe = self.random.chance(200);
                self.reboot(node, wipe);
                let down = 1_000 + self.random.below(20_000);
                self.soon(down, Happening::HostRestart { node });
            }
            9 => self.jump_clocks(controller, node),
            10 => {
                for one in 0..self.controllers.len() {
                    self.crash(one);
                }
            }
            _ => self.network.heal(),
        }
    }

    fn crash(&mut self, controller: usize) {
        self.kill_controller(controller);
        let down = self.random.below(8_000);
        self.soon(down, Happening::Restart { controller });
    }

    fn pause(&mut self, controller: usize) {
        let until = self.now + 500 + self.random.below(8_000);
        self.controllers[controller].paused = Some(until);
        self.say(format_args!("ctl{controller} freezes until {until}"));
    }

    /// Everybody is on one of two sides.
    fn divide(&mut self) {
        self.network.mend_cuts();
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for place in self.places() {
            if self.random.chance(500) { one.push(place) } else { other.push(place) }
        }
        for a in &one {
            for b in &other {
                self.network.cut(*a, *b);
                self.network.cut(*b, *a);
            }
        }
        self.say(format_args!("{one:?} | {other:?}"));
    }

    fn one_way(&mut self) {
        let places = self.places();
        let from = places[self.random.index(places.len())];
        let to = places[self.random.index(places.len())];
        self.network.cut(from, to);
        self.say(format_args!("{from:?} does not reach {to:?}"));
    }

    fn jump_clocks(&mut self, controller: usize, node: usize) {
        let skew = |random: u64| i64::try_from(random).expect("small") - 30_000;
        let jump = skew(self.random.below(60_000));
        self.controllers[controller].skew = jump;
        let skew = skew(self.random.below(60_000));
        self.skew_host(node, skew);
        self.say(format_args!("ctl{controller}'s clock is off by {jump} ms"));
    }

    /// The faults end.
    pub(super) fn heal(&mut self) {
        self.faults = false;
        self.network.heal();
        for controller in 0..self.controllers.len() {
            self.controllers[controller].skew = 0;
            self.controllers[controller].paused = None;
            self.soon(1_000, Happening::Restart { controller });
        }
        for node in 0..self.hosts.len() {
            self.skew_host(node, 0);
            self.soon(1_000, Happening::HostRestart { node });
        }
        self.say(format_args!("the faults end"));
    }
}

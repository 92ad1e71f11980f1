//! What goes wrong, and that it ends.

use super::{
    controller::Controller,
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
        match self.random.below(22) {
            0 => self.crash(controller),
            1 => {
                if let Some(leader) = self.leader() {
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
            11 => self.black_out(controller),
            12 => {
                for one in 0..self.controllers.len() {
                    self.black_out(one);
                }
            }
            13..=15 => self.hurt_disk(controller),
            16 => self.rot(controller),
            17 => {
                if let Some(leader) = self.leader() {
                    self.isolate(leader);
                }
            }
            18 => self.mute(node),
            19 => self.black_out_all(),
            _ => self.network.heal(),
        }
    }

    /// A node hears and is not heard, until its watchdog boots it.
    fn mute(&mut self, node: usize) {
        for controller in 0..self.controllers.len() {
            self.network.cut(Place::Node(node), Place::Controller(controller));
        }
        self.say(format_args!("n{node} is mute"));
        let patience = 500 + self.random.below(6_000);
        self.soon(patience, Happening::Watchdog { node });
    }

    pub(super) fn watchdog(&mut self, node: usize) {
        for controller in 0..self.controllers.len() {
            self.network.mend(Place::Node(node), Place::Controller(controller));
        }
        let wipe = self.random.chance(200);
        self.reboot(node, wipe);
        let down = 300 + self.random.below(3_000);
        self.soon(down, Happening::HostRestart { node });
    }

    /// The power of everything fails at once.
    fn black_out_all(&mut self) {
        for controller in 0..self.controllers.len() {
            self.black_out(controller);
        }
        for node in 0..self.hosts.len() {
            self.reboot(node, false);
            let down = 500 + self.random.below(6_000);
            self.soon(down, Happening::HostRestart { node });
        }
    }

    fn hurt_disk(&mut self, controller: usize) {
        let (kind, lasts) = (self.random.below(3), 200 + self.random.below(8_000));
        let until = self.now + lasts;
        let disk = &mut self.controllers[controller].disk;
        let what = match kind {
            0 => {
                disk.full_until = until;
                "is full"
            }
            1 => {
                disk.failing = true;
                "fails to sync"
            }
            _ => {
                disk.stalled_until = until;
                "stalls"
            }
        };
        self.say(format_args!("ctl{controller}'s disk {what} until {until}"));
    }

    /// Who leads in the latest term.
    fn leader(&self) -> Option<usize> {
        let leads = (0..self.controllers.len()).filter(|at| self.controllers[*at].lead.is_some());
        leads.max_by_key(|at| self.controllers[*at].term)
    }

    /// The power of a controller fails.
    fn black_out(&mut self, controller: usize) {
        self.cut_power(controller);
        let down = 500 + self.random.below(8_000);
        self.soon(down, Happening::Restart { controller });
    }

    /// A bit of what a controller has stored flips. It is read when it starts the next time. So
    /// few are damaged at a time that a majority is whole.
    fn rot(&mut self, controller: usize) {
        let damaged = |one: &Controller| one.broken || one.rotten;
        let members = self.controllers.iter().map(|one| one.log.members().1);
        let replaced = members.filter(|members| !self.wanted.is_met(members)).count();
        let count = self.controllers.iter().filter(|one| damaged(one)).count() + replaced;
        if 2 * (count + 1) >= self.controllers.len() || damaged(&self.controllers[controller]) {
            return;
        }
        let this = &mut self.controllers[controller];
        if let Some(what) = this.disk.flip_bit(&mut self.random) {
            self.controllers[controller].rotten = true;
            self.say(format_args!("a bit flips in {what} of ctl{controller}"));
            self.crash(controller);
        }
    }

    /// The leader reaches its nodes and users, and no other controller.
    fn isolate(&mut self, leader: usize) {
        let others = (0..self.controllers.len()).map(Place::Controller);
        let others: Vec<Place> = others.collect();
        self.network.cut_off(Place::Controller(leader), others);
        self.say(format_args!("ctl{leader} is alone with its nodes"));
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
        self.healed = Some(self.now);
        self.network.heal();
        for controller in 0..self.controllers.len() {
            let this = &mut self.controllers[controller];
            this.skew = 0;
            this.paused = None;
            this.disk.full_until = 0;
            this.disk.stalled_until = 0;
            this.disk.failing = false;
            self.soon(1_000, Happening::Restart { controller });
        }
        for node in 0..self.hosts.len() {
            self.skew_host(node, 0);
            self.soon(1_000, Happening::HostRestart { node });
        }
        self.say(format_args!("the faults end"));
    }
}

//! Who does not hear whom in a cut of a given shape.

use super::{
    hosts::{Host, Role},
    network::Pair,
    plan::Shape,
};

/// The pairs that are cut around `centre`.
pub(super) fn pairs(hosts: &[Host], centre: &str, shape: Shape) -> Vec<Pair> {
    let hosts: Vec<&Host> = hosts.iter().filter(|host| host.role != Role::Watch).collect();
    let others = || hosts.iter().copied().filter(|host| host.name != centre);
    let peers = || others().filter(|host| host.role == Role::Controller);
    let own = || hosts.iter().copied().filter(|host| host.name == centre);
    match shape {
        Shape::All => both(own(), others()),
        Shape::Peers => both(own(), peers()),
        Shape::Deaf => one_way(others(), own()),
        Shape::Mute => one_way(own(), others()),
        Shape::Minority | Shape::Majority => {
            let (with, against) = halves(&hosts, centre, shape == Shape::Majority);
            both(with.into_iter(), against.into_iter())
        }
        Shape::Bridge => {
            let peers: Vec<&Host> = peers().collect();
            let (one, other) = peers.split_at(peers.len() / 2);
            both(one.iter().copied(), other.iter().copied())
        }
    }
}

/// Two halves of all hosts; `centre` is in the first, with most of the controllers or with few.
fn halves<'h>(hosts: &[&'h Host], centre: &str, most: bool) -> (Vec<&'h Host>, Vec<&'h Host>) {
    let count = hosts.iter().filter(|host| host.role == Role::Controller).count();
    let few = count.saturating_sub(1) / 2;
    let is_controller = |host: &&Host| host.name == centre && host.role == Role::Controller;
    let of_ours = if most { count - few } else { few };
    let mut controllers = of_ours.saturating_sub(usize::from(hosts.iter().any(is_controller)));
    let mut turn = false;
    hosts.iter().copied().partition(|host| {
        if host.name == centre {
            return true;
        }
        if host.role == Role::Controller {
            let ours = controllers > 0;
            controllers -= usize::from(ours);
            return ours;
        }
        // Of nodes and clients, each second.
        turn = !turn;
        turn
    })
}

fn one_way<'h>(
    from: impl Iterator<Item = &'h Host> + Clone,
    to: impl Iterator<Item = &'h Host> + Clone,
) -> Vec<Pair> {
    let pair = |from: &'h Host| {
        let to = to.clone();
        to.map(move |to| (from.name.clone(), to.name.clone()))
    };
    from.flat_map(pair).collect()
}

fn both<'h>(
    one: impl Iterator<Item = &'h Host> + Clone,
    other: impl Iterator<Item = &'h Host> + Clone,
) -> Vec<Pair> {
    [one_way(one.clone(), other.clone()), one_way(other, one)].concat()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::Ipv4Addr};

    use super::*;

    fn hosts(controllers: u8) -> Vec<Host> {
        let host = |name: String, role| Host { name, role, address: Ipv4Addr::LOCALHOST };
        let ctl = (1..=controllers).map(|n| host(format!("ctl{n}"), Role::Controller));
        let n = (1..=4).map(|n| host(format!("n{n}"), Role::Node));
        let rest = [host("cl1".into(), Role::Client), host("watch".into(), Role::Watch)];
        ctl.chain(n).chain(rest).collect()
    }

    fn is_cut(cut: &[Pair], from: &str, to: &str) -> bool {
        cut.contains(&(from.to_owned(), to.to_owned()))
    }

    #[test]
    fn one_way_is_one_way() {
        let deaf = pairs(&hosts(3), "ctl2", Shape::Deaf);
        assert!(is_cut(&deaf, "ctl1", "ctl2") && !is_cut(&deaf, "ctl2", "ctl1"));
        let mute = pairs(&hosts(3), "n1", Shape::Mute);
        assert!(is_cut(&mute, "n1", "ctl1") && !is_cut(&mute, "ctl1", "n1"));
    }

    #[test]
    fn who_leads_in_a_minority_reaches_few_controllers_and_half_of_the_nodes() {
        for (count, few) in [(3, 1), (5, 2)] {
            for (shape, with) in [(Shape::Minority, few), (Shape::Majority, count - few)] {
                let cut = pairs(&hosts(count), "ctl2", shape);
                let lost: BTreeSet<&str> =
                    cut.iter().filter(|(from, _)| from == "ctl2").map(|(_, to)| &**to).collect();
                let of = |stem| lost.iter().filter(|name| name.starts_with(stem)).count();
                assert_eq!((of("ctl"), of("n")), (usize::from(count - with), 2), "{shape:?}");
                assert!(cut.iter().all(|(from, to)| is_cut(&cut, to, from)));
            }
        }
    }

    #[test]
    fn over_a_bridge_the_others_do_not_hear_each_other() {
        let cut = pairs(&hosts(3), "ctl1", Shape::Bridge);
        let expected = [("ctl2", "ctl3"), ("ctl3", "ctl2")];
        assert_eq!(cut, expected.map(|(from, to)| (from.to_owned(), to.to_owned())));
    }

    #[test]
    fn nothing_is_done_to_who_watches() {
        for shape in [Shape::All, Shape::Minority, Shape::Deaf, Shape::Bridge, Shape::Peers] {
            let cut = pairs(&hosts(5), "ctl1", shape);
            assert!(cut.iter().all(|(from, to)| from != "watch" && to != "watch"), "{shape:?}");
        }
    }
}

use super::*;
use crate::record::FaultKind;

fn decided(start: Nanos, end: Nanos, term: u64) -> Decided {
    Decided { start, end, term }
}

#[test]
fn an_answer_of_the_old_leader_does_not_count() {
    let fault = |from, to| Fault {
        kind: FaultKind::Kill,
        on: vec!["ctl1".to_owned()],
        from,
        to: Some(to),
        leader: true,
        note: String::new(),
    };
    let all = [decided(1, 5, 1), decided(8, 12, 1), decided(11, 40, 2), decided(60, 70, 2)];
    assert_eq!(wait(&all, &fault(10, 100)), Some(30), "the next leader's");
    assert_eq!(wait(&all, &fault(45, 50)), Some(25), "nobody else led");
    assert_eq!(wait(&all, &fault(65, 80)), None);
}

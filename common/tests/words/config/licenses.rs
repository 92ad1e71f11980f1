//! `Licenses`.

use common::config::{Fate, LicenseConf};

use super::{config, problems, with_head};

#[test]
fn a_cluster_has_so_many_of_each() {
    let conf = |name: &str, total| LicenseConf { name: name.to_owned(), total };
    let read = config("Licenses=matlab:4,ansys\n");
    assert_eq!(read.licenses, [conf("ansys", 1), conf("matlab", 4)]);
    assert_eq!((read.license_total("matlab"), read.license_total("spice")), (4, 0));
    assert_eq!(config("").licenses, []);
    let fates = with_head("Licenses=a:0\n").fates;
    assert!(fates.iter().any(|fate| fate.key == "Licenses" && fate.fate == Fate::Honoured));
}

#[test]
fn what_names_no_number_is_refused() {
    let wanted = "a name and a number are wanted, such as matlab:4";
    let cases = [
        ("Licenses=a:b\n", format!("1: Licenses=a:b: `a:b': {wanted}")),
        ("Licenses=a,b:1:2\n", format!("1: Licenses=a,b:1:2: `b:1:2': {wanted}")),
        ("Licenses=a:1,a:2\n", "1: Licenses=a:1,a:2: a stands twice".to_owned()),
    ];
    for (line, problem) in cases {
        assert_eq!(problems(line), [problem]);
    }
}

use expect_test::expect;
use proto::config::Enforce;

use super::*;

const FILE: &str = "\
QOS - 'normal':Description='Normal QOS default'
QOS - 'long':MaxWallDurationPerJob=10080:MaxJobsPerUser=2:Flags='DenyOnLimit'
Cluster - 'ref':Fairshare=1:QOS='normal'
Parent - 'root'
User - 'root':DefaultAccount='root':AdminLevel='Administrator':Fairshare=1
Account - 'physics':Description='Physics':Organization='science':Fairshare=10:GrpTRES=cpu=64
Parent - 'physics'
User - 'alice':DefaultAccount='physics':MaxSubmitJobs=100:QOS='long,normal'
User - 'alice':Partition='gpu':DefaultAccount='physics':MaxTRESPerJob=cpu=4,mem=8192
";

fn table() -> Table {
    let loaded = parse(FILE).expect("a good file");
    let tally =
        |running| Tally { submitted: running + 1, running, cpus: 4, memory_mib: 2048, nodes: 1 };
    let enforce = Some(Enforce { associations: true, limits: true, qos: false });
    let reply = AccountsReply {
        accounts: Some((&loaded.accounts).into()),
        enforce,
        of_associations: vec![tally(1), Tally::default(), tally(1), tally(0), tally(1)],
        of_qos: vec![tally(1), Tally::default()],
    };
    Table::of(reply).expect("a good answer")
}

#[test]
fn people_see_a_tree() {
    expect![[r#"
        Enforced: associations, limits

        ACCOUNT AND USER    RUN  SUBMIT  CPUS  MEM  NODES  LIMITS
        root                  1       2     4   2G      1  QOS=normal
          root                0       0     0    0      0
          physics             1       2     4   2G      1  GrpTRES=cpu=64 Fairshare=10
            alice             0       1     4   2G      1  MaxSubmitJobs=100 QOS=long,normal
            alice (in gpu)    1       2     4   2G      1  MaxTRESPerJob=cpu=4,mem=8192

        QOS     RUN  SUBMIT  CPUS  MEM  NODES  LIMITS
        normal    1       2     4   2G      1
        long      0       0     0    0      0  MaxWall=10080 MaxJobsPerUser=2 Flags=DenyOnLimit
    "#]]
    .assert_eq(&table().text(false));
}

#[test]
fn people_see_that_there_is_nothing() {
    let none = Table::of(AccountsReply::default()).expect("a good answer");
    let text = none.text(false);
    assert!(text.contains("Nothing is enforced") && text.contains("No accounts were loaded"));
}

#[test]
fn programs_see_these_names() {
    let object = table().object();
    assert_eq!(object["enforced"], json!(["associations", "limits"]));
    assert_eq!(object["cluster"], "ref");
    expect![[r#"
        {
          "account": "physics",
          "user": "alice",
          "partition": "gpu",
          "parent": "physics",
          "qos": null,
          "default_qos": null,
          "limits": {
            "MaxTRESPerJob": "cpu=4,mem=8192"
          },
          "has": {
            "running": 1,
            "submitted": 2,
            "cpus": 4,
            "memory_mib": 2048,
            "nodes": 1
          }
        }"#]]
    .assert_eq(&format!("{:#}", object["associations"][4]));
    assert_eq!(object["qos"][1]["limits"]["MaxJobsPerUser"], 2);
    assert_eq!(object["users"][1], json!({ "name": "alice", "default_account": "physics" }));
}

#[test]
fn what_is_wrong_has_a_place() {
    let errors = parse("Cluster - 'ref'\nUser - 'x':GrpWall=5\nBogus - 'y'\n").expect_err("bad");
    expect![[r"
        f:2: GrpWall is refused: it would not be enforced
        f:3: `Bogus' is none of QOS, Cluster, Parent, Account and User
    "]]
    .assert_eq(&complaints("f", &errors));
    let loaded = parse(FILE).expect("a good file");
    assert_eq!(remarks("f", &loaded), "f:5: AdminLevel has no effect\n");
    assert_eq!(summary(&loaded.accounts), "2 accounts, 2 users, 2 QOS");
}

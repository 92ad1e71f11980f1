//! Tables of accounts, as `sacctmgr dump` writes them.

use common::{
    account::{Accounts, Fairshare, Tres, TresLimits, parse},
    config::PreemptMode,
};
use proptest::prelude::*;

/// What Slurm 26.05 dumps of a small cluster, and then some.
const FILE: &str = "\
# To edit this file start with a cluster line for the new cluster
QOS - 'normal':Description='Normal QOS default'
QOS - 'Long':Priority=5:MaxWallDurationPerJob='7-00:00:00':MaxTRESPerUser=gres/gpu=2,node=3
Cluster - 'ref':Fairshare=1:QOS='normal'
Parent - 'root'
User - 'root':DefaultAccount='root':AdminLevel='Administrator':Fairshare=1
Account - 'Physics':Description='Physics: both kinds':Organization='org':Fairshare=parent
Parent - 'physics'
Account - 'lab':GrpJobs=4:GrpSubmitJobs=40:GrpTRES=cpu=64,mem=1T:MaxJobs=2
User - 'alice':DefaultAccount='physics':Fairshare=2147483647:MaxJobs=-1:QOS='long,normal'
Parent - 'lab'
User - 'bob':DefaultAccount='lab':Partition='gpu':MaxWallDurationPerJob=90:MaxSubmitJobs=5
User - 'bob':DefaultQOS='long':MaxTRESPerNode=cpu=2:
";

fn accounts(text: &str) -> Accounts {
    parse(text).unwrap_or_else(|errors| panic!("{errors:?}")).accounts
}

fn limits(text: &str) -> TresLimits {
    TresLimits::parse(text).expect("a good list")
}

#[test]
fn a_file_is_read_as_slurm_reads_it() {
    let all = accounts(FILE);
    assert_eq!(all.parts().cluster, "ref");
    let (_, long) = all.qos("long").expect("it is there, in small letters");
    assert_eq!((long.priority, long.limits.max_wall), (5, Some(7 * 24 * 60)));
    assert_eq!(long.per_user.tres, limits("node=3,gres/gpu=2"));
    let physics = &all.parts().accounts[1];
    assert_eq!(
        (physics.name.as_str(), physics.description.as_str()),
        ("physics", "Physics: both kinds")
    );
    let physics = &all.associations()[all.account("physics").expect("it is there")];
    assert_eq!((physics.fairshare, physics.parent), (Fairshare::Parent, Some(0)));
    let lab = &all.associations()[all.account("lab").expect("it is there")];
    assert_eq!(
        (lab.limits.grp_jobs, lab.limits.grp_submit_jobs, lab.most.jobs),
        (Some(4), Some(40), Some(2))
    );
    assert_eq!(lab.limits.grp_tres, limits("cpu=64,mem=1048576"));
    let (_, alice) = all.association("alice", "physics", "cpu").expect("she is there");
    assert_eq!((alice.fairshare, alice.most.jobs), (Fairshare::Parent, None));
    assert_eq!(all.default_account("bob"), Some("lab"));
}

#[test]
fn the_association_of_a_partition_goes_before_the_one_of_all() {
    let all = accounts(FILE);
    let of = |partition| all.association("bob", "lab", partition).expect("he is there").1;
    assert_eq!((of("gpu").limits.max_wall, of("cpu").limits.max_wall), (Some(90), None));
    assert_eq!(of("cpu").limits.max_tres_per_node, limits("cpu=2"));
    assert!(all.association("alice", "lab", "cpu").is_none(), "she is in none of its accounts");
    assert!(all.association("carol", "lab", "cpu").is_none());
}

#[test]
fn a_qos_is_chosen_as_the_nearest_say() {
    let all = accounts(FILE);
    let of = |user, account, partition| {
        all.association(user, account, partition).expect("they are there").0
    };
    let (alice, bob, gpu) =
        (of("alice", "physics", ""), of("bob", "lab", ""), of("bob", "lab", "gpu"));
    assert_eq!(all.default_qos(Some(alice)), "normal", "of several, the normal one");
    assert_eq!(all.default_qos(Some(bob)), "long");
    assert_eq!(all.default_qos(Some(gpu)), "normal", "the only one that the cluster allows");
    assert_eq!(all.default_qos(None), "normal");
    assert!(all.allows_qos(alice, "long") && !all.allows_qos(gpu, "long"));
    let only = accounts("QOS - 'x'\nCluster - 'c':QOS='x'\nUser - 'u'");
    assert_eq!(only.default_qos(Some(1)), "x");
}

#[test]
fn what_has_no_effect_is_told() {
    let loaded = parse(FILE).expect("a good file");
    let idle: Vec<_> = loaded.idle.into_iter().collect();
    assert_eq!(idle, [("AdminLevel", 6)]);
}

#[test]
fn older_keys_mean_the_same() {
    let old = accounts(
        "Cluster - 'c':MaxNodesPerJob=50\nAccount - 'cs':GrpCPUs=9:GrpNodes=2:MaxCPUs=4:\
         MaxWallDuration=40:FairShare=399\nQOS - 'q':MaxJobs=1:MaxSubmitPU=2:MaxTRESPA=cpu=3:\
         MaxJobsPA=4:GraceTime=0:Preempt=:PreemptMode=cluster:UsageFactor=1.000000",
    );
    let root = &old.associations()[0];
    assert_eq!(root.limits.max_tres_per_job, limits("node=50"));
    let cs = &old.associations()[1];
    assert_eq!(cs.limits.grp_tres, limits("cpu=9,node=2"));
    assert_eq!(cs.limits.max_tres_per_job, limits("cpu=4"));
    assert_eq!((cs.limits.max_wall, cs.fairshare), (Some(40), Fairshare::Shares(399)));
    let (_, qos) = old.qos("q").expect("it is there");
    assert_eq!((qos.per_user.jobs, qos.per_user.submit_jobs), (Some(1), Some(2)));
    assert_eq!((qos.per_account.jobs, &qos.per_account.tres), (Some(4), &limits("cpu=3")));
}

#[test]
fn a_qos_says_who_makes_way_for_it_and_how_its_own_jobs_do() {
    let file = "Cluster - 'c'\nQOS - 'low':GraceTime=10:PreemptMode='requeue':\
                PreemptExemptTime='00:10:00'\nQOS - 'high':Preempt='low,normal'\n";
    let read = accounts(file);
    let of = |name: &str| read.qos(name).expect("it is there").1.preemption.clone();
    let low = of("low");
    assert_eq!((low.grace_time, low.mode), (10, Some(PreemptMode::Requeue)));
    assert_eq!((low.exempt, low.preempts.len()), (Some(600), 0));
    assert_eq!(of("high").preempts.into_iter().collect::<Vec<_>>(), ["low", "normal"]);
    assert_eq!(accounts(&read.to_string()), read, "what is written is read again");

    for circle in ["Preempt='q'", "Preempt='low'\nQOS - 'low':Preempt='q'"] {
        let errors = parse(&format!("Cluster - 'c'\nQOS - 'q':{circle}\n")).expect_err(circle);
        assert!(errors[0].message.contains("would make way for each other"), "{errors:?}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let stories = [
        // What stands below `Cluster - 'c'`, the line that is wrong, and what is said.
        ("Acount - 'x'", 2, "`Acount' is none of QOS, Cluster, Parent, Account and User"),
        ("Account 'x'", 2, "a line has the form `Account - 'name':Key=value'"),
        ("Account - ''", 2, "a name is missing"),
        ("Account - 'x", 2, "`'x' is not closed"),
        ("Account - 'x'y", 2, "behind a value stands `y', and not `:'"),
        ("Account - 'x':MaxJobs", 2, "an option has the form Key=value, not `MaxJobs'"),
        ("Account - 'x':MaxJobs=two", 2, "MaxJobs=two: a number is wanted"),
        ("Account - 'x':MaxJobs=-2", 2, "MaxJobs=-2: a number is wanted"),
        ("Account - 'x':MaxJob=2", 2, "MaxJob is no option that is known here"),
        (
            "Account - 'x':GrpTRES=cpu",
            2,
            "GrpTRES=cpu: cpu=N, mem=N, node=N and gres/NAME=N are \
             wanted, with commas between them",
        ),
        ("Account - 'x':GrpTRES=billing=4", 2, "GrpTRES=billing=4: billing is not counted here"),
        ("Account - 'x':GrpTRES=cpu=4,CPU=5", 2, "GrpTRES=cpu=4,CPU=5: CPU stands twice"),
        ("Account - 'x':GrpTRESMins=cpu=4", 2, "GrpTRESMins is refused: it would not be enforced"),
        ("Account - 'x':MaxWall=soon", 2, "MaxWall=soon: minutes are wanted"),
        ("Account - 'x':QOS='+long'", 2, "QOS=+long: whole lists are wanted, without + and -"),
        ("Account - 'x':QOS='nosuch'", 2, "there is no QOS nosuch in this file"),
        ("Account - 'x'\nAccount - 'X'", 3, "account x stands twice"),
        ("Account - 'root'", 2, "account root stands twice"),
        ("Account - 'a b'", 2, "`a b' can't be a name"),
        ("Parent - 'x'\nAccount - 'x'", 2, "account x has to stand before its children"),
        ("Parent - 'root':MaxJobs=1", 2, "a Parent has no options, such as MaxJobs"),
        ("User - 'u'\nUser - 'u'", 3, "user u of account root stands twice"),
        (
            "User - 'u':DefaultAccount='x'",
            2,
            "user u has the default account x, and no association \
             with it",
        ),
        (
            "User - 'u':Partition='p'\nUser - 'u':DefaultAccount='x'",
            3,
            "DefaultAccount of u is root above",
        ),
        ("QOS - 'q'\nQOS - 'q'", 3, "QOS q stands twice"),
        ("QOS - 'q':Preempt='nosuch'", 2, "there is no QOS nosuch in this file"),
        (
            "QOS - 'q':PreemptMode='SUSPEND'",
            2,
            "PreemptMode: SUSPEND is refused: jobs are not suspended",
        ),
        (
            "QOS - 'q':PreemptMode='WITHIN'",
            2,
            "PreemptMode: WITHIN is refused: nobody makes way for a job of his own QOS",
        ),
        ("QOS - 'q':PreemptExemptTime='soon'", 2, "PreemptExemptTime=soon: a time is wanted"),
        (
            "QOS - 'q':Flags='NoReserve'",
            2,
            "Flags=NoReserve is refused: it would have no effect here",
        ),
        ("Cluster - 'd'", 2, "a second cluster: a file is of one"),
    ];
    for (text, line, said) in stories {
        let errors = parse(&format!("Cluster - 'c'\n{text}\n")).expect_err(text);
        let [error] = errors.as_slice() else { panic!("{text}: {errors:?}") };
        assert_eq!((error.line, error.message.as_str()), (line, said), "{text}");
    }
    let first = parse("\nUser - 'u'\n").expect_err("no cluster");
    assert_eq!(first[0].to_string(), "line 2: a line `Cluster - 'NAME'' has to come first");
    assert!(parse("").is_err(), "not even a cluster");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let errors = parse(
        "QOS - 'q':Bogus=1\nCluster - 'c':Bogus=1:QOS='q'\nAccount - 'x':MaxJobs=x\n\
         Parent - 'x'\nUser - 'u'\nParent - 'y'\n",
    );
    let lines: Vec<usize> = errors.expect_err("wrong").iter().map(|error| error.line).collect();
    assert_eq!(lines, [1, 2, 3, 6], "and nothing for what follows of it");
}

#[test]
fn resources_are_written_in_one_way() {
    for (text, written) in
        [("node=1,cpu=2", "cpu=2,node=1"), ("mem=2G", "mem=2048"), ("cpu=-1", "")]
    {
        assert_eq!(limits(text).to_string(), written, "{text}");
    }
    assert_eq!(Tres::parse("GRES/gpu:A100"), Ok(Tres::Gres("gpu:a100".to_owned())));
    for text in ["gres/", "gres/a:", "license/x", "cpus", "gres/gpu:a:b"] {
        assert!(Tres::parse(text).is_err(), "{text}");
    }
}

/// A line that may be right.
fn line() -> impl Strategy<Value = String> {
    let name = "[abc]";
    let option = prop_oneof![
        ("(MaxJobs|GrpJobs|MaxSubmitJobs|MaxWall|Priority|Fairshare)", 0_u32..5)
            .prop_map(|(key, number)| format!(":{key}={number}")),
        "(GrpTRES|MaxTRESPerJob|MaxTRESPerNode)=(cpu=1|mem=5G,node=2|gres/gpu=1)"
            .prop_map(|text| format!(":{text}")),
        Just(":MaxTRES='gres/gpu:a100=1'".to_owned()),
        "Flags='(DenyOnLimit|OverPartQOS|DenyOnLimit,OverPartQOS)'"
            .prop_map(|text| format!(":{text}")),
        "(QOS='(a|normal|a,normal)'|DefaultQOS='a'|Partition='[xy]'|Description=\"it's [a-z: ]*\")"
            .prop_map(|text| format!(":{text}")),
    ];
    let options = proptest::collection::vec(option, 0..4).prop_map(|all| all.concat());
    let kind = prop_oneof![
        3 => Just("Account"),
        5 => Just("User"),
        2 => Just("Parent"),
        1 => Just("QOS"),
    ];
    (kind, name, options).prop_map(|(kind, name, options)| match kind {
        "Parent" => format!("Parent - '{name}'"),
        kind => format!("{kind} - '{name}'{options}"),
    })
}

proptest! {
    /// No text makes the parser panic, and none is half read.
    #[test]
    fn any_text_is_read_or_refused(text in "[-'\":=a-cA-Z0-9,# \n]{0,200}|(.|\n){0,80}") {
        match parse(&text) {
            Ok(loaded) => prop_assert!(!loaded.accounts.associations().is_empty()),
            Err(errors) => prop_assert!(!errors.is_empty()),
        }
    }

    /// What is printed of a table is read as the same table.
    #[test]
    fn what_is_printed_is_read(lines in proptest::collection::vec(line(), 0..25)) {
        // Lines that are wrong are left out.
        let mut text = "QOS - 'a'\nCluster - 'c'\n".to_owned();
        for line in lines {
            let more = format!("{text}{line}\n");
            if parse(&more).is_ok() {
                text = more;
            }
        }
        let first = accounts(&text);
        let printed = first.to_string();
        let again = accounts(&printed);
        prop_assert_eq!(again.to_string(), printed);
        prop_assert_eq!(again.parts().associations.len(), first.parts().associations.len());
        for one in first.associations() {
            let Some(user) = &one.user else { continue };
            let partition = one.partition.as_deref().unwrap_or("none");
            let (_, found) = again.association(user, &one.account, partition).expect("still there");
            prop_assert_eq!((&found.limits, &found.most), (&one.limits, &one.most));
            prop_assert_eq!((&found.qos, &found.default_qos), (&one.qos, &one.default_qos));
        }
    }
}

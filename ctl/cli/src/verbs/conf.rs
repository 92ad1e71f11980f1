//! `rafter conf check`: what becomes of each key of a configuration.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anstyle::Style;
use common::config::{self, Checked, Fate, KeyFate, Problem};
use serde_json::json;

use super::{
    page::{BAD, DOUBTFUL, GOOD, HEADING, Page, plain},
    print_json,
};
use crate::say;

#[derive(clap::Subcommand)]
pub(super) enum Conf {
    /// Read a slurm.conf, and say of each key whether it is honoured, has no effect, or is refused
    Check(Check),
}

#[derive(clap::Args)]
pub(super) struct Check {
    /// The file; without it $SLURM_CONF, or /etc/slurm/slurm.conf
    file: Option<PathBuf>,
    /// For programs: one object
    #[arg(long)]
    json: bool,
}

const FILE: &str = "/etc/slurm/slurm.conf";

pub(super) fn run(conf: &Conf) -> u8 {
    let Conf::Check(Check { file, json }) = conf;
    let named = file.clone().or_else(|| env::var_os("SLURM_CONF").map(PathBuf::from));
    let file = named.unwrap_or_else(|| FILE.into());
    let checked = config::check(&file, |path| fs::read_to_string(path));
    if *json {
        print_json(&object(&file, &checked));
    } else {
        say::out(&text(&checked, say::in_colour()));
        for problem in &checked.warnings {
            say::err(&format!("{problem}\n"));
        }
        for problem in &checked.problems {
            say::err(&format!("{problem}\n"));
        }
    }
    u8::from(checked.config.is_none())
}

fn fate(fate: Fate) -> (&'static str, &'static str) {
    match fate {
        Fate::Honoured => ("honoured", ""),
        Fate::NoEffect(why) => ("no effect", why),
        Fate::Refused(why) => ("refused", why),
    }
}

/// A table of the keys, and what is wrong below it.
fn text(checked: &Checked, in_colour: bool) -> String {
    let mut page = Page::new(in_colour);
    let mut table = plain(["KEY", "VALUE", "FATE", "WHY"], &[]);
    let mut styles = vec![HEADING];
    for KeyFate { key, value, fate: becomes, .. } in &checked.fates {
        let (word, why) = fate(*becomes);
        table.add_row([key, value.as_str(), word, why]);
        styles.push(match becomes {
            Fate::Honoured => Style::new(),
            Fate::NoEffect(_) => DOUBTFUL,
            Fate::Refused(_) => BAD,
        });
    }
    page.table(&table, &styles);
    page.line(Style::new(), "");
    match (&checked.config, checked.problems.len()) {
        (Some(config), _) => {
            let (nodes, partitions) = (config.nodes.len(), config.partitions.len());
            let size = format!("{nodes} nodes, {partitions} partitions");
            page.line(GOOD, &format!("Cluster {} can use it: {size}", config.cluster_name));
        }
        (None, 1) => page.line(BAD, "It can't be used: something is wrong"),
        (None, count) => page.line(BAD, &format!("It can't be used: {count} things are wrong")),
    }
    page.into_text()
}

/// An interface: names are added, and none is renamed or taken away.
fn object(file: &Path, checked: &Checked) -> serde_json::Value {
    let problem = |problem: &Problem| {
        let Problem { place, message } = problem;
        json!({ "file": &*place.file, "line": place.line, "message": message })
    };
    let key = |found: &KeyFate| {
        let KeyFate { place, key, value, fate: becomes } = found;
        let (word, why) = fate(*becomes);
        json!({
            "file": &*place.file, "line": place.line, "key": key, "value": value,
            "fate": word, "why": (!why.is_empty()).then_some(why),
        })
    };
    json!({
        "file": file.display().to_string(),
        "usable": checked.config.is_some(),
        "problems": checked.problems.iter().map(problem).collect::<Vec<_>>(),
        "warnings": checked.warnings.iter().map(problem).collect::<Vec<_>>(),
        "keys": checked.fates.iter().map(key).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn checked(text: &str) -> Checked {
        config::check(Path::new("x.conf"), |_| Ok::<_, String>(text.to_owned()))
    }

    const GOOD_FILE: &str = "ClusterName=ref\nSlurmctldHost=ctl1\nMpiDefault=none\n\
                             NodeName=n[1-2] CPUs=8\nPartitionName=cpu Nodes=ALL Default=YES\n";

    #[test]
    fn each_key_has_a_line() {
        let text = text(&checked(GOOD_FILE), false);
        for word in ["ClusterName", "SlurmctldHost", "honoured", "Cluster ref can use it: 2 nodes"]
        {
            assert!(text.contains(word), "{word} is missing in\n{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_counted_and_listed() {
        let checked = checked(&format!("{GOOD_FILE}Bogus=1\n"));
        assert!(text(&checked, false).ends_with("It can't be used: something is wrong\n"));
        let object = object(Path::new("x.conf"), &checked);
        assert_eq!(object["usable"], false);
        expect![[r#"6"#]].assert_eq(&object["problems"][0]["line"].to_string());
        assert_eq!(object["keys"][0]["key"], "ClusterName");
        assert_eq!(object["keys"][0]["fate"], "honoured");
    }
}

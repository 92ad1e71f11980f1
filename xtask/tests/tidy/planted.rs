//! Each rule sees what is planted for it, and lets its neighbour through.

use std::path::Path;

use crate::rules::{
    Crate, File, dead_links, escaped_names, impure_manifests, long_files, put_off, shipped_bugs,
    stray_unsafe, unexplained, unwraps, wide_lines, wrong_arrows,
};

fn rust(path: &str, text: &str) -> Vec<File> {
    vec![File::new(path, text)]
}

fn using(folder: &str, ours: &[&str], foreign: &[(&str, bool)]) -> Vec<Crate> {
    let foreign = foreign.iter().map(|(name, tests)| ((*name).to_owned(), *tests)).collect();
    let ours = ours.iter().map(|it| (*it).to_owned()).collect();
    vec![Crate { folder: folder.to_owned(), ours, foreign }]
}

#[test]
fn arrows() {
    assert!(wrong_arrows(&using("ctl/cli", &["common", "proto"], &[])).is_empty());
    assert_eq!(
        wrong_arrows(&using("ctl/cli", &["raft-store"], &[])),
        ["ctl/cli: may not use raft-store"]
    );
    assert_eq!(wrong_arrows(&using("ctl/new", &[], &[])), ["ctl/new: not in the table of layers"]);
}

#[test]
fn purity() {
    assert!(impure_manifests(&using("common", &[], &[("imbl", false)])).is_empty());
    assert!(impure_manifests(&using("common", &[], &[("tempfile", true)])).is_empty());
    assert!(impure_manifests(&using("ctl", &[], &[("tokio", false)])).is_empty());
    assert_eq!(impure_manifests(&using("common", &[], &[("tokio", false)])).len(), 1);
}

#[test]
fn confinement() {
    let theirs = [("openraft", false)];
    assert!(escaped_names(&using("raft-store", &[], &theirs)).is_empty());
    let wrong = escaped_names(&using("ctl", &[], &[("openraft", true)]));
    assert_eq!(wrong, ["ctl: openraft belongs to raft-store"]);
}

#[test]
fn lengths() {
    assert!(long_files(&rust("a.rs", &"\n".repeat(500))).is_empty());
    assert_eq!(long_files(&rust("a.rs", &"\n".repeat(501))), ["a.rs: 501 lines"]);
    let (fits, wide) = ("─".repeat(97), "x".repeat(98));
    assert!(wide_lines(&rust("a.rs", &format!("// {fits}\n"))).is_empty());
    let comment = format!("\n// {wide}\n");
    assert_eq!(wide_lines(&rust("a.rs", &comment)), ["a.rs:2: 101 characters"]);
    let printed = format!("const A: &str = \"\n{wide}...\n\";\n");
    assert!(wide_lines(&rust("a.rs", &printed)).is_empty());
    assert!(wide_lines(&rust("a.rs", &format!("[\n    \"{wide}\",\n]\n"))).is_empty());
    let one_line = format!("const A: &str = \"{wide}\";\n");
    assert_eq!(wide_lines(&rust("a.rs", &one_line)).len(), 1);
}

#[test]
fn unsafety() {
    let argued = "fn f() {\n    // SAFETY: it is alone.\n    let a =\n        unsafe { g() };\n}\n";
    assert!(stray_unsafe(&rust("node/step/src/a.rs", argued)).is_empty());
    assert_eq!(stray_unsafe(&rust("node/src/a.rs", argued)).len(), 1);
    let bare = "// SAFETY: of another.\nfn f() {\n    unsafe { g() };\n}\n";
    assert_eq!(stray_unsafe(&rust("node/step/src/a.rs", bare)).len(), 1);
    assert!(stray_unsafe(&rust("a/src/a.rs", "// unsafe\nlet a = \"unsafe\";")).is_empty());
}

#[test]
fn what_was_put_off() {
    assert_eq!(put_off(&rust("a.rs", "f();\n// TODO: more\n")), ["a.rs:2: TODO"]);
    assert_eq!(put_off(&rust("a.rs", "todo!()")), ["a.rs:1: todo"]);
    assert_eq!(put_off(&rust("a.rs", "unimplemented!()")), ["a.rs:1: unimplemented"]);
    assert_eq!(put_off(&rust("a.md", "FIXME")), ["a.md:1: FIXME"]);
    assert!(put_off(&rust("a.rs", "let todo = \"TODO\"; // TODOS, mktemp XXXXXX")).is_empty());
}

#[test]
fn unwrapping() {
    assert_eq!(unwraps(&rust("a/src/a.rs", "a\n    .unwrap();\n")).len(), 1);
    assert!(unwraps(&rust("a/src/a.rs", "a.unwrap_or(b); // .unwrap()\n")).is_empty());
    assert!(unwraps(&rust("a/tests/a.rs", "a.unwrap();\n")).is_empty());
    assert!(unwraps(&rust("a/src/a.rs", "#[cfg(test)]\nmod t { a.unwrap() }\n")).is_empty());
}

#[test]
fn dependencies() {
    let manifest = "[workspace.dependencies]\ncommon = { path = \"common\" }\n\na = \"1\"\n\
                    b = \"2\"\n\n[profile.dev]\nc = 3\n";
    let table = "| crate | why |\n|---|---|\n| a | yes |\n| `b` | yes |\n";
    assert!(unexplained(manifest, table).is_empty());
    assert_eq!(unexplained(manifest, "| a | yes |\n"), ["b: has no row"]);
    let stale = format!("{table}| d | once |\n");
    assert_eq!(unexplained(manifest, &stale), ["d: is no dependency"]);
}

#[test]
fn links() {
    let there = |path: &Path| path == Path::new("docs/a.md");
    let page = |text: &str| vec![File::new("docs/b.md", text)];
    let good = "[one](a.md) [part](a.md#part) [here](#part) [out](https://example.org/x.md)";
    assert!(dead_links(&page(good), there).is_empty());
    assert_eq!(dead_links(&page("[gone](c.md)"), there), ["docs/b.md: c.md is not there"]);
}

#[test]
fn known_bugs() {
    let manifest = |text: &str| vec![File::new("a/Cargo.toml", text)];
    let forwarded = "# planted\nplanted = []\nplanted = [\"common/planted\", \"b/planted\"]\n";
    assert!(shipped_bugs(&manifest(forwarded)).is_empty());
    let always = "default = [\"planted\"]\n";
    assert_eq!(shipped_bugs(&manifest(always)), ["a/Cargo.toml:1: turns on known bugs"]);
    let used = "common = { path = \"../common\", features = [\"planted\"] }\n";
    assert_eq!(shipped_bugs(&manifest(used)).len(), 1);
    assert_eq!(shipped_bugs(&manifest("planted = [\"std\"]\n")).len(), 1);
    let build = "cargo(&[\"build\", \"--features\", \"planted\"])\n";
    assert_eq!(shipped_bugs(&rust("xtask/src/packages.rs", build)).len(), 1);
    assert!(shipped_bugs(&rust("xtask/src/gate.rs", build)).is_empty());
    let release = "cargo(&[\"--release\", \"--features\", \"planted\"])\n";
    assert_eq!(shipped_bugs(&rust("xtask/src/gate.rs", release)).len(), 1);
    assert!(shipped_bugs(&rust("a/src/a.rs", "#[cfg(feature = \"planted\")]\n")).is_empty());
    let script = vec![File::new("deploy/a.sh", "cargo build --features planted\n")];
    assert_eq!(shipped_bugs(&script).len(), 1);
}

//! What the compiler cannot check about the repository.
//!
//! Each rule is a function from what is there to a list of complaints, so that it can be held
//! against the repository, and against a violation planted for it.

mod planted;
mod rules;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rules::{
    Crate, File, LAYERS, dead_links, escaped_names, impure_manifests, long_files, put_off,
    shipped_bugs, stray_unsafe, unexplained, unwraps, wide_lines, wrong_arrows,
};

#[test]
fn crates_only_use_the_layers_below_them() {
    assert_none(&wrong_arrows(&crates()));
}

#[test]
fn every_layer_is_a_crate() {
    let folders: BTreeSet<String> = crates().into_iter().map(|it| it.folder).collect();
    let stale = LAYERS.iter().filter(|(folder, _)| !folders.contains(*folder));
    assert_none(&stale.map(|(folder, _)| format!("{folder}: no such crate")).collect::<Vec<_>>());
}

#[test]
fn pure_crates_use_pure_crates() {
    assert_none(&impure_manifests(&crates()));
}

#[test]
fn confined_names_stay_at_home() {
    assert_none(&escaped_names(&crates()));
}

#[test]
fn no_file_is_too_long_to_read_in_one_sitting() {
    assert_none(&long_files(&files()));
}

#[test]
fn no_line_is_too_wide() {
    assert_none(&wide_lines(&files()));
}

#[test]
fn unsafe_stays_where_it_must_be_and_is_argued() {
    assert_none(&stray_unsafe(&files()));
}

#[test]
fn nothing_is_put_off() {
    assert_none(&put_off(&files()));
}

#[test]
fn nothing_shipped_unwraps() {
    assert_none(&unwraps(&files()));
}

#[test]
fn each_dependency_has_a_reason() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    assert_none(&unexplained(&read("Cargo.toml"), &read("docs/decisions/dependencies.md")));
}

#[test]
fn links_between_documents_lead_somewhere() {
    assert_none(&dead_links(&files(), |path| root().join(path).exists()));
}

#[test]
fn known_bugs_are_in_no_release() {
    assert_none(&shipped_bugs(&files()));
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("xtask is a folder of the workspace").to_owned()
}

fn files() -> Vec<File> {
    let mut found = Vec::new();
    collect(&root(), &root(), &mut found);
    assert!(found.len() > 50, "only {} files were found", found.len());
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let entry = entry.expect("a readable folder");
        let (path, kind) = (entry.path(), entry.file_type().expect("a type"));
        let name = entry.file_name();
        if kind.is_dir() && name != "target" && name != ".git" {
            collect(root, &path, found);
        }
        let known = ["rs", "proto", "toml", "md", "sh", "yml", "yaml", "service", "txt"];
        let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
        if kind.is_file() && known.contains(&extension) {
            let relative = path.strip_prefix(root).expect("below the root").to_string_lossy();
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            found.push(File { path: relative.into_owned(), text });
        }
    }
}

/// The workspace as cargo sees it.
fn crates() -> Vec<Crate> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = cargo.arg("--offline").output().expect("cargo runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let of = |value: &serde_json::Value| {
        let path = Path::new(value.as_str().expect("a path"));
        let relative = path.strip_prefix(root()).expect("below the root");
        relative.to_str().expect("UTF-8").trim_end_matches("/Cargo.toml").to_owned()
    };
    let packages = metadata["packages"].as_array().expect("packages");
    let read = |package: &serde_json::Value| {
        let (mut ours, mut foreign) = (Vec::new(), Vec::new());
        for used in package["dependencies"].as_array().expect("dependencies") {
            if used["path"].is_null() {
                let name = used["name"].as_str().expect("a name").to_owned();
                foreign.push((name, used["kind"] == "dev"));
            } else {
                ours.push(of(&used["path"]));
            }
        }
        Crate { folder: of(&package["manifest_path"]), ours, foreign }
    };
    packages.iter().map(read).collect()
}

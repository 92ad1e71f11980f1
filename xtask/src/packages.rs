//! What a fresh machine with only Rust lacks, and how it comes here.
//!
//! Nothing is installed in silence: the command is shown first, and on a terminal it waits for a
//! yes. Where nobody watches (a machine that runs tests), it goes ahead.

use std::{
    fs,
    io::{BufRead as _, Write as _},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::workspace::{self, run, somebody_watches, succeeds};

/// Where systems keep libclang. A `*` stands for one part of the path.
const LIBCLANG_FOLDERS: &[&str] = &[
    "/usr/lib/llvm-*/lib",
    "/usr/lib/*-linux-gnu",
    "/usr/lib64",
    "/usr/lib64/llvm*/lib",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/local/llvm*/lib",
];

/// Sees to it that C++ can be compiled and its headers can be read for Rust.
///
/// # Errors
/// Where something is missing and can't be installed here.
pub(crate) fn for_building() -> Result<()> {
    let mut missing = Vec::new();
    let compiles = std::env::var_os("CXX").is_some() || answers("c++");
    if !compiles || !answers("ar") {
        missing.push("g++");
    }
    if std::env::var_os("LIBCLANG_PATH").is_none() && !has_libclang() {
        missing.push("libclang-dev");
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !answers("apt-get") {
        let names = missing.join(" ");
        bail!(
            "missing here: {names} (as Debian calls them; elsewhere gcc-c++ and clang-devel): \
             a C++20 compiler for RocksDB, and libclang for its bindings. Please install them"
        );
    }
    install(&missing, "for RocksDB and its bindings")
}

/// Sees to it that hosts can be made of namespaces, cut off, and given disks.
///
/// # Errors
/// Where something is missing and can't be installed here.
pub(crate) fn for_chaos() -> Result<()> {
    let needed = [
        ("ip", "iproute2"),
        ("nft", "nftables"),
        ("nsenter", "util-linux"),
        ("mkfs.ext4", "e2fsprogs"),
        ("cc", "gcc"),
    ];
    let folders = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"];
    let there = |program: &str| folders.iter().any(|it| Path::new(it).join(program).exists());
    let missing: Vec<&str> =
        needed.iter().filter(|(program, _)| !there(program)).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !answers("apt-get") {
        bail!("missing here, as Debian calls it: {}. Please install it", missing.join(" "));
    }
    install(&missing, "for hosts in namespaces")
}

/// Installs Debian's packages.
fn install(missing: &[&str], why: &str) -> Result<()> {
    let names = missing.join(" ");
    let mut words = vec!["apt-get", "install", "-y", "--no-install-recommends"];
    words.extend(missing);
    agree(&format!("{names} missing ({why})"), &as_root(&words)?)?;
    if run(&mut as_root(&words)?).is_err() {
        // A fresh system has no list of packages yet.
        run(&mut as_root(&["apt-get", "update"])?)?;
        run(&mut as_root(&words)?)?;
    }
    Ok(())
}

/// Sees to it that `cargo nextest` is there.
///
/// # Errors
/// Where it is missing and can't be installed.
pub(crate) fn nextest() -> Result<()> {
    if succeeds(&mut workspace::cargo(&["nextest", "--version"])) {
        return Ok(());
    }
    let mut install = workspace::cargo(&["install", "cargo-nextest", "--locked"]);
    agree("cargo-nextest missing (it runs the tests); this takes some minutes", &install)?;
    run(&mut install)
}

/// Sees to it that rustfmt and clippy are there.
///
/// # Errors
/// Where they are missing and can't be installed.
pub(crate) fn linters() -> Result<()> {
    let there = |verb| succeeds(&mut workspace::cargo(&[verb, "--version"]));
    if there("fmt") && there("clippy") {
        return Ok(());
    }
    let mut install = Command::new("rustup");
    install.current_dir(workspace::root()).args(["component", "add", "rustfmt", "clippy"]);
    agree("rustfmt or clippy missing", &install)?;
    run(&mut install)
}

/// Shows what will be done, and asks if there is anybody to ask.
fn agree(why: &str, install: &Command) -> Result<()> {
    let line = workspace::shown(install);
    eprintln!("{why}\n  {line}");
    if !somebody_watches() {
        return Ok(());
    }
    eprint!("Run it now? [Y/n] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("no answer")?;
    if !matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes") {
        bail!("not installed; run `{line}` and try again");
    }
    Ok(())
}

/// `words` as a command that runs as root: by sudo, unless we are root.
fn as_root(words: &[&str]) -> Result<Command> {
    let (first, rest) = words.split_first().context("no command")?;
    let mut command = if is_root() {
        Command::new(first)
    } else {
        if !answers("sudo") {
            bail!("as root, run `{}` and try again", words.join(" "));
        }
        let mut sudo = Command::new("sudo");
        // Without a terminal, a question for a password would wait for ever.
        sudo.args((!somebody_watches()).then_some("-n")).arg(first);
        sudo
    };
    command.args(rest).env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

fn is_root() -> bool {
    let id = workspace::output(Command::new("id").arg("-u"));
    id.is_ok_and(|id| id.trim() == "0")
}

fn answers(program: &str) -> bool {
    succeeds(Command::new(program).arg("--version"))
}

/// Whether there is a libclang, with the headers that a compiler brings along: without them it
/// does not know `size_t`.
fn has_libclang() -> bool {
    let library = LIBCLANG_FOLDERS
        .iter()
        .any(|folder| expand(folder).iter().any(|folder| holds_libclang(Path::new(folder))));
    let headers = ["/usr/lib/llvm-*/lib/clang/*/include", "/usr/lib*/clang/*/include"]
        .iter()
        .any(|folder| expand(folder).iter().any(|it| Path::new(it).join("stddef.h").exists()));
    library && headers
}

fn holds_libclang(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.into_iter().any(|name| is_libclang(&name))
}

/// Whether bindgen would load a file of this name: `libclang.so`, `libclang-14.so.1`, ...
fn is_libclang(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("libclang") else { return false };
    let version = rest.strip_prefix('-').unwrap_or(rest);
    version.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').starts_with("so")
}

/// The paths that `pattern` stands for.
fn expand(pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for part in pattern.split('/').skip(1) {
        found = found.into_iter().flat_map(|base| matching(&base, part)).collect();
    }
    found
}

fn matching(base: &str, part: &str) -> Vec<String> {
    let Some((before, after)) = part.split_once('*') else {
        return vec![format!("{base}/{part}")];
    };
    let Ok(entries) = fs::read_dir(format!("{base}/")) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter(|name| name.starts_with(before) && name.ends_with(after))
        .map(|name| format!("{base}/{name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libclang_is_told_from_its_neighbours() {
        for name in ["libclang.so", "libclang-14.so", "libclang-14.so.14.0.6", "libclang.so.1"] {
            assert!(is_libclang(name), "{name}");
        }
        for name in ["libclang-cpp.so.14", "libclang_rt.asan-x86_64.so", "libclangAST.a", "x.so"] {
            assert!(!is_libclang(name), "{name}");
        }
    }

    #[test]
    fn a_star_stands_for_one_part() {
        let scratch = tempfile::tempdir().expect("a folder");
        for name in ["llvm-14/lib", "llvm-15/lib", "other/lib"] {
            fs::create_dir_all(scratch.path().join(name)).expect("made");
        }
        let base = scratch.path().to_str().expect("UTF-8");
        let mut found = expand(&format!("{base}/llvm-*/lib"));
        found.sort();
        assert_eq!(found, [format!("{base}/llvm-14/lib"), format!("{base}/llvm-15/lib")]);
        assert!(expand(&format!("{base}/absent-*/lib")).is_empty());
    }
}

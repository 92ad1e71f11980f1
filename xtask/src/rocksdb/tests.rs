//! The cache, tried with a small source tree and the real compiler.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A source tree of three files, two of which define one name, so that they can't be one unit.
fn source(folder: &Path) -> Source {
    let files = [
        ("rocksdb_lib_sources.txt", "db/a.cc\ndb/b.cc\n\ndb/c.cc\nutil/build_version.cc\n"),
        ("build_version.cc", "int version() { return 1; }\n"),
        ("rocksdb/db/a.cc", "static int twice = 1; int a() { return twice; }\n"),
        ("rocksdb/db/b.cc", "static int twice = 2; int b() { return twice; }\n"),
        ("rocksdb/db/c.cc", "#ifndef OS_LINUX\n#error\n#endif\nint c() { return 3; }\n"),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
    Source { version: "1.0".to_owned(), folder: folder.to_owned() }
}

fn symbols(archive: &Path) -> Vec<String> {
    let listed = workspace::output(Command::new("nm").args(["--defined-only", "-C"]).arg(archive));
    let listed = listed.expect("nm reads the archive");
    let mut names: Vec<_> =
        listed.lines().filter_map(|line| Some(line.split_once(" T ")?.1.to_owned())).collect();
    names.sort();
    names
}

#[test]
fn the_archive_holds_every_file_and_is_made_once() {
    let scratch = tempfile::tempdir().expect("a folder");
    let source = source(&scratch.path().join("source"));
    let recipe = Recipe::new(&source).expect("a compiler");
    let cache = scratch.path().join("cache");
    // What a killed run has left must not be taken for an archive.
    let name = format!("rocksdb-1.0-{}", recipe.digest());
    fs::create_dir_all(cache.join(format!("{name}.unfinished/objects"))).expect("made");
    let folder = cached(&source, &recipe, &cache).expect("compiled");
    assert_eq!(symbols(&folder.join(ARCHIVE)), ["a()", "b()", "c()", "version()"]);
    let made = fs::metadata(folder.join(ARCHIVE)).expect("there").modified().expect("a time");

    fs::remove_dir_all(&source.folder).expect("removed");
    assert_eq!(cached(&source, &recipe, &cache).expect("cached"), folder);
    assert_eq!(fs::metadata(folder.join(ARCHIVE)).expect("there").modified().expect("a"), made);
    let mut left: Vec<_> = fs::read_dir(&cache)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    left.sort();
    assert_eq!(left, [name.clone(), format!("{name}.lock")]);
}

#[test]
fn a_file_that_does_not_compile_is_named() {
    let scratch = tempfile::tempdir().expect("a folder");
    let source = source(&scratch.path().join("source"));
    fs::write(source.folder.join("rocksdb/db/b.cc"), "int b( { }\n").expect("written");
    let recipe = Recipe::new(&source).expect("a compiler");
    let cache = scratch.path().join("cache");
    let error = cached(&source, &recipe, &cache).expect_err("it can't compile");
    assert!(format!("{error:#}").starts_with("rocksdb/db/b.cc does not compile"), "{error:#}");
    // The next run begins anew and succeeds.
    fs::write(source.folder.join("rocksdb/db/b.cc"), "int b() { return 2; }\n").expect("written");
    let folder = cached(&source, &recipe, &cache).expect("compiled");
    assert_eq!(symbols(&folder.join(ARCHIVE)).len(), 4);
}

#[test]
fn two_runs_compile_it_once() {
    let scratch = tempfile::tempdir().expect("a folder");
    let source = source(&scratch.path().join("source"));
    // A compiler that writes down each call, and then does as the real one.
    let real = Recipe::new(&source).expect("a compiler");
    let calls = scratch.path().join("calls");
    let compiler = scratch.path().join("c++");
    let script =
        format!("#!/bin/sh\necho call >> {}\nexec {} \"$@\"\n", calls.display(), real.compiler);
    fs::write(&compiler, script).expect("written");
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).expect("executable");
    let recipe = Recipe { compiler: compiler.to_str().expect("UTF-8").to_owned(), ..real };
    let cache = scratch.path().join("cache");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| cached(&source, &recipe, &cache).expect("compiled"));
        }
    });
    // build_version, then a+b+c fails (one name twice), a, b+c.
    assert_eq!(fs::read_to_string(calls).expect("called").lines().count(), 4);
}

#[test]
fn another_recipe_has_another_folder() {
    let scratch = tempfile::tempdir().expect("a folder");
    let source = source(&scratch.path().join("source"));
    let recipe = Recipe::new(&source).expect("a compiler");
    let newer = Source { version: "1.1".to_owned(), ..source };
    assert_ne!(recipe.digest(), Recipe::new(&newer).expect("a compiler").digest());
}

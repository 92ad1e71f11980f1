//! RocksDB's archive, compiled once and kept in a cache folder.
//!
//! librocksdb-sys compiles RocksDB's 340 files one by one, for each profile and each clean clone:
//! most of the time goes into reading the same headers. Here the files of a folder are compiled a
//! dozen at a time as one ([`units`]), which RocksDB's own makefile knows as its unity build, and
//! the archive is given to librocksdb-sys by `ROCKSDB_LIB_DIR`. Whoever calls plain `cargo` gets
//! the slow build, and the same program.
//!
//! **Invariant:** the archive comes from the sources of the very librocksdb-sys that `Cargo.lock`
//! names, whose header also makes the bindings.

mod compile;
mod units;

use std::{
    env, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

use crate::workspace;

const PACKAGE: &str = "librocksdb-sys";
const ARCHIVE: &str = "librocksdb.a";
/// What the archive was made from, in words; beside it.
const RECIPE: &str = "recipe.txt";
const FOLDER_VARIABLE: &str = "ROCKSDB_LIB_DIR";

/// Where librocksdb-sys is told to look.
pub(crate) struct Prebuilt {
    folder: Option<PathBuf>,
}

impl Prebuilt {
    /// Lets `command` (a cargo) link the archive.
    pub(crate) fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        if let Some(folder) = &self.folder {
            command.env(FOLDER_VARIABLE, folder).env("ROCKSDB_STATIC", "1");
        }
        command
    }
}

/// The archive for this workspace, compiled first where the cache does not have it.
///
/// # Errors
/// Where the sources can't be found, the compiler fails, or the cache can't be written.
pub(crate) fn prebuilt() -> Result<Prebuilt> {
    if let Some(folder) = env::var_os(FOLDER_VARIABLE) {
        eprintln!("RocksDB: {FOLDER_VARIABLE} is set; using {}", Path::new(&folder).display());
        return Ok(Prebuilt { folder: None });
    }
    if !cfg!(target_os = "linux") {
        eprintln!("RocksDB: librocksdb-sys compiles it on this system");
        return Ok(Prebuilt { folder: None });
    }
    let source = Source::find()?;
    let folder = cached(&source, &Recipe::new(&source)?, &cache_folder()?)?;
    Ok(Prebuilt { folder: Some(folder) })
}

/// librocksdb-sys as cargo unpacked it.
struct Source {
    version: String,
    folder: PathBuf,
}

impl Source {
    fn find() -> Result<Self> {
        let mut call = workspace::cargo(&["metadata", "--format-version", "1", "--locked"]);
        let metadata: serde_json::Value = serde_json::from_str(&workspace::output(&mut call)?)
            .context("cargo metadata printed no JSON")?;
        let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
        let of_that_name = packages.iter().filter(|package| package["name"] == PACKAGE);
        let found: Vec<_> = of_that_name.collect();
        let [package] = found.as_slice() else {
            bail!("{} packages are called {PACKAGE}; there must be one", found.len());
        };
        let text = |key: &str| package[key].as_str().with_context(|| format!("no {key}"));
        let manifest = Path::new(text("manifest_path")?);
        let folder = manifest.parent().context("the manifest is in a folder")?.to_owned();
        Ok(Self { version: text("version")?.to_owned(), folder })
    }
}

/// All that makes one archive differ from another.
struct Recipe {
    compiler: String,
    flags: Vec<String>,
    text: String,
}

impl Recipe {
    fn new(source: &Source) -> Result<Self> {
        let compiler = env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
        let asked = |option| {
            let said = workspace::output(Command::new(&compiler).arg(option))?;
            Ok::<_, anyhow::Error>(said.lines().next().unwrap_or_default().to_owned())
        };
        let (version, machine) = (asked("--version")?, asked("-dumpmachine")?);
        let flags: Vec<String> = compile::flags();
        let text = format!(
            "{PACKAGE} {}\n{version}\n{machine}\n{}\n{} files a unit\n",
            source.version,
            flags.join(" "),
            units::FILES_A_UNIT
        );
        Ok(Self { compiler, flags, text })
    }

    /// A short name for the recipe. Another Rust may give it another one, which costs a build.
    fn digest(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// `RAFTER_CACHE`, or `rafter` in the user's cache folder.
fn cache_folder() -> Result<PathBuf> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = named("RAFTER_CACHE") {
        return Ok(std::path::absolute(folder)?);
    }
    let shared = named("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| named("HOME").map(|home| Path::new(&home).join(".cache")))
        .context("neither RAFTER_CACHE, XDG_CACHE_HOME nor HOME is set")?;
    Ok(shared.join("rafter"))
}

/// The archive's folder within `cache`. Two runs at a time make it once: the second waits.
fn cached(source: &Source, recipe: &Recipe, cache: &Path) -> Result<PathBuf> {
    let name = format!("rocksdb-{}-{}", source.version, recipe.digest());
    let folder = cache.join(&name);
    if is_whole(&folder, recipe) {
        return Ok(folder);
    }
    fs::create_dir_all(cache).with_context(|| format!("{} can't be made", cache.display()))?;
    let lock = fs::File::create(cache.join(format!("{name}.lock")))?;
    if lock.try_lock().is_err() {
        eprintln!("RocksDB: another run is compiling it; waiting for that");
        lock.lock()?;
    }
    if is_whole(&folder, recipe) {
        return Ok(folder);
    }
    // Under the lock, whatever is unfinished belongs to a run that was killed.
    let unfinished = cache.join(format!("{name}.unfinished"));
    for stale in [&unfinished, &folder] {
        if stale.exists() {
            fs::remove_dir_all(stale)?;
        }
    }
    fs::create_dir(&unfinished)?;
    let started = Instant::now();
    eprintln!("RocksDB: compiling {} into {} (once)", source.version, cache.display());
    let objects = unfinished.join("objects");
    fs::create_dir(&objects)?;
    compile::archive(source, recipe, &objects, &unfinished.join(ARCHIVE))?;
    fs::remove_dir_all(&objects)?;
    fs::write(unfinished.join(RECIPE), &recipe.text)?;
    fs::rename(&unfinished, &folder)?;
    eprintln!("RocksDB: compiled in {} s", started.elapsed().as_secs());
    Ok(folder)
}

fn is_whole(folder: &Path, recipe: &Recipe) -> bool {
    let made_from = fs::read_to_string(folder.join(RECIPE));
    made_from.is_ok_and(|text| text == recipe.text) && folder.join(ARCHIVE).is_file()
}

#[cfg(test)]
mod tests;

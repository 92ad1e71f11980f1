//! The compiler's calls, a few at a time.

use std::{
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
};

use anyhow::{Context as _, Result, bail};

use super::{
    Recipe, Source,
    units::{self, Unit},
};
use crate::progress::Progress;

/// What one compiler takes at most for a unit, in KiB.
const MEMORY_OF_A_COMPILER: u64 = 1_500_000;

/// As librocksdb-sys' `build.rs` has them for Linux, with the processor's CRC instructions, which
/// every server of the last fifteen years has.
pub(super) fn flags() -> Vec<String> {
    let mut flags: Vec<String> = [
        "-std=c++20",
        "-O2",
        "-fPIC",
        "-w",
        "-include",
        "cstdint",
        "-DNDEBUG=1",
        "-DHAVE_ALIGNED_NEW",
        "-DHAVE_UINT128_EXTENSION",
        "-DOS_LINUX",
        "-DROCKSDB_PLATFORM_POSIX",
        "-DROCKSDB_LIB_IO_POSIX",
        "-DROCKSDB_SCHED_GETCPU_PRESENT",
        "-DROCKSDB_AUXV_GETAUXVAL_PRESENT",
        "-DROCKSDB_FALLOCATE_PRESENT",
        "-DROCKSDB_RANGESYNC_PRESENT",
    ]
    .map(str::to_owned)
    .into();
    if cfg!(target_arch = "x86_64") {
        flags.extend(["-msse4.2", "-mpclmul"].map(str::to_owned));
    } else if cfg!(target_arch = "aarch64") {
        flags.push("-march=armv8-a+crc+crypto".to_owned());
    }
    flags
}

/// Compiles all of `source` into `archive`; what is between goes into `objects`.
pub(super) fn archive(
    source: &Source,
    recipe: &Recipe,
    objects: &Path,
    archive: &Path,
) -> Result<()> {
    let list = source.folder.join("rocksdb_lib_sources.txt");
    let list = fs::read_to_string(&list).with_context(|| format!("no {}", list.display()))?;
    let made = Units::new(source, recipe, objects, units::of_list(&list)).compile()?;
    let mut call = Command::new("ar");
    call.arg("crs").arg(archive).args(made);
    crate::workspace::run(&mut call)
}

/// The units that wait, and the objects that are made.
struct Units<'a> {
    source: &'a Source,
    recipe: &'a Recipe,
    objects: &'a Path,
    progress: Progress,
    shared: Mutex<Shared>,
}

struct Shared {
    waiting: Vec<Unit>,
    made: Vec<PathBuf>,
    failure: Option<anyhow::Error>,
}

impl<'a> Units<'a> {
    fn new(
        source: &'a Source,
        recipe: &'a Recipe,
        objects: &'a Path,
        mut waiting: Vec<Unit>,
    ) -> Self {
        let progress = Progress::new("RocksDB", waiting.len() as u64);
        // They are taken from the end: the largest first, so that no processor ends up alone.
        waiting.sort_by_key(|unit| size(source, unit));
        let shared = Mutex::new(Shared { waiting, made: Vec::new(), failure: None });
        Self { source, recipe, objects, progress, shared }
    }

    fn compile(self) -> Result<Vec<PathBuf>> {
        thread::scope(|scope| {
            for _ in 0..compilers() {
                scope.spawn(|| while self.step() {});
            }
        });
        let Shared { waiting, mut made, failure } =
            self.shared.into_inner().expect("no thread panicked");
        if let Some(failure) = failure {
            return Err(failure);
        }
        assert!(waiting.is_empty(), "threads go home only when nothing waits");
        made.sort();
        Ok(made)
    }

    /// Compiles one unit; whether there may be more. A unit that fails is put back as two, which
    /// the thread that put them back takes, if no other does.
    fn step(&self) -> bool {
        let taken = {
            let mut shared = self.shared.lock().expect("no thread panicked");
            if shared.failure.is_some() { None } else { shared.waiting.pop() }
        };
        let Some(unit) = taken else { return false };
        let result = self.object(&unit);
        let mut shared = self.shared.lock().expect("no thread panicked");
        match (result, unit.halves()) {
            (Ok(object), _) => {
                shared.made.push(object);
                self.progress.advance();
            }
            (Err(_), Some(halves)) => {
                shared.waiting.extend(halves);
                self.progress.grow(1);
            }
            (Err(error), None) => shared.failure = Some(error),
        }
        true
    }

    fn object(&self, unit: &Unit) -> Result<PathBuf> {
        let Source { folder, .. } = self.source;
        let file = self.objects.join(format!("{}.cc", unit.name));
        let object = file.with_extension("o");
        fs::write(&file, unit.text(folder))?;
        let mut call = Command::new(&self.recipe.compiler);
        call.args(&self.recipe.flags);
        for include in ["rocksdb/include", "rocksdb", "rocksdb/third-party/gtest-1.8.1/fused-src"] {
            call.arg("-I").arg(folder.join(include));
        }
        call.arg("-I").arg(folder).arg("-c").arg(&file).arg("-o").arg(&object);
        let output = call.stdin(Stdio::null()).output().context("the compiler can't be started")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let first: Vec<_> = said.lines().take(20).collect();
            bail!("{} does not compile:\n{}", unit.files.join(" "), first.join("\n"));
        }
        Ok(object)
    }
}

fn size(source: &Source, unit: &Unit) -> u64 {
    let size = |file: &String| fs::metadata(source.folder.join(file)).map_or(0, |it| it.len());
    unit.files.iter().map(size).sum()
}

/// How many compilers run at a time: one for each processor, as long as the memory allows.
fn compilers() -> u64 {
    let processors = thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let fitting = memory.map_or(processors, |memory| memory / MEMORY_OF_A_COMPILER);
    processors.min(fitting).max(1)
}

/// `MemAvailable` of `/proc/meminfo`, in KiB; see proc(5).
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::available;

    #[test]
    fn available_memory_is_read() {
        let text = "MemTotal:       16384000 kB\nMemAvailable:    8192000 kB\n";
        assert_eq!(available(text), Some(8_192_000));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }
}

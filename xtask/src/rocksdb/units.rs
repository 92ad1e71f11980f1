//! Which of RocksDB's files are compiled together.

use std::{collections::BTreeMap, path::Path};

/// More files save more reading of headers, but a unit's compiler takes about 1 GB at 12 files,
/// and the last unit to end keeps the other processors waiting.
pub(super) const FILES_A_UNIT: usize = 12;

/// Files that are compiled as one. Their names are relative to librocksdb-sys' folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) files: Vec<String>,
}

/// Groups the files that `list` (`rocksdb_lib_sources.txt`) names. Files of one folder are
/// neighbours: they share most headers, and rarely define one name twice.
pub(super) fn of_list(list: &str) -> Vec<Unit> {
    let mut folders: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    // librocksdb-sys brings its own build_version.cc, as RocksDB's is written by its makefile.
    let files = list.lines().map(str::trim).filter(|file| !file.is_empty());
    for file in files.filter(|file| *file != "util/build_version.cc") {
        let folder = Path::new(file).parent().and_then(Path::to_str).unwrap_or_default();
        folders.entry(folder).or_default().push(format!("rocksdb/{file}"));
    }
    let mut units =
        vec![Unit { name: "build_version".to_owned(), files: vec!["build_version.cc".to_owned()] }];
    for (folder, files) in folders {
        for (at, files) in files.chunks(FILES_A_UNIT).enumerate() {
            let name = format!("{}_{at}", folder.replace('/', "_"));
            units.push(Unit { name, files: files.to_vec() });
        }
    }
    units
}

impl Unit {
    /// Two halves, for a unit whose files do not go together; nothing for a single file.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        let middle = self.files.len() / 2;
        let (first, second) = self.files.split_at(middle);
        let half = |suffix: &str, files: &[String]| Self {
            name: format!("{}{suffix}", self.name),
            files: files.to_vec(),
        };
        (middle > 0).then(|| [half("a", first), half("b", second)])
    }

    /// The text of the one file that stands for all of them.
    pub(super) fn text(&self, source: &Path) -> String {
        let line = |file: &String| format!("#include \"{}\"\n", source.join(file).display());
        self.files.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_in_one_unit_with_its_folder() {
        let names: Vec<String> = (0..30).map(|at| format!("db/file{at}.cc")).collect();
        let list = format!(" cache/a.cc\n{}\nutil/build_version.cc\n\n", names.join("\n"));
        let units = of_list(&list);
        let sizes: Vec<_> = units.iter().map(|unit| (&*unit.name, unit.files.len())).collect();
        let expected =
            [("build_version", 1), ("cache_0", 1), ("db_0", 12), ("db_1", 12), ("db_2", 6)];
        assert_eq!(sizes, expected);
        let mut files: Vec<_> = units.iter().flat_map(|unit| &unit.files).collect();
        assert!(files.contains(&&"build_version.cc".to_owned()));
        files.sort();
        files.dedup();
        assert_eq!(files.len(), 32);
    }

    #[test]
    fn halves_keep_every_file() {
        let unit = |files: &[&str]| Unit {
            name: "u".to_owned(),
            files: files.iter().map(|file| (*file).to_owned()).collect(),
        };
        let [first, second] = unit(&["a", "b", "c"]).halves().expect("it can be halved");
        assert_eq!((first.files, second.files), (unit(&["a"]).files, unit(&["b", "c"]).files));
        assert_eq!((first.name, second.name), ("ua".to_owned(), "ub".to_owned()));
        assert_eq!(unit(&["a"]).halves(), None);
    }
}

//! A partition or weights otherwise than the file has them: for whoever asks what would be.

use super::{
    Config, ConfigError,
    keys::{CLUSTER, PARTITION},
    partition_lines, priority,
    record::Record,
    report::{Place, Report},
    source,
};

impl Config {
    /// The same, in which the keys of a partition are as `changes` says: `Key=value ...`, as on a
    /// `PartitionName` line. What it does not name stays.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn with_partition(&self, name: &str, changes: &str) -> Result<Self, ConfigError> {
        let mut report = Report::default();
        let place = Place { file: format!("partition {name}").into(), line: 0 };
        let mut config = self.clone();
        let mut record = Record::default();
        match source::pairs(changes, &place) {
            Ok(pairs) => {
                for pair in pairs {
                    record.take(pair, PARTITION, &mut report);
                }
            }
            Err(text) => report.problem(&place, text),
        }
        match config.partitions.iter_mut().find(|partition| partition.name == name) {
            Some(partition) => {
                partition_lines::alter(partition, &record, self, &place, &mut report);
            }
            None => report.problem(&place, "there is no such partition"),
        }
        let Report { problems, .. } = report;
        if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
    }

    /// The same, in which keys that priorities depend on are as `changes` says: `Key=value ...`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn with_priorities(&self, changes: &str) -> Result<Self, ConfigError> {
        let mut report = Report::default();
        let place = Place { file: "priorities".into(), line: 0 };
        let mut record = Record::default();
        match source::pairs(changes, &place) {
            Ok(pairs) => {
                for pair in pairs {
                    if priority::concerns(&pair.key) {
                        record.take(pair, CLUSTER, &mut report);
                    } else {
                        let text = format!("no priority depends on {}", pair.key);
                        report.problem(&place, text);
                    }
                }
            }
            Err(text) => report.problem(&place, text),
        }
        priority::check(&record, &mut report);
        let Report { problems, .. } = report;
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        let mut config = self.clone();
        config.settings.extend(record.into_texts());
        Ok(config)
    }
}

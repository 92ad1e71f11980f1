//! Generic resources, as options ask for them.

use common::{
    gres::{GresError, Wanted},
    size,
};

use super::{Asked, Level};
use crate::sbatch::complaint::Complaint;

pub(super) fn list(text: &str) -> Result<Vec<Wanted>, Complaint> {
    Wanted::parse_list(text).map_err(wrong)
}

pub(super) fn gpus(text: &str) -> Result<Vec<Wanted>, Complaint> {
    Wanted::parse_gpus(text).map_err(wrong)
}

fn wrong(error: GresError) -> Complaint {
    Complaint::error(error.to_string())
}

pub(super) fn one_memory() -> Complaint {
    Complaint::error("--mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.")
}

impl Asked {
    /// `--mem-per-gpu`, which goes before another amount of memory that was asked for earlier.
    pub(super) fn ask_gpu_memory(
        &mut self,
        level: Level,
        long: &str,
        text: &str,
    ) -> Result<(), Complaint> {
        let mib = size::parse_mib(text).map_err(|_| Complaint::specification(long))?;
        if self.memory.take_if(|memory| memory.level < level).is_none() && self.memory.is_some() {
            return Err(one_memory());
        }
        (self.gres.memory_per_gpu, self.gpu_memory_at) = (Some(mib), Some(level));
        Ok(())
    }

    /// Another amount of memory is asked for.
    pub(super) fn forget_gpu_memory(&mut self, level: Level) -> Result<(), Complaint> {
        match self.gpu_memory_at {
            Some(at) if at == level => Err(one_memory()),
            Some(_) | None => {
                (self.gres.memory_per_gpu, self.gpu_memory_at) = (None, None);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use common::time::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::sbatch::asked::Setting;

    fn read(script: &str, line: &str) -> Result<Asked, String> {
        let zone = TimeZone::UTC;
        let setting = Setting { now: Timestamp(0), zone: &zone, root: false };
        let mut asked = Asked::default();
        for (level, words) in [(Level::Script, script), (Level::CommandLine, line)] {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            let read = asked.read(level, &words, setting, "sbatch");
            read.map_err(|complaint| format!("{complaint:?}"))?;
        }
        Ok(asked)
    }

    #[test]
    fn the_command_line_goes_before_the_script() {
        let asked = read("--gres=gpu:2,tmp:1 -G a100:4 --mem=100", "--gres=gpu:1 --mem-per-gpu=2G");
        let asked = asked.expect("it makes sense");
        let texts: Vec<String> = asked.gres.all().map(|wanted| wanted.text(':')).collect();
        assert_eq!(texts, ["gpu:1", "gpu:a100:4"]);
        assert_eq!((asked.gres.memory_per_gpu, asked.memory), (Some(2_048), None));
        let back = read("--mem-per-gpu=5", "--mem-per-cpu=7").expect("it makes sense");
        assert_eq!(back.gres.memory_per_gpu, None);
        assert!(back.memory.is_some());
    }

    #[test]
    fn nonsense_is_refused_in_slurms_words() {
        let said = |line: &str| read("", line).expect_err("it makes no sense");
        let invalid = "Invalid generic resource (gres) specification";
        for line in ["--gres=gpu:", "--gpus=1:2:3", "--gpus-per-node=a:b", "--gres=gpu:1,gpu:2"] {
            assert!(said(line).contains(invalid), "{line}");
        }
        assert!(said("--gres=gpu:1,gpu:a100:1").contains("with and without type"));
        assert!(said("--cpus-per-gpu=0").contains("Invalid numeric value"));
        assert!(said("--mem-per-gpu=x").contains("mem-per-gpu"));
        assert!(said("--mem=1 --mem-per-gpu=1").contains("mutually exclusive"));
        assert!(said("--mem-per-gpu=1 --mem=1").contains("mutually exclusive"));
        assert!(said("--gpu-bind=none").contains("not supported"));
    }
}

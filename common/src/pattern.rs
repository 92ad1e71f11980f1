//! Patterns of file names: `%j` and its like in `--output`, `--error` and `--input`.
//!
//! The symbols are those of sbatch(1), "filename pattern".

/// What the symbols stand for.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The job's id.
    pub job: u32,
    /// The id and index of its array, where it is a task of one.
    pub array: Option<(u32, u32)>,
    /// What `%s` shows: `batch`, or a step's number.
    pub step: &'a str,
    /// None: not known yet; `%N` stays as it is.
    pub node: Option<&'a str>,
    /// The node's place among the job's, from zero.
    pub node_index: u32,
    /// The task's rank.
    pub task: u32,
    pub user: &'a str,
    pub job_name: &'a str,
}

/// The step that a batch script is.
pub const BATCH: &str = "batch";

/// What `%a` shows of a job that is no task of an array: Slurm's `NO_VAL`.
const NO_INDEX: u32 = 0xffff_fffe;

/// The most digits that a number is filled up to.
const MAX_WIDTH: usize = 10;

/// Fills in a pattern. A number between `%` and a symbol that stands for a number is the least
/// count of its digits: `%4j` is `0007`. A backslash anywhere switches the symbols off, and goes.
/// What is no symbol stays as it is.
#[must_use]
pub fn expand(pattern: &str, names: &Names<'_>) -> String {
    if pattern.contains('\\') {
        return without_backslashes(pattern);
    }
    let mut name = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('%') {
        name.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (width, after_width) = after.split_at(digits);
        let mut symbols = after_width.chars();
        let text = symbols.next().and_then(|symbol| names.symbol(symbol, width));
        match text {
            Some(text) => {
                name.push_str(&text);
                rest = symbols.as_str();
            }
            None => {
                name.push('%');
                rest = after;
            }
        }
    }
    name.push_str(rest);
    name
}

/// Each backslash goes, and what it stands before stays, be it a backslash.
fn without_backslashes(pattern: &str) -> String {
    let mut escaped = false;
    let kept = pattern.chars().filter(|character| {
        escaped = *character == '\\' && !escaped;
        !escaped
    });
    kept.collect()
}

impl Names<'_> {
    /// What the symbol stands for; none where it is no symbol, or not known.
    fn symbol(&self, symbol: char, width: &str) -> Option<String> {
        let width = width.parse::<usize>().unwrap_or(MAX_WIDTH * usize::from(!width.is_empty()));
        let width = width.min(MAX_WIDTH);
        let padded = |number: u32| Some(format!("{number:0width$}"));
        let (array, index) = self.array.unwrap_or((self.job, NO_INDEX));
        match symbol {
            '%' => Some("%".to_owned()),
            'A' => padded(array),
            'a' => padded(index),
            'b' => padded(index % 10),
            'j' => padded(self.job),
            'J' if self.step == BATCH => padded(self.job),
            'J' => padded(self.job).map(|job| format!("{job}.{}", self.step)),
            'N' => self.node.map(short_name),
            'n' => padded(self.node_index),
            's' => Some(
                self.step
                    .parse()
                    .map_or_else(|_| self.step.to_owned(), |step: u32| format!("{step:0width$}")),
            ),
            't' => padded(self.task),
            'u' => Some(self.user.to_owned()),
            'x' => Some(self.job_name.to_owned()),
            _ => None,
        }
    }
}

/// A host's name without its domain.
fn short_name(name: &str) -> String {
    name.split('.').next().unwrap_or(name).to_owned()
}

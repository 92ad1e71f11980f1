//! A word such as `TimeLimit=30`, `TimeLimit+=5` or `Nice`.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scontrol) struct Pair<'a> {
    /// As it was written.
    pub(in crate::scontrol) word: &'a str,
    key: &'a str,
    pub(in crate::scontrol) change: Change,
    /// Without quotes around it. None: there is no `=`.
    pub(in crate::scontrol) value: Option<&'a str>,
}

/// What an amount does to the one that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scontrol) enum Change {
    Set,
    Add,
    Subtract,
}

impl<'a> Pair<'a> {
    pub(in crate::scontrol) fn of(word: &'a str) -> Self {
        let Some((key, value)) = word.split_once('=') else {
            return Self { word, key: word, change: Change::Set, value: None };
        };
        let (key, change) = if let Some(key) = key.strip_suffix('+') {
            (key, Change::Add)
        } else if let Some(key) = key.strip_suffix('-') {
            (key, Change::Subtract)
        } else {
            (key, Change::Set)
        };
        let quoted = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
        Self { word, key, change, value: Some(value) }
    }

    /// Whether the key is a beginning of `name` of at least so many letters, in any case.
    pub(in crate::scontrol) fn is(&self, name: &str, letters: usize) -> bool {
        let head = name.get(..self.key.len());
        self.key.len() >= letters && head.is_some_and(|head| head.eq_ignore_ascii_case(self.key))
    }

    /// The value, or nothing.
    pub(in crate::scontrol) fn text(&self) -> &'a str {
        self.value.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_keys_and_values() {
        let pair = Pair::of("TimeLimit+=5");
        assert!(pair.is("TimeLimit", 5));
        assert_eq!((pair.change, pair.value), (Change::Add, Some("5")));
        assert_eq!(Pair::of("timelimit-=5").change, Change::Subtract);
        assert_eq!(Pair::of("Nice").value, None);
        assert_eq!(Pair::of("Reason='bad disk'").value, Some("bad disk"));
        assert_eq!(Pair::of("Reason=\"a=b\"").value, Some("a=b"));
        assert!(Pair::of("job=5").is("JobId", 1));
        assert!(!Pair::of("j=5").is("JobName", 4));
        assert!(!Pair::of("jobids=5").is("JobId", 1));
    }
}

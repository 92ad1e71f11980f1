//! A field's place on a line: how wide it is, where its text stands, and what follows it.

/// Slurm's formats, `%[.]WIDTH` and `:[.]WIDTH`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Column {
    /// Characters; 0 is as many as the text has.
    pub(crate) width: usize,
    /// Text that is shorter stands at the right.
    pub(crate) right: bool,
    /// What follows the field, up to the next one.
    pub(crate) suffix: String,
}

/// No column is wider than this: a format is given by users, and a line is kept in memory.
pub(crate) const MAX_WIDTH: usize = 65_536;

impl Column {
    /// Appends what `write` writes, cut or filled up to the width.
    pub(crate) fn put(&self, out: &mut String, write: impl FnOnce(&mut String)) {
        let start = out.len();
        write(out);
        if self.width > 0 {
            self.fit(out, start);
        }
        out.push_str(&self.suffix);
    }

    fn fit(&self, out: &mut String, start: usize) {
        let text = &out[start..];
        let length = if text.is_ascii() { text.len() } else { text.chars().count() };
        if length > self.width {
            let cut = text.char_indices().nth(self.width).map_or(text.len(), |(at, _)| at);
            out.truncate(start + cut);
        } else if self.right {
            fill(out, start, self.width - length);
        } else {
            let end = out.len();
            fill(out, end, self.width - length);
        }
    }
}

const BLANKS: &str = "                                                                ";

/// Puts blanks into the text, in front of what stands there. No String is made for them.
fn fill(out: &mut String, at: usize, mut count: usize) {
    while count > 0 {
        let some = count.min(BLANKS.len());
        out.insert_str(at, &BLANKS[..some]);
        count -= some;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(width: usize, right: bool, text: &str) -> String {
        let mut out = "<".to_owned();
        let column = Column { width, right, suffix: ">".to_owned() };
        column.put(&mut out, |out| out.push_str(text));
        out
    }

    #[test]
    fn text_is_cut_and_filled() {
        assert_eq!(put(0, false, "abc"), "<abc>");
        assert_eq!(put(2, false, "abc"), "<ab>");
        assert_eq!(put(2, true, "abc"), "<ab>");
        assert_eq!(put(5, false, "abc"), "<abc  >");
        assert_eq!(put(5, true, "abc"), "<  abc>");
        assert_eq!(put(3, true, ""), "<   >");
        assert_eq!(put(3, true, "äö"), "< äö>");
        assert_eq!(put(1, false, "äö"), "<ä>");
        assert_eq!(put(100, true, "x").len(), 102);
    }
}

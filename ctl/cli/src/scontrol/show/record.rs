//! A record as `scontrol` prints it: `Key=value` pairs, on several lines or on one.

use std::fmt::{Display, Write as _};

/// Writes the lines of a record.
pub(super) struct Record<'a> {
    out: &'a mut String,
    one_line: bool,
    /// Nothing has been written of the line yet.
    fresh: bool,
}

impl<'a> Record<'a> {
    pub(super) fn new(out: &'a mut String, one_line: bool) -> Self {
        Self { out, one_line, fresh: true }
    }

    /// Writes a pair.
    pub(super) fn pair(&mut self, key: &str, value: impl Display) -> &mut Self {
        self.text(format_args!("{key}={value}"))
    }

    /// Writes something that stands by itself.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        if !std::mem::take(&mut self.fresh) {
            self.out.push(' ');
        }
        write!(self.out, "{text}").expect("a String takes it");
        self
    }

    /// Begins the next line.
    pub(super) fn line(&mut self) -> &mut Self {
        self.out.push_str(if self.one_line { " " } else { "\n   " });
        self.fresh = true;
        self
    }

    /// Ends the record.
    pub(super) fn end(self) {
        self.out.push_str(if self.one_line { "\n" } else { "\n\n" });
    }
}

/// `(null)` where there is nothing.
pub(super) fn or_null(text: Option<&str>) -> &str {
    text.filter(|text| !text.is_empty()).unwrap_or("(null)")
}

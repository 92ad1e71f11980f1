//! Pages of text for people: lines and tables, in colour on a terminal.

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};
use common::time::Span;

pub(super) const HEADING: Style = Style::new().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();

/// A table without lines, in which these columns are numbers.
pub(super) fn plain<const N: usize>(header: [&str; N], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for at in numbers {
        let column = table.column_mut(*at).expect("one of the header's columns");
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A page as it grows.
pub(super) struct Page {
    text: String,
    in_colour: bool,
}

impl Page {
    pub(super) fn new(in_colour: bool) -> Self {
        Self { text: String::new(), in_colour }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn line(&mut self, style: Style, line: &str) {
        let line = line.trim_end_matches(' ');
        if self.in_colour {
            self.text += &format!("{style}{line}{style:#}\n");
        } else {
            self.text += &format!("{line}\n");
        }
    }

    /// Each row in a style of its own. Rows are one line each.
    pub(super) fn table(&mut self, table: &Table, styles: &[Style]) {
        for (line, style) in table.lines().zip(styles) {
            self.line(*style, &line);
        }
    }

    /// The same, of a table whose header is empty.
    pub(super) fn bare_table(&mut self, table: &Table, styles: &[Style]) {
        for (line, style) in table.lines().skip(1).zip(styles) {
            self.line(*style, &line);
        }
    }
}

/// Such as `2 h 5 min`, in the two largest units.
pub(super) fn length(span: Span) -> String {
    let seconds = span.0.div_ceil(1_000);
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, name) in units {
        let count = left / unit;
        left %= unit;
        if count > 0 {
            parts.push(format!("{count} {name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    parts.join(" ")
}

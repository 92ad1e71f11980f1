//! A line's words: `Kind - 'name':Key=value:Key='a value'`.

/// A line, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    pub(super) options: Vec<(&'a str, &'a str)>,
}

pub(super) fn scan(text: &str) -> Result<Line<'_>, String> {
    let wanted = || "a line has the form `Account - 'name':Key=value'".to_owned();
    let (kind, rest) = text.split_once('-').ok_or_else(wanted)?;
    let (name, mut rest) = value(rest.trim_start())?;
    if name.is_empty() {
        return Err("a name is missing".to_owned());
    }
    let mut options = Vec::new();
    while let Some(option) = rest.strip_prefix(':') {
        if option.trim().is_empty() {
            break;
        }
        let (key, after) = option
            .split_once('=')
            .filter(|(key, _)| !key.contains([':', '\'', '"']))
            .ok_or_else(|| format!("an option has the form Key=value, not {}", shown(option)))?;
        let (read, left) = value(after)?;
        options.push((key.trim(), read));
        rest = left;
    }
    Ok(Line { kind: kind.trim(), name, options })
}

/// As much of what is wrong as fits into a message.
fn shown(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("`{}...'", &text[..end]),
        None => format!("`{text}'"),
    }
}

/// A text, perhaps in quotes, up to the next `:` or the end; and what is left.
fn value(text: &str) -> Result<(&str, &str), String> {
    let quote = text.chars().next().filter(|first| ['\'', '"'].contains(first));
    let Some(quote) = quote else {
        let (value, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
        let value = value.trim();
        return if value.contains(['\'', '"']) {
            Err(format!("a quote in the middle of {}", shown(value)))
        } else {
            Ok((value, rest))
        };
    };
    let inner = &text[1..];
    let end = inner.find(quote).ok_or_else(|| format!("{} is not closed", shown(text)))?;
    let (value, rest) = (&inner[..end], inner[end + 1..].trim_start());
    if rest.is_empty() || rest.starts_with(':') {
        Ok((value, rest))
    } else {
        Err(format!("behind a value stands {}, and not `:'", shown(rest)))
    }
}

//! In which order `sinfo` shows rows: `--sort=[-][#]LETTER,...`.

use std::cmp::Ordering;

use super::{
    field::{Field, OfNode, OfRow, Style},
    row::Row,
    table,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    field: Field,
    descending: bool,
    /// `#`: as the configuration has it.
    configured: bool,
}

/// Slurm's defaults.
pub(super) const BY_PARTITION: &str = "#P,-t";
pub(super) const BY_NODE: &str = "N";

/// Reads the letters; a comma is not needed between them.
///
/// # Errors
/// A letter that means no order.
pub(super) fn parse(text: &str) -> Result<Vec<Key>, char> {
    let mut keys = Vec::new();
    let (mut descending, mut configured) = (false, false);
    for letter in text.chars() {
        match letter {
            ',' | '+' => (descending, configured) = (false, false),
            '-' => descending = true,
            '#' => configured = true,
            letter => {
                let (field, _) = table::letter(letter).ok_or(letter)?;
                keys.push(Key { field, descending, configured });
                (descending, configured) = (false, false);
            }
        }
    }
    Ok(keys)
}

/// Sorts by the keys; rows that are equal in all stay as they are.
pub(super) fn sort(rows: &mut [Row<'_>], keys: &[Key], style: &Style<'_>) {
    rows.sort_by(|one, other| {
        let compared = keys.iter().map(|key| {
            let order = compare(*key, one, other, style);
            if key.descending { order.reverse() } else { order }
        });
        compared.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
}

fn compare(key: Key, one: &Row<'_>, other: &Row<'_>, style: &Style<'_>) -> Ordering {
    let field = key.field;
    if field.names_partition() && key.configured {
        return one.place.cmp(&other.place);
    }
    match field {
        Field::Node(OfNode::StateCompact | OfNode::StateLong) => rank(one).cmp(&rank(other)),
        Field::Row(OfRow::NodeList) | Field::Node(OfNode::HostName) => name(one).cmp(&name(other)),
        Field::Partition(_)
        | Field::Node(_)
        | Field::Measure(_)
        | Field::Row(_)
        | Field::Fixed(_) => match (field.number(one), field.number(other)) {
            (Some(one), Some(other)) => one.cmp(&other),
            (None, _) | (_, None) => text(field, one, style).cmp(&text(field, other, style)),
        },
    }
}

type Rank = Option<(bool, bool, bool, crate::view::node::Base)>;

fn rank(row: &Row<'_>) -> Rank {
    row.nodes.first().map(|node| node.state().rank())
}

/// Names in the order of their numbers.
fn name<'a>(row: &Row<'a>) -> (&'a str, u64, &'a str) {
    let name = row.nodes.first().map_or("", |node| node.name());
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (prefix, number) = name.split_at(name.len() - digits);
    (prefix, number.parse().unwrap_or(u64::MAX), number)
}

fn text(field: Field, row: &Row<'_>, style: &Style<'_>) -> String {
    let mut text = String::new();
    field.put(&mut text, row, style);
    text
}

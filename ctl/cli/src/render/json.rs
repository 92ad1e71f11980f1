//! JSON as Slurm's commands write it: two blanks a level, an empty list on two lines, `/` escaped,
//! the data first and what it came from last.

use std::io::{self, Write};

use nix::unistd::{Group, User, getegid, geteuid};
use serde::Serialize;
use serde_json::{
    Value, json,
    ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer},
};

use crate::options::SLURM_VERSION;

/// The version of Slurm's data that these are: `meta.plugin.data_parser`.
const DATA_PARSER: &str = "v0.0.45";

/// A number that may be unset.
pub(crate) fn number(value: u64) -> Value {
    json!({ "set": true, "infinite": false, "number": value })
}

pub(crate) fn unset() -> Value {
    json!({ "set": false, "infinite": false, "number": 0 })
}

pub(crate) fn infinite() -> Value {
    json!({ "set": false, "infinite": true, "number": 0 })
}

/// Unset where there is none.
pub(crate) fn maybe(value: Option<u64>) -> Value {
    value.map_or_else(unset, number)
}

/// Infinite where there is none.
pub(crate) fn or_infinite(value: Option<u64>) -> Value {
    value.map_or_else(infinite, number)
}

/// Whether the value of `--json` names a version that there is.
pub(crate) fn is_known(version: &str) -> bool {
    version.is_empty() || version == DATA_PARSER
}

/// What the answer came from.
pub(crate) struct Meta<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) command: Vec<&'a str>,
    pub(crate) user: String,
    pub(crate) group: String,
}

impl<'a> Meta<'a> {
    pub(crate) fn of_caller(cluster: &'a str, name: &'a str, arguments: &'a [String]) -> Self {
        let mut command = vec![name];
        command.extend(arguments.iter().map(String::as_str));
        let user = User::from_uid(geteuid()).ok().flatten();
        let group = Group::from_gid(getegid()).ok().flatten();
        Self {
            cluster,
            command,
            user: user.map_or_else(|| geteuid().to_string(), |user| user.name),
            group: group.map_or_else(|| getegid().to_string(), |group| group.name),
        }
    }

    fn value(&self) -> Value {
        let release = SLURM_VERSION.rsplit(' ').next().unwrap_or(SLURM_VERSION);
        let mut version = release.splitn(3, '.');
        let mut next = || version.next().unwrap_or_default();
        let (major, minor, micro) = (next(), next(), next());
        json!({
            "plugin": {
                "type": "",
                "name": "",
                "data_parser": format!("data_parser/{DATA_PARSER}"),
                "accounting_storage": "",
            },
            "client": { "source": "", "user": self.user, "group": self.group },
            "command": self.command,
            "slurm": {
                "version": { "major": major, "micro": micro, "minor": minor },
                "release": release,
                "cluster": self.cluster,
            },
        })
    }
}

/// A whole answer: its data, in this order, and then what it came from.
pub(crate) fn answer(data: Vec<(&str, Value)>, meta: &Meta<'_>) -> Value {
    let mut answer = serde_json::Map::new();
    for (key, value) in data {
        answer.insert(key.to_owned(), value);
    }
    answer.insert("meta".to_owned(), meta.value());
    answer.insert("errors".to_owned(), json!([]));
    answer.insert("warnings".to_owned(), json!([]));
    Value::Object(answer)
}

/// The text, with a line's end. `compact` is what `SLURM_JSON=compact` asks for.
pub(crate) fn text(value: &Value, compact: bool) -> String {
    let mut out = Vec::new();
    let written = if compact {
        value.serialize(&mut Serializer::with_formatter(&mut out, Slashes(CompactFormatter)))
    } else {
        value.serialize(&mut Serializer::with_formatter(&mut out, Slashes(Pretty::default())))
    };
    written.expect("a tree of values has nothing that JSON has not");
    out.push(b'\n');
    String::from_utf8(out).expect("serde_json writes UTF-8")
}

/// serde_json's own, but for empty lists and objects.
#[derive(Default)]
struct Pretty {
    inner: PrettyFormatter<'static>,
    depth: usize,
    empty: bool,
}

impl Pretty {
    fn begin(&mut self) {
        self.depth += 1;
        self.empty = true;
    }

    /// The line's end and the blanks that serde_json leaves out where nothing was inside.
    fn end(&mut self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        self.depth -= 1;
        if std::mem::take(&mut self.empty) {
            out.write_all(b"\n")?;
            for _ in 0..self.depth {
                out.write_all(b"  ")?;
            }
        }
        Ok(())
    }
}

/// The functions of a formatter that only pass on.
macro_rules! pass {
    ($($function:ident($($argument:ident: $type:ty),*)),* $(,)?) => {
        $(
            fn $function<W: ?Sized + Write>(
                &mut self,
                out: &mut W,
                $($argument: $type),*
            ) -> io::Result<()> {
                self.0.$function(out, $($argument),*)
            }
        )*
    };
}

impl Formatter for Pretty {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin();
        self.inner.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out)?;
        self.inner.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.empty = false;
        self.inner.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin();
        self.inner.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out)?;
        self.inner.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.empty = false;
        self.inner.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_object_value(out)
    }
}

/// Another formatter, with `/` escaped.
struct Slashes<F>(F);

impl<F: Formatter> Formatter for Slashes<F> {
    pass! {
        begin_array(), end_array(), begin_array_value(first: bool), end_array_value(),
        begin_object(), end_object(), begin_object_key(first: bool), end_object_key(),
        begin_object_value(), end_object_value(),
    }

    fn write_string_fragment<W>(&mut self, out: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        for (index, part) in fragment.split('/').enumerate() {
            if index > 0 {
                out.write_all(br"\/")?;
            }
            out.write_all(part.as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_like_slurms() {
        let value = json!({ "a": [], "b": { "c": "x/y\n", "d": {} }, "e": [[1], 64.0, null] });
        let expected = r#"{
  "a": [
  ],
  "b": {
    "c": "x\/y\n",
    "d": {
    }
  },
  "e": [
    [
      1
    ],
    64.0,
    null
  ]
}
"#;
        assert_eq!(text(&value, false), expected);
        let compact = r#"{"a":[],"b":{"c":"x\/y\n","d":{}},"e":[[1],64.0,null]}"#;
        assert_eq!(text(&value, true), format!("{compact}\n"));
    }
}

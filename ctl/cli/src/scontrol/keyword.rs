//! The commands of `scontrol`, and by which of their first letters they are known.

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    All,
    Completing,
    Create,
    Delete,
    Details,
    ErrNumStr,
    Exit,
    GetAddrs,
    Help,
    Hide,
    Hold,
    OneLiner,
    Ping,
    Quiet,
    Reconfigure,
    Release,
    Requeue,
    RequeueHold,
    Show,
    TakeOver,
    Update,
    UserHold,
    Verbose,
    Version,
    WaitJob,
    Write,
    /// One that real scontrol has, and Rafter has not.
    Unsupported(&'static str),
}

/// How many words may follow.
#[derive(Clone, Copy, Debug)]
struct Row {
    name: &'static str,
    /// The least letters that will do.
    letters: usize,
    keyword: Keyword,
    least: usize,
    most: usize,
}

const ANY: usize = usize::MAX;

const fn row(
    name: &'static str,
    letters: usize,
    keyword: Keyword,
    least: usize,
    most: usize,
) -> Row {
    Row { name, letters, keyword, least, most }
}

const fn unsupported(name: &'static str, letters: usize) -> Row {
    row(name, letters, Keyword::Unsupported(name), 0, ANY)
}

/// The order decides which of two a beginning of both means.
const ROWS: &[Row] = &[
    unsupported("abort", 5),
    row("all", 2, Keyword::All, 0, 0),
    unsupported("cancel_reboot", 3),
    unsupported("cluster", 2),
    row("completing", 2, Keyword::Completing, 0, 0),
    row("create", 2, Keyword::Create, 0, ANY),
    row("delete", 3, Keyword::Delete, 0, 2),
    row("details", 1, Keyword::Details, 0, 0),
    row("errnumstr", 2, Keyword::ErrNumStr, 1, 1),
    row("exit", 2, Keyword::Exit, 0, ANY),
    unsupported("fsdampeningfactor", 2),
    row("getaddrs", 4, Keyword::GetAddrs, 1, 1),
    unsupported("getent", 4),
    row("help", 2, Keyword::Help, 0, ANY),
    row("hide", 2, Keyword::Hide, 0, 0),
    row("hold", 3, Keyword::Hold, 1, ANY),
    row("holdu", 5, Keyword::UserHold, 1, ANY),
    unsupported("listjobs", 5),
    unsupported("listpids", 5),
    unsupported("liststeps", 5),
    unsupported("notify", 1),
    row("oneliner", 1, Keyword::OneLiner, 0, 0),
    unsupported("pidinfo", 3),
    row("ping", 3, Keyword::Ping, 0, 0),
    unsupported("power", 3),
    row("quiet", 4, Keyword::Quiet, 0, 0),
    row("quit", 4, Keyword::Exit, 0, ANY),
    unsupported("reboot", 3),
    row("reconfigure", 3, Keyword::Reconfigure, 0, 0),
    row("release", 3, Keyword::Release, 1, ANY),
    row("requeue", 3, Keyword::Requeue, 1, ANY),
    row("requeuehold", 8, Keyword::RequeueHold, 1, ANY),
    unsupported("resume", 3),
    unsupported("schedloglevel", 3),
    unsupported("setdebug", 2),
    unsupported("setdebugflags", 9),
    row("show", 1, Keyword::Show, 1, 2),
    unsupported("shutdown", 8),
    unsupported("suspend", 2),
    row("takeover", 8, Keyword::TakeOver, 0, ANY),
    unsupported("token", 2),
    unsupported("top", 3),
    row("uhold", 2, Keyword::UserHold, 1, ANY),
    row("update", 1, Keyword::Update, 0, ANY),
    row("verbose", 4, Keyword::Verbose, 0, 0),
    row("version", 4, Keyword::Version, 0, 0),
    row("wait_job", 2, Keyword::WaitJob, 1, 1),
    row("write", 2, Keyword::Write, 1, 3),
];

impl Keyword {
    /// The command that the word begins, in any case.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let begins = |row: &&Row| {
            let head = row.name.get(..word.len());
            word.len() >= row.letters && head.is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        ROWS.iter().find(begins).map(|row| row.keyword)
    }

    /// Whether so many words may follow.
    pub(super) fn check(self, words: usize) -> Result<(), String> {
        let row = ROWS.iter().find(|row| row.keyword == self).expect("each keyword has a row");
        let name = row.name;
        match (self, words) {
            (Self::ErrNumStr, words) if words != 1 => {
                Err("one arguments required for keyword:errnumstr\n".to_owned())
            }
            (Self::Version, 1..) => Err("too many arguments for version keyword\n".to_owned()),
            (_, words) if words < row.least => {
                Err(format!("too few arguments for keyword:{name}\n"))
            }
            (_, words) if words > row.most => {
                Err(format!("too many arguments for keyword:{name}\n"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As tried with the real command.
    #[test]
    fn keywords_may_be_abbreviated() {
        let cases = [
            ("show", Some(Keyword::Show)),
            ("S", Some(Keyword::Show)),
            ("req", Some(Keyword::Requeue)),
            ("requeueh", Some(Keyword::RequeueHold)),
            ("rel", Some(Keyword::Release)),
            ("upd", Some(Keyword::Update)),
            ("HOLD", Some(Keyword::Hold)),
            ("holdu", Some(Keyword::UserHold)),
            ("suspend", Some(Keyword::Unsupported("suspend"))),
            ("bogus", None),
            ("showing", None),
            ("", None),
            ("é", None),
        ];
        for (word, expected) in cases {
            assert_eq!(Keyword::parse(word), expected, "{word}");
        }
    }
}

//! Reading the captures.

/// One command and what came of it.
pub(crate) struct Capture {
    pub(crate) command: String,
    pub(crate) exit: i32,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
    /// What was asked afterwards about the job that the command made.
    pub(crate) note: Option<String>,
}

impl Capture {
    /// The text between two others, of the command.
    pub(crate) fn argument(&self, before: &str, after: &str) -> &str {
        let (_, rest) = self.command.split_once(before).expect("the command has the option");
        let (argument, _) = rest.split_once(after).expect("the command goes on behind the option");
        argument.trim_matches('\'')
    }

    /// The word that follows a text in the note.
    pub(crate) fn noted(&self, before: &str) -> &str {
        let note = self.note.as_deref().expect("the command was accepted and noted");
        let (_, rest) = note.split_once(before).expect("the note has the word");
        rest.split_whitespace().next().expect("the word is not empty").trim_end_matches(';')
    }
}

/// The captures in a file's text. There is at least one.
pub(crate) fn parse(text: &str) -> Vec<Capture> {
    let mut captures: Vec<Capture> = vec![];
    let mut section = "";
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# ")) {
            section = "";
            captures.push(Capture {
                command: command.to_owned(),
                exit: 0,
                stdout: vec![],
                stderr: vec![],
                note: None,
            });
            continue;
        }
        let capture = captures.last_mut().expect("a file begins with a command");
        match line {
            _ if line.starts_with("=====") => section = "",
            "--- stdout" => section = "stdout",
            "--- stderr" => section = "stderr",
            _ if line.starts_with("[exit ") => {
                let code = line.trim_start_matches("[exit ").trim_end_matches(']');
                capture.exit = code.parse().expect("the exit code is a number");
            }
            _ if line.starts_with("--> ") => capture.note = Some(line.to_owned()),
            _ if section == "stdout" => capture.stdout.push(line.to_owned()),
            _ if section == "stderr" => capture.stderr.push(line.to_owned()),
            _ => {}
        }
    }
    assert!(!captures.is_empty(), "no capture was found");
    captures
}

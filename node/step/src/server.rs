//! The control socket's side of the supervisor. Nothing here waits.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::net::{UnixListener, UnixStream},
    },
};

use step::control::{Lines, MAX_LINE, Notice, Request};

use crate::{chain, note};

/// More are turned away: the daemon needs one, and a person with a tool another.
const MOST: usize = 16;

#[derive(Debug)]
pub(crate) struct Server {
    listener: UnixListener,
    clients: Vec<Client>,
    accepted: u64,
}

#[derive(Debug)]
struct Client {
    number: u64,
    stream: UnixStream,
    lines: Lines,
    open: bool,
}

/// A request, and whom to answer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    client: u64,
}

impl Server {
    pub(crate) fn new(listener: UnixListener) -> Self {
        Self { listener, clients: Vec::new(), accepted: 0 }
    }

    /// What to poll for input.
    pub(crate) fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let clients = self.clients.iter().map(|client| client.stream.as_fd());
        std::iter::once(self.listener.as_fd()).chain(clients)
    }

    /// Takes in what has come.
    pub(crate) fn receive(&mut self) -> Vec<Asked> {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.clients.len() < MOST && stream.set_nonblocking(true).is_ok() {
                let (number, lines) = (self.accepted, Lines::default());
                self.clients.push(Client { number, stream, lines, open: true });
                self.accepted += 1;
            }
        }
        let mut asked = Vec::new();
        for client in &mut self.clients {
            client.receive();
            client.requests(&mut asked);
        }
        self.clients.retain(|client| client.open);
        asked
    }

    /// Answers the one that asked, if it is still there.
    pub(crate) fn answer(&mut self, asked: &Asked, notices: &[Notice]) {
        let asker = self.clients.iter_mut().find(|client| client.number == asked.client);
        let Some(client) = asker else { return };
        for notice in notices {
            // One that does not listen is dropped at the next push.
            let _ = client.stream.write_all(&notice.encode());
        }
    }

    pub(crate) fn push(&mut self, notice: &Notice) {
        let line = notice.encode();
        self.clients.retain_mut(|client| client.stream.write_all(&line).is_ok());
    }
}

impl Client {
    fn receive(&mut self) {
        let mut buffer = [0; 4096];
        // One that talks without end is not heard to the end.
        for _ in 0..=MAX_LINE / buffer.len() {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.open = false;
                    return;
                }
                Ok(length) => self.lines.push(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.open = false;
                    return;
                }
            }
        }
    }

    /// What it asks for, also if it has gone since. Nonsense ends the connection.
    fn requests(&mut self, asked: &mut Vec<Asked>) {
        loop {
            let line = match self.lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => return,
                Err(error) => {
                    note(&chain(&error));
                    self.open = false;
                    return;
                }
            };
            match Request::decode(&line) {
                Ok(request) => asked.push(Asked { request, client: self.number }),
                Err(error) => {
                    note(&chain(&error));
                    self.open = false;
                    return;
                }
            }
        }
    }
}

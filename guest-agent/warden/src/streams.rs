//! The standard streams of one process: output goes to the log and to attached clients, input
//! comes from attached clients. Nothing is dropped: when a client does not keep up, the process's
//! output is not read until it does.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use crate::client::{Client, Received};
use crate::log::{Log, Stream};
use crate::poller::{Poller, Readiness, Watch};
use crate::protocol::AttachStreams;
use crate::source::{ClientKey, ProcessKey, Source};

/// Input beyond this is left with the client.
const INPUT_HIGH_WATER: usize = 64 * 1024;

/// So much output is read at once: all that a pipe holds.
const PIECE: usize = 64 * 1024;

/// One output stream.
struct Output {
    fd: OwnedFd,
    watch: Watch,
    /// The last read found nothing more.
    drained: bool,
}

/// Standard input.
struct Input {
    fd: OwnedFd,
    watch: Watch,
    waiting: VecDeque<u8>,
    /// Close once everything waiting is written.
    closing: bool,
}

/// All streams of one process.
pub(crate) struct Streams {
    key: ProcessKey,
    stdout: Option<Output>,
    stderr: Option<Output>,
    input: Option<Input>,
    terminal: Option<OwnedFd>,
    /// With a terminal, the end of input is a key.
    tty: bool,
    /// All output has come.
    over: bool,
    /// End of a client's input is end of the process's.
    input_once: bool,
    clients: BTreeMap<ClientKey, Client>,
    log: Option<Log>,
    log_failed: bool,
}

impl Streams {
    pub(crate) fn new(key: ProcessKey, tty: bool, input_once: bool, log: Option<Log>) -> Self {
        Self {
            key,
            stdout: None,
            stderr: None,
            input: None,
            terminal: None,
            tty,
            over: false,
            input_once,
            clients: BTreeMap::new(),
            log,
            log_failed: false,
        }
    }

    /// Takes the far ends of pipes.
    pub(crate) fn set_pipes(
        &mut self,
        stdin: Option<OwnedFd>,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) -> Result<(), Errno> {
        self.stdout = Some(output(stdout)?);
        self.stderr = Some(output(stderr)?);
        self.input = stdin.map(input).transpose()?;
        Ok(())
    }

    /// Takes the master side of a terminal. Its descriptor is copied so that reading and writing
    /// are watched apart.
    pub(crate) fn set_terminal(&mut self, master: OwnedFd) -> Result<(), Errno> {
        let copy = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, 3);
        self.stdout = Some(output(copy(&master)?)?);
        self.input = Some(input(copy(&master)?)?);
        self.terminal = Some(master);
        Ok(())
    }

    /// The terminal's master side.
    pub(crate) fn terminal(&self) -> Option<BorrowedFd<'_>> {
        self.terminal.as_ref().map(AsFd::as_fd)
    }

    /// The log, if one is kept.
    pub(crate) fn log(&self) -> Option<&Log> {
        self.log.as_ref()
    }

    /// Whether the engine is to be told of a rotation.
    pub(crate) fn take_rotated(&mut self) -> bool {
        self.log.as_mut().is_some_and(Log::take_rotated)
    }

    /// Adds a client.
    pub(crate) fn attach(
        &mut self,
        key: ClientKey,
        socket: OwnedFd,
        streams: AttachStreams,
    ) -> Result<(), Errno> {
        let source = Source::Client(self.key, key);
        let mut client = Client::new(socket, source, streams)?;
        if self.over {
            client.finish()?;
        }
        self.clients.insert(key, client);
        Ok(())
    }

    /// Whether all output was read (and so is in the log and with the clients' buffers).
    pub(crate) fn is_drained(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }

    /// Whether what could be read was read, though some process still holds the streams open.
    pub(crate) fn is_quiet(&self) -> bool {
        [&self.stdout, &self.stderr]
            .into_iter()
            .flatten()
            .all(|output| output.drained)
    }

    /// Whether every client has all output and its end.
    pub(crate) fn clients_finished(&self) -> bool {
        self.clients.values().all(Client::is_finished)
    }

    /// Reads what is there now, as far as the clients keep up if there is `patience` with them.
    /// Bounded, for a process that never stops writing.
    pub(crate) fn read_rest(&mut self, poller: &mut Poller<Source>, patience: bool) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            for _ in 0..64 {
                let slot = match stream {
                    Stream::Stdout => &self.stdout,
                    Stream::Stderr => &self.stderr,
                };
                let done = slot.as_ref().is_none_or(|output| output.drained);
                if done || patience && self.clients.values().any(Client::is_full) {
                    break;
                }
                self.on_output(poller, stream);
            }
        }
    }

    /// Reads one piece of output and hands it on.
    pub(crate) fn on_output(&mut self, poller: &mut Poller<Source>, stream: Stream) {
        let slot = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let Some(output) = slot else { return };
        let mut bytes = Vec::with_capacity(PIECE);
        match rustix::io::read(&output.fd, spare_capacity(&mut bytes)) {
            Ok(1..) => {
                output.drained = false;
                self.hand_on(stream, &bytes);
            }
            Err(Errno::AGAIN) => output.drained = true,
            Err(Errno::INTR) => {}
            // A terminal says EIO once its last user is gone.
            Ok(0) | Err(_) => self.end_output(poller, stream),
        }
    }

    fn hand_on(&mut self, stream: Stream, bytes: &[u8]) {
        let logged = self
            .log
            .as_mut()
            .map_or(Ok(()), |log| log.write(stream, bytes));
        self.check_log(logged);
        for client in self.clients.values_mut() {
            // A client that is gone shows up as a hang-up and is removed there.
            let _ = client.output(stream, bytes);
        }
    }

    /// A log that can't be written (disk full) must not stop the container; it is said once.
    fn check_log(&mut self, result: std::io::Result<()>) {
        if let Err(error) = result
            && !self.log_failed
        {
            self.log_failed = true;
            crate::console::note(&format!("a container's log can't be written: {error}"));
        }
    }

    fn end_output(&mut self, poller: &mut Poller<Source>, stream: Stream) {
        let slot = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if let Some(mut output) = slot.take() {
            output.watch.clear(poller, output.fd.as_fd());
        }
        let ended = self.log.as_mut().map_or(Ok(()), |log| log.end(stream));
        self.check_log(ended);
        if self.is_drained() {
            self.over = true;
            for client in self.clients.values_mut() {
                let _ = client.finish();
            }
        }
    }

    /// Stops reading output that some left-over process holds open after the end of the one that
    /// counts, and closes the input.
    pub(crate) fn give_up(&mut self, poller: &mut Poller<Source>) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.end_output(poller, stream);
        }
        self.close_input(poller);
        self.terminal = None;
    }

    /// Reads from, or writes to, a client.
    pub(crate) fn on_client(
        &mut self,
        poller: &mut Poller<Source>,
        key: ClientKey,
        readiness: Readiness,
    ) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        let mut gone = readiness.writable && client.flush().is_err();
        if readiness.readable {
            match client.receive() {
                Received::Input(bytes) => {
                    if let Some(input) = &mut self.input
                        && !input.closing
                    {
                        input.waiting.extend(bytes);
                    }
                    self.write_input(poller);
                }
                Received::End => {
                    if client.feeds_input() && self.input_once && !self.tty {
                        if let Some(input) = &mut self.input {
                            input.closing = true;
                        }
                        self.write_input(poller);
                    }
                }
                Received::Nothing => {}
                Received::Gone => gone = true,
            }
        }
        let ended = self.clients.get(&key).is_none_or(Client::input_ended);
        if (gone || (readiness.hang_up && ended))
            && let Some(client) = self.clients.remove(&key)
        {
            let closes = client.feeds_input() && self.input_once && !self.tty;
            client.close(poller);
            if closes && let Some(input) = &mut self.input {
                input.closing = true;
                self.write_input(poller);
            }
        }
    }

    /// Writes waiting input.
    pub(crate) fn write_input(&mut self, poller: &mut Poller<Source>) {
        let Some(input) = &mut self.input else { return };
        while !input.waiting.is_empty() {
            let (head, _) = input.waiting.as_slices();
            match rustix::io::write(&input.fd, head) {
                Ok(count) => drop(input.waiting.drain(..count)),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                // The process has closed its input: what is left has no reader.
                Err(_) => {
                    input.waiting.clear();
                    input.closing = !self.tty;
                }
            }
        }
        if input.closing {
            self.close_input(poller);
        }
    }

    fn close_input(&mut self, poller: &mut Poller<Source>) {
        if let Some(mut input) = self.input.take() {
            input.watch.clear(poller, input.fd.as_fd());
        }
    }

    /// Brings what is watched in line with what can be done now.
    pub(crate) fn update(&mut self, poller: &mut Poller<Source>) -> Result<(), Errno> {
        let full = self.clients.values().any(Client::is_full);
        let key = self.key;
        for (slot, stream) in [
            (&mut self.stdout, Stream::Stdout),
            (&mut self.stderr, Stream::Stderr),
        ] {
            if let Some(output) = slot {
                let flags = (!full).then_some(EventFlags::IN);
                output.drained &= !full;
                let source = Source::Output(key, stream);
                output.watch.set(poller, output.fd.as_fd(), source, flags)?;
            }
        }
        // What is typed ahead waits with the client until there is a terminal to type into.
        let mut input_full = self.tty && self.input.is_none() && !self.over;
        if let Some(input) = &mut self.input {
            input_full = input.waiting.len() >= INPUT_HIGH_WATER;
            let flags = (!input.waiting.is_empty()).then_some(EventFlags::OUT);
            input
                .watch
                .set(poller, input.fd.as_fd(), Source::Input(key), flags)?;
        }
        for client in self.clients.values_mut() {
            client.update(poller, input_full)?;
        }
        Ok(())
    }

    /// Lets everything go.
    pub(crate) fn close(&mut self, poller: &mut Poller<Source>) {
        self.give_up(poller);
        for (_, client) in std::mem::take(&mut self.clients) {
            client.close(poller);
        }
    }
}

fn output(fd: OwnedFd) -> Result<Output, Errno> {
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok(Output {
        fd,
        watch: Watch::default(),
        drained: false,
    })
}

fn input(fd: OwnedFd) -> Result<Input, Errno> {
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok(Input {
        fd,
        watch: Watch::default(),
        waiting: VecDeque::new(),
        closing: false,
    })
}

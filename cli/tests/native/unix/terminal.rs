//! `slipway` at a terminal of the test's own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use super::engine::{Client, Engine};

/// How long an answer may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A terminal of 24 rows and 80 columns with a `slipway` at it.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    /// Kept open, so that its settings can be looked at when the command has ended.
    line: OwnedFd,
    before: Termios,
    screen: String,
    output: Receiver<Vec<u8>>,
}

impl Terminal {
    pub(crate) fn start(engine: &Engine, words: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let line = rustix::fs::open(&name, flags, Mode::empty()).unwrap();
        set_size(&line, 24, 80);
        let before = tcgetattr(&line).unwrap();
        let end = || Stdio::from(line.try_clone().unwrap());
        let child = engine
            .command(Client::Slipway, words)
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let keyboard = File::from(master);
        let mut reader = keyboard.try_clone().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keyboard,
            line,
            before,
            screen: String::new(),
            output,
        }
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for words and forgets the screen up to them.
    pub(crate) fn wait_for(&mut self, words: &str) {
        let found = self.look_for(words, DEADLINE);
        assert!(found, "no {words:?} in {:?}", self.screen);
    }

    /// Gives a command to the shell until it answers so: the shell, or a new size, may still be
    /// on the way.
    pub(crate) fn answers(&mut self, command: &str, words: &str) {
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            self.type_in(&format!("{command}\r"));
            if self.look_for(words, Duration::from_secs(1)) {
                return;
            }
        }
        panic!("{command} does not answer {words:?} but {:?}", self.screen);
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        set_size(&self.line, rows, columns);
        // The kernel tells those whose controlling terminal it is; this one is nobody's.
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::WINCH).unwrap();
    }

    /// Waits for the command's end; the terminal must be as it was.
    pub(crate) fn end(mut self) -> i32 {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let after = tcgetattr(&self.line).unwrap();
        assert_eq!(after.local_modes, self.before.local_modes, "left raw");
        assert_eq!(after.input_modes, self.before.input_modes, "left raw");
        assert_eq!(after.output_modes, self.before.output_modes, "left raw");
        code
    }

    fn look_for(&mut self, words: &str, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(at) = self.screen.find(words) {
                self.screen.drain(..at + words.len());
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.screen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
    }
}

fn set_size(line: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(line, size).unwrap();
}

//! A program on a pseudo-terminal, as a person at a keyboard has it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::wait;

const LIMIT: Duration = Duration::from_secs(60);

/// A program on a terminal; killed when dropped.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts a command on a terminal of 30 rows and 100 columns.
    #[must_use]
    pub fn start(command: &[&std::ffi::OsStr], env: &[(&str, String)]) -> Self {
        let controller =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
                .expect("a terminal");
        rustix::pty::grantpt(&controller).expect("a terminal");
        rustix::pty::unlockpt(&controller).expect("a terminal");
        let name = rustix::pty::ptsname(&controller, Vec::new()).expect("a terminal");
        let name = name.to_str().expect("a terminal's name").to_owned();
        resize(&controller, 30, 100);
        let open = || {
            File::options()
                .read(true)
                .write(true)
                .open(&name)
                .expect("a terminal")
        };
        // `setsid --ctty` makes its standard input the controlling terminal of a new session.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", "--"])
            .args(command)
            .envs(env.iter().map(|(key, value)| (key, value)))
            .env("TERM", "xterm")
            .stdin(Stdio::from(open()))
            .stdout(Stdio::from(open()))
            .stderr(Stdio::from(open()))
            .spawn()
            .expect("setsid");
        let screen = Arc::new(Mutex::new(Vec::new()));
        let keyboard = File::from(controller);
        let mut output = keyboard.try_clone().expect("a descriptor");
        let seen = Arc::clone(&screen);
        thread::spawn(move || {
            let mut buffer = [0_u8; 4096];
            // The terminal answers with an error once the last program has let go of it.
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                seen.lock().expect("reader").extend(&buffer[..length]);
            }
        });
        Self {
            child,
            keyboard,
            screen,
        }
    }

    /// Types.
    pub fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("typing");
    }

    /// Changes the window's size; the program gets SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) {
        rustix::termios::tcsetwinsize(&self.keyboard, size(rows, columns)).expect("a new size");
    }

    /// All that has appeared.
    #[must_use]
    pub fn screen(&self) -> String {
        let screen = self.screen.lock().expect("reader");
        String::from_utf8_lossy(&screen).into_owned()
    }

    /// Waits until `text` has appeared.
    pub fn wait_for(&self, text: &str) {
        let deadline = std::time::Instant::now() + LIMIT;
        while !self.screen().contains(text) {
            assert!(
                std::time::Instant::now() < deadline,
                "{text:?} did not appear on the terminal but: {:?}",
                self.screen()
            );
            thread::sleep(Duration::from_millis(25));
        }
    }

    /// Waits for the end; the exit code.
    pub fn wait(&mut self) -> i32 {
        let status = wait::until("the program on the terminal ends", LIMIT, || {
            self.child.try_wait().expect("wait for a child")
        });
        status.code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Errors mean that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(controller: &OwnedFd, rows: u16, columns: u16) {
    rustix::termios::tcsetwinsize(controller, size(rows, columns)).expect("a terminal's size");
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

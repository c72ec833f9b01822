//! Running programs with a deadline, and looking at what they said.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::wait::is_alive;

/// How long a program may take unless the test says otherwise; the machine may be emulated on a
/// busy host.
const LIMIT: Duration = Duration::from_secs(90);

/// A program about to be run.
pub struct Program {
    command: Command,
    input: Vec<u8>,
    errors: Option<File>,
    limit: Duration,
    shown: String,
}

/// A program that has ended.
pub struct Ran {
    /// Exit code; 128 + signal when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
    shown: String,
}

impl Program {
    /// A program with its name for messages.
    pub fn new(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self {
            command: Command::new(path),
            input: Vec::new(),
            errors: None,
            limit: LIMIT,
            shown: name.into_owned(),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            let arg = arg.as_ref();
            self.shown.push_str(&format!(" {}", arg.to_string_lossy()));
            self.command.arg(arg);
        }
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes an environment variable away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// What it reads on standard input; nothing otherwise.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Keeps its standard error in a file: a pipe would not end while a process holds it that the program
    /// has left behind.
    #[must_use]
    pub fn leaving_others(mut self) -> Self {
        self.errors = Some(tempfile::tempfile().expect("a file"));
        self
    }

    /// How long it may take.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end; past its deadline it is killed and the test fails.
    pub fn run(mut self) -> Ran {
        let begun = Instant::now();
        let errors = self.errors.as_ref();
        let errors = errors.map(|file| file.try_clone().expect("the file"));
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.map_or_else(Stdio::piped, Stdio::from))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", self.shown));
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = std::mem::take(&mut self.input);
        // A program that doesn't read its input breaks the pipe; that is its business.
        thread::spawn(move || drop(stdin.write_all(&input)));
        let stdout = collect(child.stdout.take().expect("stdout is piped"));
        let stderr = child.stderr.take().map(collect);
        let status = wait(&mut child, self.limit);
        let stdout = stdout.join().expect("reader");
        let stderr = match (stderr, self.errors) {
            (Some(reader), _) => reader.join().expect("reader"),
            (None, file) => file.map(content).unwrap_or_default(),
        };
        let Some(status) = status else {
            panic!(
                "`{}` did not end within {:?}\nstdout: {stdout}\nstderr: {stderr}",
                self.shown, self.limit
            );
        };
        Ran {
            code: code(status),
            stdout,
            stderr,
            took: begun.elapsed(),
            shown: self.shown,
        }
    }

    /// Starts it with its output piped and nothing on standard input, for the test to follow.
    pub fn start(mut self) -> Running {
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", self.shown));
        let output = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        for stream in [
            child
                .stdout
                .take()
                .map(|s| Box::new(s) as Box<dyn Read + Send>),
            child
                .stderr
                .take()
                .map(|s| Box::new(s) as Box<dyn Read + Send>),
        ]
        .into_iter()
        .flatten()
        {
            let output = std::sync::Arc::clone(&output);
            thread::spawn(move || follow(stream, &output));
        }
        Running {
            child,
            output,
            shown: self.shown,
        }
    }
}

/// A program that runs beside the test; killed when dropped.
pub struct Running {
    child: Child,
    output: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
    shown: String,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far, on both streams.
    #[must_use]
    pub fn output(&self) -> String {
        let output = self.output.lock().expect("reader");
        String::from_utf8_lossy(&output).into_owned()
    }

    /// Waits until it has said `text`.
    pub fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        while !self.output().contains(text) {
            assert!(
                Instant::now() < deadline && (is_alive(self.pid()) || self.output().contains(text)),
                "`{}` did not say {text:?} but: {}",
                self.shown,
                self.output()
            );
            thread::sleep(Duration::from_millis(25));
        }
    }

    /// Waits for its end; its exit code.
    pub fn wait(&mut self) -> i32 {
        let status = wait(&mut self.child, LIMIT);
        let said = self.output();
        code(status.unwrap_or_else(|| panic!("`{}` goes on and on: {said}", self.shown)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Errors mean that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ran {
    /// Asserts success; standard output.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self}");
        self.stdout
    }

    /// Asserts success; standard output without the white space around it.
    #[track_caller]
    pub fn text(self) -> String {
        self.ok().trim().to_owned()
    }

    /// Asserts an exit code.
    #[track_caller]
    #[must_use]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Asserts that standard error holds `text`.
    #[track_caller]
    #[must_use]
    pub fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected {text:?} from {self}");
        self
    }

    /// Asserts that standard output holds `text`.
    #[track_caller]
    #[must_use]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "expected {text:?} from {self}");
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}`, exit code {}\n--- stdout\n{}\n--- stderr\n{}",
            self.shown,
            self.code,
            shorten(&self.stdout),
            shorten(&self.stderr)
        )
    }
}

fn shorten(text: &str) -> String {
    const MOST: usize = 4000;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is still worth showing.
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn content(mut file: File) -> String {
    let mut bytes = Vec::new();
    file.rewind().expect("the file");
    file.read_to_end(&mut bytes).expect("the file");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn follow(mut stream: Box<dyn Read + Send>, output: &std::sync::Mutex<Vec<u8>>) {
    let mut buffer = [0_u8; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        output.lock().expect("writer").extend(&buffer[..length]);
    }
}

/// Waits with a deadline; kills and gives `None` past it.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("wait for a child") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1)
}

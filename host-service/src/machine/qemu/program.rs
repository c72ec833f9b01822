//! Finding QEMU, and what it can do.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use client::Home;
use client::wire::Problem;
use serde::{Deserialize, Serialize};

use super::architecture::Architecture;
use crate::machine::host;
use crate::problem::{Explain, problem};
use crate::settings::replace;

/// The oldest version that the machine is tested with.
const OLDEST: (u32, u32) = (7, 2);

/// How long QEMU may take to say its version.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long its last words may take to arrive once it has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// QEMU on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) version: (u32, u32, u32),
    /// The accelerators that it was built with.
    pub(crate) accelerators: Vec<String>,
    /// Length and time of the file, to notice an update.
    stamp: (u64, u64),
}

impl Program {
    /// The folder of its firmware, where it lies beside the program, as in a bundle that was unpacked
    /// somewhere; an installed QEMU knows its own.
    pub(super) fn firmware(&self) -> Option<PathBuf> {
        let folder = self.path.parent()?.join("share").join("qemu");
        folder.is_dir().then(|| host::for_qemu(&folder))
    }

    pub(crate) fn version_text(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{major}.{minor}.{patch}")
    }
}

/// Finds the QEMU for an architecture: `SLIPWAY_QEMU`, else beside slipwayd, else in `PATH`; asks for its version unless
/// it was asked before.
pub(super) fn find(home: &Home, architecture: Architecture) -> Result<Program, Problem> {
    let path = locate(architecture)?;
    // It runs in another folder.
    let path = std::path::absolute(&path).unwrap_or(path);
    let stamp = stamp(&path);
    let memory = home.machine_dir().join("qemu.json");
    let known = fs::read(&memory)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(known) = known.filter(|known: &Program| known.path == path && known.stamp == stamp)
    {
        return Ok(known);
    }
    let text = ask(&path, &["--version"])?;
    let Some(version) = parse_version(&text) else {
        return Err(problem(format!("{} is not QEMU", path.display()))
            .because(format!(
                "it calls itself {:?}",
                text.lines().next().unwrap_or_default()
            ))
            .hint("set SLIPWAY_QEMU to the path of a QEMU program"));
    };
    if (version.0, version.1) < OLDEST {
        return Err(
            problem(format!("QEMU {}.{} is too old", version.0, version.1))
                .because(format!(
                    "{} is older than {}.{}",
                    path.display(),
                    OLDEST.0,
                    OLDEST.1
                ))
                .hint("update QEMU, or set SLIPWAY_QEMU to the path of a newer one"),
        );
    }
    let accelerators = parse_accelerators(&ask(&path, &["-accel", "help"])?);
    let program = Program {
        path,
        version,
        accelerators,
        stamp,
    };
    if let Ok(text) = serde_json::to_vec_pretty(&program)
        && let Err(error) = replace(&memory, &text)
    {
        tracing::debug!(%error, "what QEMU can do is not remembered");
    }
    Ok(program)
}

fn locate(architecture: Architecture) -> Result<PathBuf, Problem> {
    if let Some(path) = std::env::var_os("SLIPWAY_QEMU").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        if path.is_file() {
            return Ok(path);
        }
        return Err(problem("QEMU was not found")
            .because(format!(
                "SLIPWAY_QEMU is {}, which is no file",
                path.display()
            ))
            .hint("set SLIPWAY_QEMU to the path of a QEMU program, or unset it"));
    }
    let name = format!("{}{}", architecture.qemu(), std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.to_owned()));
    let beside = beside
        .iter()
        .flat_map(|dir| [dir.clone(), dir.join("qemu")]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .chain(std::env::split_paths(&path))
        .map(|dir| dir.join(&name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            problem("QEMU is not installed")
                .because(format!("{name} is neither beside slipwayd nor in PATH"))
                .hint(install_hint(architecture))
        })
}

fn install_hint(architecture: Architecture) -> String {
    let (debian, fedora) = architecture.packages();
    match std::env::consts::OS {
        "linux" => format!(
            "install it, for example with `apt install {debian}` or `dnf install {fedora}`, \
             or set SLIPWAY_QEMU to its path"
        ),
        "macos" => {
            "install it, for example with `brew install qemu`, or set SLIPWAY_QEMU to its path"
                .to_owned()
        }
        _ => "install QEMU for Windows and set SLIPWAY_QEMU to the path of its program".to_owned(),
    }
}

fn stamp(path: &Path) -> (u64, u64) {
    let Ok(metadata) = fs::metadata(path) else {
        return (0, 0);
    };
    let time = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    (metadata.len(), time.map_or(0, |time| time.as_secs()))
}

fn ask(path: &Path, arguments: &[&str]) -> Result<String, Problem> {
    let failed = |cause: String| {
        problem(format!(
            "cannot run {} {}",
            path.display(),
            arguments.join(" ")
        ))
        .because(cause)
        .hint("set SLIPWAY_QEMU to the path of a QEMU program that works")
    };
    let mut command = Command::new(path);
    command.args(arguments);
    let output = run(&mut command, PATIENCE).map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program that says little, for this long at most.
fn run(command: &mut Command, patience: Duration) -> std::io::Result<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let deadline = Instant::now() + patience;
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Err(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                format!("no answer in {} seconds", patience.as_secs()),
            ));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let all = |pieces: Option<mpsc::Receiver<Vec<u8>>>| {
        let mut said = Vec::new();
        while let Some(piece) = pieces
            .as_ref()
            .and_then(|p| p.recv_timeout(LAST_WORDS).ok())
        {
            said.extend(piece);
        }
        said
    };
    Ok(Output {
        status,
        stdout: all(stdout),
        stderr: all(stderr),
    })
}

/// Reads along. The stream need not end with the program: what that has started may hold it open for
/// ever, as the shell of a desktop.
fn collect(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (pieces, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if pieces.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// `QEMU emulator version 7.2.22 (Debian …)`.
fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let rest = &text[text.find("QEMU emulator version ")? + "QEMU emulator version ".len()..];
    let number = rest
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .next()?;
    let mut parts = number.split('.').map(str::parse);
    Some((
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next().unwrap_or(Ok(0)).ok()?,
    ))
}

/// A title, then a name a line.
fn parse_accelerators(text: &str) -> Vec<String> {
    text.lines()
        .skip(1)
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_real_programs() {
        let debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright";
        assert_eq!(parse_version(debian), Some((7, 2, 22)));
        assert_eq!(
            parse_version("QEMU emulator version 10.2.0\n"),
            Some((10, 2, 0))
        );
        assert_eq!(
            parse_version("QEMU emulator version 11.0.50 (v11-rc)"),
            Some((11, 0, 50))
        );
        assert_eq!(parse_version("bash 5"), None);
    }

    #[test]
    fn accelerators_of_a_real_program() {
        let text = "Accelerators supported in QEMU binary:\ntcg\nkvm\n";
        assert_eq!(parse_accelerators(text), ["tcg", "kvm"]);
    }
}

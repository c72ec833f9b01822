//! `cargo xtask computer -- COMMAND`: runs a command of this computer in an emulated one that has KVM
//! and vsock, whatever this one has. It sees this computer's files; what it writes is gone afterwards.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::arch::Arch;
use crate::image;
use crate::peers;
use crate::progress::{say, step};
use crate::project::Project;
use crate::setup::{self, Need};

/// What it is to do.
#[derive(Args)]
pub(crate) struct Options {
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// The files, virtualization, and vsock to guests.
const MODULES: [&str; 5] = ["9pnet_virtio", "9p", "overlay", "kvm_amd", "vhost_vsock"];

/// A processor that virtualizes and that can be emulated. Linux takes its quick string instructions
/// for granted where it sees them, and they are slow here.
const PROCESSOR: &str = "max,vendor=AuthenticAMD,+svm,+npt,-erms,-fsrm";

/// What it says last, before the command's exit code.
const ENDED: &str = "computer: ended with ";

/// How long a command may take.
const SECONDS: &str = "1800";

/// Emulated virtualization ends now and then without a word, or resets a guest whose kernel changes its
/// code, as it does for the first containers after a boot: then the command is run once more.
const ATTEMPTS: u32 = 5;

/// How a test runner's sum begins, which counts only when the run does.
const SUM: &str = "test result:";

/// What slipwayd says of a machine that was reset.
const RESET: &str = "QEMU: exit code 0";

/// Runs the command.
pub(crate) fn command(project: &Project, options: &Options) -> Result<ExitCode> {
    let computer = Computer::prepare(project)?;
    let script = computer.write_script(&options.command)?;
    let ended = (0..ATTEMPTS).find_map(|attempt| {
        if attempt > 0 {
            say("==> the emulated processor failed; once more");
        }
        computer.run(&script).transpose()
    });
    fs::remove_file(&script).with_context(|| format!("removing {}", script.display()))?;
    match ended {
        Some(code) => Ok(ExitCode::from(code?)),
        None => bail!("the emulated processor failed {ATTEMPTS} times"),
    }
}

/// Has cargo run what it built in the computer.
pub(crate) fn run_in(cargo: &mut Command) {
    let own = env::current_exe().unwrap_or_else(|_| "xtask".into());
    let runner = format!(
        "target.{}.runner=[{own:?}, \"computer\", \"--\"]",
        Arch::NATIVE.target()
    );
    cargo.args(["--config", &runner]);
}

/// Whether there is one for this computer's programs.
pub(crate) fn is_possible() -> bool {
    Arch::NATIVE == Arch::Amd64
}

/// Its parts.
struct Computer {
    folder: PathBuf,
    qemu: PathBuf,
}

impl Computer {
    /// Brings what is missing.
    fn prepare(project: &Project) -> Result<Self> {
        if !is_possible() {
            bail!("the emulated computer runs programs for x86-64 only");
        }
        setup::system(&[Need::Image, Need::Tests])?;
        let computer = Self {
            folder: project.target.join("computer"),
            qemu: peers::qemu(project)?,
        };
        let kernel = image::usual_kernel(project)?;
        let init = include_str!("computer/init.sh");
        let stamp = computer.folder.join("made-of");
        let mark = format!("{}\n{MODULES:?}\n{init}", kernel.sha256);
        if fs::read_to_string(&stamp).is_ok_and(|found| found == mark) {
            return Ok(computer);
        }
        step("a computer with KVM, to emulate", || {
            fs::create_dir_all(&computer.folder)
                .with_context(|| format!("creating {}", computer.folder.display()))?;
            let busybox = image::busybox(project)?;
            let busybox =
                fs::read(&busybox).with_context(|| format!("reading {}", busybox.display()))?;
            let [vmlinux, initramfs] =
                image::boot_files(&kernel, &MODULES, busybox, init.as_bytes().to_vec())?;
            let write = |name: &str, bytes: &[u8]| {
                let path = computer.folder.join(name);
                fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))
            };
            write("vmlinux", &vmlinux)?;
            write("initramfs.cpio", &initramfs)?;
            write("made-of", mark.as_bytes())
        })?;
        Ok(computer)
    }

    /// The command with our surroundings, as a script.
    fn write_script(&self, command: &[String]) -> Result<PathBuf> {
        let here = env::current_dir().context("finding the current folder")?;
        let mut script = format!("cd {}\n", quoted(here.to_str().context("no UTF-8")?));
        for (name, value) in env::vars().filter(|(name, _)| is_plain(name)) {
            script += &format!("export {name}={}\n", quoted(&value));
        }
        let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
        script += &format!("{}\n", words.join(" "));
        let path = self.folder.join(format!("run-{}.sh", std::process::id()));
        fs::write(&path, script).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// Shows what the script says; its exit code, unless the emulation is to blame.
    fn run(&self, script: &Path) -> Result<Option<u8>> {
        let library = self.qemu.join("usr/lib/x86_64-linux-gnu");
        let share = self.qemu.join("usr/share");
        let append = format!(
            "console=ttyS0 quiet loglevel=0 panic=-1 script={}",
            script.display()
        );
        let mut child = Command::new("timeout")
            .args(["--kill-after=10", SECONDS])
            // Its own libraries, by its own loader.
            .arg(library.join("ld-linux-x86-64.so.2"))
            .arg("--library-path")
            .arg(&library)
            .arg(self.qemu.join("usr/bin/qemu-system-x86_64"))
            .arg("-L")
            .arg(share.join("qemu"))
            .arg("-L")
            .arg(share.join("seabios"))
            .args(["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", PROCESSOR])
            .args(["-smp", "2", "-m", "4096", "-nodefaults", "-no-reboot"])
            .args(["-display", "none", "-serial", "stdio"])
            .arg("-kernel")
            .arg(self.folder.join("vmlinux"))
            .arg("-initrd")
            .arg(self.folder.join("initramfs.cpio"))
            .args(["-append", &append, "-device", "virtio-rng-pci"])
            .args([
                "-virtfs",
                "local,path=/,mount_tag=files,security_model=none,readonly=on,multidevs=remap",
            ])
            .env("QEMU_MODULE_DIR", library.join("qemu"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the emulated computer")?;
        let console = child.stdout.take().context("reading its console")?;
        let (mut code, mut reset, mut sums) = (None, false, Vec::new());
        for line in BufReader::new(console).split(b'\n') {
            let line = line.context("reading its console")?;
            let line = String::from_utf8_lossy(&line);
            reset |= line.contains(RESET);
            // The command's last line need not be a whole one.
            let (said, ended) = line.rsplit_once(ENDED).unwrap_or((&line, ""));
            if said.contains(SUM) {
                sums.push(said.to_owned());
            } else if !said.is_empty() || ended.is_empty() {
                say(said.trim_end_matches('\r'));
            }
            code = code.or(ended.trim_end().parse().ok());
        }
        let status = child.wait().context("waiting for the emulated computer")?;
        if status.code() == Some(124) {
            bail!("the command took more than {SECONDS} seconds");
        }
        let code = code.filter(|code| *code == 0 || !reset);
        if code.is_some() {
            sums.iter().for_each(say);
        }
        Ok(code)
    }
}

/// Whether a shell takes it as a variable's name.
fn is_plain(name: &str) -> bool {
    let plain = |letter: char| letter == '_' || letter.is_ascii_alphanumeric();
    name.chars().all(plain) && !name.starts_with(|letter: char| letter.is_ascii_digit())
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_shell_as_they_are() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert!(is_plain("SLIPWAY_HOME") && is_plain("_"));
        assert!(!is_plain("BASH_FUNC_x%%") && !is_plain("1A"));
    }
}

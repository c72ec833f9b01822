//! Choosing the fastest accelerator that works. What a system offers need not boot a guest, so
//! each candidate boots our kernel for a moment; what was found is kept until the host restarts
//! or QEMU or the image changes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, UNIX_EPOCH};

use client::Home;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::arguments::{board, within};
use super::image::Image;
use super::program::Program;
use crate::machine::channel::escape;
use crate::machine::host;
use crate::settings::replace;

/// How long the kernel may take to say its first word. With hardware it takes a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(8);

/// Emulation: slow, and works everywhere.
pub(super) const EMULATION: &str = "tcg";

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) name: &'static str,
    /// Why the faster ones were passed over.
    pub(super) note: Option<String>,
}

/// What probes found: the reason why a candidate does not work, or `None` when it does.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    key: String,
    found: BTreeMap<String, Option<String>>,
}

/// Chooses, probing what is not known yet.
pub(super) fn choose(
    home: &Home,
    program: &Program,
    image: &Image,
    cancel: &CancellationToken,
) -> Choice {
    if let Some(name) = forced() {
        return Choice {
            name,
            note: Some("chosen by SLIPWAY_ACCEL".to_owned()),
        };
    }
    let mut reasons = Vec::new();
    for (name, offered) in host::candidates() {
        let works = match offered {
            Ok(()) if !program.accelerators.iter().any(|built| built == name) => Err(format!(
                "{} is built without {name}",
                program.path.display()
            )),
            Ok(()) => probed(home, program, image, name, cancel),
            Err(reason) => Err(reason),
        };
        match works {
            Ok(()) => {
                return Choice {
                    name,
                    note: join(&reasons),
                };
            }
            Err(reason) => reasons.push(format!("{name}: {reason}")),
        }
    }
    Choice {
        name: EMULATION,
        note: join(&reasons),
    }
}

/// The next machine does without this one.
pub(super) fn distrust(home: &Home, program: &Program, image: &Image, name: &str, reason: &str) {
    let mut memory = load(home, &key(program, image));
    memory
        .found
        .insert(name.to_owned(), Some(reason.to_owned()));
    save(home, &memory);
}

/// What earlier probes found, in words.
pub(super) fn remembered(home: &Home, program: &Program, image: &Image) -> Vec<String> {
    let known = load(home, &key(program, image)).found;
    let candidates = host::candidates().into_iter().map(|(name, offered)| {
        let verdict = match (offered, known.get(name)) {
            (Err(reason), _) => reason,
            (Ok(()), Some(Some(reason))) => reason.clone(),
            (Ok(()), Some(None)) => "works".to_owned(),
            (Ok(()), None) => "offered, not yet tried".to_owned(),
        };
        format!("{name}: {verdict}")
    });
    candidates.collect()
}

/// Whether the person chose the accelerator.
pub(super) fn is_forced() -> bool {
    forced().is_some()
}

fn forced() -> Option<&'static str> {
    let name = std::env::var("SLIPWAY_ACCEL")
        .ok()
        .filter(|name| !name.is_empty())?;
    let known = ["kvm", "hvf", "whpx", EMULATION]
        .into_iter()
        .find(|known| *known == name);
    if known.is_none() {
        tracing::warn!("SLIPWAY_ACCEL={name} is not known; accelerators are probed");
    }
    known
}

fn join(reasons: &[String]) -> Option<String> {
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn probed(
    home: &Home,
    program: &Program,
    image: &Image,
    name: &str,
    cancel: &CancellationToken,
) -> Result<(), String> {
    let mut memory = load(home, &key(program, image));
    if let Some(found) = memory.found.get(name) {
        return match found {
            None => Ok(()),
            Some(reason) => Err(reason.clone()),
        };
    }
    tracing::info!(name, "probing an accelerator");
    let result = probe(home, program, image, name, cancel);
    if let Err(reason) = &result {
        tracing::info!(name, reason, "the accelerator does not work");
    }
    if !cancel.is_cancelled() {
        memory.found.insert(name.to_owned(), result.clone().err());
        save(home, &memory);
    }
    result
}

/// Boots the kernel, with nothing else, until it speaks.
fn probe(
    home: &Home,
    program: &Program,
    image: &Image,
    name: &str,
    cancel: &CancellationToken,
) -> Result<(), String> {
    let serial = home.run_dir().join("probe.serial");
    let errors = home.run_dir().join("probe.stderr");
    let _ = fs::remove_file(&serial);
    let stderr = File::create(&errors).map_err(|error| error.to_string())?;
    let mut command = Command::new(&program.path);
    command
        .args(board(program, image.architecture, name))
        .args(["-smp", "1", "-m", "256"])
        .arg("-kernel")
        .arg(host::for_qemu(&image.kernel))
        .arg("-append")
        .arg(format!(
            "{} no_timer_check panic=-1",
            image.architecture.early_console()
        ))
        .arg("-chardev")
        .arg(format!(
            "file,id=serial,path={}",
            escape(within(home, &serial))
        ))
        .current_dir(home.root())
        .args(["-serial", "chardev:serial"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr);
    let mut child = command
        .spawn()
        .map_err(|error| format!("QEMU did not start: {error}"))?;
    let result = watch(&mut child, &serial, &errors, cancel);
    // The probe is over in any case.
    let _ = child.kill();
    let _ = child.wait();
    let _ = fs::remove_file(&serial);
    let _ = fs::remove_file(&errors);
    result
}

fn watch(
    child: &mut std::process::Child,
    serial: &Path,
    errors: &Path,
    cancel: &CancellationToken,
) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ended = child.try_wait().map_err(|error| error.to_string())?;
        let spoke = fs::read(serial)
            .is_ok_and(|text| String::from_utf8_lossy(&text).contains("Linux version"));
        if spoke {
            return Ok(());
        }
        if let Some(status) = ended {
            let said = fs::read_to_string(errors).unwrap_or_default();
            let said = without_program(said.lines().last().unwrap_or_default().trim());
            return Err(if said.is_empty() {
                format!("QEMU ended with {status}")
            } else {
                said
            });
        }
        if cancel.is_cancelled() {
            return Err("the probe was cancelled".to_owned());
        }
        if Instant::now() >= deadline {
            return Err(format!(
                "a guest was started and said nothing in {} seconds",
                PATIENCE.as_secs()
            ));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// QEMU puts its own name and its source's before what it says.
fn without_program(said: &str) -> String {
    let told = said
        .split(": ")
        .skip_while(|part| part.contains("qemu-system") || part.contains(".c:"));
    told.collect::<Vec<_>>().join(": ")
}

fn key(program: &Program, image: &Image) -> String {
    let kernel = fs::metadata(&image.kernel).ok().and_then(|metadata| {
        let time = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some((metadata.len(), time.as_secs()))
    });
    format!(
        "{} {} host {} kernel {:?}",
        program.path.display(),
        program.version_text(),
        host::boot_id().unwrap_or_default(),
        kernel.unwrap_or_default()
    )
}

fn path(home: &Home) -> PathBuf {
    home.machine_dir().join("accelerators.json")
}

fn load(home: &Home, key: &str) -> Memory {
    fs::read(path(home))
        .ok()
        .and_then(|text| serde_json::from_slice::<Memory>(&text).ok())
        .filter(|memory| memory.key == key)
        .unwrap_or_else(|| Memory {
            key: key.to_owned(),
            found: BTreeMap::new(),
        })
}

fn save(home: &Home, memory: &Memory) {
    // Only time is lost when it cannot be kept.
    if let Ok(text) = serde_json::to_vec_pretty(memory)
        && let Err(error) = replace(&path(home), &text)
    {
        tracing::debug!(%error, "what the probe found is not remembered");
    }
}

#[cfg(test)]
mod tests {
    use super::without_program;

    #[test]
    fn what_qemu_says_without_where_it_says_it() {
        let said = "qemu-system-x86_64: ../../target/i386/kvm/kvm.c:3183: kvm_buf_set_msrs: \
                    Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed.";
        let told = "kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed.";
        assert_eq!(without_program(said), told);
        assert_eq!(
            without_program("qemu-system-x86_64: failed to initialize kvm: No such device"),
            "failed to initialize kvm: No such device"
        );
        let said = "C:\\Program Files\\Slipway\\qemu\\qemu-system-x86_64.exe: -accel whpx: WHPX: \
                    No accelerator found, hr=00000000";
        assert_eq!(
            without_program(said),
            "-accel whpx: WHPX: No accelerator found, hr=00000000"
        );
        assert_eq!(without_program("Out of memory"), "Out of memory");
    }
}

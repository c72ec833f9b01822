//! `slipway status` and `slipway machine status`. They start no machine.

use std::time::Duration;

use clap::Args;
use client::wire::{Driver, Machine, State, Status};
use client::{Home, running_service};

use crate::app::App;
use crate::failure::Failure;
use crate::format::size;
use crate::output;

/// How long slipwayd may think about its own state.
const PATIENCE: Duration = Duration::from_secs(10);

/// `slipway status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {}

impl StatusArgs {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let home = app.home()?;
        let status = match tokio::time::timeout(PATIENCE, running_service(&home)).await {
            Ok(running) => running?.map_or_else(|| from_home(&home), |(_, status)| status),
            Err(_) => {
                return Err(Failure::new("slipwayd does not answer")
                    .because(format!("it has said nothing for {} s", PATIENCE.as_secs()))
                    .hint("`slipway diagnose` shows its log"));
            }
        };
        if app.json {
            output::json(&status);
        } else {
            output::out(render(&status).as_bytes());
        }
        Ok(())
    }
}

/// What the home tells when neither slipwayd nor a machine runs.
fn from_home(home: &Home) -> Status {
    let driver = last_driver(home);
    let made = match driver {
        Driver::Qemu => home.data_disk().exists(),
        Driver::Native => home.native_dir().exists(),
    };
    let state = if made { State::Stopped } else { State::Absent };
    Status::at_rest(home, driver, state)
}

/// The driver of the last start, as slipwayd remembers it.
fn last_driver(home: &Home) -> Driver {
    let settings = std::fs::read(home.settings_file()).unwrap_or_default();
    serde_json::from_slice::<serde_json::Value>(&settings)
        .ok()
        .and_then(|settings| serde_json::from_value(settings.get("driver")?.clone()).ok())
        .unwrap_or(Driver::Qemu)
}

/// The driver and accelerator in words.
pub(super) fn how(machine: &Machine) -> String {
    match (machine.driver, machine.accelerator.as_deref()) {
        (Driver::Native, _) => "native, without a virtual machine".to_owned(),
        (Driver::Qemu, Some(accelerator)) => format!("QEMU, {accelerator}"),
        (Driver::Qemu, None) => "QEMU".to_owned(),
    }
}

/// "4.2 s".
#[expect(clippy::cast_precision_loss, reason = "one decimal is printed")]
pub(super) fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

/// For people.
fn render(status: &Status) -> String {
    let machine = &status.machine;
    let mut lines = vec![("Machine", state(machine.state).to_owned())];
    lines.push(("Driver", how(machine)));
    if let Some(note) = &machine.accelerator_note {
        lines.push(("", note.clone()));
    }
    if let Some(pid) = machine.pid {
        lines.push(("Process", pid.to_string()));
    }
    if let Some(ms) = machine.boot_ms {
        let steps: Vec<String> = machine
            .steps
            .iter()
            .filter_map(|step| Some(format!("{} {}", step.name, seconds(step.ms?))))
            .collect();
        let steps = if steps.is_empty() {
            String::new()
        } else {
            format!(" ({})", steps.join(", "))
        };
        lines.push(("Boot", format!("{}{steps}", seconds(ms))));
    }
    if let (Some(cpus), Some(memory)) = (machine.cpus, machine.memory_bytes) {
        let memory = size::binary(memory);
        lines.push(("Size", format!("{cpus} processors, {memory} of memory")));
    }
    if let Some(disk) = machine.disk_bytes {
        let used = match machine.disk_used_bytes {
            Some(used) => format!(", {} used on this computer", size::decimal4(used)),
            None => String::new(),
        };
        lines.push(("Disk", format!("{}{used}", size::decimal4(disk))));
    }
    for (number, port) in machine.ports.iter().enumerate() {
        let name = if number == 0 { "Ports" } else { "" };
        let containers = port.containers.join(", ");
        lines.push((
            name,
            format!("{}/{} {containers}", port.address, port.protocol),
        ));
    }
    lines.push(("API", status.api.endpoint.clone()));
    lines.push(("Version", status.version.clone()));
    for warning in &machine.warnings {
        lines.push(("Warning", warning.clone()));
    }
    if let Some(error) = &machine.error {
        lines.push(("Error", error.message.clone()));
        lines.extend(error.cause.iter().map(|cause| ("", cause.clone())));
        lines.extend(error.hint.iter().map(|hint| ("Hint", hint.clone())));
    } else if matches!(machine.state, State::Absent | State::Stopped) {
        let hint = "`slipway machine start` starts it; so does any command that needs it";
        lines.push(("Hint", hint.to_owned()));
    }
    lines
        .into_iter()
        .map(|(name, value)| {
            let name = if name.is_empty() {
                String::new()
            } else {
                format!("{name}:")
            };
            format!("{name:<10}{value}\n")
        })
        .collect()
}

fn state(state: State) -> &'static str {
    match state {
        State::Absent => "absent (never started)",
        State::Creating => "creating its data disk",
        State::Stopped => "stopped",
        State::Starting => "starting",
        State::Running => "running",
        State::Stopping => "stopping",
        State::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_home_without_a_service() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        assert_eq!(from_home(&home).machine.state, State::Absent);
        std::fs::create_dir_all(home.machine_dir()).unwrap();
        std::fs::write(home.data_disk(), b"").unwrap();
        assert_eq!(from_home(&home).machine.state, State::Stopped);
        std::fs::write(home.settings_file(), br#"{"driver":"native"}"#).unwrap();
        assert_eq!(from_home(&home).machine.driver, Driver::Native);
        assert_eq!(from_home(&home).machine.state, State::Absent);
    }

    #[test]
    fn people_see_a_hint_when_it_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let text = render(&from_home(&Home::at(dir.path())));
        assert!(
            text.starts_with("Machine:  absent (never started)\nDriver:   QEMU\n"),
            "{text}"
        );
        assert!(text.contains("slipway machine start"), "{text}");
    }
}

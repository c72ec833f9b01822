//! `slipway info`.

use std::fmt::Write as _;

use clap::Args;
use serde_json::Value;

use crate::app::App;
use crate::engine::Query;
use crate::failure::Failure;
use crate::format::size;
use crate::format::template::Template;
use crate::output;

/// `slipway info`.
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// Print this, such as '{{.ServerVersion}}'
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
}

impl Info {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let as_json = app.json || self.format.as_deref() == Some("json");
        let template = match self.format.as_deref() {
            Some(format) if !as_json => Some(Template::parse(format).map_err(Failure::usage)?),
            _ => None,
        };
        let engine = app.engine().await?;
        let info: Value = engine.get("/info", &Query::new()).await?;
        if as_json {
            output::json(&info);
        } else if let Some(template) = template {
            output::line(&template.render(&info).map_err(Failure::new)?);
        } else {
            output::out(render(&info).as_bytes());
            let warnings = info.get("Warnings").and_then(Value::as_array);
            for warning in warnings.into_iter().flatten().filter_map(Value::as_str) {
                output::note(warning);
            }
        }
        Ok(())
    }
}

/// Docker's lines, those that mean something here.
fn render(info: &Value) -> String {
    let mut text = format!(
        "Client:\n Version:    {}\n\nServer:\n",
        env!("CARGO_PKG_VERSION")
    );
    for (indent, title, key) in [
        (" ", "Containers", "Containers"),
        ("  ", "Running", "ContainersRunning"),
        ("  ", "Paused", "ContainersPaused"),
        ("  ", "Stopped", "ContainersStopped"),
        (" ", "Images", "Images"),
        (" ", "Server Version", "ServerVersion"),
        (" ", "Storage Driver", "Driver"),
        (" ", "Logging Driver", "LoggingDriver"),
        (" ", "Cgroup Driver", "CgroupDriver"),
        (" ", "Cgroup Version", "CgroupVersion"),
    ] {
        field(&mut text, indent, title, info.get(key));
    }
    if let Some(options) = info.get("SecurityOptions").and_then(Value::as_array) {
        text.push_str(" Security Options:\n");
        for option in options.iter().filter_map(Value::as_str) {
            for (index, part) in option.split(',').enumerate() {
                match part.split_once('=') {
                    Some(("name", name)) => {
                        let _ = writeln!(text, "  {name}");
                    }
                    Some(("profile", profile)) => {
                        let _ = writeln!(text, "   Profile: {profile}");
                    }
                    None if index == 0 => {
                        let _ = writeln!(text, "  {part}");
                    }
                    _ => {}
                }
            }
        }
    }
    for (title, key) in [
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
        ("CPUs", "NCPU"),
    ] {
        field(&mut text, " ", title, info.get(key));
    }
    if let Some(memory) = info.get("MemTotal").and_then(Value::as_u64) {
        let _ = writeln!(text, " Total Memory: {}", size::binary(memory));
    }
    for (title, key) in [
        ("Name", "Name"),
        ("ID", "ID"),
        ("Docker Root Dir", "DockerRootDir"),
    ] {
        field(&mut text, " ", title, info.get(key));
    }
    text
}

fn field(text: &mut String, indent: &str, title: &str, value: Option<&Value>) {
    let value = match value {
        Some(Value::String(value)) if !value.is_empty() => value.clone(),
        Some(Value::Number(value)) => value.to_string(),
        _ => return,
    };
    let _ = writeln!(text, "{indent}{title}: {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_dockers() {
        let text = render(&serde_json::json!({
            "Containers": 2, "ContainersRunning": 1, "ServerVersion": "1.0",
            "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
            "MemTotal": 1_073_741_824_u64, "NCPU": 2, "Name": "",
        }));
        assert!(
            text.contains(" Containers: 2\n  Running: 1\n Server Version: 1.0\n"),
            "{text}"
        );
        assert!(
            text.contains("  seccomp\n   Profile: builtin\n  cgroupns\n"),
            "{text}"
        );
        assert!(text.contains(" CPUs: 2\n Total Memory: 1GiB\n"), "{text}");
    }
}

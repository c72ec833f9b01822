//! `slipway version`.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use crate::app::App;
use crate::engine::Query;
use crate::failure::Failure;
use crate::format::template::Template;
use crate::output;

/// `slipway version`.
#[derive(Debug, Args)]
pub(crate) struct Version {
    /// Print this, such as '{{.Server.Version}}'
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
}

impl Version {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let as_json = app.json || self.format.as_deref() == Some("json");
        let template = match self.format.as_deref() {
            Some(format) if !as_json => Some(Template::parse(format).map_err(Failure::usage)?),
            _ => None,
        };
        let client = json!({
            "Version": env!("CARGO_PKG_VERSION"),
            "ApiVersion": "1.51",
            "Os": std::env::consts::OS,
            "Arch": std::env::consts::ARCH,
        });
        // The client's own version is printed even when there is no engine to ask.
        let (server, failure) = match server(app).await {
            Ok(server) => (server, None),
            Err(failure) => (Value::Null, Some(failure)),
        };
        let all = json!({"Client": client, "Server": server});
        if as_json {
            output::json(&all);
        } else if let Some(template) = template {
            output::line(&template.render(&all).map_err(Failure::new)?);
        } else {
            output::out(render(&all).as_bytes());
        }
        failure.map_or(Ok(()), Err)
    }
}

async fn server(app: &App) -> Result<Value, Failure> {
    let engine = app.engine().await?;
    Ok(engine.get("/version", &Query::new()).await?)
}

fn render(all: &Value) -> String {
    let mut text = String::new();
    for part in ["Client", "Server"] {
        let Some(fields) = all.get(part).filter(|value| value.is_object()) else {
            continue;
        };
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "{part}: Slipway");
        let of = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or("");
        let minimum = match of("MinAPIVersion") {
            "" => String::new(),
            minimum => format!(" (minimum version {minimum})"),
        };
        for (title, value) in [
            ("Version", of("Version").to_owned()),
            ("API version", format!("{}{minimum}", of("ApiVersion"))),
            ("Git commit", of("GitCommit").to_owned()),
            ("OS/Arch", format!("{}/{}", of("Os"), of("Arch"))),
            ("Kernel", of("KernelVersion").to_owned()),
        ] {
            if !value.is_empty() {
                let title = format!("{title}:");
                let _ = writeln!(text, " {title:<19}{value}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides() {
        let text = render(&json!({
            "Client": {"Version": "1", "ApiVersion": "1.51", "Os": "linux", "Arch": "x86_64"},
            "Server": {"Version": "2", "ApiVersion": "1.51", "MinAPIVersion": "1.24",
                       "Os": "linux", "Arch": "amd64", "KernelVersion": "6.12"},
        }));
        assert!(
            text.contains("\nServer: Slipway\n Version:           2\n"),
            "{text}"
        );
        assert!(
            text.contains(" API version:       1.51 (minimum version 1.24)\n"),
            "{text}"
        );
        let alone = render(&json!({"Client": {"Version": "1"}, "Server": null}));
        assert!(!alone.contains("Server"), "{alone}");
    }
}

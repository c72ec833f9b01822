//! `slipway diagnose`: what someone needs to know who is asked why it does not work. It starts
//! nothing.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use client::{Client, Error, Home};

use crate::app::App;
use crate::failure::Failure;
use crate::output;

/// How long slipwayd may take for its report.
const PATIENCE: Duration = Duration::from_secs(20);

/// `slipway diagnose`.
#[derive(Debug, Args)]
pub(crate) struct Diagnose {
    /// Write this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Diagnose {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let home = app.home()?;
        let client = Client::new(&home);
        // A service that hangs is the very thing to report.
        let service = tokio::time::timeout(PATIENCE, client.diagnose()).await;
        let report = report(&home, service.ok());
        if app.json {
            output::json(&serde_json::json!({ "report": report }));
        } else if let Some(path) = &self.output {
            std::fs::write(path, &report).map_err(|error| Failure::file("write", path, &error))?;
            output::line(&format!("The report is in {}.", path.display()));
        } else {
            output::out(report.as_bytes());
        }
        Ok(())
    }
}

fn report(home: &Home, service: Option<Result<String, Error>>) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "slipway {}", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(
        text,
        "system: {} {}",
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    let _ = writeln!(text, "home: {}", home.root().display());
    let _ = writeln!(text, "endpoint: {}", home.endpoint());
    if let Err(error) = home.endpoint().check() {
        let _ = writeln!(text, "endpoint's problem: {error}");
    }
    match client::service_program() {
        Ok(path) => {
            let _ = writeln!(text, "slipwayd: {}", path.display());
        }
        Err(error) => {
            let _ = writeln!(text, "slipwayd: {error}");
        }
    }
    match service {
        Some(Ok(report)) => {
            let _ = writeln!(text, "\n== slipwayd's report ==\n{}", report.trim_end());
        }
        Some(Err(error)) => {
            let problem = error.to_problem();
            let cause = problem
                .cause
                .map(|cause| format!(" ({cause})"))
                .unwrap_or_default();
            let _ = writeln!(text, "slipwayd does not answer: {}{cause}", problem.message);
            logs(home, &mut text);
        }
        None => {
            let _ = writeln!(
                text,
                "slipwayd does not answer: it has said nothing for {} s",
                PATIENCE.as_secs()
            );
            logs(home, &mut text);
        }
    }
    text
}

/// What was written down, when nobody can be asked.
fn logs(home: &Home, text: &mut String) {
    for (name, path) in [
        ("slipwayd's log", home.service_log()),
        ("slipwayd's last words", home.service_stderr()),
        ("the machine's console", home.console_log()),
    ] {
        if let Ok(bytes) = std::fs::read(&path) {
            let _ = writeln!(text, "\n== {name}: {} ==\n{}", path.display(), tail(&bytes));
        }
    }
}

/// The last hundred lines.
fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(100)..].join("\n")
}

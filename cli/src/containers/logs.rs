//! `slipway logs`.

use clap::Args;

use super::details;
use crate::app::App;
use crate::engine::stdcopy::Source;
use crate::engine::{Query, segment};
use crate::failure::Failure;
use crate::output;
use crate::session;

/// `slipway logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on as long as the container runs
    #[arg(short, long)]
    follow: bool,
    /// From this time on: 2026-01-02T13:23:37Z, or 42m for the last 42 minutes
    #[arg(long, value_name = "TIME", value_parser = crate::system::events::time)]
    since: Option<String>,
    /// Until this time: 2026-01-02T13:23:37Z, or 42m for 42 minutes ago
    #[arg(long, value_name = "TIME", value_parser = crate::system::events::time)]
    until: Option<String>,
    /// Print this many lines from the end
    #[arg(short = 'n', long, value_name = "NUMBER", default_value = "all")]
    tail: String,
    /// Print the time before each line
    #[arg(short, long)]
    timestamps: bool,
    /// Print what the log driver adds
    #[arg(long)]
    details: bool,
    /// Its name or id
    container: String,
}

impl Logs {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let container = details(&engine, &self.container).await?;
        let query = Query::new()
            .set("stdout", 1)
            .set("stderr", 1)
            .opt("since", self.since.as_ref())
            .opt("until", self.until.as_ref())
            .flag("timestamps", self.timestamps || app.json)
            .flag("follow", self.follow)
            .flag("details", self.details)
            .set("tail", &self.tail);
        let path = format!("/containers/{}/logs", segment(&container.id));
        let response = engine.open(&path, &query).await?;
        let tty = container.config.tty;
        if app.json {
            let mut lines = JsonLines::default();
            let body = response.into_body();
            session::copy_body(body, tty, |source, piece| lines.feed(source, piece)).await?;
            lines.finish();
            return Ok(());
        }
        session::copy_body(response.into_body(), tty, |source, piece| match source {
            Source::Stdout => output::out(piece),
            Source::Stderr | Source::System => output::err(piece),
        })
        .await
    }
}

/// Makes a JSON line of each line of a log.
#[derive(Debug, Default)]
struct JsonLines {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl JsonLines {
    fn feed(&mut self, source: Source, piece: &[u8]) {
        let (name, buffer) = match source {
            Source::Stdout => ("stdout", &mut self.stdout),
            Source::Stderr | Source::System => ("stderr", &mut self.stderr),
        };
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            buffer.extend_from_slice(part);
            if buffer.last() == Some(&b'\n') {
                output::json(&item(name, &std::mem::take(buffer)));
            }
        }
    }

    fn finish(&mut self) {
        for (name, rest) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !rest.is_empty() {
                output::json(&item(name, rest));
            }
        }
    }
}

fn item(stream: &str, line: &[u8]) -> serde_json::Value {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_end_matches(['\n', '\r']);
    let (time, log) = line.split_once(' ').unwrap_or((line, ""));
    serde_json::json!({"stream": stream, "time": time, "log": log})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_time_and_stream() {
        assert_eq!(
            item("stderr", b"2026-01-02T03:04:05.6Z two words\r\n"),
            serde_json::json!({"stream": "stderr", "time": "2026-01-02T03:04:05.6Z", "log": "two words"})
        );
    }
}

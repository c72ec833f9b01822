//! `slipway machine logs`.

use clap::Args;
use client::{Client, Error, TextLines};

use crate::app::App;
use crate::failure::Failure;
use crate::output;

/// `slipway machine logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on as the console says more
    #[arg(short, long)]
    follow: bool,
    /// Print this many lines from the end
    #[arg(short = 'n', long, value_name = "NUMBER")]
    tail: Option<usize>,
}

impl Logs {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let home = app.home()?;
        match Client::new(&home).logs(self.tail, self.follow).await {
            Ok(lines) => self.print(app, lines).await,
            // The log outlives the service that wrote it.
            Err(Error::Connect { .. }) => {
                let path = home.console_log();
                let bytes = std::fs::read(&path)
                    .map_err(|error| Failure::file("read", &path, &error))
                    .map_err(|failure| failure.hint("the machine has never been started here"))?;
                let text = String::from_utf8_lossy(&bytes);
                let lines: Vec<&str> = text.lines().collect();
                let from = lines.len().saturating_sub(self.tail.unwrap_or(usize::MAX));
                lines[from..].iter().for_each(|line| print_line(app, line));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn print(&self, app: &App, mut lines: TextLines) -> Result<(), Failure> {
        while let Some(line) = lines.next().await {
            print_line(app, &line?);
        }
        Ok(())
    }
}

fn print_line(app: &App, line: &str) {
    if app.json {
        output::json(&serde_json::json!({"line": line}));
    } else {
        output::line(line);
    }
}

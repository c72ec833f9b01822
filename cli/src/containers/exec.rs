//! `slipway exec`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{details, exit};
use crate::app::App;
use crate::engine::{Engine, Query, models, segment};
use crate::failure::Failure;
use crate::output;
use crate::run::env;
use crate::session::{self, End, Keys, Streams, Target};
use crate::terminal;

/// Shown below the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  slipway exec -it web sh
  slipway exec web cat /etc/hostname
  slipway exec -e A=1 -w /tmp web env

Ends with the command's exit code.";

/// How long to wait before asking again whether a command has ended.
const AGAIN: Duration = Duration::from_millis(20);

/// `slipway exec`.
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Run it in the background
    #[arg(short, long)]
    detach: bool,
    /// Keep standard input open
    #[arg(short, long)]
    interactive: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    tty: bool,
    /// Set an environment variable; without a value, this shell's is taken
    #[arg(short, long, value_name = "KEY[=VALUE]", value_parser = env::variable)]
    env: Vec<String>,
    /// Read environment variables from a file of KEY=VALUE lines
    #[arg(long, value_name = "FILE")]
    env_file: Vec<std::path::PathBuf>,
    /// Run as this user: NAME or UID, and a group after a colon
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Give the command all rights
    #[arg(long)]
    privileged: bool,
    /// Keys that detach and leave the command running
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    detach_keys: Keys,
    /// The container, then the command
    #[arg(value_name = "CONTAINER COMMAND", required = true, num_args = 2.., trailing_var_arg = true)]
    words: Vec<String>,
}

impl Exec {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let [container, command @ ..] = self.words.as_slice() else {
            return Err(Failure::usage("exec needs a container and a command"));
        };
        let mut variables = Vec::new();
        for file in &self.env_file {
            variables.extend(env::read_file(file, true).map_err(Failure::new)?);
        }
        variables.extend(self.env.iter().cloned());
        let engine = app.engine().await?;
        // A container that does not exist is said first.
        details(&engine, container).await?;
        if !self.detach {
            session::check_tty(self.interactive, self.tty)?;
        }
        let size = if self.tty { terminal::size() } else { None };
        let console = size.map(|(rows, columns)| json!([rows, columns]));
        let body = json!({
            "AttachStdin": self.interactive && !self.detach,
            "AttachStdout": !self.detach,
            "AttachStderr": !self.detach,
            "Tty": self.tty,
            "ConsoleSize": console,
            "Cmd": command,
            "Env": variables,
            "User": self.user.as_deref().unwrap_or_default(),
            "WorkingDir": self.workdir.as_deref().unwrap_or_default(),
            "Privileged": self.privileged,
        });
        let path = format!("/containers/{}/exec", segment(container));
        let created: models::Created = engine.post(&path, &Query::new(), &body).await?;
        let start = json!({"Detach": self.detach, "Tty": self.tty, "ConsoleSize": console});
        if self.detach {
            let path = format!("/exec/{}/start", segment(&created.id));
            engine.post_json(&path, &Query::new(), &start).await?;
            return Ok(());
        }
        self.attached(&engine, &created.id, &start).await
    }

    async fn attached(&self, engine: &Engine, id: &str, start: &Value) -> Result<(), Failure> {
        let path = format!("/exec/{}/start", segment(id));
        let connection = engine.hijack(&path, &Query::new(), Some(start)).await?;
        let resizer = (self.tty && output::out_is_terminal())
            .then(|| session::follow_size(engine, Target::Exec(id.to_owned())));
        let streams = Streams {
            stdin: self.interactive,
            tty: self.tty,
            keys: self.detach_keys.clone(),
        };
        let end = session::pump(connection, streams).await?;
        if let Some(resizer) = resizer {
            resizer.abort();
        }
        if end == End::Detached {
            return Ok(());
        }
        exit(exit_code(engine, id).await?)
    }
}

/// The command's exit code. Its output may end before it does: then it is asked for again.
async fn exit_code(engine: &Engine, id: &str) -> Result<i64, Failure> {
    let path = format!("/exec/{}/json", segment(id));
    loop {
        let details: models::ExecDetails = engine.get(&path, &Query::new()).await?;
        match details.exit_code {
            Some(code) if !details.running => return Ok(code),
            _ => tokio::time::sleep(AGAIN).await,
        }
    }
}

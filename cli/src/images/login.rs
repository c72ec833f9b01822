//! `slipway login` and `logout`.

use std::io::BufRead;

use clap::Args;
use serde_json::Value;

use super::credentials::{self, Credentials};
use crate::app::App;
use crate::engine::Query;
use crate::failure::Failure;
use crate::output;

/// `slipway login`.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Name of the user
    #[arg(short, long)]
    username: Option<String>,
    /// The password; better read from standard input
    #[arg(short, long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// The registry, Docker Hub unless said otherwise
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

impl Login {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let server = credentials::key(self.server.as_deref());
        let username = match self.username {
            Some(name) => name,
            None if output::in_is_terminal() && !self.password_stdin => line("Username: ")?,
            None => return Err(Failure::usage("--username is needed here")),
        };
        let password = match self.password {
            Some(password) => password,
            None if self.password_stdin || !output::in_is_terminal() => line("")?,
            None => {
                return Err(Failure::usage("no password was given")
                    .hint("feed it: slipway login -u NAME --password-stdin < FILE"));
            }
        };
        let mut kept = Credentials {
            username,
            password,
            identity: String::new(),
        };
        let engine = app.engine().await?;
        let answer: Value = engine
            .post("/auth", &Query::new(), &kept.document(&server))
            .await?;
        let token = answer["IdentityToken"].as_str().unwrap_or_default();
        if !token.is_empty() {
            token.clone_into(&mut kept.identity);
            kept.password.clear();
        }
        credentials::keep(&server, &kept)?;
        output::line(answer["Status"].as_str().unwrap_or("Login Succeeded"));
        Ok(())
    }
}

/// Asks for a line.
fn line(question: &str) -> Result<String, Failure> {
    output::err(question.as_bytes());
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut text)
        .map_err(|error| {
            Failure::new("reading standard input failed").because(error.to_string())
        })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// `slipway logout`.
#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// The registry, Docker Hub unless said otherwise
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

impl Logout {
    pub(crate) fn act(self) -> Result<(), Failure> {
        let server = credentials::key(self.server.as_deref());
        if credentials::forget(&server)? {
            output::line(&format!("Removing login credentials for {server}"));
        } else {
            output::line(&format!("Not logged in to {server}"));
        }
        Ok(())
    }
}

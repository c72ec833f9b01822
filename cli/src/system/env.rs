//! `slipway env`: how docker, compose and SDKs find Slipway's engine.

use clap::{Args, ValueEnum};
use client::Endpoint;

use crate::app::App;
use crate::failure::Failure;
use crate::output;

/// How variables are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// bash, zsh and other Bourne shells
    Sh,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// Windows' cmd
    Cmd,
}

/// `slipway env`.
#[derive(Debug, Args)]
pub(crate) struct Env {
    /// Write for this shell
    #[arg(long, value_enum)]
    shell: Option<Shell>,
}

impl Env {
    pub(crate) fn act(self, app: &App) -> Result<(), Failure> {
        let endpoint = app.endpoint()?;
        let shell = self.shell.unwrap_or_else(|| usual(&endpoint));
        let endpoint = endpoint.to_string();
        if app.json {
            output::json(&serde_json::json!({"DOCKER_HOST": endpoint}));
            return Ok(());
        }
        output::line(&setting(shell, &endpoint));
        if output::out_is_terminal() {
            output::note(match shell {
                Shell::Sh => "# Run this in your shell: eval \"$(slipway env)\"",
                Shell::Fish => "# Run this in your shell: slipway env --shell fish | source",
                Shell::Powershell => {
                    "# Run this in your shell: slipway env --shell powershell | Invoke-Expression"
                }
                Shell::Cmd => "rem Run the line above in your shell",
            });
        }
        Ok(())
    }
}

/// The shell that people have where the endpoint is of this kind.
fn usual(endpoint: &Endpoint) -> Shell {
    let fish = std::env::var("SHELL").is_ok_and(|shell| shell.ends_with("/fish"));
    match endpoint {
        Endpoint::Pipe(_) => Shell::Powershell,
        Endpoint::Unix(_) if fish => Shell::Fish,
        Endpoint::Unix(_) => Shell::Sh,
    }
}

fn setting(shell: Shell, endpoint: &str) -> String {
    match shell {
        Shell::Sh => format!("export DOCKER_HOST='{}'", endpoint.replace('\'', r"'\''")),
        Shell::Fish => format!(
            "set -gx DOCKER_HOST '{}'",
            endpoint.replace('\\', r"\\").replace('\'', r"\'")
        ),
        Shell::Powershell => format!("$Env:DOCKER_HOST = '{}'", endpoint.replace('\'', "''")),
        Shell::Cmd => format!("set \"DOCKER_HOST={endpoint}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_each_shells_own() {
        let endpoint = "unix:///home/o'hara/docker.sock";
        assert_eq!(
            setting(Shell::Sh, endpoint),
            r"export DOCKER_HOST='unix:///home/o'\''hara/docker.sock'"
        );
        assert_eq!(
            setting(Shell::Powershell, endpoint),
            "$Env:DOCKER_HOST = 'unix:///home/o''hara/docker.sock'"
        );
    }
}

//! `slipway completions`.

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::Failure;
use crate::output;

/// Shells for which completions are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// For bash: source <(slipway completions bash)
    Bash,
    /// For zsh: slipway completions zsh > "${fpath[1]}/_slipway"
    Zsh,
    /// For fish: slipway completions fish > ~/.config/fish/completions/slipway.fish
    Fish,
    /// For PowerShell: slipway completions powershell | Out-String | Invoke-Expression
    Powershell,
}

/// `slipway completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Name,
}

impl Completions {
    pub(crate) fn act(self) -> Result<(), Failure> {
        let shell = match self.shell {
            Name::Bash => Shell::Bash,
            Name::Zsh => Shell::Zsh,
            Name::Fish => Shell::Fish,
            Name::Powershell => Shell::PowerShell,
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "slipway", &mut script);
        output::out(&script);
        Ok(())
    }
}

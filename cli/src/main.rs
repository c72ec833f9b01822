//! The `slipway` command.

mod app;
mod args;
mod booleans;
mod containers;
mod engine;
mod failure;
mod format;
mod images;
mod machine;
mod networks;
mod output;
mod progress;
mod pruned;
mod question;
mod run;
mod session;
mod system;
mod terminal;
mod volumes;

use clap::Parser;
use clap::error::ErrorKind;

use app::App;
use args::Cli;
use failure::Failure;

fn main() {
    let code = match Cli::try_parse_from(booleans::plain(std::env::args_os())) {
        Ok(cli) => match execute(cli) {
            Ok(()) => 0,
            Err(failure) => {
                output::err(failure.render().as_bytes());
                failure.code
            }
        },
        Err(error) => refuse(&error),
    };
    terminal::restore();
    // A read of standard input may still wait in a thread of its own; nothing waits for it.
    std::process::exit(i32::from(code));
}

fn execute(cli: Cli) -> Result<(), Failure> {
    // Two threads: output that waits for a slow reader must not hold up input.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new("cannot start the runtime").because(error.to_string()))?;
    let outcome = runtime.block_on(cli.verb.act(App::new(cli.global)));
    runtime.shutdown_background();
    outcome
}

/// Prints help, a version, or what is wrong with the command line.
fn refuse(error: &clap::Error) -> u8 {
    let text = error.render();
    if !error.use_stderr() {
        let text = if output::out_is_terminal() {
            text.ansi().to_string()
        } else {
            text.to_string()
        };
        output::out(text.as_bytes());
        return 0;
    }
    let text = if output::err_is_terminal() {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    output::err(text.as_bytes());
    let missing = matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    // Docker ends these with 125 for a flag that it can't make sense of, too.
    if makes_a_container(std::env::args().skip(1)) && !missing {
        failure::NOT_RUN
    } else {
        failure::USAGE
    }
}

/// Whether the first word that is not a global flag is `run` or `create`.
fn makes_a_container(mut words: impl Iterator<Item = String>) -> bool {
    while let Some(word) = words.next() {
        if word == "--host" {
            words.next();
        } else if !word.starts_with('-') {
            return matches!(word.as_str(), "run" | "create");
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_found_behind_global_flags() {
        let run = |words: &str| makes_a_container(words.split(' ').map(str::to_owned));
        assert!(run("run --bad"));
        assert!(run("--json --host unix:///x run"));
        assert!(!run("--host run ps"));
        assert!(!run("ps run"));
    }
}

//! `cargo xtask`: set-up, build, image, run, test, bench. All automation lives here, in Rust.

mod applications;
mod arch;
mod bench;
mod build;
mod clients;
mod computer;
mod cross;
mod elf;
mod fuzz;
mod image;
mod package;
mod packages;
mod peers;
mod progress;
mod project;
mod run;
mod setup;
mod test;
mod wine;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use project::Project;

/// Slipway's automation.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing on this machine
    Setup,
    /// Build every program and the window
    Build,
    /// Build the machine's image: kernel, root and manifest
    Image(image::Options),
    /// Build everything, start the machine, run a container, open the window
    Run(run::Options),
    /// Run every test
    Test(test::Options),
    /// Build the package that people install
    Package,
    /// Try inputs that nobody would make
    Fuzz(fuzz::Options),
    /// Measure against a peer
    Bench(bench::Options),
    /// Check that the host's programs compile elsewhere
    Check(cross::Options),
    /// Run a command in an emulated computer that has KVM and vsock
    Computer(computer::Options),
}

fn main() -> ExitCode {
    match dispatch(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            progress::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<ExitCode> {
    let project = Project::find()?;
    let done = match arguments.command {
        Command::Setup => setup::command(&project),
        Command::Build => {
            setup::system(&[setup::Need::Build, setup::Need::Window])?;
            setup::page(&project)?;
            build::everything(&project)
        }
        Command::Run(options) => run::command(&project, &options),
        Command::Test(options) => test::command(&project, &options),
        Command::Fuzz(options) => fuzz::command(&project, &options),
        Command::Bench(options) => bench::command(&project, &options),
        Command::Check(options) => cross::command(&project, &options),
        Command::Package => {
            setup::system(&[setup::Need::Build, setup::Need::Window, setup::Need::Image])?;
            setup::page(&project)?;
            package::command(&project).map(drop)
        }
        Command::Image(options) => {
            let project = options.of(&project);
            setup::system(&[setup::Need::Build, setup::Need::Image])?;
            image::command(&project, &options)
        }
        Command::Computer(options) => return computer::command(&project, &options),
    };
    done.map(|()| ExitCode::SUCCESS)
}

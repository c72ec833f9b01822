//! The command line: every verb, its place in the help, and who does it.

use clap::{Args, Parser, Subcommand};

use crate::app::App;
use crate::failure::Failure;
use crate::{containers, images, machine, networks, system, volumes};

const EXAMPLES: &str = "\
Examples:
  slipway run --rm slipway/hello            Run a container from the image that comes along
  slipway run -it --rm busybox sh           A shell in a new container
  slipway run -d --name web -p 8080:80 nginx
  echo hello | slipway run --rm -i busybox wc -c
  slipway ps -a                             All containers, ended ones too
  slipway logs -f web                       Follow what a container says
  slipway exec -it web sh                   A shell in a running container
  slipway volume backup db --pause          A volume's files as db.tar.zst
  slipway status                            The machine's state
  eval \"$(slipway env)\"                     Let docker, compose and SDKs talk to Slipway

Exit codes: 0 done, 1 failed, 2 not understood. `run` and `exec` end with the container's own
code; `run` with 125 when the container could not be made or started, 126 when its command can't
be executed, 127 when the command was not found.

Environment:
  SLIPWAY_HOME      The folder that holds all of Slipway's state
  SLIPWAY_HOST      Speak to this Engine API instead of Slipway's machine (as --host)
  SLIPWAY_SLIPWAYD  The host service's program, if it is not beside this one";

/// Runs Linux containers on this computer.
///
/// Commands that need the machine start it. They take the same arguments as docker's and print
/// the same tables.
#[derive(Debug, Parser)]
#[command(name = "slipway", version, after_help = EXAMPLES, max_term_width = 100,
          propagate_version = false, disable_help_subcommand = false)]
pub(crate) struct Cli {
    /// What all verbs share.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What all verbs share.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Global {
    /// Print JSON: one document, or one line an item
    #[arg(long, global = true, display_order = 900)]
    pub(crate) json: bool,
    /// Speak to this Engine API (unix:///…) instead of Slipway's machine
    #[arg(long, global = true, value_name = "ENDPOINT", display_order = 901)]
    pub(crate) host: Option<String>,
}

/// The verbs, in the order of the help.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a container from an image and run it
    #[command(disable_help_flag = true, override_usage = "slipway run [OPTIONS] IMAGE [COMMAND] [ARG...]",
              after_help = containers::run::EXAMPLES)]
    Run(Box<containers::run::Run>),
    /// Make a container without starting it
    #[command(
        disable_help_flag = true,
        override_usage = "slipway create [OPTIONS] IMAGE [COMMAND] [ARG...]"
    )]
    Create(Box<containers::create::Create>),
    /// Start stopped containers
    Start(containers::start::Start),
    /// Stop running containers
    Stop(containers::act::Stop),
    /// Stop containers and start them again
    Restart(containers::act::Restart),
    /// Send a signal to containers, SIGKILL unless said otherwise
    Kill(containers::act::Kill),
    /// Freeze all processes of containers
    Pause(containers::act::Pause),
    /// Let paused containers go on
    Unpause(containers::act::Unpause),
    /// Give a container another name
    Rename(containers::act::Rename),
    /// Remove containers
    #[command(visible_alias = "remove")]
    Rm(containers::rm::Rm),
    /// List containers
    #[command(visible_alias = "list")]
    Ps(containers::ps::Ps),
    /// Print what a container has said
    Logs(containers::logs::Logs),
    /// Connect this terminal to a running container
    Attach(containers::attach::Attach),
    /// Run a command in a running container
    #[command(override_usage = "slipway exec [OPTIONS] CONTAINER COMMAND [ARG...]",
              after_help = containers::exec::EXAMPLES)]
    Exec(containers::exec::Exec),
    /// Print all that is known of containers or images, as JSON
    Inspect(containers::inspect::Inspect),
    /// Wait until containers end, and print their exit codes
    Wait(containers::wait::Wait),
    /// List the processes of a container
    Top(containers::top::Top),
    /// Copy files between this computer and a container
    #[command(
        override_usage = "slipway cp [OPTIONS] CONTAINER:SOURCE DESTINATION|-\n       slipway cp [OPTIONS] SOURCE|- CONTAINER:DESTINATION"
    )]
    Cp(containers::cp::Cp),
    /// List what a container has changed in its image's files
    Diff(containers::diff::Diff),
    /// Write all files of a container to an archive
    Export(containers::export::Export),
    /// Make an image of a container
    Commit(containers::commit::Commit),
    /// Show what containers use of processors, memory, network and disks
    Stats(containers::stats::Stats),
    /// Change what containers may use, while they run
    Update(Box<containers::update::Update>),
    /// List images
    Images(images::list::Images),
    /// Get an image from a registry
    Pull(images::pull::Pull),
    /// Send an image to a registry
    Push(images::push::Push),
    /// Remove images
    Rmi(images::remove::Rmi),
    /// Give an image another name
    Tag(images::tag::Tag),
    /// Read images from an archive
    Load(images::load::Load),
    /// Write images to an archive
    Save(images::save::Save),
    /// Make an image of an archive of files
    Import(images::import::Import),
    /// Show the steps that an image was made in
    History(images::history::History),
    /// Look for images in a registry
    Search(images::search::Search),
    /// Prove to a registry who you are, and keep that where docker does
    Login(images::login::Login),
    /// Forget who you are to a registry
    Logout(images::login::Logout),
    /// Images: all of the above, their versions, their files, registries
    #[command(subcommand)]
    Image(images::group::Image),
    /// Manifests in registries: what a name stands for, and one name for several platforms
    #[command(subcommand)]
    Manifest(images::manifest::Manifest),
    /// Volumes: files that outlive containers, their backups and copies
    #[command(subcommand)]
    Volume(volumes::Volume),
    /// Networks between containers
    #[command(subcommand)]
    Network(networks::Network),
    /// Check what Slipway keeps
    #[command(subcommand)]
    Doctor(images::doctor::Doctor),
    /// Start, stop and look at the machine that the containers run in
    #[command(subcommand, visible_alias = "vm")]
    Machine(machine::Machine),
    /// Show the machine's state
    Status(machine::status::StatusArgs),
    /// Write a report for finding out what is wrong
    Diagnose(machine::diagnose::Diagnose),
    /// Print the settings that make docker and others talk to Slipway
    Env(system::env::Env),
    /// Follow what happens to containers and images
    Events(system::events::Events),
    /// Print the engine's state
    Info(system::info::Info),
    /// Print the versions of this command and of the engine
    Version(system::version::Version),
    /// Print completions for a shell
    Completions(system::completions::Completions),
}

impl Verb {
    /// Does it.
    pub(crate) async fn act(self, app: App) -> Result<(), Failure> {
        match self {
            Self::Run(verb) => verb.act(&app).await,
            Self::Create(verb) => verb.act(&app).await,
            Self::Start(verb) => verb.act(&app).await,
            Self::Stop(verb) => verb.act(&app).await,
            Self::Restart(verb) => verb.act(&app).await,
            Self::Kill(verb) => verb.act(&app).await,
            Self::Pause(verb) => verb.act(&app).await,
            Self::Unpause(verb) => verb.act(&app).await,
            Self::Rename(verb) => verb.act(&app).await,
            Self::Rm(verb) => verb.act(&app).await,
            Self::Ps(verb) => verb.act(&app).await,
            Self::Logs(verb) => verb.act(&app).await,
            Self::Attach(verb) => verb.act(&app).await,
            Self::Exec(verb) => verb.act(&app).await,
            Self::Inspect(verb) => verb.act(&app).await,
            Self::Wait(verb) => verb.act(&app).await,
            Self::Top(verb) => verb.act(&app).await,
            Self::Cp(verb) => verb.act(&app).await,
            Self::Diff(verb) => verb.act(&app).await,
            Self::Export(verb) => verb.act(&app).await,
            Self::Commit(verb) => verb.act(&app).await,
            Self::Stats(verb) => verb.act(&app).await,
            Self::Update(verb) => verb.act(&app).await,
            Self::Images(verb) => verb.act(&app).await,
            Self::Pull(verb) => verb.act(&app).await,
            Self::Push(verb) => verb.act(&app).await,
            Self::Rmi(verb) => verb.act(&app).await,
            Self::Tag(verb) => verb.act(&app).await,
            Self::Load(verb) => verb.act(&app).await,
            Self::Save(verb) => verb.act(&app).await,
            Self::Import(verb) => verb.act(&app).await,
            Self::History(verb) => verb.act(&app).await,
            Self::Search(verb) => verb.act(&app).await,
            Self::Login(verb) => verb.act(&app).await,
            Self::Logout(verb) => verb.act(),
            Self::Image(verb) => verb.act(&app).await,
            Self::Manifest(verb) => verb.act(&app).await,
            Self::Volume(verb) => verb.act(&app).await,
            Self::Network(verb) => verb.act(&app).await,
            Self::Doctor(verb) => verb.act(&app).await,
            Self::Machine(verb) => verb.act(&app).await,
            Self::Status(verb) => verb.act(&app).await,
            Self::Diagnose(verb) => verb.act(&app).await,
            Self::Env(verb) => verb.act(&app),
            Self::Events(verb) => verb.act(&app).await,
            Self::Info(verb) => verb.act(&app).await,
            Self::Version(verb) => verb.act(&app).await,
            Self::Completions(verb) => verb.act(),
        }
    }
}

//! `slipway run`.

use clap::Args;

use super::create::{create, print_id};
use super::{exit, wait};
use crate::app::App;
use crate::engine::{Engine, Query, segment};
use crate::failure::{FAILED, Failure, NOT_EXECUTABLE, NOT_FOUND, NOT_RUN};
use crate::output;
use crate::run::ContainerFlags;
use crate::run::body;
use crate::run::flags::{AttachFlags, Stream};
use crate::session::{self, End, Streams, Target};
use crate::terminal;

/// Shown below the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  slipway run --rm busybox echo hello
  slipway run -it --rm -v .:/work -w /work busybox sh
  slipway run -d --name db -e POSTGRES_PASSWORD=secret -m 512m --cpus 1.5 postgres
  tar c . | slipway run --rm -i busybox tar t

Keys ctrl-p ctrl-q leave a container with a terminal running; `slipway attach` comes back to it.
Exit codes: the container's own; 125 when it could not be made or started, 126 when its command
can't be executed, 127 when the command was not found.";

/// `slipway run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Run in the background and print the container's id
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    attach: AttachFlags,
    #[command(flatten)]
    flags: ContainerFlags,
}

impl Run {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let flags = &self.flags;
        if self.detach && !flags.attach.is_empty() {
            return Err(Failure::new(
                "conflicting options: cannot specify both --attach and --detach",
            )
            .with_code(NOT_RUN));
        }
        let body = body::create(flags, self.detach, terminal::size())
            .map_err(|error| Failure::new(error).with_code(NOT_RUN))?;
        if !self.detach {
            session::check_tty(flags.attaches(Stream::Stdin), flags.tty)?;
        }
        let engine = app.engine().await.map_err(not_run)?;
        let id = create(&engine, flags, &body).await.map_err(not_run)?;
        let _forwarder = self
            .attach
            .sig_proxy
            .then(|| session::forward(&engine, &id))
            .flatten();
        let attached = [Stream::Stdin, Stream::Stdout, Stream::Stderr]
            .into_iter()
            .any(|stream| !self.detach && flags.attaches(stream));
        if attached {
            self.attached(&engine, &id).await
        } else {
            start(&engine, &id).await.map_err(not_run)?;
            print_id(app, &id);
            Ok(())
        }
    }

    /// Runs it with this terminal's streams and ends with its exit code.
    async fn attached(&self, engine: &Engine, id: &str) -> Result<(), Failure> {
        let flags = &self.flags;
        let query = Query::new()
            .set("stream", 1)
            .flag("stdin", flags.attaches(Stream::Stdin))
            .flag("stdout", flags.attaches(Stream::Stdout))
            .flag("stderr", flags.attaches(Stream::Stderr));
        let path = format!("/containers/{}/attach", segment(id));
        // Attached and waited for before it starts, so that nothing is missed.
        let connection = engine.hijack(&path, &query, None::<&()>).await?;
        let condition = if flags.rm { "removed" } else { "next-exit" };
        let waiting = wait::begin(engine, id, condition).await?;
        let streams = Streams {
            stdin: flags.attaches(Stream::Stdin),
            tty: flags.tty,
            keys: self.attach.detach_keys.clone(),
        };
        let pump = tokio::spawn(session::pump(connection, streams));
        if let Err(failure) = start(engine, id).await {
            // The terminal must be as it was before anything is printed.
            pump.abort();
            let _ = pump.await;
            if flags.rm {
                let _ = wait::code(waiting).await;
            }
            return Err(not_run(failure));
        }
        let resizer = (flags.tty && output::out_is_terminal())
            .then(|| session::follow_size(engine, Target::Container(id.to_owned())));
        let outcome = finish(pump, waiting).await;
        if let Some(resizer) = resizer {
            resizer.abort();
        }
        outcome
    }
}

/// Waits for the streams, then for the container's end.
///
/// # Errors
/// The container's code, silently; or why the connection broke.
pub(super) async fn finish(
    mut pump: tokio::task::JoinHandle<Result<End, Failure>>,
    waiting: http::Response<hyper::body::Incoming>,
) -> Result<(), Failure> {
    let mut waited = tokio::spawn(wait::code(waiting));
    let code = tokio::select! {
        ended = &mut pump => {
            match ended {
                Ok(Ok(End::Detached)) => return Ok(()),
                Ok(Ok(End::Closed)) => {}
                Ok(Err(failure)) => return Err(failure),
                Err(_) => return Err(Failure::new("the streams ended early")),
            }
            waited.await
        }
        code = &mut waited => {
            // What it said last may still be on the way.
            let _ = pump.await;
            code
        }
    };
    let code = code
        .map_err(|_| Failure::new("waiting for the container ended early"))?
        .map_err(|failure| failure.with_code(NOT_RUN))?;
    exit(code)
}

/// Starts a container.
async fn start(engine: &Engine, id: &str) -> Result<(), Failure> {
    let path = format!("/containers/{}/start", segment(id));
    Ok(engine.act(&path, &Query::new()).await?)
}

/// The exit code that Docker gives for what went wrong before the container ran, by its words.
fn not_run(failure: Failure) -> Failure {
    if failure.code != FAILED {
        return failure;
    }
    let message = failure.message();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let code = if says(&["executable file not found", "no such file or directory"]) {
        NOT_FOUND
    } else if says(&["permission denied", "is a directory"]) {
        NOT_EXECUTABLE
    } else {
        NOT_RUN
    };
    failure.with_code(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_follow_the_words() {
        for (message, code) in [
            ("exec: \"nope\": executable file not found in $PATH", 127),
            ("exec: \"/etc\": is a directory", 126),
            ("exec: \"/etc/passwd\": permission denied", 126),
            ("Conflict. The container name \"/x\" is already in use", 125),
        ] {
            assert_eq!(not_run(Failure::new(message)).code, code, "{message}");
        }
    }
}

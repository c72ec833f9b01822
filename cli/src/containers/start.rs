//! `slipway start`.

use clap::Args;

use super::{Done, details, each, run, wait};
use crate::app::App;
use crate::engine::{Engine, Query, segment};
use crate::failure::Failure;
use crate::output;
use crate::run::flags::AttachFlags;
use crate::session::{self, Streams, Target};

/// `slipway start`.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Attach output and hand on signals; end with the container's code
    #[arg(short, long)]
    attach: bool,
    /// Attach standard input
    #[arg(short, long)]
    interactive: bool,
    #[command(flatten)]
    how: AttachFlags,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Start {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        if self.attach || self.interactive {
            let [name] = self.containers.as_slice() else {
                return Err(Failure::new(
                    "you cannot start and attach multiple containers at once",
                ));
            };
            let engine = app.engine().await?;
            return self.attached(&engine, name).await;
        }
        let engine = app.engine().await?;
        let engine = &engine;
        each(app, &self.containers, |name| async move {
            let started = engine.act(&start_path(&name), &Query::new()).await;
            started.map(|()| Done::Yes)
        })
        .await
    }

    async fn attached(&self, engine: &Engine, name: &str) -> Result<(), Failure> {
        let container = details(engine, name).await?;
        let id = &container.id;
        let tty = container.config.tty;
        let _forwarder = (self.how.sig_proxy && !tty)
            .then(|| session::forward(engine, id))
            .flatten();
        let stdin = self.interactive && container.config.open_stdin;
        session::check_tty(stdin, tty)?;
        let query = Query::new()
            .set("stream", 1)
            .flag("stdin", stdin)
            .set("stdout", 1)
            .set("stderr", 1);
        let path = format!("/containers/{}/attach", segment(id));
        let connection = engine.hijack(&path, &query, None::<&()>).await?;
        let condition = if container.host_config.auto_remove {
            "removed"
        } else {
            "next-exit"
        };
        let waiting = wait::begin(engine, id, condition).await?;
        let streams = Streams {
            stdin,
            tty,
            keys: self.how.detach_keys.clone(),
        };
        let pump = tokio::spawn(session::pump(connection, streams));
        if let Err(error) = engine.act(&start_path(id), &Query::new()).await {
            pump.abort();
            let _ = pump.await;
            return Err(error.into());
        }
        let resizer = (tty && output::out_is_terminal())
            .then(|| session::follow_size(engine, Target::Container(id.clone())));
        let outcome = run::finish(pump, waiting).await;
        if let Some(resizer) = resizer {
            resizer.abort();
        }
        outcome
    }
}

fn start_path(name: &str) -> String {
    format!("/containers/{}/start", segment(name))
}

//! `slipway attach`.

use clap::Args;

use super::{details, run, wait};
use crate::app::App;
use crate::engine::models::ContainerDetails;
use crate::engine::{Query, segment};
use crate::failure::Failure;
use crate::output;
use crate::run::flags::AttachFlags;
use crate::session::{self, Streams, Target};

/// `slipway attach`.
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// Don't attach standard input
    #[arg(long)]
    no_stdin: bool,
    #[command(flatten)]
    how: AttachFlags,
    /// Its name or id
    container: String,
}

impl Attach {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let container = details(&engine, &self.container).await?;
        check(&container)?;
        let id = &container.id;
        let tty = container.config.tty;
        let stdin = !self.no_stdin && container.config.open_stdin;
        session::check_tty(!self.no_stdin, tty)?;
        let waiting = wait::begin(&engine, id, "not-running").await?;
        let _forwarder = (self.how.sig_proxy && !tty)
            .then(|| session::forward(&engine, id))
            .flatten();
        let query = Query::new()
            .set("stream", 1)
            .flag("stdin", stdin)
            .set("stdout", 1)
            .set("stderr", 1);
        let path = format!("/containers/{}/attach", segment(id));
        let connection = engine.hijack(&path, &query, None::<&()>).await?;
        // It may have ended meanwhile: then nothing would ever come.
        check(&details(&engine, id).await?)?;
        let target = Target::Container(id.clone());
        let resizer = if tty && output::out_is_terminal() {
            session::nudge_size(&engine, &target).await;
            Some(session::follow_size(&engine, target))
        } else {
            None
        };
        let streams = Streams {
            stdin,
            tty,
            keys: self.how.detach_keys.clone(),
        };
        let pump = tokio::spawn(session::pump(connection, streams));
        let outcome = run::finish(pump, waiting).await;
        if let Some(resizer) = resizer {
            resizer.abort();
        }
        outcome
    }
}

fn check(container: &ContainerDetails) -> Result<(), Failure> {
    let state = &container.state;
    let refusal = if !state.running {
        "You cannot attach to a stopped container, start it first"
    } else if state.paused {
        "You cannot attach to a paused container, unpause it first"
    } else if state.restarting {
        "You cannot attach to a restarting container, wait until it is running"
    } else {
        return Ok(());
    };
    Err(Failure::new(refusal))
}

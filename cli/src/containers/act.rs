//! Verbs that only ask for something: `stop`, `restart`, `kill`, `pause`, `unpause`, `rename`.

use clap::Args;

use super::{Done, each};
use crate::app::App;
use crate::engine::{Query, segment};
use crate::failure::Failure;
use crate::output;

/// `slipway stop`.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    how: HowToStop,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// `slipway restart`.
#[derive(Debug, Args)]
pub(crate) struct Restart {
    #[command(flatten)]
    how: HowToStop,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// How a container is stopped.
#[derive(Debug, Args)]
struct HowToStop {
    /// Signal to send; the container's own when left out
    #[arg(short, long)]
    signal: Option<String>,
    /// Seconds to wait before killing it; -1 waits without end
    #[arg(
        short = 't',
        long = "timeout",
        alias = "time",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    timeout: Option<i64>,
}

impl HowToStop {
    fn query(&self) -> Query {
        Query::new()
            .opt("signal", self.signal.as_ref())
            .opt("t", self.timeout)
    }
}

/// `slipway kill`.
#[derive(Debug, Args)]
pub(crate) struct Kill {
    /// Signal to send
    #[arg(short, long)]
    signal: Option<String>,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// `slipway pause`.
#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// `slipway unpause`.
#[derive(Debug, Args)]
pub(crate) struct Unpause {
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// `slipway rename`.
#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// Its name or id
    container: String,
    /// Its new name
    name: String,
}

impl Stop {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        ask(app, &self.containers, "stop", &self.how.query()).await
    }
}

impl Restart {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        ask(app, &self.containers, "restart", &self.how.query()).await
    }
}

impl Kill {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let query = Query::new().opt("signal", self.signal.as_ref());
        ask(app, &self.containers, "kill", &query).await
    }
}

impl Pause {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        ask(app, &self.containers, "pause", &Query::new()).await
    }
}

impl Unpause {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        ask(app, &self.containers, "unpause", &Query::new()).await
    }
}

impl Rename {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let path = format!("/containers/{}/rename", segment(&self.container));
        engine
            .act(&path, &Query::new().set("name", &self.name))
            .await?;
        if app.json {
            output::json(&serde_json::json!({"container": self.container, "name": self.name}));
        }
        Ok(())
    }
}

async fn ask(app: &App, containers: &[String], verb: &str, query: &Query) -> Result<(), Failure> {
    let engine = app.engine().await?;
    each(app, containers, |name| {
        let engine = engine.clone();
        async move {
            let path = format!("/containers/{}/{verb}", segment(&name));
            engine.act(&path, query).await.map(|()| Done::Yes)
        }
    })
    .await
}

//! `slipway wait`.

use clap::Args;

use crate::app::App;
use crate::engine::{Engine, Error, Query, json, models, segment};
use crate::failure::Failure;
use crate::output;

/// `slipway wait`.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Wait {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let mut failures = Vec::new();
        for name in &self.containers {
            let waited = match begin(&engine, name, "not-running").await {
                Ok(response) => json::<models::Waited>(response).await,
                Err(error) => Err(error),
            };
            match waited {
                Ok(waited) if app.json => output::json(&serde_json::json!({
                    "container": name,
                    "exit_code": waited.status_code,
                })),
                Ok(waited) => output::line(&waited.status_code.to_string()),
                Err(error) => failures.push(error.into()),
            }
        }
        Failure::all(failures)
    }
}

/// Begins to wait. The engine has taken note of the request when this returns; the answer's body
/// comes when the condition holds.
///
/// # Errors
/// When the engine refuses.
pub(super) async fn begin(
    engine: &Engine,
    name: &str,
    condition: &str,
) -> Result<http::Response<hyper::body::Incoming>, Error> {
    let path = format!("/containers/{}/wait", segment(name));
    let query = Query::new().set("condition", condition);
    engine.send(&path, &query, None).await
}

/// The exit code that a wait brings.
///
/// # Errors
/// When waiting failed.
pub(super) async fn code(response: http::Response<hyper::body::Incoming>) -> Result<i64, Failure> {
    let waited: models::Waited = json(response).await?;
    match waited.error {
        Some(error) if !error.message.is_empty() => {
            Err(Failure::new("waiting for the container failed").because(error.message))
        }
        _ => Ok(waited.status_code),
    }
}

//! The verbs for containers.

pub(crate) mod act;
pub(crate) mod attach;
pub(crate) mod commit;
pub(crate) mod cp;
pub(crate) mod create;
pub(crate) mod diff;
pub(crate) mod exec;
pub(crate) mod export;
pub(crate) mod inspect;
pub(crate) mod logs;
pub(crate) mod ps;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod top;
pub(crate) mod update;
pub(crate) mod wait;

use std::future::Future;

use crate::app::App;
use crate::engine::{self, Engine, Query, models, segment};
use crate::failure::Failure;
use crate::output;

/// What became of one container.
enum Done {
    /// It is done: its name is printed.
    Yes,
    /// There was nothing to do, and why: a note for standard error.
    Nothing(String),
}

/// Does the same to several containers and prints a line for each; all are tried, whatever
/// becomes of the others.
///
/// # Errors
/// What went wrong, all of it.
async fn each<F>(app: &App, names: &[String], one: impl Fn(String) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<Done, engine::Error>>,
{
    let mut failures = Vec::new();
    // All at once, and printed in the order of the command line.
    let done = futures::future::join_all(names.iter().map(|name| one(name.clone()))).await;
    for (name, outcome) in names.iter().zip(done) {
        let outcome = outcome.map_err(Failure::from);
        if app.json {
            let error = outcome.as_ref().err().map(Failure::message);
            output::json(&serde_json::json!({"container": name, "error": error}));
        }
        match outcome {
            Ok(Done::Yes) if app.json => {}
            Ok(Done::Yes) => output::line(name),
            Ok(Done::Nothing(note)) => output::note(&note),
            Err(failure) => failures.push(failure),
        }
    }
    Failure::all(failures)
}

/// What is known of a container.
async fn details(engine: &Engine, name: &str) -> Result<models::ContainerDetails, engine::Error> {
    let path = format!("/containers/{}/json", segment(name));
    engine.get(&path, &Query::new()).await
}

/// A container's exit code as this process's. Codes above 255 don't exist on Linux.
fn exit(code: i64) -> Result<(), Failure> {
    match u8::try_from(code & 0xff).unwrap_or(1) {
        0 => Ok(()),
        code => Err(Failure::silent(code)),
    }
}

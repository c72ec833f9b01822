//! `slipway inspect`: containers and images.

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::app::App;
use crate::engine::{Engine, Query, segment};
use crate::failure::Failure;
use crate::format::template::Template;
use crate::output;

/// `slipway inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Print this for each, such as '{{.State.Status}}'
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Show sizes of containers
    #[arg(short, long)]
    size: bool,
    /// Look for this kind only
    #[arg(long = "type", value_enum, value_name = "KIND")]
    kind: Option<Kind>,
    /// Names or ids
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// What can be inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Containers.
    Container,
    /// Images.
    Image,
}

impl Inspect {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let print = Print::new(app, self.format.as_deref())?;
        let engine = app.engine().await?;
        let mut found = Vec::new();
        let mut failures = Vec::new();
        for name in &self.names {
            match self.find(&engine, name).await {
                Ok(value) => found.push(value),
                Err(failure) => failures.push(failure),
            }
        }
        print.all(&found)?;
        Failure::all(failures)
    }

    async fn find(&self, engine: &Engine, name: &str) -> Result<Value, Failure> {
        if self.kind != Some(Kind::Image) {
            let path = format!("/containers/{}/json", segment(name));
            let query = Query::new().flag("size", self.size);
            match engine.get(&path, &query).await {
                Err(error) if error.is_not_found() && self.kind.is_none() => {}
                outcome => return Ok(outcome?),
            }
        }
        let path = format!("/images/{}/json", segment(name));
        match engine.get(&path, &Query::new()).await {
            Err(error) if error.is_not_found() && self.kind.is_none() => {
                Err(Failure::new(format!("No such object: {name}"))
                    .hint("`slipway ps -a` lists the containers, `slipway images` the images"))
            }
            outcome => Ok(outcome?),
        }
    }
}

/// Prints what the engine says at each of these paths.
///
/// # Errors
/// What it has not found; all else is printed.
pub(crate) async fn each(
    app: &App,
    format: Option<&str>,
    paths: Vec<String>,
    query: &Query,
) -> Result<(), Failure> {
    let print = Print::new(app, format)?;
    let engine = app.engine().await?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for path in paths {
        match engine.get(&path, query).await {
            Ok(value) => found.push(value),
            Err(error) => failures.push(error.into()),
        }
    }
    print.all(&found)?;
    Failure::all(failures)
}

/// How to print.
enum Print {
    Template(Template),
    Json,
    Indented,
}

impl Print {
    fn new(app: &App, format: Option<&str>) -> Result<Self, Failure> {
        Ok(match format {
            _ if app.json => Self::Json,
            Some("json") => Self::Json,
            Some(format) => Self::Template(Template::parse(format).map_err(Failure::usage)?),
            None => Self::Indented,
        })
    }

    fn all(&self, found: &[Value]) -> Result<(), Failure> {
        match self {
            Self::Template(template) => {
                for value in found {
                    output::line(&template.render(value).map_err(Failure::new)?);
                }
            }
            Self::Json => output::json(&found),
            Self::Indented => output::line(&indented(found)),
        }
        Ok(())
    }
}

/// Four spaces a level, as Docker indents.
fn indented(values: &[Value]) -> String {
    use serde::Serialize;
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    match values.serialize(&mut serializer) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

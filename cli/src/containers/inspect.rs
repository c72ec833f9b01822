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
        let as_json = app.json || self.format.as_deref() == Some("json");
        let template = match self.format.as_deref() {
            Some(format) if !as_json => Some(Template::parse(format).map_err(Failure::usage)?),
            _ => None,
        };
        let engine = app.engine().await?;
        let mut found = Vec::new();
        let mut failures = Vec::new();
        for name in &self.names {
            match self.find(&engine, name).await {
                Ok(value) => found.push(value),
                Err(failure) => failures.push(failure),
            }
        }
        if let Some(template) = template {
            for value in &found {
                output::line(&template.render(value).map_err(Failure::new)?);
            }
        } else if as_json {
            output::json(&found);
        } else {
            output::line(&indented(&found));
        }
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

//! `slipway manifest`: what registries have under a name, and a new name over several images.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::credentials::header_for;
use crate::app::App;
use crate::engine::Query;
use crate::failure::Failure;
use crate::format::reference::Reference;
use crate::output;

const PATH: &str = "/slipway/images/manifest";

/// `slipway manifest`.
#[derive(Debug, Subcommand)]
pub(crate) enum Manifest {
    /// Print the manifest or index that a registry has under a name
    Inspect(Inspect),
    /// Make an index over images in registries, and push it: one name for several platforms
    #[command(after_help = EXAMPLES)]
    Create(Create),
}

const EXAMPLES: &str = "\
Examples:
  slipway manifest create host:5000/app:1 host:5000/app:1-amd64 host:5000/app:1-arm64
  slipway manifest create host:5000/app:1 host:5000/app:1 host:5000/app:1-riscv64

A source may be an index itself: all that it names is taken over. Of two images for the same
platform the later stays. What the repository lacks is brought there, also from other registries.";

impl Manifest {
    /// Does it.
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        match self {
            Self::Inspect(verb) => verb.act(app).await,
            Self::Create(verb) => verb.act(app).await,
        }
    }
}

/// `slipway manifest inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Digest, size, kind and platforms instead of the document
    #[arg(short, long)]
    verbose: bool,
    /// The image, as for pull
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    name: String,
}

impl Inspect {
    async fn act(self, app: &App) -> Result<(), Failure> {
        let name = whole(&self.name)?;
        let engine = app.engine().await?.with_credentials(header_for(&name)?);
        let query = Query::new().set("name", &name);
        let mut found: Value = engine.get(PATH, &query).await?;
        let document = found["Document"].take();
        if self.verbose || app.json {
            if let Some(found) = found.as_object_mut() {
                let parsed = serde_json::from_str(document.as_str().unwrap_or_default());
                found.insert("Document".to_owned(), parsed.unwrap_or(document));
            }
            output::json(&found);
        } else {
            output::line(document.as_str().unwrap_or_default().trim_end());
        }
        Ok(())
    }
}

/// `slipway manifest create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The index's name, whose registry it goes to
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
    /// Images or indexes in registries
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<String>,
}

impl Create {
    async fn act(self, app: &App) -> Result<(), Failure> {
        let name = whole(&self.name)?;
        let mut sources = Vec::new();
        for source in &self.sources {
            let source = whole(source)?;
            let auth = header_for(&source)?.unwrap_or_default();
            sources.push(json!({ "Name": source, "Auth": auth }));
        }
        let engine = app.engine().await?.with_credentials(header_for(&name)?);
        let query = Query::new().set("name", &name);
        let body = json!({ "Sources": sources });
        let mut made: Value = engine.post(PATH, &query, &body).await?;
        if app.json {
            made.as_object_mut().map(|made| made.remove("Document"));
            output::json(&made);
            return Ok(());
        }
        let of = &made["Descriptor"];
        for platform in made["Platforms"].as_array().into_iter().flatten() {
            let parts = ["os", "architecture", "variant"].map(|key| platform[key].as_str());
            let parts: Vec<&str> = parts.into_iter().flatten().collect();
            output::line(&parts.join("/"));
        }
        output::line(&format!(
            "{name}: digest: {} size: {}",
            of["digest"].as_str().unwrap_or_default(),
            of["size"]
        ));
        Ok(())
    }
}

/// The name with `latest` when it has neither tag nor digest.
fn whole(name: &str) -> Result<String, Failure> {
    let reference = Reference::parse(name).map_err(Failure::new)?;
    Ok(reference.or_latest().full())
}

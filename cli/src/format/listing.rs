//! What the lists of volumes and networks have in common: ids only, a table, a template, or JSON.

use clap::Args;
use serde_json::Value;

use super::table::Table;
use super::template::Template;
use crate::app::App;
use crate::failure::Failure;
use crate::output;

/// The flags.
#[derive(Debug, Args)]
pub(crate) struct Listing {
    /// Print this for each, such as '{{.Name}}'
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Print only what names each
    #[arg(short, long)]
    quiet: bool,
}

/// A list that can be printed.
pub(crate) struct Items<'a> {
    /// The engine's answer.
    pub(crate) raw: &'a Value,
    /// For each the fields of Docker's templates.
    pub(crate) fields: Vec<Value>,
    /// The field that names each.
    pub(crate) id: &'static str,
    /// Headers and the fields below them.
    pub(crate) columns: &'a [(&'static str, &'static str)],
}

impl Listing {
    /// Prints the list.
    ///
    /// # Errors
    /// A template that can't be filled.
    pub(crate) fn print(&self, app: &App, items: &Items<'_>) -> Result<(), Failure> {
        if app.json {
            output::json(items.raw);
            return Ok(());
        }
        let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
        match self.format.as_deref() {
            // Docker's way: a line an item.
            Some("json") => items.fields.iter().for_each(output::json),
            Some(format) if format != "table" => {
                let template = Template::parse(format).map_err(Failure::usage)?;
                for item in &items.fields {
                    output::line(&template.render(item).map_err(Failure::new)?);
                }
            }
            _ if self.quiet => {
                for item in &items.fields {
                    output::line(&text(item, items.id));
                }
            }
            _ => {
                let header: Vec<&str> = items.columns.iter().map(|(header, _)| *header).collect();
                let mut table = Table::new(&header);
                for item in &items.fields {
                    let cells = items.columns.iter().map(|(_, field)| text(item, field));
                    table.row(cells.collect());
                }
                output::out(table.render().as_bytes());
            }
        }
        Ok(())
    }
}

/// Labels as Docker's templates have them.
pub(crate) fn labels(item: &Value) -> String {
    let all = item["Labels"].as_object();
    let words: Vec<String> = all
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    words.join(",")
}

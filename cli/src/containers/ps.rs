//! `slipway ps`.

use clap::Args;
use serde_json::Value;

use crate::app::App;
use crate::engine::models::ContainerSummary;
use crate::engine::{Error, Query, query_filter};
use crate::failure::Failure;
use crate::format::reference::Reference;
use crate::format::table::Table;
use crate::format::template::Template;
use crate::format::text::{ellipsis, quote, short_id};
use crate::format::{ago, ports, size};
use crate::output;

/// `slipway ps`.
#[derive(Debug, Args)]
pub(crate) struct Ps {
    /// Show all containers, not only those that run
    #[arg(short, long)]
    all: bool,
    /// Show those that hold: status=running, name=web, label=a=b, …
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = query_filter)]
    filter: Vec<(String, String)>,
    /// Print this for each, such as '{{.Names}}'
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Show the container made last, in whatever state
    #[arg(short, long)]
    latest: bool,
    /// Show this many containers made last, in whatever state
    #[arg(short = 'n', long, value_name = "NUMBER")]
    last: Option<u32>,
    /// Don't shorten ids and commands
    #[arg(long)]
    no_trunc: bool,
    /// Print ids only
    #[arg(short, long)]
    quiet: bool,
    /// Show sizes
    #[arg(short, long)]
    size: bool,
}

impl Ps {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let format = self.format.as_deref().filter(|format| *format != "table");
        let as_json = app.json || format == Some("json");
        let template = match format {
            Some(format) if !as_json => Some(Template::parse(format).map_err(Failure::usage)?),
            _ => None,
        };
        let limit = self.last.or(self.latest.then_some(1));
        let query = Query::new()
            .flag("all", self.all)
            .opt("limit", limit)
            .flag("size", self.size)
            .filters(&self.filter);
        let engine = app.engine().await?;
        let containers: Vec<Value> = engine.get("/containers/json", &query).await?;
        if app.json {
            output::json(&containers);
            return Ok(());
        }
        if as_json {
            // Docker's way: a line an item.
            containers.iter().for_each(output::json);
            return Ok(());
        }
        let summaries: Vec<ContainerSummary> = containers
            .iter()
            .map(|value| serde_json::from_value(value.clone()).map_err(Error::Decode))
            .collect::<Result<_, _>>()?;
        if self.quiet {
            for container in &summaries {
                output::line(self.id(container));
            }
            return Ok(());
        }
        if let Some(template) = template {
            for container in &summaries {
                let line = template.render(&self.fields(container));
                output::line(&line.map_err(Failure::new)?);
            }
            return Ok(());
        }
        output::out(self.table(&summaries).as_bytes());
        Ok(())
    }

    fn table(&self, containers: &[ContainerSummary]) -> String {
        let mut header = vec![
            "CONTAINER ID",
            "IMAGE",
            "COMMAND",
            "CREATED",
            "STATUS",
            "PORTS",
            "NAMES",
        ];
        if self.size {
            header.push("SIZE");
        }
        let mut table = Table::new(&header);
        for container in containers {
            let mut row = vec![
                self.id(container).to_owned(),
                self.image(container),
                self.command(container),
                ago::since(container.created),
                container.status.clone(),
                ports::ports(&container.ports),
                self.names(container),
            ];
            if self.size {
                row.push(sizes(container));
            }
            table.row(row);
        }
        table.render()
    }

    /// The fields of Docker's own templates.
    fn fields(&self, container: &ContainerSummary) -> Value {
        let labels: Vec<String> = container
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        serde_json::json!({
            "ID": self.id(container),
            "Image": self.image(container),
            "Command": self.command(container),
            "CreatedAt": container.created,
            "RunningFor": ago::since(container.created),
            "Status": container.status,
            "State": container.state,
            "Ports": ports::ports(&container.ports),
            "Names": self.names(container),
            "Labels": labels.join(","),
            "Size": sizes(container),
        })
    }

    fn id<'a>(&self, container: &'a ContainerSummary) -> &'a str {
        if self.no_trunc {
            &container.id
        } else {
            short_id(&container.id)
        }
    }

    fn image(&self, container: &ContainerSummary) -> String {
        let image = &container.image;
        if image.is_empty() {
            return "<no image>".to_owned();
        }
        if self.no_trunc {
            return image.clone();
        }
        let id = short_id(&container.image_id);
        if !id.is_empty() && short_id(image) == id {
            return id.to_owned();
        }
        match Reference::parse(image) {
            // A digest is left out beside a tag, and instead of one.
            Ok(reference) => Reference {
                digest: None,
                ..reference
            }
            .to_string(),
            Err(_) => image.clone(),
        }
    }

    fn command(&self, container: &ContainerSummary) -> String {
        if self.no_trunc {
            quote(&container.command)
        } else {
            quote(&ellipsis(&container.command, 20))
        }
    }

    fn names(&self, container: &ContainerSummary) -> String {
        let names: Vec<&str> = container
            .names
            .iter()
            .map(|name| name.strip_prefix('/').unwrap_or(name))
            .collect();
        // Names with a slash are links from other containers.
        let own = names.iter().find(|name| !name.contains('/'));
        match own {
            Some(name) if !self.no_trunc => (*name).to_owned(),
            _ => names.join(","),
        }
    }
}

fn sizes(container: &ContainerSummary) -> String {
    let own = size::decimal(container.size_rw);
    if container.size_root_fs > 0 {
        format!("{own} (virtual {})", size::decimal(container.size_root_fs))
    } else {
        own
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_row_is_dockers() {
        let container: ContainerSummary = serde_json::from_value(serde_json::json!({
            "Id": "0123456789abcdef", "Names": ["/web/db", "/db"], "Image": "busybox",
            "ImageID": "sha256:ffff", "Command": "sh -c 'while true; do sleep 1; done'",
            "Created": jiff::Timestamp::now().as_second() - 5, "Ports": [],
            "State": "running", "Status": "Up 4 seconds",
        }))
        .unwrap();
        let ps = Ps {
            all: false,
            filter: Vec::new(),
            format: None,
            latest: false,
            last: None,
            no_trunc: false,
            quiet: false,
            size: false,
        };
        assert_eq!(
            ps.table(&[container]),
            "CONTAINER ID   IMAGE     COMMAND                  CREATED         STATUS         PORTS     NAMES\n\
             0123456789ab   busybox   \"sh -c 'while true; …\"   5 seconds ago   Up 4 seconds             db\n"
        );
        assert!(ps.table(&[]).starts_with(
            "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
        ));
    }
}

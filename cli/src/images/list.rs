//! `slipway images`.

use clap::Args;
use serde_json::Value;

use crate::app::App;
use crate::engine::models::ImageSummary;
use crate::engine::{Error, Query, query_filter};
use crate::failure::Failure;
use crate::format::reference::Reference;
use crate::format::table::Table;
use crate::format::template::Template;
use crate::format::text::short_id;
use crate::format::{ago, size};
use crate::output;

/// `slipway images`.
#[derive(Debug, Args)]
pub(crate) struct Images {
    /// Show intermediate images, too
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Show those that hold: reference=busybox:*, dangling=true, …
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = query_filter)]
    filter: Vec<(String, String)>,
    /// Print this for each, such as '{{.Repository}}:{{.Tag}}'
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Don't shorten ids
    #[arg(long)]
    no_trunc: bool,
    /// Print ids only
    #[arg(short, long)]
    quiet: bool,
    /// Show images of this name only
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

/// A line of the table: one name of one image.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    repository: String,
    tag: String,
    digest: String,
}

impl Images {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let format = self.format.as_deref().filter(|format| *format != "table");
        let as_json = app.json || format == Some("json");
        let template = match format {
            Some(format) if !as_json => Some(Template::parse(format).map_err(Failure::usage)?),
            _ => None,
        };
        let mut filters = self.filter.clone();
        if let Some(name) = &self.name {
            filters.push(("reference".to_owned(), name.clone()));
        }
        let query = Query::new().flag("all", self.all).filters(&filters);
        let engine = app.engine().await?;
        let images: Vec<Value> = engine.get("/images/json", &query).await?;
        if app.json {
            output::json(&images);
            return Ok(());
        }
        if as_json {
            // Docker's way: a line an item.
            images.iter().for_each(output::json);
            return Ok(());
        }
        let summaries: Vec<ImageSummary> = images
            .into_iter()
            .map(|value| serde_json::from_value(value).map_err(Error::Decode))
            .collect::<Result<_, _>>()?;
        if let Some(template) = template {
            for image in &summaries {
                for line in lines(image, self.digests) {
                    let text = template.render(&self.fields(image, &line));
                    output::line(&text.map_err(Failure::new)?);
                }
            }
        } else if self.quiet {
            for image in &summaries {
                for _ in lines(image, self.digests) {
                    output::line(self.id(image));
                }
            }
        } else {
            output::out(self.table(&summaries).as_bytes());
        }
        Ok(())
    }

    fn table(&self, images: &[ImageSummary]) -> String {
        let mut header = vec!["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"];
        if self.digests {
            header.insert(2, "DIGEST");
        }
        let mut table = Table::new(&header);
        for image in images {
            for line in lines(image, self.digests) {
                let mut row = vec![
                    line.repository,
                    line.tag,
                    self.id(image).to_owned(),
                    created(image),
                    size::decimal(image.size),
                ];
                if self.digests {
                    row.insert(2, line.digest);
                }
                table.row(row);
            }
        }
        table.render()
    }

    fn fields(&self, image: &ImageSummary, line: &Line) -> Value {
        serde_json::json!({
            "Repository": line.repository,
            "Tag": line.tag,
            "Digest": line.digest,
            "ID": self.id(image),
            "CreatedSince": created(image),
            "CreatedAt": image.created,
            "Size": size::decimal(image.size),
        })
    }

    fn id<'a>(&self, image: &'a ImageSummary) -> &'a str {
        if self.no_trunc {
            &image.id
        } else {
            short_id(&image.id)
        }
    }
}

fn created(image: &ImageSummary) -> String {
    // An image without a date is as old as Go's zero time, for which Docker has no words.
    if image.created < -62_135_596_800 + 1 {
        "N/A".to_owned()
    } else {
        ago::since(image.created)
    }
}

/// The names of an image; `<none>` stands for what it lacks.
fn lines(image: &ImageSummary, with_digests: bool) -> Vec<Line> {
    const NONE: &str = "<none>";
    let line = |repository: &str, tag: &str, digest: &str| Line {
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        digest: digest.to_owned(),
    };
    let parse = |name: &String| Reference::parse(name).ok();
    let digests: Vec<(String, String)> = image
        .repo_digests
        .iter()
        .filter_map(parse)
        .filter_map(|reference| Some((reference.name, reference.digest?)))
        .collect();
    let mut lines = Vec::new();
    let mut tagged = Vec::new();
    for reference in image.repo_tags.iter().filter_map(parse) {
        let Some(tag) = &reference.tag else { continue };
        let mut own = digests
            .iter()
            .filter(|(name, _)| *name == reference.name)
            .peekable();
        if with_digests && own.peek().is_some() {
            lines.extend(own.map(|(name, digest)| line(name, tag, digest)));
        } else {
            lines.push(line(&reference.name, tag, NONE));
        }
        tagged.push(reference.name);
    }
    for (name, digest) in digests.iter().filter(|(name, _)| !tagged.contains(name)) {
        let new = line(name, NONE, if with_digests { digest } else { NONE });
        if !lines.contains(&new) {
            lines.push(new);
        }
    }
    if lines.is_empty() {
        lines.push(line(NONE, NONE, NONE));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(tags: &[&str], digests: &[&str]) -> ImageSummary {
        ImageSummary {
            id: "sha256:0123456789abcdef".to_owned(),
            repo_tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            repo_digests: digests.iter().map(|&digest| digest.to_owned()).collect(),
            created: jiff::Timestamp::now().as_second() - 120,
            size: 4_261_502,
        }
    }

    #[test]
    fn a_table_is_dockers() {
        let verb = Images {
            all: false,
            digests: false,
            filter: Vec::new(),
            format: None,
            no_trunc: false,
            quiet: false,
            name: None,
        };
        let table = verb.table(&[
            image(&["busybox:latest", "localhost:5000/box:1"], &[]),
            image(&[], &[]),
        ]);
        assert_eq!(
            table,
            "REPOSITORY           TAG       IMAGE ID       CREATED         SIZE\n\
             busybox              latest    0123456789ab   2 minutes ago   4.26MB\n\
             localhost:5000/box   1         0123456789ab   2 minutes ago   4.26MB\n\
             <none>               <none>    0123456789ab   2 minutes ago   4.26MB\n"
        );
    }

    #[test]
    fn digests_stand_beside_tags() {
        let digest = format!("busybox@sha256:{}", "0".repeat(64));
        let both = image(&["busybox:latest"], &[&digest]);
        assert_eq!(lines(&both, true)[0].digest, digest["busybox@".len()..]);
        assert_eq!(lines(&both, false).len(), 1);
        let untagged = lines(&image(&[], &[&digest]), false);
        assert_eq!(
            (untagged[0].repository.as_str(), untagged[0].tag.as_str()),
            ("busybox", "<none>")
        );
    }
}

//! What `docker save` wrote before version 1.10: a folder an image, with a description that names the
//! folder of the image below, and one layer. `repositories` tells the tags.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::files::{Files, MAX_DOCUMENTS};
use super::{LEGACY_TAGS, Planned};
use crate::{Digest, Error, Reference, Result};

/// What a description says of its folder rather than of the image.
const FOLDERS_OWN: [&str; 6] = ["id", "parent", "Size", "parent_id", "layer_id", "throwaway"];

/// Sorted, as dockerd writes it: the image's id follows from it.
type Document = BTreeMap<String, Value>;

/// Makes images as they are today of all folders, those below before those above.
pub(super) fn plan(files: &Files) -> Result<Vec<Planned>> {
    let mut plan = Plan {
        files,
        images: Vec::new(),
        places: HashMap::new(),
        written: 0,
    };
    for folder in files.folders_with("json") {
        plan.add_with_those_below(folder)?;
    }
    plan.tag()?;
    Ok(plan.images)
}

struct Plan<'a> {
    files: &'a Files,
    images: Vec<Planned>,
    /// Where a folder's image is in `images`.
    places: HashMap<String, usize>,
    /// Bytes of all configurations: each repeats the history of the image below.
    written: u64,
}

impl Plan<'_> {
    fn add_with_those_below(&mut self, folder: &str) -> Result<()> {
        let mut chain: Vec<(String, Document)> = Vec::new();
        let mut next = folder.to_owned();
        while !next.is_empty() && !self.places.contains_key(&next) {
            if chain.iter().any(|(above, _)| *above == next) {
                return Err(Error::invalid(format!(
                    "invalid archive: image {next} is below itself"
                )));
            }
            let name = format!("{next}/json");
            let document = parse(self.files.get(&name)?.document()?, &name)?;
            let below = parent(&document).to_owned();
            chain.push((next, document));
            next = below;
        }
        for (folder, document) in chain.into_iter().rev() {
            self.add(folder, document)?;
        }
        Ok(())
    }

    fn add(&mut self, folder: String, mut document: Document) -> Result<()> {
        let below = self.places.get(parent(&document));
        let below = below.map(|place| &self.images[*place]);
        let mut stack = below.map(Stack::of).transpose()?.unwrap_or_default();
        let layer = format!("{folder}/layer.tar");
        stack.rootfs.diff_ids.push(self.files.diff_id(&layer)?);
        stack.history.push(step(&document));
        document.retain(|key, _| !FOLDERS_OWN.contains(&key.as_str()));
        let rootfs = json!({ "type": "layers", "diff_ids": stack.rootfs.diff_ids });
        document.insert("rootfs".to_owned(), rootfs);
        document.insert("history".to_owned(), Value::Array(stack.history));
        let config = go_json(&document)?;
        self.written += config.len() as u64;
        if self.written > MAX_DOCUMENTS {
            return Err(Error::invalid(format!(
                "the configurations of the archive's images take more than {MAX_DOCUMENTS} bytes"
            )));
        }
        let mut layers = below.map_or_else(Vec::new, |image| image.layers.clone());
        layers.push(layer);
        let parent = below.map(|image| Digest::of(&image.config));
        self.places.insert(folder, self.images.len());
        self.images.push(Planned {
            config,
            layers,
            parent,
            ..Planned::default()
        });
        Ok(())
    }

    fn tag(&mut self) -> Result<()> {
        let document = self.files.get(LEGACY_TAGS)?.document()?;
        let repositories: BTreeMap<String, BTreeMap<String, String>> =
            parse(document, LEGACY_TAGS)?;
        for (repository, tags) in repositories {
            for (tag, folder) in tags {
                let place = self.places.get(&folder);
                let place = *place.ok_or_else(|| {
                    Error::invalid(format!(
                        "invalid target ID: {folder}: the archive holds no such image for {repository}:{tag}"
                    ))
                })?;
                let name = Reference::parse_bare(&repository)?.with_tag(&tag)?;
                self.images[place].names.push(name);
            }
        }
        Ok(())
    }
}

/// What a configuration says of the images below.
#[derive(Default, Deserialize)]
struct Stack {
    rootfs: RootFs,
    history: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct RootFs {
    diff_ids: Vec<Digest>,
}

impl Stack {
    fn of(image: &Planned) -> Result<Self> {
        parse(&image.config, "the configuration of an image")
    }
}

/// The folder of the image below; empty for none.
fn parent(document: &Document) -> &str {
    text(document.get("parent"))
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

/// How an image came about, as one step of a history.
fn step(document: &Document) -> Value {
    let command = document
        .get("container_config")
        .and_then(|config| config.get("Cmd"));
    let command = match command {
        Some(Value::Array(words)) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            words.join(" ")
        }
        word => text(word).to_owned(),
    };
    let field = |name: &str| text(document.get(name)).to_owned();
    let said = [
        ("created", field("created")),
        ("created_by", command),
        ("author", field("author")),
        ("comment", field("comment")),
    ];
    let said = said.into_iter().filter(|(_, text)| !text.is_empty());
    let step: Map<String, Value> = said.map(|(key, text)| (key.into(), text.into())).collect();
    Value::Object(step)
}

fn parse<'a, T: Deserialize<'a>>(document: &'a [u8], name: &str) -> Result<T> {
    serde_json::from_slice(document)
        .map_err(|error| Error::invalid(format!("invalid archive: {name}: {error}")))
}

/// JSON as Go writes it, which escapes what means something in HTML.
fn go_json(document: &Document) -> Result<Vec<u8>> {
    let mut text =
        serde_json::to_string(document).map_err(|error| Error::invalid(error.to_string()))?;
    // They stand in strings only.
    for character in ['<', '>', '&', '\u{2028}', '\u{2029}'] {
        let escape = format!("\\u{:04x}", u32::from(character));
        text = text.replace(character, &escape);
    }
    Ok(text.into_bytes())
}

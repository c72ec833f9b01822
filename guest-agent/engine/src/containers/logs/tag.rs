//! The `tag` option: a template of fields, as `{{.Name}}/{{.ID}}`.
//!
//! Go's template language has far more; what a tag is used for are Docker's own fields, and whatever
//! else is refused at create.

use crate::containers::Record;
use crate::{Error, ids};

/// Refuses a template that is not made of text and fields.
pub(super) fn check(template: &str) -> Result<(), Error> {
    expand(template, |name| FIELDS.contains(&name).then(String::new)).map(drop)
}

/// The tag of a container.
pub(super) fn fill(template: &str, record: &Record) -> Result<String, Error> {
    expand(template, |name| field(name, record))
}

const FIELDS: [&str; 14] = [
    "ID",
    "FullID",
    "Name",
    "Command",
    "ImageID",
    "ImageFullID",
    "ImageName",
    "DaemonName",
    "ContainerID",
    "ContainerName",
    "ContainerEntrypoint",
    "ContainerArgs",
    "ContainerImageID",
    "ContainerImageName",
];

fn field(name: &str, record: &Record) -> Option<String> {
    let image = record
        .image
        .strip_prefix("sha256:")
        .unwrap_or(&record.image);
    let command = record.config.command();
    let (program, arguments) = command
        .split_first()
        .map_or(("", &[][..]), |(program, rest)| (program.as_str(), rest));
    Some(match name {
        "ID" => ids::short(&record.id).to_owned(),
        "FullID" | "ContainerID" => record.id.clone(),
        "Name" => record.name.clone(),
        "ContainerName" => format!("/{}", record.name),
        "Command" => command.join(" "),
        "ContainerEntrypoint" => program.to_owned(),
        // As Go prints a list.
        "ContainerArgs" => format!("[{}]", arguments.join(" ")),
        "ImageID" => ids::short(image).to_owned(),
        "ImageFullID" | "ContainerImageID" => record.image.clone(),
        "ImageName" | "ContainerImageName" => record.config.image.clone(),
        "DaemonName" => "docker".to_owned(),
        _ => return None,
    })
}

/// Replaces each `{{.NAME}}`. `{{-` and `-}}` take the blanks beside them away.
fn expand(template: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, Error> {
    let failed = |at: usize, why: String| {
        Err(Error::Invalid(format!(
            "template: log-tag:1{}: {why}",
            match at {
                0 => String::new(),
                at => format!(":{at}"),
            }
        )))
    };
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        let Some((inside, after)) = behind.split_once("}}") else {
            return failed(0, "unclosed action".into());
        };
        let (inside, trims_before) = match inside.strip_prefix("- ") {
            Some(inside) => (inside, true),
            None => (inside, false),
        };
        let (inside, trims_after) = match inside.strip_suffix(" -") {
            Some(inside) => (inside, true),
            None => (inside, false),
        };
        text += if trims_before {
            before.trim_end()
        } else {
            before
        };
        let at = template.len() - behind.len();
        let inside = inside.trim();
        let plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let Some(name) = inside.strip_prefix('.').filter(plain) else {
            return failed(
                at,
                format!(
                    "\"{inside}\" is not a field: a tag may have fields such as {{{{.Name}}}} only"
                ),
            );
        };
        match value(name) {
            Some(value) => text += &value,
            None => {
                return failed(
                    at,
                    format!(
                        "executing \"log-tag\" at <.{name}>: can't evaluate field {name} in type *logger.Info"
                    ),
                );
            }
        }
        rest = if trims_after {
            after.trim_start()
        } else {
            after
        };
    }
    Ok(text + rest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn fields_are_filled_in_and_the_rest_is_text() {
        let name = |field: &str| (field == "Name").then(|| "web".to_owned());
        for (template, expected) in [
            ("plain", "plain"),
            ("{{.Name}}", "web"),
            ("a/{{ .Name }}/{{.Name}}}", "a/web/web}"),
            ("a {{- .Name -}} b", "awebb"),
        ] {
            assert_eq!(expand(template, name).unwrap(), expected, "{template}");
        }
        for (template, why) in [
            ("{{.Name", "template: log-tag:1: unclosed action"),
            (
                "x{{.Nmae}}",
                "template: log-tag:1:3: executing \"log-tag\" at <.Nmae>",
            ),
            ("{{printf .Name}}", "\"printf .Name\" is not a field"),
        ] {
            let error = expand(template, name).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn every_field_that_is_accepted_has_a_value() {
        for name in FIELDS {
            check(&format!("{{{{.{name}}}}}")).unwrap();
        }
        assert!(check("{{.Names}}").is_err());
    }
}

//! `--format`: the small part of Go's templates that scripts use: text, `{{.Field.Field}}`,
//! `{{json .Field}}` and `{{.}}`.

use serde_json::Value;

/// A parsed format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field { path: Vec<String>, json: bool },
}

impl Template {
    /// Parses a format.
    ///
    /// # Errors
    /// In words, when it uses more of Go's templates than is known here.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (action, after) = after
                .split_once("}}")
                .ok_or("template parsing error: unclosed action")?;
            parts.push(action_part(action.trim())?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Fills it with an item's fields.
    ///
    /// # Errors
    /// In words, when the item has no such field.
    pub(crate) fn render(&self, item: &Value) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Field { path, json } => {
                    let value = find(item, path)?;
                    if *json {
                        text.push_str(&value.to_string());
                    } else {
                        text.push_str(&plain(value));
                    }
                }
            }
        }
        Ok(text)
    }
}

fn action_part(action: &str) -> Result<Part, String> {
    let (json, field) = match action.strip_prefix("json ") {
        Some(field) => (true, field.trim()),
        None => (false, action),
    };
    let unknown = || {
        format!(
            "template parsing error: {{{{{action}}}}} is not understood: \
             use {{{{.Field}}}}, {{{{json .Field}}}} or --json"
        )
    };
    let path = field.strip_prefix('.').ok_or_else(unknown)?;
    let path: Vec<String> = path
        .split('.')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let word = |name: &String| {
        name.chars()
            .all(|char| char.is_alphanumeric() || char == '_' || char == '-')
    };
    if !path.iter().all(word) {
        return Err(unknown());
    }
    Ok(Part::Field { path, json })
}

fn find<'a>(item: &'a Value, path: &[String]) -> Result<&'a Value, String> {
    let mut value = item;
    for name in path {
        value = match value {
            Value::Object(fields) => fields.get(name).or_else(|| {
                // Docker's own field names differ from the API's in case only (`ID`, `Id`).
                let mut fields = fields.iter();
                fields
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value)
            }),
            _ => None,
        }
        .ok_or_else(|| format!("template parsing error: there is no field {name}"))?;
    }
    Ok(value)
}

/// A value as Go prints it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{key}:{}", plain(value)))
                .collect();
            format!("map[{}]", fields.join(" "))
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    fn render(text: &str) -> Result<String, String> {
        let item =
            json!({"Id": "x", "State": {"Status": "running", "Pid": 7}, "Names": ["a", "b"]});
        Template::parse(text)?.render(&item)
    }

    #[test]
    fn fields() {
        assert_eq!(
            render("{{.ID}} is {{ .State.Status }}").unwrap(),
            "x is running"
        );
        assert_eq!(
            render("{{.State.Pid}}\\t{{json .State.Status}}").unwrap(),
            "7\t\"running\""
        );
        assert_eq!(render("{{.Names}}").unwrap(), "[a b]");
        assert_eq!(render("{{json .Names}}").unwrap(), r#"["a","b"]"#);
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert!(render("{{.Nope}}").unwrap_err().contains("no field Nope"));
        assert!(
            render("{{range .Names}}")
                .unwrap_err()
                .contains("not understood")
        );
        assert!(render("{{.Id").unwrap_err().contains("unclosed action"));
    }
}

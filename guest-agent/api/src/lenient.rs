//! Reading JSON as Go does: keys match without regard to case, and null means "not given".

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde_json::{Error, Value};

/// Reads a value the lenient way.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    T::deserialize(Lenient(value))
}

struct Lenient(Value);

impl IntoDeserializer<'_, Error> for Lenient {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Go's words for a value's kind.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl<'de> Deserializer<'de> for Lenient {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Lenient)))
            }
            Value::Object(entries) => visitor.visit_map(MapDeserializer::new(
                entries.into_iter().map(|(k, v)| (k, Lenient(v))),
            )),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Value::Object(entries) = self.0 else {
            return Err(Error::custom(format!(
                "cannot unmarshal {} into an object",
                kind(&self.0)
            )));
        };
        let mut found: Vec<(String, Lenient)> = Vec::new();
        for (key, value) in entries {
            if value.is_null() {
                continue;
            }
            let name = if fields.contains(&key.as_str()) {
                key
            } else {
                match fields.iter().find(|field| field.eq_ignore_ascii_case(&key)) {
                    Some(field) => (*field).to_owned(),
                    None => continue,
                }
            };
            // As in Go, the last of several spellings wins.
            found.retain(|(known, _)| *known != name);
            found.push((name, Lenient(value)));
        }
        visitor.visit_map(MapDeserializer::new(found.into_iter()))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use engine::containers::{Config, HostConfig};
    use serde_json::json;

    #[test]
    fn keys_match_in_any_case_and_nulls_are_absent() {
        let config: Config = from_value(json!({
            "image": "x", "CMD": "true", "Env": null, "Labels": {"Keep": "Case"}, "Unknown": 1,
        }))
        .unwrap();
        assert_eq!(config.image, "x");
        assert_eq!(config.cmd, Some(vec!["true".to_owned()]));
        assert!(config.env.is_empty());
        assert_eq!(config.labels["Keep"], "Case");
    }

    #[test]
    fn wrong_types_are_refused() {
        assert!(from_value::<HostConfig>(json!({"Memory": "much"})).is_err());
        assert!(from_value::<HostConfig>(json!([])).is_err());
        let host: HostConfig = from_value(json!({
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}], "81/tcp": null},
            "RestartPolicy": {"name": "always"}, "Ulimits": [{"name": "nofile", "soft": 1, "hard": -1}],
        }))
        .unwrap();
        assert_eq!(host.restart_policy.name, "always");
        assert_eq!(host.port_bindings.len(), 2);
        assert_eq!(host.ulimits.unwrap()[0].hard, -1);
    }
}

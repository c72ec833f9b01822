//! Reading JSON as Go does: keys match without regard to case, and null means "not given", which
//! leaves an element of a list or a map empty, 0 or false.

use std::rc::Rc;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde_json::{Error, Map, Value};

/// Reads a value the lenient way. Errors are in Go's words.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    T::deserialize(Lenient {
        value,
        place: Place::Root,
    })
}

/// A value, and where it was found.
struct Lenient {
    value: Value,
    place: Place,
}

#[derive(Clone)]
enum Place {
    /// The body itself.
    Root,
    /// A field of the structure at a path.
    Field(Rc<str>, &'static str),
}

impl Lenient {
    /// Another value at the same place: Go names the field, not what is in it.
    fn inside(place: &Place, value: Value) -> Self {
        Self {
            value,
            place: place.clone(),
        }
    }

    /// That the value is no `wanted`, a type of Go's.
    fn mismatch(&self, wanted: &str) -> Error {
        let found = match &self.value {
            Value::Number(number) if !number.is_i64() && wanted.contains("int") => {
                format!("number {number}")
            }
            value => kind(value).to_owned(),
        };
        Error::custom(match &self.place {
            Place::Root => {
                format!("json: cannot unmarshal {found} into Go value of type {wanted}")
            }
            Place::Field(path, field) => format!(
                "json: cannot unmarshal {found} into Go struct field {path}.{field} of type {wanted}"
            ),
        })
    }

    /// The path of the structure that the value is.
    fn path(&self, name: &str) -> Rc<str> {
        match &self.place {
            Place::Root => name.into(),
            Place::Field(path, field) => format!("{path}.{field}").into(),
        }
    }
}

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

/// Methods for simple types: the value goes on when it is of the kind, and is refused otherwise.
macro_rules! simple {
    ($($method:ident: $pattern:pat => $wanted:literal, $zero:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
            if self.value.is_null() {
                self.value = Value::from($zero);
            }
            if !matches!(&self.value, $pattern) {
                return Err(self.mismatch($wanted));
            }
            let wrong = self.place.clone();
            let value = self.value.clone();
            self.value
                .$method(visitor)
                // A number of the wrong size or with a fraction.
                .map_err(|error| match &value {
                    Value::Number(_) => Lenient::inside(&wrong, value).mismatch($wanted),
                    _ => error,
                })
        })*
    };
}

impl<'de> Deserializer<'de> for Lenient {
    type Error = Error;

    simple! {
        deserialize_bool: Value::Bool(_) => "bool", false;
        deserialize_i16: Value::Number(_) => "int16", 0;
        deserialize_i32: Value::Number(_) => "int", 0;
        deserialize_i64: Value::Number(_) => "int64", 0;
        deserialize_u16: Value::Number(_) => "uint16", 0;
        deserialize_u32: Value::Number(_) => "uint", 0;
        deserialize_u64: Value::Number(_) => "uint64", 0;
        deserialize_f64: Value::Number(_) => "float64", 0.0;
        deserialize_str: Value::String(_) => "string", "";
        deserialize_string: Value::String(_) => "string", "";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let place = self.place;
        let inside = |value| Self::inside(&place, value);
        match self.value {
            Value::Array(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(inside)))
            }
            Value::Object(entries) => visitor.visit_map(MapDeserializer::new(
                entries.into_iter().map(|(k, v)| (k, inside(v))),
            )),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() {
            self.value = Value::Array(Vec::new());
        }
        if !self.value.is_array() {
            return Err(self.mismatch("[]string"));
        }
        self.deserialize_any(visitor)
    }

    /// Go's arrays are as long as they are, whatever is sent.
    fn deserialize_tuple<V: Visitor<'de>>(
        mut self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if let Value::Array(items) = &mut self.value {
            items.resize(len, Value::Null);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() {
            self.value = Value::Object(Map::new());
        }
        if !self.value.is_object() {
            return Err(self.mismatch("map[string]string"));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let path = self.path(name);
        let entries = match self.value {
            Value::Object(entries) => entries,
            Value::Null => Map::new(),
            _ => return Err(self.mismatch(name)),
        };
        let mut found: Vec<(&'static str, Lenient)> = Vec::new();
        for (key, value) in entries {
            if value.is_null() {
                continue;
            }
            let same = fields.iter().find(|field| **field == key);
            let like = || fields.iter().find(|field| field.eq_ignore_ascii_case(&key));
            let Some(&field) = same.or_else(like) else {
                continue;
            };
            // As in Go, the last of several spellings wins.
            found.retain(|(known, _)| *known != field);
            let place = Place::Field(Rc::clone(&path), field);
            found.push((field, Lenient { value, place }));
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
        self.value.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        i8 i128 u8 u128 f32 char bytes byte_buf unit unit_struct tuple_struct identifier
        ignored_any
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
    fn a_null_in_a_list_or_a_map_is_empty() {
        let config: Config = from_value(json!({
            "Image": "x", "Labels": {"a": null}, "Env": ["A=1", null], "Cmd": ["true", null],
            "Healthcheck": {"Test": ["CMD", null]}, "ExposedPorts": {"80/tcp": null},
        }))
        .unwrap();
        assert_eq!(config.exposed_ports["80/tcp"], json!({}));
        assert_eq!(config.labels["a"], "");
        assert_eq!(config.env, ["A=1", ""]);
        assert_eq!(config.cmd.unwrap(), ["true", ""]);
        let host: HostConfig = from_value(json!({
            "Tmpfs": {"/t": null}, "Sysctls": {"a": null}, "Dns": [null], "Mounts": [null],
            "PortBindings": {"80/tcp": [null]}, "ConsoleSize": [null],
            "LogConfig": {"Config": {"max-size": null}},
        }))
        .unwrap();
        assert_eq!((&*host.tmpfs["/t"], &*host.sysctls["a"]), ("", ""));
        assert_eq!(host.dns.unwrap(), [""]);
        assert_eq!(host.mounts, [engine::containers::MountRequest::default()]);
        assert_eq!(host.console_size, [0, 0]);
        assert_eq!(host.log_config.config["max-size"], "");
    }

    #[test]
    fn wrong_types_are_refused() {
        let words = |value| from_value::<HostConfig>(value).unwrap_err().to_string();
        for (value, what) in [
            (
                json!({"Memory": "much"}),
                "string into Go struct field HostConfig.Memory of type int64",
            ),
            (
                json!({"Memory": 1.5}),
                "number 1.5 into Go struct field HostConfig.Memory of type int64",
            ),
            (
                json!({"RestartPolicy": {"Name": 5}}),
                "number into Go struct field HostConfig.RestartPolicy.Name of type string",
            ),
            (
                json!({"Binds": {"a": 1}}),
                "object into Go struct field HostConfig.Binds of type []string",
            ),
            (json!([]), "array into Go value of type HostConfig"),
        ] {
            assert_eq!(words(value), format!("json: cannot unmarshal {what}"));
        }
        let host: HostConfig = from_value(json!({
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}], "81/tcp": null},
            "RestartPolicy": {"name": "always"}, "Ulimits": [{"name": "nofile", "soft": 1, "hard": -1}],
        }))
        .unwrap();
        assert_eq!(host.restart_policy.name, "always");
        assert_eq!(host.port_bindings.unwrap().len(), 2);
        assert_eq!(host.ulimits.unwrap()[0].hard, -1);
    }
}

//! Requests, made of the words of the API.

use arbitrary::{Arbitrary, Result, Unstructured};
use fuzz::archive::{Archive, Packing};
use fuzz::json;
use serde_json::{Map, Value};

use super::words::{FIELDS, Kind, PARAMETERS, PATHS, VALUES};

/// One to three requests on one connection, the last of which ends it.
pub(crate) fn several(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut said = Vec::new();
    let more = u.int_in_range(0..=2)?;
    for left in (0..=more).rev() {
        said.extend(one(u, left == 0)?);
    }
    Ok(said)
}

fn one(u: &mut Unstructured<'_>, last: bool) -> Result<Vec<u8>> {
    if u.ratio(1, 40)? {
        let length = u.int_in_range(0..=200)?;
        return Ok(u.bytes(length.min(u.len()))?.to_vec());
    }
    let (method, path) = *u.choose(PATHS)?;
    let mut target = String::new();
    if u.ratio(1, 3)? {
        target += u.choose(&["/v1.51", "/v1.24", "/v1.40", "/v1.43", "/v1.99", "/v1.4x"])?;
    }
    for (at, part) in path.split('*').enumerate() {
        if at > 0 {
            target += &escape(&json::text(u, VALUES)?);
        }
        target += part;
    }
    for at in 0..u.int_in_range(0..=4)? {
        target.push(if at == 0 { '?' } else { '&' });
        let name = json::text(u, PARAMETERS)?;
        let value = match name.as_str() {
            "filters" => filters(u)?,
            "changes" => format!("{} {}", u.choose(&INSTRUCTIONS)?, value(u)?),
            _ => value(u)?,
        };
        target += &format!("{}={}", escape(&name), escape(&value));
    }
    let (kind, body) = match u.int_in_range(0..=9)? {
        0 => ("", Vec::new()),
        1 => ("application/json", u.arbitrary::<&[u8]>()?.to_vec()),
        2 => ("application/x-tar", archive(u)?),
        _ if path.ends_with("archive") || path.ends_with("load") => {
            ("application/x-tar", archive(u)?)
        }
        _ => ("application/json", document(u)?),
    };
    let end = if last { "close" } else { "keep-alive" };
    let mut said = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: {end}\r\n");
    if !kind.is_empty() {
        said += &format!("Content-Type: {kind}\r\n");
    }
    said += &format!("Content-Length: {}\r\n\r\n", body.len());
    Ok([said.into_bytes(), body].concat())
}

/// Dockerfile instructions of a commit.
const INSTRUCTIONS: [&str; 12] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "LABEL",
    "USER",
    "VOLUME",
    "WORKDIR",
    "ONBUILD",
    "HEALTHCHECK",
    "STOPSIGNAL",
    "SHELL",
];

fn archive(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let packing = Packing::arbitrary(u)?;
    Ok(packing.pack(&Archive::arbitrary(u)?.plain()))
}

fn value(u: &mut Unstructured<'_>) -> Result<String> {
    Ok(match u.int_in_range(0..=5)? {
        0 => u.arbitrary::<i64>()?.to_string(),
        1 => u.arbitrary::<u8>()?.to_string(),
        2 => "1".to_owned(),
        3 => u.arbitrary::<&str>()?.to_owned(),
        _ => (*u.choose(VALUES)?).to_owned(),
    })
}

fn filters(u: &mut Unstructured<'_>) -> Result<String> {
    const NAMES: [&str; 24] = [
        "ancestor",
        "before",
        "expose",
        "exited",
        "health",
        "id",
        "isolation",
        "is-task",
        "label",
        "label!",
        "name",
        "network",
        "publish",
        "since",
        "status",
        "volume",
        "dangling",
        "until",
        "reference",
        "driver",
        "scope",
        "type",
        "event",
        "container",
    ];
    let mut filters = Map::new();
    for _ in 0..u.int_in_range(1..=3)? {
        let name = json::text(u, &NAMES)?;
        let mut wanted = Vec::new();
        for _ in 0..u.int_in_range(0..=2)? {
            wanted.push(Value::String(value(u)?));
        }
        filters.insert(name, Value::Array(wanted));
    }
    Ok(Value::Object(filters).to_string())
}

/// A body with fields of the API, mostly of the right kind.
fn document(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut document = fields(u, 3)?;
    if u.ratio(3, 4)? {
        document.insert("Image".into(), "image".into());
    }
    Ok(Value::Object(document).to_string().into_bytes())
}

fn fields(u: &mut Unstructured<'_>, depth: u8) -> Result<Map<String, Value>> {
    let mut map = Map::new();
    for _ in 0..u.int_in_range(0..=6)? {
        let (name, kind) = *u.choose(FIELDS)?;
        let value = if u.ratio(1, 24)? {
            json::value(u, VALUES)?
        } else {
            field(u, kind, depth)?
        };
        map.insert(name.to_owned(), value);
    }
    Ok(map)
}

fn field(u: &mut Unstructured<'_>, kind: Kind, depth: u8) -> Result<Value> {
    Ok(match kind {
        Kind::Text => value(u)?.into(),
        Kind::Number if u.ratio(1, 4)? => u.arbitrary::<i64>()?.into(),
        Kind::Number => i64::from(u.arbitrary::<i16>()?).into(),
        Kind::Flag => u.arbitrary::<bool>()?.into(),
        Kind::Texts => {
            let mut list = Vec::new();
            for _ in 0..u.int_in_range(0..=3)? {
                list.push(Value::String(value(u)?));
            }
            list.into()
        }
        Kind::Map => {
            let mut map = Map::new();
            for _ in 0..u.int_in_range(0..=3)? {
                map.insert(value(u)?, value(u)?.into());
            }
            map.into()
        }
        Kind::Set => {
            let mut map = Map::new();
            for _ in 0..u.int_in_range(0..=3)? {
                map.insert(value(u)?, Value::Object(Map::new()));
            }
            map.into()
        }
        _ if depth == 0 => Value::Null,
        Kind::Object => fields(u, depth - 1)?.into(),
        Kind::Objects => {
            let mut list: Vec<Value> = Vec::new();
            for _ in 0..u.int_in_range(0..=2)? {
                list.push(fields(u, depth - 1)?.into());
            }
            list.into()
        }
        Kind::Lists => {
            let mut map = Map::new();
            for _ in 0..u.int_in_range(0..=2)? {
                map.insert(value(u)?, field(u, Kind::Objects, depth - 1)?);
            }
            map.into()
        }
        Kind::Named => {
            let mut map = Map::new();
            for _ in 0..u.int_in_range(0..=2)? {
                map.insert(value(u)?, fields(u, depth - 1)?.into());
            }
            map.into()
        }
    })
}

/// Percent escapes for what would end a target's part.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b':' => {
                escaped.push(char::from(byte));
            }
            _ => escaped += &format!("%{byte:02X}"),
        }
    }
    escaped
}

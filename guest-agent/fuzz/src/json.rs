//! JSON that begins with what clients and registries write, and goes on as it likes.

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Value};

/// Values deeper than this are cut.
const DEPTH: u8 = 5;

/// Any value. Objects' keys are mostly of `keys`.
pub fn value(u: &mut Unstructured<'_>, keys: &[&str]) -> Result<Value> {
    any(u, keys, DEPTH)
}

/// An object whose keys are mostly of `keys`.
pub fn object(u: &mut Unstructured<'_>, keys: &[&str]) -> Result<Map<String, Value>> {
    map(u, keys, DEPTH)
}

fn any(u: &mut Unstructured<'_>, keys: &[&str], depth: u8) -> Result<Value> {
    let kinds = if depth == 0 { 6 } else { 9 };
    Ok(match u.int_in_range(0..=kinds)? {
        0 => Value::Null,
        1 => u.arbitrary::<bool>()?.into(),
        2 => u.arbitrary::<i64>()?.into(),
        3 => i64::from(u.arbitrary::<i8>()?).into(),
        4 => u.arbitrary::<f64>()?.into(),
        5 | 6 => text(u, keys)?.into(),
        7 => {
            let mut list = Vec::new();
            for _ in 0..u.int_in_range(0..=3)? {
                list.push(any(u, keys, depth - 1)?);
            }
            list.into()
        }
        _ => Value::Object(map(u, keys, depth - 1)?),
    })
}

fn map(u: &mut Unstructured<'_>, keys: &[&str], depth: u8) -> Result<Map<String, Value>> {
    let mut map = Map::new();
    for _ in 0..u.int_in_range(0..=6)? {
        let key = text(u, keys)?;
        map.insert(key, any(u, keys, depth)?);
    }
    Ok(map)
}

/// A word, mostly a known one.
pub fn text(u: &mut Unstructured<'_>, words: &[&str]) -> Result<String> {
    Ok(if words.is_empty() || u.ratio(1, 4)? {
        u.arbitrary::<&str>()?.to_owned()
    } else {
        (*u.choose(words)?).to_owned()
    })
}

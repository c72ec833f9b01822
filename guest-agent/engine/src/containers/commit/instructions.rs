//! `--change`: Dockerfile instructions that change a configuration.

use serde_json::{Map, Value};

use super::{Names, words};
use crate::Error;
use crate::containers::{Config, HealthConfig, signals};
use crate::time::parse_go_duration;

/// What `docker commit` takes. `SHELL` is a Dockerfile's only.
const KNOWN: [&str; 11] = [
    "cmd",
    "entrypoint",
    "healthcheck",
    "env",
    "expose",
    "label",
    "onbuild",
    "stopsignal",
    "user",
    "volume",
    "workdir",
];
/// What shell forms run with.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// An instruction's parts.
struct Instruction {
    /// As it was written.
    name: String,
    /// `--name=value` words.
    flags: Vec<String>,
    /// The rest of the line.
    rest: String,
}

/// Applies instructions in order. They are read as one Dockerfile, which is checked as a whole
/// before anything is changed.
pub(crate) fn apply(config: &mut Config, changes: &[String]) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let instructions: Vec<Instruction> = lines(&changes.join("\n"))
        .iter()
        .map(|line| parse(line))
        .collect();
    if instructions.is_empty() {
        return Err(Error::Invalid("file with no instructions".into()));
    }
    for instruction in &instructions {
        if !KNOWN.contains(&instruction.name.to_lowercase().as_str()) {
            return Err(Error::Invalid(format!(
                "{} is not a valid change command",
                instruction.name
            )));
        }
    }
    let mut changed = config.clone();
    let mut command_set = false;
    for instruction in &instructions {
        one(&mut changed, instruction, &mut command_set).map_err(Error::Invalid)?;
    }
    *config = changed;
    Ok(())
}

/// Lines with continuations joined, without comments and empty lines.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut continued = false;
    for part in text.split('\n') {
        let part = part.trim_end_matches('\r');
        let start = part.trim_start();
        // Comments and empty lines may stand between the parts of a line.
        if start.starts_with('#') || start.is_empty() {
            continue;
        }
        let part = if continued { part } else { start };
        let trimmed = part.trim_end_matches([' ', '\t']);
        let open = trimmed
            .strip_suffix('\\')
            .filter(|before| !before.ends_with('\\'));
        line.push_str(open.unwrap_or(part));
        continued = open.is_some();
        if !continued {
            lines.push(std::mem::take(&mut line));
        }
    }
    if !line.trim().is_empty() {
        lines.push(line);
    }
    lines
}

fn parse(line: &str) -> Instruction {
    let line = line.trim();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let mut rest = rest.trim_start();
    let mut flags = Vec::new();
    while rest.starts_with("--") {
        let (flag, next) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = next.trim_start();
        if flag == "--" {
            break;
        }
        flags.push(flag.to_owned());
    }
    Instruction {
        name: name.to_owned(),
        flags,
        rest: rest.trim_end().to_owned(),
    }
}

fn one(
    config: &mut Config,
    instruction: &Instruction,
    command_set: &mut bool,
) -> Result<(), String> {
    let name = instruction.name.to_uppercase();
    let rest = instruction.rest.as_str();
    if name != "HEALTHCHECK"
        && name != "STOPSIGNAL"
        && let Some(flag) = instruction.flags.first()
    {
        let flag = flag.split('=').next().unwrap_or_default();
        return Err(format!("unknown flag: {flag}"));
    }
    let environment = config.env.clone();
    let names: Names<'_> = environment
        .iter()
        .filter_map(|env| env.split_once('='))
        .collect();
    match name.as_str() {
        "ENV" => {
            for (key, value) in pairs(rest, "ENV", &names)? {
                let line = format!("{key}={value}");
                let own = |env: &&mut String| env.split('=').next() == Some(key.as_str());
                match config.env.iter_mut().find(own) {
                    Some(env) => *env = line,
                    None => config.env.push(line),
                }
            }
        }
        "LABEL" => config.labels.extend(pairs(rest, "LABEL", &names)?),
        "CMD" => {
            config.cmd = Some(command_line(config, rest)?);
            *command_set = true;
        }
        "ENTRYPOINT" => {
            let line = command_line(config, rest)?;
            let is_empty = line.is_empty() || rest.is_empty();
            config.entrypoint = (!is_empty).then_some(line);
            if !*command_set {
                config.cmd = None;
            }
        }
        "USER" => config.user = words::expand(only("USER", rest)?, &names)?,
        "WORKDIR" => {
            let path = words::expand(only("WORKDIR", rest)?, &names)?;
            config.working_dir = working_dir(&config.working_dir, &path)?;
        }
        "STOPSIGNAL" => {
            let signal = words::expand(only("STOPSIGNAL", rest)?, &names)?;
            signals::parse(&signal).map_err(|error| error.to_string())?;
            config.stop_signal = signal;
        }
        "EXPOSE" => {
            for word in some("EXPOSE", rest)? {
                for port in words::expand(word, &names)?.split_whitespace() {
                    expose(&mut config.exposed_ports, port)?;
                }
            }
        }
        "VOLUME" => {
            let list = match exec_form(rest)? {
                Some(list) => list,
                None => some("VOLUME", rest)?.map(str::to_owned).collect(),
            };
            if list.is_empty() {
                return Err("VOLUME requires at least one argument".into());
            }
            let volumes = config.volumes.get_or_insert_default();
            for path in list {
                let path = words::expand(path.trim(), &names)?;
                if path.is_empty() {
                    return Err("VOLUME specified can not be an empty string".into());
                }
                volumes.insert(path, Value::Object(Map::new()));
            }
        }
        "ONBUILD" => {
            let trigger = parse(some("ONBUILD", rest).map(|_| rest)?);
            match trigger.name.to_uppercase().as_str() {
                "ONBUILD" => {
                    return Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".into());
                }
                other @ ("MAINTAINER" | "FROM") => {
                    return Err(format!("{other} isn't allowed as an ONBUILD trigger"));
                }
                _ => {}
            }
            config
                .on_build
                .get_or_insert_default()
                .push(rest.to_owned());
        }
        _ => config.healthcheck = Some(health_check(instruction)?),
    }
    Ok(())
}

/// All words of an instruction that needs one at least.
fn some<'a>(name: &str, rest: &'a str) -> Result<impl Iterator<Item = &'a str>, String> {
    if rest.is_empty() {
        return Err(format!("{name} requires at least one argument"));
    }
    Ok(rest.split_whitespace())
}

/// The argument of an instruction that takes the whole line as one.
fn only<'a>(name: &str, rest: &'a str) -> Result<&'a str, String> {
    if rest.is_empty() {
        return Err(format!("{name} requires exactly one argument"));
    }
    Ok(rest)
}

/// `NAME=value …`, or the old `NAME value` with everything behind the name as one value.
fn pairs(rest: &str, name: &str, names: &Names<'_>) -> Result<Vec<(String, String)>, String> {
    let list = words::split(rest);
    let Some(first) = list.first() else {
        return Err(format!("{name} requires at least one argument"));
    };
    let pairs: Vec<(&str, &str)> = if first.contains('=') {
        list.iter()
            .map(|word| {
                word.split_once('=').ok_or_else(|| {
                    format!(
                        "Syntax error - can't find = in {word:?}. Must be of the form: name=value"
                    )
                })
            })
            .collect::<Result<_, _>>()?
    } else {
        let (key, value) = rest
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("{name} must have two arguments"))?;
        vec![(key, value.trim_start())]
    };
    pairs
        .into_iter()
        .map(|(key, value)| {
            if key.is_empty() {
                return Err(format!("{name} names can not be blank"));
            }
            Ok((words::expand(key, names)?, words::expand(value, names)?))
        })
        .collect()
}

/// A JSON list of strings; nothing when it is no list.
fn exec_form(rest: &str) -> Result<Option<Vec<String>>, String> {
    if !rest.starts_with('[') {
        return Ok(None);
    }
    let Ok(list) = serde_json::from_str::<Vec<Value>>(rest) else {
        return Ok(None);
    };
    list.into_iter()
        .map(|item| match item {
            Value::String(word) => Ok(word),
            _ => Err(
                "when using JSON array syntax, arrays must be comprised of strings only".to_owned(),
            ),
        })
        .collect::<Result<_, _>>()
        .map(Some)
}

/// A JSON list as it is; anything else is for the shell.
fn command_line(config: &Config, rest: &str) -> Result<Vec<String>, String> {
    if let Some(list) = exec_form(rest)? {
        return Ok(list);
    }
    let mut line = config
        .shell
        .clone()
        .filter(|shell| !shell.is_empty())
        .unwrap_or_else(|| SHELL.map(str::to_owned).to_vec());
    if !rest.is_empty() {
        line.push(rest.to_owned());
    }
    Ok(line)
}

fn working_dir(current: &str, path: &str) -> Result<String, String> {
    if path.is_empty() {
        return Err("cannot normalize nothing".into());
    }
    Ok(crate::containers::validate::clean_path(&format!(
        "{}/{path}",
        if path.starts_with('/') { "" } else { current }
    )))
}

fn expose(ports: &mut Map<String, Value>, text: &str) -> Result<(), String> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("invalid proto: {protocol}"));
    }
    // As for publishing, the container's port stands last.
    let range = range.rsplit(':').next().unwrap_or(range);
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let invalid = || format!("invalid containerPort: {range}");
    let first: u16 = first.parse().map_err(|_| invalid())?;
    let last: u16 = last.parse().map_err(|_| invalid())?;
    if last < first {
        return Err(invalid());
    }
    for port in first..=last {
        ports.insert(format!("{port}/{protocol}"), Value::Object(Map::new()));
    }
    Ok(())
}

fn health_check(instruction: &Instruction) -> Result<HealthConfig, String> {
    let (kind, rest) = instruction
        .rest
        .split_once(char::is_whitespace)
        .unwrap_or((&instruction.rest, ""));
    let rest = rest.trim();
    let mut check = HealthConfig::default();
    match kind.to_uppercase().as_str() {
        "" => return Err("HEALTHCHECK requires at least one argument".into()),
        "NONE" if rest.is_empty() => {
            check.test = vec!["NONE".to_owned()];
            return Ok(check);
        }
        "NONE" => return Err("HEALTHCHECK NONE takes no arguments".into()),
        "CMD" => {
            check.test = match exec_form(rest)? {
                Some(list) => [vec!["CMD".to_owned()], list].concat(),
                None => vec!["CMD-SHELL".to_owned()],
            };
            if check.test.first().is_some_and(|first| first == "CMD-SHELL") && !rest.is_empty() {
                check.test.push(rest.to_owned());
            }
            if check.test.len() < 2 {
                return Err("Missing command after HEALTHCHECK CMD".into());
            }
        }
        other => return Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")),
    }
    for flag in &instruction.flags {
        let (name, value) = flag
            .split_once('=')
            .ok_or_else(|| format!("missing a value on flag: {flag}"))?;
        let field = match name {
            "--interval" => &mut check.interval,
            "--timeout" => &mut check.timeout,
            "--start-period" => &mut check.start_period,
            "--start-interval" => &mut check.start_interval,
            "--retries" => &mut check.retries,
            _ => return Err(format!("unknown flag: {name}")),
        };
        if *field != 0 {
            return Err(format!("duplicate flag specified: {name}"));
        }
        // Zero inherits, and is not written.
        *field = if name == "--retries" {
            retries(value)?
        } else {
            interval(name, value)?
        };
    }
    Ok(check)
}

fn retries(value: &str) -> Result<i64, String> {
    let number: i32 = value
        .parse()
        .map_err(|_| format!("strconv.ParseInt: parsing {value:?}: invalid syntax"))?;
    if number < 0 {
        return Err(format!("--retries cannot be negative ({number})"));
    }
    Ok(i64::from(number))
}

fn interval(name: &str, value: &str) -> Result<i64, String> {
    const MILLISECOND: i64 = 1_000_000;
    if value.is_empty() {
        return Ok(0);
    }
    let nanoseconds =
        parse_go_duration(value).ok_or_else(|| format!("time: invalid duration {value:?}"))?;
    if nanoseconds != 0 && nanoseconds < MILLISECOND {
        let name = name.trim_start_matches('-');
        return Err(format!("Interval {name:?} cannot be less than 1ms"));
    }
    Ok(nanoseconds)
}

#[cfg(test)]
#[path = "instructions_tests.rs"]
mod tests;

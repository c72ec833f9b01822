//! Credentials for registries, where `docker login` keeps them: docker's configuration file and its
//! credential helpers. Nothing is kept anywhere else.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Map, Value, json};

use crate::failure::Failure;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

/// Under which Docker Hub is kept.
const HUB: &str = "https://index.docker.io/v1/";

/// One registry's credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
    /// What a registry gave instead of the password.
    pub(crate) identity: String,
}

/// docker's configuration.
struct Config {
    path: PathBuf,
    document: Map<String, Value>,
}

impl Credentials {
    /// The value of the header that carries them to the engine.
    pub(crate) fn header(&self, server: &str) -> String {
        URL_SAFE.encode(self.document(server).to_string())
    }

    /// What `POST /auth` takes.
    pub(crate) fn document(&self, server: &str) -> Value {
        json!({
            "username": self.username,
            "password": self.password,
            "identitytoken": self.identity,
            "serveraddress": server,
        })
    }
}

/// The key of the registry that an image's name begins with.
pub(crate) fn server_of(name: &str) -> String {
    match name.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host.to_owned(),
        _ => HUB.to_owned(),
    }
}

/// The key of a registry that a person names; Docker Hub when they name none.
pub(crate) fn key(server: Option<&str>) -> String {
    let bare = server.unwrap_or_default();
    let bare = bare.trim_start_matches("https://");
    let host = bare.trim_start_matches("http://").split('/').next();
    match host.unwrap_or_default() {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB.to_owned(),
        host => host.to_owned(),
    }
}

/// The header for an image's registry, when there are credentials for it.
pub(crate) fn header_for(name: &str) -> Result<Option<String>, Failure> {
    let server = server_of(name);
    let found = Config::read()?.find(&server)?;
    Ok(found.map(|credentials| credentials.header(&server)))
}

/// Keeps credentials.
pub(crate) fn keep(server: &str, credentials: &Credentials) -> Result<(), Failure> {
    Config::read()?.keep(server, credentials)
}

/// Forgets them; whether there were any.
pub(crate) fn forget(server: &str) -> Result<bool, Failure> {
    Config::read()?.forget(server)
}

impl Config {
    fn read() -> Result<Self, Failure> {
        let folder = match std::env::var_os("DOCKER_CONFIG") {
            Some(folder) if !folder.is_empty() => PathBuf::from(folder),
            _ => std::env::home_dir().unwrap_or_default().join(".docker"),
        };
        let path = folder.join("config.json");
        let document = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Failure::new(format!("{} cannot be read", path.display()))
                    .because(error.to_string())
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(Failure::file("read", &path, &error)),
        };
        Ok(Self { path, document })
    }

    fn helper(&self, server: &str) -> Option<&str> {
        let own = self
            .document
            .get("credHelpers")
            .and_then(|all| all.get(server));
        let any = self.document.get("credsStore");
        own.or(any)?.as_str().filter(|name| !name.is_empty())
    }

    fn find(&self, server: &str) -> Result<Option<Credentials>, Failure> {
        if let Some(helper) = self.helper(server) {
            return ask_helper(helper, server);
        }
        let auths = self.document.get("auths").and_then(Value::as_object);
        // Old versions kept whole addresses.
        let entry = auths.and_then(|auths| {
            auths.get(server).or_else(|| {
                let same = |(known, _): &(&String, &Value)| key(Some(known)) == server;
                auths.iter().find(same).map(|(_, entry)| entry)
            })
        });
        let Some(entry) = entry else { return Ok(None) };
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let pair = STANDARD.decode(text("auth")).unwrap_or_default();
        let pair = String::from_utf8_lossy(&pair).into_owned();
        let (username, password) = pair.split_once(':').unwrap_or_default();
        let found = Credentials {
            username: username.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
            identity: text("identitytoken").to_owned(),
        };
        Ok(Some(found).filter(|found| *found != Credentials::default()))
    }

    fn keep(mut self, server: &str, credentials: &Credentials) -> Result<(), Failure> {
        let entry = match self.helper(server) {
            Some(helper) => {
                let secret = if credentials.identity.is_empty() {
                    (&credentials.username, &credentials.password)
                } else {
                    (&"<token>".to_owned(), &credentials.identity)
                };
                let document =
                    json!({ "ServerURL": server, "Username": secret.0, "Secret": secret.1 });
                run_helper(helper, "store", &document.to_string())?;
                json!({})
            }
            None => {
                let pair = format!("{}:{}", credentials.username, credentials.password);
                let mut entry = json!({ "auth": STANDARD.encode(pair) });
                if !credentials.identity.is_empty() {
                    entry["identitytoken"] = json!(credentials.identity);
                }
                entry
            }
        };
        let auths = self.document.entry("auths").or_insert_with(|| json!({}));
        auths[server] = entry;
        self.write()
    }

    fn forget(mut self, server: &str) -> Result<bool, Failure> {
        if let Some(helper) = self.helper(server) {
            // One that has none says so, and that is as good.
            let _ = run_helper(helper, "erase", server);
        }
        let auths = self
            .document
            .get_mut("auths")
            .and_then(Value::as_object_mut);
        let known = auths.is_some_and(|auths| auths.shift_remove(server).is_some());
        if known {
            self.write()?;
        }
        Ok(known)
    }

    /// Writes a new file beside the old one and puts it in its place.
    fn write(&self) -> Result<(), Failure> {
        let fail = |error: std::io::Error| Failure::file("write", &self.path, &error);
        let folder = self.path.parent().unwrap_or(&self.path);
        std::fs::create_dir_all(folder).map_err(fail)?;
        let part = folder.join(format!(".config.json.{}", std::process::id()));
        let text = serde_json::to_vec_pretty(&self.document)
            .map_err(|error| Failure::new("writing credentials").because(error.to_string()))?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        platform::private(&mut options);
        let written = options
            .open(&part)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| std::fs::rename(&part, &self.path));
        if written.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        written.map_err(fail)
    }
}

fn ask_helper(helper: &str, server: &str) -> Result<Option<Credentials>, Failure> {
    let Ok(answer) = run_helper(helper, "get", server) else {
        // "credentials not found" is its way to say that there are none.
        return Ok(None);
    };
    let value: Value = serde_json::from_str(&answer).map_err(|error| {
        Failure::new(format!("docker-credential-{helper} answered nonsense"))
            .because(error.to_string())
    })?;
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    Ok(Some(match text("Username").as_str() {
        "<token>" => Credentials {
            identity: text("Secret"),
            ..Credentials::default()
        },
        _ => Credentials {
            username: text("Username"),
            password: text("Secret"),
            identity: String::new(),
        },
    }))
}

/// The protocol of credential helpers: a verb as argument, the rest by standard input.
fn run_helper(helper: &str, verb: &str, input: &str) -> Result<String, Failure> {
    let program = format!("docker-credential-{helper}");
    let failed = |why: String| Failure::new(format!("{program} {verb} failed")).because(why);
    let mut child = Command::new(&program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that has ended says why itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(failed(text.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_have_keys() {
        for (name, server) in [
            ("busybox", HUB),
            ("user/app:1", HUB),
            ("localhost/app", "localhost"),
            ("host:5000/a/b", "host:5000"),
            ("quay.io/x", "quay.io"),
        ] {
            assert_eq!(server_of(name), server);
        }
        assert_eq!(key(None), HUB);
        assert_eq!(key(Some("https://host:5000/v2/")), "host:5000");
        assert_eq!(key(Some("docker.io")), HUB);
    }

    #[test]
    fn a_configuration_of_docker_is_read() {
        let document = r#"{"auths":{"https://host:5000/v1/":{"auth":"bWU6c2VjcmV0"},
            "token.example":{"auth":"","identitytoken":"t"}},"other":1}"#;
        let config = Config {
            path: PathBuf::new(),
            document: serde_json::from_str(document).unwrap(),
        };
        let find = |server| config.find(server).ok().flatten();
        let found = find("host:5000").unwrap();
        assert_eq!((&*found.username, &*found.password), ("me", "secret"));
        assert_eq!(find("token.example").unwrap().identity, "t");
        assert_eq!(find("nowhere"), None);
    }
}

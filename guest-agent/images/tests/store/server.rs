//! Registries for tests: the real one, and a small one that misbehaves on request.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use images::Digest;
use serde_json::{Value, json};

use crate::fixture::{TestImage, tool};

/// The manifest of an image and every blob it names.
pub(crate) fn content(
    image: &TestImage,
    compress: fn(&[u8]) -> Vec<u8>,
) -> (Vec<u8>, Vec<Vec<u8>>) {
    let kind = |name: &str| format!("application/vnd.docker.{name}");
    let describe = |bytes: &[u8], media_type: String| json!({ "mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len() });
    let layers: Vec<Vec<u8>> = image.layers.iter().map(|layer| compress(layer)).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": kind("distribution.manifest.v2+json"),
        "config": describe(&image.config, kind("container.image.v1+json")),
        "layers": layers.iter().map(|layer| describe(layer, kind("image.rootfs.diff.tar.gzip"))).collect::<Vec<_>>(),
    });
    let mut blobs = layers;
    blobs.push(image.config.clone());
    (serde_json::to_vec(&manifest).unwrap(), blobs)
}

/// An index over manifests for platforms.
pub(crate) fn index(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let entry = |(platform, manifest): &(&str, &[u8])| {
        let (os, architecture) = platform.split_once('/').unwrap();
        json!({
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "digest": Digest::of(manifest), "size": manifest.len(),
            "platform": { "os": os, "architecture": architecture },
        })
    };
    let entries: Vec<Value> = entries.iter().map(entry).collect();
    serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
        "manifests": entries,
    }))
    .unwrap()
}

fn http() -> reqwest::Client {
    // Fails when another test was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Debian's `docker-registry` on a free port.
pub(crate) struct RealRegistry {
    process: Child,
    pub(crate) address: SocketAddr,
    _home: tempfile::TempDir,
}

impl RealRegistry {
    /// `None`, having said so, when the program is not here.
    pub(crate) fn start() -> Option<Self> {
        let program = tool("docker-registry")?;
        let home = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let config = home.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
            home.path().display()
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let process = Command::new(program)
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let registry = Self {
            process,
            address,
            _home: home,
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(
                Instant::now() < deadline,
                "the registry does not listen on {address}"
            );
            std::thread::yield_now();
        }
        Some(registry)
    }

    pub(crate) async fn push_blob(&self, repository: &str, bytes: &[u8]) {
        let http = http();
        let start = http
            .post(format!(
                "http://{}/v2/{repository}/blobs/uploads/",
                self.address
            ))
            .send()
            .await
            .unwrap();
        let mut url = reqwest::Url::parse(start.headers()["location"].to_str().unwrap()).unwrap();
        url.query_pairs_mut()
            .append_pair("digest", &Digest::of(bytes).to_string());
        let done = http.put(url).body(bytes.to_vec()).send().await.unwrap();
        assert!(done.status().is_success(), "{}", done.text().await.unwrap());
    }

    pub(crate) async fn push_manifest(&self, repository: &str, tag: &str, manifest: &[u8]) {
        let value: Value = serde_json::from_slice(manifest).unwrap();
        let done = http()
            .put(format!(
                "http://{}/v2/{repository}/manifests/{tag}",
                self.address
            ))
            .header("content-type", value["mediaType"].as_str().unwrap())
            .body(manifest.to_vec())
            .send()
            .await
            .unwrap();
        assert!(done.status().is_success(), "{}", done.text().await.unwrap());
    }

    pub(crate) async fn push(
        &self,
        repository: &str,
        tag: &str,
        image: &TestImage,
        compress: fn(&[u8]) -> Vec<u8>,
    ) -> Digest {
        let (manifest, blobs) = content(image, compress);
        for blob in &blobs {
            self.push_blob(repository, blob).await;
        }
        self.push_manifest(repository, tag, &manifest).await;
        Digest::of(&manifest)
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What came in.
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
}

/// What goes out.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Close the connection after this many bytes of the body, which stays announced in full.
    pub(crate) cut: Option<usize>,
}

impl Answer {
    pub(crate) fn ok(body: &[u8]) -> Self {
        Self {
            status: 200,
            body: body.to_vec(),
            ..Self::default()
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

/// A registry made of one function, which also sees how often each path was asked before.
pub(crate) struct FakeRegistry {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeRegistry {
    pub(crate) fn start(
        answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (log, answer) = (asked.clone(), Arc::new(answer));
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { address, asked }
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|asked| asked.contains(path))
            .count()
    }
}

fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<String>>,
    answer: &dyn Fn(&Request, usize) -> Answer,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = String::new();
        reader
            .read_line(&mut line)
            .ok()
            .filter(|count| *count > 0)?;
        let mut words = line.split(' ');
        let path = words.nth(1)?.to_owned();
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers
            .get("content-length")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let before = {
            let mut log = log.lock().unwrap();
            let before = log.iter().filter(|asked| **asked == path).count();
            log.push(path.clone());
            before
        };
        let request = Request { path, headers };
        let answer = answer(&request, before);
        let mut head = format!(
            "HTTP/1.1 {} X\r\ncontent-length: {}\r\n",
            answer.status,
            answer.body.len()
        );
        for (name, value) in &answer.headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
        let sent = answer.cut.unwrap_or(answer.body.len());
        stream.write_all(&answer.body[..sent]).ok()?;
        if answer.cut.is_some() {
            stream.shutdown(std::net::Shutdown::Both).ok()?;
            return None;
        }
    }
}

/// Serves an image called `x:1` and hands every request to `twist` first.
pub(crate) fn serving(
    manifest: Vec<u8>,
    blobs: Vec<Vec<u8>>,
    twist: impl Fn(&Request, usize) -> Option<Answer> + Send + Sync + 'static,
) -> FakeRegistry {
    FakeRegistry::start(move |request, before| {
        if let Some(answer) = twist(request, before) {
            return answer;
        }
        let last = request.path.rsplit('/').next().unwrap_or_default();
        if request.path == "/v2/" {
            return Answer::ok(b"{}");
        }
        if request.path.contains("/manifests/")
            && (last == "1" || last == Digest::of(&manifest).to_string())
        {
            return Answer::ok(&manifest).header(
                "content-type",
                "application/vnd.docker.distribution.manifest.v2+json",
            );
        }
        match blobs
            .iter()
            .find(|blob| Digest::of(blob).to_string() == last)
        {
            Some(blob) => ranged(request, blob),
            None => Answer {
                body: br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#
                    .to_vec(),
                ..Answer::status(404)
            },
        }
    })
}

/// A blob, or the part that was asked for.
pub(crate) fn ranged(request: &Request, blob: &[u8]) -> Answer {
    let from = request.headers.get("range").and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    });
    match from {
        Some(from) if from < blob.len() => Answer {
            status: 206,
            body: blob[from..].to_vec(),
            headers: vec![(
                "content-range".into(),
                format!("bytes {from}-{}/{}", blob.len() - 1, blob.len()),
            )],
            cut: None,
        },
        _ => Answer::ok(blob),
    }
}

//! The registry: it has one image and answers as it should, but where it was told to say something else.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use arbitrary::{Result, Unstructured};
use fuzz::image::Image;
use fuzz::json;
use images::Digest;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Something else to say.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// What there is.
    Honest,
    /// What there is, cut off or damaged.
    Damaged(u16),
    /// This.
    Other(Vec<u8>),
}

/// The registry.
pub(crate) struct Server {
    address: String,
    content: HashMap<String, Vec<u8>>,
    manifest: Digest,
    image: Digest,
    answers: Mutex<VecDeque<Option<Answer>>>,
}

impl Server {
    pub(crate) async fn start(image: &Image) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut content = HashMap::new();
        let mut add = |kind: &str, bytes: Vec<u8>| {
            let digest = Digest::of(&bytes);
            let descriptor =
                json!({"mediaType": kind, "digest": digest.to_string(), "size": bytes.len()});
            content.insert(digest.to_string(), bytes);
            (digest, descriptor)
        };
        let layer = "application/vnd.oci.image.layer.v1.tar";
        let layers: Vec<_> = image
            .layers
            .iter()
            .map(|(blob, _)| add(layer, blob.clone()).1)
            .collect();
        let (id, config) = add("application/vnd.oci.image.config.v1+json", image.document());
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let bytes = manifest.to_string().into_bytes();
        let (digest, _) = add("application/vnd.oci.image.manifest.v1+json", bytes.clone());
        content.insert("1".into(), bytes);
        let server = Arc::new(Self {
            address,
            content,
            manifest: digest,
            image: id,
            answers: Mutex::default(),
        });
        let serving = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&serving);
                tokio::spawn(async move { server.talk(stream).await });
            }
        });
        server
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    pub(crate) fn manifest(&self) -> Digest {
        self.manifest
    }

    pub(crate) fn image(&self) -> Digest {
        self.image
    }

    /// What is said to the next requests.
    pub(crate) fn prepare(&self, answers: Vec<Option<Answer>>) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = answers.into();
    }

    /// One request and its answer.
    async fn talk(&self, mut stream: TcpStream) -> Option<()> {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            // TLS is not spoken here.
            if head.first() == Some(&0x16) || stream.read_buf(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut words = text.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let answer = self
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
            .flatten();
        let honest = self.honest(method, target);
        let said = answer.unwrap_or(Answer {
            status: honest.0,
            headers: honest.1,
            body: Body::Honest,
        });
        let body = match said.body {
            Body::Honest => honest.2,
            Body::Damaged(at) => {
                let mut body = honest.2;
                match body.get_mut(usize::from(at / 2)) {
                    Some(byte) if at % 2 == 0 => *byte ^= 1,
                    _ => body.truncate(usize::from(at / 2)),
                }
                body
            }
            Body::Other(body) => body,
        };
        let mut out = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", said.status);
        for (name, value) in &said.headers {
            out += &format!("{name}: {value}\r\n");
        }
        out += &format!("Content-Length: {}\r\n\r\n", body.len());
        let mut out = out.into_bytes();
        if method != "HEAD" {
            out.extend(body);
        }
        stream.write_all(&out).await.ok()?;
        stream.shutdown().await.ok()?;
        // A reset would overtake the answer.
        let mut rest = vec![0; 16 << 10];
        while stream.read(&mut rest).await.ok()? > 0 {}
        Some(())
    }

    fn honest(&self, method: &str, target: &str) -> (u16, Vec<(String, String)>, Vec<u8>) {
        let path = target.split('?').next().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        if path.ends_with("/tags/list") {
            return (
                200,
                Vec::new(),
                br#"{"name":"x","tags":["1","2"]}"#.to_vec(),
            );
        }
        if path.ends_with("/_catalog") {
            return (200, Vec::new(), br#"{"repositories":["x","y/x"]}"#.to_vec());
        }
        if path.contains("/token") {
            return (
                200,
                Vec::new(),
                br#"{"token":"t","expires_in":60}"#.to_vec(),
            );
        }
        if method == "POST" || method == "PATCH" {
            return (202, header("Location", "/v2/x/blobs/uploads/1"), Vec::new());
        }
        if method == "PUT" {
            return (201, Vec::new(), Vec::new());
        }
        if path.contains("/manifests/") || path.contains("/blobs/") {
            let kind = "application/vnd.oci.image.manifest.v1+json";
            return match self.content.get(last) {
                Some(bytes) => (200, header("Content-Type", kind), bytes.clone()),
                None => (404, Vec::new(), Vec::new()),
            };
        }
        (200, Vec::new(), b"{}".to_vec())
    }
}

/// What is said to the first requests; nothing where the honest answer is given.
pub(crate) fn answers(u: &mut Unstructured<'_>, address: String) -> Result<Vec<Option<Answer>>> {
    // Of those that say "later" none: that is waited for.
    const STATUSES: [u16; 14] = [
        200, 200, 200, 201, 202, 204, 206, 301, 307, 400, 401, 401, 403, 404,
    ];
    const KEYS: [&str; 20] = [
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "manifests",
        "digest",
        "size",
        "platform",
        "os",
        "architecture",
        "annotations",
        "token",
        "access_token",
        "expires_in",
        "errors",
        "code",
        "message",
        "tags",
        "repositories",
        "urls",
    ];
    let mut answers = Vec::new();
    for _ in 0..u.int_in_range(1..=6)? {
        if u.ratio(1, 2)? {
            answers.push(None);
            continue;
        }
        let mut headers = Vec::new();
        for _ in 0..u.int_in_range(0..=2)? {
            headers.push(header(u, &address)?);
        }
        let body = match u.int_in_range(0..=4)? {
            0 | 1 => Body::Honest,
            2 => Body::Damaged(u.arbitrary()?),
            3 => Body::Other(json::value(u, &KEYS)?.to_string().into_bytes()),
            _ => Body::Other(u.arbitrary::<&[u8]>()?.to_vec()),
        };
        answers.push(Some(Answer {
            status: *u.choose(&STATUSES)?,
            headers,
            body,
        }));
    }
    Ok(answers)
}

fn header(u: &mut Unstructured<'_>, address: &str) -> Result<(String, String)> {
    const NAMES: [&str; 10] = [
        "WWW-Authenticate",
        "WWW-Authenticate",
        "Location",
        "Link",
        "Content-Type",
        "Docker-Content-Digest",
        "Range",
        "Content-Range",
        "Docker-Upload-UUID",
        "OCI-Filters-Applied",
    ];
    let values = [
        format!(
            "Bearer realm=\"http://{address}/token\",service=\"x\",scope=\"repository:x:pull,push\""
        ),
        format!("Bearer realm=\"http://{address}/token\", error=\"insufficient_scope\""),
        "Basic realm=\"x\"".to_owned(),
        "Bearer realm=\"".to_owned(),
        "/v2/x/blobs/uploads/2?_state=a%20b".to_owned(),
        format!("http://{address}/v2/x/manifests/1"),
        "</v2/x/tags/list?last=1&n=1>; rel=\"next\"".to_owned(),
        "application/vnd.oci.image.index.v1+json".to_owned(),
        "application/vnd.docker.distribution.manifest.v1+prettyjws".to_owned(),
        Digest::of(b"").to_string(),
        "0-10".to_owned(),
        "bytes 0-10/20".to_owned(),
    ];
    let value = if u.ratio(1, 4)? {
        // What would be another header is not one.
        let text = u.arbitrary::<&str>()?;
        text.replace(['\r', '\n'], " ")
    } else {
        u.choose(&values)?.clone()
    };
    Ok(((*u.choose(&NAMES)?).to_owned(), value))
}

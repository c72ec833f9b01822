//! Forms in request bodies: `curl -d signal=HUP …/kill` says the same as `…/kill?signal=HUP`.

use axum::body::Body;
use axum::extract::Request;
use http::{Method, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::body;
use crate::error::{ApiError, Result};
use crate::query::Query;

/// As much as Go reads of a form.
const LARGEST: usize = 10 * 1024 * 1024;

/// Reads a body that is a form and notes its fields in the request, for [`Query`].
pub(crate) async fn read(request: Request) -> Result<Request> {
    if !is_form(&request) {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let bytes = match Limited::new(body, LARGEST).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(ApiError::invalid("http: POST too large"));
        }
        Err(error) => {
            let message = format!("reading the request body failed: {error}");
            return Err(ApiError::invalid(message));
        }
    };
    let fields = Query::parse(&String::from_utf8_lossy(&bytes));
    parts.extensions.insert(fields);
    // Handlers that want JSON still see that it is none.
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn is_form(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    matches!(*request.method(), Method::POST | Method::PUT)
        && body::media_type(kind) == "application/x-www-form-urlencoded"
        && !takes_a_stream(request.uri())
}

/// `curl --data-binary @FILE` calls everything a form. What a handler reads piece by piece is none,
/// whatever it is called: Docker fails here.
fn takes_a_stream(uri: &Uri) -> bool {
    let path = uri.path();
    let imports = || uri.query().is_some_and(|query| query.contains("fromSrc="));
    ["/build", "/images/load"].contains(&path)
        || (path == "/images/create" && imports())
        || path.ends_with("/archive")
        || path.starts_with("/slipway/")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use axum::extract::FromRequestParts;

    async fn fields(method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Query> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body))
            .unwrap();
        let (mut parts, _) = read(request).await?.into_parts();
        Ok(Query::from_request_parts(&mut parts, &()).await.unwrap())
    }

    #[tokio::test]
    async fn fields_come_before_those_of_the_path() {
        let form = "Application/x-www-form-urlencoded; charset=utf-8";
        let body = || b"a=1&b=x+y%21".to_vec();
        let both = fields(Method::POST, "/kill?a=2&c=3", form, body()).await;
        let both = both.unwrap();
        assert_eq!(both.all("a"), ["1", "2"]);
        assert_eq!((both.text("b"), both.text("c")), ("x y!", "3"));
        for (method, path, kind) in [
            (Method::GET, "/kill", form),
            (Method::POST, "/kill", "text/plain"),
            (Method::POST, "/images/load", form),
            (Method::POST, "/images/create?fromSrc=-", form),
            (Method::PUT, "/containers/x/archive", form),
        ] {
            let none = fields(method, path, kind, body()).await.unwrap();
            assert_eq!(none.text("a"), "", "{path} {kind}");
        }
        let large = fields(Method::PUT, "/x", form, vec![b'a'; LARGEST + 1]).await;
        assert_eq!(large.unwrap_err().message, "http: POST too large");
    }
}

//! Errors as clients see them: a status and Docker's `{"message": …}`.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::reply;

/// An error on its way to a client.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

/// What handlers return.
pub(crate) type Result<T = Response> = std::result::Result<T, ApiError>;

impl ApiError {
    /// 400.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }

    /// The same with 500: where Docker does not say that the client is at fault.
    pub(crate) fn system(self) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            ..self
        }
    }

    /// 501, for what Slipway has not learned yet.
    pub(crate) fn not_supported(what: &str) -> Self {
        Self {
            status: StatusCode::NOT_IMPLEMENTED,
            message: format!("{what} is not supported by Slipway {} yet", engine::VERSION),
        }
    }
}

impl From<engine::Error> for ApiError {
    fn from(error: engine::Error) -> Self {
        let status = match error.kind() {
            engine::Kind::NotFound => StatusCode::NOT_FOUND,
            engine::Kind::Invalid => StatusCode::BAD_REQUEST,
            engine::Kind::Conflict => StatusCode::CONFLICT,
            engine::Kind::NotModified => StatusCode::NOT_MODIFIED,
            engine::Kind::Unauthorized => StatusCode::UNAUTHORIZED,
            engine::Kind::Forbidden => StatusCode::FORBIDDEN,
            engine::Kind::NotSupported => StatusCode::NOT_IMPLEMENTED,
            engine::Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            engine::Kind::System => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self {
            status,
            message: error.to_string(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status == StatusCode::NOT_MODIFIED {
            return self.status.into_response();
        }
        if self.status.is_server_error() {
            tracing::warn!(
                status = self.status.as_u16(),
                message = self.message,
                "request failed"
            );
        }
        reply::json(self.status, &json!({ "message": self.message }))
    }
}

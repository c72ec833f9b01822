//! Handlers as routes. All have one type, so that the library's code for a route exists once, and what
//! they have in common (most wait for the engine's state) stands here.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use engine::Engine;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::error::ApiError;

/// Routes that wait for their engine.
pub(crate) type Routes = Router<Arc<Engine>>;

type Call = dyn Fn(Request, Arc<Engine>) -> BoxFuture<'static, Response> + Send + Sync;

/// Any handler.
#[derive(Clone)]
pub(crate) struct Uniform {
    call: Arc<Call>,
    /// Whether it needs the engine's state.
    waits: bool,
}

/// Leads to a handler that needs the engine's state: requests wait until it is read.
pub(crate) fn to<H, T>(handler: H) -> Uniform
where
    H: Handler<T, Arc<Engine>> + Sync,
{
    Uniform {
        waits: true,
        ..early(handler)
    }
}

/// Leads to a handler that answers from the first moment.
pub(crate) fn early<H, T>(handler: H) -> Uniform
where
    H: Handler<T, Arc<Engine>> + Sync,
{
    Uniform {
        call: Arc::new(move |request, engine| handler.clone().call(request, engine).boxed()),
        waits: false,
    }
}

impl Handler<Self, Arc<Engine>> for Uniform {
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: Request, engine: Arc<Engine>) -> Self::Future {
        if !self.waits {
            return (self.call)(request, engine);
        }
        async move {
            match engine.ready().await {
                Ok(()) => (self.call)(request, engine).await,
                Err(error) => ApiError::from(error).into_response(),
            }
        }
        .boxed()
    }
}

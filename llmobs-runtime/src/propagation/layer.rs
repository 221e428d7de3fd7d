//! Layers of tower: a server goes on with the caller's trace, a client hands on its own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use http::Request;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::extract::told;
use super::inject::inject_if_any;
use crate::context::{FutureExt as _, InContext};

/// For a server: what a request starts is in the trace that its headers tell.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// # use std::convert::Infallible;
/// use http::{Request, Response};
/// use llmobs::propagation::ExtractLayer;
/// use tower::{ServiceBuilder, service_fn};
///
/// # fn server() -> impl tower::Service<Request<String>> {
/// async fn answer(question: Request<String>) -> Result<Response<String>, Infallible> {
///     // Spans that start here are children of the caller's span.
///     Ok(Response::new(question.into_body()))
/// }
///
/// // With axum: `Router::new().route("/", …).layer(ExtractLayer::new())`.
/// ServiceBuilder::new()
///     .layer(ExtractLayer::new())
///     .service(service_fn(answer))
/// # }
/// # let _ = server();
/// ```
///
/// The context is that of [`extract`](super::extract()). It is current while the inner service
/// is called, at each poll of its future, and when that is dropped unfinished. Headers that tell
/// nothing, and any while llmobs is not enabled, change nothing: what is current stays current.
///
/// A body is polled by the server after the future has ended, outside of the context. Where a
/// streamed body starts spans, take [`Context::current`](crate::Context::current) in the handler
/// and make it current in the body. A task that the handler spawns goes on in the trace by
/// [`in_current_context`](crate::FutureExt::in_current_context).
///
/// Anyone who can send a request can name a trace, a session and an application by it. Where
/// strangers may not, let a proxy take the headers away.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ExtractLayer;

impl ExtractLayer {
    /// The layer.
    pub const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for ExtractLayer {
    type Service = ExtractService<S>;

    fn layer(&self, inner: S) -> ExtractService<S> {
        ExtractService { inner }
    }
}

/// What [`ExtractLayer`] makes of a service. It is ready when that is.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtractService<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for ExtractService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ExtractFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let state = match told(request.headers()) {
            // A service may start a span before it gives its future.
            Some(context) => State::Told {
                future: {
                    let future = context.in_scope(|| self.inner.call(request));
                    future.in_context(context)
                },
            },
            None => State::Bare {
                future: self.inner.call(request),
            },
        };
        ExtractFuture { state }
    }
}

pin_project! {
    /// The future of an [`ExtractService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ExtractFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Told { #[pin] future: InContext<F> },
        Bare { #[pin] future: F },
    }
}

impl<F: Future> Future for ExtractFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        match self.project().state.project() {
            StateProjection::Told { future } => future.poll(task),
            StateProjection::Bare { future } => future.poll(task),
        }
    }
}

impl<F> fmt::Debug for ExtractFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtractFuture").finish_non_exhaustive()
    }
}

/// For a client: a request carries what is current where the client is called.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use http::{Request, Response};
/// use llmobs::propagation::InjectLayer;
/// use tower::{Service, ServiceBuilder};
///
/// fn traced<C>(client: C) -> impl Service<Request<String>, Response = Response<String>>
/// where
///     C: Service<Request<String>, Response = Response<String>>,
/// {
///     ServiceBuilder::new().layer(InjectLayer::new()).service(client)
/// }
/// ```
///
/// It writes what [`inject`](super::inject()) writes. Where nothing is current, and while llmobs is
/// not enabled, a request goes out as it is; that is counted nowhere. It has to stand outside of
/// what calls the client from another task, such as tower's `Buffer`.
///
/// The headers tell the trace, the session, the application and the agent: use it with clients
/// of services that may know them.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct InjectLayer;

impl InjectLayer {
    /// The layer.
    pub const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for InjectLayer {
    type Service = InjectService<S>;

    fn layer(&self, inner: S) -> InjectService<S> {
        InjectService { inner }
    }
}

/// What [`InjectLayer`] makes of a service. It is ready when that is.
#[derive(Clone, Copy, Debug, Default)]
pub struct InjectService<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for InjectService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, task: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        inject_if_any(request.headers_mut());
        self.inner.call(request)
    }
}

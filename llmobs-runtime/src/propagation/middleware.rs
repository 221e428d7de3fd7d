//! A middleware of `reqwest-middleware`: a client hands on the trace.

use std::future::Future;
use std::pin::Pin;

use http::Extensions;
use reqwest_middleware::reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};

use super::inject::inject_if_any;

/// For clients of reqwest: a request carries what is current where it is sent.
///
/// ```no_run
/// # use llmobs_runtime as llmobs;
/// use llmobs::propagation::InjectMiddleware;
/// use reqwest_middleware::{ClientBuilder, reqwest};
///
/// # async fn example() -> reqwest_middleware::Result<()> {
/// let client = ClientBuilder::new(reqwest::Client::new())
///     .with(InjectMiddleware::new())
///     .build();
/// // Spans of the service that answers are children of the span that is current here.
/// client.post("http://localhost:8080/search").send().await?;
/// # Ok(())
/// # }
/// ```
///
/// It writes what [`inject`](super::inject()) writes, at each pass: behind a middleware that
/// retries, once for each try. Where nothing is current, and while llmobs is not enabled, a
/// request goes out as it is; that is counted nowhere, and no request ever fails by it.
///
/// The headers tell the trace, the session, the application and the agent: use it with clients
/// of services that may know them.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct InjectMiddleware;

impl InjectMiddleware {
    /// The middleware.
    pub const fn new() -> Self {
        Self
    }
}

// What `#[async_trait]` would write, but for its second box around the future of `next`.
impl Middleware for InjectMiddleware {
    fn handle<'this, 'extensions, 'next, 'future>(
        &'this self,
        mut request: Request,
        extensions: &'extensions mut Extensions,
        next: Next<'next>,
    ) -> Pin<Box<dyn Future<Output = Result<Response>> + Send + 'future>>
    where
        'this: 'future,
        'extensions: 'future,
        'next: 'future,
        Self: 'future,
    {
        inject_if_any(request.headers_mut());
        next.run(request, extensions)
    }
}

//! HTTP/1.1 to one destination: over TCP, TLS, a Unix socket, and the proxies that the environment
//! names.
//!
//! It is made of hyper and of rustls, not of reqwest: what is turned on of reqwest is on for the
//! program as well, and its clients then take rustls for a default that has no provider.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::PROXY_AUTHORIZATION;
use http::uri::Scheme;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::sending::Sending;

/// One connection for each lane is kept.
const MOST_IDLE: usize = 2;

/// A connection that is being made may outlast its request by this, so that the request ends by its
/// own time, and says so.
const MORE: Duration = Duration::from_secs(1);

type Boxed = Box<dyn StdError + Send + Sync>;

/// How a destination is reached.
#[derive(Clone)]
pub(super) struct Way {
    /// A Unix socket takes the place of the URL's host.
    pub(super) socket: Option<PathBuf>,
    /// The proxies on the way out.
    pub(super) proxies: Option<Arc<Matcher>>,
    /// Made where any part of the way is TLS.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// The proxies that the environment names.
pub(super) fn proxies() -> Arc<Matcher> {
    Arc::new(Matcher::from_env())
}

impl Way {
    /// Whether TLS is met on the way to `url`, by its server or by its proxy.
    pub(super) fn has_tls(&self, url: &Uri) -> bool {
        let proxy = self.proxy(url);
        is_https(url) || proxy.is_some_and(|proxy| is_https(proxy.uri()))
    }

    fn proxy(&self, url: &Uri) -> Option<Intercept> {
        self.proxies.as_ref()?.intercept(url)
    }
}

fn is_https(url: &Uri) -> bool {
    url.scheme() == Some(&Scheme::HTTPS)
}

/// A client. Its connections are shared by its clones, and kept for the next request.
#[derive(Clone)]
pub(super) struct Http {
    client: Client<Connector, Sending>,
    way: Way,
    timeout: Duration,
}

/// A request that has no answer.
pub(super) enum Failure {
    TimedOut,
    /// The system knows no address of this host, which a wrong `DD_SITE` names for instance.
    NoAddress(String, Boxed),
    Failed(Boxed),
}

impl Failure {
    /// With the causes, which is where it stands what happened. No part of it holds the URL.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::TimedOut => "operation timed out".to_owned(),
            Self::NoAddress(host, error) => {
                format!("no address of {host}: {}", described(&**error))
            }
            Self::Failed(error) => described(&**error),
        }
    }
}

/// The causes of an error.
fn sources<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}

/// An error with its causes.
fn described(error: &(dyn StdError + 'static)) -> String {
    sources(error).fold(error.to_string(), |text, source| {
        format!("{text}: {source}")
    })
}

/// The answer of a server; its words are read as they come.
pub(super) struct Answer {
    response: Response<Incoming>,
    until: Instant,
}

impl Http {
    /// A connection is kept for `idle` without use; a request and its answer take `timeout` at most.
    pub(super) fn new(way: Way, idle: Duration, timeout: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle)
            .pool_max_idle_per_host(MOST_IDLE)
            .build(Connector::new(way.clone(), timeout + MORE));
        Self {
            client,
            way,
            timeout,
        }
    }

    pub(super) async fn get(
        &self,
        url: &str,
        headers: &HeaderMap,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let request = Request::get(url).body(Sending::nothing());
        self.send(request, headers, timeout.min(self.timeout)).await
    }

    pub(super) async fn post(
        &self,
        url: &str,
        headers: &HeaderMap,
        body: Sending,
    ) -> Result<Answer, Failure> {
        self.send(Request::post(url).body(body), headers, self.timeout)
            .await
    }

    async fn send(
        &self,
        request: http::Result<Request<Sending>>,
        headers: &HeaderMap,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let mut request = request.map_err(|error| Failure::Failed(error.into()))?;
        request.headers_mut().extend(headers.clone());
        // A proxy of plain HTTP gets the request itself; that of a tunnel is told in the connector.
        if !is_https(request.uri())
            && let Some(proxy) = self.way.proxy(request.uri())
            && let Some(authorization) = proxy.basic_auth()
        {
            let headers = request.headers_mut();
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let url = request.uri().clone();
        let until = Instant::now() + timeout;
        // The runtime looks at its sockets when its thread has nothing else to do. Without a look now, a
        // connection that was closed while the thread was busy would get the request.
        yield_now().await;
        match timeout_at(until, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(Answer { response, until }),
            Ok(Err(error)) => Err(self.failed(&url, error.into())),
            Err(_) => Err(Failure::TimedOut),
        }
    }

    /// A request to `url` that failed: the host that it was for is not in the system's words.
    fn failed(&self, url: &Uri, error: Boxed) -> Failure {
        let is_unknown = sources(&*error).any(|source| source.to_string() == "dns error");
        let proxy = self.way.proxy(url);
        let host = proxy.as_ref().map_or(url, Intercept::uri).host();
        match host.filter(|_| is_unknown) {
            Some(host) => Failure::NoAddress(host.to_owned(), error),
            None => Failure::Failed(error),
        }
    }
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// More of it; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let body = self.response.body_mut();
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
        match timeout_at(self.until, frame).await {
            // Trailers are at the end.
            Ok(Some(Ok(frame))) => Ok(frame.into_data().ok()),
            Ok(Some(Err(error))) => Err(Failure::Failed(error.into())),
            Ok(None) => Ok(None),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

/// Makes the connections.
#[derive(Clone)]
struct Connector {
    way: Way,
    tcp: HttpConnector,
    /// The time for one of them. A connection whose request takes another one that has become free is
    /// made to its end by a task of hyper-util's, which no request's time ends: a server that never
    /// answers would keep that task and its socket.
    limit: Duration,
}

impl Connector {
    fn new(way: Way, limit: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        // It is below TLS as well.
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { way, tcp, limit }
    }

    async fn connect_in_time(self, url: Uri) -> Result<Stream, Boxed> {
        let limit = self.limit;
        match timeout(limit, self.connect(url)).await {
            Ok(connected) => connected,
            Err(_) => Err(format!("no connection within {limit:?}").into()),
        }
    }

    async fn connect(mut self, url: Uri) -> Result<Stream, Boxed> {
        if let Some(path) = &self.way.socket {
            return unix(path).await;
        }
        let Some(proxy) = self.way.proxy(&url) else {
            let tcp = self.tcp.call(url.clone()).await?;
            return self.secured(&url, Stream::new(tcp)).await;
        };
        let name = proxy.uri().scheme_str().unwrap_or_default();
        if !matches!(name, "http" | "https") {
            let why =
                format!("a proxy of the scheme {name:?} is not supported, http and https are");
            return Err(why.into());
        }
        let to_proxy = ToProxy {
            connector: self.clone(),
        };
        if is_https(&url) {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            let through = tunnel.call(url.clone()).await?;
            return self.secured(&url, through).await;
        }
        let mut stream = to_proxy.connect(proxy.uri().clone()).await?;
        stream.is_proxied = true;
        Ok(stream)
    }

    /// Within TLS, where the URL says so.
    async fn secured(&self, url: &Uri, stream: Stream) -> Result<Stream, Boxed> {
        if !is_https(url) {
            return Ok(stream);
        }
        let config = self.way.tls.clone().ok_or("TLS was not set up")?;
        let host = url.host().ok_or("the address has no host")?;
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.to_owned())?;
        let tls = TlsConnector::from(config);
        let secured = tls.connect(name, TokioIo::new(stream)).await?;
        Ok(Stream::new(TokioIo::new(secured)))
    }
}

#[cfg(unix)]
async fn unix(path: &std::path::Path) -> Result<Stream, Boxed> {
    let socket = tokio::net::UnixStream::connect(path).await?;
    Ok(Stream::new(TokioIo::new(socket)))
}

#[cfg(not(unix))]
async fn unix(path: &std::path::Path) -> Result<Stream, Boxed> {
    let why = format!("{} cannot be used: no Unix sockets here", path.display());
    Err(why.into())
}

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, Boxed>> + Send>>;

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Boxed;
    type Future = Connecting<Stream>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Boxed>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        Box::pin(self.clone().connect_in_time(url))
    }
}

/// Makes the connection to a proxy.
#[derive(Clone)]
struct ToProxy {
    connector: Connector,
}

impl ToProxy {
    async fn connect(mut self, url: Uri) -> Result<Stream, Boxed> {
        let tcp = self.connector.tcp.call(url.clone()).await?;
        self.connector.secured(&url, Stream::new(tcp)).await
    }
}

impl Service<Uri> for ToProxy {
    type Response = Stream;
    type Error = Boxed;
    type Future = Connecting<Stream>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Boxed>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        Box::pin(self.clone().connect(url))
    }
}

trait Io: Read + Write + Send + Unpin {}
impl<T: Read + Write + Send + Unpin> Io for T {}

/// A connection of any kind.
struct Stream {
    io: Box<dyn Io>,
    /// Requests name the server as well.
    is_proxied: bool,
}

impl Stream {
    fn new(io: impl Io + 'static) -> Self {
        Self {
            io: Box::new(io),
            is_proxied: false,
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    /// Longer than the test takes.
    const LONG: Duration = Duration::from_secs(60);

    /// What becomes of a request to `url` on the way of `proxies`.
    fn failure(url: &str, proxies: Option<Matcher>) -> String {
        let way = Way {
            socket: None,
            proxies: proxies.map(Arc::new),
            tls: None,
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let http = Http::new(way, LONG, LONG);
            let answer = http.get(url, &HeaderMap::new(), LONG).await;
            answer.err().unwrap().describe()
        })
    }

    #[test]
    fn a_host_that_nobody_knows_is_named() {
        let error = failure("http://a:hunter@intake.foo.invalid/x", None);
        assert!(
            error
                .starts_with("no address of intake.foo.invalid: client error (Connect): dns error"),
            "{error}"
        );
        let proxies = Matcher::builder().http("http://proxy.invalid:1").build();
        let error = failure("http://intake.foo.invalid/x", Some(proxies));
        assert!(
            error.starts_with("no address of proxy.invalid: "),
            "{error}"
        );
        let refused = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", refused.local_addr().unwrap());
        drop(refused);
        let error = failure(&url, None);
        assert!(error.starts_with("client error (Connect): "), "{error}");
    }

    #[test]
    fn a_connection_that_is_never_made_ends_by_itself_and_leaves_no_socket() {
        // The kernel takes connections for it, and nobody answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", silent.local_addr().unwrap());
        let way = Way {
            socket: None,
            proxies: Some(Arc::new(Matcher::builder().https(proxy).build())),
            tls: None,
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let url = Uri::from_static("https://intake.invalid/");
        let connecting = Connector::new(way, Duration::from_millis(50)).call(url);
        let ended = runtime.block_on(async { timeout(LONG, connecting).await });
        let error = ended.expect("it ends by itself").err().unwrap();
        assert_eq!(error.to_string(), "no connection within 50ms");
        let (mut socket, _) = silent.accept().unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        let mut asked = String::new();
        socket.read_to_string(&mut asked).unwrap();
        assert!(asked.starts_with("CONNECT intake.invalid:443 "), "{asked}");
    }
}

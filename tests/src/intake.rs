//! A local HTTP/1.1 server that plays a Datadog Agent or the intake.
//!
//! It runs on its own thread with its own runtime, so a test may block while it serves. Every request but `GET /info`
//! is recorded in order of arrival and answered 202 `{}`, unless the test has scripted something else. What a real
//! server would refuse (see [`Request::violations`]) fails the test when the intake is dropped.

mod door;
mod message;
mod public;
mod server;

pub use message::{Reading, Reply, Request};

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use door::{Change, State};

/// The server; it ends when this is dropped.
///
/// # Panics
///
/// `Drop` panics with the violations if there are any, they were not allowed, and the thread is not panicking already.
pub struct Intake {
    shared: Arc<Shared>,
    url: String,
    /// Dropped to end the server.
    door: Option<door::Handle>,
    thread: Option<JoinHandle<()>>,
    violations_allowed: bool,
    #[cfg(unix)]
    socket: Option<socket::SocketDir>,
}

/// What the test's thread and the server's share.
#[derive(Default)]
pub(crate) struct Shared {
    log: Mutex<Log>,
    changed: Condvar,
    script: Mutex<Script>,
}

#[derive(Default)]
struct Log {
    requests: Vec<Request>,
    /// What was no request at all, or only half of one.
    broken: Vec<String>,
    infos: usize,
    connections: usize,
    open: usize,
    /// Connections by TLS, in order of arrival: what was agreed on, or what went wrong.
    handshakes: Vec<Result<Handshake, String>>,
}

/// What a client and the server have agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The name that the client asked for (SNI).
    pub server_name: Option<String>,
    /// `TLSv1_2` or `TLSv1_3`.
    pub version: String,
    /// As `TLS13_AES_256_GCM_SHA384`.
    pub suite: String,
}

type Answer = dyn FnMut(&Request) -> Reply + Send;

struct Script {
    info: Reply,
    queue: VecDeque<Reply>,
    readings: VecDeque<Reading>,
    answer: Option<Box<Answer>>,
}

impl Default for Script {
    fn default() -> Self {
        Script {
            info: Reply::json(
                json!({"version": "7.60.0", "endpoints": ["/v0.4/traces", "/evp_proxy/v2/"]}),
            ),
            queue: VecDeque::new(),
            readings: VecDeque::new(),
            answer: None,
        }
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides the answer to a request and records both.
    fn answer(&self, mut request: Request) -> Reply {
        if request.method == "GET" && request.path == "/info" {
            self.log().infos += 1;
            self.changed.notify_all();
            return self.script().info.clone();
        }
        let reply = {
            let mut script = self.script();
            match (script.queue.pop_front(), &mut script.answer) {
                (Some(reply), _) => reply,
                (None, Some(answer)) => answer(&request),
                (None, None) => Reply::default(),
            }
        };
        request.answer = reply.promised_status();
        self.log().requests.push(request);
        self.changed.notify_all();
        reply
    }

    /// How the next body is read, if the script says so.
    fn reading(&self) -> Option<Reading> {
        self.script().readings.pop_front()
    }

    fn connected(self: &Arc<Self>) -> Open {
        let mut log = self.log();
        log.connections += 1;
        log.open += 1;
        Open(Arc::clone(self))
    }

    fn handshake(&self, made: Result<Handshake, String>) {
        self.log().handshakes.push(made);
        self.changed.notify_all();
    }

    fn broken(&self, what: String) {
        self.log().broken.push(what);
        self.changed.notify_all();
    }
}

/// A connection that is counted as open as long as this lives.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.log().open -= 1;
        self.0.changed.notify_all();
    }
}

impl Intake {
    /// Listens on a free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::on_a_port(State::Up)
    }

    /// Has a port of 127.0.0.1, where nobody listens until [`Intake::come_up`].
    pub fn start_down() -> Self {
        Self::on_a_port(State::Down)
    }

    /// Listens on a port of 127.0.0.1 and accepts nothing until [`Intake::come_up`]: the system takes one connection or
    /// two for it, and lets the others wait to be connected.
    pub fn start_deaf() -> Self {
        Self::on_a_port(State::Deaf)
    }

    fn on_a_port(state: State) -> Self {
        let (sender, address) = std::sync::mpsc::channel();
        let mut intake = Self::spawn(move |changes, shared| async move {
            let port = door::Port::reserve();
            sender
                .send(port.address())
                .expect("the test's thread waits");
            port.serve(state, changes, shared).await;
        });
        intake.url = format!("http://{}", address.recv().expect("the server starts"));
        // Whoever connects from here on finds it in its state.
        intake.turn(state);
        intake
    }

    /// The same by TLS, with the certificate of `config`; [`Intake::url`] is then `https://localhost:` and its port.
    pub fn start_tls(config: rustls::ServerConfig) -> Self {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let (sender, address) = std::sync::mpsc::channel::<SocketAddr>();
        let mut intake = Self::spawn(move |mut changes, shared| async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                .await
                .expect("a free port");
            sender
                .send(listener.local_addr().expect("an address"))
                .expect("the test's thread waits");
            tokio::select! {
                () = server::accept_tls(listener, acceptor, shared) => {}
                // It goes down with the intake only.
                _ = changes.recv() => {}
            }
        });
        let port = address.recv().expect("the server starts").port();
        intake.url = format!("https://localhost:{port}");
        intake
    }

    /// Listens on a Unix socket in a fresh directory; [`Intake::url`] is then `unix://` and its path.
    #[cfg(unix)]
    pub fn start_unix() -> Self {
        Self::on_a_socket(State::Up)
    }

    /// Has a path for a Unix socket, which is not there until [`Intake::come_up`].
    #[cfg(unix)]
    pub fn start_unix_down() -> Self {
        Self::on_a_socket(State::Down)
    }

    #[cfg(unix)]
    fn on_a_socket(state: State) -> Self {
        let socket = socket::SocketDir::create();
        let path = socket.path();
        let served = path.clone();
        let mut intake =
            Self::spawn(move |changes, shared| door::serve_unix(served, state, changes, shared));
        intake.url = format!("unix://{}", path.display());
        intake.socket = Some(socket);
        intake.turn(state);
        intake
    }

    fn spawn<F: Future<Output = ()>>(
        serve: impl FnOnce(UnboundedReceiver<Change>, Arc<Shared>) -> F + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let (door, changes) = unbounded_channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("intake".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                runtime.block_on(serve(changes, served));
            })
            .expect("a thread");
        Intake {
            shared,
            url: String::new(),
            door: Some(door::Handle(door)),
            thread: Some(thread),
            violations_allowed: false,
            #[cfg(unix)]
            socket: None,
        }
    }

    fn turn(&self, state: State) {
        self.door.as_ref().expect("it runs").turn(state);
    }

    /// Closes every connection and listens no more; the port stays its own, a Unix socket's path is removed.
    pub fn go_down(&self) {
        self.turn(State::Down);
    }

    /// Listens, at the same place as before.
    pub fn come_up(&self) {
        self.turn(State::Up);
    }

    /// Where it listens: `http://127.0.0.1:<port>` or `unix://<path>`, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Replaces the endpoints that `GET /info` lists; by default `/v0.4/traces` and `/evp_proxy/v2/`.
    pub fn endpoints(&self, endpoints: &[&str]) {
        self.info(Reply::json(
            json!({"version": "7.60.0", "endpoints": endpoints}),
        ));
    }

    /// Replaces the whole answer to `GET /info`, for an Agent that is too old, busy or no Agent at all.
    pub fn info(&self, reply: Reply) {
        self.shared.script().info = reply;
    }

    /// How often `GET /info` was asked.
    pub fn info_count(&self) -> usize {
        self.shared.log().infos
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.log().connections
    }

    /// Blocks until every connection is closed, by whichever side.
    ///
    /// # Panics
    ///
    /// After `timeout`.
    #[track_caller]
    pub fn wait_until_closed(&self, timeout: Duration) {
        let log = self.shared.log();
        let wait = self
            .shared
            .changed
            .wait_timeout_while(log, timeout, |log| log.open > 0);
        let (log, _) = wait.unwrap_or_else(PoisonError::into_inner);
        assert_eq!(log.open, 0, "open connections after {timeout:?}");
    }

    /// From now on, asks `answer` for the reply to each request, once the queue of [`Intake::replies`] is empty.
    pub fn script(&self, answer: impl FnMut(&Request) -> Reply + Send + 'static) {
        self.shared.script().answer = Some(Box::new(answer));
    }

    /// Appends to the queue of replies that the next requests get, one each.
    pub fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.script().queue.extend(replies);
    }

    /// Forgets what has arrived, for one that runs for long and counts by its script.
    pub fn forget(&self) {
        self.shared.log().requests.clear();
    }

    /// Appends to the queue of ways in which the bodies of the next requests are read, one each; such a request is not
    /// recorded.
    pub fn readings(&self, readings: impl IntoIterator<Item = Reading>) {
        self.shared.script().readings.extend(readings);
    }

    /// Blocks until a client has begun TLS, and returns what came of all that did.
    ///
    /// # Panics
    ///
    /// After `timeout`.
    #[track_caller]
    pub fn wait_for_handshakes(&self, timeout: Duration) -> Vec<Result<Handshake, String>> {
        let log = self.shared.log();
        let (log, waited) = self
            .shared
            .changed
            .wait_timeout_while(log, timeout, |log| log.handshakes.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "nobody has begun TLS");
        log.handshakes.clone()
    }

    /// Every request so far but `GET /info`, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.log().requests.clone()
    }

    /// Blocks until `enough` says so of the recorded requests, and returns them.
    ///
    /// # Panics
    ///
    /// After `timeout`, with the requests that came.
    #[track_caller]
    pub fn wait_for(
        &self,
        mut enough: impl FnMut(&[Request]) -> bool,
        timeout: Duration,
    ) -> Vec<Request> {
        let deadline = Instant::now() + timeout;
        let mut log = self.shared.log();
        loop {
            if enough(&log.requests) {
                return log.requests.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let arrived: Vec<String> = log.requests.iter().map(Request::summary).collect();
                drop(log);
                panic!(
                    "not within {timeout:?}; {} requests: {arrived:#?}",
                    arrived.len()
                );
            }
            log = self
                .shared
                .changed
                .wait_timeout(log, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Blocks until `count` span events came, and returns all of them.
    ///
    /// # Panics
    ///
    /// As [`Intake::wait_for`].
    #[track_caller]
    pub fn wait_for_spans(&self, count: usize, timeout: Duration) -> Vec<Value> {
        self.wait_for(reaches(count, |request| request.spans().len()), timeout)
            .iter()
            .flat_map(Request::spans)
            .cloned()
            .collect()
    }

    /// Blocks until `count` evaluations came, and returns all of them.
    ///
    /// # Panics
    ///
    /// As [`Intake::wait_for`].
    #[track_caller]
    pub fn wait_for_evaluations(&self, count: usize, timeout: Duration) -> Vec<Value> {
        let requests = self.wait_for(
            reaches(count, |request| request.evaluations().len()),
            timeout,
        );
        requests
            .iter()
            .flat_map(Request::evaluations)
            .cloned()
            .collect()
    }

    /// The span events of all span bodies so far, whatever the path before `/api/v2/llmobs` and whatever was answered.
    pub fn spans(&self) -> Vec<Value> {
        self.requests()
            .iter()
            .flat_map(Request::spans)
            .cloned()
            .collect()
    }

    /// The spans of all bodies to the documented Spans API so far.
    pub fn public_spans(&self) -> Vec<Value> {
        self.requests()
            .iter()
            .flat_map(Request::public_spans)
            .cloned()
            .collect()
    }

    /// The span events that were answered with a status of 200 to 299.
    pub fn accepted_spans(&self) -> Vec<Value> {
        self.requests()
            .iter()
            .filter(|request| request.was_accepted())
            .flat_map(Request::spans)
            .cloned()
            .collect()
    }

    /// The evaluation events of all evaluation bodies so far.
    pub fn evaluations(&self) -> Vec<Value> {
        self.requests()
            .iter()
            .flat_map(Request::evaluations)
            .cloned()
            .collect()
    }

    /// The evaluation events that were answered with a status of 200 to 299.
    pub fn accepted_evaluations(&self) -> Vec<Value> {
        self.requests()
            .iter()
            .filter(|request| request.was_accepted())
            .flat_map(Request::evaluations)
            .cloned()
            .collect()
    }

    /// What a real server would have refused, so far.
    pub fn violations(&self) -> Vec<String> {
        let (requests, mut found) = {
            let log = self.shared.log();
            (log.requests.clone(), log.broken.clone())
        };
        for (index, request) in requests.iter().enumerate() {
            let name = request.summary();
            found.extend(
                request
                    .violations()
                    .into_iter()
                    .map(|what| format!("request {index}, {name}: {what}")),
            );
        }
        found
    }

    /// Lets the drop pass with violations, for a client that breaks the rules on purpose or is killed half-way.
    pub fn allow_violations(&mut self) {
        self.violations_allowed = true;
    }
}

/// Counts events over a growing list without counting a request twice.
fn reaches(count: usize, events: fn(&Request) -> usize) -> impl FnMut(&[Request]) -> bool {
    let (mut counted, mut sum) = (0, 0);
    move |requests| {
        sum += requests[counted..].iter().map(events).sum::<usize>();
        counted = requests.len();
        sum >= count
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        drop(self.door.take());
        let ended = self.thread.take().map_or(Ok(()), JoinHandle::join);
        if std::thread::panicking() {
            return;
        }
        assert!(ended.is_ok(), "the intake's thread panicked");
        let violations = if self.violations_allowed {
            Vec::new()
        } else {
            self.violations()
        };
        assert!(
            violations.is_empty(),
            "a real server would have refused this: {violations:#?}"
        );
    }
}

impl fmt::Debug for Intake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Intake")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
mod socket {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A directory for one socket, short because a socket's path may have about 100 bytes; removed on drop.
    pub(super) struct SocketDir(PathBuf);

    impl SocketDir {
        pub(super) fn create() -> Self {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            loop {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let dir =
                    std::env::temp_dir().join(format!("llmobs-{}-{number}", std::process::id()));
                match std::fs::create_dir(&dir) {
                    Ok(()) => return SocketDir(dir),
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                    Err(error) => panic!("{}: {error}", dir.display()),
                }
            }
        }

        pub(super) fn path(&self) -> PathBuf {
            self.0.join("apm.socket")
        }
    }

    impl Drop for SocketDir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests;

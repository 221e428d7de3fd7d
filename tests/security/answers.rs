//! Answers without end: what is read of them has one, in bytes and in time.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use llmobs::{Config, DropReason, Stats};
use llmobs_tests::Intake;
use llmobs_tests::intake::Reply;

use crate::{Folder, SOON, client, make_span, witness};

/// What a server may have to write before it notices that nobody reads: the buffers of the system, and some more.
const BUFFERS: usize = 64 * 1024 * 1024;

/// A server that answers each POST by `answer`, and `/info` too if that is what `info` says. How many bytes it could
/// write before the client left, one number for each answer without an end.
struct Endless {
    url: String,
    written: Receiver<usize>,
}

/// How an answer goes on after its first words.
#[derive(Clone, Copy)]
enum Then {
    For(&'static [u8]),
    /// With a pause after each.
    Drip(&'static [u8]),
}

impl Endless {
    fn start(info: bool, first: &'static str, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, written) = channel();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let sender = sender.clone();
                thread::spawn(move || {
                    while let Some(is_info) = request(&mut stream) {
                        if is_info && !info {
                            let body = r#"{"endpoints":["/evp_proxy/v2/"]}"#;
                            let length = body.len();
                            write!(
                                stream,
                                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
                            )
                            .unwrap();
                            continue;
                        }
                        let _ = stream.write_all(first.as_bytes());
                        let _ = sender.send(go_on(&mut stream, then));
                        return;
                    }
                });
            }
        });
        Self { url, written }
    }

    /// Waits until the client has left.
    #[track_caller]
    fn left(&self) {
        let written = self.written.recv_timeout(SOON).expect("the client leaves");
        assert!(written < BUFFERS, "{written} bytes");
    }
}

/// Reads one request; whether it asks for `/info`, or nothing if there is none.
fn request(stream: &mut TcpStream) -> Option<bool> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some(head.starts_with("get /info "))
}

fn go_on(stream: &mut TcpStream, then: Then) -> usize {
    let mut written = 0;
    let (words, pause) = match then {
        Then::For(words) => (words, Duration::ZERO),
        Then::Drip(words) => (words, Duration::from_millis(5)),
    };
    while stream.write_all(words).is_ok() && written < BUFFERS {
        written += words.len();
        thread::sleep(pause);
    }
    written
}

const OK: &str = "HTTP/1.1 202 Accepted\r\n\r\n";
const UNPROCESSABLE: &str = "HTTP/1.1 422 Unprocessable\r\n\r\n";
const INFO: &str = "HTTP/1.1 200 OK\r\n\r\n{\"endpoints\":[";

/// Sends one span there.
fn one_span(server: &Endless, config: Config) -> Stats {
    witness::listen();
    let client = client(
        config
            .agent_url(&server.url)
            .timeout(Duration::from_millis(500)),
    );
    make_span(&client);
    let stats = client.flush(SOON).unwrap().stats;
    client.shutdown(SOON).unwrap();
    stats
}

#[test]
fn a_body_without_end_is_read_to_a_bound_and_left() {
    let server = Endless::start(false, OK, Then::For(&[b'a'; 4096]));
    assert_eq!(one_span(&server, Config::new()).spans().delivered, 1);
    server.left();

    let server = Endless::start(false, UNPROCESSABLE, Then::For(&[b'a'; 4096]));
    let stats = one_span(&server, Config::new());
    assert_eq!(stats.spans().dropped, [(DropReason::Refused, 1)]);
    server.left();
    let said = witness::said();
    let told = said
        .lines()
        .find(|line| line.contains(&server.url) && line.contains("given up"));
    assert!(
        told.is_some_and(|line| line.contains("aaaa") && line.len() < 600),
        "{told:?}"
    );
}

#[test]
fn a_body_that_drips_is_left_at_the_timeout() {
    let server = Endless::start(false, OK, Then::Drip(b"a"));
    assert_eq!(one_span(&server, Config::new()).spans().delivered, 1);
    server.left();
    let server = Endless::start(false, UNPROCESSABLE, Then::Drip(b"a"));
    let stats = one_span(&server, Config::new());
    assert_eq!(stats.spans().dropped, [(DropReason::Refused, 1)]);
    server.left();
}

/// Nothing is known of the answer, so it is tried again until the client goes.
#[track_caller]
fn no_answer(first: &'static str, then: Then) {
    witness::listen();
    let server = Endless::start(false, first, then);
    let client = client(
        Config::new()
            .agent_url(&server.url)
            .timeout(Duration::from_millis(500)),
    );
    make_span(&client);
    server.left();
    client.flush(Duration::from_millis(100)).unwrap_err();
    assert_eq!(client.stats().spans().waiting, 1);
    client.shutdown(Duration::from_millis(10)).unwrap_err();
}

#[test]
fn headers_without_end_are_read_to_a_bound() {
    no_answer(
        "HTTP/1.1 202 Accepted\r\n",
        Then::For(b"x-filling: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"),
    );
    no_answer(
        "HTTP/1.1 202 Accepted\r\nx-filling: ",
        Then::For(&[b'a'; 4096]),
    );
    no_answer("HTTP/1.1 202 ", Then::For(&[b'a'; 4096]));
    no_answer("", Then::For(&[b'a'; 4096]));
}

#[test]
fn headers_that_drip_and_answers_that_put_off_are_left_at_the_timeout() {
    no_answer("HTTP/1.1 202 Accepted\r\nx-filling: ", Then::Drip(b"a"));
    no_answer("", Then::Drip(b"HTTP/1.1 100 Continue\r\n\r\n"));
}

#[test]
fn what_an_agent_says_of_itself_is_read_to_a_bound() {
    let folder = Folder::new();
    let server = Endless::start(true, INFO, Then::For(b"\"/evp_proxy/v2/\","));
    let stats = one_span(&server, Config::new().dir(&folder.0));
    // What has no end is no JSON, so there is no Agent.
    let name = &stats.destinations[0].name;
    assert!(name.starts_with("journal "), "{stats:?}");
    assert_eq!(stats.spans().delivered, 1);
    server.left();
}

#[test]
fn an_agent_that_drips_what_it_says_of_itself_is_left_after_a_while() {
    witness::listen();
    let folder = Folder::new();
    let server = Endless::start(true, INFO, Then::Drip(b"\"/evp_proxy/v2/\","));
    let client = client(Config::new().agent_url(&server.url).dir(&folder.0));
    make_span(&client);
    // Half an answer says nothing of what is there: the span waits.
    server.left();
    assert_eq!(client.stats().waiting(), 1);
    client.shutdown(Duration::from_millis(1)).unwrap_err();
}

/// A small answer stays small: nothing is unpacked, and nothing packed is asked for.
#[test]
fn what_is_compressed_is_not_unpacked() {
    witness::listen();
    let intake = Intake::start();
    intake.script(|_| {
        Reply::status(422)
            .header("content-encoding", "gzip")
            .body("packed words")
    });
    let client = client(Config::new().agent_url(intake.url()));
    make_span(&client);
    client.shutdown(SOON).unwrap();
    let requests = intake.requests();
    assert_eq!(requests[0].header("accept-encoding"), None);
    let said = witness::said();
    assert!(
        said.lines()
            .any(|line| line.contains(intake.url()) && line.contains("packed words"))
    );
}

//! Addresses with TLS where the other side has none, or a certificate that nobody vouches for.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use llmobs::{Config, LlmObs};
use llmobs_tests::{Intake, assert_adds_up};
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::{EACH, give_up_everything, make, wait_for_retries, waiting};
use crate::log;

/// Waits for a try of each lane, and asserts that nothing is lost or may have arrived.
fn assert_waits(client: &LlmObs) {
    make(client, 0..EACH);
    wait_for_retries(client, 2);
    client.flush(Duration::from_millis(50)).unwrap_err();
    let stats = client.stats();
    assert_adds_up(&stats);
    assert_eq!(waiting(&stats), [u64::from(EACH); 3]);
    assert_eq!(stats.destinations[0].possible_duplicates, 0);
    give_up_everything(client);
}

#[test]
fn a_server_without_tls_at_an_https_address_gets_nothing() {
    let mut intake = Intake::start();
    intake.allow_violations();
    let address = intake.url().replace("http:", "https:");
    assert_waits(&crate::client(Config::new().agent_url(address)));
    let intakes = Config::new().agentless(true).api_key("key-of-faults");
    let address = intake.url().replace("http:", "https:");
    assert_waits(&crate::client(intakes.override_origin(address)));
    assert!(intake.requests().is_empty());
}

/// A server with a certificate of its own making.
struct SelfSigned {
    port: u16,
    greeted: Arc<AtomicUsize>,
    trusted: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SelfSigned {
    fn start() -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let own = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key.into())
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let [greeted, trusted] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let ends = Arc::new(AtomicBool::new(false));
        let (greets, trusts, is_over) = (greeted.clone(), trusted.clone(), ends.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                greets.fetch_add(1, Ordering::SeqCst);
                let mut stream = stream.unwrap();
                let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                while tls.is_handshaking() {
                    if tls.complete_io(&mut stream).is_err() {
                        break;
                    }
                }
                if !tls.is_handshaking() {
                    trusts.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self {
            port,
            greeted,
            trusted,
            ends,
            thread: Some(thread),
        }
    }
}

impl Drop for SelfSigned {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_not_trusted() {
    let server = SelfSigned::start();
    let address = format!("https://127.0.0.1:{}", server.port);
    assert_waits(&crate::client(Config::new().agent_url(&address)));
    assert!(server.greeted.load(Ordering::SeqCst) > 0);
    assert_eq!(server.trusted.load(Ordering::SeqCst), 0);
    let told = log::lines_with(&address);
    let reason = |line: &str| line.contains("certificate");
    assert!(told.iter().any(|(_, line)| reason(line)), "{told:?}");
}

#[test]
fn a_server_that_never_finishes_the_handshake_is_no_possible_duplicate() {
    let intake = Intake::start_deaf();
    let address = intake.url().replace("http:", "https:");
    let config = Config::new().override_origin(address).timeout(super::SHORT);
    assert_waits(&crate::client(config));
}

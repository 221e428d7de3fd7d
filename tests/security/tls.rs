//! TLS for real: a server of rustls on this machine, with certificates that the tests make.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use llmobs::{
    Config, ConfigError, Destination, DropReason, Evaluation, EvaluationTarget, EvaluationsClient,
    RowResult,
};
use llmobs_tests::Intake;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::version::{TLS12, TLS13};

use crate::{Folder, SOON, again, client, is_child, make_span, witness};

/// An authority of a company's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server with a certificate for `localhost`, changed by `change`.
    fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> Intake {
        self.server_with(&[&TLS12, &TLS13], change)
    }

    fn server_with(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Intake {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        serve(versions, certificate.der().clone(), &key)
    }
}

fn serve(
    versions: &[&'static rustls::SupportedProtocolVersion],
    certificate: CertificateDer<'static>,
    key: &KeyPair,
) -> Intake {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    Intake::start_tls(config)
}

/// The intake, reached by `https`.
fn intake(url: &str) -> Config {
    Config::new()
        .destination(Destination::Agentless)
        .api_key("the-key-of-the-tls-tests")
        .override_origin(url)
}

/// Nothing reaches the server, nothing is lost, and the log says why.
#[track_caller]
fn refuses(server: &Intake, config: Config, why: &str) {
    witness::listen();
    let client = client(config);
    make_span(&client);
    let handshakes = server.wait_for_handshakes(SOON);
    assert!(handshakes[0].is_err(), "{handshakes:?}");
    client.flush(Duration::from_millis(200)).unwrap_err();
    let spans = client.stats().spans();
    assert_eq!((spans.delivered, spans.waiting), (0, 1));
    client.shutdown(Duration::from_millis(10)).unwrap_err();
    assert_eq!(client.stats().spans().dropped, [(DropReason::Shutdown, 1)]);
    assert!(server.requests().is_empty());
    let said = witness::said();
    let about = said
        .lines()
        .find(|line| line.contains(server.url()) && line.contains("tried again"));
    assert!(
        about.is_some_and(|line| line.contains(why)),
        "{why}: {about:?}"
    );
}

/// The span arrives.
#[track_caller]
fn delivers(config: Config) {
    let client = client(config);
    make_span(&client);
    assert_eq!(client.shutdown(SOON).unwrap().stats.spans().delivered, 1);
}

#[test]
fn a_server_of_an_authority_that_is_added_is_trusted_by_the_name_that_it_was_asked_for() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let server = authority.server_with(&[version], |_| {});
        delivers(intake(server.url()).ca_certificate_pem(authority.pem()));
        let made = server.wait_for_handshakes(SOON);
        let made = made[0].as_ref().unwrap();
        assert_eq!(made.server_name.as_deref(), Some("localhost"));
        assert_eq!(made.version, format!("{:?}", version.version));
        let key = server.requests()[0].header("dd-api-key").map(str::to_owned);
        assert_eq!(key.as_deref(), Some("the-key-of-the-tls-tests"));
    }
}

/// A provider is chosen once for a process, so these run in one of their own.
#[test]
fn a_program_that_has_chosen_no_provider_has_none_after_llmobs_either() {
    if is_child() {
        let pem = std::fs::read(std::env::var("LLMOBS_TEST_PEM").unwrap()).unwrap();
        let url = std::env::var("LLMOBS_TEST_URL").unwrap();
        delivers(intake(&url).ca_certificate_pem(pem));
        assert!(rustls::crypto::CryptoProvider::get_default().is_none());
        return;
    }
    let test = "tls::a_program_that_has_chosen_no_provider_has_none_after_llmobs_either";
    assert_eq!(suite_of(test), "TLS13_AES_256_GCM_SHA384");
}

#[test]
fn the_provider_that_a_program_has_chosen_is_the_one_of_llmobs_too() {
    if is_child() {
        let theirs = rustls::crypto::ring::default_provider();
        let only = rustls::crypto::CryptoProvider {
            cipher_suites: vec![rustls::crypto::ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256],
            ..theirs
        };
        only.install_default().unwrap();
        let pem = std::fs::read(std::env::var("LLMOBS_TEST_PEM").unwrap()).unwrap();
        let url = std::env::var("LLMOBS_TEST_URL").unwrap();
        delivers(intake(&url).ca_certificate_pem(pem));
        return;
    }
    let test = "tls::the_provider_that_a_program_has_chosen_is_the_one_of_llmobs_too";
    assert_eq!(suite_of(test), "TLS13_CHACHA20_POLY1305_SHA256");
}

/// The suite that the child of a test has agreed on with a server that takes every one.
fn suite_of(test: &str) -> String {
    let authority = Authority::new();
    let server = authority.server(|_| {});
    let folder = Folder::new();
    let pem = folder.0.join("authority.pem");
    std::fs::write(&pem, authority.pem()).unwrap();
    again(
        test,
        &[
            ("LLMOBS_TEST_PEM", pem.to_str().unwrap()),
            ("LLMOBS_TEST_URL", server.url()),
        ],
    );
    let made = server.wait_for_handshakes(SOON);
    made[0].as_ref().unwrap().suite.clone()
}

#[test]
fn a_server_of_an_unknown_authority_is_refused() {
    let server = Authority::new().server(|_| {});
    refuses(&server, intake(server.url()), "UnknownIssuer");
    let another = Authority::new().server(|_| {});
    let config = intake(another.url()).ca_certificate_pem(Authority::new().pem());
    refuses(&another, config, "certificate");
}

#[test]
fn a_server_that_signed_for_itself_is_refused() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let server = serve(&[&TLS13], certificate.der().clone(), &key);
    refuses(&server, intake(server.url()), "UnknownIssuer");
}

#[test]
fn a_certificate_of_another_host_is_refused() {
    let authority = Authority::new();
    let server = authority.server(|params| {
        params.subject_alt_names =
            vec![rcgen::SanType::DnsName("other.example".try_into().unwrap())];
    });
    let config = intake(server.url()).ca_certificate_pem(authority.pem());
    refuses(&server, config, "not valid for name");
}

#[test]
fn a_certificate_that_has_expired_or_is_of_the_future_is_refused() {
    let authority = Authority::new();
    let server = authority.server(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let config = intake(server.url()).ca_certificate_pem(authority.pem());
    refuses(&server, config, "expired");
    let server = authority.server(|params| params.not_before = rcgen::date_time_ymd(3000, 1, 1));
    let config = intake(server.url()).ca_certificate_pem(authority.pem());
    refuses(&server, config, "not valid yet");
}

#[test]
fn an_agent_by_https_is_verified_and_trusted_in_the_same_way() {
    let authority = Authority::new();
    let server = authority.server(|_| {});
    refuses(
        &server,
        Config::new().agent_url(server.url()),
        "UnknownIssuer",
    );
    let server = authority.server(|_| {});
    delivers(
        Config::new()
            .agent_url(server.url())
            .ca_certificate_pem(authority.pem()),
    );
    assert_eq!(server.spans().len(), 1);
}

#[test]
fn clients_of_past_evaluations_trust_the_same_authorities_and_no_others() {
    let authority = Authority::new();
    let row = || {
        (
            EvaluationTarget::span("1", "2"),
            Evaluation::new("good", true),
        )
    };
    let server = authority.server(|_| {});
    let config = intake(server.url()).ml_app("security");
    let trusting =
        EvaluationsClient::new(config.clone().ca_certificate_pem(authority.pem())).unwrap();
    let results = trusting.submit([row()]);
    assert_eq!(results, [RowResult::Sent]);
    assert_eq!(server.evaluations().len(), 1);

    let results = EvaluationsClient::new(config).unwrap().submit([row()]);
    let [RowResult::Retriable { reason }] = &results[..] else {
        panic!("{results:?}")
    };
    assert!(reason.contains("UnknownIssuer"), "{reason}");
    assert_eq!(server.evaluations().len(), 1);
}

#[test]
fn authorities_are_added_up_and_may_stand_in_one_text() {
    let authorities = [Authority::new(), Authority::new(), Authority::new()];
    let [first, second, third] = &authorities;
    for authority in &authorities {
        let server = authority.server(|_| {});
        let two = format!("a comment\n{}\n{}", first.pem(), second.pem());
        delivers(
            intake(server.url())
                .ca_certificate_pem(two)
                .ca_certificate_pem(third.pem()),
        );
    }
}

#[test]
fn a_text_of_certificates_has_at_most_a_mebibyte() {
    let authority = Authority::new();
    let server = authority.server(|_| {});
    let config = |length: usize| {
        let pem = authority.pem();
        let comment = "#".repeat(length - pem.len() - 1);
        intake(server.url()).ca_certificate_pem(format!("{comment}\n{pem}"))
    };
    delivers(config(1_048_575));
    delivers(config(1_048_576));
    let error = config(1_048_577).build().unwrap_err().to_string();
    let told = "ca_certificate_pem has 1048577 bytes; it must be PEM text of at most 1048576 bytes";
    assert!(error.starts_with(told), "{error}");
}

#[test]
fn a_text_without_usable_certificates_is_an_error_that_says_why_and_shows_none_of_it() {
    let good = Authority::new().pem();
    let key = KeyPair::generate().unwrap().serialize_pem();
    let cut = &good[..good.len() / 2];
    let section = |inside: &str| {
        format!("-----BEGIN CERTIFICATE-----\n{inside}\n-----END CERTIFICATE-----\n")
    };
    for (pem, why) in [
        (String::new(), "holds no certificate"),
        ("c2VzYW1l".to_owned(), "holds no certificate"),
        (key, "holds a private key and no certificate"),
        (cut.to_owned(), "certificate 1: its END line is missing"),
        (
            format!("{good}{cut}"),
            "certificate 2: its END line is missing",
        ),
        (
            section("c2VzYW1l!"),
            "certificate 1: what stands between its lines is not base64",
        ),
        (
            good.clone() + &section("c2VzYW1l"),
            "number 2, that is none",
        ),
        ("s".repeat(1_048_577), "has 1048577 bytes"),
    ] {
        let config = Config::new().ca_certificate_pem(&pem);
        let debug = format!("{config:?}");
        let error = config.clone().build().unwrap_err();
        assert!(
            matches!(error, ConfigError::Certificate { .. }),
            "{error:?}"
        );
        let told = error.to_string();
        assert!(
            told.starts_with("ca_certificate_pem ") && told.contains(why),
            "{why}: {told}"
        );
        for line in pem
            .lines()
            .filter(|line| line.len() >= 8 && !line.starts_with('-'))
        {
            let line = &line[..line.len().min(64)];
            assert!(
                !told.contains(line) && !debug.contains(line),
                "{told} {debug}"
            );
        }
        // A client that is off says so too.
        assert_eq!(config.enabled(false).build().unwrap_err(), error);
    }
}

#[test]
fn a_key_beside_the_certificate_is_passed_over_and_not_shown() {
    let authority = Authority::new();
    let key = KeyPair::generate().unwrap().serialize_pem();
    let server = authority.server(|_| {});
    let config = intake(server.url()).ca_certificate_pem(format!("{key}{}", authority.pem()));
    let debug = format!("{config:?}");
    assert!(!debug.contains(key.lines().nth(1).unwrap()), "{debug}");
    delivers(config);
}

/// The environment belongs to the whole process, so this runs in one of its own.
#[test]
fn ssl_cert_file_takes_the_place_of_the_systems_certificates() {
    if is_child() {
        let url = std::env::var("LLMOBS_TEST_URL").unwrap();
        return delivers(intake(&url));
    }
    let authority = Authority::new();
    let server = authority.server(|_| {});
    let folder = Folder::new();
    let bundle = folder.0.join("bundle.pem");
    std::fs::write(&bundle, authority.pem()).unwrap();
    again(
        "tls::ssl_cert_file_takes_the_place_of_the_systems_certificates",
        &[
            ("SSL_CERT_FILE", bundle.to_str().unwrap()),
            ("LLMOBS_TEST_URL", server.url()),
        ],
    );
    assert_eq!(server.spans().len(), 1);
}

/// A program may change its working directory before anything is sent.
#[cfg(all(unix, not(target_vendor = "apple")))]
#[test]
fn ssl_cert_file_may_be_relative_to_the_directory_in_which_llmobs_was_set_up() {
    if is_child() {
        std::env::set_current_dir(std::env::var("LLMOBS_TEST_FOLDER").unwrap()).unwrap();
        let config = intake(&std::env::var("LLMOBS_TEST_URL").unwrap());
        let past = EvaluationsClient::new(config.ml_app("security")).unwrap();
        std::env::set_current_dir("/").unwrap();
        let row = (
            EvaluationTarget::span("1", "2"),
            Evaluation::new("good", true),
        );
        assert_eq!(past.submit([row]), [RowResult::Sent]);
        return;
    }
    let authority = Authority::new();
    let server = authority.server(|_| {});
    let folder = Folder::new();
    std::fs::write(folder.0.join("bundle.pem"), authority.pem()).unwrap();
    again(
        "tls::ssl_cert_file_may_be_relative_to_the_directory_in_which_llmobs_was_set_up",
        &[
            ("SSL_CERT_FILE", "bundle.pem"),
            ("LLMOBS_TEST_FOLDER", folder.0.to_str().unwrap()),
            ("LLMOBS_TEST_URL", server.url()),
        ],
    );
    assert_eq!(server.evaluations().len(), 1);
}

/// The same where the system has no certificates at all, as in an image built from nothing.
#[test]
fn an_authority_that_is_added_counts_where_the_system_has_none() {
    if is_child() {
        let pem = std::fs::read(std::env::var("LLMOBS_TEST_PEM").unwrap()).unwrap();
        return delivers(
            intake(&std::env::var("LLMOBS_TEST_URL").unwrap()).ca_certificate_pem(pem),
        );
    }
    let authority = Authority::new();
    let server = authority.server(|_| {});
    let folder = Folder::new();
    let pem = folder.0.join("authority.pem");
    std::fs::write(&pem, authority.pem()).unwrap();
    again(
        "tls::an_authority_that_is_added_counts_where_the_system_has_none",
        &[
            ("SSL_CERT_FILE", "/nowhere"),
            ("SSL_CERT_DIR", "/nowhere"),
            ("LLMOBS_TEST_PEM", pem.to_str().unwrap()),
            ("LLMOBS_TEST_URL", server.url()),
        ],
    );
    assert_eq!(server.spans().len(), 1);
}

/// What a client offers, read off the wire, and how it takes a server that answers with TLS 1.1.
#[test]
fn tls_1_2_and_1_3_are_offered_and_a_server_of_1_1_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        stream.read_exact(&mut hello).unwrap();
        // A ServerHello of version 3.2: random, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
        let mut body = vec![3, 2];
        body.extend([7; 32]);
        body.extend([0, 0, 0x2f, 0]);
        let mut answer = vec![22, 3, 2, 0, u8::try_from(body.len() + 4).unwrap(), 2, 0, 0];
        answer.push(u8::try_from(body.len()).unwrap());
        answer.extend(body);
        stream.write_all(&answer).unwrap();
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        (hello, reply)
    });
    let client = client(intake(&url));
    make_span(&client);
    let (hello, reply) = server.join().unwrap();
    client.shutdown(Duration::from_millis(10)).unwrap_err();
    // The extension `supported_versions` (43): 5 bytes, of which 4 are versions.
    let offered = [0, 43, 0, 5, 4, 3, 4, 3, 3];
    assert!(
        hello.windows(9).any(|bytes| bytes == offered),
        "{hello:02x?}"
    );
    // A fatal alert: `protocol_version` (70).
    assert_eq!((reply[0], &reply[5..7]), (21, &[2, 70][..]), "{reply:02x?}");
}

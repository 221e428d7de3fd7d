//! Against rustls' own provider of ring: each suite, each group, each way to sign.

use std::io::{Read as _, Write as _};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use rustls::crypto::ring as theirs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};

use super::*;

/// A key for these tests alone; ring makes none of RSA.
const RSA_KEY: &[u8] = include_bytes!("rsa-2048.der");

fn names<T>(of: &[T], name: impl Fn(&T) -> String) -> Vec<String> {
    of.iter().map(name).collect()
}

#[test]
fn it_offers_what_the_provider_of_rustls_offers_in_the_same_order() {
    let (ours, theirs) = (provider(), theirs::default_provider());
    let suite = |suite: &SupportedCipherSuite| format!("{:?}", suite.suite());
    assert_eq!(
        names(&ours.cipher_suites, suite),
        names(&theirs.cipher_suites, suite)
    );
    let group = |group: &&dyn SupportedKxGroup| format!("{:?}", group.name());
    assert_eq!(
        names(&ours.kx_groups, group),
        names(&theirs.kx_groups, group)
    );
    let algorithm = |one: &&dyn SignatureVerificationAlgorithm| {
        format!("{:?} {:?}", one.public_key_alg_id(), one.signature_alg_id())
    };
    let (ours, theirs) = (
        ours.signature_verification_algorithms,
        theirs.signature_verification_algorithms,
    );
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(
        sorted(names(ours.all, algorithm)),
        sorted(names(theirs.all, algorithm))
    );
    let mapping = |of: &WebPkiSupportedAlgorithms| {
        names(of.mapping, |(scheme, algorithms)| {
            format!("{scheme:?}: {:?}", names(algorithms, algorithm))
        })
    };
    assert_eq!(mapping(&ours), mapping(&theirs));
    for (ours, theirs) in SUITES.iter().zip(theirs::ALL_CIPHER_SUITES) {
        let limit = |suite: &SupportedCipherSuite| match suite {
            SupportedCipherSuite::Tls12(suite) => {
                // ring signs and verifies nothing on P-521.
                let mut sign = suite.sign.to_vec();
                sign.retain(|scheme| *scheme != SignatureScheme::ECDSA_NISTP521_SHA512);
                (suite.common.confidentiality_limit, sign)
            }
            SupportedCipherSuite::Tls13(suite) => (suite.common.confidentiality_limit, Vec::new()),
        };
        assert_eq!(limit(ours), limit(theirs), "{ours:?}");
    }
}

/// An authority and a server that it vouches for.
struct Server {
    roots: RootCertStore,
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Server {
    fn with(key: &KeyPair) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(key, &issuer).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        Self {
            roots,
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        }
    }

    fn config(&self, provider: CryptoProvider) -> ServerConfig {
        ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS12, &TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key().into())
            .unwrap()
    }
}

fn client(roots: &RootCertStore, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth()
}

/// A connection in memory.
struct Pair {
    client: ClientConnection,
    server: ServerConnection,
}

impl Pair {
    fn new(client: ClientConfig, server: ServerConfig) -> Self {
        let name = "localhost".try_into().unwrap();
        Self {
            client: ClientConnection::new(Arc::new(client), name).unwrap(),
            server: ServerConnection::new(Arc::new(server)).unwrap(),
        }
    }

    /// Carries what there is, in both directions, until nothing is left; an error is the client's.
    fn carry(&mut self, got: &mut [Vec<u8>; 2]) -> Result<(), Error> {
        while self.client.wants_write() || self.server.wants_write() {
            let mut wire = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut wire).unwrap();
            }
            let mut rest = &*wire;
            while !rest.is_empty() {
                self.server.read_tls(&mut rest).unwrap();
                self.server.process_new_packets().unwrap();
                let _ = self.server.reader().read_to_end(&mut got[1]);
            }
            let mut wire = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut wire).unwrap();
            }
            let mut rest = &*wire;
            while !rest.is_empty() {
                self.client.read_tls(&mut rest).unwrap();
                self.client.process_new_packets()?;
                let _ = self.client.reader().read_to_end(&mut got[0]);
            }
        }
        Ok(())
    }

    /// Sends more than a record both ways.
    fn talk(&mut self) {
        let mut got = [Vec::new(), Vec::new()];
        let (asked, answered) = (vec![b'q'; 100_000], vec![b'a'; 70_001]);
        for piece in asked.chunks(30_000) {
            self.client.writer().write_all(piece).unwrap();
            self.carry(&mut got).unwrap();
        }
        for piece in answered.chunks(30_000) {
            self.server.writer().write_all(piece).unwrap();
            self.carry(&mut got).unwrap();
        }
        assert!(got == [answered, asked]);
    }
}

#[test]
fn every_suite_and_every_group_is_understood_by_the_provider_of_rustls() {
    let ecdsa = Server::with(&KeyPair::generate().unwrap());
    let rsa_key = KeyPair::from_pkcs8_der_and_sign_algo(
        &PrivatePkcs8KeyDer::from(RSA_KEY),
        &rcgen::PKCS_RSA_SHA256,
    );
    let rsa = Server::with(&rsa_key.unwrap());
    let mut met = Vec::new();
    for suite in theirs::ALL_CIPHER_SUITES {
        for group in theirs::ALL_KX_GROUPS {
            let name = format!("{:?}", suite.suite());
            let server = if name.contains("RSA") { &rsa } else { &ecdsa };
            let provider = CryptoProvider {
                cipher_suites: vec![*suite],
                kx_groups: vec![*group],
                ..theirs::default_provider()
            };
            let config = ServerConfig::builder_with_provider(Arc::new(provider))
                .with_protocol_versions(&[suite.version()])
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![server.certificate.clone()],
                    server.key.clone_key().into(),
                )
                .unwrap();
            let mut pair = Pair::new(client(&server.roots, &[&TLS12, &TLS13]), config);
            let mut got = [Vec::new(), Vec::new()];
            pair.carry(&mut got).unwrap();
            assert!(!pair.client.is_handshaking(), "{name} {group:?}");
            let agreed = pair.client.negotiated_cipher_suite().unwrap();
            assert_eq!(agreed.suite(), suite.suite());
            let exchanged = pair.client.negotiated_key_exchange_group().unwrap();
            assert_eq!(exchanged.name(), group.name());
            pair.talk();
            if suite.version().version == TLS13.version {
                pair.client.refresh_traffic_keys().unwrap();
                pair.server.refresh_traffic_keys().unwrap();
                pair.talk();
            }
            met.push((agreed.suite(), exchanged.name()));
        }
    }
    assert_eq!(met.len(), 27);
}

#[test]
fn servers_with_keys_of_every_kind_are_believed_and_no_others() {
    let rsa = PrivatePkcs8KeyDer::from(RSA_KEY);
    let keys = [
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(),
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
        KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
        KeyPair::from_pkcs8_der_and_sign_algo(&rsa, &rcgen::PKCS_RSA_SHA384).unwrap(),
    ];
    for key in &keys {
        for version in [&TLS12, &TLS13] {
            let server = Server::with(key);
            let config = server.config(theirs::default_provider());
            let mut pair = Pair::new(client(&server.roots, &[version]), config);
            pair.talk();
            // Another authority has signed for it.
            let other = Server::with(key);
            let config = server.config(theirs::default_provider());
            let mut pair = Pair::new(client(&other.roots, &[version]), config);
            let refused = pair.carry(&mut [Vec::new(), Vec::new()]).unwrap_err();
            assert!(
                matches!(refused, Error::InvalidCertificate(_)),
                "{refused:?}"
            );
        }
    }
}

#[test]
fn a_session_is_taken_up_again() {
    let server = Server::with(&KeyPair::generate().unwrap());
    for version in [&TLS12, &TLS13] {
        let config = Arc::new(client(&server.roots, &[version]));
        let answers = Arc::new(server.config(theirs::default_provider()));
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let name = "localhost".try_into().unwrap();
            let mut pair = Pair {
                client: ClientConnection::new(Arc::clone(&config), name).unwrap(),
                server: ServerConnection::new(Arc::clone(&answers)).unwrap(),
            };
            pair.talk();
            kinds.push(pair.client.handshake_kind().unwrap());
        }
        assert_eq!(
            kinds,
            [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed]
        );
    }
}

#[test]
fn a_share_of_a_key_that_cannot_be_one_is_refused() {
    let off_the_curve = [&[4][..], &[7; 64]].concat();
    for (group, shares) in [
        // All-zero points of small order give a secret of zeros.
        (&Group::X25519, [vec![0; 32], vec![1; 31], Vec::new()]),
        (&Group::SECP256R1, [off_the_curve, vec![4; 64], Vec::new()]),
        (&Group::SECP384R1, [vec![4; 97], vec![0; 1], Vec::new()]),
    ] {
        for share in shares {
            let exchange = group.start().unwrap();
            assert_eq!(exchange.group(), group.name());
            let completed = exchange.complete(&share);
            let refused = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
            assert_eq!(completed.err(), Some(refused), "{group:?} {share:?}");
        }
    }
}

#[test]
fn each_scheme_of_signatures_takes_what_was_signed_and_nothing_else() {
    let random = SystemRandom::new();
    let rsa = RsaKeyPair::from_pkcs8(RSA_KEY).unwrap();
    let rsa_signed = |padding: &'static dyn signature::RsaEncoding, message: &[u8]| {
        let mut signed = vec![0; rsa.public().modulus_len()];
        rsa.sign(padding, &random, message, &mut signed).unwrap();
        signed
    };
    let ec_signed = |algorithm: &'static signature::EcdsaSigningAlgorithm, message: &[u8]| {
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap();
        let signed = key.sign(&random, message).unwrap().as_ref().to_vec();
        let public = signature::KeyPair::public_key(&key).as_ref().to_vec();
        (public, signed)
    };
    let message = b"what a server signs";
    let rsa_public = || signature::KeyPair::public_key(&rsa).as_ref().to_vec();
    let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let ed25519 = Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap();
    let mut checked = 0;
    for (scheme, algorithms) in SIGNATURES.mapping {
        let (public, signed) = match *scheme {
            SignatureScheme::ECDSA_NISTP384_SHA384 => {
                ec_signed(&signature::ECDSA_P384_SHA384_ASN1_SIGNING, message)
            }
            SignatureScheme::ECDSA_NISTP256_SHA256 => {
                ec_signed(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, message)
            }
            SignatureScheme::ED25519 => (
                signature::KeyPair::public_key(&ed25519).as_ref().to_vec(),
                ed25519.sign(message).as_ref().to_vec(),
            ),
            SignatureScheme::RSA_PSS_SHA512 => (
                rsa_public(),
                rsa_signed(&signature::RSA_PSS_SHA512, message),
            ),
            SignatureScheme::RSA_PSS_SHA384 => (
                rsa_public(),
                rsa_signed(&signature::RSA_PSS_SHA384, message),
            ),
            SignatureScheme::RSA_PSS_SHA256 => (
                rsa_public(),
                rsa_signed(&signature::RSA_PSS_SHA256, message),
            ),
            SignatureScheme::RSA_PKCS1_SHA512 => (
                rsa_public(),
                rsa_signed(&signature::RSA_PKCS1_SHA512, message),
            ),
            SignatureScheme::RSA_PKCS1_SHA384 => (
                rsa_public(),
                rsa_signed(&signature::RSA_PKCS1_SHA384, message),
            ),
            SignatureScheme::RSA_PKCS1_SHA256 => (
                rsa_public(),
                rsa_signed(&signature::RSA_PKCS1_SHA256, message),
            ),
            other => panic!("{other:?} has no test"),
        };
        let first = algorithms[0];
        assert!(first.verify_signature(&public, message, &signed).is_ok());
        for (public, message, signed) in [
            (&*public, &b"what nobody has signed"[..], &*signed),
            (&public, message, &signed[1..]),
            (&public, message, &[]),
            (&public[1..], message, &signed),
        ] {
            assert!(first.verify_signature(public, message, signed).is_err());
        }
        let others = SIGNATURES.mapping.iter();
        for (other, algorithms) in others.filter(|(other, _)| other != scheme) {
            let taken = algorithms[0].verify_signature(&public, message, &signed);
            assert!(taken.is_err(), "{other:?} takes a signature of {scheme:?}");
        }
        checked += 1;
    }
    assert_eq!(checked, 9);
}

#[test]
fn a_client_has_no_certificate() {
    let key = PrivatePkcs8KeyDer::from(RSA_KEY);
    let loaded = provider().key_provider.load_private_key(key.into());
    assert!(matches!(loaded, Err(Error::General(_))));
}

/// `openssl s_server`, which sends each line back in reverse, with this suite and this group alone.
fn openssl(folder: &std::path::Path, arguments: &[&str]) -> (std::process::Child, u16) {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    let mut server = Command::new("openssl")
        .args([
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-naccept",
            "1",
            "-rev",
        ])
        .args(["-cert", "cert.pem", "-key", "key.pem"])
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    let listens = lines.find(|line| line.starts_with("ACCEPT ")).unwrap();
    let (_, port) = listens.rsplit_once(':').unwrap();
    (server, port.parse().unwrap())
}

#[test]
#[ignore = "needs openssl, which `.ci/run` has for the peers"]
fn every_suite_and_every_group_is_understood_by_openssl() {
    use std::io::{BufRead as _, BufReader};

    let folder = std::env::temp_dir().join(format!("llmobs-openssl-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let rsa = PrivatePkcs8KeyDer::from(RSA_KEY);
    let rsa = KeyPair::from_pkcs8_der_and_sign_algo(&rsa, &rcgen::PKCS_RSA_SHA256).unwrap();
    let keys = [KeyPair::generate().unwrap(), rsa];
    let mut met = 0;
    for suite in theirs::ALL_CIPHER_SUITES {
        let name = format!("{:?}", suite.suite());
        for group in ["X25519", "P-256", "P-384"] {
            let key = &keys[usize::from(name.contains("RSA"))];
            let server = Server::with(key);
            let pem = |kind: &str, der: &[u8]| {
                use base64::Engine as _;
                let text = base64::engine::general_purpose::STANDARD.encode(der);
                format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")
            };
            let certificate = pem("CERTIFICATE", &server.certificate);
            std::fs::write(folder.join("cert.pem"), certificate).unwrap();
            std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
            let openssls = name
                .replace("TLS_", "")
                .replace("_WITH_", "-")
                .replace("AES_", "AES")
                .replace("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305")
                .replace('_', "-");
            let their_name = name.replace("TLS13_", "TLS_");
            let chosen = if name.starts_with("TLS13") {
                ["-tls1_3", "-ciphersuites", &*their_name]
            } else {
                ["-tls1_2", "-cipher", &*openssls]
            };
            let arguments = [&chosen[..], &["-groups", group]].concat();
            let (mut process, port) = openssl(&folder, &arguments);
            let name_of_host = "localhost".try_into().unwrap();
            let config = Arc::new(client(&server.roots, &[&TLS12, &TLS13]));
            let mut connection = ClientConnection::new(config, name_of_host).unwrap();
            let mut socket = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            let mut stream = rustls::Stream::new(&mut connection, &mut socket);
            stream.write_all(b"abc\n").unwrap();
            let mut line = String::new();
            BufReader::new(&mut stream).read_line(&mut line).unwrap();
            assert_eq!(line, "cba\n", "{name} {group}");
            let agreed = connection.negotiated_cipher_suite().unwrap();
            assert_eq!(agreed.suite(), suite.suite());
            drop(socket);
            process.kill().unwrap();
            process.wait().unwrap();
            met += 1;
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
    assert_eq!(met, 27);
}

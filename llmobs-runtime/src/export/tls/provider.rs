//! The cryptography of TLS where the program has chosen none: rustls on top of ring.
//!
//! rustls has such a provider of its own, behind the feature `ring`. A feature is on for the whole
//! program, and a program with two providers of rustls' own has no default one:
//! `ClientConfig::builder()` panics in it. So this one is made of rustls' public traits, is known
//! to nobody but us, and turns nothing on.
//!
//! It holds no cryptography: each of its parts names an algorithm of ring and passes bytes on.
//! Suites, groups and schemes are those of rustls' own provider, in its order. It is for clients,
//! without certificates of their own.

mod records;

use std::sync::Arc;

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use ring::{agreement, digest, hmac as ring_hmac, rand};
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::crypto::hmac::{Hmac, Key, Tag};
use rustls::crypto::tls12::PrfUsingHmac;
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{
    ActiveKeyExchange, CipherSuiteCommon, CryptoProvider, GetRandomFailed, KeyExchangeAlgorithm,
    KeyProvider, SecureRandom, SharedSecret, SupportedKxGroup, WebPkiSupportedAlgorithms,
};
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, PrivateKeyDer, SignatureVerificationAlgorithm, alg_id,
};
use rustls::sign::SigningKey;
use rustls::{
    CipherSuite, Error, NamedGroup, PeerMisbehaved, SignatureScheme, SupportedCipherSuite,
    Tls12CipherSuite, Tls13CipherSuite,
};

use records::Aead;

pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: SUITES.to_vec(),
        kx_groups: vec![&Group::X25519, &Group::SECP256R1, &Group::SECP384R1],
        signature_verification_algorithms: SIGNATURES,
        secure_random: &Ring,
        key_provider: &Ring,
    }
}

/// The best first; 1.3 before 1.2.
static SUITES: [SupportedCipherSuite; 9] = [
    SupportedCipherSuite::Tls13(&Tls13CipherSuite {
        common: common(CipherSuite::TLS13_AES_256_GCM_SHA384, &SHA384, OF_GCM),
        hkdf_provider: &HkdfUsingHmac(&SHA384),
        aead_alg: &Aead::AES_256_GCM,
        quic: None,
    }),
    SupportedCipherSuite::Tls13(&Tls13CipherSuite {
        common: common(CipherSuite::TLS13_AES_128_GCM_SHA256, &SHA256, OF_GCM),
        hkdf_provider: &HkdfUsingHmac(&SHA256),
        aead_alg: &Aead::AES_128_GCM,
        quic: None,
    }),
    SupportedCipherSuite::Tls13(&Tls13CipherSuite {
        common: common(
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            &SHA256,
            u64::MAX,
        ),
        hkdf_provider: &HkdfUsingHmac(&SHA256),
        aead_alg: &Aead::CHACHA20_POLY1305,
        quic: None,
    }),
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: common(
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            &SHA384,
            OF_GCM,
        ),
        prf_provider: &PrfUsingHmac(&SHA384),
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: ECDSA,
        aead_alg: &Aead::AES_256_GCM,
    }),
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: common(
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            &SHA256,
            OF_GCM,
        ),
        prf_provider: &PrfUsingHmac(&SHA256),
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: ECDSA,
        aead_alg: &Aead::AES_128_GCM,
    }),
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: common(
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            &SHA256,
            u64::MAX,
        ),
        prf_provider: &PrfUsingHmac(&SHA256),
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: ECDSA,
        aead_alg: &Aead::CHACHA20_POLY1305,
    }),
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: common(
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            &SHA384,
            OF_GCM,
        ),
        prf_provider: &PrfUsingHmac(&SHA384),
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: RSA,
        aead_alg: &Aead::AES_256_GCM,
    }),
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: common(
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            &SHA256,
            OF_GCM,
        ),
        prf_provider: &PrfUsingHmac(&SHA256),
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: RSA,
        aead_alg: &Aead::AES_128_GCM,
    }),
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: common(
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            &SHA256,
            u64::MAX,
        ),
        prf_provider: &PrfUsingHmac(&SHA256),
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: RSA,
        aead_alg: &Aead::CHACHA20_POLY1305,
    }),
];

/// After so many records a key of AES-GCM is not used any more (RFC 8446, §5.5).
const OF_GCM: u64 = 1 << 24;

const fn common(
    suite: CipherSuite,
    hash: &'static Sha2,
    confidentiality_limit: u64,
) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite,
        hash_provider: hash,
        confidentiality_limit,
    }
}

/// How a server signs in a suite of TLS 1.2.
const ECDSA: &[SignatureScheme] = &[
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP256_SHA256,
];
const RSA: &[SignatureScheme] = &[
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
];

/// SHA-2, plain and in HMAC.
struct Sha2 {
    algorithm: HashAlgorithm,
    plain: &'static digest::Algorithm,
    hmac: ring_hmac::Algorithm,
}

static SHA256: Sha2 = Sha2 {
    algorithm: HashAlgorithm::SHA256,
    plain: &digest::SHA256,
    hmac: ring_hmac::HMAC_SHA256,
};
static SHA384: Sha2 = Sha2 {
    algorithm: HashAlgorithm::SHA384,
    plain: &digest::SHA384,
    hmac: ring_hmac::HMAC_SHA384,
};

impl Hash for Sha2 {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Transcript(digest::Context::new(self.plain)))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(digest::digest(self.plain, data).as_ref())
    }

    fn output_len(&self) -> usize {
        self.plain.output_len()
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }
}

/// A hash that is not over.
struct Transcript(digest::Context);

impl Context for Transcript {
    fn fork_finish(&self) -> Output {
        Output::new(self.0.clone().finish().as_ref())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(self.0.finish().as_ref())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

impl Hmac for Sha2 {
    fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
        Box::new(HmacKey(ring_hmac::Key::new(self.hmac, key)))
    }

    fn hash_output_len(&self) -> usize {
        self.plain.output_len()
    }
}

struct HmacKey(ring_hmac::Key);

impl Key for HmacKey {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut context = ring_hmac::Context::with_key(&self.0);
        context.update(first);
        for part in middle {
            context.update(part);
        }
        context.update(last);
        Tag::new(context.sign().as_ref())
    }

    fn tag_len(&self) -> usize {
        self.0.algorithm().digest_algorithm().output_len()
    }
}

/// A curve for the exchange of keys.
#[derive(Debug)]
struct Group {
    name: NamedGroup,
    curve: &'static agreement::Algorithm,
}

impl Group {
    const X25519: Self = Self {
        name: NamedGroup::X25519,
        curve: &agreement::X25519,
    };
    const SECP256R1: Self = Self {
        name: NamedGroup::secp256r1,
        curve: &agreement::ECDH_P256,
    };
    const SECP384R1: Self = Self {
        name: NamedGroup::secp384r1,
        curve: &agreement::ECDH_P384,
    };
}

impl SupportedKxGroup for Group {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let random = rand::SystemRandom::new();
        let private = agreement::EphemeralPrivateKey::generate(self.curve, &random)
            .map_err(|_| GetRandomFailed)?;
        let public = private.compute_public_key().map_err(|_| GetRandomFailed)?;
        Ok(Box::new(Exchange {
            name: self.name,
            curve: self.curve,
            private,
            public,
        }))
    }

    fn name(&self) -> NamedGroup {
        self.name
    }
}

/// Our half of an exchange of keys.
struct Exchange {
    name: NamedGroup,
    curve: &'static agreement::Algorithm,
    private: agreement::EphemeralPrivateKey,
    public: agreement::PublicKey,
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        // ring refuses points that are not on the curve, and a secret of zeros.
        let peer = agreement::UnparsedPublicKey::new(self.curve, peer);
        agreement::agree_ephemeral(self.private, &peer, |secret: &[u8]| {
            SharedSecret::from(secret)
        })
        .map_err(|_| PeerMisbehaved::InvalidKeyShare.into())
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_ref()
    }

    fn group(&self) -> NamedGroup {
        self.name
    }
}

/// ring's random bytes; and no private keys, since clients have none.
#[derive(Debug)]
struct Ring;

impl SecureRandom for Ring {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        let random = rand::SystemRandom::new();
        rand::SecureRandom::fill(&random, bytes).map_err(|_| GetRandomFailed)
    }
}

impl KeyProvider for Ring {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        let why = "llmobs has no certificate of a client's";
        Err(Error::General(why.to_owned()))
    }
}

/// One way to sign: the key's algorithm, the signature's, and ring's name for both.
struct Signature {
    key: AlgorithmIdentifier,
    signed: AlgorithmIdentifier,
    ring: &'static dyn VerificationAlgorithm,
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.ring)
    }
}

impl SignatureVerificationAlgorithm for Signature {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(self.ring, public_key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signed
    }
}

macro_rules! signatures {
    ($($name:ident: $key:ident, $signature:expr, $ring:ident;)*) => {
        $(static $name: Signature = Signature {
            key: alg_id::$key,
            signed: $signature,
            ring: &signature::$ring,
        };)*
    };
}

signatures! {
    P256_SHA256: ECDSA_P256, alg_id::ECDSA_SHA256, ECDSA_P256_SHA256_ASN1;
    P256_SHA384: ECDSA_P256, alg_id::ECDSA_SHA384, ECDSA_P256_SHA384_ASN1;
    P384_SHA256: ECDSA_P384, alg_id::ECDSA_SHA256, ECDSA_P384_SHA256_ASN1;
    P384_SHA384: ECDSA_P384, alg_id::ECDSA_SHA384, ECDSA_P384_SHA384_ASN1;
    ED25519: ED25519, alg_id::ED25519, ED25519;
    PKCS1_SHA256: RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA256, RSA_PKCS1_2048_8192_SHA256;
    PKCS1_SHA384: RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA384, RSA_PKCS1_2048_8192_SHA384;
    PKCS1_SHA512: RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA512, RSA_PKCS1_2048_8192_SHA512;
    BARE_PKCS1_SHA256: RSA_ENCRYPTION, bare_pkcs1(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), RSA_PKCS1_2048_8192_SHA256;
    BARE_PKCS1_SHA384: RSA_ENCRYPTION, bare_pkcs1(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"), RSA_PKCS1_2048_8192_SHA384;
    BARE_PKCS1_SHA512: RSA_ENCRYPTION, bare_pkcs1(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"), RSA_PKCS1_2048_8192_SHA512;
    PSS_SHA256: RSA_ENCRYPTION, alg_id::RSA_PSS_SHA256, RSA_PSS_2048_8192_SHA256;
    PSS_SHA384: RSA_ENCRYPTION, alg_id::RSA_PSS_SHA384, RSA_PSS_2048_8192_SHA384;
    PSS_SHA512: RSA_ENCRYPTION, alg_id::RSA_PSS_SHA512, RSA_PSS_2048_8192_SHA512;
}

/// Certificates leave the parameters of RSA out where a NULL should stand (RFC 4055, §5): the bare
/// identifier of the algorithm.
const fn bare_pkcs1(identifier: &'static [u8]) -> AlgorithmIdentifier {
    AlgorithmIdentifier::from_slice(identifier)
}

static SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        &P256_SHA256,
        &P256_SHA384,
        &P384_SHA256,
        &P384_SHA384,
        &ED25519,
        &PKCS1_SHA256,
        &PKCS1_SHA384,
        &PKCS1_SHA512,
        &BARE_PKCS1_SHA256,
        &BARE_PKCS1_SHA384,
        &BARE_PKCS1_SHA512,
        &PSS_SHA256,
        &PSS_SHA384,
        &PSS_SHA512,
    ],
    // In TLS 1.3 the first one of a scheme counts, which is of the scheme's own curve.
    mapping: &[
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[&P384_SHA384, &P256_SHA384],
        ),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[&P256_SHA256, &P384_SHA256],
        ),
        (SignatureScheme::ED25519, &[&ED25519]),
        (SignatureScheme::RSA_PSS_SHA512, &[&PSS_SHA512]),
        (SignatureScheme::RSA_PSS_SHA384, &[&PSS_SHA384]),
        (SignatureScheme::RSA_PSS_SHA256, &[&PSS_SHA256]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[&PKCS1_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[&PKCS1_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[&PKCS1_SHA256]),
    ],
};

#[cfg(test)]
mod tests;

//! Certificates that are trusted beside the system's.

use std::fmt;
use std::sync::Arc;

use super::ConfigError;

/// What a text of certificates may be.
pub(super) const ALLOWED: &str = "PEM text of at most 1048576 bytes with one certificate or more, \
     each between -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----";
/// The bundle of a whole system has a quarter of it.
const LONGEST: usize = 1_048_576;

/// A certificate in its binary form (DER), which TLS has accepted as one to trust.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Certificate(Arc<[u8]>);

impl Certificate {
    #[cfg(feature = "enabled")]
    pub(crate) fn der(&self) -> rustls::pki_types::CertificateDer<'static> {
        self.0.to_vec().into()
    }
}

// A certificate is no secret, but nobody reads its bytes either.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} bytes)", self.0.len())
    }
}

/// The certificates in a PEM text. What is wrong is told without a word of the text, which may be
/// a private key that was taken for one.
pub(super) fn parse(pem: &[u8]) -> Result<Vec<Certificate>, ConfigError> {
    if pem.len() > LONGEST {
        return Err(wrong(format!("has {} bytes", pem.len())));
    }
    let certificates = read(pem).map_err(wrong)?;
    Ok(certificates)
}

fn wrong(reason: String) -> ConfigError {
    ConfigError::Certificate {
        name: "ca_certificate_pem",
        reason,
        allowed: ALLOWED,
    }
}

#[cfg(feature = "enabled")]
fn read(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    let mut roots = rustls::RootCertStore::empty();
    let mut certificates = Vec::new();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let number = index + 1;
        let certificate = certificate
            .map_err(|error| format!("breaks off at certificate {number}: {}", said(&error)))?;
        certificates.push(Certificate(Arc::from(certificate.as_ref())));
        roots.add(certificate).map_err(|error| {
            format!("has a certificate, number {number}, that is none: {error}")
        })?;
    }
    if certificates.is_empty() {
        return Err(if has_private_key(pem) {
            "holds a private key and no certificate".to_owned()
        } else {
            "holds no certificate".to_owned()
        });
    }
    Ok(certificates)
}

/// Without TLS in the build, nobody can look at it.
#[cfg(not(feature = "enabled"))]
fn read(_: &[u8]) -> Result<Vec<Certificate>, String> {
    Ok(Vec::new())
}

/// In our words: the library's quote the line.
#[cfg(feature = "enabled")]
fn said(error: &rustls::pki_types::pem::Error) -> &'static str {
    use rustls::pki_types::pem::Error;

    match error {
        Error::MissingSectionEnd { .. } => "its END line is missing",
        Error::IllegalSectionStart { .. } => "its BEGIN line is malformed",
        Error::Base64Decode(_) => "what stands between its lines is not base64",
        _ => "it cannot be read",
    }
}

#[cfg(feature = "enabled")]
fn has_private_key(pem: &[u8]) -> bool {
    pem.windows(11).any(|window| window == b"PRIVATE KEY")
}

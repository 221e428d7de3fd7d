//! TLS: 1.2 and 1.3, and no way to turn the verification of a server off.

use std::sync::Arc;

use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use crate::config::Certificate;

/// The system's verifier is only made where it is `needed`: reading the system's certificates
/// takes time. `extra` ones are trusted beside them.
pub(super) fn config(needed: bool, extra: &[Certificate]) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up ({error})"))?;
    if !needed {
        let none = RootCertStore::empty();
        return Ok(builder.with_root_certificates(none).with_no_client_auth());
    }
    verified(builder, provider, extra)
}

#[cfg(not(target_os = "android"))]
fn verified(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    provider: Arc<rustls::crypto::CryptoProvider>,
    extra: &[Certificate],
) -> Result<ClientConfig, String> {
    use rustls_platform_verifier::Verifier;

    let extra = extra.iter().map(Certificate::der);
    let verifier = Verifier::new_with_extra_roots(extra, provider)
        .map_err(|error| format!("the system's certificates cannot be read ({error})"))?;
    // `dangerous` is whatever is not the web's roots: this is what the platform's crate does too.
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

#[cfg(target_os = "android")]
fn verified(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    _: Arc<rustls::crypto::CryptoProvider>,
    extra: &[Certificate],
) -> Result<ClientConfig, String> {
    use rustls_platform_verifier::BuilderVerifierExt as _;

    if !extra.is_empty() {
        return Err("Android takes no further certificates".to_owned());
    }
    builder
        .with_platform_verifier()
        .map(ConfigBuilder::<_, rustls::client::WantsClientCert>::with_no_client_auth)
        .map_err(|error| format!("the system's certificates cannot be read ({error})"))
}

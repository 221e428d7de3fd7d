//! TLS: 1.2 and 1.3, and no way to turn the verification of a server off.
//!
//! It is rustls with the provider that the program has installed, else with one of ours. Nothing
//! here turns a provider of rustls on or installs one: which one the program gets is its own
//! business.

mod provider;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};

use crate::config::{Certificate, Trust};

/// The cryptography that the program has chosen for itself, else ours.
fn cryptography() -> Arc<CryptoProvider> {
    let chosen = CryptoProvider::get_default().cloned();
    chosen.unwrap_or_else(|| Arc::new(provider::provider()))
}

/// Servers are verified by the system's certificates, which are where `trust` says if it is there;
/// `extra` ones are trusted beside them.
pub(super) fn config(extra: &[Certificate], trust: Option<&Trust>) -> Result<ClientConfig, String> {
    let provider = cryptography();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up ({error})"))?;
    #[cfg(all(unix, not(target_os = "android"), not(target_vendor = "apple")))]
    if let Some(trust) = trust {
        return at_fixed_paths(builder, provider, extra, trust);
    }
    // Elsewhere the variables say nothing.
    let _ = trust;
    verified(builder, provider, extra)
}

/// As the platform's verifier does it on these systems, which reads the variables itself, and so
/// paths that may have become others.
#[cfg(all(unix, not(target_os = "android"), not(target_vendor = "apple")))]
fn at_fixed_paths(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    provider: Arc<CryptoProvider>,
    extra: &[Certificate],
    trust: &Trust,
) -> Result<ClientConfig, String> {
    use rustls::client::WebPkiServerVerifier;
    use rustls_native_certs::load_certs_from_paths;

    let unusable = |error: &dyn std::fmt::Display| {
        format!("the system's certificates cannot be read ({error})")
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in extra {
        roots
            .add(certificate.der())
            .map_err(|error| unusable(&error))?;
    }
    let mut loaded = load_certs_from_paths(trust.file.as_deref(), None);
    for folder in &trust.folders {
        let more = load_certs_from_paths(None, Some(folder));
        loaded.certs.extend(more.certs);
        loaded.errors.extend(more.errors);
    }
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        let told = loaded.errors.first().map(ToString::to_string);
        let told = told.unwrap_or_else(|| "there are none".to_owned());
        return Err(unusable(&told));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier.map_err(|error| unusable(&error))?;
    Ok(builder.with_webpki_verifier(verifier).with_no_client_auth())
}

#[cfg(not(target_os = "android"))]
fn verified(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    provider: Arc<CryptoProvider>,
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
    _: Arc<CryptoProvider>,
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

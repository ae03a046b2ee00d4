//! Whom the agent trusts, and what it says when it does not.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    CertificateError, ClientConfig, Error as RustlsError, InvalidMessage, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of authorities cannot be used.
    #[error("ca = {}: {why}", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The operating system's authorities cannot be used.
    #[error("the operating system's certificate authorities cannot be used: {0}; give a ca file")]
    Platform(RustlsError),
}

/// What the agent trusts: the authorities in the file `ca` alone, or those of the operating system.
pub(crate) fn trust(ca: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Platform)?;
    let builder = match ca {
        Some(path) => builder.with_root_certificates(pinned(path)?),
        None => builder.with_platform_verifier().map_err(TlsError::Platform)?,
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Trusts nobody, for a client that speaks no TLS.
pub(crate) fn nobody() -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Platform)?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// The process' provider when it has one, else ring.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()))
}

fn pinned(path: &Path) -> Result<RootCertStore, TlsError> {
    let refused = |why: String| TlsError::Ca { path: path.to_owned(), why };
    let pem = fs::read(path).map_err(|e| refused(e.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| refused(format!("not PEM: {e}")))?;
        roots.add(certificate).map_err(|e| refused(format!("not a certificate: {e}")))?;
    }
    if roots.is_empty() { Err(refused("it holds no certificate".into())) } else { Ok(roots) }
}

/// One line that says what is wrong with the other end's certificate.
pub(crate) fn explained(host: &str, error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>());
    match tls {
        Some(error) => certificate(host, error),
        None => format!("no TLS with {host}: {error}"),
    }
}

/// What rustls said somewhere below `error`, if it did.
pub(crate) fn beneath(host: &str, error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<RustlsError>() {
            return Some(certificate(host, tls));
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn certificate(host: &str, error: &RustlsError) -> String {
    use CertificateError as C;
    if matches!(error, RustlsError::InvalidMessage(InvalidMessage::InvalidContentType)) {
        return format!("{host} does not speak TLS");
    }
    let RustlsError::InvalidCertificate(why) = error else { return format!("no TLS with {host}: {error}") };
    let why = match why {
        C::UnknownIssuer | C::BadSignature => {
            "is signed by an authority that is not trusted here; for an authority of your own give its file as ca (--ca)"
        }
        C::Expired | C::ExpiredContext { .. } => "has expired (or this device's clock is wrong)",
        C::NotValidYet | C::NotValidYetContext { .. } => "is not valid yet (or this device's clock is wrong)",
        C::NotValidForName | C::NotValidForNameContext { .. } => "is for another name",
        C::Revoked => "was revoked",
        other => return format!("the certificate of {host} is refused: {other}"),
    };
    format!("the certificate of {host} {why}")
}

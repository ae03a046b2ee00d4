//! An authority for certificates, and a gateway's certificate from it.

use std::{fs, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore, client::Resumption};

use crate::failure::Result;

/// An authority that this run trusts alone.
#[derive(Debug)]
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Makes one.
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::new([])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Writes `ca.pem`, and `cert.pem` and `key.pem` of a gateway on 127.0.0.1, into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()])?.signed_by(&key, &self.0)?;
        fs::write(folder.join("ca.pem"), self.0.pem())?;
        fs::write(folder.join("cert.pem"), leaf.pem())?;
        fs::write(folder.join("key.pem"), key.serialize_pem())?;
        Ok(())
    }

    /// What trusts this authority. Each handshake is a whole one: every agent of a real fleet has its own memory of earlier
    /// ones, and a gateway that was killed has none.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

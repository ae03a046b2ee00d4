//! What the client commands promise over HTTPS: each wrong certificate is refused with a line that says why.

use std::{path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};

use super::{
    fake::Fake,
    run::{Ran, oriel},
};

/// An authority, and its certificate in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, file, _folder: folder }
    }

    /// A gateway for `name` whose certificate ended in `year`.
    fn gateway(&self, name: &str, year: i32) -> Fake {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Fake::start_tls(Arc::new(tls), &[("GET", 200, r#"{"agents":[],"next":null}"#)])
    }

    fn ask(&self, fake: &Fake) -> Ran {
        let url = fake.url_at("localhost");
        oriel(&["agents", "list", "--url", &url, "--key", "k", "--ca", self.file.to_str().unwrap()])
    }
}

#[test]
fn a_gateway_of_the_pinned_authority_is_believed() {
    let authority = Authority::new("one");
    let fake = authority.gateway("localhost", 2099);
    assert_eq!(authority.ask(&fake).code, 0);
    assert_eq!(fake.asked().len(), 1);
}

#[test]
fn a_wrong_certificate_is_refused_before_the_key_is_sent() {
    let [authority, other, namesake] = ["one", "two", "one"].map(Authority::new);
    for (fake, why) in [
        (other.gateway("localhost", 2099), "from an authority that is not trusted here"),
        (namesake.gateway("localhost", 2099), "from an authority that is not trusted here"),
        (authority.gateway("elsewhere.example", 2099), "for another name"),
        (authority.gateway("localhost", 2021), "has expired"),
    ] {
        let ran = authority.ask(&fake);
        assert_eq!((ran.code, fake.asked().len()), (1, 0));
        let line = ran.err.lines().last().unwrap();
        assert!(line.starts_with("oriel: cannot reach https://localhost:") && line.contains(why), "{line}");
    }
}

#[test]
fn a_file_without_certificates_is_no_authority() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let ca = file.path().to_str().unwrap();
    let ran = oriel(&["agents", "list", "--url", "https://localhost:1", "--key", "k", "--ca", ca]);
    assert!(ran.err.contains("it has no certificate"), "{}", ran.err);
}

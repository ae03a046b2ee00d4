//! Why a gateway did not do what a command asked of it, in one line.

use std::{error::Error, io, path::Path};

use reqwest::Url;
use rustls::{CertificateError, Error as TlsError, InvalidMessage};

/// Why a gateway did not do what a command asked of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody said which key to use.
    #[error("no key given: name its file with --key-file or ORIEL_KEY_FILE")]
    NoKey,
    /// What was given as key cannot be one.
    #[error("what was given as key is empty or not one word of printable letters")]
    NotAKey,
    /// A file that the command needs cannot be used.
    #[error("cannot read {path}: {why}")]
    File {
        /// The file.
        path: String,
        /// The reason.
        why: String,
    },
    /// The address cannot be one of a gateway.
    #[error("{url}: {why}")]
    Url {
        /// The address.
        url: String,
        /// The reason.
        why: String,
    },
    /// No answer came.
    #[error("cannot reach {url}: {why}")]
    Unreachable {
        /// The address.
        url: String,
        /// The reason.
        why: String,
    },
    /// The key is not known or may not do this (401, 403).
    #[error("refused: {detail}{}", request(request_id))]
    Refused {
        /// What the gateway says.
        detail: String,
        /// The request's id in the gateway's log.
        request_id: Option<String>,
    },
    /// The camera has no connection.
    #[error("{detail}{}", request(request_id))]
    Offline {
        /// What the gateway says.
        detail: String,
        /// The request's id in the gateway's log.
        request_id: Option<String>,
    },
    /// Any other failure that the gateway tells.
    #[error("{detail} ({code}){}", request(request_id))]
    Problem {
        /// The HTTP status.
        status: u16,
        /// The stable word for it.
        code: String,
        /// What the gateway says.
        detail: String,
        /// The request's id in the gateway's log.
        request_id: Option<String>,
    },
    /// An answer broke off, or is not whole.
    #[error("broken answer: {why}")]
    Broken {
        /// The reason.
        why: String,
    },
    /// What answered is no gateway.
    #[error("what answers at {url} is no gateway: {why}")]
    Answer {
        /// The address.
        url: String,
        /// The reason.
        why: String,
    },
}

impl ClientError {
    /// The error for an answer with a failure status.
    pub(super) fn problem(status: u16, body: &[u8]) -> Self {
        let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let field = |name: &str| problem[name].as_str().map(str::to_owned);
        let code = field("code").unwrap_or_else(|| "no problem document".into());
        let detail = field("detail").or_else(|| field("title")).unwrap_or_else(|| {
            format!("status {status} from what is no gateway, such as a proxy that stands before it")
        });
        let request_id = field("request_id");
        match (status, code.as_str()) {
            (401 | 403, _) => Self::Refused { detail, request_id },
            (_, "camera_offline") => Self::Offline { detail, request_id },
            _ => Self::Problem { status, code, detail, request_id },
        }
    }

    /// Whether it may pass by itself, so that it helps to ask again.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Offline { .. }
                | Self::Broken { .. }
                | Self::Problem { status: 429 | 500 | 502.., .. }
        )
    }

    /// Whether what was asked for is not there.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Problem { status: 404, .. })
    }

    pub(super) fn broken(why: &str) -> Self {
        Self::Broken { why: why.into() }
    }

    /// The same failure of an answer that had begun.
    pub(super) fn broke_off(self) -> Self {
        match self {
            Self::Unreachable { why, .. } => Self::Broken { why },
            other => other,
        }
    }

    pub(super) fn unreachable(url: &Url, error: &reqwest::Error) -> Self {
        Self::Unreachable { url: shown(url), why: reason(error) }
    }

    pub(super) fn answer(url: &Url, why: &str) -> Self {
        Self::Answer { url: shown(url), why: why.into() }
    }

    pub(super) fn url(url: &str, why: &str) -> Self {
        Self::Url { url: url.into(), why: why.into() }
    }

    pub(super) fn file(path: &Path, why: &str) -> Self {
        Self::File { path: path.display().to_string(), why: why.into() }
    }
}

fn request(id: &Option<String>) -> String {
    id.as_ref().map(|id| format!(" [request {id}]")).unwrap_or_default()
}

fn shown(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// The innermost reason that says something to a person.
fn reason(error: &reqwest::Error) -> String {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    let mut last = error.to_string();
    while let Some(inner) = next {
        if let Some(why) = known(inner) {
            return why;
        }
        last = inner.to_string();
        next = match inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    if error.is_timeout() { "no answer in time".into() } else { last }
}

fn known(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(tls) = error.downcast_ref::<TlsError>() {
        return Some(tls_reason(tls));
    }
    let words = match error.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset",
        io::ErrorKind::TimedOut => "no answer in time",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no way to this host",
        _ => return None,
    };
    Some(words.into())
}

fn tls_reason(error: &TlsError) -> String {
    if matches!(error, TlsError::InvalidMessage(InvalidMessage::InvalidContentType)) {
        return "what answers there does not speak TLS; is it http://?".into();
    }
    let TlsError::InvalidCertificate(why) = error else { return format!("TLS failed: {error}") };
    match why {
        // A bad signature is what an authority of the same name but another key leaves.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is from an authority that is not trusted here; name its file with --ca".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name".into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is the clock right?".into()
        }
        CertificateError::Revoked => "its certificate has been revoked".into(),
        other => format!("its certificate is not valid: {other}"),
    }
}

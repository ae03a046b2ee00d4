//! How the agent logs in at a camera: basic or digest (RFC 7616), as the camera wants; its challenge is used again until it is stale.

use http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http_auth::{PasswordClient, PasswordParams};
use oriel_proto::Secret;

/// The longest challenge that is read, in bytes.
const CHALLENGE_BYTES: usize = 4_096;

/// A user at a camera, and what the camera said last about logging in.
pub(super) struct Login {
    user: String,
    password: Secret,
    challenge: Option<PasswordClient>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Login {
    /// A user of whom the camera has not asked anything yet.
    pub(super) const fn new(user: String, password: Secret) -> Self {
        Self { user, password, challenge: None }
    }

    /// The header of a request for `target`, the path with what follows `?`; none before the camera wanted one.
    pub(super) fn header(&mut self, target: &str) -> Option<HeaderValue> {
        let challenge = self.challenge.as_mut()?;
        let answer = challenge.respond(&PasswordParams {
            username: &self.user,
            password: self.password.expose(),
            uri: target,
            method: "GET",
            body: Some(&[]),
        });
        // Whoever cannot be answered is asked again without.
        let mut header = HeaderValue::from_str(&answer.ok()?).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// Takes the challenge of a 401; gives whether it says that only the last one was too old.
    pub(super) fn challenged(&mut self, headers: &HeaderMap) -> Result<bool, String> {
        self.challenge = None;
        let challenges: Vec<_> = headers.get_all(WWW_AUTHENTICATE).iter().collect();
        if challenges.is_empty() {
            return Err("its answer has no WWW-Authenticate".into());
        }
        if challenges.iter().map(|challenge| challenge.len()).sum::<usize>() > CHALLENGE_BYTES {
            return Err("its WWW-Authenticate is too long".into());
        }
        let mut builder = PasswordClient::builder();
        for challenge in challenges {
            let text = challenge.to_str().map_err(|_| "its WWW-Authenticate is no text".to_owned())?;
            builder = builder.challenges(text);
        }
        let challenge = builder.build()?;
        let is_stale = matches!(&challenge, PasswordClient::Digest(digest) if digest.stale());
        self.challenge = Some(challenge);
        Ok(is_stale)
    }
}

//! The tokens for one gateway: the one that was accepted, and a rotated one that has not been used yet.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use oriel_proto::Secret;
use tokio::sync::Mutex;
use url::Url;

use super::{StateError, blocking, file};

/// A token and whether it is a rotated one.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// The token.
    pub(crate) secret: Secret,
    /// Whether no gateway has accepted it yet.
    pub(crate) fresh: bool,
}

/// Where the tokens for one gateway are kept.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    accepted: PathBuf,
    fresh: PathBuf,
    /// One writer at a time, in order of arrival.
    turn: Arc<Mutex<()>>,
}

impl Tokens {
    pub(super) fn new(folder: &Path, url: &Url) -> Self {
        let name = file_name(url);
        let (accepted, fresh) = (folder.join(&name), folder.join(format!("{name}.next")));
        Self { accepted, fresh, turn: Arc::default() }
    }

    /// The token to dial with: the rotated one unless it was refused, then the accepted one; none before enrolment.
    pub(crate) async fn current(&self, refused_fresh: bool) -> Result<Option<Token>, StateError> {
        let this = self.clone();
        blocking(move || {
            let fresh = read(&this.fresh)?.map(|secret| Token { secret, fresh: true });
            let accepted = read(&this.accepted)?.map(|secret| Token { secret, fresh: false });
            Ok(if refused_fresh { accepted.or(fresh) } else { fresh.or(accepted) })
        })
        .await
    }

    /// Proves that a token can be kept, before a code is used up for one.
    pub(crate) async fn probe(&self) -> Result<(), StateError> {
        self.write(|this| {
            let probe = this.accepted.with_added_extension("probe");
            file::write(&probe, b"a token has room here, and may be a little longer than this")?;
            file::remove(&probe)
        })
        .await
    }

    /// Keeps the first token of an enrolment.
    pub(crate) async fn store(&self, token: Secret) -> Result<(), StateError> {
        self.write(move |this| {
            file::write(&this.accepted, token.expose().as_bytes())?;
            file::remove(&this.fresh)
        })
        .await
    }

    /// Keeps a rotated token beside the old one until it has been accepted.
    pub(crate) async fn rotate(&self, token: Secret) -> Result<(), StateError> {
        self.write(move |this| file::write(&this.fresh, token.expose().as_bytes())).await
    }

    /// The gateway accepted `token`: a rotated one replaces the old, the old one ends a rotated one that was refused.
    pub(crate) async fn accepted(&self, token: &Token) -> Result<(), StateError> {
        let token = token.clone();
        self.write(move |this| {
            if !token.fresh {
                return file::remove(&this.fresh);
            }
            // The next rotation may have come meanwhile, and nobody has accepted that one.
            match read(&this.fresh)? {
                Some(fresh) if fresh.expose() == token.secret.expose() => {
                    file::rename(&this.fresh, &this.accepted)
                }
                _ => file::write(&this.accepted, token.secret.expose().as_bytes()),
            }
        })
        .await
    }

    /// Runs `work` off the runtime once nobody else writes these tokens.
    async fn write(
        &self,
        work: impl FnOnce(&Self) -> Result<(), StateError> + Send + 'static,
    ) -> Result<(), StateError> {
        let (this, turn) = (self.clone(), self.turn.clone().lock_owned().await);
        blocking(move || {
            let done = work(&this);
            drop(turn);
            done
        })
        .await
    }
}

fn read(path: &Path) -> Result<Option<Secret>, StateError> {
    let text = file::read(path)?;
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).map(Secret::from))
}

/// A file name that no other gateway has: letters, digits, dots and dashes stand for themselves, all else as `_xx`.
fn file_name(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(0);
    let path = url.path().trim_end_matches('/');
    let text = format!("{}-{}-{port}{path}", url.scheme(), url.host_str().unwrap_or_default());
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => name.push(char::from(byte)),
            other => name.push_str(&format!("_{other:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(folder: &Path) -> Tokens {
        Tokens::new(folder, &"https://gateway.example/".parse().unwrap())
    }

    async fn current(tokens: &Tokens, refused: bool) -> String {
        tokens.current(refused).await.unwrap().unwrap().secret.expose().to_owned()
    }

    #[tokio::test]
    async fn the_old_token_is_kept_until_the_new_one_was_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = tokens(dir.path());
        assert!(tokens.current(false).await.unwrap().is_none());
        tokens.store("oat_old".into()).await.unwrap();
        tokens.rotate("oat_new".into()).await.unwrap();
        assert_eq!(current(&tokens, false).await, "oat_new");
        assert_eq!(current(&tokens, true).await, "oat_old");
        let new = tokens.current(false).await.unwrap().unwrap();
        tokens.accepted(&new).await.unwrap();
        assert_eq!(current(&tokens, true).await, "oat_new");
    }

    #[tokio::test]
    async fn a_refused_new_token_ends_when_the_old_one_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = tokens(dir.path());
        tokens.store("oat_old".into()).await.unwrap();
        tokens.rotate("oat_new".into()).await.unwrap();
        let old = tokens.current(true).await.unwrap().unwrap();
        tokens.accepted(&old).await.unwrap();
        assert_eq!(current(&tokens, false).await, "oat_old");
    }

    #[tokio::test]
    async fn a_token_that_nobody_accepted_never_replaces_the_accepted_one() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = tokens(dir.path());
        tokens.store("oat_old".into()).await.unwrap();
        tokens.rotate("oat_new".into()).await.unwrap();
        let new = tokens.current(false).await.unwrap().unwrap();
        tokens.rotate("oat_newer".into()).await.unwrap();
        tokens.accepted(&new).await.unwrap();
        assert_eq!(current(&tokens, true).await, "oat_new");
        assert_eq!(current(&tokens, false).await, "oat_newer");
    }

    #[tokio::test]
    async fn the_last_of_many_rotations_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = tokens(dir.path());
        let rotations = (0..20).map(|i| tokens.rotate(format!("oat_{i}").into()));
        assert!(futures_util::future::join_all(rotations).await.iter().all(Result::is_ok));
        assert_eq!(current(&tokens, false).await, "oat_19");
    }

    #[tokio::test]
    async fn a_folder_that_cannot_keep_a_token_is_found_out_before() {
        let dir = tempfile::tempdir().unwrap();
        tokens(dir.path()).probe().await.unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        tokens(&dir.path().join("gone")).probe().await.unwrap_err();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_else_can_read_a_token() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let tokens = tokens(dir.path());
        tokens.store("oat_x".into()).await.unwrap();
        let mode = std::fs::metadata(&tokens.accepted).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn each_gateway_has_a_file_of_its_own() {
        let names: std::collections::HashSet<_> =
            ["https://a", "http://a", "https://a:444", "https://a/x", "https://a/x_2f", "https://[::1]"]
                .map(|url| file_name(&url.parse().unwrap()))
                .into_iter()
                .collect();
        assert_eq!(names.len(), 6);
        assert_eq!(file_name(&"https://a".parse().unwrap()), file_name(&"https://a:443/".parse().unwrap()));
    }
}

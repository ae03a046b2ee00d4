//! Enrollment: making a one-time code, and trading it for an agent's token.

use std::{net::IpAddr, time::Duration};

use oriel_proto::{CameraId, Secret, limits::CAMERAS_PER_AGENT};

use super::{
    Access, AccessError,
    token::{self, TokenKind},
};
use crate::store::{
    AgentRecord, CameraPattern, CameraRecord, EnrollmentId, EnrollmentRecord, TradeOutcome, tidy_name,
};

/// How long a code may be open.
const VALID_FOR: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(86_400);

/// A code to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEnrollment {
    /// The cameras that the agent gets, at most 1,024; each once.
    pub cameras: Vec<CameraId>,
    /// The cameras that the agent may bring by itself.
    pub new_cameras: Option<CameraPattern>,
    /// How long the code is open: 60 s to a day.
    pub valid_for: Duration,
}

/// What a code was traded for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The new agent.
    pub agent: AgentRecord,
    /// Its token, shown this once.
    pub token: Secret,
    /// The cameras that are its own now.
    pub cameras: Vec<CameraRecord>,
}

impl Access {
    /// Makes a code; the secret is shown this once.
    ///
    /// Fails with `Invalid` when it names neither cameras nor a pattern, or too many, or its time is out of bounds, and
    /// with `Conflict` when a camera belongs to an agent or is named in another open code.
    pub async fn create_enrollment(
        &self,
        new: NewEnrollment,
    ) -> Result<(EnrollmentRecord, Secret), AccessError> {
        check(&new)?;
        let now = self.inner.clock.now();
        let (secret, hash) = token::make(TokenKind::Enrollment)?;
        let record = EnrollmentRecord {
            id: EnrollmentId::new(),
            cameras: new.cameras,
            new_cameras: new.new_cameras,
            created_at: now,
            expires_at: now.after(new.valid_for),
        };
        Ok((self.inner.store.create_enrollment(record, hash).await?, secret))
    }

    /// The open codes, oldest first.
    pub async fn enrollments(&self) -> Result<Vec<EnrollmentRecord>, AccessError> {
        Ok(self.inner.store.enrollments(self.inner.clock.now()).await?)
    }

    /// One open code; fails with `NotFound`.
    pub async fn enrollment(&self, id: EnrollmentId) -> Result<EnrollmentRecord, AccessError> {
        let open = self.enrollments().await?;
        open.into_iter().find(|enrollment| enrollment.id == id).ok_or(AccessError::NotFound)
    }

    /// Closes a code; fails with `NotFound`.
    pub async fn delete_enrollment(&self, id: EnrollmentId) -> Result<(), AccessError> {
        let deleted = self.inner.store.delete_enrollment(id).await?;
        if deleted { Ok(()) } else { Err(AccessError::NotFound) }
    }

    /// Trades a code for an agent, its token and its cameras; of several that trade one code exactly one succeeds.
    ///
    /// Fails with `Malformed`, `Unknown` (also when it was traded before), `Expired`, `Throttled` or `Store`.
    pub async fn enroll(&self, code: &str, device_name: &str, peer: IpAddr) -> Result<Enrolled, AccessError> {
        let code = match token::parse(TokenKind::Enrollment, code) {
            Ok(code) => code,
            Err(error) => return Err(self.failed(peer, error.into())),
        };
        // Asked first without the writer, so that whoever guesses does not keep it busy.
        if !self.inner.store.knows_code(code).await? {
            return Err(self.failed(peer, AccessError::Unknown));
        }
        let (secret, token) = token::make(TokenKind::Agent)?;
        let name = match tidy_name(device_name) {
            name if name.is_empty() => "agent".into(),
            name => name,
        };
        match self.inner.store.trade_code(code, name, token, self.inner.clock.now()).await? {
            TradeOutcome::Traded(agent, cameras) => Ok(Enrolled { agent, token: secret, cameras }),
            TradeOutcome::Expired => Err(AccessError::Expired),
            TradeOutcome::Unknown => Err(self.failed(peer, AccessError::Unknown)),
        }
    }
}

fn check(new: &NewEnrollment) -> Result<(), AccessError> {
    let mut cameras: Vec<_> = new.cameras.iter().collect();
    cameras.sort_unstable();
    cameras.dedup();
    let wrong = if cameras.is_empty() && new.new_cameras.is_none() {
        "an enrollment names at least one camera or a pattern".into()
    } else if new.cameras.len() > CAMERAS_PER_AGENT {
        format!("an enrollment names at most {CAMERAS_PER_AGENT} cameras")
    } else if cameras.len() < new.cameras.len() {
        "an enrollment names each camera once".into()
    } else if !VALID_FOR.contains(&new.valid_for) {
        "an enrollment is open for 60 to 86400 seconds".into()
    } else {
        return Ok(());
    };
    Err(AccessError::Invalid(wrong))
}

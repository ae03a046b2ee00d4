//! What the parameters say that all questions about events have in common.

/// `from`.
pub(super) const FROM: &str = "The earliest time, included: RFC 3339, now, -15m, -2h, -7d, YYYYMMDDhhmmss[.mmm], Unix seconds or milliseconds";

/// `to`.
pub(super) const TO: &str = "The time before which all events lie";

/// `kind`.
pub(super) const KIND: &str = "Only these kinds, up to 32 of up to 64 bytes; repeatable";

/// `severity`.
pub(super) const SEVERITY: &str = "Only these severities, up to 32 of up to 64 bytes; repeatable";

/// `q`.
pub(super) const Q: &str = "Only descriptions that contain this, up to 256 bytes, whatever the case";

/// `order`.
pub(super) const ORDER: &str = "desc (default: newest first) or asc";

/// `source`.
pub(super) const SOURCE: &str = "auto (default): what is kept here, and the camera for what is not; store: what is kept here; camera: the camera itself";

/// `follow`.
pub(super) const FOLLOW: &str = "With text/event-stream: events that come from here on, as a list's `follow` or a message's id says; without it, and without `from`, from now on";

/// The header `Last-Event-ID`.
pub(super) const LAST_EVENT_ID: &str = "The same, as a browser says it that comes again; it counts more";

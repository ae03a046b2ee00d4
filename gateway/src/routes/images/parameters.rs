//! What the parameters of questions about pictures mean, in the words of the API document.

pub(super) const CLASS: &str =
    "The series: preview (default; small and often) or main (full size and seldom)";

pub(super) const FROM: &str = "The earliest time wanted, included, in any form that event lists take";

pub(super) const TO: &str = "The time before which all wanted pictures lie";

pub(super) const AFTER: &str =
    "Instead of `from`: the time behind which all wanted pictures lie; the oldest come first then";

pub(super) const BEFORE: &str = "The same as `to`: with `count`, that many pictures before a time";

pub(super) const ORDER: &str = "desc (newest first) or asc; asc by default with `after` alone, else desc";

pub(super) const WIDTH: &str =
    "Scale the picture down to this width in pixels; a narrower one is sent as it is";

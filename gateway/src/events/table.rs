//! Events as rows of CSV, and rows of the same columns for what stands beside them: what is missing, where there is more, and the end.
//!
//! Those have no id, which every event has. Their kinds could be those of events too.

use std::io::Write as _;

use oriel_proto::{CameraId, Timestamp, view::EventView};
use serde::Serialize;

use crate::{
    clock::Day,
    csv::{self, cell},
    store::KeptEvent,
};

/// The columns, as the first row names them.
pub const COLUMNS: [&str; 8] =
    ["id", "camera", "at", "received_at", "kind", "severity", "description", "data"];

/// Writes the events of one camera, all but the line feed at the end of a row.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    camera: CameraId,
    day: Day,
    scratch: Vec<u8>,
}

impl Rows {
    /// Those of the log of `camera`.
    pub(super) fn of(camera: &CameraId) -> Self {
        Self { camera: camera.clone(), day: Day::default(), scratch: Vec::new() }
    }

    /// Appends an event.
    pub(super) fn write(&mut self, text: &mut Vec<u8>, event: &EventView<'_>) {
        self.begin(text, event, None);
        self.scratch.clear();
        let written = serde_json::to_writer(&mut self.scratch, &event.data);
        debug_assert!(written.is_ok(), "JSON values are always JSON");
        cell(text, &self.scratch);
        text.push(b'\r');
    }

    /// Appends an event that is kept here, and when it came.
    pub(super) fn write_kept(&mut self, text: &mut Vec<u8>, kept: &KeptEvent<'_>) {
        self.begin(text, &kept.event, Some(kept.received_at));
        cell(text, kept.data.unwrap_or("{}").as_bytes());
        text.push(b'\r');
    }

    /// Appends all cells but the last one.
    fn begin(&mut self, text: &mut Vec<u8>, event: &EventView<'_>, received_at: Option<Timestamp>) {
        // Ids are never a formula.
        let written = write!(text, "{}-{},{},", event.epoch, event.seq, self.camera);
        debug_assert!(written.is_ok(), "memory takes everything");
        self.time(text, Some(event.at));
        self.time(text, received_at);
        for word in [event.kind, event.severity, event.description] {
            cell(text, word.as_bytes());
            text.push(b',');
        }
    }

    /// Appends the cell of a time; years before the first one begin with a minus sign.
    fn time(&mut self, text: &mut Vec<u8>, time: Option<Timestamp>) {
        if let Some(time) = time {
            self.scratch.clear();
            self.day.write(time, &mut self.scratch);
            cell(text, &self.scratch);
        }
        text.push(b',');
    }
}

/// Appends the row that names the columns.
pub fn write_head(text: &mut Vec<u8>) {
    csv::line(text, &COLUMNS);
}

/// Appends the row of a stretch of time in which events of a camera may be missing; without a beginning it begins with the log. `missing`
/// is the word for the reason.
pub fn write_missing(text: &mut Vec<u8>, camera: &str, from: Option<&str>, to: &str, missing: &str) {
    let begin = from.unwrap_or("the beginning");
    let sentence = format!("events may be missing from {begin} to {to}: {missing}");
    let data = json(&Missing { from, to, missing });
    csv::line(text, &["", camera, from.unwrap_or_default(), "", "missing", "warning", &sentence, &data]);
}

/// Appends the row that stands where a list ends because of its limit: that of a camera, or that of all where `camera` is empty. `next` is
/// the cursor to go on with.
pub fn write_more(text: &mut Vec<u8>, camera: &str, next: &str) {
    let sentence = "there are more events than the limit";
    csv::line(text, &["", camera, "", "", "more", "info", sentence, &json(&More { next })]);
}

/// Appends the last row of a list that did not break off; `data` says whether it is complete, and may say more.
pub fn write_end(text: &mut Vec<u8>, complete: bool, data: &impl Serialize) {
    let sentence = if complete { "nothing is missing" } else { "see the rows of the kind missing" };
    csv::line(text, &["", "", "", "", "end", "info", sentence, &json(data)]);
}

#[derive(Serialize)]
struct Missing<'a> {
    from: Option<&'a str>,
    to: &'a str,
    missing: &'a str,
}

#[derive(Serialize)]
struct More<'a> {
    next: &'a str,
}

fn json(data: &impl Serialize) -> String {
    let written = serde_json::to_string(data);
    debug_assert!(written.is_ok(), "texts and numbers are always JSON");
    written.unwrap_or_default()
}

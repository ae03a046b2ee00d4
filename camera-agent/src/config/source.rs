//! Where a camera's events and pictures come from: the options of each kind of source.

use std::{fmt, path::PathBuf};

use jiff::tz::TimeZone;
use oriel_proto::{ImageClass, Secret};
use serde::{Deserialize, Deserializer};
use url::Url;

use super::{
    ConfigError, SyslogConfig, TailConfig,
    check::{presentable, wrong},
    parse,
};

/// The least time between two pictures, in milliseconds: 25 a second.
const LEAST_PICTURE_MS: u64 = 40;

/// The least time between two pictures that are fetched, in milliseconds.
const LEAST_FETCH_MS: u64 = 100;

/// The bounds of the time that a camera has for one picture, in milliseconds.
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 100..=60_000;

/// The most levels of folders that are looked through.
const MOST_DEPTH: u8 = 8;

/// Where a camera's events and pictures come from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceConfig {
    /// A camera that does not exist, for trying things out.
    Simulator(SimulatorConfig),
    /// Stills that a camera gives over HTTP.
    Snapshot(SnapshotConfig),
    /// Stills that somebody puts into a folder.
    Folder(FolderConfig),
    /// The lines of a log file.
    Tail(TailConfig),
    /// What others send by syslog.
    Syslog(SyslogConfig),
}

/// What a source gives beside events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offers {
    /// The series of pictures that it keeps; none when it has no pictures.
    pub classes: Vec<ImageClass>,
    /// Whether it takes a picture when asked for one.
    pub snapshot: bool,
    /// Whether it gives moving pictures.
    pub live: bool,
}

/// A simulated camera.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorConfig {
    /// Two cameras with one seed tell the same story; default: a number made from the camera's id.
    pub seed: Option<u64>,
    /// Milliseconds between events, at least 1; default 10,000.
    pub interval_ms: u64,
    /// Events of the past, one per interval, written at the very first start, with pictures of the last minute; default 0.
    pub backfill: u64,
    /// Milliseconds between small pictures, at least 40; 0 for none; default 1,000.
    pub preview_ms: u64,
    /// Milliseconds between full-size pictures, at least 40; 0 for none; default 60,000.
    pub main_ms: u64,
    /// How much each pixel may differ from the scene, 0 to 255; default 4.
    pub noise: u8,
}

/// A camera that gives a still to whoever asks it over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotConfig {
    /// Where the camera gives a picture: `http://…` or `https://…`.
    pub url: CameraUrl,
    /// The user that the camera knows; it chooses between basic and digest login.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A file that holds the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A PEM file of the only authorities to trust; default: those of the operating system.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Milliseconds between pictures, at least 100; default 1,000.
    #[serde(default = "second")]
    pub interval_ms: u64,
    /// Milliseconds that the camera has for one picture, 100 to 60,000; default 10,000.
    #[serde(default = "ten_seconds")]
    pub timeout_ms: u64,
    /// The series that all pictures go to: `preview` or `main`; default: all to `preview`, and one a minute to `main`.
    #[serde(default, deserialize_with = "parse::class")]
    pub class: Option<ImageClass>,
}

/// A folder that a camera fills by FTP, or a program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// The folder.
    pub path: PathBuf,
    /// Levels of folders inside it that are looked through, at most 8; default 4.
    #[serde(default = "four")]
    pub depth: u8,
    /// Where a picture's time comes from: `name` (default): its name where it has a time, else the file's; or `file`.
    #[serde(default)]
    pub times: Times,
    /// The time zone of times in names, such as `Europe/Berlin`; default `UTC`.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// Remove each file once its picture is kept; default false.
    #[serde(default)]
    pub remove: bool,
    /// The series that all pictures go to: `preview` or `main`; default: all to `preview`, and one a minute to `main`.
    #[serde(default, deserialize_with = "parse::class")]
    pub class: Option<ImageClass>,
}

/// Where the time of a file's picture comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// Its name where that has a time, else when it was last changed.
    #[default]
    Name,
    /// When it was last changed.
    File,
}

/// An address of a camera. What follows `?` often holds a password and is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct CameraUrl(Url);

impl CameraUrl {
    /// The address itself.
    pub const fn as_url(&self) -> &Url {
        &self.0
    }
}

impl std::str::FromStr for CameraUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = |why: &str| format!("url = {:?}: {why}", presentable(text));
        let url = Url::parse(text).map_err(|e| refused(&e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("expected http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("a user name or password does not belong there; give user and password"));
        }
        Ok(Self(url))
    }
}

impl<'de> Deserialize<'de> for CameraUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(super::wrong::<D>)
    }
}

impl fmt::Display for CameraUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        shown.set_fragment(None);
        if shown.query().is_some() {
            shown.set_query(None);
            return write!(f, "{shown}?…");
        }
        write!(f, "{shown}")
    }
}

impl fmt::Debug for CameraUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CameraUrl({self})")
    }
}

impl SourceConfig {
    /// What this source gives beside events.
    pub fn offers(&self) -> Offers {
        match self {
            Self::Simulator(simulator) => {
                let periods =
                    [(ImageClass::Preview, simulator.preview_ms), (ImageClass::Main, simulator.main_ms)];
                let given = periods.into_iter().filter(|(_, period)| *period > 0);
                let classes: Vec<_> = given.map(|(class, _)| class).collect();
                let some = !classes.is_empty();
                Offers { classes, snapshot: some, live: some }
            }
            Self::Snapshot(snapshot) => {
                Offers { classes: classes(snapshot.class.as_ref()), snapshot: true, live: true }
            }
            // Whoever fills the folder takes the pictures.
            Self::Folder(folder) => {
                Offers { classes: classes(folder.class.as_ref()), snapshot: false, live: true }
            }
            Self::Tail(_) | Self::Syslog(_) => Offers { classes: Vec::new(), snapshot: false, live: false },
        }
    }

    /// The files and folders that it names.
    pub(super) fn files(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Simulator(_) | Self::Syslog(_) => Vec::new(),
            Self::Snapshot(snapshot) => snapshot.password_file.iter_mut().chain(&mut snapshot.ca).collect(),
            // An empty one is refused.
            Self::Folder(folder) if folder.path.as_os_str().is_empty() => Vec::new(),
            Self::Folder(folder) => vec![&mut folder.path],
            Self::Tail(tail) if tail.path.as_os_str().is_empty() => Vec::new(),
            Self::Tail(tail) => vec![&mut tail.path],
        }
    }

    /// Refuses what makes no sense; `key` names an option of the source.
    pub(super) fn check(&self, key: impl Fn(&str) -> String) -> Result<(), ConfigError> {
        match self {
            Self::Simulator(simulator) => simulator.check(key),
            Self::Snapshot(snapshot) => snapshot.check(key),
            Self::Folder(folder) => folder.check(key),
            Self::Tail(tail) => tail.check(key),
            Self::Syslog(syslog) => syslog.check(key),
        }
    }
}

/// The series of a source that sorts its pictures by itself, unless one is given.
fn classes(given: Option<&ImageClass>) -> Vec<ImageClass> {
    given.map_or_else(|| vec![ImageClass::Preview, ImageClass::Main], |class| vec![class.clone()])
}

impl SimulatorConfig {
    fn check(&self, key: impl Fn(&str) -> String) -> Result<(), ConfigError> {
        if self.interval_ms == 0 {
            return Err(wrong(key("interval_ms"), 0, "at least 1".into()));
        }
        for (name, period) in [("preview_ms", self.preview_ms), ("main_ms", self.main_ms)] {
            if (1..LEAST_PICTURE_MS).contains(&period) {
                return Err(wrong(key(name), period, format!("at least {LEAST_PICTURE_MS}, or 0 for none")));
            }
        }
        Ok(())
    }
}

impl SnapshotConfig {
    fn check(&self, key: impl Fn(&str) -> String) -> Result<(), ConfigError> {
        if self.interval_ms < LEAST_FETCH_MS {
            return Err(wrong(key("interval_ms"), self.interval_ms, format!("at least {LEAST_FETCH_MS}")));
        }
        if !TIMEOUT_MS.contains(&self.timeout_ms) {
            let (least, most) = TIMEOUT_MS.into_inner();
            return Err(wrong(key("timeout_ms"), self.timeout_ms, format!("expected {least} to {most}")));
        }
        if let Some(ca) = self.ca.as_ref().filter(|_| self.url.as_url().scheme() == "http") {
            return Err(wrong(key("ca"), ca.display(), format!("{} does not use TLS", self.url)));
        }
        if let Some(file) = self.password_file.as_ref().filter(|_| self.password.is_some()) {
            let why = "there is a password too; give one of them";
            return Err(wrong(key("password_file"), file.display(), why.into()));
        }
        match (&self.user, self.password.is_some() || self.password_file.is_some()) {
            (Some(user), false) => Err(wrong(key("user"), user, "it needs password or password_file".into())),
            (None, true) => Err(wrong(key("password"), "…", "it needs user".into())),
            _ => Ok(()),
        }
    }
}

impl FolderConfig {
    fn check(&self, key: impl Fn(&str) -> String) -> Result<(), ConfigError> {
        if self.path.as_os_str().is_empty() {
            return Err(wrong(key("path"), "\"\"", "expected a folder".into()));
        }
        if self.depth > MOST_DEPTH {
            return Err(wrong(key("depth"), self.depth, format!("at most {MOST_DEPTH}")));
        }
        self.zone().map(|_| ()).map_err(|e| wrong(key("time_zone"), &self.time_zone, e.to_string()))
    }

    /// The time zone of times in names.
    pub(crate) fn zone(&self) -> Result<TimeZone, jiff::Error> {
        zone(&self.time_zone)
    }
}

/// The time zone of that name.
pub(super) fn zone(name: &str) -> Result<TimeZone, jiff::Error> {
    // A small device may have no other.
    if name == "UTC" { Ok(TimeZone::UTC) } else { TimeZone::get(name) }
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self { seed: None, interval_ms: 10_000, backfill: 0, preview_ms: 1_000, main_ms: 60_000, noise: 4 }
    }
}

impl fmt::Display for SourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simulator(_) => "simulator",
            Self::Snapshot(_) => "snapshot",
            Self::Folder(_) => "folder",
            Self::Tail(_) => "tail",
            Self::Syslog(_) => "syslog",
        })
    }
}

const fn second() -> u64 {
    1_000
}

const fn ten_seconds() -> u64 {
    10_000
}

const fn four() -> u8 {
    4
}

pub(super) fn utc() -> String {
    "UTC".into()
}

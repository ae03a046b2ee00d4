//! Which lines are logged, and how.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    filter::{FilterExt as _, LevelFilter, ParseError, filter_fn},
    layer::{Filter, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use super::LogFormat;

/// The programs that know not to write down a secret. Libraries do not: at their lowest levels they write what passes through
/// them, tokens included.
const OURS: [&str; 2] = ["camera_agent", "oriel_proto"];

/// Logs to standard error what `filter` says, but below `info` only what [`OURS`] say.
pub(super) fn start(filter: &str, format: LogFormat) -> Result<(), String> {
    let told = log_filter(filter).map_err(|e| format!("--log {filter}: {e}"))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let layer = match format {
        LogFormat::Text => lines.with_filter(told).boxed(),
        LogFormat::Json => lines.json().with_filter(told).boxed(),
    };
    Registry::default().with(layer).try_init().map_err(|e| e.to_string())
}

fn log_filter(text: &str) -> Result<impl Filter<Registry> + Send + Sync + 'static, ParseError> {
    let told = EnvFilter::try_new(text)?;
    // Without the hint, every line that is not told would be made first.
    let most = Filter::<Registry>::max_level_hint(&told).unwrap_or(LevelFilter::TRACE);
    Ok(told.and(filter_fn(may_be_told).with_max_level_hint(most)))
}

/// Whether a line may be told if the filter wants it.
fn may_be_told(line: &Metadata<'_>) -> bool {
    let program = line.target().split("::").next().unwrap_or_default();
    OURS.contains(&program) || *line.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_not_told_are_not_made() {
        for (text, most) in [("info", LevelFilter::INFO), ("warn,camera_agent=debug", LevelFilter::DEBUG)] {
            assert_eq!(log_filter(text).unwrap().max_level_hint(), Some(most), "{text}");
        }
    }
}

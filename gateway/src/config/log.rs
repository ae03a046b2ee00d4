//! Which lines of the log are written.

use tracing::{Level, Metadata, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Registry,
    filter::{FilterExt, filter_fn},
    layer::Filter,
};

/// The programs that know not to write down a secret. Libraries do not: at their lowest levels they write what passes through
/// them, tokens included.
const OURS: [&str; 4] = ["oriel", "oriel_gateway", "oriel_proto", "camera_agent"];

/// What `text` says, but below `info` only what the programs of this project say.
///
/// # Errors
/// Says what is wrong with `text`.
pub fn log_filter<S: 'static>(text: &str) -> Result<impl Filter<S> + Send + Sync + 'static, String> {
    let told = EnvFilter::try_new(text).map_err(|why| why.to_string())?;
    // Without the hint, every line that is not told would be made first.
    let most = Filter::<S>::max_level_hint(&told).unwrap_or(LevelFilter::TRACE);
    Ok(told.and(filter_fn(may_be_told).with_max_level_hint(most)))
}

/// Whether a line may be told if the filter wants it.
fn may_be_told(line: &Metadata<'_>) -> bool {
    let program = line.target().split("::").next().unwrap_or_default();
    OURS.contains(&program) || *line.level() <= Level::INFO
}

/// Reads a filter of log lines and gives it back unchanged.
pub(super) fn log_text(text: &str) -> Result<String, String> {
    log_filter::<Registry>(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_not_told_are_not_made() {
        for (text, most) in [("info", LevelFilter::INFO), ("warn,oriel_gateway=debug", LevelFilter::DEBUG)] {
            assert_eq!(log_filter::<Registry>(text).unwrap().max_level_hint(), Some(most), "{text}");
        }
    }
}

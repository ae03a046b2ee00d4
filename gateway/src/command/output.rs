//! What commands write to standard output.

use std::{
    fs::{self, OpenOptions},
    io::{self, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde_json::Value;

use super::Failure;

/// Writes bytes as they are.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Writes `text` as it is.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes one line.
pub(super) fn print_line(line: &str) -> Result<(), Failure> {
    print(&format!("{line}\n"))
}

/// Writes a JSON value, indented for people when they read it.
pub(super) fn print_json(value: &Value) -> Result<(), Failure> {
    let text = if is_terminal() { format!("{value:#}") } else { value.to_string() };
    print_line(&ascii_controls(&text))
}

/// Writes a JSON value on one line.
pub(super) fn print_json_line(value: &Value) -> Result<(), Failure> {
    print_line(&ascii_controls(&value.to_string()))
}

/// Whether people read the output as it is written.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// JSON leaves the control characters from U+007F on as they are; terminals may obey them.
fn ascii_controls(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            '\u{7f}'..='\u{9f}' => text.push_str(&format!("\\u{:04x}", u32::from(char))),
            _ => text.push(char),
        }
    }
    text
}

/// Writes a secret to a file that only its owner can read, in place of what was there.
pub(super) fn write_secret(path: &Path, secret: &str) -> Result<(), Failure> {
    let failed = |why| Failure::File { path: path.display().to_string(), why };
    let mut name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(format!("{secret}\n").as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|why| {
        let _ = fs::remove_file(&temporary);
        failed(why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_json_and_loses_its_controls() {
        let value = serde_json::json!({"a": "\u{9b}31m\u{7f}"});
        let text = ascii_controls(&value.to_string());
        assert_eq!(text, r#"{"a":"\u009b31m\u007f"}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}

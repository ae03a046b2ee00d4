//! The configuration file: its keys are checked against the options and its values become their defaults.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Command, CommandFactory, builder::Resettable};
use toml::{Table, Value};

use super::{Config, ConfigError};

/// How alike two keys must be (0 to 1) for one to be offered in place of the other.
const LIKE: f64 = 0.7;

/// A configuration file whose keys and values are known to be right.
#[derive(Debug)]
pub struct ConfigFile {
    /// Keys with their table (`limits.agents`), which are the ids of the options, and their values as text.
    values: Vec<(String, Vec<String>)>,
}

impl ConfigFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError`] when it cannot be read, is not TOML, has an unknown key, or a value that its option refuses.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|why| ConfigError::Unreadable { path: path.to_owned(), why })?;
        let table: Table = toml::from_str(&text)
            .map_err(|why| ConfigError::NotToml { path: path.to_owned(), why: place(&text, &why) })?;
        let mut file = Self { values: Vec::new() };
        file.take(path, "", table)?;
        file.check(path)?;
        Ok(file)
    }

    /// The same command, with the file's values as the defaults of its options.
    #[must_use]
    pub fn as_defaults(&self, command: Command) -> Command {
        self.values.iter().fold(command, |command, (key, values)| {
            command.mut_arg(key, |arg| arg.default_values(values.clone()))
        })
    }

    /// Whether the file says something about the option with this id.
    pub fn sets(&self, id: &str) -> bool {
        self.values.iter().any(|(key, _)| key == id)
    }

    /// Takes the entries of `table`, whose keys begin with `prefix`.
    fn take(&mut self, path: &Path, prefix: &str, table: Table) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            match value {
                Value::Table(inner) if is_table(&key) => self.take(path, &format!("{key}."), inner)?,
                value if is_key(&key) => {
                    let values =
                        texts(&value).ok_or_else(|| wrong(path, format!("{key} cannot be {value}")))?;
                    self.values.push((key, values));
                }
                _ => return Err(unknown(path, key)),
            }
        }
        Ok(())
    }

    /// Lets each option read its value once, so that an error names the file and not a flag.
    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        for (key, values) in &self.values {
            let command = Config::command().mut_args(|arg| arg.env(Resettable::Reset));
            let command = command.mut_arg(key, |arg| arg.long(key.clone()));
            let given = values.iter().map(|value| OsString::from(format!("--{key}={value}")));
            command
                .try_get_matches_from(given)
                .map_err(|why| wrong(path, format!("{key}: {}", reason(&why, values))))?;
        }
        Ok(())
    }
}

/// The ids of all options that a file may set.
fn keys() -> Vec<String> {
    let command = Config::command();
    let ids = command.get_arguments().map(|arg| arg.get_id().to_string());
    ids.filter(|id| id != "config").collect()
}

fn is_key(key: &str) -> bool {
    keys().iter().any(|known| known == key)
}

fn is_table(key: &str) -> bool {
    keys().iter().any(|known| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

/// A value as the texts that a flag would take; none for dates and tables.
fn texts(value: &Value) -> Option<Vec<String>> {
    Some(match value {
        Value::String(text) => vec![text.clone()],
        Value::Integer(number) => vec![number.to_string()],
        Value::Boolean(yes) => vec![yes.to_string()],
        Value::Array(values) => {
            let inner: Option<Vec<_>> = values.iter().map(texts).collect();
            inner?.into_iter().flatten().collect()
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => return None,
    })
}

fn unknown(path: &Path, key: String) -> ConfigError {
    let mut near: Vec<_> =
        keys().into_iter().map(|known| (strsim::jaro_winkler(&known, &key), known)).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let nearest = near.into_iter().next().filter(|(like, _)| *like >= LIKE).map(|(_, known)| known);
    ConfigError::UnknownKey { path: path.to_owned(), key, nearest }
}

fn wrong(path: &Path, why: String) -> ConfigError {
    ConfigError::WrongValue { path: PathBuf::from(path), why }
}

/// What clap holds against a value, without its talk of flags.
fn reason(error: &clap::Error, values: &[String]) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(source) => format!("{:?}: {source}", values.join(",")),
        None => {
            let text = error.to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
        }
    }
}

/// A TOML error on one line, with its place.
fn place(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].lines().count().max(1));
    match line {
        Some(line) => format!("line {line}: {}", error.message()),
        None => error.message().to_owned(),
    }
}

//! The sources that the rules read, and the few ways in which they read them.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// Folders that hold nothing that we wrote.
const SKIPPED: [&str; 5] = ["target", ".git", "node_modules", ".venv", "vendor"];

/// One file of the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Its path from the workspace's root.
    pub(crate) path: String,
    /// What stands in it.
    pub(crate) text: String,
}

/// A place where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The file.
    path: String,
    /// The line, from 1.
    line: usize,
    /// What is wrong there.
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

impl Source {
    /// A file that exists in a test alone.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it holds tests or their helpers alone.
    pub(crate) fn is_test(&self) -> bool {
        self.is_under_tests() || self.path.ends_with("/tests.rs") || self.path.contains("fuzz/")
    }

    /// Whether it belongs to the integration tests of a crate.
    pub(crate) fn is_under_tests(&self) -> bool {
        self.path.contains("/tests/")
    }

    /// Whether the path is one of these, or a file in the folder beside such a module (`link` is `link.rs` and `link/*`).
    pub(crate) fn belongs_to(&self, modules: &[&str]) -> bool {
        let rest = |module: &&str| self.path.strip_prefix(module).map(str::to_owned);
        modules.iter().filter_map(rest).any(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
    }

    /// Numbered lines without comments.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines.map(|(n, line)| {
            (n + 1, line.find("//").filter(|at| !line[..*at].ends_with(':')).map_or(line, |at| &line[..at]))
        })
    }

    /// Numbered lines without comments and without what is compiled for tests alone, as rustfmt lays it out.
    pub(crate) fn shipped(&self) -> Vec<(usize, &str)> {
        let mut in_test = false;
        let mut lines = Vec::new();
        for (n, line) in self.code().filter(|_| !self.is_test()) {
            if line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test") {
                in_test = true;
            } else if !in_test {
                lines.push((n, line));
            } else if line.starts_with('}') || (!line.starts_with(' ') && line.ends_with(';')) {
                in_test = false;
            }
        }
        lines
    }

    pub(crate) fn fault(&self, line: usize, what: impl Into<String>) -> Fault {
        Fault { path: self.path.clone(), line, what: what.into() }
    }
}

/// Whether `word` stands in `line` as a whole word, not as a part of a longer path.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, behind) = (&line[..at], &line[at + word.len()..]);
        !before.ends_with(is_letter) && !before.ends_with("::") && !behind.starts_with(is_letter)
    })
}

/// Whether `line` names the crate `name`: in a `use` or at the head of a path.
pub(crate) fn names_crate(line: &str, name: &str) -> bool {
    let is_use = line.trim_start().trim_start_matches("pub ").starts_with(&format!("use {name}"));
    has_word(line, name) && (is_use || line.contains(&format!("{name}::")))
}

/// Every text file of the workspace that we wrote.
pub(crate) fn workspace() -> Vec<Source> {
    let gateway = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let root = gateway.parent().unwrap().to_owned();
    let mut sources = Vec::new();
    read_folder(&root, &root, &mut sources);
    assert!(sources.len() > 20, "found only {} sources under {}", sources.len(), root.display());
    sources
}

fn read_folder(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                read_folder(root, &path, sources);
            }
        } else if name == "check" || [".rs", ".toml", ".sql", ".sh"].iter().any(|end| name.ends_with(end)) {
            let relative = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            sources.push(Source { path: relative, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

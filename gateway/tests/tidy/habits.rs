//! Rules about how a file is written.

use crate::source::{Fault, Source, has_word};

/// The most lines of a file.
const LINES: usize = 400;

/// Words that promise work instead of doing it; put together here so that this file does not hold them.
const MARKERS: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];

/// Status codes that are no failures, and so may be named anywhere in the routes.
const SUCCESS: [&str; 9] = [
    "OK",
    "CREATED",
    "ACCEPTED",
    "NO_CONTENT",
    "PARTIAL_CONTENT",
    "SWITCHING_PROTOCOLS",
    "NOT_MODIFIED",
    "SEE_OTHER",
    "PERMANENT_REDIRECT",
];

/// A file that fits into a head.
pub(crate) fn short(source: &Source) -> Vec<Fault> {
    let lines = source.text.lines().count();
    let long = source.is_rust() && lines > LINES;
    long.then(|| source.fault(LINES + 1, format!("{lines} lines, at most {LINES}"))).into_iter().collect()
}

/// A first line that says what the file is for.
pub(crate) fn introduced(source: &Source) -> Vec<Fault> {
    let missing = source.is_rust() && !source.text.starts_with("//! ");
    missing.then(|| source.fault(1, "does not begin with a //! sentence")).into_iter().collect()
}

/// No promise of later work.
pub(crate) fn finished(source: &Source) -> Vec<Fault> {
    find(source.text.lines().enumerate().map(|(n, line)| (n + 1, line)), source, |line| {
        MARKERS.into_iter().find(|marker| line.contains(marker)).map(|marker| format!("{marker} is left"))
    })
}

/// Tests that run.
pub(crate) fn tests_run(source: &Source) -> Vec<Fault> {
    let attribute = concat!("#[ig", "nore");
    find(source.code(), source, |line| line.contains(attribute).then(|| "an ignored test".into()))
}

/// `foo.rs` and `foo/`, so that a tab in an editor says what it shows.
pub(crate) fn named(source: &Source) -> Vec<Fault> {
    let nameless = source.path.ends_with("/mod.rs") && !source.path.ends_with("tests/common/mod.rs");
    nameless.then(|| source.fault(1, "is called mod.rs")).into_iter().collect()
}

/// Failures that are handled.
pub(crate) fn no_panics(source: &Source) -> Vec<Fault> {
    let calls = [
        concat!(".unw", "rap()"),
        concat!(".unw", "rap_err()"),
        concat!(".exp", "ect("),
        concat!(".exp", "ect_err("),
    ];
    find(rust(source), source, |line| {
        // A constant that panics does so in the compiler.
        let constant = has_word(line, "const");
        calls
            .into_iter()
            .find(|call| line.contains(call) && !constant)
            .map(|call| format!("{call} outside tests"))
    })
}

/// Tests that wait for conditions; where the clock is paused or simulated, sleeping only moves it.
pub(crate) fn no_naps(source: &Source) -> Vec<Fault> {
    let paused = source.text.contains("start_paused = true") || source.path.starts_with("gateway/tests/sim/");
    let lines = source.code().filter(|_| source.is_rust() && source.is_under_tests());
    find(lines, source, |line| {
        let blocks = line.contains(concat!("thread::sle", "ep"));
        let call = has_word(line, concat!("sle", "ep")) && line.contains(concat!("sle", "ep("));
        let waits = call || line.contains(concat!("time::sle", "ep"));
        (blocks || (waits && !paused)).then(|| "a test that waits for time to pass".into())
    })
}

/// One place that turns failures into status codes.
pub(crate) fn one_place_for_failures(source: &Source) -> Vec<Fault> {
    if !source.path.starts_with("gateway/src/") || source.belongs_to(&["gateway/src/problem"]) {
        return Vec::new();
    }
    find(rust(source), source, |line| {
        let codes = line.split("StatusCode::").skip(1).map(constant);
        codes
            .into_iter()
            .find(|code| !code.is_empty() && !SUCCESS.contains(code))
            .map(|code| format!("the failure status {code} outside problem.rs"))
    })
}

/// The constant that a text begins with; empty when it begins with a method.
fn constant(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let name = &text[..end];
    if name.starts_with(|c: char| c.is_uppercase()) || name.starts_with("from_u16") { name } else { "" }
}

fn rust(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    source.shipped().into_iter().filter(|_| source.is_rust())
}

fn find<'a>(
    lines: impl Iterator<Item = (usize, &'a str)>,
    source: &Source,
    wrong: impl Fn(&str) -> Option<String>,
) -> Vec<Fault> {
    lines.filter_map(|(n, line)| wrong(line).map(|what| source.fault(n, what))).collect()
}

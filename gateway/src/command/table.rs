//! Tables for people, out of the JSON that the gateway gave.

use std::io::IsTerminal;

pub(super) use comfy_table::Color;
use comfy_table::{Cell, ContentArrangement, Table, presets};
use serde_json::Value;

use super::{
    Failure,
    failure::say,
    output::print_line,
    text::{Zone, visible},
};

/// A column: its head, and where in an item its cell stands (a JSON pointer).
pub(super) type Column = (&'static str, &'static str);

/// How a list is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Where its times are shown.
    pub(super) zone: Zone,
    /// Whether times are shown to the millisecond.
    pub(super) is_exact: bool,
    /// The colour of a cell, by its column's pointer and its text; none when nothing is coloured.
    pub(super) paint: Option<fn(&str, &str) -> Option<Color>>,
}

/// How lists and facts are shown unless somebody wants it otherwise.
const PLAIN: Look = Look { zone: Zone::Local, is_exact: false, paint: None };

/// Writes a list with one row per item of `items`, or that there are no `what`.
pub(super) fn print_list(what: &str, columns: &[Column], items: &Value) -> Result<(), Failure> {
    print_list_as(PLAIN, what, columns, items)
}

/// The same with another look.
pub(super) fn print_list_as(
    look: Look,
    what: &str,
    columns: &[Column],
    items: &Value,
) -> Result<(), Failure> {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        say(&format!("no {what}"));
        return Ok(());
    }
    let mut table = empty();
    if look.paint.is_some() {
        table.enforce_styling();
    }
    table.set_header(columns.iter().map(|(head, _)| *head));
    for item in items {
        table.add_row(columns.iter().map(|(_, pointer)| painted(look, pointer, item.pointer(pointer))));
    }
    print_line(&table.trim_fmt())
}

/// Writes one item of a list that is not known whole yet.
pub(super) fn print_row_as(look: Look, columns: &[Column], item: &Value) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if look.paint.is_some() {
        table.enforce_styling();
    }
    table.add_row(columns.iter().map(|(_, pointer)| painted(look, pointer, item.pointer(pointer))));
    print_line(&table.trim_fmt())
}

fn painted(look: Look, pointer: &str, value: Option<&Value>) -> Cell {
    let text = value.map(|value| cell(value, look)).unwrap_or_default();
    let color = look.paint.and_then(|paint| paint(pointer, &text));
    let cell = Cell::new(text);
    match color {
        Some(color) => cell.fg(color),
        None => cell,
    }
}

/// Writes one thing with one row per fact, those inside a fact by their path.
pub(super) fn print_facts(thing: &Value) -> Result<(), Failure> {
    let mut table = empty();
    add_facts(&mut table, "", thing);
    print_line(&table.trim_fmt())
}

fn add_facts(table: &mut Table, name: &str, value: &Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                add_facts(table, &name, value);
            }
        }
        value => {
            table.add_row([visible(name).into_owned(), cell(value, PLAIN)]);
        }
    }
}

/// A table with lines on a terminal, and without where a program reads it.
fn empty() -> Table {
    let mut table = Table::new();
    if std::io::stdout().is_terminal() {
        table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    }
    table
}

/// A value as people read it.
fn cell(value: &Value, look: Look) -> String {
    let text = match value {
        Value::Null => "-".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) if look.is_exact => look.zone.show_exact(text),
        Value::String(text) => look.zone.show(text),
        Value::Array(items) => items.iter().map(|item| cell(item, look)).collect::<Vec<_>>().join(" "),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    visible(&text).into_owned()
}

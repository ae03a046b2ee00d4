//! MessagePack as a tree that tests can look into and break, and the hex layout of the golden files.

use rmpv::Value;

/// The tree that `bytes` hold, all of them.
pub(crate) fn tree(bytes: &[u8]) -> Value {
    let mut rest = bytes;
    let value = rmpv::decode::read_value(&mut rest).expect("MessagePack");
    assert!(rest.is_empty(), "trailing bytes");
    value
}

/// The bytes of a tree.
pub(crate) fn bytes(tree: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, tree).unwrap();
    bytes
}

/// Text as a tree.
pub(crate) fn text(word: &str) -> Value {
    word.into()
}

/// A frame with these fields, or anything else that has the form of one.
pub(crate) fn frame(tag: &str, fields: Vec<(Value, Value)>) -> Vec<u8> {
    bytes(&Value::Map(vec![(text(tag), Value::Map(fields))]))
}

/// The value behind the text key `key` of a map.
pub(crate) fn field<'a>(map: &'a mut Value, key: &str) -> &'a mut Value {
    let Value::Map(entries) = map else { panic!("{map} is not a map") };
    let entry = entries.iter_mut().find(|(name, _)| name.as_str() == Some(key));
    &mut entry.unwrap_or_else(|| panic!("no field {key}")).1
}

/// Calls `visit` for every map in the tree, outermost first, with the path of keys that leads to it.
pub(crate) fn maps(tree: &mut Value, path: &str, visit: &mut impl FnMut(&str, &mut Vec<(Value, Value)>)) {
    match tree {
        Value::Map(entries) => {
            visit(path, entries);
            for (key, value) in entries {
                let key = key.as_str().unwrap_or("?").to_owned();
                maps(value, &format!("{path}/{key}"), visit);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| maps(item, path, visit)),
        _ => {}
    }
}

/// Hex of one value a line, indented by its level; a map's entry stands on one line as far as it is flat.
pub(crate) fn hex(tree: &Value) -> String {
    let mut lines = String::new();
    layout(tree, 0, &mut lines);
    lines
}

fn layout(tree: &Value, level: usize, lines: &mut String) {
    let indent = "  ".repeat(level);
    match tree {
        Value::Map(entries) => {
            *lines += &format!("{indent}{}\n", digits(&bytes(tree)[..header(entries.len(), 16)]));
            for (key, value) in entries {
                if matches!(value, Value::Map(_) | Value::Array(_)) {
                    layout(key, level + 1, lines);
                    layout(value, level + 2, lines);
                } else {
                    *lines += &format!("{indent}  {}  {}\n", digits(&bytes(key)), digits(&bytes(value)));
                }
            }
        }
        Value::Array(items) => {
            *lines += &format!("{indent}{}\n", digits(&bytes(tree)[..header(items.len(), 16)]));
            items.iter().for_each(|item| layout(item, level + 1, lines));
        }
        flat => *lines += &format!("{indent}{}\n", digits(&bytes(flat))),
    }
}

/// Bytes before the first child of a container of `len`.
fn header(len: usize, fix: usize) -> usize {
    if len < fix { 1 } else { 3 }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// The bytes of a text of hex digits, whatever white space it has.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).expect("a hex digit")).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

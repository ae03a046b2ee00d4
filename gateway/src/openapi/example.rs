//! Examples for the API document, put together from those of single fields.

use serde_json::{Map, Value, json};

use super::PROBLEM;

/// The code that goes with the status of a failure, for its example.
const CODES: &[(&str, &str)] = &[
    ("400", "bad_request"),
    ("401", "unauthorized"),
    ("403", "forbidden"),
    ("404", "not_found"),
    ("408", "slow_body"),
    ("409", "conflict"),
    ("413", "too_large"),
    ("415", "unsupported_media_type"),
    ("426", "upgrade_required"),
    ("429", "too_many_requests"),
    ("501", "camera_unsupported"),
    ("502", "camera_failed"),
    ("503", "camera_offline"),
    ("504", "camera_timeout"),
];

/// Gives every body that has none an example.
pub(super) fn add(document: &mut Value) {
    let whole = document.clone();
    for operation in operations(document) {
        if let Some(content) = operation.pointer_mut("/requestBody/content") {
            add_to(content, &whole);
        }
        for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
            let Some(content) = response.get_mut("content") else { continue };
            if let Some((problem, code)) = content.get_mut(PROBLEM).zip(code(status)) {
                problem["example"] = failure(status, code);
            }
            add_to(content, &whole);
        }
    }
}

fn code(status: &str) -> Option<&'static str> {
    CODES.iter().find(|(known, _)| *known == status).map(|(_, code)| *code)
}

fn failure(status: &str, code: &str) -> Value {
    json!({
        "type": format!("urn:oriel:problem:{code}"),
        "title": "The kind of problem for people",
        "status": status.parse::<u16>().unwrap_or_default(),
        "code": code,
        "detail": "what was wrong this time",
        "request_id": UUID,
    })
}

const UUID: &str = "01997a5c-5f60-7000-8000-0123456789ab";

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    paths.filter_map(Value::as_object_mut).flat_map(Map::values_mut)
}

fn add_to(content: &mut Value, document: &Value) {
    for media in content.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if media["example"].is_null() {
            media["example"] = of(&media["schema"], document);
        }
    }
}

/// An example of what `schema` describes.
fn of(schema: &Value, document: &Value) -> Value {
    if let Some(example) = schema.get("example").or_else(|| schema["examples"].get(0)) {
        return example.clone();
    }
    if let Some(path) = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        return document.pointer(path).map(|schema| of(schema, document)).unwrap_or_default();
    }
    if let Some(one) =
        schema["oneOf"].as_array().and_then(|some| some.iter().find(|one| one["type"] != "null"))
    {
        return of(one, document);
    }
    let nullable = schema["type"].as_array().is_some_and(|types| types.contains(&json!("null")));
    let kind = schema["type"].as_str().or_else(|| schema["type"].get(0)?.as_str()).unwrap_or("object");
    match (kind, schema["format"].as_str()) {
        ("object", _) => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            fields.map(|(name, field)| (name.clone(), of(field, document))).collect()
        }
        ("array", _) if !nullable => json!([of(&schema["items"], document)]),
        ("string", Some("date-time")) => json!("2026-11-22T08:15:30.123456Z"),
        ("string", Some("uuid")) => json!(UUID),
        _ if nullable => Value::Null,
        ("string", _) => json!("text"),
        ("boolean", _) => json!(true),
        _ => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
    }
}

//! The API document says what is served, and what is served is in the document.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use oriel_gateway::{Gateway, config::Config, openapi::document, routes::OPEN};
use serde_json::{Value, json};

/// Method and path of every operation, and the operation.
fn operations() -> BTreeMap<(String, String), &'static Value> {
    let paths = document()["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods.iter().map(move |(method, operation)| ((method.to_uppercase(), path.clone()), operation))
    });
    all.collect()
}

/// Method, path and guard of every line of the table.
async fn table() -> BTreeMap<(String, String), &'static str> {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { data: folder.path().join("data"), ..Config::default() };
    let gateway = Gateway::start(config).await.unwrap();
    let lines = gateway.endpoints();
    let table = lines.iter().map(|line| ((line.method.to_owned(), line.path.clone()), line.guard)).collect();
    assert_eq!(gateway.endpoints().len(), lines.len());
    table
}

/// What stands at a reference of the document, or the value itself.
fn resolved(value: &Value) -> &Value {
    match value["$ref"].as_str() {
        Some(path) => document().pointer(path.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{path}")),
        None => value,
    }
}

/// Every value of the document, with where it stands.
fn walk<'a>(at: &str, value: &'a Value, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(at, value);
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| walk(&format!("{at}/{key}"), inner, visit)),
        Value::Array(list) => list.iter().enumerate().for_each(|(n, v)| walk(&format!("{at}/{n}"), v, visit)),
        _ => {}
    }
}

#[tokio::test]
async fn every_route_is_in_the_document_and_the_reverse() {
    let served: BTreeSet<_> = table().await.into_keys().collect();
    let described: BTreeSet<_> = operations().into_keys().collect();
    assert_eq!(served.difference(&described).collect::<Vec<_>>(), Vec::<&_>::new(), "not described");
    assert_eq!(described.difference(&served).collect::<Vec<_>>(), Vec::<&_>::new(), "not served");
}

#[tokio::test]
async fn the_document_says_which_credential_each_route_takes() {
    let operations = operations();
    for (route, guard) in table().await {
        let operation = operations[&route];
        let security = operation.get("security").unwrap_or(&document()["security"]);
        let expected = match guard {
            "open" => json!([{}]),
            "agent" => json!([{"agent": []}]),
            "viewer" => json!([{"key": []}]),
            "admin" => json!([{"key": ["admin"]}]),
            other => panic!("what does {other} take?"),
        };
        assert_eq!(*security, expected, "{route:?}");
        assert_eq!(OPEN.contains(&route.1.as_str()), guard == "open", "{route:?}");
    }
}

#[tokio::test]
async fn the_document_is_served_as_it_is() {
    let gateway = TestGateway::start().await;
    let answer = gateway.get("/openapi.json").await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json(), *document());
    assert!(document()["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(document()["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_reference_leads_somewhere() {
    walk("", document(), &mut |at, value| {
        if let Some(path) = value["$ref"].as_str() {
            assert!(document().pointer(path.strip_prefix('#').unwrap()).is_some(), "{at}: {path}");
        }
    });
}

#[test]
fn every_operation_says_how_it_succeeds_and_how_it_fails() {
    let mut ids = BTreeSet::new();
    for (route, operation) in operations() {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{route:?}: its id is taken");
        for text in ["summary", "tags"] {
            assert!(!operation[text].is_null(), "{route:?} has no {text}");
        }
        let responses = operation["responses"].as_object().unwrap();
        let good = |status: &str| status.starts_with('2') || ["101", "304"].contains(&status);
        assert!(responses.keys().any(|status| good(status)), "{route:?}");
        let failures: Vec<_> = responses.iter().filter(|(status, _)| !good(status)).collect();
        assert!(!failures.is_empty(), "{route:?}");
        for (status, failure) in failures {
            let schema = &failure["content"]["application/problem+json"]["schema"];
            assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{route:?} {status}");
            assert!(!failure["description"].as_str().unwrap().is_empty(), "{route:?} {status}");
        }
        for name in route.1.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let parameters = operation["parameters"].as_array().unwrap();
            let said = parameters.iter().any(|said| said["name"] == name && said["in"] == "path");
            assert!(said, "{route:?}: {name}");
        }
    }
}

/// Whether a media type shows what its body looks like: by an example of its own or of its schema.
fn has_example(media: &Value) -> bool {
    let schema = resolved(&media["schema"]);
    let shows = |value: &Value| ["example", "examples"].iter().any(|key| !value[*key].is_null());
    shows(media) || shows(schema)
}

#[test]
fn every_body_has_an_example() {
    let mut without = Vec::new();
    for (route, operation) in operations() {
        let request = [("request".to_owned(), &operation["requestBody"])];
        let responses = operation["responses"].as_object().unwrap().clone();
        for (what, body) in
            request.into_iter().chain(responses.iter().map(|(status, body)| (status.clone(), body)))
        {
            let content = body["content"].as_object().into_iter().flatten();
            for (kind, media) in content {
                if !has_example(media) {
                    without.push(format!("{} {} {what} {kind}", route.0, route.1));
                }
            }
        }
    }
    assert!(without.is_empty(), "{without:#?}");
}

#[test]
fn the_example_of_a_failure_is_one_of_its_status() {
    for (route, operation) in operations() {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let problem = &response["content"]["application/problem+json"];
            if !problem.is_null() {
                assert_eq!(problem["example"]["status"].to_string(), *status, "{route:?}");
            }
            assert_ne!(response.get("content"), Some(&Value::Null), "{route:?} {status}");
        }
    }
}

#[test]
fn every_parameter_is_described() {
    for (route, operation) in operations() {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let description = parameter["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{route:?}: {}", parameter["name"]);
        }
    }
}

/// Whether a value is what a schema describes, with nothing in it that the schema does not name.
fn conforms(schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolved(schema);
    if let Some(some) = schema["oneOf"].as_array() {
        let fits = some.iter().any(|one| conforms(one, value).is_ok());
        return if fits { Ok(()) } else { Err(format!("{value} is none of {schema}")) };
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = match &schema["type"] {
        Value::String(one) => one == kind,
        Value::Array(some) => some.contains(&json!(kind)),
        _ => true,
    };
    if !fits {
        return Err(format!("{value} is no {}", schema["type"]));
    }
    let mut required = schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
    let missing = |name: &&str| value.is_object() && value.get(*name).is_none();
    if let Some(name) = required.find(missing) {
        return Err(format!("{name} is missing in {value}"));
    }
    match (value, schema["properties"].as_object()) {
        (Value::Object(fields), Some(known)) => fields.iter().try_for_each(|(name, field)| {
            conforms(known.get(name).ok_or(format!("{name} is not described in {schema}"))?, field)
        }),
        (Value::Array(items), _) => items.iter().try_for_each(|item| conforms(&schema["items"], item)),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn real_answers_are_as_the_document_describes_them() {
    let gateway = TestGateway::start().await;
    let agent = gateway.agent(&["porch"]).await;
    let agent_path = format!("/v1/agents/{}", agent.enrolled.id);
    agent.answering(|request| vec![page(request.id, "a cat")]);
    let (mut answers, none) = (Vec::new(), json!(null));
    let mut ask = async |method: &'static str, route: &'static str, path: &str, body: &Value| {
        let answer = gateway.send(method.parse().unwrap(), path, body.clone()).await;
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answers.push((method, route, answer.clone()));
        answer.json()
    };
    let key = json!({"name": "x", "role": "viewer", "cameras": ["porch"], "tags": ["a"], "expires_at": "2100-01-01T00:00:00Z"});
    let key = ask("POST", "/v1/keys", "/v1/keys", &key).await;
    let key_path = format!("/v1/keys/{}", key["key"]["id"].as_str().unwrap());
    let wanted = json!({"cameras": ["yard"], "new_cameras": "site7-*", "expires_in_s": 60});
    let made = ask("POST", "/v1/enrollments", "/v1/enrollments", &wanted).await;
    let enrollment_path = format!("/v1/enrollments/{}", made["enrollment"]["id"].as_str().unwrap());
    for (route, path) in [
        ("/v1/keys", "/v1/keys"),
        ("/v1/keys/{id}", &key_path),
        ("/v1/enrollments", "/v1/enrollments"),
        ("/v1/enrollments/{id}", &enrollment_path),
        ("/v1/agents", "/v1/agents"),
        ("/v1/agents/{id}", &agent_path),
        ("/v1/cameras", "/v1/cameras"),
        ("/v1/cameras/{id}", "/v1/cameras/porch"),
        ("/v1/cameras/{id}/events", "/v1/cameras/porch/events"),
        ("/healthz", "/healthz"),
        ("/readyz", "/readyz"),
    ] {
        ask("GET", route, path, &none).await;
    }
    ask("POST", "/v1/agents/{id}/rotate", &format!("{agent_path}/rotate"), &none).await;
    ask("POST", "/v1/enroll", "/v1/enroll", &json!({"code": made["code"], "name": "x"})).await;
    ask("POST", "/v1/cameras", "/v1/cameras", &json!({"id": "attic"})).await;
    ask("PATCH", "/v1/cameras/{id}", "/v1/cameras/attic", &json!({"tags": ["a"]})).await;
    ask("DELETE", "/v1/cameras/{id}", "/v1/cameras/attic", &none).await;
    let operations = operations();
    for (method, route, answer) in answers {
        let operation = operations[&(method.to_owned(), route.to_owned())];
        let schema =
            &operation["responses"][answer.status.to_string()]["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "{method} {route}: {} is not described", answer.status);
        assert_eq!(conforms(schema, &answer.json()), Ok(()), "{method} {route}");
    }
}

#[test]
fn every_example_is_as_its_schema_describes_it() {
    walk("", document(), &mut |at, value| {
        if at.ends_with("/application~1json") || at.ends_with("/application/json") {
            assert_eq!(conforms(&value["schema"], &value["example"]), Ok(()), "{at}");
        }
    });
}

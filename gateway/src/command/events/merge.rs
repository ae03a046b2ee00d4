//! Several cameras' answers as one list, in the order that was asked for.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answered, Order};

/// One list of at most `limit` events; `failed` names the cameras that did not answer.
///
/// It is complete when every camera answered completely. There is no `next`: a cursor is one camera's.
pub(super) fn merged(answers: Vec<Answered>, order: Order, limit: usize) -> Value {
    let mut complete = true;
    let (mut events, mut coverage, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (camera, answer) in answers {
        match answer {
            Ok(mut list) => {
                complete &= list["complete"] != false;
                events.append(list["events"].as_array_mut().unwrap_or(&mut Vec::new()));
                coverage.append(list["coverage"].as_array_mut().unwrap_or(&mut Vec::new()));
            }
            Err(error) => {
                complete = false;
                failed.push(json!({"camera": camera, "error": error.to_string()}));
            }
        }
    }
    events.sort_by_cached_key(at);
    if order == Order::Desc {
        events.reverse();
    }
    events.truncate(limit);
    json!({"events": events, "next": null, "complete": complete, "coverage": coverage, "failed": failed})
}

/// When an event was; events of one time stay together by their ids.
fn at(event: &Value) -> (Option<Timestamp>, String) {
    let time = event["at"].as_str().and_then(|text| text.parse().ok());
    (time, event["id"].as_str().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientError;

    fn answer(camera: &str, times: &[&str], complete: bool) -> Answered {
        let events: Vec<_> = times.iter().map(|at| json!({"camera": camera, "at": at})).collect();
        let list =
            json!({"events": events, "complete": complete, "coverage": [{"camera": camera}], "next": "x"});
        (camera.parse().unwrap(), Ok(list))
    }

    fn times(list: &Value) -> Vec<&str> {
        list["events"].as_array().unwrap().iter().map(|event| event["at"].as_str().unwrap()).collect()
    }

    #[test]
    fn the_newest_of_all_cameras_come_first_and_no_more_than_asked() {
        let a = ["2026-01-01T00:00:03Z", "2026-01-01T00:00:01Z"];
        let b = ["2026-01-01T00:00:02.5Z", "2026-01-01T00:00:02Z"];
        let answers = || vec![answer("a", &a, true), answer("b", &b, true)];
        let newest = merged(answers(), Order::Desc, 3);
        assert_eq!(times(&newest), [a[0], b[0], b[1]]);
        assert_eq!((&newest["complete"], &newest["next"]), (&json!(true), &Value::Null));
        assert_eq!(newest["coverage"].as_array().unwrap().len(), 2);
        assert_eq!(times(&merged(answers(), Order::Asc, 2)), [a[1], b[1]]);
    }

    #[test]
    fn one_camera_that_fails_makes_the_list_incomplete() {
        let failed = ("b".parse().unwrap(), Err(ClientError::NoKey));
        let list = merged(vec![answer("a", &[], true), failed], Order::Desc, 9);
        assert_eq!((&list["complete"], &list["failed"][0]["camera"]), (&json!(false), &json!("b")));
    }
}

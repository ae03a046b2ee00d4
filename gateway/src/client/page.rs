//! Lists that come in pages: asks for the next one until there is none or enough was read.

use serde_json::Value;

use super::{Client, ClientError};

/// The most items that one page may have.
const PAGE: usize = 1_000;

/// The most items that a command holds at once.
pub(crate) const MOST: usize = 1_000_000;

impl Client {
    /// Reads up to `limit` items of the list at `path`, whose array is called `name`.
    ///
    /// The answer has the shape of one page: all items, the last page's `next`, `complete` only when every page was,
    /// and the `coverage` of all.
    pub(crate) async fn list(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        name: &str,
        limit: usize,
    ) -> Result<Value, ClientError> {
        self.list_telling(path, query, name, limit, |_| ()).await
    }

    /// The same, and tells how many items there are so far whenever a page is read behind which there is another one.
    pub(crate) async fn list_telling(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        name: &str,
        limit: usize,
        mut tell: impl FnMut(usize),
    ) -> Result<Value, ClientError> {
        let limit = limit.min(MOST);
        let mut whole = Value::Null;
        let mut cursor = None;
        loop {
            let missing = limit - items(&whole, name);
            let mut query = query.to_vec();
            query.push((size(name), missing.min(PAGE).to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let page = self.get(path, &query).await?;
            if !page[name].is_array() {
                return Err(ClientError::answer(&self.base, &format!("its answer has no {name}")));
            }
            let got = items(&page, name);
            cursor = page["next"].as_str().map(str::to_owned);
            append(&mut whole, page, name);
            if got == 0 || cursor.is_none() || items(&whole, name) >= limit {
                return Ok(whole);
            }
            tell(items(&whole, name));
        }
    }
}

/// The parameter that says how many items of this name a page may have.
fn size(name: &str) -> &'static str {
    if name == "images" { "count" } else { "limit" }
}

fn items(page: &Value, name: &str) -> usize {
    page[name].as_array().map_or(0, Vec::len)
}

/// Adds a page to what was read before.
fn append(whole: &mut Value, mut page: Value, name: &str) {
    if whole.is_null() {
        *whole = page;
        return;
    }
    for list in [name, "coverage"] {
        if let (Some(all), Some(more)) = (whole[list].as_array_mut(), page[list].as_array_mut()) {
            all.append(more);
        }
    }
    if page["complete"] == Value::Bool(false) {
        whole["complete"] = Value::Bool(false);
    }
    whole["next"] = page["next"].take();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_add_up_and_one_incomplete_page_makes_the_list_incomplete() {
        let mut whole = Value::Null;
        append(&mut whole, json!({"events":[1],"next":"a","complete":true,"coverage":["x"]}), "events");
        append(&mut whole, json!({"events":[2],"next":"b","complete":false,"coverage":["y"]}), "events");
        append(&mut whole, json!({"events":[3],"next":null,"complete":true,"coverage":[]}), "events");
        assert_eq!(whole, json!({"events":[1,2,3],"next":null,"complete":false,"coverage":["x","y"]}));
    }
}

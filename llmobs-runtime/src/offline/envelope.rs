//! What stands around the rows of an Evaluations API request, in each of its forms.

use serde_json::{Map, Value};

use crate::evaluation::shortened;

/// The rows of a request, and the tags that all of them get.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) rows: Vec<Value>,
    pub(super) tags: Vec<String>,
}

/// Opens a body: the whole of it, its attributes alone, or its rows alone.
pub(super) fn open(body: Value) -> Result<Envelope, EnvelopeError> {
    match body {
        Value::Array(rows) => Ok(Envelope {
            rows,
            tags: Vec::new(),
        }),
        Value::Object(mut body) => match body.remove("data") {
            Some(data) => {
                no_other_key(&body, "")?;
                data_of(data)
            }
            None if body.contains_key("metrics") => attributes_of(body, ""),
            None => Err(EnvelopeError::Missing {
                path: "data".to_owned(),
            }),
        },
        other => Err(wrong_type("the body", "an object or an array", &other)),
    }
}

fn data_of(data: Value) -> Result<Envelope, EnvelopeError> {
    let Value::Object(mut data) = data else {
        return Err(wrong_type("data", "an object", &data));
    };
    match data.remove("type") {
        Some(Value::String(kind)) if kind == "evaluation_metric" => {}
        Some(other) => {
            return Err(wrong_type(
                "data.type",
                "the text \"evaluation_metric\"",
                &other,
            ));
        }
        None => {
            return Err(EnvelopeError::Missing {
                path: "data.type".to_owned(),
            });
        }
    }
    let attributes = data.remove("attributes");
    // The id of an answer, which is what somebody may have kept.
    data.remove("id");
    no_other_key(&data, "data.")?;
    match attributes {
        Some(Value::Object(attributes)) => attributes_of(attributes, "data.attributes."),
        Some(other) => Err(wrong_type("data.attributes", "an object", &other)),
        None => Err(EnvelopeError::Missing {
            path: "data.attributes".to_owned(),
        }),
    }
}

fn attributes_of(
    mut attributes: Map<String, Value>,
    before: &str,
) -> Result<Envelope, EnvelopeError> {
    let path = format!("{before}metrics");
    let rows = match attributes.remove("metrics") {
        Some(Value::Array(rows)) => rows,
        Some(other) => return Err(wrong_type(&path, "an array", &other)),
        None => return Err(EnvelopeError::Missing { path }),
    };
    let path = format!("{before}tags");
    let tags = match attributes.remove("tags") {
        None | Some(Value::Null) => Vec::new(),
        Some(tags) => self::tags(tags).map_err(|value| wrong_type(&path, TAGS, &value))?,
    };
    no_other_key(&attributes, before)?;
    Ok(Envelope { rows, tags })
}

/// What tags must be, in words.
pub(super) const TAGS: &str = "an array of texts `key:value` with a key that is not empty";

/// Tags from their JSON, or the value that is none.
pub(super) fn tags(tags: Value) -> Result<Vec<String>, Value> {
    let Value::Array(tags) = tags else {
        return Err(tags);
    };
    let tag = |tag| match tag {
        Value::String(tag) if !tag.is_empty() && !tag.starts_with(':') => Ok(tag),
        other => Err(other),
    };
    tags.into_iter().map(tag).collect()
}

fn no_other_key(map: &Map<String, Value>, before: &str) -> Result<(), EnvelopeError> {
    match map.keys().next() {
        Some(key) => Err(EnvelopeError::UnknownKey {
            path: format!("{before}{key}"),
        }),
        None => Ok(()),
    }
}

fn wrong_type(path: &str, expected: &'static str, found: &Value) -> EnvelopeError {
    EnvelopeError::WrongType {
        path: path.to_owned(),
        expected,
        found: shortened(&found.to_string()),
    }
}

/// What is wrong with what stands around the rows of a JSON submission; nothing was sent.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Config, EvaluationsClient};
/// use serde_json::json;
///
/// let client = EvaluationsClient::new(Config::new())?;
/// let error = client.submit_json(json!({"metrics": "none"})).unwrap_err();
/// assert_eq!(error.to_string(), r#"`metrics` must be an array, but is "none""#);
/// # Ok::<(), llmobs_runtime::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// A key that must be there is not.
    #[error(
        "`{path}` is missing: expected {{\"data\": {{\"type\": \"evaluation_metric\", \
         \"attributes\": {{\"metrics\": [...]}}}}}}, the attributes alone, or an array of rows"
    )]
    Missing {
        /// Where it is missing, such as `data.type`.
        path: String,
    },
    /// A value is not what it must be.
    #[error("`{path}` must be {expected}, but is {found}")]
    WrongType {
        /// Where it stands.
        path: String,
        /// What is allowed.
        expected: &'static str,
        /// What was given, shortened when long.
        found: String,
    },
    /// A key has no meaning there, and would be lost.
    #[error("`{path}` is no key of an Evaluations API request")]
    UnknownKey {
        /// The key and where it stands.
        path: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_form_holds_its_rows() {
        let attributes = json!({"metrics": [1, 2], "tags": ["a:b"]});
        let whole =
            json!({"data": {"type": "evaluation_metric", "id": "x", "attributes": attributes}});
        for (body, tags) in [(whole, 1), (attributes, 1), (json!([1, 2]), 0)] {
            let envelope = open(body).unwrap();
            assert_eq!(envelope.rows, [json!(1), json!(2)]);
            assert_eq!(envelope.tags.len(), tags);
        }
        assert!(open(json!([])).unwrap().rows.is_empty());
    }

    #[test]
    fn what_is_malformed_is_named() {
        let data = |data: Value| json!({"data": data});
        for (body, expected) in [
            (
                json!(null),
                "`the body` must be an object or an array, but is null",
            ),
            (json!({}), "`data` is missing"),
            (json!({"label": "a row"}), "an array of rows"),
            (json!({"data": {}, "meta": 1}), "`meta` is no key"),
            (data(json!([])), "`data` must be an object, but is []"),
            (data(json!({})), "`data.type` is missing"),
            (
                data(json!({"type": "span"})),
                "`data.type` must be the text \"evaluation_metric\", but is \"span\"",
            ),
            (
                data(json!({"type": "evaluation_metric"})),
                "`data.attributes` is missing",
            ),
            (
                data(json!({"type": "evaluation_metric", "attribute": {}})),
                "`data.attribute` is no key",
            ),
            (
                data(json!({"type": "evaluation_metric", "attributes": {}})),
                "`data.attributes.metrics` is missing",
            ),
            (
                json!({"metrics": {}}),
                "`metrics` must be an array, but is {}",
            ),
            (
                json!({"metrics": [], "tags": "a:b"}),
                "`tags` must be an array of texts",
            ),
            (json!({"metrics": [], "tags": ["a:b", 3]}), "but is 3"),
            (json!({"metrics": [], "label": "l"}), "`label` is no key"),
        ] {
            let error = open(body).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}

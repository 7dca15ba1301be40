//! Canonical JSON: keys sorted, no white space, finite numbers. One value has one text.

use serde_json::Value;

use crate::Digest;

/// The canonical text of `value`.
pub fn to_string(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

/// The digest of the canonical text of `value`.
pub fn digest(value: &Value) -> Digest {
    Digest::of(to_string(value).as_bytes())
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            // serde_json's map may keep insertion order when another crate asks for that.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (i, (key, value)) in entries.into_iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn order_of_keys_does_not_count_and_types_do() {
        let a = json!({ "b": 1, "a": [true, null, "x\n"] });
        let b = json!({ "a": [true, null, "x\n"], "b": 1 });
        assert_eq!(to_string(&a), r#"{"a":[true,null,"x\n"],"b":1}"#);
        assert_eq!(digest(&a), digest(&b));
        assert_ne!(digest(&json!(1)), digest(&json!("1")));
        assert_ne!(digest(&json!(1)), digest(&json!(1.0)));
    }
}

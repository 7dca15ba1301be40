//! One value or a list of values.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::IntoDeserializer as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One name, or a list of names: `"accuracy"` and `["accuracy"]` are the same.
pub type Names = Many<String>;

/// One word, or a list of words, each a `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Many<T>(pub Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Many<T> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Names {
    /// Whether `name` is among them.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|other| other == name)
    }
}

impl<T: Serialize> Serialize for Many<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = Many<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one name or a list of names")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Many<T>, E> {
                T::deserialize(word.into_deserializer()).map(|one| Many(vec![one]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> Result<Many<T>, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = items.next_element()? {
                    values.push(value);
                }
                Ok(Many(values))
            }
        }
        deserializer.deserialize_any(Visitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Many<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Many<{}>", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ticks::Scale;

    #[test]
    fn one_and_a_list_are_the_same() {
        for (written, expected) in [
            (json!("log"), vec![Scale::Log]),
            (json!(["linear", "log"]), vec![Scale::Linear, Scale::Log]),
        ] {
            let many: Many<Scale> = serde_json::from_value(written).unwrap();
            assert_eq!(many.0, expected);
        }
        let wrong = serde_json::from_value::<Many<Scale>>(json!("lgo")).unwrap_err().to_string();
        assert_eq!(wrong, "unknown variant `lgo`, expected `linear` or `log`");
        let wrong = serde_json::from_value::<Names>(json!(3)).unwrap_err().to_string();
        assert_eq!(wrong, "invalid type: integer `3`, expected one name or a list of names");
    }
}

//! The text of an edge: `stage`, `stage.output`, `stage[*]`, `stage.output[layer=*,c=1]`.

use serde_json::Value;

use crate::cell::is_name;

/// A parsed edge.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edge {
    /// The upstream stage.
    pub(crate) stage: String,
    /// The output, where it is named.
    pub(crate) output: Option<String>,
    /// Which cells.
    pub(crate) select: Select,
}

/// Which cells of the upstream stage an edge takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Select {
    /// The one at the same place: all axes flow downstream.
    Aligned,
    /// All of them.
    All,
    /// Along these axes all (`None`) or the one of that value; the other axes flow.
    Axes(Vec<(String, Option<String>)>),
}

impl Edge {
    /// Parses the text; the error says what was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str =
            "expected an edge such as `stage`, `stage.output`, `stage[*]` or `stage[axis=value]`";
        let (head, select) = match text.split_once('[') {
            None => (text, Select::Aligned),
            Some((head, rest)) => {
                let inner = rest.strip_suffix(']').ok_or_else(|| EXPECTED.to_owned())?.trim();
                if inner == "*" {
                    (head, Select::All)
                } else {
                    let axes = inner
                        .split(',')
                        .map(|part| {
                            let (axis, value) = part.split_once('=')?;
                            let (axis, value) = (axis.trim(), value.trim());
                            let named = is_name(axis) && !value.is_empty();
                            let value = (value != "*").then(|| value.to_owned());
                            named.then(|| (axis.to_owned(), value))
                        })
                        .collect::<Option<Vec<_>>>()
                        .ok_or_else(|| EXPECTED.to_owned())?;
                    (head, Select::Axes(axes))
                }
            }
        };
        let (stage, output) = match head.split_once('.') {
            None => (head, None),
            Some((stage, output)) => (stage, Some(output)),
        };
        if !is_name(stage) || output.is_some_and(|output| !is_name(output)) {
            return Err(EXPECTED.to_owned());
        }
        Ok(Self { stage: stage.to_owned(), output: output.map(str::to_owned), select })
    }

    /// Whether several cells may be taken.
    pub(crate) fn gathers(&self) -> bool {
        match &self.select {
            Select::Aligned => false,
            Select::All => true,
            Select::Axes(axes) => axes.iter().any(|(_, value)| value.is_none()),
        }
    }

    /// Whether `axis` flows through this edge to the cell that reads it.
    pub(crate) fn flows(&self, axis: &str) -> bool {
        match &self.select {
            Select::Aligned => true,
            Select::All => false,
            Select::Axes(axes) => axes.iter().all(|(name, _)| name != axis),
        }
    }

    /// Whether the edge takes the upstream cell whose value along `axis` is `value`.
    pub(crate) fn takes(&self, axis: &str, value: &Value) -> bool {
        match &self.select {
            Select::Aligned | Select::All => true,
            Select::Axes(axes) => axes
                .iter()
                .filter(|(name, _)| name == axis)
                .all(|(_, wanted)| wanted.as_ref().is_none_or(|wanted| is_written(value, wanted))),
        }
    }
}

/// Whether `text` is how `value` is written in an edge.
fn is_written(value: &Value, text: &str) -> bool {
    match value {
        Value::Number(number) => {
            number.to_string() == text
                || text.parse().is_ok_and(|text| number.as_f64() == Some(text))
        }
        other => crate::cell::Plain(other).to_string() == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let edge = |text| Edge::parse(text).unwrap();
        assert_eq!(edge("svm").select, Select::Aligned);
        assert_eq!(edge("svm.model").output.as_deref(), Some("model"));
        assert_eq!(edge("svm[*]").select, Select::All);
        let some = edge("svm.model[layer=*, c=10]");
        assert!(some.gathers() && !some.flows("layer") && !some.flows("c") && some.flows("size"));
        assert!(some.takes("c", &Value::from(10.0)) && !some.takes("c", &Value::from(1)));
        for bad in ["", "a b", "a[", "a[]", "a[x]", "a[*", "a.b.c", "a[=1]", ".a", "a."] {
            assert!(Edge::parse(bad).is_err(), "{bad}");
        }
    }
}

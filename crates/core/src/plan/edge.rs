//! The text of an edge: `stage`, `stage.output`, `stage[*]`, `stage.output[layer=*,c=1|10]`.

use std::fmt;

use serde_json::Value;

use crate::Coordinates;
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
    /// Along these axes the wanted ones; the other axes flow.
    Axes(Vec<(String, Wanted)>),
}

/// Which values of an axis an edge takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// `*`.
    All,
    /// `a`, the one of that value.
    One(String),
    /// `a|b`, those of these values, in this order.
    Several(Vec<String>),
}

impl Wanted {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let values: Vec<String> = text.split('|').map(|value| value.trim().to_owned()).collect();
        if values.iter().any(|value| value.is_empty() || value == "*") {
            return None;
        }
        Some(match <[String; 1]>::try_from(values) {
            Ok([one]) => Self::One(one),
            Err(several) => Self::Several(several),
        })
    }

    /// The values by name.
    pub(crate) fn values(&self) -> &[String] {
        match self {
            Self::All => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }

    /// Where `value` stands among the wanted ones; `None` where it is not wanted.
    fn place(&self, value: &Value) -> Option<usize> {
        match self {
            Self::All => Some(0),
            _ => self.values().iter().position(|wanted| is_written(value, wanted)),
        }
    }
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
                            let (axis, values) = part.split_once('=')?;
                            let axis = axis.trim();
                            // A field in a table: `optimiser.adam.learning_rate`.
                            let named = axis.split('.').all(is_name);
                            let wanted = Wanted::parse(values.trim())?;
                            named.then(|| (axis.to_owned(), wanted))
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
            Select::Axes(axes) => axes.iter().any(|(_, wanted)| !matches!(wanted, Wanted::One(_))),
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
                .all(|(_, wanted)| wanted.place(value).is_some()),
        }
    }

    /// The order in which the edge takes cells: where their values stand among those that it names,
    /// the first axis outermost.
    pub(crate) fn rank(&self, place: &Coordinates) -> Vec<usize> {
        match &self.select {
            Select::Aligned | Select::All => Vec::new(),
            Select::Axes(axes) => axes
                .iter()
                .map(|(axis, wanted)| place.get(axis).and_then(|value| wanted.place(value)))
                .map(Option::unwrap_or_default)
                .collect(),
        }
    }
}

/// As it is written.
impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stage)?;
        if let Some(output) = &self.output {
            write!(f, ".{output}")?;
        }
        match &self.select {
            Select::Aligned => Ok(()),
            Select::All => f.write_str("[*]"),
            Select::Axes(axes) => {
                let axis = |(axis, wanted): &(String, Wanted)| match wanted {
                    Wanted::All => format!("{axis}=*"),
                    wanted => format!("{axis}={}", wanted.values().join("|")),
                };
                let axes: Vec<String> = axes.iter().map(axis).collect();
                write!(f, "[{}]", axes.join(","))
            }
        }
    }
}

/// Whether `text` is how `value` is written in an edge.
pub(crate) fn is_written(value: &Value, text: &str) -> bool {
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
        let several = edge("maps[method=b|a, optimiser.lr=0.1]");
        assert!(several.gathers() && !several.flows("optimiser.lr"));
        assert!(
            several.takes("method", &Value::from("a")) && !several.takes("method", &"c".into())
        );
        let rank = |method: &str| {
            let place = [("method", method)].map(|(axis, value)| (axis.to_owned(), value.into()));
            several.rank(&place.into_iter().collect())
        };
        assert!(rank("b") < rank("a"), "in the order in which they are written");
        for bad in [
            "a[x=1|]", "a[x=|1]", "a[x=*|1]", "a[x.=1]", "", "a b", "a[", "a[]", "a[x]", "a[*",
            "a.b.c", "a[=1]", ".a", "a.",
        ] {
            assert!(Edge::parse(bad).is_err(), "{bad}");
        }
    }
}

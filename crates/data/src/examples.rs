//! Who the rows of an image set or of features are: names, classes, splits.

use sconce_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Names, classes and splits of the examples of an image set or of features, column by column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examples {
    /// Identifies each example: its path in the image set, with `/`.
    pub ids: Vec<String>,
    /// Names of the classes; a label is a place in this list. They may be known of examples whose labels are not.
    #[serde(default)]
    pub classes: Vec<String>,
    /// The class of each example; empty where they are not known, and without classes.
    #[serde(default)]
    pub labels: Vec<u32>,
    /// Names of the splits, such as `train` and `test`; empty without splits.
    #[serde(default)]
    pub splits: Vec<String>,
    /// The split of each example, a place in `splits`; empty without splits.
    #[serde(default)]
    pub split: Vec<u32>,
}

impl Examples {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether the class of each example is known.
    pub fn is_labelled(&self) -> bool {
        !self.classes.is_empty() && self.labels.len() == self.len()
    }

    /// The same examples, their labels taken away: names, classes and splits stay.
    #[must_use]
    pub fn without_labels(&self) -> Self {
        Self { labels: Vec::new(), ..self.clone() }
    }

    /// Adds examples with these labels as a split of their own: `SPLIT/00000`, `SPLIT/00001`, ….
    pub fn add_split(&mut self, split: &str, labels: Vec<u32>) {
        let n = labels.len();
        self.ids.extend((0..n).map(|i| format!("{split}/{i:05}")));
        self.labels.extend(labels);
        self.split.extend(std::iter::repeat_n(self.splits.len() as u32, n));
        self.splits.push(split.to_owned());
    }

    /// The examples of the split called `name`, in order.
    pub fn in_split(&self, name: &str) -> Result<Vec<usize>> {
        let Some(place) = self.splits.iter().position(|split| split == name) else {
            return Err(Error::message(if self.splits.is_empty() {
                format!("expected a split `{name}`, but the examples have no splits")
            } else {
                format!("no split `{name}`; there are: {}", self.splits.join(", "))
            }));
        };
        let inside = |(i, &split): (usize, &u32)| (split as usize == place).then_some(i);
        Ok(self.split.iter().enumerate().filter_map(inside).collect())
    }

    /// The class of example `i`, if there are classes.
    pub fn class_of(&self, i: usize) -> Option<&str> {
        self.classes.get(*self.labels.get(i)? as usize).map(String::as_str)
    }

    /// The split of example `i`, if there are splits.
    pub fn split_of(&self, i: usize) -> Option<&str> {
        self.splits.get(*self.split.get(i)? as usize).map(String::as_str)
    }

    /// The labels of the examples `chosen`; an error when there are none.
    pub fn labels_of(&self, chosen: &[usize]) -> Result<Vec<u32>> {
        if !self.is_labelled() {
            let missing = if self.classes.is_empty() { "classes" } else { "labels" };
            return Err(Error::message(format!(
                "expected labelled examples: these have no {missing}"
            )));
        }
        Ok(chosen.iter().map(|&i| self.labels[i]).collect())
    }

    /// Refuses examples `chosen` that are all of one class, or of none: nothing can learn to tell classes apart by them.
    ///
    /// # Errors
    /// Names the class.
    pub fn check_told_apart(&self, chosen: &[usize]) -> Result<()> {
        let labels = self.labels_of(chosen)?;
        let Some(first) = labels.first().filter(|first| labels.iter().all(|l| l == *first)) else {
            return match labels.is_empty() {
                true => Err(Error::message("expected examples of two classes or more, found none")),
                false => Ok(()),
            };
        };
        let name = self.classes.get(*first as usize).map_or("", String::as_str);
        Err(Error::message(format!(
            "expected examples of two classes or more: all {} are of `{name}` (are its folders the classes?)",
            labels.len()
        )))
    }

    /// The examples `chosen`, in that order, with the same classes and splits.
    pub fn select(&self, chosen: &[usize]) -> Self {
        let column = |column: &[u32]| match column {
            [] => Vec::new(),
            column => chosen.iter().map(|&i| column[i]).collect(),
        };
        Self {
            ids: chosen.iter().map(|&i| self.ids[i].clone()).collect(),
            classes: self.classes.clone(),
            labels: column(&self.labels),
            splits: self.splits.clone(),
            split: column(&self.split),
        }
    }

    /// Refuses columns that do not fit each other.
    pub fn check(&self) -> Result<()> {
        let n = self.len();
        let fits = |what: &str, names: &[String], places: &[u32], optional: bool| {
            let expected = if names.is_empty() || (optional && places.is_empty()) { 0 } else { n };
            if places.len() != expected {
                return Err(Error::message(format!(
                    "expected {expected} {what}s for {n} examples, found {}",
                    places.len()
                )));
            }
            match places.iter().find(|&&place| place as usize >= names.len()) {
                Some(place) => Err(Error::message(format!(
                    "{what} {place} is out of range: there are {}",
                    names.len()
                ))),
                None => Ok(()),
            }
        };
        fits("label", &self.classes, &self.labels, true)?;
        fits("split", &self.splits, &self.split, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_may_be_known_and_labels_not() {
        let labelled = Examples {
            ids: vec!["a".into(), "b".into()],
            classes: vec!["cat".into(), "dog".into()],
            labels: vec![1, 0],
            ..Examples::default()
        };
        assert!(labelled.is_labelled());
        let target = labelled.without_labels();
        target.check().unwrap();
        assert!(!target.is_labelled());
        assert_eq!((target.class_of(1), target.select(&[1]).labels.len()), (None, 0));
        let error = target.labels_of(&[0]).unwrap_err().to_string();
        assert_eq!(error, "expected labelled examples: these have no labels");
        let half = Examples { labels: vec![1], ..labelled };
        let error = half.check().unwrap_err().to_string();
        assert_eq!(error, "expected 2 labels for 2 examples, found 1");
        assert!(!half.is_labelled());
    }
}

//! How good predictions are: accuracy, per class, confusion matrix.

use sconce_core::{Error, Result};
use serde_json::json;

use crate::{Array, Column, Examples, Metrics, Table};

/// The place of the largest value; the first of equals, and 0 of none.
pub fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}

/// Metrics of predictions: `accuracy`, `mean_class_accuracy`, `examples`, and the arrays `class_accuracy` and
/// `confusion` (true class × predicted class, counts).
///
/// A class without examples counts neither in the mean nor has it an accuracy above 0.
///
/// # Errors
/// When there is no example, the lists differ in length, or a class is out of range.
pub fn metrics(classes: &[String], labels: &[u32], predicted: &[usize]) -> Result<Metrics> {
    let count = classes.len();
    if labels.is_empty() || labels.len() != predicted.len() {
        return Err(Error::message(format!(
            "expected as many predictions as labels, and at least one: found {} and {}",
            predicted.len(),
            labels.len()
        )));
    }
    let mut confusion = vec![0f64; count * count];
    for (&label, &predicted) in labels.iter().zip(predicted) {
        let place = label as usize * count + predicted;
        match confusion.get_mut(place).filter(|_| predicted < count) {
            Some(cell) => *cell += 1.0,
            None => return Err(Error::message(format!("expected classes below {count}"))),
        }
    }
    let mut right = 0.0;
    let mut class_accuracy = Vec::with_capacity(count);
    for (class, row) in confusion.chunks_exact(count).enumerate() {
        right += row[class];
        let all: f64 = row.iter().sum();
        class_accuracy.push((all > 0.0).then(|| row[class] / all));
    }
    let present: Vec<f64> = class_accuracy.iter().copied().flatten().collect();
    let mut metrics = Metrics { classes: classes.to_vec(), ..Metrics::default() };
    metrics.set("examples", labels.len() as f64);
    metrics.set("accuracy", right / labels.len() as f64);
    metrics.set("mean_class_accuracy", present.iter().sum::<f64>() / present.len() as f64);
    let class_accuracy: Vec<f64> = class_accuracy.iter().map(|a| a.unwrap_or(0.0)).collect();
    metrics.arrays.insert("class_accuracy".into(), Array::new([count], class_accuracy)?);
    metrics.arrays.insert("confusion".into(), Array::new([count, count], confusion)?);
    Ok(metrics)
}

/// One row an example: `id`, `class`, `predicted`, `right`, and the `margin` between the highest decision value and the
/// next.
///
/// # Errors
/// When the lists differ in length.
pub fn predictions(
    examples: &Examples,
    chosen: &[usize],
    classes: &[String],
    decision: &[f64],
) -> Result<Table> {
    let mut table = Table::new(vec![
        Column::text("id"),
        Column::text("class"),
        Column::text("predicted"),
        Column::boolean("right"),
        Column::decimals("margin", 3),
    ]);
    table.caption = "Predictions".to_owned();
    for (&i, values) in chosen.iter().zip(decision.chunks_exact(classes.len())) {
        let best = argmax(values);
        let second = values
            .iter()
            .enumerate()
            .filter(|(class, _)| *class != best)
            .fold(f64::NEG_INFINITY, |m, (_, value)| m.max(*value));
        let class = examples.class_of(i);
        let predicted = classes[best].as_str();
        table.push(vec![
            json!(examples.ids[i]),
            json!(class),
            json!(predicted),
            json!(class == Some(predicted)),
            json!(values[best] - second),
        ])?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_true_and_predicted_class() {
        let classes = ["a", "b", "c"].map(String::from);
        let metrics = metrics(&classes, &[0, 0, 1, 1, 1], &[0, 1, 1, 1, 2]).unwrap();
        assert_eq!(metrics.get("accuracy").unwrap(), 0.6);
        assert_eq!(metrics.get("mean_class_accuracy").unwrap(), (0.5 + 2.0 / 3.0) / 2.0);
        let confusion = &metrics.arrays["confusion"];
        assert_eq!(confusion.shape, [3, 3]);
        assert_eq!(confusion.data, [1.0, 1.0, 0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0]);
    }
}

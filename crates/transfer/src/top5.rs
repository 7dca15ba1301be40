//! The likeliest classes of an image.

use sconce_core::{Error, Result};
use sconce_data::finite::NotFinite;
use sconce_data::{Column, Table};
use serde_json::json;

/// An empty table with the columns `image`, `rank`, `class` and `probability`.
pub(crate) fn table() -> Table {
    let mut table = Table::new(vec![
        Column::text("image"),
        Column::integer("rank"),
        Column::text("class"),
        Column::decimals("probability", 4),
    ]);
    table.caption = "Likeliest classes".to_owned();
    table
}

/// Adds the five classes of highest softmax probability. Without names a class is its number.
///
/// # Errors
/// When names and logits differ in number, the softmax of one logit would be 1 whatever it is, or a logit is not finite.
pub(crate) fn push(table: &mut Table, image: &str, logits: &[f32], names: &[String]) -> Result<()> {
    if !names.is_empty() && names.len() != logits.len() {
        return Err(Error::message(format!(
            "the network tells {} classes apart, the weights name {}",
            logits.len(),
            names.len()
        )));
    }
    if logits.len() < 2 {
        return Err(Error::message(
            "expected a network that tells two classes or more apart, found one output",
        ));
    }
    NotFinite::of(logits).check(|| format!("the network's logits of image `{image}`"))?;
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let odds: Vec<f64> = logits.iter().map(|&v| f64::from(v - highest).exp()).collect();
    let sum: f64 = odds.iter().sum();
    let mut order: Vec<usize> = (0..odds.len()).collect();
    order.sort_by(|&a, &b| odds[b].total_cmp(&odds[a]).then(a.cmp(&b)));
    for (rank, &class) in order.iter().take(5).enumerate() {
        let name = names.get(class).cloned().unwrap_or_else(|| class.to_string());
        table.push(vec![json!(image), json!(rank + 1), json!(name), json!(odds[class] / sum)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_the_softmax_in_falling_order() {
        let mut table = table();
        let logits = [0.0, 2.0, 1.0, 2.0, -80.0, 0.5, 0.25];
        push(&mut table, "a.png", &logits, &[]).unwrap();
        let sum: f64 = logits.iter().map(|v: &f32| f64::from(*v).exp()).sum();
        let classes: Vec<_> = table.rows.iter().map(|row| row[2].as_str().unwrap()).collect();
        assert_eq!(classes, ["1", "3", "2", "5", "6"]);
        assert!((table.rows[0][3].as_f64().unwrap() - 2f64.exp() / sum).abs() < 1e-12);
        let error = push(&mut table, "a.png", &logits, &["cat".into()]).unwrap_err();
        assert_eq!(error.to_string(), "the network tells 7 classes apart, the weights name 1");
        let error = push(&mut table, "a.png", &[0.0, f32::NAN, f32::INFINITY], &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the network's logits of image `a.png`: of 3 numbers 1 are NaN and 1 are infinite"
        );
        assert!(push(&mut table, "a.png", &[0.5], &[]).is_err());
    }
}

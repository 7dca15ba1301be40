use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Result, Stage, outputs};
use sconce_data::{Column, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Chooses cases to show by a rule, not by hand: images whose map and prediction go together, and images where they do
/// not.
///
/// *Consistent* is an image whose class the network predicts and whose map is at least as concentrated as the median map;
/// the most concentrated come first. *Inconsistent* is one whose class it does not predict, the most confident errors
/// first, and after these the images with the least concentrated maps below the median. The concentration is
/// `1 − H / ln n`, `H` the entropy of the shares that n = 14 × 14 squares have of the map's absolute sum. Without classes, an
/// image counts as predicted when the network gives its class at least half of the probability.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChooseCases {
    /// What the network says of each image, and how concentrated the map is: the table of `saliency-map`.
    pub table: Input<Table>,
    /// Cases of each group at most.
    #[serde(default = "four")]
    pub per_group: usize,
}

const fn four() -> usize {
    4
}

outputs! { ChooseCases:
    /// A row for each case: image, group (consistent or inconsistent), label, concentration.
    CASES: Table = "cases";
}

impl Stage for ChooseCases {
    const KIND: &'static str = "choose-cases";
    const VERSION: u32 = 1;

    fn check(&self) -> Result<()> {
        match self.per_group {
            0 => Err(Error::parameter("per_group", "expected 1 or more, found 0")),
            _ => Ok(()),
        }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let table = ctx.input(&self.table)?;
        let mut cases = Table::new(vec![
            Column::text("image"),
            Column::text("group"),
            Column::text("label"),
            Column::decimals("concentration", 3),
        ]);
        cases.rows = chosen(&table, self.per_group)?;
        ctx.write(Self::CASES, &cases)
    }
}

struct Case {
    image: String,
    predicted: String,
    truth: Option<String>,
    confidence: f64,
    right: bool,
    concentration: f64,
}

fn chosen(table: &Table, most: usize) -> Result<Vec<Vec<Value>>> {
    let (confidence, concentration) =
        (table.numbers("confidence")?, table.numbers("concentration")?);
    let (image, predicted) = (table.values("image")?, table.values("predicted")?);
    let (truth, right) = (table.values("truth")?, table.values("right")?);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut cases: Vec<Case> = (0..table.rows.len())
        .map(|row| Case {
            image: text(image[row]),
            predicted: text(predicted[row]),
            truth: truth[row].as_str().map(str::to_owned),
            confidence: confidence[row],
            right: right[row].as_bool().unwrap_or(confidence[row] >= 0.5),
            concentration: concentration[row],
        })
        .collect();
    cases.sort_by(|a, b| b.concentration.total_cmp(&a.concentration));
    let Some(median) = cases.get(cases.len().saturating_sub(1) / 2).map(|case| case.concentration)
    else {
        return Ok(Vec::new());
    };
    let consistent = cases.iter().filter(|case| case.right && case.concentration >= median);
    let mut wrong: Vec<&Case> = cases.iter().filter(|case| !case.right).collect();
    wrong.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let diffuse = cases.iter().rev().filter(|case| case.right && case.concentration < median);
    let row = |case: &Case, group: &str| {
        let seen = format!("{} ({:.0} %)", case.predicted, 100.0 * case.confidence);
        let label = match &case.truth {
            Some(truth) if *truth != case.predicted => format!("{truth}, seen as {seen}"),
            _ => seen,
        };
        vec![json!(case.image), json!(group), json!(label), json!(case.concentration)]
    };
    let consistent = consistent.take(most).map(|case| row(case, "consistent"));
    let inconsistent = wrong.into_iter().chain(diffuse).take(most);
    Ok(consistent.chain(inconsistent.map(|case| row(case, "inconsistent"))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_as_stated() {
        let columns = ["image", "predicted", "truth"].map(Column::text).to_vec();
        let numbers = ["confidence", "concentration"].map(Column::number).to_vec();
        let mut table = Table::new([columns, numbers, vec![Column::boolean("right")]].concat());
        for (image, truth, confidence, concentration, right) in [
            ("a", "x", 0.9, 0.1, true),
            ("b", "x", 0.8, 0.4, true),
            ("c", "y", 0.3, 0.9, false),
            ("d", "y", 0.7, 0.2, false),
            ("e", "x", 0.6, 0.3, true),
        ] {
            let row =
                [json!(image), json!("x"), json!(truth), json!(confidence), json!(concentration)];
            table.push([row.to_vec(), vec![json!(right)]].concat()).unwrap();
        }
        let groups = |table: &Table, most| -> Vec<(String, String)> {
            let text = |v: &Value| v.as_str().unwrap().to_owned();
            let rows = chosen(table, most).unwrap();
            rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect()
        };
        let of = |image: &str, group: &str| (image.to_owned(), group.to_owned());
        assert_eq!(
            groups(&table, 4),
            [
                of("b", "consistent"),
                of("e", "consistent"),
                of("d", "inconsistent"),
                of("c", "inconsistent"),
                of("a", "inconsistent"),
            ]
        );
        assert_eq!(groups(&table, 1), [of("b", "consistent"), of("d", "inconsistent")]);
        assert_eq!(chosen(&table, 4).unwrap()[2][2], json!("y, seen as x (70 %)"));
        // Without classes, confidence decides.
        table.rows.iter_mut().for_each(|row| (row[2], row[5]) = (Value::Null, Value::Null));
        assert_eq!(groups(&table, 9)[2], of("c", "inconsistent"));
        assert_eq!(groups(&table, 9).len(), 5);
    }
}

//! Tables of commas: `cells.csv` with a row for each cell, and a file for the curves of each.

use std::fmt::Write as _;
use std::path::Path;

use super::Exported;
use crate::failure::Failure;
use crate::watch::curves::{Curve, Per};

pub(super) fn write(cells: &[Exported], out: &Path) -> Result<(), Failure> {
    std::fs::write(out.join("cells.csv"), table(cells))?;
    let histories = out.join("histories");
    for cell in cells {
        for (per, ending) in [(Per::Epoch, "epochs"), (Per::Step, "steps")] {
            let curves: Vec<_> = cell.curves.iter().filter(|curve| curve.per == per).collect();
            if !curves.is_empty() {
                std::fs::create_dir_all(&histories)?;
                let name = format!("{}.{ending}.csv", cell.id.file_name());
                std::fs::write(histories.join(name), history(per, &curves))?;
            }
        }
    }
    Ok(())
}

/// A row for each cell: what it is, its parameters, its metrics.
fn table(cells: &[Exported]) -> String {
    let mut columns = vec![
        "cell".to_owned(),
        "stage".to_owned(),
        "kind".to_owned(),
        "status".to_owned(),
        "seconds".to_owned(),
    ];
    let fixed = columns.len();
    let mut rows = Vec::new();
    for cell in cells {
        let seconds =
            cell.receipt.as_ref().map_or_else(String::new, |receipt| receipt.seconds.to_string());
        let mut row = vec![
            cell.id.to_string(),
            cell.id.stage.clone(),
            cell.kind.clone(),
            cell.status.word().to_owned(),
            seconds,
        ];
        let parameters = cell.parameters.iter().map(|(name, value)| (name.clone(), value.clone()));
        let metrics = cell.receipt.iter().flat_map(|receipt| &receipt.metrics);
        let metrics = metrics.map(|(name, value)| (format!("metrics.{name}"), value.to_string()));
        for (name, value) in parameters.chain(metrics) {
            // A parameter may be called as one of the first columns.
            let known = columns[fixed..].iter().position(|column| *column == name);
            let place = known.map_or(columns.len(), |place| place + fixed);
            if place == columns.len() {
                columns.push(name);
            }
            row.resize(row.len().max(place + 1), String::new());
            row[place] = value;
        }
        rows.push(row);
    }
    let mut text = line(&columns);
    for mut row in rows {
        row.resize(columns.len(), String::new());
        text += &line(&row);
    }
    text
}

/// A row for each place. A value that is not a number is `NaN`, one that was not told is empty.
fn history(per: Per, curves: &[&Curve]) -> String {
    let mut places: Vec<f64> =
        curves.iter().flat_map(|curve| curve.points.iter().map(|&(place, _)| place)).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let first = match per {
        Per::Step => "step",
        Per::Epoch => "epoch",
    };
    let names = curves.iter().map(|curve| curve.name.clone());
    let mut text = line(&std::iter::once(first.to_owned()).chain(names).collect::<Vec<_>>());
    for place in places {
        let mut row = vec![place.to_string()];
        row.extend(curves.iter().map(|curve| {
            let point = curve.points.iter().find(|(other, _)| *other == place);
            point.map_or_else(String::new, |(_, value)| value.to_string())
        }));
        text += &line(&row);
    }
    text
}

/// A record as RFC 4180 has it, but for the end of the line.
fn line(fields: &[String]) -> String {
    let mut text = String::new();
    for (place, field) in fields.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        match field.contains([',', '"', '\n', '\r']) {
            true => _ = write!(text, "\"{}\"", field.replace('"', "\"\"")),
            false => text.push_str(field),
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_have_to_be() {
        let fields = ["a", "b,c", "say \"x\"", "two\nlines", ""].map(str::to_owned);
        assert_eq!(line(&fields), "a,\"b,c\",\"say \"\"x\"\"\",\"two\nlines\",\n");
    }

    #[test]
    fn curves_of_different_places_share_rows() {
        let curve = |name: &str, points: &[(f64, f64)]| Curve {
            name: name.to_owned(),
            per: Per::Step,
            points: points.to_vec(),
            times: Vec::new(),
        };
        let (a, b) = (curve("a", &[(1.0, 0.5), (3.0, f64::NAN)]), curve("b", &[(2.0, 1e-9)]));
        let text = history(Per::Step, &[&a, &b]);
        assert_eq!(text, "step,a,b\n1,0.5,\n2,,0.000000001\n3,NaN,\n");
    }
}

//! Plots from long tables: which column is x, which are y, which names the series.

use sconce_data::{ColumnType, Table};
use serde_json::Value;

use super::{Axis, Bars, Panel, Point, Series};
use crate::table::long::{self, same};
use crate::table::{Style, Summary};
use crate::ticks::Scale;
use crate::{Error, Result};

/// Which columns are drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// Along the bottom: numbers, or names in order of first appearance.
    pub x: String,
    /// Up the side, one panel for each.
    pub y: Vec<String>,
    /// Half the length of the spread, for each of `y`; empty where rows that fall together give it.
    pub error: Vec<String>,
    /// Columns whose values together name the series.
    pub series: Vec<String>,
}

/// The numbers of one quantity: by series, at each x.
struct Drawn {
    /// Names of x where it is no number.
    names: Vec<String>,
    series: Vec<(String, Vec<(f64, Summary)>)>,
}

/// One panel for each of `columns.y`. Rows of one series and x are averaged; their sample standard deviation is
/// the spread.
pub fn panels(table: &Table, columns: &Columns, style: &Style) -> Result<Vec<Panel>> {
    if columns.y.is_empty() {
        return Err(Error::Empty("the list of y columns", "column"));
    }
    let panels = columns.y.iter().enumerate().map(|(place, y)| {
        let drawn = gather(table, columns, y, columns.error.get(place), style)?;
        let series = drawn.series.into_iter().map(|(name, points)| Series {
            name,
            points: points
                .into_iter()
                .map(|(x, cell)| match cell.deviation {
                    Some(deviation) => Point::with_error(x, cell.mean, deviation),
                    None => Point::new(x, cell.mean),
                })
                .collect(),
        });
        let x = Axis { label: style.name(&columns.x), categories: drawn.names, ..Axis::default() };
        let y = Axis { label: style.name(y), ..Axis::default() };
        Ok(Panel { x, y, series: series.collect(), ..Panel::default() })
    });
    panels.collect()
}

/// Names of the categories and the bars of each series, of the first of `columns.y`.
pub fn bars(table: &Table, columns: &Columns, style: &Style) -> Result<(Vec<String>, Vec<Bars>)> {
    let y = columns.y.first().ok_or(Error::Empty("the list of y columns", "column"))?;
    let drawn = gather(table, columns, y, columns.error.first(), style)?;
    let mut places: Vec<f64> = Vec::new();
    for (x, _) in drawn.series.iter().flat_map(|(_, points)| points) {
        if !places.contains(x) {
            places.push(*x);
        }
    }
    let names = match drawn.names.is_empty() {
        false => drawn.names.clone(),
        true => {
            places.sort_by(f64::total_cmp);
            places.iter().map(|x| crate::ticks::plain(*x)).collect()
        }
    };
    let places: Vec<f64> =
        if drawn.names.is_empty() { places } else { (0..names.len()).map(|i| i as f64).collect() };
    let bars = drawn.series.into_iter().map(|(name, points)| {
        let at = |x: &f64| points.iter().find(|(other, _)| other == x).map(|(_, cell)| *cell);
        let cells: Vec<Option<Summary>> = places.iter().map(at).collect();
        Bars {
            name,
            values: cells.iter().map(|cell| cell.map(|cell| cell.mean)).collect(),
            errors: cells.iter().map(|cell| cell.and_then(|cell| cell.deviation)).collect(),
        }
    });
    Ok((names, bars.collect()))
}

fn gather(
    table: &Table,
    columns: &Columns,
    y: &str,
    error: Option<&String>,
    style: &Style,
) -> Result<Drawn> {
    let x = long::column(table, "column", &columns.x)?;
    let y_place = long::column(table, "column", y)?;
    let error = error.map(|name| long::column(table, "column", name)).transpose()?;
    let by: Vec<usize> = columns
        .series
        .iter()
        .map(|name| long::column(table, "column", name))
        .collect::<Result<_>>()?;
    let kind = table.columns.get(x).map(|column| column.kind);
    let numeric = matches!(kind, Some(ColumnType::Integer | ColumnType::Number));
    let mut names: Vec<Value> = Vec::new();
    // Keys in order of first appearance, with the numbers that fall together.
    let mut series: Vec<(Vec<Value>, Vec<Group>)> = Vec::new();
    for (index, row) in table.rows.iter().enumerate() {
        let (Some(value), Some(number)) = (row.get(x), long::number(table, index, y_place)?) else {
            continue;
        };
        let at = if numeric {
            match long::number(table, index, x)? {
                Some(at) => at,
                None => continue,
            }
        } else {
            let known = names.iter().position(|known| same(known, value));
            known.unwrap_or_else(|| {
                names.push(value.clone());
                names.len() - 1
            }) as f64
        };
        let key: Vec<Value> =
            by.iter().map(|place| row.get(*place).cloned().unwrap_or(Value::Null)).collect();
        let known =
            series.iter().position(|(other, _)| other.iter().zip(&key).all(|(a, b)| same(a, b)));
        let groups = match known.and_then(|known| series.get_mut(known)) {
            Some((_, groups)) => groups,
            None => {
                series.push((key, Vec::new()));
                let Some((_, groups)) = series.last_mut() else { continue };
                groups
            }
        };
        let error = error.map(|error| long::number(table, index, error)).transpose()?.flatten();
        match groups.iter_mut().find(|group| group.at == at) {
            Some(group) => group.numbers.push(number),
            None => groups.push(Group { at, numbers: vec![number], error }),
        }
    }
    let names: Vec<String> = names.iter().map(|name| style.label(Some(&columns.x), name)).collect();
    let mut drawn = Drawn { names, series: Vec::new() };
    for (key, mut groups) in series {
        if numeric {
            groups.sort_by(|a, b| a.at.total_cmp(&b.at));
        }
        let parts =
            columns.series.iter().zip(&key).map(|(name, value)| style.label(Some(name), value));
        let name = parts.collect::<Vec<_>>().join(", ");
        let points =
            groups.iter().map(|group| group.summary(error.is_some())).collect::<Result<_>>()?;
        drawn.series.push((name, points));
    }
    if drawn.series.is_empty() {
        return Err(Error::Value(format!(
            "no row has both `{}` and `{y}`: expected at least one",
            columns.x
        )));
    }
    Ok(drawn)
}

struct Group {
    at: f64,
    numbers: Vec<f64>,
    error: Option<f64>,
}

impl Group {
    fn summary(&self, has_error: bool) -> Result<(f64, Summary)> {
        let summary = Summary::of(&self.numbers).ok_or(Error::Empty("a point", "number"))?;
        if has_error && summary.count > 1 {
            return Err(Error::Value(format!(
                "{} rows of one series have the same x and each its own error: expected one; name what tells them \
                 apart in `series`",
                summary.count
            )));
        }
        Ok((self.at, Summary { deviation: summary.deviation.or(self.error), ..summary }))
    }
}

/// How many numbers of `y` fall together at one series and x: the fewest and the most.
pub fn counts(table: &Table, columns: &Columns, style: &Style) -> Result<(usize, usize)> {
    let mut ends = (usize::MAX, 0);
    for y in &columns.y {
        let drawn = gather(table, columns, y, None, style)?;
        for (_, cell) in drawn.series.iter().flat_map(|(_, points)| points) {
            ends = (ends.0.min(cell.count), ends.1.max(cell.count));
        }
    }
    Ok(ends)
}

/// The x of the largest or smallest y of a panel.
pub fn best_x(panel: &Panel, largest: bool) -> Option<f64> {
    let points =
        panel.series.iter().flat_map(|series| &series.points).filter(|point| point.y.is_finite());
    let better = |a: &Point, b: &Point| if largest { b.y > a.y } else { b.y < a.y };
    points
        .copied()
        .reduce(|best, point| if better(&best, &point) { point } else { best })
        .map(|point| point.x)
}

/// Sets the scale of both axes of all panels.
pub fn set_scales(panels: &mut [Panel], x: Scale, y: &[Scale]) {
    for (place, panel) in panels.iter_mut().enumerate() {
        panel.x.scale = if panel.x.categories.is_empty() { x } else { Scale::Linear };
        panel.y.scale = y.get(place).or(y.last()).copied().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use sconce_data::Column;
    use serde_json::json;

    use super::*;

    fn curve() -> Table {
        let names = [
            Column::text("layer"),
            Column::number("c"),
            Column::number("mean"),
            Column::number("sd"),
        ];
        let mut table = Table::new(names.to_vec());
        for (layer, c, mean) in [("a", 1.0, 0.8), ("a", 0.1, 0.7), ("b", 0.1, 0.6), ("b", 1.0, 0.9)]
        {
            table.push(vec![json!(layer), json!(c), json!(mean), json!(0.05)]).unwrap();
        }
        table
    }

    fn columns() -> Columns {
        Columns {
            x: "c".into(),
            y: vec!["mean".into()],
            error: vec!["sd".into()],
            series: vec!["layer".into()],
        }
    }

    #[test]
    fn series_are_told_apart_and_sorted() {
        let panels = panels(&curve(), &columns(), &Style::default()).unwrap();
        let [panel] = &panels[..] else { panic!("one panel") };
        assert_eq!(panel.series.len(), 2);
        assert_eq!(panel.series[0].name, "a");
        assert_eq!(
            panel.series[0].points,
            [Point::with_error(0.1, 0.7, 0.05), Point::with_error(1.0, 0.8, 0.05)]
        );
        assert_eq!(best_x(panel, true), Some(1.0));
        assert_eq!(best_x(panel, false), Some(0.1));
    }

    #[test]
    fn rows_that_fall_together_give_the_spread() {
        let together = Columns { series: vec![], error: vec![], ..columns() };
        let panels = panels(&curve(), &together, &Style::default()).unwrap();
        let points = &panels[0].series[0].points;
        assert_eq!(points.len(), 2);
        let deviation = (2.0 * 0.05_f64.powi(2)).sqrt();
        let (low, high) = points[0].spread.unwrap();
        assert!((points[0].y - 0.65).abs() < 1e-12 && (high - low - 2.0 * deviation).abs() < 1e-12);
        let both = Columns { series: vec![], ..columns() };
        let error = super::panels(&curve(), &both, &Style::default()).unwrap_err().to_string();
        assert!(
            error.starts_with("2 rows of one series have the same x and each its own error"),
            "{error}"
        );
    }

    #[test]
    fn names_become_categories_and_bars() {
        let by_layer = Columns { x: "layer".into(), series: vec!["c".into()], ..columns() };
        let panels = panels(&curve(), &by_layer, &Style::default()).unwrap();
        assert_eq!(panels[0].x.categories, ["a", "b"]);
        let (names, bars) = bars(&curve(), &by_layer, &Style::default()).unwrap();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(bars[0].name, "1");
        assert_eq!(bars[0].values, [Some(0.8), Some(0.9)]);
        assert_eq!(bars[1].errors, [Some(0.05), Some(0.05)]);
        let (names, bars) = super::bars(&curve(), &columns(), &Style::default()).unwrap();
        assert_eq!(
            (names, bars[0].values.clone()),
            (vec!["0.1".into(), "1".into()], vec![Some(0.7), Some(0.8)])
        );
    }

    #[test]
    fn a_wrong_column_is_named() {
        let wrong = Columns { y: vec!["maen".into()], ..columns() };
        let error = panels(&curve(), &wrong, &Style::default()).unwrap_err().to_string();
        assert_eq!(error, "no column `maen`; there are: layer, c, mean, sd; did you mean `mean`?");
        let text = Columns { y: vec!["layer".into()], ..columns() };
        let error = panels(&curve(), &text, &Style::default()).unwrap_err().to_string();
        assert_eq!(error, "column `layer`, row 1: expected a number, found \"a\"");
    }
}

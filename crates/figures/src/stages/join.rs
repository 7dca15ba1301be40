//! Kind `join`.

use schemars::JsonSchema;
use sconce_core::{Context, Coordinates, Error, Gathered, Inputs, Result, Stage, outputs};
use sconce_data::{Metrics, Table};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Names;
use crate::table::long::{self, Named};

/// Puts what several stages say of the same cell into one row of a table: `rows = "scored[*]"` beside `tables =
/// "trained.verdict[*]"`.
///
/// Cells are the same where their coordinates are; what a stage with fewer axes says holds for all cells that agree with it. A column that several stages have is called `STAGE.column` for each.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// Metrics of stages, such as `"scored[*]"`.
    #[serde(default)]
    pub rows: Inputs<Metrics>,
    /// Tables of one row each, such as `"trained.verdict[*]"`.
    #[serde(default)]
    pub tables: Inputs<Table>,
    /// Metrics and columns that are kept, in this order behind the axes; by default all.
    #[serde(default)]
    pub value: Names,
}

outputs! { Join:
    /// One row for each cell: its coordinates, then what the stages say.
    JOINED: Table = "joined";
}

/// What a stage says of a cell.
struct Part<'a> {
    stage: &'a str,
    coordinates: &'a Coordinates,
    values: Named,
}

impl Stage for Join {
    const KIND: &'static str = "join";
    const VERSION: u32 = 1;

    fn check(&self) -> Result<()> {
        match self.rows.edges().is_empty() && self.tables.edges().is_empty() {
            true => Err(Error::parameter("rows", "expected `rows` (metrics), `tables` or both")),
            false => Ok(()),
        }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let metrics = ctx.inputs(&self.rows)?;
        let tables = ctx.inputs(&self.tables)?;
        let numbers = |from: &Gathered<Metrics>| {
            let values = from.artifact.values.iter();
            values.map(|(name, value)| (name.clone(), Value::from(*value))).collect()
        };
        let mut parts: Vec<Part<'_>> = metrics
            .iter()
            .map(|from| Part {
                stage: &from.stage,
                coordinates: &from.coordinates,
                values: numbers(from),
            })
            .collect();
        for from in &tables {
            parts.push(Part {
                stage: &from.stage,
                coordinates: &from.coordinates,
                values: only_row(from)?,
            });
        }
        let cells = named(parts)?;
        for name in &self.value.0 {
            let known =
                || cells.iter().flat_map(|(_, values)| values).map(|(name, _)| name.as_str());
            if !known().any(|known| known == name) {
                let mut all: Vec<&str> = known().collect();
                all.sort_unstable();
                all.dedup();
                let message = crate::Error::unknown("column", name, all.into_iter()).to_string();
                return Err(Error::parameter("value", message));
            }
        }
        let cells = cells.into_iter().map(|(of, values)| (of, self.chosen(values)));
        ctx.write(Self::JOINED, &long::of_cells(cells)?)
    }
}

/// The row of a table that has one.
fn only_row(from: &Gathered<Table>) -> Result<Named> {
    match from.artifact.rows.as_slice() {
        [row] => {
            let names = from.artifact.columns.iter().map(|column| column.name.clone());
            Ok(names.zip(row.iter().cloned()).collect())
        }
        rows => Err(Error::Input {
            slot: "tables".into(),
            message: format!("expected one row of `{}`, found {}", from.stage, rows.len()),
        }),
    }
}

/// The parts with names that tell their columns apart, those of one cell together. A part with fewer axes says the same of
/// all cells that agree with it on those it has.
fn named(parts: Vec<Part<'_>>) -> Result<Vec<(&Coordinates, Named)>> {
    let axes = |of: &Coordinates| of.iter().map(|(axis, _)| axis.to_owned()).collect::<Vec<_>>();
    let all = parts.iter().map(|part| axes(part.coordinates)).max_by_key(Vec::len);
    let all = all.unwrap_or_default();
    if let Some(other) = parts.iter().find(|p| !axes(p.coordinates).iter().all(|a| all.contains(a)))
    {
        return Err(Error::message(format!(
            "expected cells along {}, found `{}` along {}",
            all.join(", "),
            other.stage,
            axes(other.coordinates).join(", ")
        )));
    }
    let mut cells: Vec<(&Coordinates, Named)> = Vec::new();
    for part in parts.iter().filter(|part| part.coordinates.iter().count() == all.len()) {
        if !cells.iter().any(|(known, _)| *known == part.coordinates) {
            cells.push((part.coordinates, Vec::new()));
        }
    }
    let shared = |name: &str, stage: &str| {
        let has = |part: &Part<'_>| part.values.iter().any(|(other, _)| other == name);
        parts.iter().any(|other| other.stage != stage && has(other))
    };
    for part in &parts {
        let agrees = |cell: &Coordinates| {
            part.coordinates.iter().all(|(axis, value)| {
                cell.iter().any(|(other, theirs)| axis == other && long::same(value, theirs))
            })
        };
        for (_, row) in cells.iter_mut().filter(|(of, _)| agrees(of)) {
            for (name, value) in &part.values {
                let name = match shared(name, part.stage) {
                    true => format!("{}.{name}", part.stage),
                    false => name.clone(),
                };
                if row.iter().any(|(known, _)| *known == name) {
                    return Err(Error::message(format!(
                        "`{}` says `{name}` twice of a cell: expected one output of it, or all its axes gathered",
                        part.stage
                    )));
                }
                row.push((name, value.clone()));
            }
        }
    }
    Ok(cells)
}

impl Join {
    /// The columns that are kept, in their order; what a cell lacks is missing (null).
    fn chosen(&self, values: Named) -> Named {
        if self.value.is_empty() {
            return values;
        }
        let find = |name: &String| values.iter().find(|(known, _)| known == name);
        let value = |name: &String| find(name).map_or(Value::Null, |(_, value)| value.clone());
        self.value.0.iter().map(|name| (name.clone(), value(name))).collect()
    }
}

#[cfg(test)]
mod tests {
    use sconce_data::Column;
    use serde_json::json;

    use super::*;

    fn coordinates(value: &str) -> Coordinates {
        [("setting".to_owned(), json!(value))].into_iter().collect()
    }

    fn part<'a>(
        stage: &'a str,
        coordinates: &'a Coordinates,
        values: &[(&str, Value)],
    ) -> Part<'a> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Part { stage, coordinates, values: values.collect() }
    }

    #[test]
    fn what_stages_say_of_a_cell_stands_in_one_row() {
        let (a, b) = (coordinates("a"), coordinates("b"));
        let parts = vec![
            part("scored", &a, &[("distance", json!(1.5)), ("seconds", json!(2))]),
            part("scored", &b, &[("distance", json!(2.5)), ("seconds", json!(3))]),
            part("trained", &b, &[("verdict", json!("stable")), ("seconds", json!(9))]),
        ];
        let table = long::of_cells(named(parts).unwrap()).unwrap();
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["setting", "distance", "scored.seconds", "verdict", "trained.seconds"]);
        assert_eq!(table.rows[0], [json!("a"), json!(1.5), json!(2), Value::Null, Value::Null]);
        assert_eq!(table.rows[1], [json!("b"), json!(2.5), json!(3), json!("stable"), json!(9)]);
    }

    #[test]
    fn what_would_be_joined_wrongly_is_refused() {
        let (a, none) = (coordinates("a"), Coordinates::default());
        let x = [("x", json!(1))];
        let twice = named(vec![part("s", &a, &x), part("s", &a, &x)]).unwrap_err().to_string();
        assert!(twice.contains("`s` says `x` twice"), "{twice}");
        let other: Coordinates = [("seed".to_owned(), json!(0))].into_iter().collect();
        let axes = named(vec![part("s", &a, &x), part("t", &other, &[("y", json!(1))])]);
        let axes = axes.unwrap_err().to_string();
        assert!(axes.contains("`s` along setting") || axes.contains("`t` along seed"), "{axes}");
        // of a stage without axes
        let cells = named(vec![part("s", &a, &x), part("t", &none, &[("y", json!(2))])]).unwrap();
        assert_eq!(cells[0].1, [("x".to_owned(), json!(1)), ("y".to_owned(), json!(2))]);
        let mut table = Table::new(vec![Column::number("x")]);
        let from = |table: &Table| Gathered {
            stage: "s".to_owned(),
            coordinates: Coordinates::default(),
            artifact: table.clone(),
        };
        assert!(only_row(&from(&table)).unwrap_err().to_string().contains("found 0"));
        table.push(vec![json!(1)]).unwrap();
        assert_eq!(only_row(&from(&table)).unwrap(), [("x".to_owned(), json!(1))]);
    }
}

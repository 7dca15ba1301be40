//! Columns over all rows: labels, parameters, metrics, and how the result came about.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::number::Style;
use super::side::{Found, Side, State};

/// What a column is about; also the order of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// What tells sides apart: profile, variant, run.
    Side,
    /// The cell.
    Cell,
    /// The place along an axis.
    Axis,
    /// A parameter of the row's own stage.
    Parameter,
    /// A parameter of another stage, which is the same for all of a side.
    Stage,
    Metric,
    State,
    /// How it was computed: seconds, device, threads.
    Run,
}

/// A column: its name, and all values.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Its name; with its group where two groups have the same.
    pub(crate) name: String,
    pub(crate) group: Group,
    /// A value for each row; null where a row has none.
    pub(crate) values: Vec<Value>,
}

/// All columns of all rows.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    pub(crate) columns: Vec<Column>,
    /// The side and the cell of each row.
    pub(crate) rows: Vec<(usize, usize)>,
    /// Names that several groups have: what each is called in place of it.
    pub(crate) ambiguous: BTreeMap<String, Vec<String>>,
}

/// Columns while they are filled.
#[derive(Default)]
struct Columns {
    columns: Vec<Column>,
    places: BTreeMap<Group, BTreeMap<String, usize>>,
    rows: usize,
}

impl Columns {
    fn put(&mut self, group: Group, name: &str, row: usize, value: Value) {
        let places = self.places.entry(group).or_default();
        let place = match places.get(name) {
            Some(&place) => place,
            None => {
                let values = vec![Value::Null; self.rows];
                self.columns.push(Column { name: name.to_owned(), group, values });
                places.insert(name.to_owned(), self.columns.len() - 1);
                self.columns.len() - 1
            }
        };
        self.columns[place].values[row] = value;
    }
}

impl Frame {
    /// The columns of these rows: a side's number and its cell's.
    pub(crate) fn of(sides: &[Side], rows: Vec<(usize, usize)>) -> Self {
        let mut columns = Columns { rows: rows.len(), ..Columns::default() };
        let axes: BTreeSet<&str> = rows
            .iter()
            .flat_map(|&(side, cell)| sides[side].cells[cell].cell.coordinates.iter())
            .map(|(axis, _)| axis)
            .collect();
        let own: BTreeSet<&str> =
            rows.iter().map(|&(side, cell)| sides[side].cells[cell].cell.stage.as_str()).collect();
        let shared: Vec<_> = sides.iter().map(|side| of_stages(side, &own)).collect();
        for (row, &(side, cell)) in rows.iter().enumerate() {
            let found = &sides[side].cells[cell];
            for (name, value) in &sides[side].labels {
                columns.put(Group::Side, name, row, value.as_str().into());
            }
            columns.put(Group::Cell, "stage", row, found.cell.stage.as_str().into());
            for (axis, value) in found.cell.coordinates.iter() {
                columns.put(Group::Axis, axis, row, value.clone());
            }
            let mut parameters = Vec::new();
            flatten("", &found.parameters, &mut parameters);
            for (name, value) in parameters {
                // Where an axis has the name in another row, this is its value here.
                let group =
                    if axes.contains(name.as_str()) { Group::Axis } else { Group::Parameter };
                if found.cell.coordinates.get(&name).is_none() {
                    columns.put(group, &name, row, value);
                }
            }
            for (name, value) in &shared[side] {
                columns.put(Group::Stage, name, row, value.clone());
            }
            for (name, value) in &found.numbers {
                columns.put(Group::Metric, name, row, Value::from(*value));
            }
            put_run(&mut columns, row, found);
        }
        let mut columns = columns.columns;
        // A stable sort: within a group in the order in which they came, but metrics that more rows have first.
        columns.sort_by_cached_key(|column| {
            let there = column.values.iter().filter(|value| !value.is_null()).count();
            (column.group, if column.group == Group::Metric { Reverse(there) } else { Reverse(0) })
        });
        let mut frame = Self { columns, rows, ambiguous: BTreeMap::new() };
        frame.tell_names_apart();
        frame
    }

    /// Of two columns of one name that of a parameter or a metric gets its group's name, too.
    fn tell_names_apart(&mut self) {
        let mut groups: BTreeMap<String, Vec<Group>> = BTreeMap::new();
        for column in &self.columns {
            groups.entry(column.name.clone()).or_default().push(column.group);
        }
        for column in &mut self.columns {
            let groups = &groups[&column.name];
            let full = format!("{}.{}", column.group.word(), column.name);
            match groups.iter().find(|group| group.is_fixed()) {
                _ if groups.len() == 1 => {}
                // Such as `seconds`: the name is always that column's.
                Some(_) if column.group.is_fixed() => {}
                Some(_) => column.name = full,
                None => {
                    self.ambiguous.entry(column.name.clone()).or_default().push(full.clone());
                    column.name = full;
                }
            }
        }
    }

    /// A column's name without its group's.
    pub(crate) fn own_name<'c>(&self, column: &'c Column) -> &'c str {
        let own = column.name.strip_prefix(column.group.word());
        match own.and_then(|own| own.strip_prefix('.')) {
            Some(own) if self.find(own).is_some() || self.ambiguous.contains_key(own) => own,
            _ => &column.name,
        }
    }

    /// The column of this name.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The columns that are shown unless others are asked for: labels, and what differs.
    pub(crate) fn differing(&self) -> Vec<usize> {
        let alone = self.rows.len() == 1;
        let shows = |column: &Column| match column.group {
            Group::Metric if alone => true,
            Group::Run => match column.name.as_str() {
                "seconds" => column.values.iter().any(|value| !value.is_null()),
                "device" => column.differs(),
                // They follow from what else differs, or change no result.
                _ => false,
            },
            // It follows from the stage, but for two versions of one stage.
            Group::Cell if column.name == "kind" => self.differs_where(column, "stage", |one| one),
            // That another kind lacks it is no difference between results.
            Group::Parameter => self.differs_where(column, "kind", without_version),
            Group::State => {
                column.differs() || column.values.first().is_some_and(|one| one != "fresh")
            }
            _ => column.differs(),
        };
        (0..self.columns.len()).filter(|&place| shows(&self.columns[place])).collect()
    }

    /// Whether two rows differ that have the same value in the column `name`, as far as `part` keeps it.
    fn differs_where(&self, column: &Column, name: &str, part: fn(&str) -> &str) -> bool {
        let Some(place) = self.find(name) else { return column.differs() };
        let mut first: BTreeMap<&str, &Value> = BTreeMap::new();
        let mut rows = self.columns[place].values.iter().zip(&column.values);
        rows.any(|(of, value)| {
            !same(first.entry(part(of.as_str().unwrap_or_default())).or_insert(value), value)
        })
    }

    /// Keeps the rows of these numbers, each once, in this order.
    pub(crate) fn keep(&mut self, rows: &[usize]) {
        self.rows = rows.iter().map(|&row| self.rows[row]).collect();
        for column in &mut self.columns {
            let values = &mut column.values;
            *values = rows.iter().map(|&row| std::mem::take(&mut values[row])).collect();
        }
    }
}

impl Group {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Side => "set",
            Self::Cell => "cell",
            Self::Axis | Self::Parameter => "parameters",
            Self::Stage => "stages",
            Self::Metric => "metrics",
            Self::State | Self::Run => "result",
        }
    }

    /// Whether the group's columns have names of their own in every comparison.
    fn is_fixed(self) -> bool {
        matches!(self, Self::Side | Self::Cell | Self::State | Self::Run)
    }

    /// How readily a column is left out where a terminal is narrow.
    pub(crate) fn weight(self) -> u8 {
        match self {
            Self::Side | Self::Cell | Self::Axis => 0,
            Self::Metric | Self::State => 1,
            Self::Parameter | Self::Stage => 2,
            Self::Run => 3,
        }
    }
}

impl Column {
    pub(crate) fn differs(&self) -> bool {
        // How a row came about that has no result yet differs from nothing.
        let counts = |value: &&Value| self.group != Group::Run || !value.is_null();
        let mut values = self.values.iter().filter(counts);
        values.next().is_some_and(|first| values.any(|value| !same(first, value)))
    }

    pub(crate) fn is_number(&self) -> bool {
        let mut values = self.values.iter().filter(|value| !value.is_null()).peekable();
        values.peek().is_some() && values.all(Value::is_number)
    }

    /// The values as people read them.
    pub(crate) fn texts(&self) -> Vec<String> {
        let numbers = self.values.iter().filter_map(Value::as_f64);
        let style = match self.group {
            Group::Metric => Some(Style::of(numbers)),
            _ => None,
        };
        let text = |value: &Value| match (value, style) {
            (Value::Null, _) => String::new(),
            (Value::Number(number), _) if self.name == "seconds" && self.group == Group::Run => {
                number.as_f64().map_or(String::new(), super::number::seconds)
            }
            (Value::Number(number), Some(style)) => {
                number.as_f64().map_or_else(|| number.to_string(), |number| style.write(number))
            }
            (Value::String(text), _) => text.replace(['\n', '\r', '\t'], " "),
            (other, _) => other.to_string(),
        };
        self.values.iter().map(text).collect()
    }
}

/// `fit-svm` of `fit-svm@2`.
fn without_version(kind: &str) -> &str {
    kind.split_once('@').map_or(kind, |(name, _)| name)
}

/// Whether two values are one: 1 and 1.0 are.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        _ => a == b,
    }
}

fn put_run(columns: &mut Columns, row: usize, found: &Found) {
    columns.put(Group::State, "state", row, found.state.word().into());
    if let Some(seed) = found.seed {
        columns.put(Group::Parameter, "seed", row, seed.into());
    }
    if let Some((kind, version)) = &found.kind {
        columns.put(Group::Cell, "kind", row, format!("{kind}@{version}").into());
    }
    if let Some(key) = found.key {
        columns.put(Group::Run, "key", row, key.to_string().into());
    }
    if let (Some(receipt), State::Fresh) = (&found.receipt, found.state) {
        columns.put(Group::Run, "seconds", row, receipt.seconds.into());
        columns.put(Group::Run, "device", row, receipt.device.to_string().into());
        columns.put(Group::Run, "threads", row, receipt.threads.into());
    }
}

/// Values by the path of their keys; an empty table is a value.
fn flatten(path: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(entries) if !entries.is_empty() || path.is_empty() => {
            for (key, value) in entries {
                match path.is_empty() {
                    true => flatten(key, value, found),
                    false => flatten(&format!("{path}.{key}"), value, found),
                }
            }
        }
        Value::Null => {}
        value => found.push((path.to_owned(), value.clone())),
    }
}

/// The parameters of the stages that those of `own` read, `stage.parameter`, as far as they are the
/// same in all cells of the stage: what sides can differ in beside the rows' own parameters. Of a
/// run, those of all other stages.
fn of_stages(side: &Side, own: &BTreeSet<&str>) -> Vec<(String, Value)> {
    let mut stages: BTreeMap<&str, Value> = BTreeMap::new();
    let counts = |stage: &str| match &side.reads {
        Some(reads) => own.iter().any(|own| reads.get(*own).is_some_and(|all| all.contains(stage))),
        None => true,
    };
    let others = side.cells.iter().filter(|found| {
        let stage = found.cell.stage.as_str();
        !own.contains(stage) && counts(stage)
    });
    for found in others {
        match stages.get_mut(found.cell.stage.as_str()) {
            None => _ = stages.insert(&found.cell.stage, found.parameters.clone()),
            Some(parameters) => keep_same(parameters, &found.parameters),
        }
    }
    let mut found = Vec::new();
    for (stage, parameters) in stages {
        let mut own = Vec::new();
        flatten("", &parameters, &mut own);
        found.extend(own.into_iter().map(|(name, value)| (format!("{stage}.{name}"), value)));
    }
    found
}

/// Takes out of `value` what `other` does not have in the same way.
fn keep_same(value: &mut Value, other: &Value) {
    match (value, other) {
        (Value::Object(entries), Value::Object(others)) => {
            for (key, value) in entries.iter_mut() {
                keep_same(value, others.get(key).unwrap_or(&Value::Null));
            }
        }
        (value, other) if value == other => {}
        (value, _) => *value = Value::Null,
    }
}

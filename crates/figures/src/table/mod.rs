//! Tables for people: Markdown, HTML and a picture of the same cells; long tables and their pivots for programs.

pub mod long;
pub mod pivot;

mod html;
mod markdown;
mod picture;
mod strips;
mod style;
mod summary;

use crate::Words;

pub use pivot::{Layout, Pivot, pivot};
pub use sconce_data::rank::Best;
pub use strips::Strips;
pub use style::Style;
pub use summary::Summary;

/// What sets a cell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Emphasis {
    /// Nothing.
    #[default]
    None,
    /// The best value: bold.
    Best,
    /// A published value: pale.
    Published,
}

/// A cell as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// The text.
    pub text: String,
    /// What sets it apart.
    pub emphasis: Emphasis,
}

/// A column as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The column's name.
    pub name: String,
    /// A name over this column and its neighbours of the same group; empty for none.
    pub group: String,
    /// Whether its cells are numbers and stand at the right.
    pub numeric: bool,
}

/// A table as it is shown. Every row has one cell for each column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// Title and caption.
    pub words: Words,
    /// The columns.
    pub heads: Vec<Head>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
    /// Small images behind the last column of each row.
    pub strips: Option<Strips>,
}

impl View {
    /// All of a data table, with the decimals that its columns ask for.
    pub fn of(table: &sconce_data::Table, words: Words) -> Self {
        use sconce_data::ColumnType;
        let heads = table.columns.iter().map(|column| Head {
            name: column.name.clone(),
            group: String::new(),
            numeric: matches!(column.kind, ColumnType::Integer | ColumnType::Number),
        });
        let row = |row: &Vec<serde_json::Value>| {
            let cells = table.columns.iter().zip(row);
            cells
                .map(|(column, value)| Cell {
                    text: summary::show(column, value),
                    ..Cell::default()
                })
                .collect()
        };
        let rows = table.rows.iter().map(row).collect();
        Self { words, heads: heads.collect(), rows, strips: None }
    }

    /// The table as GitHub's Markdown, numbers aligned in the source too, best values bold; the title above and
    /// the caption below. It shows no images, and says so.
    pub fn markdown(&self) -> String {
        markdown::write(self)
    }

    /// The table as an HTML fragment, with its title as `caption`.
    pub fn html(&self) -> crate::Result<String> {
        html::write(self)
    }

    /// Draws the table.
    pub fn scene(&self) -> crate::Result<crate::Scene> {
        picture::draw(self)
    }

    /// Runs of neighbouring columns of one group: the group's name, its first column, the number of columns.
    fn groups(&self) -> Vec<(&str, usize, usize)> {
        let mut groups: Vec<(&str, usize, usize)> = Vec::new();
        for (index, head) in self.heads.iter().enumerate() {
            match groups.last_mut() {
                Some((name, _, count)) if *name == head.group && !head.group.is_empty() => {
                    *count += 1;
                }
                _ => groups.push((&head.group, index, 1)),
            }
        }
        groups
    }

    fn is_grouped(&self) -> bool {
        self.heads.iter().any(|head| !head.group.is_empty())
    }
}

#[cfg(test)]
mod tests;

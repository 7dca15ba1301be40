//! Tables of text that fit a terminal.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::style::{BOLD, paint};

/// Space between columns.
const GAP: usize = 2;
/// A text column is never cut below this.
const NARROW: usize = 14;

/// A column's head and how it is treated.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) name: String,
    /// Numbers stand on the right and are never cut.
    pub(crate) right: bool,
    /// What does not fit is left out: the largest number first, of these the rightmost.
    pub(crate) weight: u8,
}

impl Head {
    pub(crate) fn text(name: impl Into<String>) -> Self {
        Self { name: name.into(), right: false, weight: 0 }
    }

    pub(crate) fn number(name: impl Into<String>) -> Self {
        Self { right: true, ..Self::text(name) }
    }
}

/// A table of text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) heads: Vec<Head>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heads: Vec<Head>) -> Self {
        Self { heads, rows: Vec::new() }
    }

    /// Takes out columns in which nothing stands.
    pub(crate) fn without_empty(mut self) -> Self {
        let empty = |column: usize| self.rows.iter().all(|row| row[column].is_empty());
        let kept: Vec<bool> = (0..self.heads.len()).map(|column| !empty(column)).collect();
        let mut keep = kept.iter();
        self.heads.retain(|_| keep.next() == Some(&true));
        for row in &mut self.rows {
            let mut keep = kept.iter();
            row.retain(|_| keep.next() == Some(&true));
        }
        self
    }

    /// Writes the table so that it is at most `width` wide. Returns the names of the columns that
    /// were left out for it.
    pub(crate) fn write(
        &self,
        out: &mut impl Write,
        width: Option<usize>,
    ) -> io::Result<Vec<String>> {
        let widths: Vec<usize> = (0..self.heads.len()).map(|column| self.width(column)).collect();
        let (widths, kept) = self.fit(widths, width.unwrap_or(usize::MAX));
        let last = kept.last().copied();
        let mut line = |cells: &dyn Fn(usize) -> String, style: bool| -> io::Result<()> {
            let mut text = String::new();
            for &column in &kept {
                let (cell, width) = (cut(&cells(column), widths[column]), widths[column]);
                let space = " ".repeat(width - length(&cell));
                let cell = if style { paint(BOLD, &cell) } else { cell };
                match (self.heads[column].right, Some(column) == last) {
                    (true, _) => text += &format!("{space}{cell}"),
                    (false, true) => text += &cell,
                    (false, false) => text += &format!("{cell}{space}"),
                }
                if Some(column) != last {
                    text += &" ".repeat(GAP);
                }
            }
            writeln!(out, "{text}")
        };
        line(&|column| self.heads[column].name.clone(), true)?;
        for row in &self.rows {
            line(&|column| row[column].clone(), false)?;
        }
        let gone = (0..self.heads.len()).filter(|column| !kept.contains(column));
        Ok(gone.map(|column| self.heads[column].name.clone()).collect())
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| length(&row[column])).max().unwrap_or(0);
        cells.max(length(&self.heads[column].name))
    }

    /// The widths that fit, and the columns that are kept: long texts are cut, but never so that two
    /// different ones look the same; then columns go.
    fn fit(&self, mut widths: Vec<usize>, most: usize) -> (Vec<usize>, Vec<usize>) {
        let mut kept: Vec<usize> = (0..widths.len()).collect();
        let total = |widths: &[usize], kept: &[usize]| -> usize {
            let sum: usize = kept.iter().map(|&column| widths[column]).sum();
            sum + GAP * kept.len().saturating_sub(1)
        };
        let mut whole: BTreeSet<usize> =
            kept.iter().copied().filter(|&column| self.heads[column].right).collect();
        while total(&widths, &kept) > most {
            let over = total(&widths, &kept) - most;
            let can = |column: &&usize| !whole.contains(*column) && widths[**column] > NARROW;
            match kept.iter().filter(can).max_by_key(|&&column| widths[column]).copied() {
                Some(column) => {
                    let width = widths[column].saturating_sub(over).max(NARROW);
                    if self.tells_apart(column, width) {
                        widths[column] = width;
                    }
                    // Once is enough: it is as narrow as it has to be, or cannot be.
                    whole.insert(column);
                }
                None if kept.len() > 1 => {
                    let gone = kept.iter().enumerate();
                    let gone =
                        gone.max_by_key(|(place, column)| (self.heads[**column].weight, *place));
                    let gone = gone.map_or(kept.len() - 1, |(place, _)| place);
                    kept.remove(gone);
                }
                None => break,
            }
        }
        (widths, kept)
    }

    fn tells_apart(&self, column: usize, width: usize) -> bool {
        let all: BTreeSet<&str> = self.rows.iter().map(|row| row[column].as_str()).collect();
        let short: BTreeSet<String> = all.iter().map(|text| cut(text, width)).collect();
        all.len() == short.len()
    }
}

/// The text with its middle left out where it is too long.
fn cut(text: &str, width: usize) -> String {
    let all = length(text);
    if all <= width {
        return text.to_owned();
    }
    let (start, end) = ((width - 1).div_ceil(2), (width - 1) / 2);
    let head: String = text.chars().take(start).collect();
    let tail: String = text.chars().skip(all - end).collect();
    format!("{head}…{tail}")
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// How wide standard output is; none where it is no terminal.
pub(crate) fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(table: &Table, width: Option<usize>) -> (String, Vec<String>) {
        let mut out = Vec::new();
        let gone = table.write(&mut out, width).unwrap();
        let text = anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string();
        (text, gone)
    }

    fn table() -> Table {
        let mut table = Table::new(vec![
            Head::text("cell"),
            Head { weight: 2, ..Head::text("parameter") },
            Head { weight: 1, ..Head::number("accuracy") },
        ]);
        for (name, accuracy) in [("first", "0.5"), ("second", "0.25")] {
            let long = format!("{name} and a long text of words {name}");
            table.rows.push(vec![name.to_owned(), long, accuracy.to_owned()]);
        }
        table
    }

    #[test]
    fn what_fits_stands_as_it_is() {
        let (text, gone) = write(&table(), None);
        let expected = "\
cell    parameter                               accuracy
first   first and a long text of words first         0.5
second  second and a long text of words second      0.25
";
        assert_eq!((text.as_str(), gone.len()), (expected, 0));
    }

    #[test]
    fn texts_are_cut_before_columns_go_and_numbers_stay() {
        let (text, gone) = write(&table(), Some(40));
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(gone.is_empty() && text.contains("…") && text.contains("0.25"), "{text}");
        let (text, gone) = write(&table(), Some(20));
        assert_eq!(gone, ["parameter"]);
        assert!(text.lines().all(|line| line.chars().count() <= 20), "{text}");
    }

    #[test]
    fn a_cut_hides_no_difference() {
        let mut table = Table::new(vec![Head::text("path"), Head::text("x")]);
        for name in ["a", "b"] {
            let path = format!("the same beginning {name} the same long ending");
            table.rows.push(vec![path, name.to_owned()]);
        }
        let (text, gone) = write(&table, Some(20));
        assert!(text.contains("beginning b the"), "it stays whole: {text}");
        assert_eq!(gone, ["x"]);
    }
}

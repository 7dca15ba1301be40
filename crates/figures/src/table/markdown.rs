//! A table as GitHub's Markdown.

use super::{Emphasis, View};

pub(super) fn write(view: &View) -> String {
    let heads = view.heads.iter().map(|head| match (head.group.as_str(), head.name.as_str()) {
        ("", name) => escape(name),
        (group, "") => escape(group),
        (group, name) => escape(&format!("{group}, {name}")),
    });
    let mut lines: Vec<Vec<String>> = vec![heads.collect()];
    for row in &view.rows {
        let cells = row.iter().map(|cell| match cell.emphasis {
            Emphasis::Best if !cell.text.is_empty() => format!("**{}**", escape(&cell.text)),
            _ => escape(&cell.text),
        });
        lines.push(cells.collect());
    }
    let widths: Vec<usize> = (0..view.heads.len())
        .map(|column| {
            lines.iter().map(|line| line.get(column).map_or(0, |cell| cell.chars().count())).max()
        })
        .map(|width| width.unwrap_or(0).max(3))
        .collect();
    let mut out = String::new();
    if !view.words.title.is_empty() {
        out.push_str(&format!("**{}**\n\n", escape(&view.words.title)));
    }
    for (index, line) in lines.iter().enumerate() {
        out.push('|');
        for ((cell, width), head) in line.iter().zip(&widths).zip(&view.heads) {
            let padding = " ".repeat(width - cell.chars().count().min(*width));
            if head.numeric {
                out.push_str(&format!(" {padding}{cell} |"));
            } else {
                out.push_str(&format!(" {cell}{padding} |"));
            }
        }
        out.push('\n');
        if index == 0 {
            out.push('|');
            for (width, head) in widths.iter().zip(&view.heads) {
                let rule = "-".repeat(width - 1);
                out.push_str(&if head.numeric {
                    format!(" {rule}: |")
                } else {
                    format!(" :{rule} |")
                });
            }
            out.push('\n');
        }
    }
    if let Some(strips) = &view.strips {
        out.push_str(&format!("\n{}: see `table.png`.\n", escape(&strips.head)));
    }
    if !view.words.caption.is_empty() {
        out.push_str(&format!("\n{}\n", escape(&view.words.caption)));
    }
    out
}

/// What would start a cell, emphasis or a tag is shown as it is.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' | '*' | '_' | '`' | '\\' | '<' | '[' => out.extend(['\\', letter]),
            '\n' | '\r' => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

//! A table as an HTML fragment.

use std::fmt::Write as _;

use super::{Emphasis, View};
use crate::svg::escape;

pub(super) fn write(view: &View) -> String {
    let mut out = String::from("<table>\n");
    if !view.words.title.is_empty() {
        let _ = writeln!(out, "<caption>{}</caption>", escape(&view.words.title));
    }
    out.push_str("<thead>\n");
    if view.is_grouped() {
        out.push_str("<tr>");
        for (name, _, count) in view.groups() {
            let _ = write!(out, r#"<th class="group" colspan="{count}">{}</th>"#, escape(name));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("<tr>");
    for head in &view.heads {
        let class = if head.numeric { r#" class="number""# } else { "" };
        let _ = write!(out, r#"<th scope="col"{class}>{}</th>"#, escape(&head.name));
    }
    out.push_str("</tr>\n</thead>\n<tbody>\n");
    for row in &view.rows {
        out.push_str("<tr>");
        for (cell, head) in row.iter().zip(&view.heads) {
            let mut classes = Vec::new();
            if head.numeric {
                classes.push("number");
            }
            match cell.emphasis {
                Emphasis::None => {}
                Emphasis::Best => classes.push("best"),
                Emphasis::Published => classes.push("published"),
            }
            let class = if classes.is_empty() {
                String::new()
            } else {
                format!(r#" class="{}""#, classes.join(" "))
            };
            let text = escape(&cell.text);
            // Bold without a style sheet too.
            let text = if cell.emphasis == Emphasis::Best {
                format!("<strong>{text}</strong>")
            } else {
                text
            };
            let _ = write!(out, "<td{class}>{text}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
    out
}

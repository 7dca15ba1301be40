//! A table as an HTML fragment.

use std::fmt::Write as _;

use base64::Engine as _;

use super::{Emphasis, Strips, View};
use crate::svg::{escape, number};
use crate::{Result, raster};

pub(super) fn write(view: &View) -> Result<String> {
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
        if view.strips.is_some() {
            out.push_str(r#"<th class="group"></th>"#);
        }
        out.push_str("</tr>\n");
    }
    out.push_str("<tr>");
    for head in &view.heads {
        let class = if head.numeric { r#" class="number""# } else { "" };
        let _ = write!(out, r#"<th scope="col"{class}>{}</th>"#, escape(&head.name));
    }
    if let Some(strips) = &view.strips {
        let _ = write!(out, r#"<th scope="col">{}</th>"#, escape(&strips.head));
    }
    out.push_str("</tr>\n</thead>\n<tbody>\n");
    for (index, row) in view.rows.iter().enumerate() {
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
        if let Some(strips) = &view.strips {
            write_strip(&mut out, strips, index)?;
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
    Ok(out)
}

/// The images of a row as one picture in the page itself.
fn write_strip(out: &mut String, strips: &Strips, row: usize) -> Result<()> {
    let Some((tile, width)) = strips.tile(row)? else {
        out.push_str("<td></td>");
        return Ok(());
    };
    let data = base64::engine::general_purpose::STANDARD.encode(raster::encode_png(&tile)?);
    let style = if strips.pixelated { r#" style="image-rendering: pixelated""# } else { "" };
    let (width, alt) = (number(width.round()), escape(&strips.head));
    let _ = write!(
        out,
        r#"<td><img src="data:image/png;base64,{data}" width="{width}"{style} alt="{alt}"></td>"#
    );
    Ok(())
}

//! A comparison as one HTML file that needs nothing else, light and dark.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::figures::Group;
use super::frame::Frame;
use super::write::rows;

const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1b1b1f; --paper: #fff; --dim: #62626b; --line: #d9d9e0;
  --head: #f4f4f7; --row: #fafafc; --card: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6ea; --paper: #16161a; --dim: #a0a0aa;
  --line: #34343c; --head: #202026; --row: #1a1a1f; --card: #fff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 90rem; color: var(--ink);
  background: var(--paper); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2.5rem 0 .75rem; overflow-wrap: anywhere; }
p { color: var(--dim); margin: .25rem 0 1rem; overflow-wrap: anywhere; }
.table { overflow-x: auto; width: fit-content; max-width: 100%; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; font-size: .93rem; }
th, td { padding: .35rem .75rem; text-align: left; white-space: nowrap; }
th { background: var(--head); border-bottom: 1px solid var(--line); font-weight: 600; }
tbody tr:nth-child(even) { background: var(--row); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.figures { display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); }
figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; overflow: hidden; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; background: var(--card); }
figcaption { padding: .4rem .75rem; border-top: 1px solid var(--line); font-size: .9rem;
  overflow-wrap: anywhere; }
";

/// What stands above the table.
pub(crate) struct Words {
    pub(crate) title: String,
    /// The call, and what else there is to say.
    pub(crate) notes: Vec<String>,
}

/// Writes the page.
pub(crate) fn html(
    out: &mut impl Write,
    words: &Words,
    frame: &Frame,
    shown: &[usize],
    figures: &[Group],
) -> io::Result<()> {
    let title = escaped(&words.title);
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n<h1>{title}</h1>"
    )?;
    for note in &words.notes {
        writeln!(out, "<p>{}</p>", escaped(note))?;
    }
    let class = |&place: &usize| match frame.columns[place].is_number() {
        true => " class=\"number\"",
        false => "",
    };
    let classes: Vec<&str> = shown.iter().map(class).collect();
    writeln!(out, "<div class=\"table\" tabindex=\"0\"><table>\n<thead><tr>")?;
    for (&place, class) in shown.iter().zip(&classes) {
        let name = escaped(&frame.columns[place].name);
        writeln!(out, "<th scope=\"col\"{class}>{name}</th>")?;
    }
    writeln!(out, "</tr></thead>\n<tbody>")?;
    for row in rows(frame, shown) {
        write!(out, "<tr>")?;
        for (text, class) in row.iter().zip(&classes) {
            write!(out, "<td{class}>{}</td>", escaped(text))?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody>\n</table></div>")?;
    for group in figures {
        writeln!(out, "<h2>{}</h2>\n<div class=\"figures\">", escaped(&group.title))?;
        for picture in &group.pictures {
            let (label, media) = (escaped(&picture.label), picture.media);
            let bytes = STANDARD.encode(&picture.bytes);
            writeln!(
                out,
                "<figure><img alt=\"{}, {label}\" src=\"data:{media};base64,{bytes}\">\
                 <figcaption>{label}</figcaption></figure>",
                escaped(&group.title)
            )?;
        }
        writeln!(out, "</div>")?;
    }
    writeln!(out, "</html>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

//! A report: one HTML file that needs nothing else, no scripts, no network.

use std::fmt::Write as _;

use base64::Engine as _;

use crate::svg::escape;

/// What an exhibit shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A PNG or GIF file; `width` is in CSS pixels, where it is known.
    Image {
        /// `image/png`, `image/gif`.
        mime: &'static str,
        /// The file.
        bytes: Vec<u8>,
        /// Width on the page.
        width: Option<u32>,
    },
    /// An HTML fragment: a table.
    Html(String),
}

/// A figure or a table of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhibit {
    /// The stage that made it.
    pub name: String,
    /// Its place along the axes: axis and value.
    pub coordinates: Vec<(String, String)>,
    /// What it shows: below a table, and for readers who do not see the image.
    pub caption: String,
    /// Its parts.
    pub bodies: Vec<Body>,
}

/// A page of exhibits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Above all.
    pub title: String,
    /// Paragraphs below the title, divided by empty lines.
    pub description: String,
    /// In order.
    pub exhibits: Vec<Exhibit>,
}

const STYLE: &str = "
:root { color-scheme: light; }
body { max-width: 860px; margin: 2rem auto; padding: 0 1rem; color: #1f2328; background: #ffffff;
  font: 16px/1.55 Inter, system-ui, -apple-system, 'Segoe UI', sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; }
h2 { font-size: 1.1rem; margin: 0 0 .6rem; }
h2 small { font-weight: 400; color: #59636e; margin-left: .4rem; }
nav ol { padding-left: 1.4rem; }
a { color: #0072b2; }
figure { margin: 0 0 1rem; }
section { margin: 2.6rem 0; }
img { max-width: 100%; height: auto; }
figcaption { color: #59636e; font-size: .9rem; margin-top: .4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums;
  border-top: 2px solid #1f2328; border-bottom: 2px solid #1f2328; }
caption { text-align: left; font-weight: 600; padding: 0 0 .5rem; width: max-content; max-width: min(828px, 90vw); }
th, td { text-align: left; padding: .3rem .8rem; }
thead tr:last-child th { border-bottom: 1px solid #afb8c1; }
th.group { text-align: center; }
tbody tr + tr td { border-top: 1px solid #e4e8ec; }
.number { text-align: right; white-space: nowrap; }
.best { background: #e7f1f9; }
.published { color: #59636e; }
@media print { section { break-inside: avoid; } nav { display: none; } }
";

impl Report {
    /// The page.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let mut out = String::new();
        out.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        // Nothing is fetched and nothing runs, whatever a figure brought along.
        out.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n");
        let _ = writeln!(
            out,
            "<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>"
        );
        for paragraph in
            self.description.split("\n\n").map(str::trim).filter(|text| !text.is_empty())
        {
            let _ = writeln!(out, "<p>{}</p>", escape(paragraph));
        }
        if self.exhibits.len() > 3 {
            out.push_str("<nav>\n<ol>\n");
            for (index, exhibit) in self.exhibits.iter().enumerate() {
                let _ =
                    writeln!(out, "<li><a href=\"#{}\">{}</a></li>", index + 1, heading(exhibit));
            }
            out.push_str("</ol>\n</nav>\n");
        }
        for (index, exhibit) in self.exhibits.iter().enumerate() {
            let _ = writeln!(out, "<section id=\"{}\">\n<h2>{}</h2>", index + 1, heading(exhibit));
            for body in &exhibit.bodies {
                write_body(&mut out, body, &exhibit.caption);
            }
            out.push_str("</section>\n");
        }
        out.push_str("</body>\n</html>\n");
        out
    }
}

fn heading(exhibit: &Exhibit) -> String {
    let places: Vec<String> =
        exhibit.coordinates.iter().map(|(axis, value)| format!("{axis} = {value}")).collect();
    let name = escape(&exhibit.name);
    if places.is_empty() {
        name
    } else {
        format!("{name} <small>{}</small>", escape(&places.join(", ")))
    }
}

fn write_body(out: &mut String, body: &Body, caption: &str) {
    match body {
        Body::Image { mime, bytes, width } => {
            let data = base64::engine::general_purpose::STANDARD.encode(bytes);
            let width = width.map(|width| format!(" width=\"{width}\"")).unwrap_or_default();
            let alt = escape(caption);
            let _ = writeln!(
                out,
                "<figure><img src=\"data:{mime};base64,{data}\"{width} alt=\"{alt}\"></figure>"
            );
        }
        Body::Html(html) => {
            let _ = write!(out, "<figure>\n<div class=\"scroll\">\n{html}</div>\n");
            if !caption.is_empty() {
                let _ = writeln!(out, "<figcaption>{}</figcaption>", escape(caption));
            }
            out.push_str("</figure>\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_file_in_order() {
        let exhibit = |name: &str, body: Body| Exhibit {
            name: name.to_owned(),
            coordinates: vec![("layer".to_owned(), "<fire9>".to_owned())],
            caption: "5 < 6 \"quoted\"".to_owned(),
            bodies: vec![body],
        };
        let report = Report {
            title: "Transfer & study".to_owned(),
            description: "First.\n\nSecond <b>.".to_owned(),
            exhibits: vec![
                exhibit("table", Body::Html("<table></table>\n".to_owned())),
                exhibit(
                    "curve",
                    Body::Image { mime: "image/png", bytes: vec![1, 2, 3], width: Some(800) },
                ),
            ],
        };
        let html = report.html();
        assert_eq!(html, report.html());
        let (_, body) = html.split_once("</style>").unwrap();
        insta::assert_snapshot!(body);
        assert!(
            !html.contains("<script") && !html.contains("http://") && !html.contains("https://")
        );
    }
}

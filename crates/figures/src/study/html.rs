//! The file of a rendered study: head, contents, text, notes.

use std::fmt::Write as _;

use crate::svg::escape;

const STYLE: &str = include_str!("../../assets/study.css");

/// A rendered text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The first heading, as text.
    pub title: String,
    /// The headings below it: level, anchor, HTML.
    pub headings: Vec<(usize, String, String)>,
    /// What stands before the first of these.
    pub(super) lead: String,
    /// All else.
    pub(super) body: String,
    /// The footnotes in order.
    pub(super) notes: Vec<String>,
}

impl Page {
    /// The whole file. `made` is the section that says how the page was made.
    pub fn html(&self, made: &str) -> String {
        let title = escape(&self.title);
        let mut out =
            String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        // Nothing is fetched and nothing runs, whatever a figure brought along.
        out.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n");
        let _ = write!(out, "<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n");
        let _ = write!(out, "<main>\n{}", self.lead);
        self.contents(&mut out);
        out.push_str(&self.body);
        if !self.notes.is_empty() {
            out.push_str("<section class=\"notes\">\n<h2 id=\"notes\">Notes</h2>\n<ol>\n");
            for (index, note) in self.notes.iter().enumerate() {
                let number = index + 1;
                let back =
                    format!(" <a href=\"#to-note-{number}\" title=\"back to the text\">↩</a>");
                let note = note.trim_end();
                let (text, end) = match note.strip_suffix("</p>") {
                    Some(text) => (text, "</p>"),
                    None => (note, ""),
                };
                let _ = writeln!(out, "<li id=\"note-{number}\">{text}{back}{end}</li>");
            }
            out.push_str("</ol>\n</section>\n");
        }
        out.push_str(made);
        out.push_str("</main>\n</body>\n</html>\n");
        out
    }

    fn contents(&self, out: &mut String) {
        const DEEPEST: usize = 3;
        let mut level = 2;
        out.push_str("<nav>\n<h2>Contents</h2>\n<ol>\n");
        let (anchor, heading) = (super::origin::ANCHOR, super::origin::HEADING);
        let made = (2, anchor.to_owned(), heading.to_owned());
        let headings = self.headings.iter().chain(std::iter::once(&made));
        let mut first = true;
        for (depth, anchor, words) in headings.filter(|(depth, ..)| *depth <= DEEPEST) {
            match (*depth > level, *depth < level) {
                (true, _) => out.push_str("\n<ol>\n"),
                (_, true) => out.push_str("</li>\n</ol>\n</li>\n"),
                _ if !first => out.push_str("</li>\n"),
                _ => {}
            }
            let _ = write!(out, "<li><a href=\"#{anchor}\">{}</a>", without_links(words));
            (level, first) = (*depth, false);
        }
        out.push_str("</li>\n</ol>\n</nav>\n");
    }
}

/// A heading's words, without links in them.
fn without_links(words: &str) -> String {
    let mut out = String::new();
    let mut rest = words;
    while let Some(at) = rest.find("<a ") {
        out.push_str(&rest[..at]);
        rest = rest[at..].split_once('>').map_or("", |(_, rest)| rest);
    }
    (out + rest).replace("</a>", "")
}

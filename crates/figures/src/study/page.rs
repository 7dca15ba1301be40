//! From filled Markdown to HTML: headings and contents, numbered exhibits, references, footnotes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine as _;
use pulldown_cmark::{
    BlockQuoteKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, TextMergeWithOffset,
    html,
};

use super::html::Page;
use super::places::{Exhibit, Role};
use super::values::{CLOSE, OPEN};
use super::{Body, Part};
use crate::svg::escape;

/// What is wrong, and where in the Markdown.
type Wrong = Vec<(String, Range<usize>)>;

type Events<'m> = Vec<(Event<'m>, Range<usize>)>;

/// Makes the page. `exhibits` are the places of the text, `shown` what is shown there.
pub(super) fn page(
    markdown: &str,
    exhibits: &[Exhibit],
    shown: &BTreeMap<String, Vec<Part>>,
) -> Result<Page, Wrong> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_GFM;
    let parser = Parser::new_ext(markdown, options).into_offset_iter();
    let events: Events<'_> = TextMergeWithOffset::new(parser).collect();
    let numbers = numbers(markdown, exhibits);
    let mut writer = Writer {
        exhibits,
        shown,
        numbers,
        page: Page::default(),
        out: Vec::new(),
        notes: BTreeMap::new(),
        note_order: Vec::new(),
        anchors: BTreeSet::new(),
        links: Vec::new(),
        lead: None,
        wrong: Vec::new(),
    };
    writer.events(&events);
    writer.finish()
}

/// The name and the anchor of each exhibit, in the order in which they are shown.
fn numbers(markdown: &str, exhibits: &[Exhibit]) -> BTreeMap<String, (String, String)> {
    let (mut figures, mut tables) = (0, 0);
    let mut numbers = BTreeMap::new();
    for (_, number) in places(markdown) {
        let Some(exhibit) = exhibits.get(number) else { continue };
        let (name, count) = match exhibit.role {
            Role::Figure => ("Figure", &mut figures),
            Role::Table => ("Table", &mut tables),
            Role::Ref => continue,
        };
        numbers.entry(exhibit.written.clone()).or_insert_with(|| {
            *count += 1;
            (format!("{name}\u{a0}{count}"), format!("{}-{count}", name.to_lowercase()))
        });
    }
    numbers
}

/// The places of exhibits in a text: where, and the number.
fn places(text: &str) -> Vec<(Range<usize>, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(OPEN).map(|start| at + start) {
        let inner = start + OPEN.len_utf8();
        let Some(end) = text[inner..].find(CLOSE).map(|end| inner + end) else { break };
        at = end + CLOSE.len_utf8();
        if let Ok(number) = text[inner..end].parse() {
            found.push((start..at, number));
        }
    }
    found
}

struct Writer<'m, 's> {
    exhibits: &'s [Exhibit],
    shown: &'s BTreeMap<String, Vec<Part>>,
    numbers: BTreeMap<String, (String, String)>,
    page: Page,
    out: Vec<Event<'m>>,
    /// The footnotes' texts by label.
    notes: BTreeMap<String, Vec<Event<'m>>>,
    /// Their labels in the order of the references.
    note_order: Vec<String>,
    anchors: BTreeSet<String>,
    /// Anchors that are linked to.
    links: Vec<(String, Range<usize>)>,
    /// How many events stand before the first heading below the title.
    lead: Option<usize>,
    wrong: Wrong,
}

impl<'m> Writer<'m, '_> {
    fn say(&mut self, message: impl Into<String>, at: &Range<usize>) {
        self.wrong.push((message.into(), at.clone()));
    }

    fn html(&mut self, text: impl Into<String>) {
        self.out.push(Event::Html(CowStr::from(text.into())));
    }

    fn events(&mut self, events: &[(Event<'m>, Range<usize>)]) {
        let mut at = 0;
        while let Some((event, range)) = events.get(at) {
            let end = |wanted: &dyn Fn(&TagEnd) -> bool| {
                let is_end = |(event, _): &(Event<'_>, Range<usize>)| matches!(event, Event::End(tag) if wanted(tag));
                events[at..].iter().position(is_end).map_or(events.len(), |found| at + found)
            };
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    let close = end(&|tag| matches!(tag, TagEnd::Heading(_)));
                    self.heading(*level, &events[at + 1..close]);
                    at = close;
                }
                Event::Start(Tag::Paragraph) => {
                    let close = end(&|tag| matches!(tag, TagEnd::Paragraph));
                    let inner = &events[at + 1..close];
                    if self.shows(inner) {
                        self.exhibits(inner);
                    } else {
                        self.out.push(event.clone());
                        self.events(inner);
                        self.out.push(Event::End(TagEnd::Paragraph));
                    }
                    at = close;
                }
                Event::Start(Tag::FootnoteDefinition(label)) => {
                    let close = end(&|tag| matches!(tag, TagEnd::FootnoteDefinition));
                    let outer = std::mem::take(&mut self.out);
                    self.events(&events[at + 1..close]);
                    let note = std::mem::replace(&mut self.out, outer);
                    self.notes.insert(label.to_string(), note);
                    at = close;
                }
                Event::Start(Tag::Link { dest_url, .. }) => {
                    let close = end(&|tag| matches!(tag, TagEnd::Link));
                    self.link(dest_url, event, &events[at + 1..close], range);
                    at = close;
                }
                Event::Start(Tag::Image { .. }) => {
                    self.say("a picture has to be an exhibit: `{{ figure STAGE }}`", range);
                    at = end(&|tag| matches!(tag, TagEnd::Image));
                }
                Event::Start(Tag::Table(_)) => {
                    self.html("<div class=\"scroll\">\n");
                    self.out.push(event.clone());
                }
                Event::End(TagEnd::Table) => {
                    self.out.push(event.clone());
                    self.html("</div>\n");
                }
                Event::Start(Tag::BlockQuote(_)) => {
                    self.out.push(Event::Start(Tag::BlockQuote(None::<BlockQuoteKind>)));
                }
                Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => {}
                Event::Html(text) | Event::InlineHtml(text) => {
                    let text = text.trim();
                    let is_comment = text.starts_with("<!--") && text.ends_with("-->");
                    if !text.is_empty() && !is_comment {
                        self.say("a study is Markdown: HTML is not taken", range);
                    }
                }
                Event::FootnoteReference(label) => self.note(label, range),
                Event::Text(text) => self.text(text, range),
                Event::Code(text) if text.contains(OPEN) => {
                    self.say("an exhibit cannot stand in code", range);
                }
                other => self.out.push(other.clone()),
            }
            at += 1;
        }
    }

    fn heading(&mut self, level: HeadingLevel, inner: &[(Event<'m>, Range<usize>)]) {
        let outer = std::mem::take(&mut self.out);
        self.events(inner);
        let inner_events = std::mem::replace(&mut self.out, outer);
        let mut words = String::new();
        html::push_html(&mut words, inner_events.iter().cloned());
        let text = plain(&inner_events);
        if level == HeadingLevel::H1 && self.page.title.is_empty() {
            self.html(format!("<h1>{words}</h1>\n"));
            self.page.title = text;
            return;
        }
        let anchor = self.anchor(&text);
        let level = level as usize;
        self.lead.get_or_insert(self.out.len());
        self.html(format!("<h{level} id=\"{anchor}\">{words}</h{level}>\n"));
        self.page.headings.push((level, anchor, words));
    }

    /// The name under which GitHub would link to a heading; a second of the same gets a number.
    fn anchor(&mut self, text: &str) -> String {
        let kept = |c: &char| c.is_alphanumeric() || *c == '-' || *c == '_';
        let name: String = text.to_lowercase().replace(' ', "-").chars().filter(kept).collect();
        let numbered = (1..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone()).chain(numbered);
        let anchor = free.into_iter().find(|name| !self.anchors.contains(name)).unwrap_or(name);
        self.anchors.insert(anchor.clone());
        anchor
    }

    fn link(
        &mut self,
        to: &str,
        start: &Event<'m>,
        inner: &[(Event<'m>, Range<usize>)],
        range: &Range<usize>,
    ) {
        if let Some(anchor) = to.strip_prefix('#') {
            self.links.push((anchor.to_owned(), range.clone()));
        }
        // A file beside the text is not beside the page.
        let kept = to.starts_with('#') || to.starts_with("https://") || to.starts_with("http://");
        if kept {
            self.out.push(start.clone());
        }
        self.events(inner);
        if kept {
            self.out.push(Event::End(TagEnd::Link));
        }
    }

    fn note(&mut self, label: &str, range: &Range<usize>) {
        let known = self.note_order.iter().position(|other| other == label);
        if known.is_some() {
            self.say(format!("the footnote `{label}` is referred to twice"), range);
            return;
        }
        self.note_order.push(label.to_owned());
        let number = self.note_order.len();
        let link =
            format!("<sup id=\"to-note-{number}\"><a href=\"#note-{number}\">{number}</a></sup>");
        self.out.push(Event::InlineHtml(CowStr::from(link)));
    }

    /// Text with references to exhibits in it.
    fn text(&mut self, text: &CowStr<'m>, range: &Range<usize>) {
        if !text.contains(OPEN) {
            self.out.push(Event::Text(text.clone()));
            return;
        }
        let mut at = 0;
        for (place, number) in places(text) {
            let Some(exhibit) = self.exhibits.get(number) else { continue };
            // Where nothing is escaped, the text's places are the Markdown's.
            let here = match range.len() == text.len() {
                true => range.start + place.start..range.start + place.end,
                false => range.clone(),
            };
            if place.start > at {
                self.out.push(Event::Text(CowStr::from(text[at..place.start].to_owned())));
            }
            at = place.end;
            match (exhibit.role, self.numbers.get(&exhibit.written)) {
                (Role::Ref, Some((name, anchor))) => {
                    let link = format!("<a href=\"#{anchor}\">{name}</a>");
                    self.out.push(Event::InlineHtml(CowStr::from(link)));
                }
                (Role::Ref, None) => {
                    let message = format!("`{}` is not shown on this page", exhibit.written);
                    self.say(message, &here);
                }
                _ => self.say(
                    "an exhibit has a paragraph of its own, and its caption on the next line behind `: `",
                    &here,
                ),
            }
        }
        self.out.push(Event::Text(CowStr::from(text[at..].to_owned())));
    }

    /// Whether a paragraph begins with an exhibit.
    fn shows(&self, inner: &[(Event<'_>, Range<usize>)]) -> bool {
        let Some((Event::Text(text), _)) = inner.first() else { return false };
        let first = places(text).into_iter().next();
        first.is_some_and(|(place, number)| {
            let role = self.exhibits.get(number).map(|exhibit| exhibit.role);
            place.start == 0 && role.is_some_and(|role| role != Role::Ref)
        })
    }

    /// A paragraph of exhibits, one a line, each with its caption below.
    fn exhibits(&mut self, inner: &[(Event<'m>, Range<usize>)]) {
        let lines: Vec<_> = inner.split(|(event, _)| matches!(event, Event::SoftBreak)).collect();
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            at += 1;
            let number = match line {
                [(Event::Text(text), _)] => match places(text).as_slice() {
                    [(place, number)] if *place == (0..text.trim_end().len()) => Some(*number),
                    _ => None,
                },
                _ => None,
            };
            let exhibit = number.and_then(|number| self.exhibits.get(number));
            let Some(exhibit) = exhibit.filter(|exhibit| exhibit.role != Role::Ref) else {
                let start = line.first().map_or(0..0, |(_, range)| range.clone());
                self.say(
                    "expected an exhibit alone on its line, or its caption behind `: `",
                    &start,
                );
                return;
            };
            let mut caption = Vec::new();
            while let Some(line) = lines.get(at) {
                let begins =
                    matches!(line.first(), Some((Event::Text(text), _)) if text.starts_with(": "));
                let shows = self.shows(line);
                if shows || (caption.is_empty() && !begins) {
                    break;
                }
                if !caption.is_empty() {
                    caption.push((Event::SoftBreak, 0..0));
                }
                let mut line = line.to_vec();
                if begins
                    && caption.is_empty()
                    && let Some((Event::Text(text), _)) = line.first_mut()
                {
                    *text = CowStr::from(text[2..].to_owned());
                }
                caption.extend(line);
                at += 1;
            }
            let outer = std::mem::take(&mut self.out);
            self.events(&caption);
            let caption = std::mem::replace(&mut self.out, outer);
            let mut words = String::new();
            html::push_html(&mut words, caption.into_iter());
            self.exhibit(exhibit, &words);
        }
    }

    fn exhibit(&mut self, exhibit: &Exhibit, caption: &str) {
        let Some((name, anchor)) = self.numbers.get(&exhibit.written) else { return };
        let mut out = format!("<figure id=\"{anchor}\">\n");
        let parts = self.shown.get(&exhibit.written).map_or(&[][..], Vec::as_slice);
        let mut below = Vec::new();
        for part in parts {
            if parts.len() > 1 {
                let places = part.coordinates.iter();
                let places: Vec<String> =
                    places.map(|(axis, value)| format!("{axis} = {value}")).collect();
                let _ = writeln!(out, "<p class=\"place\">{}</p>", escape(&places.join(", ")));
            }
            match &part.body {
                Body::Image { mime, bytes, width } => {
                    let data = base64::engine::general_purpose::STANDARD.encode(bytes);
                    let wide = width
                        .map(|width| format!(" width=\"{width}\" style=\"--width: {width}px\""));
                    let (wide, alt) = (wide.unwrap_or_default(), escape(&part.caption));
                    let _ = writeln!(
                        out,
                        "<div class=\"scroll\"><img src=\"data:{mime};base64,{data}\"{wide} alt=\"{alt}\"></div>"
                    );
                }
                Body::Html(html) => {
                    let _ = writeln!(out, "<div class=\"scroll\">\n{html}</div>");
                    if !part.caption.is_empty() && !below.contains(&part.caption) {
                        below.push(part.caption.clone());
                    }
                }
            }
        }
        let _ = write!(out, "<figcaption><strong>{name}.</strong> {caption}");
        for text in below {
            let _ = write!(out, " <span class=\"note\">{}</span>", escape(&text));
        }
        out.push_str("</figcaption>\n</figure>\n");
        self.html(out);
    }

    fn finish(mut self) -> Result<Page, Wrong> {
        let known = |anchor: &str| {
            self.anchors.contains(anchor)
                || anchor == super::origin::ANCHOR
                || self.numbers.values().any(|(_, other)| other == anchor)
        };
        for (anchor, at) in &self.links {
            if !known(anchor) {
                self.wrong.push((format!("there is no heading for `#{anchor}`"), at.clone()));
            }
        }
        for label in std::mem::take(&mut self.note_order) {
            let mut note = String::new();
            match self.notes.remove(&label) {
                Some(events) => html::push_html(&mut note, events.into_iter()),
                None => self.wrong.push((format!("there is no footnote `{label}`"), 0..0)),
            }
            self.page.notes.push(note);
        }
        let rest = self.out.split_off(self.lead.unwrap_or(self.out.len()));
        html::push_html(&mut self.page.lead, self.out.into_iter());
        html::push_html(&mut self.page.body, rest.into_iter());
        if self.wrong.is_empty() { Ok(self.page) } else { Err(self.wrong) }
    }
}

/// The text of events without marks.
fn plain(events: &[Event<'_>]) -> String {
    let mut text = String::new();
    for event in events {
        match event {
            Event::Text(words) | Event::Code(words) => text.push_str(words),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            _ => {}
        }
    }
    text
}

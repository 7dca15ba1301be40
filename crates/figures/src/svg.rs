//! A scene as SVG text.

use std::fmt::Write as _;

use base64::Engine as _;

use crate::color::Color;
use crate::faces::{self, Run};
use crate::font::{FAMILY, Weight};
use crate::raster;
use crate::scene::{Anchor, Item, Scene, Stroke, Text};

/// The scene as SVG for people: text is text, and whoever shows it has fonts of his own.
pub(crate) fn write(scene: &Scene) -> String {
    write_with(scene, write_text)
}

/// The scene as SVG for the rasteriser: text in runs of one font each, boxes for letters that no font has.
pub(crate) fn write_in_runs(scene: &Scene) -> String {
    write_with(scene, write_runs)
}

type WriteText = fn(&mut String, &Text);

fn write_with(scene: &Scene, text: WriteText) -> String {
    let mut out = String::new();
    let (width, height) = (number(scene.width), number(scene.height));
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="{FAMILY}, sans-serif">"#
    );
    let _ = writeln!(out, r##"<rect width="{width}" height="{height}" fill="#ffffff"/>"##);
    for item in scene.items() {
        write_item(&mut out, item, text);
    }
    out.push_str("</svg>\n");
    out
}

/// At most two decimals, none that are zero.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text with the characters that XML (and HTML) gives a meaning escaped, control characters left out.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            letter if letter.is_control() || matches!(letter, '\u{FFFE}' | '\u{FFFF}') => {}
            letter => out.push(letter),
        }
    }
    out
}

fn paint(out: &mut String, name: &str, color: Option<Color>) {
    let Some(Color { r, g, b, a }) = color else {
        let _ = write!(out, r#" {name}="none""#);
        return;
    };
    let _ = write!(out, r##" {name}="#{r:02x}{g:02x}{b:02x}""##);
    if a != 255 {
        let _ = write!(out, r#" {name}-opacity="{}""#, number(f64::from(a) / 255.0));
    }
}

fn style(out: &mut String, fill: Option<Color>, stroke: Option<Stroke>) {
    paint(out, "fill", fill);
    let Some(stroke) = stroke else { return };
    paint(out, "stroke", Some(stroke.color));
    let _ = write!(out, r#" stroke-width="{}""#, number(stroke.width));
    if let Some((dash, gap)) = stroke.dash {
        let _ = write!(out, r#" stroke-dasharray="{} {}""#, number(dash), number(gap));
    }
}

fn write_item(out: &mut String, item: &Item, write_text: WriteText) {
    match item {
        Item::Rect { place: [x, y, width, height], fill, stroke } => {
            let [x, y, width, height] = [x, y, width, height].map(|value| number(*value));
            let _ = write!(out, r#"<rect x="{x}" y="{y}" width="{width}" height="{height}""#);
            style(out, *fill, *stroke);
            out.push_str("/>\n");
        }
        Item::Path { points, closed, fill, stroke } => {
            out.push_str(r#"<path d=""#);
            for (index, (x, y)) in points.iter().enumerate() {
                let _ = write!(
                    out,
                    "{}{} {}",
                    if index == 0 { "M" } else { "L" },
                    number(*x),
                    number(*y)
                );
            }
            out.push_str(if *closed { "Z\"" } else { "\" stroke-linejoin=\"round\"" });
            style(out, *fill, *stroke);
            out.push_str("/>\n");
        }
        Item::Circle { center: (x, y), radius, fill, stroke } => {
            let _ = write!(
                out,
                r#"<circle cx="{}" cy="{}" r="{}""#,
                number(*x),
                number(*y),
                number(*radius)
            );
            style(out, Some(*fill), *stroke);
            out.push_str("/>\n");
        }
        Item::Text(text) => write_text(out, text),
        Item::Image { place: [x, y, width, height], image, pixelated } => {
            // Encoding an RGB buffer of the right length into memory cannot fail.
            let png = raster::encode_png(image).unwrap_or_default();
            let data = base64::engine::general_purpose::STANDARD.encode(png);
            let [x, y, width, height] = [x, y, width, height].map(|value| number(*value));
            let rendering = if *pixelated { r#" image-rendering="optimizeSpeed""# } else { "" };
            let _ = writeln!(
                out,
                r#"<image x="{x}" y="{y}" width="{width}" height="{height}" preserveAspectRatio="none"{rendering} href="data:image/png;base64,{data}"/>"#
            );
        }
        Item::Group { dx, dy, items } => {
            let _ = writeln!(out, r#"<g transform="translate({} {})">"#, number(*dx), number(*dy));
            for item in items {
                write_item(out, item, write_text);
            }
            out.push_str("</g>\n");
        }
    }
}

fn write_text(out: &mut String, text: &Text) {
    write_element(out, text, text.x, "");
}

fn write_runs(out: &mut String, text: &Text) {
    faces::tell_missing(&text.content, text.weight);
    let runs = faces::runs(&text.content, text.weight);
    if let [Run { text: letters, family: None, .. }] = runs.as_slice()
        && *letters == text.content
    {
        return write_text(out, text);
    }
    let width: f64 = runs.iter().map(|run| run.width * text.size).sum();
    let mut x = match text.anchor {
        Anchor::Start => text.x,
        Anchor::Middle => text.x - width / 2.0,
        Anchor::End => text.x - width,
    };
    for Run { text: letters, family, width } in runs {
        let part = Text { content: letters, anchor: Anchor::Start, ..text.clone() };
        // Spaces at a run's ends count.
        let family = family.map(|family| format!(r#" font-family="{family}""#));
        let more = format!(r#"{} xml:space="preserve""#, family.unwrap_or_default());
        write_element(out, &part, x, &more);
        x += width * text.size;
    }
}

/// `text` from `x` on, turned about its own place, with more attributes.
fn write_element(out: &mut String, text: &Text, x: f64, more: &str) {
    let (from, x, y) = (number(x), number(text.x), number(text.y));
    let _ = write!(out, r#"<text x="{from}" y="{y}" font-size="{}"{more}"#, number(text.size));
    match text.anchor {
        Anchor::Start => {}
        Anchor::Middle => out.push_str(r#" text-anchor="middle""#),
        Anchor::End => out.push_str(r#" text-anchor="end""#),
    }
    if text.weight == Weight::SemiBold {
        out.push_str(r#" font-weight="600""#);
    }
    if text.angle != 0.0 {
        let _ = write!(out, r#" transform="rotate({} {x} {y})""#, number(text.angle));
    }
    paint(out, "fill", Some(text.color));
    let _ = writeln!(out, ">{}</text>", escape(&text.content));
}

//! A table as a picture: rules above and below, numbers at the right, best values on a pale ground.

use super::{Emphasis, Head, Strips, View, strips};
use crate::color::{FRAME, GRID, HIGHLIGHT, INK, MUTED};
use crate::font::{self, Weight};
use crate::frame::{LABEL, framed};
use crate::scene::{Anchor, Scene, Stroke, Text};
use crate::{Error, Result};

const ROW: f64 = 28.0;
/// Air between a cell's text and its neighbour's.
const AIR: f64 = 26.0;
const LONGEST: f64 = 360.0;

fn weight(emphasis: Emphasis) -> Weight {
    if emphasis == Emphasis::Best { Weight::SemiBold } else { Weight::Regular }
}

pub(super) fn draw(view: &View) -> Result<Scene> {
    if view.heads.is_empty() {
        return Err(Error::Empty("the table", "column"));
    }
    if let Some(row) = view.rows.iter().find(|row| row.len() != view.heads.len()) {
        return Err(Error::shape(
            "a row of the table",
            format!("{} cells", view.heads.len()),
            row.len(),
        ));
    }
    let widths = widths(view);
    let starts: Vec<f64> = widths
        .iter()
        .scan(0.0, |x, width| {
            let start = *x;
            *x += width;
            Some(start)
        })
        .collect();
    let columns: f64 = widths.iter().sum();
    let (width, tall) = match &view.strips {
        None => (columns, ROW),
        Some(strips) => (columns + strip_width(strips), ROW.max(strips.cell + 8.0)),
    };
    let mut scene = Scene::new(width, 0.0);
    let rule = |scene: &mut Scene, y: f64, weight: f64| {
        scene.line(
            (0.0, y),
            (width, y),
            Stroke::new(if weight > 1.0 { INK } else { FRAME }, weight),
        );
    };
    rule(&mut scene, 0.0, 1.4);
    let mut y = 0.0;
    if view.is_grouped() {
        draw_groups(&mut scene, view, &starts, &widths, y);
        y += ROW;
    }
    for ((head, start), room) in view.heads.iter().zip(&starts).zip(&widths) {
        let text =
            Text { size: LABEL, weight: Weight::SemiBold, ..Text::new(0.0, 0.0, &head.name) };
        put(&mut scene, text, head.numeric, *start, *room, y + ROW / 2.0);
    }
    if let Some(strips) = &view.strips {
        let text =
            Text { size: LABEL, weight: Weight::SemiBold, ..Text::new(0.0, 0.0, &strips.head) };
        put(&mut scene, text, false, columns, width - columns, y + ROW / 2.0);
    }
    y += ROW;
    rule(&mut scene, y, 1.0);
    for (index, row) in view.rows.iter().enumerate() {
        if index > 0 {
            scene.line((0.0, y), (width, y), Stroke::new(GRID, 1.0));
        }
        for (((cell, head), start), room) in row.iter().zip(&view.heads).zip(&starts).zip(&widths) {
            if cell.emphasis == Emphasis::Best {
                scene.rect([start + 2.0, y + 2.0, room - 4.0, tall - 4.0], HIGHLIGHT);
            }
            let color = if cell.emphasis == Emphasis::Published { MUTED } else { INK };
            let text = Text {
                size: LABEL,
                weight: weight(cell.emphasis),
                color,
                ..Text::new(0.0, 0.0, &cell.text)
            };
            put(&mut scene, text, head.numeric, *start, *room, y + tall / 2.0);
        }
        if let Some(strips) = &view.strips {
            draw_strip(&mut scene, strips, index, (columns + AIR / 2.0, y + tall / 2.0));
        }
        y += tall;
    }
    rule(&mut scene, y, 1.4);
    scene.height = y + 1.0;
    Ok(framed(&view.words, scene, crate::frame::LEAST_WIDTH))
}

/// Width of the column of images.
fn strip_width(strips: &Strips) -> f64 {
    let head = font::text_width(&strips.head, LABEL, Weight::SemiBold).min(LONGEST);
    strips.width().max(head).ceil() + AIR
}

/// The images of a row from `left` on, their middles at `middle`.
fn draw_strip(scene: &mut Scene, strips: &Strips, row: usize, (left, middle): (f64, f64)) {
    let mut x = left;
    for image in strips.rows.get(row).into_iter().flatten() {
        let (width, height) = strips.fit(image);
        let place = [x, middle - height / 2.0, width, height];
        scene.image(place, strips.kept(image), strips.pixelated);
        x += width + f64::from(strips::GAP);
    }
}

/// Writes `text` into a cell of width `room`, its middle at `middle`.
fn put(scene: &mut Scene, text: Text, numeric: bool, start: f64, room: f64, middle: f64) {
    let content = font::shorten(&text.content, text.size, text.weight, room - AIR + 1.0);
    let (x, anchor) = if numeric {
        (start + room - AIR / 2.0, Anchor::End)
    } else {
        (start + AIR / 2.0, Anchor::Start)
    };
    scene.text(Text { x, content, anchor, ..text }.centered_on(middle));
}

fn widths(view: &View) -> Vec<f64> {
    let mut widths: Vec<f64> = view
        .heads
        .iter()
        .enumerate()
        .map(|(column, head)| {
            let cells = view.rows.iter().filter_map(|row| row.get(column));
            let cells =
                cells.map(|cell| font::text_width(&cell.text, LABEL, weight(cell.emphasis)));
            cells
                .fold(font::text_width(&head.name, LABEL, Weight::SemiBold), f64::max)
                .min(LONGEST)
                .ceil()
                + AIR
        })
        .collect();
    // A group whose name is wider than its columns makes them wider.
    for (name, first, count) in view.groups() {
        let needs = (font::text_width(name, LABEL, Weight::SemiBold).min(LONGEST) + AIR).ceil();
        let have: f64 = widths.iter().skip(first).take(count).sum();
        let more = ((needs - have) / count as f64).max(0.0);
        widths.iter_mut().skip(first).take(count).for_each(|width| *width += more);
    }
    widths
}

fn draw_groups(scene: &mut Scene, view: &View, starts: &[f64], widths: &[f64], y: f64) {
    let numeric = |head: Option<&Head>| head.is_some_and(|head| head.numeric);
    for (name, first, count) in view.groups() {
        if name.is_empty() {
            continue;
        }
        let start = starts.get(first).copied().unwrap_or_default();
        let room: f64 = widths.iter().skip(first).take(count).sum();
        let text = Text { size: LABEL, weight: Weight::SemiBold, ..Text::new(0.0, 0.0, name) };
        if count == 1 {
            put(scene, text, numeric(view.heads.get(first)), start, room, y + ROW / 2.0);
            continue;
        }
        let content = font::shorten(name, LABEL, Weight::SemiBold, room - AIR + 1.0);
        let middle = Text { content, x: start + room / 2.0, anchor: Anchor::Middle, ..text };
        scene.text(middle.centered_on(y + ROW / 2.0));
        let (left, right) = (start + AIR / 2.0 - 4.0, start + room - AIR / 2.0 + 4.0);
        scene.line((left, y + ROW), (right, y + ROW), Stroke::new(FRAME, 1.0));
    }
}

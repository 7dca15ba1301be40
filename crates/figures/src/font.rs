//! The bundled fonts and the width of text set in them.
//!
//! System fonts are never loaded, so that a picture has the same bytes everywhere. The fonts are
//! subsets of [Inter](https://rsms.me/inter/) with digits of one width; see `assets/`.

use std::sync::{Arc, OnceLock};

use harfrust::{FontRef, ShapeOptions, ShaperData, UnicodeBuffer};
use resvg::usvg::fontdb;

/// The family's name in SVG.
pub const FAMILY: &str = "Inter";
/// Height of a capital letter, as a share of the font size.
pub const CAP_HEIGHT: f64 = 0.727;
/// How far letters such as g go below the baseline, as a share of the font size.
pub const DESCENT: f64 = 0.22;
/// Distance of two baselines in a paragraph, as a share of the font size.
pub const LINE_HEIGHT: f64 = 1.4;

/// The weights that are bundled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weight {
    /// Body text.
    #[default]
    Regular,
    /// Titles and best values (600).
    SemiBold,
}

struct Face {
    font: FontRef<'static>,
    data: ShaperData,
}

const REGULAR: &[u8] = include_bytes!("../assets/Inter-Regular.otf");
const SEMI_BOLD: &[u8] = include_bytes!("../assets/Inter-SemiBold.otf");

fn face(weight: Weight) -> Option<&'static Face> {
    static REGULAR_FACE: OnceLock<Option<Face>> = OnceLock::new();
    static SEMI_BOLD_FACE: OnceLock<Option<Face>> = OnceLock::new();
    let (cell, bytes) = match weight {
        Weight::Regular => (&REGULAR_FACE, REGULAR),
        Weight::SemiBold => (&SEMI_BOLD_FACE, SEMI_BOLD),
    };
    cell.get_or_init(|| {
        let font = FontRef::new(bytes).ok()?;
        let data = ShaperData::new(&font);
        Some(Face { font, data })
    })
    .as_ref()
}

/// The fonts as the rasteriser wants them.
pub(crate) fn database() -> Arc<fontdb::Database> {
    static DATABASE: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    DATABASE
        .get_or_init(|| {
            let mut database = fontdb::Database::new();
            for bytes in [REGULAR, SEMI_BOLD] {
                database.load_font_source(fontdb::Source::Binary(Arc::new(bytes)));
            }
            Arc::new(database)
        })
        .clone()
}

/// Width of `text` in the units of `size`, kerning included: what the rasteriser will take.
pub fn text_width(text: &str, size: f64, weight: Weight) -> f64 {
    let Some(face) = face(weight) else { return 0.0 };
    let shaper = face.data.shaper(&face.font).build();
    let mut buffer = UnicodeBuffer::new();
    buffer.push_str(text);
    buffer.guess_segment_properties();
    let shaped = shaper.shape(buffer, ShapeOptions::new());
    let advance: i32 = shaped.glyph_positions().iter().map(|position| position.x_advance).sum();
    f64::from(advance) / f64::from(shaper.units_per_em()) * size
}

/// `text` cut with `…` so that it is at most `max` wide.
pub fn shorten(text: &str, size: f64, weight: Weight, max: f64) -> String {
    if text_width(text, size, weight) <= max {
        return text.to_owned();
    }
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let cut = |count: usize| format!("{}…", text[..starts[count]].trim_end());
    // Widths grow with the number of letters: search by halves.
    let (mut fits, mut fails) = (0, starts.len());
    while fits + 1 < fails {
        let middle = fits.midpoint(fails);
        if text_width(&cut(middle), size, weight) <= max { fits = middle } else { fails = middle }
    }
    if fits == 0 { "…".to_owned() } else { cut(fits) }
}

/// `text` broken at spaces (and at its own line ends) into lines of at most `max`; a word that is
/// wider than a line is shortened.
pub fn wrap(text: &str, size: f64, weight: Weight, max: f64) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        // A percent sign stays with its number.
        let words = paragraph.replace(" %", "\u{a0}%");
        let breaks = |c: char| c.is_whitespace() && c != '\u{a0}';
        for word in words.split(breaks).filter(|word| !word.is_empty()) {
            let word = word.replace('\u{a0}', " ");
            let longer = if line.is_empty() { word.clone() } else { format!("{line} {word}") };
            if text_width(&longer, size, weight) <= max {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(line);
            }
            line = shorten(&word, size, weight, max);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Scene, Text};
    use resvg::usvg;

    #[test]
    fn both_weights_load_and_have_the_signs_of_the_field() {
        for weight in [Weight::Regular, Weight::SemiBold] {
            let face = face(weight).expect("the font loads");
            let shaper = face.data.shaper(&face.font).build();
            for sign in "×±λσ∂−…–—·•η‖∞≤≥≈√∑Δεβγμ→²₀°é".chars()
            {
                let mut buffer = UnicodeBuffer::new();
                buffer.push_str(&sign.to_string());
                buffer.guess_segment_properties();
                let shaped = shaper.shape(buffer, ShapeOptions::new());
                assert_ne!(shaped.glyph_infos()[0].glyph_id, 0, "no glyph for {sign}");
            }
        }
        assert_eq!(database().faces().count(), 2);
        assert!(database().faces().all(|face| face.families[0].0 == FAMILY));
    }

    #[test]
    fn measured_width_is_what_the_rasteriser_sets() {
        for (weight, text) in [
            (Weight::Regular, "AVATAR To Wa. accuracy 0.912 ± 0.003"),
            (Weight::SemiBold, "Layer × normalisation — top-5"),
        ] {
            let mut scene = Scene::new(600.0, 60.0);
            scene.text(Text { weight, size: 20.0, ..Text::new(10.0, 40.0, text) });
            let options = usvg::Options { fontdb: database(), ..Default::default() };
            let tree = usvg::Tree::from_str(&scene.svg(), &options).unwrap();
            fn find(group: &usvg::Group) -> Option<f32> {
                group.children().iter().find_map(|node| match node {
                    usvg::Node::Text(text) => Some(text.bounding_box().width()),
                    usvg::Node::Group(group) => find(group),
                    _ => None,
                })
            }
            let set = f64::from(find(tree.root()).expect("there is text"));
            let measured = text_width(text, 20.0, weight);
            assert!((set - measured).abs() < 0.02 * measured, "{set} and {measured}");
        }
    }

    #[test]
    fn digits_have_one_width() {
        let width = |text| text_width(text, 100.0, Weight::Regular);
        assert!((width("1111") - width("8080")).abs() < 1e-9);
    }

    #[test]
    fn text_is_shortened_and_wrapped_to_its_box() {
        let text = "a rather long class name of ImageNet, Yorkshire terrier";
        for max in [5.0, 30.0, 80.0, 200.0, 1000.0] {
            let short = shorten(text, 12.0, Weight::Regular, max);
            assert!(short == "…" || text_width(&short, 12.0, Weight::Regular) <= max);
            for line in wrap(text, 12.0, Weight::Regular, max) {
                assert!(line == "…" || text_width(&line, 12.0, Weight::Regular) <= max);
            }
        }
        assert_eq!(wrap("one two", 12.0, Weight::Regular, 1000.0), ["one two"]);
        assert_eq!(wrap("one\ntwo", 12.0, Weight::Regular, 1000.0), ["one", "two"]);
        let almost = text_width("terrier (86", 12.0, Weight::Regular) + 1.0;
        let broken = wrap("terrier (86 %)", 12.0, Weight::Regular, almost);
        assert_eq!(broken, ["terrier", "(86 %)"]);
        assert_eq!(shorten("é", 12.0, Weight::Regular, 1.0), "…");
    }
}

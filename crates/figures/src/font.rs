//! The width of text set in the fonts that there are (see [`faces`]), and lines broken by it.

pub use crate::faces::Weight;
use crate::faces::{self, Run};

/// The family's name in SVG.
pub const FAMILY: &str = "Inter";
/// Height of a capital letter, as a share of the font size.
pub const CAP_HEIGHT: f64 = 0.727;
/// How far letters such as g go below the baseline, as a share of the font size.
pub const DESCENT: f64 = 0.22;
/// Distance of two baselines in a paragraph, as a share of the font size.
pub const LINE_HEIGHT: f64 = 1.4;

/// Width of `text` in the units of `size`, kerning included: what the rasteriser will take.
pub fn text_width(text: &str, size: f64, weight: Weight) -> f64 {
    faces::runs(text, weight).iter().map(|Run { width, .. }| width * size).sum()
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

/// `text` broken at spaces, between ideographs and at its own line ends into lines of at most `max`; a word that is
/// wider than a line is shortened.
pub fn wrap(text: &str, size: f64, weight: Weight, max: f64) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        // A percent sign stays with its number.
        let words = paragraph.replace(" %", "\u{a0}%");
        let breaks = |c: char| c.is_whitespace() && c != '\u{a0}';
        let words = words.split(breaks).filter(|word| !word.is_empty());
        for (word, spaced) in words.flat_map(pieces) {
            let word = word.replace('\u{a0}', " ");
            let longer = match (line.is_empty(), spaced) {
                (true, _) => word.clone(),
                (false, true) => format!("{line} {word}"),
                (false, false) => format!("{line}{word}"),
            };
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

/// The parts of a word that may stand on different lines, each with whether a space goes before it.
fn pieces(word: &str) -> Vec<(&str, bool)> {
    // Chinese characters and Japanese syllables; not the signs that end a clause.
    let breaks_before = |c: char| matches!(c, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}');
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, letter) in word.char_indices().skip(1) {
        if breaks_before(letter) {
            pieces.push((&word[start..at], start == 0));
            start = at;
        }
    }
    pieces.push((&word[start..], start == 0));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Scene, Text};
    use resvg::usvg;

    #[test]
    fn measured_width_is_what_the_rasteriser_sets() {
        for (weight, text) in [
            (Weight::Regular, "AVATAR To Wa. accuracy 0.912 ± 0.003"),
            (Weight::SemiBold, "Layer × normalisation — top-5"),
        ] {
            let mut scene = Scene::new(600.0, 60.0);
            scene.text(Text { weight, size: 20.0, ..Text::new(10.0, 40.0, text) });
            let tree = usvg::Tree::from_str(&scene.svg(), &faces::options()).unwrap();
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
        let wide = text_width("猫犬猫", 12.0, Weight::Regular) + 1.0;
        assert_eq!(wrap("猫犬猫犬。 cat", 12.0, Weight::Regular, wide), ["猫犬猫", "犬。", "cat"]);
        assert_eq!(shorten("é", 12.0, Weight::Regular, 1.0), "…");
    }
}

use resvg::usvg;

use super::*;
use crate::scene::{Anchor, Scene, Text};

/// A few letters of Droid Sans Fallback (Apache 2.0) and of DejaVu Sans (Bitstream Vera's licence).
const FONTS: [(&str, &[u8]); 2] = [
    ("cjk/DroidSansFallback-few.ttf", include_bytes!("../fixtures/DroidSansFallback-few.ttf")),
    ("DejaVuSans-few.ttf", include_bytes!("../fixtures/DejaVuSans-few.ttf")),
];

fn given() -> Given {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in FONTS {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    std::fs::write(folder.path().join("README"), "fonts").unwrap();
    Given::read(&Files::from_folder(folder.path()).unwrap()).unwrap()
}

fn families(text: &str) -> Vec<(String, Option<String>)> {
    runs(text, Weight::Regular).into_iter().map(|run| (run.text, run.family)).collect()
}

#[test]
fn both_weights_have_the_letters_and_signs_of_the_field() {
    for weight in [Weight::Regular, Weight::SemiBold] {
        // Inter's own tables of letters: Cyrillic with Ukrainian and Kazakh, Greek with accents, all of Vietnamese.
        for text in [
            "×±λσ∂−…–—·•η‖∞≤≥≈√∑Δεβγμ→²₀°é□",
            "Кошка собака ЪыЁё Ґґ Її Єє Ўў Џџ Ққ Әә Өө Һһ",
            "γάτα σκύλος ΐ Ώ ἄνθρωπος ᾧ",
            "chó Việt ơ ư Ơ Ư ạ ặ ẵ ộ ợ ử ỹ Ỵ ằ ầ ẽ ỉ",
            "Ñandú Łódź İstanbul Ğ ș ț ŵ ß ẞ",
        ] {
            for letter in text.chars() {
                let mut buffer = [0; 4];
                let letter = letter.encode_utf8(&mut buffer);
                assert!(measure_bundled(letter, weight).1, "no glyph for {letter}");
            }
        }
    }
    assert_eq!(bundled().faces().count(), 2);
    assert!(bundled().faces().all(|face| face.families[0].0 == FAMILY));
}

#[test]
fn letters_with_their_marks() {
    let parts = |text: &'static str| clusters(text).collect::<Vec<_>>();
    assert_eq!(parts("né"), ["n", "é"]);
    assert_eq!(parts("ne\u{301}!"), ["n", "e\u{301}", "!"]);
    assert_eq!(parts("👩\u{200D}🔬x"), ["👩\u{200D}🔬", "x"]);
    assert_eq!(parts("बिल्ली"), ["बि", "ल्", "ली"]);
    assert_eq!(parts(""), [""; 0]);
}

#[test]
fn letters_that_no_font_has_are_boxes_and_told() {
    let mut scene = Scene::new(300.0, 40.0);
    scene.text(Text { size: 20.0, ..Text::new(10.0, 30.0, "猫と Кошка 🐱 बि") });
    let ((), missing) = with(Given::none(), || {
        assert_eq!(families("a猫と b"), [("a□□ b".to_owned(), None)]);
        scene.png(1.0).unwrap();
    });
    assert_eq!(missing.into_iter().collect::<String>(), "बと猫🐱");
    // Who looks at the SVG has fonts of his own.
    assert!(scene.svg().contains(">猫と Кошка 🐱 बि</text>"));
    let ((), missing) = with(Given::none(), || drop(Scene::new(9.0, 9.0).png(1.0).unwrap()));
    assert!(missing.is_empty());
}

#[test]
fn given_fonts_have_what_the_bundled_lack() {
    let ((), missing) = with(given(), || {
        let (cjk, arabic) = (Some(format!("{GIVEN}1")), Some(format!("{GIVEN}0")));
        assert_eq!(
            families("a猫犬 b"),
            [("a".to_owned(), None), ("猫犬".to_owned(), cjk), (" b".to_owned(), None)]
        );
        // Two words that are read from right to left are one run, or they would change places.
        assert_eq!(families("قطة سوداء"), [("قطة سوداء".to_owned(), arabic)]);
        let mut scene = Scene::new(300.0, 40.0);
        scene.text(Text { size: 20.0, ..Text::new(10.0, 30.0, "猫 और قطة") });
        scene.png(1.0).unwrap();
    });
    assert_eq!(missing.into_iter().collect::<String>(), "और");
    assert!(runs("猫", Weight::Regular)[0].family.is_none(), "the fonts went with the stage");

    let folder = tempfile::tempdir().unwrap();
    let read =
        || Given::read(&Files::from_folder(folder.path()).unwrap()).err().unwrap().to_string();
    assert_eq!(read(), "expected fonts (.ttf, .otf, .ttc, .otc) among 0 files");
    std::fs::write(folder.path().join("a.ttf"), "<html>").unwrap();
    assert_eq!(read(), "`a.ttf` is no TrueType or OpenType font");
}

/// The width that lines are broken by is what the rasteriser sets, and an anchor holds for all runs together.
#[test]
fn runs_are_set_side_by_side() {
    with(given(), || {
        let text = "cat 猫 قطة dog";
        for (anchor, start) in [(Anchor::Start, 0.0), (Anchor::Middle, 0.5), (Anchor::End, 1.0)] {
            let mut scene = Scene::new(600.0, 60.0);
            scene.text(Text { size: 20.0, anchor, ..Text::new(300.0, 40.0, text) });
            let svg = crate::svg::write_in_runs(&scene);
            let tree = usvg::Tree::from_str(&svg, &options()).unwrap();
            let mut boxes: Vec<(f64, f64)> = Vec::new();
            for node in tree.root().children() {
                if let usvg::Node::Text(text) = node {
                    let place = text.bounding_box();
                    boxes.push((f64::from(place.left()), f64::from(place.right())));
                }
            }
            let width = crate::font::text_width(text, 20.0, Weight::Regular);
            assert!(boxes.len() >= 3, "{boxes:?}");
            assert!((boxes[0].0 - (300.0 - start * width)).abs() < 1.0, "{boxes:?}");
            assert!(
                (boxes.last().unwrap().1 - boxes[0].0 - width).abs() < 1.0,
                "{boxes:?} {width}"
            );
            // A run of a space alone leaves nothing but its width.
            let space = crate::font::text_width(" ", 20.0, Weight::Regular);
            for pair in boxes.windows(2) {
                let gap = pair[1].0 - pair[0].1;
                assert!(gap.abs() < 1.0 || (gap - space).abs() < 1.0, "{boxes:?}");
            }
        }
    });
}

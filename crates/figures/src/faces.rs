//! The fonts: bundled ones, and those that a stage was given for letters that these lack.
//!
//! System fonts are never loaded, so that a picture has the same bytes everywhere. The bundled fonts are subsets of
//! [Inter](https://rsms.me/inter/) with digits of one width (Latin, Greek, Cyrillic; see `assets/`). A letter that no font
//! has is drawn as a box, and told.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use harfrust::{FontRef, ShapeOptions, ShaperData, UnicodeBuffer};
use resvg::usvg::{self, FontResolver, fontdb};
use sconce_core::error::IoResultExt;
use sconce_core::{Error, Files, Result};

use crate::font::FAMILY;

/// The weights that are bundled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weight {
    /// Body text.
    #[default]
    Regular,
    /// Titles and best values (600).
    SemiBold,
}

/// What stands in the place of a letter that no font has.
const BOX: char = '□';

/// How the given fonts are called in what the rasteriser gets: `sconce-font-3`.
const GIVEN: &str = "sconce-font-";

/// Letters of one font, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    /// The letters; boxes for those that no font has.
    pub(crate) text: String,
    /// The font's family in what the rasteriser gets; none for the bundled one.
    pub(crate) family: Option<String>,
    /// Their width in units of the font size.
    pub(crate) width: f64,
}

/// A font that can be measured with.
struct Face {
    bytes: Arc<Vec<u8>>,
    index: u32,
    data: ShaperData,
}

impl Face {
    fn new(bytes: Arc<Vec<u8>>, index: u32) -> Option<Self> {
        let data = ShaperData::new(&FontRef::from_index(&bytes, index).ok()?);
        Some(Self { bytes, index, data })
    }

    /// Width of `text` in units of the font size, and whether the font has all its letters.
    fn measure(&self, text: &str) -> (f64, bool) {
        let Ok(font) = FontRef::from_index(&self.bytes, self.index) else { return (0.0, false) };
        measure(&font, &self.data, text)
    }
}

fn measure(font: &FontRef<'_>, data: &ShaperData, text: &str) -> (f64, bool) {
    let shaper = data.shaper(font).build();
    let mut buffer = UnicodeBuffer::new();
    buffer.push_str(text);
    buffer.guess_segment_properties();
    let shaped = shaper.shape(buffer, ShapeOptions::new());
    let advance: i32 = shaped.glyph_positions().iter().map(|position| position.x_advance).sum();
    let known = shaped.glyph_infos().iter().all(|info| info.glyph_id != 0);
    (f64::from(advance) / f64::from(shaper.units_per_em()), known)
}

const REGULAR: &[u8] = include_bytes!("../assets/Inter-Regular.otf");
const SEMI_BOLD: &[u8] = include_bytes!("../assets/Inter-SemiBold.otf");

/// [`measure`] with a bundled font.
fn measure_bundled(text: &str, weight: Weight) -> (f64, bool) {
    type Bundled = OnceLock<Option<(FontRef<'static>, ShaperData)>>;
    static REGULAR_FACE: Bundled = OnceLock::new();
    static SEMI_BOLD_FACE: Bundled = OnceLock::new();
    let (cell, bytes) = match weight {
        Weight::Regular => (&REGULAR_FACE, REGULAR),
        Weight::SemiBold => (&SEMI_BOLD_FACE, SEMI_BOLD),
    };
    let face = cell.get_or_init(|| {
        let font = FontRef::new(bytes).ok()?;
        let data = ShaperData::new(&font);
        Some((font, data))
    });
    face.as_ref().map_or((0.0, false), |(font, data)| measure(font, data, text))
}

/// The bundled fonts as the rasteriser wants them.
fn bundled() -> Arc<fontdb::Database> {
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

/// Fonts that a stage was given.
pub struct Given {
    database: Arc<fontdb::Database>,
    faces: Vec<GivenFace>,
    /// Which letters (with the marks behind them) a font has.
    known: RefCell<BTreeMap<(usize, String), bool>>,
}

struct GivenFace {
    id: fontdb::ID,
    weight: u16,
    upright: bool,
    face: Face,
}

impl Given {
    /// No fonts but the bundled ones.
    pub fn none() -> Self {
        Self { database: bundled(), faces: Vec::new(), known: RefCell::default() }
    }

    /// The fonts among `files`: `.ttf`, `.otf`, `.ttc` and `.otc`.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn read(files: &Files) -> Result<Self> {
        let mut database = (*bundled()).clone();
        let mut faces = Vec::new();
        for (name, _, path) in files.iter() {
            let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
            if !ending.is_some_and(|ending| ["ttf", "otf", "ttc", "otc"].contains(&&*ending)) {
                continue;
            }
            let bytes = Arc::new(std::fs::read(path).at(name)?);
            let ids = database.load_font_source(fontdb::Source::Binary(bytes.clone()));
            for id in &ids {
                let Some(info) = database.face(*id) else { continue };
                let (weight, upright) = (info.weight.0, info.style == fontdb::Style::Normal);
                if let Some(face) = Face::new(bytes.clone(), info.index) {
                    faces.push(GivenFace { id: *id, weight, upright, face });
                }
            }
            if ids.is_empty() {
                return Err(Error::message(format!("`{name}` is no TrueType or OpenType font")));
            }
        }
        if faces.is_empty() {
            return Err(Error::message(format!(
                "expected fonts (.ttf, .otf, .ttc, .otc) among {} files",
                files.len()
            )));
        }
        Ok(Self { database: Arc::new(database), faces, known: RefCell::default() })
    }

    /// The fonts' places, those of this weight first.
    fn order(&self, weight: Weight) -> Vec<usize> {
        let wanted: u16 = if weight == Weight::SemiBold { 600 } else { 400 };
        let mut order: Vec<usize> = (0..self.faces.len()).collect();
        order.sort_by_key(|&place| {
            let GivenFace { weight, upright, .. } = self.faces[place];
            (!upright, weight.abs_diff(wanted), place)
        });
        order
    }

    fn has(&self, place: usize, letters: &str) -> bool {
        let key = (place, letters.to_owned());
        if let Some(known) = self.known.borrow().get(&key) {
            return *known;
        }
        let known = self.faces[place].face.measure(letters).1;
        self.known.borrow_mut().insert(key, known);
        known
    }
}

thread_local! {
    static HERE: RefCell<Option<Rc<Given>>> = const { RefCell::new(None) };
    static MISSING: RefCell<BTreeSet<char>> = const { RefCell::new(BTreeSet::new()) };
}

/// What `draw` gives with the fonts `given` at hand in this thread, and the letters that were drawn as boxes.
pub fn with<T>(given: Given, draw: impl FnOnce() -> T) -> (T, BTreeSet<char>) {
    /// Puts back what was there, also where `draw` panics.
    struct Back(Option<Rc<Given>>, BTreeSet<char>);
    impl Drop for Back {
        fn drop(&mut self) {
            HERE.set(self.0.take());
            MISSING.set(std::mem::take(&mut self.1));
        }
    }
    let back = Back(HERE.replace(Some(Rc::new(given))), MISSING.take());
    let drawn = draw();
    let missing = MISSING.take();
    drop(back);
    (drawn, missing)
}

fn here() -> Rc<Given> {
    HERE.with_borrow(std::clone::Clone::clone).unwrap_or_else(|| Rc::new(Given::none()))
}

/// The rasteriser's options, with all fonts.
pub(crate) fn options() -> usvg::Options<'static> {
    let given = here();
    let ids: Vec<fontdb::ID> = given.faces.iter().map(|face| face.id).collect();
    let usual = FontResolver::default_font_selector();
    let select = move |font: &usvg::Font, database: &mut Arc<fontdb::Database>| {
        let number = font.families().iter().find_map(|family| match family {
            usvg::FontFamily::Named(name) => name.strip_prefix(GIVEN)?.parse::<usize>().ok(),
            _ => None,
        });
        match number.and_then(|number| ids.get(number)) {
            Some(id) => Some(*id),
            None => usual(font, database),
        }
    };
    usvg::Options {
        font_family: FAMILY.to_owned(),
        fontdb: given.database.clone(),
        font_resolver: FontResolver {
            select_font: Box::new(select),
            // Runs are of one font each: there is nothing to fall back to.
            select_fallback: Box::new(|_, _, _| None),
        },
        ..Default::default()
    }
}

/// Remembers which letters of `text` were drawn as boxes.
pub(crate) fn tell_missing(text: &str, weight: Weight) {
    let given = here();
    let missing = clusters(text).filter(|letters| font_of(&given, letters, weight).is_none());
    let letters: BTreeSet<char> = missing.filter_map(|letters| letters.chars().next()).collect();
    MISSING.with_borrow_mut(|missing| missing.extend(letters));
}

/// `text` in runs of one font each.
pub(crate) fn runs(text: &str, weight: Weight) -> Vec<Run> {
    let (width, known) = measure_bundled(text, weight);
    if known {
        return vec![Run { text: text.to_owned(), family: None, width }];
    }
    let given = here();
    let clusters: Vec<&str> = clusters(text).collect();
    // 0 for the bundled font and for boxes, else a given font's place and one.
    let mut fonts: Vec<usize> = Vec::with_capacity(clusters.len());
    let mut letters: Vec<&str> = Vec::with_capacity(clusters.len());
    let mut buffer = [0; 4];
    let boxed: &str = BOX.encode_utf8(&mut buffer);
    for cluster in clusters {
        let font = font_of(&given, cluster, weight);
        fonts.push(font.unwrap_or(0));
        letters.push(if font.is_some() { cluster } else { boxed });
    }
    keep_together(&given, &letters, &mut fonts);
    let mut runs: Vec<(usize, String)> = Vec::new();
    for (font, letters) in fonts.into_iter().zip(letters) {
        match runs.last_mut() {
            Some((last, run)) if *last == font => run.push_str(letters),
            _ => runs.push((font, letters.to_owned())),
        }
    }
    let run = |(font, text): (usize, String)| match font.checked_sub(1) {
        None => Run { width: measure_bundled(&text, weight).0, text, family: None },
        Some(place) => {
            let width = given.faces[place].face.measure(&text).0;
            Run { width, text, family: Some(format!("{GIVEN}{place}")) }
        }
    };
    runs.into_iter().map(run).collect()
}

/// Spaces and signs between letters of one font are set in it too: words that are read from right to left stay in order.
fn keep_together(given: &Given, letters: &[&str], fonts: &mut [usize]) {
    let neutral = |letters: &str| !letters.chars().any(char::is_alphanumeric) && letters != "□";
    let mut at = 0;
    while at < fonts.len() {
        let Some(place) = fonts[at].checked_sub(1) else {
            at += 1;
            continue;
        };
        let mut next = at + 1;
        while next < fonts.len()
            && fonts[next] == 0
            && neutral(letters[next])
            && given.has(place, letters[next])
        {
            next += 1;
        }
        if next < fonts.len() && fonts[next] == fonts[at] {
            let font = fonts[at];
            fonts[at..next].fill(font);
        }
        at = next;
    }
}

/// The font that has `letters`: 0 for the bundled one, else a given font's place and one; none where no font has them.
fn font_of(given: &Given, letters: &str, weight: Weight) -> Option<usize> {
    let invisible = |c: char| c.is_whitespace() || c.is_control() || joins(c) && !is_mark(c);
    if letters.chars().all(invisible) || measure_bundled(letters, weight).1 {
        return Some(0);
    }
    given.order(weight).into_iter().find(|place| given.has(*place, letters)).map(|place| place + 1)
}

/// Letters with the marks behind them.
fn clusters(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut letters = rest.char_indices();
        letters.next()?;
        let mut joined = false;
        let end = letters.find(|(_, letter)| {
            let goes_on = joined || joins(*letter);
            joined = *letter == '\u{200D}';
            !goes_on
        });
        let (cluster, left) = rest.split_at(end.map_or(rest.len(), |(end, _)| end));
        rest = left;
        Some(cluster)
    })
}

/// Whether a letter belongs to the one before it: combining marks, joiners, variation selectors, vowel signs and viramas of
/// Brahmic scripts, skin tones.
fn joins(letter: char) -> bool {
    is_mark(letter)
        || matches!(letter, '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

fn is_mark(letter: char) -> bool {
    matches!(letter,
        '\u{0300}'..='\u{036F}' | '\u{0483}'..='\u{0489}' | '\u{0591}'..='\u{05BD}' | '\u{0610}'..='\u{061A}'
        | '\u{064B}'..='\u{065F}' | '\u{0670}' | '\u{06D6}'..='\u{06DC}' | '\u{06DF}'..='\u{06E4}'
        | '\u{0E31}' | '\u{0E34}'..='\u{0E3A}' | '\u{0E47}'..='\u{0E4E}'
        | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}' | '\u{3099}'..='\u{309A}'
        | '\u{1F3FB}'..='\u{1F3FF}')
        // The blocks of India's scripts are alike: signs at the same places of each.
        || ('\u{0900}'..='\u{0D7F}').contains(&letter)
            && matches!(u32::from(letter) % 0x80, 0x00..=0x03 | 0x3A..=0x3C | 0x3E..=0x4F | 0x51..=0x57 | 0x62..=0x63)
}

#[cfg(test)]
mod tests;

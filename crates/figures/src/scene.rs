//! A picture as a list of shapes: written as SVG, and from that SVG rasterised.

use image::RgbImage;
use resvg::{tiny_skia, usvg};

use crate::color::{Color, INK};
use crate::font::{self, CAP_HEIGHT, DESCENT, LINE_HEIGHT, Weight};
use crate::{Error, Result, faces, raster, svg};

/// Pixels a side that a rasterised picture may have.
pub(crate) const LARGEST: u32 = 16_384;

/// A line's colour, width and dashes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stroke {
    /// Colour.
    pub color: Color,
    /// Width.
    pub width: f64,
    /// Length of dash and gap; none for a solid line.
    pub dash: Option<(f64, f64)>,
}

impl Stroke {
    /// A solid line.
    pub const fn new(color: Color, width: f64) -> Self {
        Self { color, width, dash: None }
    }
}

/// Where a text's `x` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anchor {
    /// At its left end.
    #[default]
    Start,
    /// In its middle.
    Middle,
    /// At its right end.
    End,
}

/// One line of text.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Horizontal place of the anchor.
    pub x: f64,
    /// The baseline.
    pub y: f64,
    /// The words.
    pub content: String,
    /// Font size.
    pub size: f64,
    /// Weight.
    pub weight: Weight,
    /// Colour.
    pub color: Color,
    /// Which part of the text is at `x`.
    pub anchor: Anchor,
    /// Clockwise rotation about (x, y) in degrees.
    pub angle: f64,
}

impl Text {
    /// Text of size 12 that starts at (x, y).
    pub fn new(x: f64, y: f64, content: impl Into<String>) -> Self {
        Self {
            x,
            y,
            content: content.into(),
            size: 12.0,
            weight: Weight::Regular,
            color: INK,
            anchor: Anchor::Start,
            angle: 0.0,
        }
    }

    /// The same text with its capitals centred on `y`.
    pub fn centered_on(mut self, y: f64) -> Self {
        self.y = y + self.size * CAP_HEIGHT / 2.0;
        self
    }

    /// Width as set.
    pub fn width(&self) -> f64 {
        font::text_width(&self.content, self.size, self.weight)
    }

    /// The box around the text: left, top, right, bottom.
    pub fn bounds(&self) -> [f64; 4] {
        let width = self.width();
        let left = match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::End => -width,
        };
        let (top, bottom) = (-self.size * CAP_HEIGHT, self.size * DESCENT);
        let (sin, cos) = self.angle.to_radians().sin_cos();
        let corners = [(left, top), (left + width, top), (left, bottom), (left + width, bottom)]
            .map(|(x, y)| (self.x + x * cos - y * sin, self.y + x * sin + y * cos));
        let fold = |pick: fn(f64, f64) -> f64, along: fn(&(f64, f64)) -> f64, start: f64| {
            corners.iter().map(along).fold(start, pick)
        };
        [
            fold(f64::min, |c| c.0, f64::INFINITY),
            fold(f64::min, |c| c.1, f64::INFINITY),
            fold(f64::max, |c| c.0, f64::NEG_INFINITY),
            fold(f64::max, |c| c.1, f64::NEG_INFINITY),
        ]
    }
}

/// A shape.
#[derive(Debug, Clone)]
pub enum Item {
    /// A rectangle.
    Rect {
        /// Left, top, width, height.
        place: [f64; 4],
        /// Ground.
        fill: Option<Color>,
        /// Border.
        stroke: Option<Stroke>,
    },
    /// Straight lines from point to point.
    Path {
        /// The corners.
        points: Vec<(f64, f64)>,
        /// Whether the last point is joined with the first.
        closed: bool,
        /// Ground.
        fill: Option<Color>,
        /// Line.
        stroke: Option<Stroke>,
    },
    /// A disc.
    Circle {
        /// The centre.
        center: (f64, f64),
        /// The radius.
        radius: f64,
        /// Ground.
        fill: Color,
        /// Border.
        stroke: Option<Stroke>,
    },
    /// A line of text.
    Text(Text),
    /// Pixels.
    Image {
        /// Left, top, width, height.
        place: [f64; 4],
        /// The pixels.
        image: RgbImage,
        /// Whether pixels stay squares when enlarged.
        pixelated: bool,
    },
    /// Shapes moved together.
    Group {
        /// To the right.
        dx: f64,
        /// Down.
        dy: f64,
        /// The shapes.
        items: Vec<Self>,
    },
}

/// A picture: size in CSS pixels, white ground, shapes in drawing order.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
    items: Vec<Item>,
}

impl Scene {
    /// An empty picture.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, items: Vec::new() }
    }

    /// Adds a shape.
    pub fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    /// Adds a filled rectangle.
    pub fn rect(&mut self, place: [f64; 4], fill: Color) {
        self.push(Item::Rect { place, fill: Some(fill), stroke: None });
    }

    /// Adds the border of a rectangle.
    pub fn frame(&mut self, place: [f64; 4], stroke: Stroke) {
        self.push(Item::Rect { place, fill: None, stroke: Some(stroke) });
    }

    /// Adds a straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        self.push(Item::Path {
            points: vec![from, to],
            closed: false,
            fill: None,
            stroke: Some(stroke),
        });
    }

    /// Adds a line of text.
    pub fn text(&mut self, text: Text) {
        self.push(Item::Text(text));
    }

    /// Adds lines of text below each other, the first with its baseline at `text.y`; gives the last baseline.
    pub fn paragraph(&mut self, text: &Text, lines: &[String]) -> f64 {
        let mut y = text.y;
        for (index, line) in lines.iter().enumerate() {
            y = text.y + index as f64 * text.size * LINE_HEIGHT;
            self.text(Text { y, content: line.clone(), ..text.clone() });
        }
        y
    }

    /// Adds pixels.
    pub fn image(&mut self, place: [f64; 4], image: RgbImage, pixelated: bool) {
        self.push(Item::Image { place, image, pixelated });
    }

    /// Adds all of `other` with its corner at (x, y).
    pub fn place(&mut self, x: f64, y: f64, other: Self) {
        self.push(Item::Group { dx: x, dy: y, items: other.items });
    }

    /// All texts, in the picture's coordinates.
    pub fn texts(&self) -> Vec<Text> {
        fn walk(items: &[Item], dx: f64, dy: f64, found: &mut Vec<Text>) {
            for item in items {
                match item {
                    Item::Text(text) => {
                        found.push(Text { x: text.x + dx, y: text.y + dy, ..text.clone() });
                    }
                    Item::Group { dx: x, dy: y, items } => walk(items, dx + x, dy + y, found),
                    _ => {}
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.items, 0.0, 0.0, &mut found);
        found
    }

    /// The shapes, in drawing order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The picture as SVG text; images are inlined, fonts are named.
    pub fn svg(&self) -> String {
        svg::write(self)
    }

    /// The picture in pixels, `scale` of them for each CSS pixel.
    pub fn pixels(&self, scale: f64) -> Result<RgbImage> {
        let (width, height) = ((self.width * scale).ceil(), (self.height * scale).ceil());
        let fits = |side: f64| side >= 1.0 && side <= f64::from(LARGEST);
        if !fits(width) || !fits(height) {
            return Err(Error::TooLarge { width, height, limit: LARGEST });
        }
        let tree = usvg::Tree::from_str(&svg::write_in_runs(self), &faces::options())?;
        let (width, height) = (width as u32, height as u32);
        let mut pixmap = tiny_skia::Pixmap::new(width, height).ok_or(Error::TooLarge {
            width: f64::from(width),
            height: f64::from(height),
            limit: LARGEST,
        })?;
        pixmap.fill(tiny_skia::Color::WHITE);
        let scale = scale as f32;
        resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixmap.as_mut());
        // The ground is opaque, so that premultiplied colours are the colours.
        let rgb = pixmap
            .data()
            .chunks_exact(4)
            .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
            .collect();
        RgbImage::from_raw(width, height, rgb)
            .ok_or_else(|| Error::Value("the drawing surface has a wrong size".to_owned()))
    }

    /// The picture as PNG, `scale` pixels for each CSS pixel.
    pub fn png(&self, scale: f64) -> Result<Vec<u8>> {
        raster::encode_png(&self.pixels(scale)?)
    }
}

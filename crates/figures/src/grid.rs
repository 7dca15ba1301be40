//! Images in rows and columns with labels and captions.

use image::RgbImage;

use crate::color::{Color, FRAME, INK, MUTED};
use crate::font::{self, CAP_HEIGHT, LINE_HEIGHT, Weight};
use crate::frame::{LABEL, SMALL, Words, framed};
use crate::scene::{Anchor, Scene, Stroke, Text};
use crate::{Error, Result, raster};

/// One place of a grid.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// The image; it keeps its shape. None leaves the place free.
    pub image: Option<RgbImage>,
    /// Below the image, at most three lines; `\n` begins a new one.
    pub caption: String,
    /// The colour of a frame that sets this cell apart.
    pub frame: Option<Color>,
}

impl Cell {
    /// An image without caption.
    pub fn new(image: RgbImage) -> Self {
        Self { image: Some(image), ..Self::default() }
    }

    /// An image with a caption.
    pub fn captioned(image: RgbImage, caption: impl Into<String>) -> Self {
        Self { image: Some(image), caption: caption.into(), frame: None }
    }
}

/// A row of a grid.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// At the row's left; broken into lines.
    pub label: String,
    /// The cells, from the left.
    pub cells: Vec<Cell>,
}

/// Images in rows and columns: sample sheets, saliency rows, generated samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Title and caption.
    pub words: Words,
    /// Above the columns; empty for none.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
    /// Width of an image's place, in CSS pixels.
    pub cell: f64,
    /// Distance between places.
    pub gap: f64,
    /// Whether pixels stay squares when an image is enlarged: digits, small maps.
    pub pixelated: bool,
    /// Pixels for each CSS pixel that images are kept at.
    pub density: f64,
}

/// Lines that a caption may have.
const CAPTION_LINES: usize = 3;
const LONGEST_LABEL: f64 = 130.0;

impl Grid {
    /// Rows of images, `cell` CSS pixels each.
    pub fn new(words: Words, rows: Vec<Row>, cell: f64) -> Self {
        Self { words, columns: Vec::new(), rows, cell, gap: 6.0, pixelated: false, density: 2.0 }
    }

    /// Images in rows of `columns`, without row labels.
    pub fn of_cells(words: Words, cells: Vec<Cell>, columns: usize, cell: f64) -> Self {
        let mut rows = Vec::new();
        let mut cells = cells.into_iter().peekable();
        while cells.peek().is_some() {
            rows.push(Row {
                label: String::new(),
                cells: cells.by_ref().take(columns.max(1)).collect(),
            });
        }
        Self::new(words, rows, cell)
    }

    /// Draws the grid.
    pub fn scene(&self) -> Result<Scene> {
        Ok(framed(&self.words, self.content()?, crate::frame::LEAST_WIDTH))
    }

    /// Draws the grid without its words, for a picture of several grids.
    pub fn content(&self) -> Result<Scene> {
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        if columns == 0 {
            return Err(Error::Empty("the grid", "image"));
        }
        if !(self.cell.is_finite() && self.cell >= 1.0) {
            return Err(Error::Value(format!("cells of {} pixels: expected 1 or more", self.cell)));
        }
        let words = self
            .rows
            .iter()
            .flat_map(|row| font::wrap(&row.label, LABEL, Weight::Regular, LONGEST_LABEL));
        let label =
            words.map(|line| font::text_width(&line, LABEL, Weight::Regular)).fold(0.0, f64::max);
        let left = if label > 0.0 { label.ceil() + 12.0 } else { 0.0 };
        let step = self.cell + self.gap;
        let mut scene = Scene::new(left + step * columns as f64 - self.gap, 0.0);
        let mut y = self.draw_columns(&mut scene, left, step);
        for row in &self.rows {
            let height = row
                .cells
                .iter()
                .filter_map(|cell| cell.image.as_ref())
                .map(|image| self.fit(image).1);
            let height = height.fold(0.0, f64::max);
            let height = if height > 0.0 { height } else { self.cell };
            self.draw_label(&mut scene, &row.label, left, y + height / 2.0);
            let mut lines = 0;
            for (column, cell) in row.cells.iter().enumerate() {
                let x = left + step * column as f64;
                self.draw_image(&mut scene, cell, (x, y), height);
                lines = lines.max(self.draw_caption(&mut scene, cell, (x, y + height)));
            }
            let captions = if lines == 0 { 0.0 } else { 5.0 + lines as f64 * SMALL * LINE_HEIGHT };
            y += height + captions + self.gap;
        }
        scene.height = y - self.gap;
        Ok(scene)
    }

    /// Width and height at which an image is shown.
    fn fit(&self, image: &RgbImage) -> (f64, f64) {
        let (width, height) = (f64::from(image.width().max(1)), f64::from(image.height().max(1)));
        let scale = self.cell / width.max(height);
        (width * scale, height * scale)
    }

    fn draw_columns(&self, scene: &mut Scene, left: f64, step: f64) -> f64 {
        let wrapped: Vec<Vec<String>> = self
            .columns
            .iter()
            .map(|name| font::wrap(name, SMALL, Weight::SemiBold, self.cell))
            .collect();
        let lines = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        if lines == 0 {
            return 0.0;
        }
        let height = lines as f64 * SMALL * LINE_HEIGHT;
        for (column, name) in wrapped.iter().enumerate() {
            let x = left + step * column as f64 + self.cell / 2.0;
            // Short names stand just above the images.
            let top = height - name.len() as f64 * SMALL * LINE_HEIGHT;
            let text = Text {
                size: SMALL,
                weight: Weight::SemiBold,
                color: INK,
                anchor: Anchor::Middle,
                ..Text::new(x, top + SMALL * CAP_HEIGHT, "")
            };
            scene.paragraph(&text, name);
        }
        height + 4.0
    }

    fn draw_label(&self, scene: &mut Scene, label: &str, left: f64, middle: f64) {
        let lines = font::wrap(label, LABEL, Weight::Regular, LONGEST_LABEL);
        let first = middle - (lines.len().saturating_sub(1)) as f64 * LABEL * LINE_HEIGHT / 2.0;
        let text = Text {
            size: LABEL,
            color: INK,
            anchor: Anchor::End,
            ..Text::new(left - 12.0, 0.0, "")
        };
        scene.paragraph(&text.centered_on(first), &lines);
    }

    fn draw_image(&self, scene: &mut Scene, cell: &Cell, (x, y): (f64, f64), row: f64) {
        let Some(image) = &cell.image else { return };
        let (width, height) = self.fit(image);
        let place = [x + (self.cell - width) / 2.0, y + (row - height) / 2.0, width, height];
        let kept = raster::shrink(image, (self.cell * self.density).ceil() as u32);
        scene.image(place, kept, self.pixelated);
        match cell.frame {
            Some(color) => scene.frame(place, Stroke::new(color, 3.0)),
            None => scene.frame(place, Stroke::new(FRAME.with_alpha(0.6), 0.5)),
        }
    }

    fn draw_caption(&self, scene: &mut Scene, cell: &Cell, (x, y): (f64, f64)) -> usize {
        let mut lines = font::wrap(&cell.caption, SMALL, Weight::Regular, self.cell);
        if lines.len() > CAPTION_LINES {
            lines.truncate(CAPTION_LINES);
            if let Some(last) = lines.last_mut() {
                *last = font::shorten(&format!("{last} …"), SMALL, Weight::Regular, self.cell);
            }
        }
        let middle = x + self.cell / 2.0;
        let text = Text {
            size: SMALL,
            color: MUTED,
            anchor: Anchor::Middle,
            ..Text::new(middle, y + 5.0 + SMALL * CAP_HEIGHT, "")
        };
        scene.paragraph(&text, &lines);
        lines.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawn::{assert_well_drawn, photograph};

    #[test]
    fn a_sheet_of_classes() {
        let rows = ["bedroom", "tall building", "Yorkshire terrier, a small dog", "x"]
            .iter()
            .enumerate()
            .map(|(row, name)| Row {
                label: (*name).to_owned(),
                cells: (0..8)
                    .map(|i| {
                        Cell::captioned(
                            photograph(200 + 20 * row as u32, 150, (row * 8 + i) as u32),
                            "n01440764.JPEG",
                        )
                    })
                    .collect(),
            })
            .collect();
        let grid = Grid::new(
            Words::new("Samples", "Eight images of each class, drawn with seed 0."),
            rows,
            72.0,
        );
        assert_well_drawn("sheet", &grid.scene().unwrap());
    }

    #[test]
    fn labels_frames_and_missing_cells() {
        let cells = vec![
            Cell {
                frame: Some(crate::color::series_color(1)),
                ..Cell::captioned(photograph(28, 28, 1), "3 → 8")
            },
            Cell::default(),
            Cell::captioned(
                photograph(28, 28, 2),
                "a caption that has to be broken and then cut because it is long\nsecond",
            ),
        ];
        let mut grid =
            Grid::new(Words::default(), vec![Row { label: "fooled".to_owned(), cells }], 96.0);
        grid.columns =
            vec!["original".to_owned(), "difference × 10".to_owned(), "σ = 0.15".to_owned()];
        grid.pixelated = true;
        let scene = grid.scene().unwrap();
        assert_well_drawn("grid", &scene);
        let cut = scene.texts().into_iter().any(|text| text.content.ends_with('…'));
        assert!(cut, "the long caption is cut");
    }

    #[test]
    fn enlarged_pixels_stay_squares() {
        let mut image = RgbImage::new(2, 2);
        image.put_pixel(0, 0, image::Rgb([255, 0, 0]));
        let mut grid = Grid::of_cells(Words::default(), vec![Cell::new(image)], 1, 40.0);
        grid.pixelated = true;
        let pixels = grid.content().unwrap().pixels(1.0).unwrap();
        assert_eq!(pixels.get_pixel(18, 18).0, [255, 0, 0]);
        assert_eq!(pixels.get_pixel(22, 18).0, [0, 0, 0]);
    }

    #[test]
    fn cells_are_laid_in_rows() {
        let cells = vec![Cell::new(RgbImage::new(4, 4)); 10];
        let grid = Grid::of_cells(Words::default(), cells, 4, 20.0);
        assert_eq!(grid.rows.iter().map(|row| row.cells.len()).collect::<Vec<_>>(), [4, 4, 2]);
        let none = Grid::of_cells(Words::default(), vec![], 4, 20.0).scene();
        assert_eq!(none.unwrap_err().to_string(), "the grid is empty: expected at least one image");
    }
}

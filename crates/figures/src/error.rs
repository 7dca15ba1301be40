//! What keeps a picture from being drawn.

/// Why a picture, a table or an animation could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to show.
    #[error("{0} is empty: expected at least one {1}")]
    Empty(&'static str, &'static str),
    /// Parts do not fit together.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Which part.
        what: String,
        /// What it should have been.
        expected: String,
        /// What it was.
        found: String,
    },
    /// A value cannot be drawn.
    #[error("{0}")]
    Value(String),
    /// The picture would be larger than what is sensible.
    #[error("the picture would be {width} × {height} pixels: expected at most {limit} a side")]
    TooLarge {
        /// Width in pixels.
        width: f64,
        /// Height in pixels.
        height: f64,
        /// The limit.
        limit: u32,
    },
    /// The SVG could not be read back; a fault of this crate.
    #[error("drawing the picture")]
    Svg(#[from] resvg::usvg::Error),
    /// An image could not be encoded or decoded.
    #[error("coding the image")]
    Image(#[from] image::ImageError),
    /// A GIF could not be encoded.
    #[error("coding the animation")]
    Gif(#[from] gif::EncodingError),
}

impl Error {
    pub(crate) fn shape(
        what: impl Into<String>,
        expected: impl std::fmt::Display,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Shape { what: what.into(), expected: expected.to_string(), found: found.to_string() }
    }
}

/// The result of drawing.
pub type Result<T, E = Error> = std::result::Result<T, E>;

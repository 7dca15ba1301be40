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
    /// A name that nothing has.
    #[error("no {what} `{name}`; there are: {known}{hint}")]
    Unknown {
        /// What is named: a column, a metric.
        what: &'static str,
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
        /// The name that was perhaps meant, in words.
        hint: String,
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
    pub(crate) fn unknown<'a>(
        what: &'static str,
        name: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> Self {
        let close = known
            .clone()
            .map(|other| (strsim::damerau_levenshtein(name, other), other))
            .filter(|(distance, other)| *distance <= other.chars().count().max(3) / 3)
            .min_by_key(|(distance, _)| *distance);
        let hint = close.map(|(_, other)| format!("; did you mean `{other}`?"));
        let known: Vec<&str> = known.collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Self::Unknown { what, name: name.to_owned(), known, hint: hint.unwrap_or_default() }
    }

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

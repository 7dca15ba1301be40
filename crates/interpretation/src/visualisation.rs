//! Class visualisation: pictures that a network takes for a class, made by gradient ascent on its score.
//!
//! [`pixels::PixelAscent`] changes the pixels themselves; Simonyan, Vedaldi and Zisserman, "Deep inside convolutional
//! networks", 2014, with the blur and jitter of Yosinski et al., "Understanding neural networks through deep
//! visualization", 2015. [`fourier::FourierAscent`] changes decorrelated frequencies under random transforms; Olah,
//! Mordvintsev and Schubert, "Feature visualization", 2017. [`verdict`] asks a network what it sees.

pub mod color;
pub mod fourier;
pub mod picture;
pub mod pixels;
pub mod score;
pub mod spectrum;
pub mod standard;
pub mod transform;
pub mod verdict;
pub mod views;

#[cfg(test)]
mod tests;

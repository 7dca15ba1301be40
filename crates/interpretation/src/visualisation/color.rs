//! Colours without correlation.

use candle_core::{Device, Result, Tensor};
use sconce_data::Channels;
use sconce_ops::activation::tanh;
use sconce_ops::linear::matmul;

/// A square root of the covariance of red, green and blue over ImageNet's pixels, from Lucid (`color_correlation_svd_sqrt`).
/// Its first column is brightness, its second blue against yellow, its third green against magenta.
const ROOT: [[f64; 3]; 3] = [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]];

/// The matrix that gives colours their correlation: Lucid's root of the covariance of ImageNet's colours over the length of
/// its longest column.
pub fn correlation() -> [[f64; 3]; 3] {
    let length = |column: usize| ROOT.iter().map(|row| row[column].powi(2)).sum::<f64>().sqrt();
    let longest = (0..3).map(length).fold(0.0, f64::max);
    ROOT.map(|row| row.map(|value| value / longest))
}

/// The matrix as a tensor for channels in this order, `(channels, channels)`; for grey it is 1.
///
/// # Errors
/// When the device has no room.
pub fn matrix(channels: Channels, device: &Device) -> Result<Tensor> {
    let mut rows = correlation();
    match channels {
        Channels::Grey => return Tensor::from_vec(vec![1f32], (1, 1), device),
        Channels::Rgb => {}
        // Only what comes out is in the network's order; the independent colours have none.
        Channels::Bgr => rows.reverse(),
    }
    let values = rows.iter().flatten().map(|&value| value as f32).collect();
    Tensor::from_vec(values, (3, 3), device)
}

/// Samples 0–255, `(1, channels, height, width)`, of independent colours `(channels, height, width)` without bounds:
/// `255 · sigmoid(matrix · x)`. The gradient passes.
///
/// # Errors
/// When the channels do not fit.
pub fn to_pixels(independent: &Tensor, matrix: &Tensor) -> Result<Tensor> {
    let (channels, height, width) = independent.dims3()?;
    let colors = matmul(matrix, &independent.reshape((channels, height * width))?)?;
    // sigmoid(x) = (1 + tanh(x / 2)) / 2 overflows nowhere.
    let sigmoid = (tanh(&(colors / 2.0)?)?.affine(0.5, 0.5)? * 255.0)?;
    sigmoid.reshape((1, channels, height, width))
}

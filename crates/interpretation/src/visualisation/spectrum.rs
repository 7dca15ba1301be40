//! Pictures as frequencies: the inverse real Fourier transform in two dimensions, as matrix products.

use sconce_ops::elementary::hypot;
use std::f64::consts::TAU;

use candle_core::{Device, Result, Tensor};
use sconce_ops::linear::linear;
use sconce_ops::transposed::transposed;

/// The inverse of the real discrete Fourier transform of `height × width` pictures, with a weight for each frequency.
///
/// A spectrum is `(channels, height, 2 · (⌊width / 2⌋ + 1))`: the real parts of the frequencies, then the imaginary ones,
/// in the order of NumPy's `rfft2`. The picture is `irfft2(weight · spectrum)`. Both directions are products with
/// matrices of cosines and sines, so that gradients pass.
pub struct Spectrum {
    height: usize,
    width: usize,
    /// `(height, 2 · half)`.
    weights: Tensor,
    /// From a row of frequencies to rows of real and imaginary parts: `(2 · width, 2 · half)`.
    rows: Tensor,
    /// From a column of real and imaginary parts to a column of the picture: `(height, 2 · height)`.
    columns: Tensor,
}

impl Spectrum {
    /// Frequencies `f` (in periods a pixel) weigh `√(height · width) / max(f, 1 / max(height, width))^decay`: with
    /// `decay` 1 as they do in photographs, with 0 all alike. Olah et al. 2017, as in their library Lucid.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn new(height: usize, width: usize, decay: f64, device: &Device) -> Result<Self> {
        let half = width / 2 + 1;
        let frequency = |i: usize, n: usize| {
            let signed = if 2 * i < n + n % 2 { i as f64 } else { i as f64 - n as f64 };
            signed / n as f64
        };
        let lowest = 1.0 / height.max(width).max(1) as f64;
        let size = ((height * width) as f64).sqrt();
        let mut weights = vec![0f32; height * 2 * half];
        for (k, row) in weights.chunks_exact_mut((2 * half).max(1)).enumerate() {
            for l in 0..half {
                let across = l as f64 / width.max(1) as f64;
                let radius = hypot(frequency(k, height), across).max(lowest);
                row[l] = (size / radius.powf(decay)) as f32;
                row[half + l] = row[l];
            }
        }
        // Each frequency but the first, and the last of an even width, stands for its conjugate too.
        let twice = |l: usize| if l == 0 || 2 * l == width { 1.0 } else { 2.0 };
        let mut rows = vec![0f32; 2 * width * 2 * half];
        for n in 0..width {
            for l in 0..half {
                let (sin, cos) = (TAU * ((l * n) % width) as f64 / width as f64).sin_cos();
                let c = twice(l) / width as f64;
                let at = |row: usize, column: usize| row * 2 * half + column;
                rows[at(n, l)] = (c * cos) as f32;
                rows[at(n, half + l)] = (-c * sin) as f32;
                rows[at(width + n, l)] = (c * sin) as f32;
                rows[at(width + n, half + l)] = (c * cos) as f32;
            }
        }
        let mut columns = vec![0f32; height * 2 * height];
        for m in 0..height {
            for k in 0..height {
                let (sin, cos) = (TAU * ((k * m) % height) as f64 / height as f64).sin_cos();
                columns[m * 2 * height + k] = (cos / height as f64) as f32;
                columns[m * 2 * height + height + k] = (-sin / height as f64) as f32;
            }
        }
        Ok(Self {
            height,
            width,
            weights: Tensor::from_vec(weights, (height, 2 * half), device)?,
            rows: Tensor::from_vec(rows, (2 * width, 2 * half), device)?,
            columns: Tensor::from_vec(columns, (height, 2 * height), device)?,
        })
    }

    /// Numbers of a spectrum's row: twice `⌊width / 2⌋ + 1`.
    pub fn row(&self) -> usize {
        2 * (self.width / 2 + 1)
    }

    /// `(channels, height, width)` of a spectrum; the gradient passes.
    ///
    /// # Errors
    /// When the spectrum has another shape.
    pub fn picture(&self, spectrum: &Tensor) -> Result<Tensor> {
        let channels = spectrum.dim(0)?;
        let weighted = spectrum.broadcast_mul(&self.weights)?;
        let rows = linear(&weighted, &self.rows, None)?;
        let rows = rows.reshape((channels, self.height, 2, self.width))?;
        let columns = rows.permute((0, 3, 2, 1))?.contiguous()?;
        let columns = columns.reshape((channels, self.width, 2 * self.height))?;
        transposed(&linear(&columns, &self.columns, None)?)
    }
}

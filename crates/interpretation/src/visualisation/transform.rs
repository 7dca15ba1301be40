//! Random moves, turns and scalings of a picture.

use candle_core::{DType, Result, Tensor};
use rand::RngExt;
use sconce_core::Error;
use sconce_core::random::Generator;

/// How far random transforms go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transforms {
    /// Pixels at most that the picture moves, in both directions.
    pub shift: f64,
    /// Share at most by which it is enlarged or made smaller.
    pub scale: f64,
    /// Degrees at most that it turns, either way.
    pub rotation: f64,
}

/// One move, turn and scaling, about the middle of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform {
    /// Pixels down and to the right.
    pub shift: [f64; 2],
    /// How many times as large.
    pub scale: f64,
    /// Degrees, counter-clockwise.
    pub rotation: f64,
}

impl Default for Transforms {
    /// About what Lucid does for pictures of some 224 pixels.
    fn default() -> Self {
        Self { shift: 12.0, scale: 0.1, rotation: 10.0 }
    }
}

impl Transforms {
    /// A picture stays as it is.
    pub const NONE: Self = Self { shift: 0.0, scale: 0.0, rotation: 0.0 };

    /// Whether a picture stays as it is.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Refuses what is no picture any more.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the name of the number.
    pub fn check(&self) -> sconce_core::Result<()> {
        for (key, value, most) in [
            ("shift", self.shift, f64::MAX),
            ("scale", self.scale, 0.9),
            ("rotation", self.rotation, 180.0),
        ] {
            if !(0.0..=most).contains(&value) {
                let most =
                    if most == f64::MAX { "more".to_owned() } else { format!("at most {most}") };
                return Err(Error::parameter(key, format!("expected 0 or {most}, found {value}")));
            }
        }
        Ok(())
    }

    /// Draws one, all values alike likely.
    pub fn draw(&self, rng: &mut Generator) -> Transform {
        let mut within = |most: f64| (rng.random::<f64>() * 2.0 - 1.0) * most;
        Transform {
            shift: [within(self.shift), within(self.shift)],
            scale: 1.0 + within(self.scale),
            rotation: within(self.rotation),
        }
    }
}

impl Transform {
    /// The picture, `(1, channels, height, width)`, moved, turned and scaled, by linear interpolation between pixels;
    /// `background` beyond its edges. The gradient passes.
    ///
    /// # Errors
    /// When the picture has not four dimensions or holds more than one.
    pub fn apply(&self, picture: &Tensor, background: f64) -> Result<Tensor> {
        let (_, channels, height, width) = picture.dims4()?;
        let pixels = height * width;
        let (places, weights, inside) = self.taps(height, width);
        let device = picture.device();
        let places = Tensor::from_vec(places, 4 * pixels, device)?;
        let weights = Tensor::from_vec(weights, (1, 4, pixels), device)?;
        let outside: Vec<f32> =
            inside.iter().map(|inside| (1.0 - inside) * background as f32).collect();
        let outside = Tensor::from_vec(outside, (1, pixels), device)?.to_dtype(DType::F32)?;
        let taken = picture.reshape((channels, pixels))?.index_select(&places, 1)?;
        let taken = taken.reshape((channels, 4, pixels))?.broadcast_mul(&weights)?.sum(1)?;
        taken.broadcast_add(&outside)?.reshape((1, channels, height, width))
    }

    /// For each pixel: the four that it is made of (all first ones, then all second ones, …), their weights, and the sum
    /// of these.
    fn taps(&self, height: usize, width: usize) -> (Vec<u32>, Vec<f32>, Vec<f32>) {
        let pixels = height * width;
        let (mut places, mut weights) = (vec![0u32; 4 * pixels], vec![0f32; 4 * pixels]);
        let mut inside = vec![0f32; pixels];
        let (sin, cos) = self.rotation.to_radians().sin_cos();
        let middle = [(height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0];
        for pixel in 0..pixels {
            let y = (pixel / width.max(1)) as f64 - middle[0] - self.shift[0];
            let x = (pixel % width.max(1)) as f64 - middle[1] - self.shift[1];
            // Where this pixel was: turned back, scaled back.
            let from_y = (cos * y + sin * x) / self.scale + middle[0];
            let from_x = (cos * x - sin * y) / self.scale + middle[1];
            let (top, left) = (from_y.floor(), from_x.floor());
            let (down, right) = (from_y - top, from_x - left);
            let corners = [
                (0.0, 0.0, (1.0 - down) * (1.0 - right)),
                (0.0, 1.0, (1.0 - down) * right),
                (1.0, 0.0, down * (1.0 - right)),
                (1.0, 1.0, down * right),
            ];
            for (tap, (dy, dx, weight)) in corners.into_iter().enumerate() {
                let (y, x) = (top + dy, left + dx);
                if y >= 0.0 && x >= 0.0 && y < height as f64 && x < width as f64 {
                    places[tap * pixels + pixel] = (y as usize * width + x as usize) as u32;
                    weights[tap * pixels + pixel] = weight as f32;
                    inside[pixel] += weight as f32;
                }
            }
        }
        (places, weights, inside)
    }
}

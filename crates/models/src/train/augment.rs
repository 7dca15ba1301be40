//! Views of images for training: mirrored and cropped at random.

use rand::RngExt;
use sconce_core::random::Generator;
use sconce_core::{Error, Result};

/// How images are changed at random each time that they are trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmentation {
    /// Whether they are mirrored left to right in half of their updates.
    pub flip: bool,
    /// The smallest part of an image's area that is cut out and scaled to the whole; at 1 nothing is cut.
    pub crop: f64,
}

impl Default for Augmentation {
    /// Images as they are.
    fn default() -> Self {
        Self { flip: false, crop: 1.0 }
    }
}

impl Augmentation {
    /// Refuses numbers that cannot be used.
    ///
    /// # Errors
    /// When `crop` is not above 0 and at most 1.
    pub fn check(&self) -> Result<()> {
        if self.crop > 0.0 && self.crop <= 1.0 {
            return Ok(());
        }
        let found = format!("expected above 0 and at most 1, got {}", self.crop);
        Err(Error::parameter("crop", found))
    }

    /// Draws views of `count` images of `width × height`; the crops from `crops`, so that they do not change the flips.
    pub(super) fn draw(
        &self,
        count: usize,
        [width, height]: [usize; 2],
        flips: &mut Generator,
        crops: &mut Generator,
    ) -> Vec<View> {
        let mut window = || Window::draw(width, height, self.crop, crops);
        let view = |_| View {
            flip: self.flip && flips.random(),
            window: (self.crop < 1.0).then(&mut window),
        };
        (0..count).map(view).collect()
    }
}

/// How one image is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct View {
    /// Mirrored left to right.
    pub flip: bool,
    /// The part that is scaled to the size of the whole; without it the whole.
    pub window: Option<Window>,
}

impl View {
    /// The whole image, as it is or mirrored.
    pub fn whole(flip: bool) -> Self {
        Self { flip, window: None }
    }
}

/// A part of an image in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Pixels to the left of it.
    pub left: usize,
    /// Pixels above it.
    pub top: usize,
    /// Its width, at least 1.
    pub width: usize,
    /// Its height, at least 1.
    pub height: usize,
}

impl Window {
    /// As torchvision's `RandomResizedCrop`: a part of the area from `least` to 1, and a ratio of the sides from 3/4 to
    /// 4/3, uniform in its logarithm; drawn again up to ten times until it lies within. Then the whole.
    fn draw(width: usize, height: usize, least: f64, rng: &mut Generator) -> Self {
        for _ in 0..10 {
            let area = (width * height) as f64 * rng.random_range(least..=1.0);
            let ratio = rng.random_range((0.75f64).ln()..=(4.0f64 / 3.0).ln()).exp();
            let w = (area * ratio).sqrt().round() as usize;
            let h = (area / ratio).sqrt().round() as usize;
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let left = rng.random_range(0..=width - w);
                let top = rng.random_range(0..=height - h);
                return Self { left, top, width: w, height: h };
            }
        }
        Self { left: 0, top: 0, width, height }
    }

    /// The part of `plane`, rows of `width` numbers, scaled to the plane's size by bilinear interpolation between the
    /// centres of pixels: PyTorch's `interpolate(mode="bilinear")`.
    pub(crate) fn scale(self, plane: &[f32], width: usize, out: &mut [f32]) {
        let height = plane.len() / width.max(1);
        let across = places(self.left, self.width, width);
        let down = places(self.top, self.height, height);
        for (row, &(y, y1, fy)) in out.chunks_mut(width.max(1)).zip(&down) {
            let (upper, lower) = (&plane[y * width..][..width], &plane[y1 * width..][..width]);
            for (value, &(x, x1, fx)) in row.iter_mut().zip(&across) {
                let between = |line: &[f32]| line[x] + (line[x1] - line[x]) * fx;
                let (a, b) = (between(upper), between(lower));
                *value = a + (b - a) * fy;
            }
        }
    }
}

/// For each of `to` pixels the two of `from` pixels behind `first` that it lies between, and how far it is from the
/// first to the second.
fn places(first: usize, from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let ratio = from as f32 / to as f32;
    let place = |i: usize| {
        let at = ((i as f32 + 0.5) * ratio - 0.5).clamp(0.0, (from - 1) as f32);
        let low = at as usize;
        (first + low, first + (low + 1).min(from - 1), at - low as f32)
    };
    (0..to).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_core::random::generator;

    #[test]
    fn windows_lie_within_and_are_of_the_area_asked_for() {
        let mut rng = generator(1, "windows");
        let (width, height) = (227, 180);
        let mut mean = 0.0;
        for _ in 0..2000 {
            let Window { left, top, width: w, height: h } =
                Window::draw(width, height, 0.25, &mut rng);
            assert!(left + w <= width && top + h <= height && w > 0 && h > 0);
            let part = (w * h) as f64 / (width * height) as f64;
            assert!(part > 0.245 && part <= 1.0, "{part}");
            mean += part / 2000.0;
        }
        // uniform would be .625; wide and high windows near the whole are drawn again
        assert!((0.52..0.625).contains(&mean), "{mean}");
    }

    #[test]
    fn scaling_is_pytorchs() {
        // x = torch.arange(20.).reshape(1, 1, 4, 5) ** 2
        // F.interpolate(x[..., 1:3, 1:4], size=(4, 5), mode="bilinear", align_corners=False)
        let plane: Vec<f32> = (0..20).map(|i| (i * i) as f32).collect();
        let mut out = vec![0.0; 20];
        Window { left: 1, top: 1, width: 3, height: 2 }.scale(&plane, 5, &mut out);
        let expected = [
            [36.0, 41.2, 49.0, 58.0, 64.0],
            [57.25, 63.45, 72.75, 83.25, 90.25],
            [99.75, 107.95, 120.25, 133.75, 142.75],
            [121.0, 130.2, 144.0, 159.0, 169.0],
        ];
        for (got, want) in out.iter().zip(expected.as_flattened()) {
            assert!((got - want).abs() < 1e-4, "{got} {want}");
        }
        // the whole is left as it is
        Window { left: 0, top: 0, width: 5, height: 4 }.scale(&plane, 5, &mut out);
        assert_eq!(out, plane);
    }

    #[test]
    fn crops_do_not_change_the_flips() {
        let draw = |crop| {
            let how = Augmentation { flip: true, crop };
            let views = how.draw(20, [8, 8], &mut generator(1, "flip"), &mut generator(1, "crop"));
            views.into_iter().map(|view| view.flip).collect::<Vec<_>>()
        };
        assert_eq!(draw(1.0), draw(0.5));
        assert!(draw(1.0).contains(&true) && draw(1.0).contains(&false));
        assert!(Augmentation { flip: false, crop: 0.0 }.check().is_err());
        assert!(Augmentation { flip: false, crop: 1.0 }.check().is_ok());
    }
}

//! What tests demand of every picture.

use image::RgbImage;

use crate::scene::Text;
use crate::{Scene, raster};

/// Text lies inside the picture and on no other text, the picture has pixels that are not white, and drawing
/// it again gives the same bytes. Leaves the PNG in the folder that `SCONCE_TEST_PICTURES` names.
pub(crate) fn assert_well_drawn(name: &str, scene: &Scene) {
    let texts = scene.texts();
    for text in &texts {
        let [left, top, right, bottom] = text.bounds();
        let inside = left >= -0.5
            && top >= -0.5
            && right <= scene.width + 0.5
            && bottom <= scene.height + 0.5;
        assert!(
            inside,
            "{name}: `{}` leaves the picture: {left} {top} {right} {bottom}",
            text.content
        );
    }
    for (index, one) in texts.iter().enumerate() {
        for other in &texts[index + 1..] {
            let (a, b) = (level(one, one.angle), level(other, one.angle));
            let apart = one.angle != other.angle
                && (one.angle % 90.0 != 0.0 || other.angle % 90.0 != 0.0)
                || a[2] <= b[0] + 0.5
                || b[2] <= a[0] + 0.5
                || a[3] <= b[1] + 0.5
                || b[3] <= a[1] + 0.5;
            assert!(apart, "{name}: `{}` {a:?} lies on `{}` {b:?}", one.content, other.content);
        }
    }
    let png = scene.png(2.0).unwrap();
    let pixels = raster::decode(&png).unwrap();
    assert_eq!(
        pixels.dimensions(),
        ((scene.width * 2.0).ceil() as u32, (scene.height * 2.0).ceil() as u32)
    );
    assert!(pixels.pixels().any(|pixel| pixel.0 != [255; 3]), "{name}: blank");
    assert_eq!(png, scene.png(2.0).unwrap(), "{name}: drawn twice");
    if let Some(folder) = std::env::var_os("SCONCE_TEST_PICTURES") {
        let path = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(path, png).unwrap();
    }
}

/// The box around a text after the whole picture was turned back by `angle`.
fn level(text: &Text, angle: f64) -> [f64; 4] {
    let (sin, cos) = (-angle).to_radians().sin_cos();
    let (x, y) = (text.x * cos - text.y * sin, text.x * sin + text.y * cos);
    Text { x, y, angle: text.angle - angle, ..text.clone() }.bounds()
}

/// A picture with something to see in it, one for each `seed`.
pub(crate) fn photograph(width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
        let s = f64::from(seed);
        let wave = (u * (5.0 + s % 7.0) + s).sin() * (v * (4.0 + s % 5.0) - s).cos();
        let disc = if (u - 0.5).hypot(v - 0.45) < 0.25 { 70.0 } else { 0.0 };
        let level = |shift: f64| {
            (110.0 + 80.0 * wave + 40.0 * (shift + s).sin() + disc).clamp(0.0, 255.0) as u8
        };
        image::Rgb([level(0.0), level(2.0), level(4.0)])
    })
}

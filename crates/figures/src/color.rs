//! Colours: a palette that colour-blind readers tell apart, and maps from numbers to colours.

/// A colour of 8 bits a channel with opacity (255 is opaque).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color {
    /// Red.
    pub r: u8,
    /// Green.
    pub g: u8,
    /// Blue.
    pub b: u8,
    /// Opacity.
    pub a: u8,
}

impl Color {
    /// An opaque colour from `0xRRGGBB`.
    pub const fn hex(rgb: u32) -> Self {
        Self { r: (rgb >> 16) as u8, g: (rgb >> 8) as u8, b: rgb as u8, a: 255 }
    }

    /// The same colour with opacity `alpha` of 0 to 1.
    pub fn with_alpha(self, alpha: f64) -> Self {
        Self { a: (alpha.clamp(0.0, 1.0) * 255.0).round() as u8, ..self }
    }

    /// `self` moved towards `other` by `t` of 0 to 1, a channel at a time.
    pub fn mix(self, other: Self, t: f64) -> Self {
        let t = if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) };
        let channel =
            |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * t).round() as u8;
        Self {
            r: channel(self.r, other.r),
            g: channel(self.g, other.g),
            b: channel(self.b, other.b),
            a: channel(self.a, other.a),
        }
    }

    /// Relative luminance of 0 (black) to 1 (white), WCAG 2.
    pub fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.r) + 0.7152 * linear(self.g) + 0.0722 * linear(self.b)
    }

    /// Black or white text, whichever has the higher contrast on this colour.
    pub fn text_on(self) -> Self {
        let luminance = self.luminance();
        if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 { WHITE } else { INK }
    }

    /// The three channels.
    pub fn rgb(self) -> [u8; 3] {
        [self.r, self.g, self.b]
    }
}

/// White: the ground of pictures.
pub const WHITE: Color = Color::hex(0xFF_FFFF);
/// The ground of pictures, for parts that must cover others.
pub const PAPER: Color = WHITE;
/// Text.
pub const INK: Color = Color::hex(0x1F_2328);
/// Captions, tick labels.
pub const MUTED: Color = Color::hex(0x59_636E);
/// Axis lines and frames.
pub const FRAME: Color = Color::hex(0xAF_B8C1);
/// Grid lines.
pub const GRID: Color = Color::hex(0xE4_E8EC);
/// The ground of highlighted rows and cells.
pub const HIGHLIGHT: Color = Color::hex(0xE7_F1F9);

/// Colours of series, in order: Okabe and Ito, *Color Universal Design* (2008), strongest first.
pub const PALETTE: [Color; 8] = [
    Color::hex(0x00_72B2),
    Color::hex(0xD5_5E00),
    Color::hex(0x00_9E73),
    Color::hex(0xCC_79A7),
    Color::hex(0xE6_9F00),
    Color::hex(0x56_B4E9),
    Color::hex(0x4D_4D4D),
    Color::hex(0xB5_A900),
];

/// The colour of series `index`; it repeats after eight.
pub fn series_color(index: usize) -> Color {
    PALETTE[index % PALETTE.len()]
}

/// Colours of classes, of which there may be more than series: the palette, and a brown and a violet.
const CLASSES: [Color; 10] = {
    let mut colors = [Color::hex(0x7A_3B12); 10];
    let mut place = 0;
    while place < PALETTE.len() {
        colors[place] = PALETTE[place];
        place += 1;
    }
    colors[9] = Color::hex(0x7A_5CC7);
    colors
};

/// The colour of class `index`; it repeats after ten.
pub fn class_color(index: usize) -> Color {
    CLASSES[index % CLASSES.len()]
}

/// A map from 0–1 to colours. All but `Diverging` grow evenly in lightness.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ColorMap {
    /// Black to white.
    Grey,
    /// White to dark blue: counts and shares on paper.
    Blues,
    /// Purple to yellow (matplotlib's viridis).
    #[default]
    Viridis,
    /// Black to pale yellow (matplotlib's inferno): saliency.
    Inferno,
    /// Blue over white to red, the middle at 0.5: signed values.
    Diverging,
}

// Every sixteenth entry of the tables in matplotlib's `_cm_listed.py` (van der Walt and Smith, CC0).
const VIRIDIS: [u32; 17] = [
    0x44_0154, 0x48_186A, 0x47_2D7B, 0x42_4086, 0x3B_528B, 0x33_638D, 0x2C_728E, 0x26_828E,
    0x21_918C, 0x1F_A088, 0x28_AE80, 0x3F_BC73, 0x5E_C962, 0x84_D44B, 0xAD_DC30, 0xD8_E219,
    0xFD_E725,
];
const INFERNO: [u32; 17] = [
    0x00_0004, 0x0B_0724, 0x20_0C4A, 0x3B_0964, 0x57_106E, 0x70_1A6E, 0x8A_226A, 0xA3_2C61,
    0xBC_3754, 0xD2_4644, 0xE4_5A31, 0xF1_731D, 0xF9_8E09, 0xFC_AC11, 0xF9_CB35, 0xF2_EA69,
    0xFC_FFA4,
];
// ColorBrewer's Blues and RdBu (Brewer, Apache 2.0).
const BLUES: [u32; 9] = [
    0xF7_FBFF, 0xDE_EBF7, 0xC6_DBEF, 0x9E_CAE1, 0x6B_AED6, 0x42_92C6, 0x21_71B5, 0x08_519C,
    0x08_306B,
];
const DIVERGING: [u32; 11] = [
    0x05_3061, 0x21_66AC, 0x43_93C3, 0x92_C5DE, 0xD1_E5F0, 0xF7_F7F7, 0xFD_DBC7, 0xF4_A582,
    0xD6_604D, 0xB2_182B, 0x67_001F,
];

impl ColorMap {
    /// The colour at `t`; values outside 0–1 take the ends, NaN a neutral grey.
    pub fn at(self, t: f64) -> Color {
        if t.is_nan() {
            return Color::hex(0xBB_BBBB);
        }
        let stops: &[u32] = match self {
            Self::Grey => &[0, 0xFF_FFFF],
            Self::Blues => &BLUES,
            Self::Viridis => &VIRIDIS,
            Self::Inferno => &INFERNO,
            Self::Diverging => &DIVERGING,
        };
        let last = stops.len() - 1;
        let place = t.clamp(0.0, 1.0) * last as f64;
        let below = (place.floor() as usize).min(last - 1);
        Color::hex(stops[below]).mix(Color::hex(stops[below + 1]), place - below as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_hit_their_ends_and_refuse_nothing() {
        assert_eq!(ColorMap::Viridis.at(0.0), Color::hex(0x44_0154));
        assert_eq!(ColorMap::Viridis.at(1.0), Color::hex(0xFD_E725));
        assert_eq!(ColorMap::Grey.at(2.0), WHITE);
        assert_eq!(ColorMap::Diverging.at(0.5), Color::hex(0xF7_F7F7));
        assert_eq!(ColorMap::Blues.at(f64::NAN), Color::hex(0xBB_BBBB));
    }

    #[test]
    fn sequential_maps_grow_in_lightness() {
        for map in [ColorMap::Grey, ColorMap::Viridis, ColorMap::Inferno] {
            let steps: Vec<f64> =
                (0..=50).map(|i| map.at(f64::from(i) / 50.0).luminance()).collect();
            assert!(steps.windows(2).all(|pair| pair[0] < pair[1] + 1e-3), "{map:?}");
        }
    }

    #[test]
    fn text_contrasts_with_its_ground() {
        assert_eq!(WHITE.text_on(), INK);
        assert_eq!(Color::hex(0x08_306B).text_on(), WHITE);
    }
}

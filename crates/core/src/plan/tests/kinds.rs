//! Kinds for the tests: they parse and are planned, and never run.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::document::{Document, Misplaced, Place, Wants};
use crate::{
    Anything, Artifact, Context, Error, Files, Input, Inputs, Kind, NamedInputs, Output, Result,
    Stage, Yields,
};

pub(super) const KINDS: &[Kind] = &[
    Kind::of::<Images>(),
    Kind::of::<Extract>(),
    Kind::of::<Train>(),
    Kind::of::<Report>(),
    Kind::of::<Shell>(),
    Kind::of::<Page>(),
];

macro_rules! artifact {
    ($name:ident, $text:literal) => {
        pub(super) struct $name;
        impl Artifact for $name {
            const TYPE: &'static str = $text;
            fn load(_: &Files) -> Result<Self> {
                Ok(Self)
            }
            fn save(&self, _: &Path) -> Result<()> {
                Ok(())
            }
        }
    };
}

artifact!(ImageSet, "image set");
artifact!(Features, "features");
artifact!(Model, "model");
artifact!(Metrics, "metrics");

macro_rules! stage {
    ($name:ident, $kind:literal, [$($output:expr),*] $(, $item:item)*) => {
        impl Yields for $name {
            const OUTPUTS: &'static [Output] = &[$($output),*];
        }

        impl Stage for $name {
            const KIND: &'static str = $kind;
            const VERSION: u32 = 1;
            $($item)*
            fn run(&self, _: &Context<Self>) -> Result<()> {
                Ok(())
            }
        }
    };
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Images {
    /// Number of images.
    count: u32,
    /// Where from.
    #[serde(default)]
    sources: Vec<String>,
    #[serde(default)]
    #[schemars(extend("x-sconce-cosmetic" = true))]
    title: String,
}
stage!(Images, "images", [Output::of::<ImageSet>("images", "images")]);

#[derive(Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "lowercase")]
enum Pooling {
    #[default]
    None,
    Gap,
    Gmp,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Extract {
    /// The images.
    images: Input<ImageSet>,
    /// The tap whose output is taken.
    layer: String,
    #[serde(default)]
    pooling: Pooling,
    #[serde(default)]
    flip: bool,
    #[serde(default)]
    crop: Option<Crop>,
}

/// One of two.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Crop {
    /// In the middle.
    Centre {
        /// Side.
        #[serde(default)]
        side: u32,
        #[serde(default)]
        shift: u32,
    },
    /// Somewhere.
    Random {
        #[serde(default)]
        side: u32,
    },
}
stage!(Extract, "extract", [Output::of::<Features>("features", "features")]);

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Train {
    features: Input<Features>,
    #[serde(default)]
    validation: Option<Input<Features>>,
    #[serde(default = "one")]
    c: f64,
}
fn one() -> f64 {
    1.0
}
stage!(
    Train,
    "train",
    [Output::of::<Model>("model", "the model"), Output::of::<Metrics>("metrics", "its metrics")],
    const SEEDED: bool = true;,
    fn check(&self) -> Result<()> {
        if self.c > 0.0 { Ok(()) } else { Err(Error::parameter("c", "expected more than 0")) }
    }
);

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Report {
    rows: Inputs<Metrics>,
    #[serde(default)]
    #[schemars(extend("x-sconce-labels" = true))]
    #[schemars(extend("x-sconce-text" = true))]
    labels: std::collections::BTreeMap<String, String>,
    /// Below it.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    caption: String,
    #[serde(default = "one")]
    scale: f64,
    #[serde(default)]
    train: Option<std::collections::BTreeMap<String, u32>>,
}
stage!(Report, "report", [Output::of::<Metrics>("report", "the report")]);

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Shell {
    run: String,
    #[serde(default)]
    inputs: NamedInputs<Anything>,
}
stage!(
    Shell,
    "shell",
    [Output::of::<crate::Folder>("files", "what it wrote")],
    const FREE_AXES: bool = true;
);

/// A text with places such as `<svm.c>`, `<svm.c%>` for a number and `<model svm>`; `<paper:svm.c>` is for a profile.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Page {
    text: Document,
    #[serde(default)]
    strict: bool,
}

fn places(text: &str, profiles: &[String]) -> Result<Vec<Place>, Vec<Misplaced>> {
    let mut places = Vec::new();
    for (start, _) in text.match_indices('<') {
        let Some(end) = text[start..].find('>').map(|end| start + end) else {
            return Err(vec![Misplaced::new("expected `>`", start..start + 1).help("close it")]);
        };
        let written = &text[start + 1..end];
        let (written, for_all) = match written.split_once(':') {
            Some((profile, rest)) => (rest, profiles.iter().any(|other| other == profile)),
            None => (written, true),
        };
        let (written, wants) = match (written.strip_prefix("model "), written.strip_suffix('%')) {
            (Some(edge), _) => (edge, Wants::Artifact("model")),
            (_, Some(number)) => (number, Wants::Value { number: true }),
            _ => (written, Wants::Value { number: false }),
        };
        let at = text[start..].find(written).map_or(start, |at| start + at);
        let at = at..at + written.len();
        places.extend(for_all.then(|| Place { written: written.to_owned(), at, wants }));
    }
    Ok(places)
}
stage!(
    Page,
    "page",
    [Output::of::<crate::Folder>("page", "the page")],
    fn places(text: &str, profiles: &[String]) -> Result<Vec<Place>, Vec<Misplaced>> {
        places(text, profiles)
    }
);

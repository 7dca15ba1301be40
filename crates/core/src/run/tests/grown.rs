//! A kind gets further parameters: what was computed before is still what it computes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Bench;
use crate::{Context, Folder, Kind, Kinds, Result, Stage, outputs};

/// A number by a factor.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Before {
    number: i64,
    #[serde(default)]
    by: Factor,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Factor {
    #[default]
    One,
    Of {
        factor: i64,
    },
}

/// The same, some time later.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct After {
    number: i64,
    #[serde(default)]
    by: LaterFactor,
    #[serde(default)]
    plus: i64,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum LaterFactor {
    #[default]
    One,
    Of {
        factor: i64,
        #[serde(default = "once")]
        times: u32,
    },
}

fn once() -> u32 {
    1
}

macro_rules! scale {
    ($kind:ident, $number:expr) => {
        outputs! { $kind:
            /// A number as text.
            NUMBER: Folder = "number";
        }

        impl Stage for $kind {
            const KIND: &'static str = "scale";
            const VERSION: u32 = 1;

            fn run(&self, ctx: &Context<Self>) -> Result<()> {
                let number: fn(&Self) -> i64 = $number;
                let path = ctx.folder(Self::NUMBER).join("number");
                std::fs::write(&path, format!("{}\n", number(self)))
                    .map_err(|error| crate::Error::io(path, error))
            }
        }
    };
}

scale!(Before, |scale| match scale.by {
    Factor::One => scale.number,
    Factor::Of { factor } => scale.number * factor,
});

scale!(After, |scale| scale.plus
    + match scale.by {
        LaterFactor::One => scale.number,
        LaterFactor::Of { factor, times } => scale.number * factor.pow(times),
    });

const PIPELINE: &str = r#"
    [stage.plain]
    kind = "scale"
    number = 3
    [stage.doubled]
    kind = "scale"
    number = 3
    by = { of = { factor = 2 } }
"#;

#[test]
fn a_kind_that_gets_a_parameter_re_runs_nothing() {
    let mut bench = Bench::new();
    bench.kinds = Kinds::new([&[Kind::of::<Before>()][..]]).unwrap();
    assert_eq!(bench.run(PIPELINE).summary.ran, 2);
    bench.kinds = Kinds::new([&[Kind::of::<After>()][..]]).unwrap();
    let later = bench.run(PIPELINE);
    assert_eq!((later.summary.hits, later.summary.ran), (2, 0));
    // Written out, the defaults make the same keys.
    let written = PIPELINE
        .replace("number = 3\n", "number = 3\nplus = 0\n")
        .replace("factor = 2", "factor = 2, times = 1");
    assert_eq!(bench.run(&written).summary.ran, 0);
    // The new parameters count as soon as they say something.
    let told = bench.run(&PIPELINE.replace("factor = 2", "factor = 2, times = 3"));
    assert_eq!(told.ran(), ["doubled"]);
    assert_eq!(told.reasons("doubled"), ["parameter `by.of.times` changed: 1 → 3"]);
    assert_eq!(bench.shown("doubled/number"), "24\n");
    let told = bench.run(&PIPELINE.replace("[stage.doubled]", "plus = 4\n[stage.doubled]"));
    assert_eq!(told.ran(), ["plain"]);
    assert_eq!(told.reasons("plain"), ["parameter `plus` changed: 0 → 4"]);
    assert_eq!(bench.run(PIPELINE).summary.ran, 0);
}

use super::*;
use crate::{Context, Folder, Kind, Kinds, LoadOptions, Result, Stage, load, outputs};
use schemars::JsonSchema;

/// A number, and how long it took.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Timed {
    /// Whether it takes long.
    #[serde(default)]
    slow: bool,
}

outputs! { Timed:
    /// The same each time.
    NUMBER: Folder = "number";
    /// Not the same each time.
    SECONDS: Folder = "seconds", volatile;
}

impl Stage for Timed {
    const KIND: &'static str = "timed";
    const VERSION: u32 = 1;
    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        std::fs::write(ctx.folder(Self::NUMBER).join("n"), "1").unwrap();
        std::fs::write(ctx.folder(Self::SECONDS).join("s"), if self.slow { "20" } else { "2" })
            .unwrap();
        Ok(())
    }
}

const STUDY: &str = "
[stage.timed]
kind = 'timed'
[stage.fixed]
kind = 'command'
run = 'cp timed/* out'
inputs = ['timed.number']
outputs = ['out']
[stage.varies]
kind = 'command'
run = 'cp timed/* out'
inputs = ['timed.seconds']
outputs = ['out']
[stage.after]
kind = 'command'
run = 'cp varies/* out'
inputs = ['varies']
outputs = ['out']
";

#[test]
fn what_reads_a_volatile_output_by_any_way_varies() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    std::fs::write(&file, STUDY).unwrap();
    let kinds = Kinds::new([crate::kinds::KINDS, &[Kind::of::<Timed>()]]).unwrap();
    let plan = load(&LoadOptions::file(&file), &kinds).unwrap();
    let varies = varying(&plan);
    let names: Vec<_> = plan
        .cells()
        .filter(|(cell, _)| varies[*cell])
        .map(|(_, cell)| cell.id.to_string())
        .collect();
    assert_eq!(names, ["varies", "after"]);
}

//! Where a stage's checkpoints lie.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::Folder;

/// Grows.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Grow {
    /// From.
    start: Input<Folder>,
    /// Days.
    days: usize,
    /// Rate.
    rate: f64,
    /// Care.
    #[serde(default)]
    care: Care,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Care {
    /// Waterings a day.
    #[serde(default)]
    water: usize,
    /// Hours of light.
    #[serde(default)]
    light: usize,
}

impl Default for Care {
    fn default() -> Self {
        Self { water: 2, light: 8 }
    }
}

crate::outputs! { Grow: }

impl Stage for Grow {
    const KIND: &'static str = "grow";
    const VERSION: u32 = 1;

    fn run(&self, _: &Context<Self>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn cells_share_a_checkpoint_where_they_differ_in_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let place = |days, rate, content: &str| {
        let input = folder.path().join("input");
        std::fs::create_dir_all(&input).unwrap();
        std::fs::write(input.join("a"), content).unwrap();
        let files = Files::from_folder(&input).unwrap();
        let ctx =
            Context::<Grow>::in_folder(folder.path(), &[]).unwrap().with_input("start", files);
        let stage: Grow =
            serde_json::from_value(json!({ "start": "s", "days": days, "rate": rate })).unwrap();
        ctx.shared_checkpoint(&stage, &["days"]).unwrap()
    };
    let first = place(1, 0.5, "a");
    assert!(first.starts_with(folder.path()));
    assert_eq!(first, place(2, 0.5, "a"));
    assert_ne!(first, place(1, 0.6, "a"));
    assert_ne!(first, place(1, 0.5, "b"));
}

#[test]
fn a_field_of_a_table_can_differ_too_and_the_table_may_stand_at_its_default() {
    let folder = tempfile::tempdir().unwrap();
    let place = |care: serde_json::Value| {
        let ctx = Context::<Grow>::in_folder(folder.path(), &[]).unwrap();
        let stage = json!({ "start": "s", "days": 1, "rate": 0.5, "care": care });
        let stage: Grow = serde_json::from_value(stage).unwrap();
        ctx.shared_checkpoint(&stage, &["care.water"]).unwrap()
    };
    let standing = place(json!({ "water": 2, "light": 8 }));
    assert_eq!(standing, place(json!({ "water": 3, "light": 8 })));
    assert_eq!(standing, place(json!({ "water": 0, "light": 8 })));
    assert_ne!(standing, place(json!({ "water": 2, "light": 0 })));
}

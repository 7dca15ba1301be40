//! One set of parameters has one key, two sets have two: on parameters that are nasty on purpose.

use std::collections::BTreeMap;

use proptest::prelude::*;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::de::DeserializeOwned;

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nasty {
    required: i64,
    #[serde(default = "one")]
    c: f64,
    // No `serde(default)`: serde itself takes it for `None`.
    optional: Option<f64>,
    #[serde(default = "some_two")]
    some: Option<u8>,
    // The whole table's default differs from those of its fields.
    #[serde(default)]
    training: Training,
    #[serde(default)]
    optimiser: Optimiser,
    #[serde(default = "rows")]
    rows: Vec<Row>,
    #[serde(default)]
    by_name: BTreeMap<String, Row>,
    #[serde(default)]
    attack: Option<Attack>,
    #[serde(default = "untagged")]
    untagged: Untagged,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Training {
    #[serde(default = "three")]
    epochs: u32,
    #[serde(default)]
    rate: Option<f64>,
}

impl Default for Training {
    fn default() -> Self {
        Self { epochs: 5, rate: Some(0.5) }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Optimiser {
    #[default]
    Plain,
    Sgd {
        #[serde(default)]
        momentum: f64,
    },
    Adam {
        #[serde(default = "one")]
        beta: f64,
        #[serde(default)]
        warm: Training,
    },
    Whole(Training),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "method", rename_all = "kebab-case")]
enum Attack {
    Fast {
        #[serde(default)]
        steps: u32,
    },
    Slow {
        #[serde(default = "three")]
        steps: u32,
    },
    Still,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Untagged {
    Number(f64),
    Row(Row),
    Training(Training),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default = "one")]
    width: f64,
}

fn one() -> f64 {
    1.0
}

fn three() -> u32 {
    3
}

fn some_two() -> Option<u8> {
    Some(2)
}

fn rows() -> Vec<Row> {
    vec![Row { name: "a".to_owned(), width: 2.0 }]
}

fn untagged() -> Untagged {
    Untagged::Number(1.0)
}

fn defaults_of<T: JsonSchema>() -> Defaults {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    Defaults::of(&SchemaGenerator::new(settings).into_root_schema_for::<T>())
}

/// Few values, so that defaults and equal pairs are common.
fn number() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![0.0, -0.0, 0.5, 1.0, 2.0])
}

fn training() -> impl Strategy<Value = Training> {
    (prop::sample::select(vec![0, 3, 5]), prop::option::of(number()))
        .prop_map(|(epochs, rate)| Training { epochs, rate })
}

fn row() -> impl Strategy<Value = Row> {
    (prop::sample::select(vec!["a", "b"]), number())
        .prop_map(|(name, width)| Row { name: name.to_owned(), width })
}

fn optimiser() -> impl Strategy<Value = Optimiser> {
    prop_oneof![
        Just(Optimiser::Plain),
        number().prop_map(|momentum| Optimiser::Sgd { momentum }),
        (number(), training()).prop_map(|(beta, warm)| Optimiser::Adam { beta, warm }),
        training().prop_map(Optimiser::Whole),
    ]
}

fn attack() -> impl Strategy<Value = Attack> {
    let steps = || prop::sample::select(vec![0_u32, 3]);
    prop_oneof![
        steps().prop_map(|steps| Attack::Fast { steps }),
        steps().prop_map(|steps| Attack::Slow { steps }),
        Just(Attack::Still),
    ]
}

fn nasty() -> impl Strategy<Value = Nasty> {
    let untagged = prop_oneof![
        number().prop_map(Untagged::Number),
        row().prop_map(Untagged::Row),
        training().prop_map(Untagged::Training),
    ];
    (
        0_i64..2,
        number(),
        prop::option::of(number()),
        prop::option::of(1_u8..3),
        training(),
        optimiser(),
        prop::collection::vec(row(), 0..3),
        prop::collection::btree_map("[ab]", row(), 0..2),
        prop::option::of(attack()),
        untagged,
    )
        .prop_map(|values| {
            let (required, c, optional, some, training, optimiser, rows, by_name, attack, untagged) =
                values;
            Nasty {
                required,
                c,
                optional,
                some,
                training,
                optimiser,
                rows,
                by_name,
                attack,
                untagged,
            }
        })
}

fn text(value: &impl Serialize) -> String {
    canonical::to_string(&serde_json::to_value(value).unwrap())
}

/// What is left means the same parameters, to serde and to [`Defaults::fill_in`].
fn means_the_same<T: Serialize + DeserializeOwned>(defaults: &Defaults, parameters: &T) -> String {
    let all = serde_json::to_value(parameters).unwrap();
    let kept = defaults.leave_out(&all);
    assert_eq!(canonical::to_string(&defaults.fill_in(&kept)), text(&all), "filled in: {kept}");
    let parsed: T = serde_json::from_value(kept.clone()).unwrap();
    assert_eq!(text(&parsed), text(&all), "parsed: {kept}");
    assert_eq!(joined(&kept, &left_out(&all, &kept)), all);
    canonical::to_string(&kept)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn two_sets_of_parameters_have_two_keys_and_one_has_one(a in nasty(), b in nasty()) {
        let defaults = defaults_of::<Nasty>();
        let (kept_a, kept_b) = (means_the_same(&defaults, &a), means_the_same(&defaults, &b));
        prop_assert_eq!(text(&a) == text(&b), kept_a == kept_b);
    }

    /// One field at a time: the pairs that are most alike.
    #[test]
    fn one_field_makes_two_keys(a in nasty(), b in nasty(), field in 0_usize..10) {
        let defaults = defaults_of::<Nasty>();
        let mut mixed = serde_json::to_value(&a).unwrap();
        let other = serde_json::to_value(&b).unwrap();
        let name = other.as_object().unwrap().keys().nth(field).unwrap().clone();
        mixed[&name] = other[&name].clone();
        let mixed: Nasty = serde_json::from_value(mixed).unwrap();
        let (kept_a, kept_m) = (means_the_same(&defaults, &a), means_the_same(&defaults, &mixed));
        prop_assert_eq!(text(&a) == text(&mixed), kept_a == kept_m);
    }
}

#[test]
fn what_stands_at_its_default_is_left_out_at_any_depth() {
    let defaults = defaults_of::<Nasty>();
    let kept = |text: &str| {
        let parameters: Nasty = serde_json::from_str(text).unwrap();
        defaults.leave_out(&serde_json::to_value(parameters).unwrap())
    };
    assert_eq!(kept(r#"{ "required": 1 }"#), json!({ "required": 1 }));
    assert_eq!(kept(r#"{ "required": 1, "c": 1, "some": 2 }"#), json!({ "required": 1 }));
    assert_eq!(
        kept(r#"{ "required": 1, "some": null }"#),
        json!({ "required": 1, "some": null }),
        "null is not the default here"
    );
    assert_eq!(
        kept(r#"{ "required": 1, "training": {} }"#),
        json!({ "required": 1, "training": {} }),
        "an empty table is not the table's default"
    );
    assert_eq!(
        kept(
            r#"{ "required": 1, "optimiser": { "adam": { "beta": 1, "warm": { "epochs": 4 } } } }"#
        ),
        json!({ "required": 1, "optimiser": { "adam": { "warm": { "epochs": 4 } } } })
    );
    assert_eq!(
        kept(
            r#"{ "required": 1, "rows": [{ "name": "b", "width": 1 }], "by_name": { "x": { "name": "b" } } }"#
        ),
        json!({ "required": 1, "rows": [{ "name": "b" }], "by_name": { "x": { "name": "b" } } })
    );
    assert_eq!(
        kept(r#"{ "required": 1, "attack": { "method": "slow", "steps": 3 } }"#),
        json!({ "required": 1, "attack": { "method": "slow" } })
    );
    assert_eq!(
        kept(r#"{ "required": 1, "untagged": { "name": "a", "width": 1 } }"#),
        json!({ "required": 1, "untagged": { "name": "a", "width": 1.0 } }),
        "which table it is cannot be told"
    );
}

#[test]
fn every_default_is_listed_with_its_path() {
    let defaults = defaults_of::<Nasty>();
    let listed: Vec<String> =
        defaults.list().iter().map(|(path, value)| format!("{path} = {value}")).collect();
    let has = |line: &str| assert!(listed.iter().any(|one| one == line), "{line}: {listed:#?}");
    has("c = 1.0");
    has("optional = null");
    has("training = {\"epochs\":5,\"rate\":0.5}");
    has("training.epochs = 3");
    has("optimiser.adam.warm.epochs = 3");
    has("rows.*.width = 1.0");
    has("by_name.*.width = 1.0");
    has("attack.<method=slow>.steps = 3");
    assert!(listed.iter().all(|line| !line.starts_with("untagged.")), "{listed:#?}");
}

#[test]
fn a_skipped_field_is_not_taken_for_a_default_that_holds_something() {
    #[derive(Serialize, JsonSchema)]
    struct Skips {
        #[serde(default = "rows", skip_serializing_if = "Vec::is_empty")]
        rows: Vec<Row>,
    }
    let defaults = defaults_of::<Skips>();
    let kept = |rows| defaults.leave_out(&serde_json::to_value(Skips { rows }).unwrap());
    assert_eq!(kept(rows()), json!({}));
    assert_eq!(kept(Vec::new()), json!({ "rows": null }));
}

#[test]
fn a_whole_number_is_the_default_of_a_field_that_takes_any_number() {
    let schema = json!({ "properties": { "c": { "type": "number", "default": 1 } } });
    let defaults = Defaults::of(&schemars::Schema::try_from(schema).unwrap());
    assert_eq!(defaults.leave_out(&json!({ "c": 1.0 })), json!({}));
    assert_eq!(defaults.leave_out(&json!({ "c": 1 })), json!({ "c": 1 }));
}

use serde_json::json;

use super::*;

#[test]
fn parameters_that_cannot_be_used_are_refused() {
    for (parameters, message) in [
        (
            json!({ "architecture": "lenet5" }),
            "expected a network of two domains (dann, dann_bn, dann_wide, vada), got `lenet5`",
        ),
        (json!({ "batch_statistics": "apart" }), "`dann` has no batch norm"),
        (
            json!({ "architecture": "dann_bn", "method": { "vada": {} } }),
            "virtual adversarial training looks at one domain at a time",
        ),
        (
            json!({ "method": { "dirt-t": {} } }),
            "parameter `weights`: `dirt-t` goes on from a trained network",
        ),
        (
            json!({
                "method": { "dirt-t": {} }, "architecture": "dann_bn", "batch_statistics": "apart", "weights": "w",
            }),
            "parameter `source_weights`: `dirt-t` goes on from the source's batch statistics, too",
        ),
        (
            json!({ "source_weights": "w", "architecture": "dann_bn", "batch_statistics": "apart" }),
            "parameter `source_weights`: expected `weights` beside it",
        ),
        (
            json!({ "source_weights": "w", "weights": "w" }),
            "parameter `source_weights`: expected `batch_statistics = \"apart\"` beside it",
        ),
        (json!({ "training": { "validation": 0.1 } }), "parameter `training.validation`"),
        (
            json!({ "training": { "batch": 1 }, "method": { "coral": {} } }),
            "parameter `training.batch`: a covariance is one of several images: expected at least 2, got 1",
        ),
        (
            json!({ "training": { "batch": 1 }, "architecture": "dann_bn", "batch_statistics": "apart" }),
            "parameter `training.batch`: batch norm behind a hidden layer takes several images: expected at least 2, got 1",
        ),
        (
            json!({ "training": { "batch": 1 }, "architecture": "dann_wide", "method": { "source-only": {} } }),
            "parameter `training.batch`: batch norm behind a hidden layer takes several images",
        ),
        (json!({ "average": 1.0 }), "parameter `average`"),
        (json!({ "checkpoint_epochs": 0 }), "parameter `checkpoint_epochs`"),
        (
            json!({ "feature_noise": 0.5, "architecture": "dann_bn" }),
            "parameter `feature_noise`: `dann_bn` has no place for noise",
        ),
        (
            json!({ "watched": 0, "test_split": "" }),
            "parameter `watched`: expected images to watch: 1 or more, or a `test_split`",
        ),
        (json!({ "method": { "vada": { "radius": 0.0 } } }), "parameter `method.vada.radius`"),
    ] {
        let mut all = json!({ "source": "a", "target": "b" });
        all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        let stage: Adapt = serde_json::from_value(all).unwrap();
        let error = stage.check().unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn one_image_is_a_batch_where_nothing_asks_for_more() {
    for parameters in [
        json!({}),
        json!({ "method": { "mmd": {} } }),
        json!({ "architecture": "dann_bn" }),
        json!({ "architecture": "vada", "batch_statistics": "apart", "method": { "vada": {} } }),
    ] {
        let mut all = json!({ "source": "a", "target": "b", "training": { "batch": 1 } });
        all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        serde_json::from_value::<Adapt>(all).unwrap().check().unwrap();
    }
}

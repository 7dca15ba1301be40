//! Adaptation between other domains than MNIST and MNIST-M: any two sets of the same classes will do.

use crate::bench::Bench;

/// USPS (16 × 16, grey) and SVHN (32 × 32, colour) to the digits that the program brings along.
const PAIRS: &str = r#"
[stage.digit-files]
kind = "fetch"
digest = "blake3:e8e7beb5416fbb96349d2c7af27bd37493cdfae721733c7c39367b1a3dd3b32e"
sources = ["embedded:digits"]
[stage.mnist]
kind = "mnist"
files = "digit-files"
[stage.usps-files]
kind = "file"
path = "usps"
[stage.usps]
kind = "usps"
files = "usps-files"
[stage.svhn-files]
kind = "file"
path = "svhn"
[stage.svhn]
kind = "svhn"
files = "svhn-files"
[defaults.adapt]
target = "mnist"
training = { epochs = 1, batch = 2 }
watched = 2
[stage.from-usps]
kind = "adapt"
source = "usps"
[stage.from-svhn]
kind = "adapt"
source = "svhn"
[defaults.evaluate-logits]
images = "mnist"
[stage.usps-tested]
kind = "evaluate-logits"
logits = "from-usps.target_logits"
[stage.svhn-tested]
kind = "evaluate-logits"
logits = "from-svhn.target_logits"
"#;

#[test]
fn any_two_sets_of_the_same_classes_are_domains() {
    let bench = Bench::new(PAIRS);
    let put = |name: &str, bytes: &[u8]| {
        bench.write(name, "");
        std::fs::write(bench.path(name), bytes).unwrap();
    };
    put("usps/usps.bz2", include_bytes!("../../crates/data/src/fixtures/usps.bz2"));
    put("usps/usps.t.bz2", include_bytes!("../../crates/data/src/fixtures/usps.t.bz2"));
    put("svhn/train_32x32.mat", include_bytes!("../../crates/data/src/fixtures/train_32x32.mat"));
    put("svhn/test_32x32.mat", include_bytes!("../../crates/data/src/fixtures/test_32x32.mat"));
    bench.run(&[]);
    let metrics = |cell: &str| -> serde_json::Value {
        serde_json::from_str(&bench.read(&format!("artifacts/p/{cell}/metrics.json"))).unwrap()
    };
    for domain in ["usps", "svhn"] {
        let tested = metrics(&format!("{domain}-tested/metrics"));
        assert_eq!(tested["values"]["examples"], 1000.0, "{tested}");
        // the source's own test images were watched, too
        let trained = metrics(&format!("from-{domain}/metrics"));
        assert!(trained["values"]["source_accuracy"].is_number(), "{trained}");
        assert!(trained["values"]["domain_loss_target"].is_number(), "{trained}");
    }
}

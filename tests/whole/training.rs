//! Trainings that are killed go on to the same bits; longer ones begin with shorter ones.

use crate::bench::{Bench, eventually};

const LENET: &str = r#"
[stage.files]
kind = "fetch"
digest = "blake3:e8e7beb5416fbb96349d2c7af27bd37493cdfae721733c7c39367b1a3dd3b32e"
sources = ["embedded:digits"]
[stage.digits]
kind = "mnist"
files = "files"
[stage.lenet]
kind = "train-classifier"
images = "digits"
training.epochs = 2
checkpoint_seconds = 0
"#;

/// Whether some cell has a checkpoint.
fn has_checkpoint(bench: &Bench) -> bool {
    let folders = std::fs::read_dir(bench.path(".sconce/checkpoints")).into_iter().flatten();
    folders.flatten().any(|folder| folder.path().join("training.checkpoint").exists())
}

#[test]
fn a_killed_training_goes_on_to_the_same_bits() {
    let whole = Bench::new(LENET);
    whole.run(&[]);
    let bench = Bench::new(LENET);
    let mut child = bench.start(&["run", "p.toml"]);
    eventually("a checkpoint is there", || has_checkpoint(&bench));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!bench.shown().keys().any(|name| name.contains("lenet")), "it had not finished");
    eventually("its worker ends with it", || live(&bench).starts_with("lenet (killed"));
    let killed = curve(&bench, "steps");
    let said = bench.run(&[]);
    assert!(said.err.contains("going on after"), "{}", said.err);
    let shown = bench.shown();
    assert!(shown.keys().any(|name| name.ends_with("model.safetensors")));
    assert_eq!(shown, whole.shown());
    // The curve begins with what was told before the kill, has each step once, and is the other one's.
    let steps = curve(&bench, "steps");
    assert!(!killed.is_empty() && killed.len() < steps.len(), "{killed:?}");
    assert!(steps.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "{steps:?}");
    assert_eq!(steps, curve(&whole, "steps"));
    assert_eq!(steps[..killed.len()], killed);
    assert_eq!(curve(&bench, "epochs"), curve(&whole, "epochs"));
    assert!(live(&bench).contains("started 2 times"), "{}", live(&bench));
}

fn live(bench: &Bench) -> String {
    bench.sconce(&["show", "p.toml", "lenet", "--live"]).out
}

/// Places and losses of the training's curve.
fn curve(bench: &Bench, per: &str) -> Vec<(u64, String)> {
    let _ = std::fs::remove_dir_all(bench.path("exported"));
    let arguments = ["export", "p.toml", "lenet", "--format", "csv", "--out", "exported"];
    let said = bench.sconce(&arguments);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let text = bench.read(&format!("exported/histories/lenet.{per}.csv"));
    let row = |line: &str| {
        let (place, loss) = line.split_once(',').unwrap();
        (place.parse().unwrap(), loss.to_owned())
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn more_epochs_begin_with_what_is_there() {
    let bench = Bench::new(LENET);
    bench.run(&[]);
    let said = bench.run(&["--set", "stage.lenet.training.epochs=3"]);
    assert!(said.err.contains("going on after"), "{}", said.err);
    let anew = Bench::new(LENET);
    anew.run(&["--set", "stage.lenet.training.epochs=3"]);
    assert_eq!(bench.shown(), anew.shown());
    // A schedule that spans all epochs has no common beginning.
    let cosine = ["--set", "stage.lenet.training.schedule={ cosine = {} }"];
    bench.run(&cosine);
    let said = bench.run(&[&cosine[..], &["--set", "stage.lenet.training.epochs=3"]].concat());
    assert!(!said.err.contains("going on after"), "{}", said.err);
}

#[test]
fn a_curve_of_epochs_has_those_with_which_it_began() {
    let bench = Bench::new(LENET);
    bench.run(&[]);
    let two = curve(&bench, "epochs");
    bench.write("p.toml", &LENET.replace("epochs = 2", "epochs = 3"));
    bench.run(&[]);
    let three = curve(&bench, "epochs");
    assert_eq!((three.len(), &three[..2]), (3, &two[..]));
}

/// Trainings on two domains, two at a time.
const SWEEP: &str = r#"
[stage.files]
kind = "fetch"
digest = "blake3:e8e7beb5416fbb96349d2c7af27bd37493cdfae721733c7c39367b1a3dd3b32e"
sources = ["embedded:digits"]
[stage.mnist]
kind = "mnist"
files = "files"
[stage.photograph-files]
kind = "fetch"
digest = "blake3:8904a163fd3e3d20eed39f7e3397ef8aa321eefff369827b8f70fc110d9e926e"
sources = ["embedded:photographs"]
[stage.photographs]
kind = "image-folder"
files = "photograph-files"
splits = []
[stage.mnist-m]
kind = "mnist-m"
images = "mnist"
photographs = "photographs"
[stage.adapted]
kind = "adapt"
source = "mnist"
target = "mnist-m"
split = "test"
test_split = ""
watched = 20
training = { epochs = 1, batch = 50, schedule = "dann" }
checkpoint_seconds = 0
matrix.seed = [0, 1]
matrix.setting = { dann = {}, dann-bn = { architecture = "dann_bn", batch_statistics = "apart", training.optimiser.adam = {} } }
"#;

#[test]
fn a_killed_sweep_goes_on_to_the_same_bits() {
    let at_a_time = ["--threads", "1", "-j", "2"];
    let whole = Bench::new(SWEEP);
    whole.run(&at_a_time);
    let trained = |bench: &Bench| {
        let weights = |name: &&String| name.ends_with("/weights/model.safetensors");
        bench.shown().keys().filter(weights).count()
    };
    assert_eq!(trained(&whole), 4);
    let bench = Bench::new(SWEEP);
    let mut child = bench.start(&[&["run", "p.toml"], &at_a_time[..]].concat());
    // With a schedule of all epochs, a checkpoint is of a training that has not finished.
    eventually("one training is done and another is not", || {
        trained(&bench) > 0 && has_checkpoint(&bench)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(trained(&bench) < 4, "the sweep had not finished");
    let said = bench.run(&at_a_time);
    assert!(said.err.contains("going on after"), "{}", said.err);
    assert!(said.cells("Finished").iter().all(|cell| cell.starts_with("adapted")), "{}", said.err);
    assert_eq!(bench.shown(), whole.shown());
}

/// A generator against a discriminator, with all that such a training remembers.
const GAN: &str = r#"
[stage.files]
kind = "fetch"
digest = "blake3:e8e7beb5416fbb96349d2c7af27bd37493cdfae721733c7c39367b1a3dd3b32e"
sources = ["embedded:digits"]
[stage.digits]
kind = "mnist"
files = "files"
[stage.gan]
kind = "train-gan"
images = "digits"
split = "test"
generator = { width = 8, conditional = true }
discriminator = { width = 8, condition = "projected", norm = "spectral" }
loss = "relativistic"
gradient_penalty = { real = 1.0, fake = 1.0 }
average = 0.9
training = { epochs = 2, batch = 50 }
sample_every = 7
samples = 20
checkpoint_seconds = 0
[stage.generated]
kind = "generate"
weights = "gan.generator"
"#;

#[test]
fn a_killed_game_goes_on_to_the_same_images() {
    // How long an update took is no result.
    let shown = |bench: &Bench| {
        let mut shown = bench.shown();
        shown.retain(|name, _| !name.contains("/timings/"));
        shown
    };
    let whole = Bench::new(GAN);
    whole.run(&[]);
    let bench = Bench::new(GAN);
    let mut child = bench.start(&["run", "p.toml"]);
    eventually("a checkpoint is there", || has_checkpoint(&bench));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!shown(&bench).keys().any(|name| name.contains("gan")), "it had not finished");
    let said = bench.run(&[]);
    assert!(said.err.contains("going on after"), "{}", said.err);
    let images = |name: &String| name.ends_with("/pixels.safetensors");
    assert!(shown(&bench).keys().filter(|name| images(name)).count() >= 3);
    assert!(shown(&bench) == shown(&whole));
}

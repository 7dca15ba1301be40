use std::path::Path;
use std::process::Command;
use std::time::Duration;

use candle_core::{Device, Tensor, Var};
use rand::RngExt;
use sconce_ops::device::number;

use super::*;
use crate::init::Init;
use crate::optim::{Adam, Method, Optimiser};
use crate::variables::Variables;

/// A line fitted by Adam with noise from the batch's generator: everything that a checkpoint has to bring back.
struct Line {
    variables: Variables,
    line: Var,
    optimiser: Optimiser,
    /// Kills the process before this update.
    die_at: Option<usize>,
    /// Fails before this update.
    stop_at: Option<usize>,
    steps: usize,
    /// As on a device, whose numbers are not read at once.
    waits: bool,
    unread: Unread,
    /// How many numbers were read at once at most.
    at_once: usize,
}

const EXAMPLES: usize = 23;

impl Line {
    fn new() -> Self {
        let mut variables = Variables::new(5, &Device::Cpu);
        let line = variables.parameter("line", &[2, 1], Init::PytorchDefault).unwrap();
        let optimiser = Optimiser::new(Method::Adam(Adam::default()), &variables).unwrap();
        let (unread, waits, at_once) = (Unread::default(), false, 0);
        let (die_at, stop_at, steps) = (None, None, 0);
        Self { variables, line, optimiser, die_at, stop_at, steps, waits, unread, at_once }
    }
}

impl Task for Line {
    fn step(&mut self, batch: &Batch<'_>) -> Result<()> {
        if self.die_at == Some(batch.position.step) {
            // as kill -9 does: nothing is flushed, no destructor runs
            std::process::abort();
        }
        if self.stop_at == Some(batch.position.step) {
            return Err(Error::message("stopped"));
        }
        self.steps += 1;
        let mut rng = batch.rng("noise");
        let mut rows = vec![];
        let mut targets = vec![];
        for &row in batch.rows {
            let x = row as f32 / EXAMPLES as f32;
            rows.extend([x, 1.0]);
            targets.push(3.0 * x - 1.0 + rng.random::<f32>() * 0.1);
        }
        let update = || -> candle_core::Result<Tensor> {
            let x = Tensor::from_vec(rows, (targets.len(), 2), &Device::Cpu)?;
            let t = Tensor::from_vec(targets, (batch.rows.len(), 1), &Device::Cpu)?;
            let loss = (x.matmul(&self.line)? - t)?.sqr()?.mean_all()?;
            self.optimiser.step(&loss.backward()?, 0.05 * batch.factor)?;
            Ok(loss.detach())
        };
        let (loss, rows) = (update().map_err(Error::other)?, batch.rows.len() as f64);
        let reading = Reading::new(move || Ok(vec![("loss", number(&loss)?)]));
        self.unread.push(reading.and(move || Ok(vec![("rows", rows)])));
        Ok(())
    }

    fn numbers(&mut self) -> Result<Vec<Values>> {
        let numbers = self.unread.read()?;
        self.at_once = self.at_once.max(numbers.len());
        Ok(numbers)
    }

    fn waits(&self) -> bool {
        self.waits
    }

    fn validate(&mut self, epoch: usize) -> Result<Values> {
        let slope = self.line.flatten_all().and_then(|v| v.to_vec1::<f32>());
        let slope = f64::from(slope.map_err(Error::other)?[0]);
        Ok(vec![("slope", slope), ("wave", ((epoch * 7) % 5) as f64)])
    }

    fn snapshot(&self) -> Result<Tensors> {
        let mut all = Tensors::default();
        self.variables.save("model.", &mut all)?;
        self.optimiser.save("optimiser.", &mut all)?;
        Ok(all)
    }

    fn restore(&mut self, snapshot: &Tensors) -> Result<()> {
        self.variables.restore("model.", snapshot)?;
        self.optimiser.restore("optimiser.", snapshot)
    }
}

fn training(epochs: usize) -> Training {
    Training { checkpoint_every: Duration::ZERO, ..Training::new(EXAMPLES, 4, epochs) }
}

/// Bits of the weights and of the history.
type Bits = (Vec<u32>, Vec<Vec<(String, u64)>>, Option<usize>);

fn run(folder: &Path, training: &Training, task: &mut Line) -> Result<Bits> {
    let ctx = Context::in_folder(folder, &[]).unwrap().with_seed(9);
    let history = training.run(&ctx, task)?;
    let line = task.line.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let bits = |row: &Vec<(String, f64)>| {
        row.iter().map(|(name, value)| (name.clone(), value.to_bits())).collect()
    };
    let rows = history.rows.iter().map(bits).collect();
    Ok((line.into_iter().map(f32::to_bits).collect(), rows, history.best))
}

fn uninterrupted(training: &Training) -> Bits {
    run(tempfile::tempdir().unwrap().path(), training, &mut Line::new()).unwrap()
}

const FOLDER: &str = "SCONCE_TEST_TRAINING_FOLDER";
const DIE_AT: &str = "SCONCE_TEST_TRAINING_DIE_AT";

/// The training that [`a_killed_training_goes_on_with_the_same_bits`] kills: nothing when run alone.
#[test]
fn killed_child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let die_at = std::env::var(DIE_AT).unwrap().parse().unwrap();
    let mut task = Line { die_at: Some(die_at), ..Line::new() };
    run(Path::new(&folder), &monitored(5), &mut task).unwrap();
}

fn monitored(epochs: usize) -> Training {
    let direction = Direction::Lower;
    let monitor = Some(Monitor { metric: "wave".to_owned(), direction, patience: Some(9) });
    Training { schedule: Schedule::Cosine { minimum: 0.1 }, monitor, ..training(epochs) }
}

#[test]
fn a_killed_training_goes_on_with_the_same_bits() {
    let whole = uninterrupted(&monitored(5));
    let folder = tempfile::tempdir().unwrap();
    // at the start, within epochs, at the border of epochs, at the last update; one run after the other
    for die_at in [0, 1, 8, 12, 13, 29] {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "train::tests::killed_child", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(DIE_AT, die_at.to_string())
            .output()
            .unwrap()
            .status;
        assert!(!status.success(), "the child was to die at {die_at}");
    }
    let mut task = Line::new();
    assert_eq!(run(folder.path(), &monitored(5), &mut task).unwrap(), whole);
    assert_eq!(task.steps, 1, "only the last update was left");
}

#[test]
fn a_damaged_checkpoint_is_not_used() {
    let whole = uninterrupted(&training(2));
    let folder = tempfile::tempdir().unwrap();
    let mut task = Line { stop_at: Some(5), ..Line::new() };
    assert!(run(folder.path(), &training(2), &mut task).is_err());
    let file = folder.path().join("checkpoint/training.checkpoint");
    let mut bytes = std::fs::read(&file).unwrap();
    // A bit of a number, which the format itself would not notice.
    let place = bytes.len() - 70;
    bytes[place] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let mut task = Line::new();
    assert_eq!(run(folder.path(), &training(2), &mut task).unwrap(), whole);
    assert_eq!(task.steps, 12, "from the start");
}

#[test]
fn a_checkpoint_of_each_update_gives_the_same_bits() {
    let whole = uninterrupted(&monitored(3));
    for stop in 1..18 {
        let folder = tempfile::tempdir().unwrap();
        let mut task = Line::new();
        // a step that fails leaves the checkpoint of the update before
        struct Failing<'a>(&'a mut Line, usize);
        impl Task for Failing<'_> {
            fn step(&mut self, batch: &Batch<'_>) -> Result<()> {
                match batch.position.step {
                    at if at == self.1 => Err(Error::message("stop")),
                    _ => self.0.step(batch),
                }
            }
            fn numbers(&mut self) -> Result<Vec<Values>> {
                self.0.numbers()
            }
            fn validate(&mut self, epoch: usize) -> Result<Values> {
                self.0.validate(epoch)
            }
            fn snapshot(&self) -> Result<Tensors> {
                self.0.snapshot()
            }
            fn restore(&mut self, snapshot: &Tensors) -> Result<()> {
                self.0.restore(snapshot)
            }
        }
        let ctx = Context::in_folder(folder.path(), &[]).unwrap().with_seed(9);
        assert!(monitored(3).run(&ctx, &mut Failing(&mut task, stop)).is_err());
        assert_eq!(run(folder.path(), &monitored(3), &mut Line::new()).unwrap(), whole, "{stop}");
    }
}

/// What is read late: the same numbers, in the history and in what is saved.
#[test]
fn numbers_that_are_read_late_are_the_same() {
    let slow =
        |epochs| Training { checkpoint_every: Duration::from_secs(3600), ..monitored(epochs) };
    let go = |folder: &Path, waits| {
        let mut task = Line { waits, ..Line::new() };
        let bits = run(folder, &slow(3), &mut task);
        (bits, task.at_once)
    };
    let (at_once, late) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (whole, one) = go(at_once.path(), false);
    let (same, several) = go(late.path(), true);
    assert_eq!((whole.unwrap(), 1, 6), (same.unwrap(), one, several), "an epoch has six updates");
    // each update saved: each is read before
    for stop in [1, 5, 6, 7, 13] {
        let folder = tempfile::tempdir().unwrap();
        let mut task = Line { waits: true, stop_at: Some(stop), ..Line::new() };
        run(folder.path(), &monitored(3), &mut task).unwrap_err();
        assert_eq!(task.at_once, 1);
        let mut task = Line { waits: true, ..Line::new() };
        assert_eq!(
            run(folder.path(), &monitored(3), &mut task).unwrap(),
            uninterrupted(&monitored(3))
        );
        assert_eq!(task.steps, 18 - stop);
    }
}

/// What was not read yet takes memory.
#[test]
fn numbers_are_not_kept_without_bound() {
    let folder = tempfile::tempdir().unwrap();
    let long =
        Training { checkpoint_every: Duration::from_secs(3600), ..Training::new(1200, 4, 1) };
    let mut task = Line { waits: true, ..Line::new() };
    run(folder.path(), &long, &mut task).unwrap();
    assert_eq!((task.steps, task.at_once), (300, 256));
}

/// An update that fails because an earlier one gave no number: that one is told.
#[test]
fn divergence_is_told_of_the_update_that_it_was_in() {
    struct Diverging(usize);
    impl Task for Diverging {
        fn step(&mut self, batch: &Batch<'_>) -> Result<()> {
            if batch.position.step == 4 {
                return Err(Error::message("a matrix without an inverse"));
            }
            self.0 += 1;
            Ok(())
        }
        fn numbers(&mut self) -> Result<Vec<Values>> {
            let loss = |i| if i == 2 { f64::INFINITY } else { 1.0 };
            Ok((0..std::mem::take(&mut self.0)).map(|i| vec![("loss", loss(i))]).collect())
        }
        fn waits(&self) -> bool {
            true
        }
        fn snapshot(&self) -> Result<Tensors> {
            Ok(Tensors::default())
        }
        fn restore(&mut self, _: &Tensors) -> Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap();
    let slow = Training::new(EXAMPLES, 4, 2);
    let error = slow.run(&ctx, &mut Diverging(0)).unwrap_err().to_string();
    assert!(
        error.starts_with("the training diverged: loss is inf in epoch 1, update 3"),
        "{error}"
    );
}

#[test]
fn a_longer_training_begins_with_a_shorter_one() {
    let folder = tempfile::tempdir().unwrap();
    let shared = Some(folder.path().join("shared"));
    let of = |epochs, schedule| Training { shared: shared.clone(), schedule, ..training(epochs) };
    let go = |epochs, schedule| {
        let own = tempfile::tempdir().unwrap();
        let mut task = Line::new();
        let bits = run(own.path(), &of(epochs, schedule), &mut task).unwrap();
        assert_eq!(bits, uninterrupted(&Training { shared: None, ..of(epochs, schedule) }));
        task.steps
    };
    let step = Schedule::Step { epochs: 2, factor: 0.5 };
    assert_eq!(go(2, step), 12);
    assert_eq!(go(5, step), 18, "three epochs on top of two");
    assert_eq!(go(4, step), 12, "the one of five is too long");
    assert_eq!(go(5, step), 0);
    let fresh = Some(folder.path().join("other"));
    let shared = fresh;
    let of =
        |epochs| Training { shared: shared.clone(), schedule: Schedule::Dann, ..training(epochs) };
    for epochs in [2, 3] {
        let mut task = Line::new();
        run(tempfile::tempdir().unwrap().path(), &of(epochs), &mut task).unwrap();
        assert_eq!(task.steps, 6 * epochs, "the schedule depends on the number of epochs");
    }
}

#[test]
fn the_best_epoch_stays_and_patience_ends() {
    // wave: 0 2 4 1 3 0 …: the highest is epoch 2
    let direction = Direction::Higher;
    let monitor = Some(Monitor { metric: "wave".to_owned(), direction, patience: Some(3) });
    let mut task = Line::new();
    let early = Training { monitor, ..training(20) };
    let (line, rows, best) = run(tempfile::tempdir().unwrap().path(), &early, &mut task).unwrap();
    assert_eq!((rows.len(), best), (6, Some(2)));
    assert_eq!(line, uninterrupted(&training(3)).0);
    let missing = Monitor { metric: "nothing".to_owned(), direction, patience: None };
    let wrong = Training { monitor: Some(missing), ..training(1) };
    let error = run(tempfile::tempdir().unwrap().path(), &wrong, &mut Line::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the training reports no `nothing`; there are: loss, rows, slope, wave"
    );
}

#[test]
fn each_epoch_sees_all_examples_once_in_an_order_of_its_own() {
    let orders: Vec<_> = (0..3).map(|epoch| order(1, "examples", epoch, 50)).collect();
    for one in &orders {
        let mut sorted = one.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    }
    assert!(orders[0] != orders[1] && orders[1] != orders[2]);
    assert_ne!(order(1, "target", 0, 50), orders[0]);
    assert_eq!(order(1, "examples", 2, 50), orders[2]);
}

#[test]
fn means_are_weighted_and_the_last_batch_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap();
    let history = training(1).run(&ctx, &mut Line::new()).unwrap();
    // five batches of 4 and one of 3
    assert!((history.last("rows").unwrap() - (5.0 * 16.0 + 9.0) / 23.0).abs() < 1e-12);
    let table = history.table().unwrap();
    assert!(table.to_csv().starts_with("epoch,loss,rows,slope,wave\n1,"));
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap();
    let mut task = Line::new();
    Training { drop_last: true, ..training(2) }.run(&ctx, &mut task).unwrap();
    assert_eq!(task.steps, 10);
}

#[test]
fn divergence_and_impossible_settings_are_told() {
    struct Diverging;
    impl Task for Diverging {
        fn step(&mut self, _: &Batch<'_>) -> Result<()> {
            Ok(())
        }
        fn numbers(&mut self) -> Result<Vec<Values>> {
            Ok(vec![vec![("loss", f64::NAN)]])
        }
        fn snapshot(&self) -> Result<Tensors> {
            Ok(Tensors::default())
        }
        fn restore(&mut self, _: &Tensors) -> Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), &[]).unwrap();
    let error = training(1).run(&ctx, &mut Diverging).unwrap_err().to_string();
    assert!(
        error.starts_with("the training diverged: loss is NaN in epoch 1, update 1"),
        "{error}"
    );
    let empty = Training::new(0, 4, 1).run(&ctx, &mut Diverging).unwrap_err();
    assert!(empty.to_string().contains("expected examples to train on, found none"), "{empty}");
    let few = Training { drop_last: true, ..Training::new(3, 4, 1) };
    let few = few.run(&ctx, &mut Diverging).unwrap_err().to_string();
    assert_eq!(
        few,
        "parameter `training.batch`: expected at most 3, all examples to train on, got 4"
    );
    assert!(Training::new(3, 0, 1).run(&ctx, &mut Diverging).is_err());
}

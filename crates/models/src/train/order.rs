use rand::seq::SliceRandom;
use sconce_core::random::generator;

/// The numbers below `count` in the order of epoch `epoch`, which depends on nothing else than the arguments.
///
/// A task that draws from a second set of examples takes another `purpose`.
pub fn order(seed: u64, purpose: &str, epoch: usize, count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    places.shuffle(&mut generator(seed, &format!("order of {purpose}, epoch {epoch}")));
    places
}

/// Divides places into those to train on and the part `share` of them that is held out, drawn by the seed; each in
/// their old order.
pub fn hold_out(places: Vec<usize>, share: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let count = (places.len() as f64 * share).round() as usize;
    let drawn = order(seed, "held-out examples", 0, places.len());
    let held: std::collections::BTreeSet<usize> = drawn.into_iter().take(count).collect();
    let (mut train, mut out) = (Vec::new(), Vec::new());
    for (i, place) in places.into_iter().enumerate() {
        if held.contains(&i) { out.push(place) } else { train.push(place) }
    }
    (train, out)
}

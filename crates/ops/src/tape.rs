//! Gradients without candle's sums of zeros, of a graph that is given up on the way back.
//!
//! candle keeps a whole graph until its last gradient is computed, and begins each gradient with zeros to which the first is added.
//! Under [`gradients`] this crate's operations on the processor are written down on a tape instead: a result and what its operation
//! kept are dropped as soon as the gradient has passed, and a first gradient is taken as it is. What lies between them (reshapes,
//! sums, whatever else candle computes) goes through candle, piece by piece, so that any function can be recorded.
//!
//! Griewank and Walther, "Evaluating derivatives", 2008, chapter 3 (the reverse mode and its tape).

use candle_core::backprop::GradStore;
use candle_core::op::BackpropOp;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor, TensorId,
    bail,
};
use std::cell::RefCell;

/// The gradients of `f`'s first result, of any shape (of the sum of its elements), to the variables that it depends on, and the
/// second one: whatever else is wanted of the same pass.
///
/// Gradients are added in candle's order, so that the bits are those of its `backward` where each piece that candle computes goes
/// on to one operation of this crate. Where several pieces share a result or a variable, each has been passed as a whole before the
/// next, and the last bits may differ. On other devices than the processor it is candle's.
///
/// What `f` leaves behind of the graph is without history: a tensor from inside has no `backward` of its own, not in `f` either. It is
/// marked as a variable, where gradients end, so that `Var::from_tensor` of one is no copy: detach it before. A `gradients` within
/// another one ends at the outer one's results.
///
/// ```
/// use candle_core::{Device, Var};
/// use sconce_ops::{activation::relu, tape};
///
/// let x = Var::new(&[-1f32, 2.], &Device::Cpu)?;
/// let (gradients, y) = tape::gradients(|| {
///     let y = relu(&x)?;
///     Ok(((&y * 3.0)?.sum_all()?, y.to_vec1::<f32>()?))
/// })?;
/// assert_eq!(y, [0., 2.]);
/// assert_eq!(gradients.get(&x).unwrap().to_vec1::<f32>()?, [0., 3.]);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// Those of `f`, and of gradients that there are not.
pub fn gradients<R>(f: impl FnOnce() -> Result<(Tensor, R)>) -> Result<(GradStore, R)> {
    let recording = Recording::start();
    let (root, rest) = f()?;
    Ok((recording.stop().back_from(root)?, rest))
}

thread_local! {
    /// The tapes of the functions that this thread is recording, the innermost last.
    static TAPES: RefCell<Vec<Tape>> = const { RefCell::new(vec![]) };
}

/// A tape of this thread, which is taken away again whatever happens.
struct Recording {
    is_on: bool,
}

impl Recording {
    fn start() -> Self {
        TAPES.with_borrow_mut(|tapes| tapes.push(Tape::default()));
        Self { is_on: true }
    }

    fn stop(mut self) -> Tape {
        self.is_on = false;
        TAPES.with_borrow_mut(Vec::pop).unwrap_or_default()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if self.is_on {
            TAPES.with_borrow_mut(Vec::pop);
        }
    }
}

/// Something for each tensor.
#[allow(
    clippy::disallowed_types,
    reason = "candle's names of tensors have no order, and nothing follows the map's"
)]
type OfTensor<T> = std::collections::HashMap<TensorId, T>;

#[derive(Default)]
struct Tape {
    steps: Vec<Step>,
    /// The step that each result is of.
    places: OfTensor<usize>,
}

struct Step {
    op: Op,
    result: Tensor,
}

enum Op {
    One(Box<dyn CustomOp1 + Send + Sync>, Tensor),
    Two(Box<dyn CustomOp2 + Send + Sync>, [Tensor; 2]),
    Three(Box<dyn CustomOp3 + Send + Sync>, [Tensor; 3]),
    /// What candle has computed of earlier results.
    Candle,
    /// The elements of a tensor in another shape.
    Reshape(Tensor),
}

/// Whether an operation on these goes onto a tape.
fn is_recorded(args: &[&Tensor]) -> bool {
    args.iter().any(|x| x.track_op())
        && args.iter().all(|x| x.device().is_cpu())
        && TAPES.with_borrow(|tapes| !tapes.is_empty())
}

/// The result of an operation as a tensor that gradients end at, written down.
fn record(op: Op, (storage, shape): (CpuStorage, Shape)) -> Tensor {
    let result = Tensor::from_storage(Storage::Cpu(storage), shape, BackpropOp::none(), true);
    write(op, result.clone());
    result
}

fn write(op: Op, result: Tensor) {
    TAPES.with_borrow_mut(|tapes| {
        let Some(tape) = tapes.last_mut() else { return };
        for x in op.args() {
            if x.track_op() && !x.is_variable() && !tape.places.contains_key(&x.id()) {
                tape.push(Step { op: Op::Candle, result: x.clone() });
            }
        }
        tape.push(Step { op, result });
    });
}

/// `x` in another shape of as many elements, without a copy where it is contiguous. candle's `reshape`, whose gradient under
/// [`gradients`] is no copy either where it is contiguous.
///
/// # Errors
/// When the shape has not as many elements.
pub fn reshape(x: &Tensor, shape: impl Into<Shape>) -> Result<Tensor> {
    let y = x.reshape(shape.into())?;
    if is_recorded(&[x]) && y.track_op() && !y.is_variable() {
        write(Op::Reshape(x.clone()), y.clone());
    }
    Ok(y)
}

/// Calls `f` with the elements of CPU tensors.
fn with_storage<const N: usize, R>(
    args: [&Tensor; N],
    f: impl FnOnce([(&CpuStorage, &Layout); N]) -> Result<R>,
) -> Result<R> {
    let held = args.map(Tensor::storage_and_layout);
    let mut all = vec![];
    for (storage, layout) in &held {
        match &**storage {
            Storage::Cpu(storage) => all.push((storage, *layout)),
            _ => bail!("expected a tensor on the cpu"),
        }
    }
    match all.try_into() {
        Ok(all) => f(all),
        Err(_) => bail!("expected {N} tensors"),
    }
}

/// `op` of `x`, in candle's graph or on the tape.
pub(crate) fn apply1<C: CustomOp1 + Send + Sync + 'static>(x: &Tensor, op: C) -> Result<Tensor> {
    if !is_recorded(&[x]) {
        return x.apply_op1(op);
    }
    let y = with_storage([x], |[(s, l)]| op.cpu_fwd(s, l))?;
    Ok(record(Op::One(Box::new(op), x.clone()), y))
}

/// `op` of two tensors.
pub(crate) fn apply2<C: CustomOp2 + Send + Sync + 'static>(
    [a, b]: [&Tensor; 2],
    op: C,
) -> Result<Tensor> {
    if !is_recorded(&[a, b]) {
        return a.apply_op2(b, op);
    }
    let y = with_storage([a, b], |[a, b]| op.cpu_fwd(a.0, a.1, b.0, b.1))?;
    Ok(record(Op::Two(Box::new(op), [a, b].map(Tensor::clone)), y))
}

/// `op` of three tensors.
pub(crate) fn apply3<C: CustomOp3 + Send + Sync + 'static>(
    [a, b, c]: [&Tensor; 3],
    op: C,
) -> Result<Tensor> {
    if !is_recorded(&[a, b, c]) {
        return a.apply_op3(b, c, op);
    }
    let y = with_storage([a, b, c], |[a, b, c]| op.cpu_fwd(a.0, a.1, b.0, b.1, c.0, c.1))?;
    Ok(record(Op::Three(Box::new(op), [a, b, c].map(Tensor::clone)), y))
}

impl Op {
    fn args(&self) -> &[Tensor] {
        match self {
            Self::One(_, x) | Self::Reshape(x) => std::slice::from_ref(x),
            Self::Two(_, args) => args,
            Self::Three(_, args) => args,
            Self::Candle => &[],
        }
    }
}

/// Gradients so far.
#[derive(Default)]
struct Sums(OfTensor<Tensor>);

impl Sums {
    fn add(&mut self, id: TensorId, gradient: Tensor) -> Result<()> {
        let sum = match self.0.remove(&id) {
            Some(sum) => (sum + gradient)?,
            None => gradient,
        };
        self.0.insert(id, sum);
        Ok(())
    }

    /// Adds what an operation gives for its arguments.
    fn add_all<const N: usize>(
        &mut self,
        args: &[Tensor; N],
        gradients: [Option<Tensor>; N],
    ) -> Result<()> {
        for (x, gradient) in args.iter().zip(gradients) {
            if let Some(gradient) = gradient.filter(|_| x.track_op()) {
                self.add(x.id(), gradient.detach())?;
            }
        }
        Ok(())
    }

    /// Adds the gradients to the tensors that gradients end at, of which candle has computed `y`.
    fn add_through_candle(&mut self, y: &Tensor, gradient: Option<Tensor>) -> Result<()> {
        let mut found = match gradient {
            None => y.backward()?,
            Some(gradient) => y.apply_op1(Seed(gradient))?.backward()?,
        };
        for end in y.sorted_nodes().into_iter().filter(|x| x.is_variable()) {
            if let Some(gradient) = found.remove(end) {
                // of a product candle's gradient has a history
                self.add(end.id(), gradient.detach())?;
            }
        }
        Ok(())
    }
}

/// What candle has computed `y` of and gradients end at, in the order in which candle looks at it.
fn ends(y: &Tensor) -> impl Iterator<Item = TensorId> {
    y.sorted_nodes().into_iter().rev().filter(|x| x.is_variable()).map(Tensor::id)
}

impl Tape {
    fn push(&mut self, step: Step) {
        self.places.insert(step.result.id(), self.steps.len());
        self.steps.push(step);
    }

    /// The steps that lead to `root`, each behind those that it goes on from, in candle's order: that in which gradients are added.
    fn leading_to(&self, root: &Tensor) -> Vec<usize> {
        let place = |id: TensorId| self.places.get(&id).copied();
        let mut order = vec![];
        let mut seen = vec![false; self.steps.len()];
        // what is still to be looked at, the next one last: a step, and whether what it goes on from was
        let mut open: Vec<(usize, bool)> = match place(root.id()) {
            Some(step) => vec![(step, false)],
            None => ends(root).filter_map(place).map(|step| (step, false)).collect(),
        };
        open.reverse();
        while let Some((at, entered)) = open.pop() {
            if entered {
                order.push(at);
            } else if !std::mem::replace(&mut seen[at], true) {
                open.push((at, true));
                let Step { op, result } = &self.steps[at];
                let mut before: Vec<usize> = match op {
                    Op::Candle => ends(result).filter_map(place).collect(),
                    _ => op.args().iter().filter_map(|x| place(x.id())).collect(),
                };
                before.reverse();
                open.extend(before.into_iter().map(|step| (step, false)));
            }
        }
        order
    }

    fn back_from(self, root: Tensor) -> Result<GradStore> {
        let mut sums = Sums::default();
        let order = self.leading_to(&root);
        match (root.track_op(), root.is_variable() || self.places.contains_key(&root.id())) {
            (false, _) => {}
            (true, true) => sums.add(root.id(), root.ones_like()?)?,
            (true, false) => sums.add_through_candle(&root, None)?,
        }
        drop(root);
        let mut steps: Vec<Option<Step>> = self.steps.into_iter().map(Some).collect();
        let needed: Vec<Step> = order.into_iter().filter_map(|at| steps[at].take()).collect();
        // nothing asks for the others any more
        drop(steps);
        // a step, and with it what it kept, goes when its gradient has passed
        for Step { op, result } in needed.into_iter().rev() {
            let Some(gradient) = sums.0.remove(&result.id()) else { continue };
            match op {
                Op::Candle => sums.add_through_candle(&result, Some(gradient))?,
                Op::Reshape(x) => sums.add(x.id(), gradient.reshape(x.shape())?)?,
                Op::One(op, x) => {
                    let found = op.bwd(&x, &result, &gradient)?;
                    sums.add_all(&[x], [found])?;
                }
                Op::Two(op, args) => {
                    let (a, b) = op.bwd(&args[0], &args[1], &result, &gradient)?;
                    sums.add_all(&args, [a, b])?;
                }
                Op::Three(op, args) => {
                    let (a, b, c) = op.bwd(&args[0], &args[1], &args[2], &result, &gradient)?;
                    sums.add_all(&args, [a, b, c])?;
                }
            }
        }
        let mut all = GradStore::default();
        for (id, sum) in sums.0 {
            // candle's sums begin with a zero, which makes a zero of minus zero
            let sum = if sum.device().is_cpu() { sum.affine(1.0, 0.0)? } else { sum };
            all.insert_id(id, sum);
        }
        Ok(all)
    }
}

/// A scalar whose gradient to its argument is the one that it holds.
struct Seed(Tensor);

impl CustomOp1 for Seed {
    fn name(&self) -> &'static str {
        "seed"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), ().into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}

#[cfg(test)]
mod tests;

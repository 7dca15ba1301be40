//! Entropies and divergences of the classes that logits tell of.

use candle_core::{Result, Tensor, bail};
use sconce_ops::loss::log_softmax;
use sconce_ops::sum::sum_all;

/// Mean entropy of the predicted classes, in nats: `−mean Σ p ln p` with `p = softmax(logits)`.
///
/// Small where the network is sure. Grandvalet and Bengio, "Semi-supervised learning by entropy minimization", 2005; the
/// conditional entropy `L_c` of Shu et al., "A DIRT-T approach to unsupervised domain adaptation", 2018. `logits` are
/// `(batch, classes)` of any size: a class without probability adds 0, to the gradient too.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use sconce_adaptation::losses::conditional_entropy;
///
/// // one undecided between two classes, one sure
/// let logits = Tensor::new(&[[7f32, 7.], [100., -100.]], &Device::Cpu)?;
/// let entropy = conditional_entropy(&logits)?.to_scalar::<f32>()?;
/// assert!((entropy - std::f32::consts::LN_2 / 2.).abs() < 1e-6);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// When the logits are not `(batch, classes)`, or there are none.
pub fn conditional_entropy(logits: &Tensor) -> Result<Tensor> {
    check("conditional entropy", logits)?;
    let log = log_softmax(logits)?;
    mean_of_rows(&(log.exp()? * log)?)?.neg()
}

/// Mean divergence of a student's predictions from a teacher's, in nats: `mean Σ p (ln p − ln q)` with
/// `p = softmax(teacher)`, `q = softmax(student)`.
///
/// Kullback and Leibler's divergence `D` of Miyato et al., "Virtual adversarial training", 2018 (equation 5), and the
/// pull of DIRT-T towards the teacher (Shu et al., 2018). Both are `(batch, classes)` of any size. No gradient flows to
/// the teacher; the student's is that of [`cross_entropy_with`], `(q − p) / batch`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use sconce_adaptation::losses::kl;
///
/// // 1/2 and 1/2 against 1/4 and 3/4: ln 2 − ln 3 / 2
/// let teacher = Tensor::new(&[[0f64, 0.]], &Device::Cpu)?;
/// let student = Tensor::new(&[[0f64, 3f64.ln()]], &Device::Cpu)?;
/// let found = kl(&teacher, &student)?.to_scalar::<f64>()?;
/// assert!((found - (2f64.ln() - 3f64.ln() / 2.)).abs() < 1e-12);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// When the logits are not `(batch, classes)`, there are none, or the shapes differ.
pub fn kl(teacher: &Tensor, student: &Tensor) -> Result<Tensor> {
    check_both("KL divergence", teacher, student)?;
    let (p, q) = (log_softmax(&teacher.detach())?, log_softmax(student)?);
    mean_of_rows(&(p.exp()? * (p - q)?)?)
}

/// Mean cross-entropy of a student's predictions with a teacher's as soft labels, in nats: `−mean Σ p ln q` with
/// `p = softmax(teacher)`, `q = softmax(student)`.
///
/// [`kl`] and the teacher's entropy, which has no gradient here: what the authors of VADA write in their program for
/// the divergences of virtual adversarial training and of DIRT-T. Shapes, errors and gradient as there.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use sconce_adaptation::losses::cross_entropy_with;
///
/// let logits = Tensor::new(&[[1f64, 1.]], &Device::Cpu)?;
/// let found = cross_entropy_with(&logits, &logits)?.to_scalar::<f64>()?;
/// assert!((found - 2f64.ln()).abs() < 1e-12);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// As [`kl`].
pub fn cross_entropy_with(teacher: &Tensor, student: &Tensor) -> Result<Tensor> {
    check_both("cross-entropy with a teacher", teacher, student)?;
    let (p, q) = (log_softmax(&teacher.detach())?, log_softmax(student)?);
    mean_of_rows(&(p.exp()? * q)?)?.neg()
}

fn mean_of_rows(terms: &Tensor) -> Result<Tensor> {
    sum_all(terms)? / terms.dim(0)? as f64
}

fn check(what: &str, logits: &Tensor) -> Result<()> {
    match logits.dims() {
        &[batch, classes] if batch > 0 && classes > 0 => Ok(()),
        shape => bail!("{what} expects logits (batch, classes), at least one each, got {shape:?}"),
    }
}

fn check_both(what: &str, teacher: &Tensor, student: &Tensor) -> Result<()> {
    check(what, teacher)?;
    if teacher.dims() != student.dims() {
        let (teacher, student) = (teacher.dims(), student.dims());
        bail!("{what} expects two sets of logits of one shape, got {teacher:?} and {student:?}");
    }
    Ok(())
}

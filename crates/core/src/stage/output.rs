//! What a kind yields: declared once, and written only through its declaration.
//!
//! [`outputs!`](crate::outputs) declares a kind's outputs. Each becomes a row of
//! [`Yields::OUTPUTS`], which the planner checks edges against, and a constant [`Out`] of the kind,
//! which [`Context::write`](crate::Context::write) takes. No string names an output where it is
//! written, and neither an undeclared output nor another kind's compiles.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crate::Artifact;

/// What a kind of stage yields. [`outputs!`](crate::outputs) implements it.
pub trait Yields {
    /// The outputs. The first is what the stage's name alone refers to.
    const OUTPUTS: &'static [Output];
}

/// One output of a kind, as the planner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The output's name, as in `stage.output`.
    pub name: Cow<'static, str>,
    /// The artifact's type.
    pub artifact: Cow<'static, str>,
    /// What it holds, in a line.
    pub doc: &'static str,
    /// Whether two runs of one key may differ here (times of day, durations): `verify` passes
    /// over it.
    pub volatile: bool,
    /// The names of its numbers, for metrics of which they are known before a run; `*` at either end stands for
    /// anything. Empty where they are not known.
    pub numbers: &'static [&'static str],
}

impl Output {
    /// An output called `name` of type `T`.
    pub const fn of<T: Artifact>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            artifact: Cow::Borrowed(T::TYPE),
            doc: doc.trim_ascii(),
            volatile: false,
            numbers: &[],
        }
    }

    /// The same output, with the names of all numbers that it may hold.
    pub const fn with_numbers(mut self, numbers: &'static [&'static str]) -> Self {
        self.numbers = numbers;
        self
    }

    /// Whether it may hold a number of this name.
    pub fn may_hold(&self, number: &str) -> bool {
        let fits = |pattern: &&str| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
            (Some(end), _) => number.ends_with(end),
            (_, Some(start)) => number.starts_with(start),
            _ => *pattern == number,
        };
        self.numbers.is_empty() || self.numbers.iter().any(fits)
    }

    /// The same output, marked as one that two runs of one key need not give alike.
    pub const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }
}

/// An output of kind `S` that takes artifacts of type `T`.
///
/// [`outputs!`](crate::outputs) is the only way to one.
pub struct Out<S, T> {
    name: &'static str,
    of: PhantomData<fn() -> (S, T)>,
}

impl<S: Yields, T: Artifact> Out<S, T> {
    /// The output that `S` declares under this name. In a constant, as `outputs!` writes it, one
    /// that is not declared does not compile.
    #[doc(hidden)]
    #[expect(clippy::panic, reason = "at compile time, where it is an error of the compiler")]
    pub const fn declared(name: &'static str) -> Self {
        let mut place = 0;
        while place < S::OUTPUTS.len() {
            let output = &S::OUTPUTS[place];
            if same(borrowed(&output.name), name) && same(borrowed(&output.artifact), T::TYPE) {
                return Self { name, of: PhantomData };
            }
            place += 1;
        }
        panic!("the kind declares no such output");
    }
}

impl<S, T> Out<S, T> {
    /// The output's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<S, T> Clone for Out<S, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, T> Copy for Out<S, T> {}

impl<S, T> fmt::Debug for Out<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The text of a declaration.
#[expect(clippy::ptr_arg, reason = "`Cow` cannot be dereferenced at compile time")]
#[expect(clippy::panic, reason = "at compile time, where it is an error of the compiler")]
const fn borrowed(text: &Cow<'static, str>) -> &'static str {
    match text {
        Cow::Borrowed(text) => text,
        Cow::Owned(_) => panic!("expected a declaration"),
    }
}

/// Whether two texts are alike, at compile time.
const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut place = 0;
    while place < left.len() {
        if left[place] != right[place] {
            return false;
        }
        place += 1;
    }
    true
}

/// Declares the outputs of a kind: the constants to write through and [`Yields::OUTPUTS`].
///
/// The doc comment is what `sconce kinds` says of the output. `volatile` marks an output that two
/// runs of one key need not give alike, such as one that holds durations. Names in brackets are those of the numbers
/// that metrics hold: a text that refers to another one is refused before anything runs.
///
/// ```
/// use schemars::JsonSchema;
/// use sconce_core::{Context, Folder, Input, Result, Stage, outputs};
/// use serde::{Deserialize, Serialize};
///
/// /// Passes files on.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Pass {
///     /// The files.
///     files: Input<Folder>,
/// }
///
/// outputs! { Pass:
///     /// The same files.
///     FILES: Folder = "files";
///     /// How long it took.
///     TIMES: Folder = "times", volatile;
/// }
///
/// impl Stage for Pass {
///     const KIND: &'static str = "pass";
///     const VERSION: u32 = 1;
///
///     fn run(&self, ctx: &Context<Self>) -> Result<()> {
///         let files = ctx.input(&self.files)?;
///         ctx.write(Self::FILES, &files)?;
///         ctx.write(Self::TIMES, &files)
///     }
/// }
/// ```
///
/// An undeclared output does not compile:
///
/// ```compile_fail,E0599
/// # use sconce_core::{Context, Folder, Result, outputs};
/// struct Pass;
/// outputs! { Pass:
///     /// The files.
///     FILES: Folder = "files";
/// }
/// fn run(ctx: &Context<Pass>, files: &Folder) -> Result<()> {
///     ctx.write(Pass::COPIES, files)
/// }
/// ```
///
/// Nor does one that was made by hand, past the declaration:
///
/// ```compile_fail,E0080
/// # use sconce_core::{Context, Folder, Result, outputs, stage::Out};
/// struct Pass;
/// outputs! { Pass:
///     /// The files.
///     FILES: Folder = "files";
/// }
/// const COPIES: Out<Pass, Folder> = Out::declared("copies");
/// # assert_eq!(COPIES.name(), "copies");
/// ```
///
/// Nor the output of another kind, nor an artifact of another type:
///
/// ```compile_fail,E0308
/// # use sconce_core::{Context, Folder, Result, outputs};
/// struct Pass;
/// struct Other;
/// outputs! { Other:
///     /// The files.
///     FILES: Folder = "files";
/// }
/// fn run(ctx: &Context<Pass>, files: &Folder) -> Result<()> {
///     ctx.write(Other::FILES, files)
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use sconce_core::{Anything, Context, Folder, Result, outputs};
/// struct Pass;
/// outputs! { Pass:
///     /// The files.
///     FILES: Folder = "files";
/// }
/// fn run(ctx: &Context<Pass>, files: &Anything) -> Result<()> {
///     ctx.write(Pass::FILES, files)
/// }
/// ```
#[macro_export]
macro_rules! outputs {
    ($stage:ty: $(
        $(#[doc = $doc:literal])+
        $output:ident: $artifact:ty = $name:literal $([ $($number:literal),+ $(,)? ])? $(, $volatile:ident)?;
    )*) => {
        impl $stage {
            $(
                $(#[doc = $doc])+
                pub(crate) const $output: $crate::stage::Out<$stage, $artifact> =
                    $crate::stage::Out::declared($name);
            )*
        }

        impl $crate::stage::Yields for $stage {
            const OUTPUTS: &'static [$crate::Output] = &[$(
                $crate::Output::of::<$artifact>($name, ::std::concat!($($doc),+))
                    $(.with_numbers(&[$($number),+]))? $(.$volatile())?,
            )*];
        }
    };
}

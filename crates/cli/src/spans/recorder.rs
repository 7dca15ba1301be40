//! Spans of this process as they end.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use sconce_core::span::{Span, now};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Hands each span to `take` when it ends.
pub(super) struct Recorder<F> {
    take: F,
}

impl<F: Fn(Span) + 'static> Recorder<F> {
    pub(super) fn new(take: F) -> Self {
        // The thread that starts to record is the first.
        thread();
        Self { take }
    }
}

impl<S, F> Layer<S> for Recorder<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: Fn(Span) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(at) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut span = begin(attributes.metadata());
        span.fields = fields.0;
        at.extensions_mut().insert(span);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(at) = context.span(id) else { return };
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = at.extensions_mut().get_mut::<Span>() {
            span.fields.append(&mut fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut span = begin(event.metadata());
        if let Some(Value::String(message)) = fields.0.remove("message") {
            span.name = message;
        }
        span.fields = fields.0;
        (self.take)(span);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(at) = context.span(&id) else { return };
        let span = at.extensions_mut().remove::<Span>();
        if let Some(mut span) = span {
            span.nanoseconds = Some(now().saturating_sub(span.start));
            (self.take)(span);
        }
    }
}

fn begin(metadata: &Metadata<'_>) -> Span {
    Span {
        name: metadata.name().to_owned(),
        target: metadata.target().to_owned(),
        level: metadata.level().as_str().to_ascii_lowercase(),
        start: now(),
        nanoseconds: None,
        thread: thread(),
        fields: BTreeMap::new(),
    }
}

#[derive(Default)]
struct Fields(BTreeMap<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN.
        let value = match serde_json::Number::from_f64(value) {
            Some(number) => Value::Number(number),
            None => value.to_string().into(),
        };
        self.0.insert(field.name().to_owned(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

/// The numbers of the living threads that have recorded something.
static THREADS: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

/// A living thread's number, which goes to another one after its end.
struct Thread(usize);

impl Thread {
    fn new() -> Self {
        let mut taken = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (0..).find(|number| !taken.contains(number)).unwrap_or_default();
        taken.insert(number);
        Self(number)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        THREADS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// The number of this thread: the smallest that no living one has.
fn thread() -> usize {
    thread_local! {
        static NUMBER: RefCell<Option<Thread>> = const { RefCell::new(None) };
    }
    NUMBER
        .try_with(|number| number.borrow_mut().get_or_insert_with(Thread::new).0)
        // A thread that ends right now.
        .unwrap_or_default()
}

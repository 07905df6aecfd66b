//! Captures tracing's events in tests.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, dispatcher};

/// An event: its level and target, and its numbers by name.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    pub(crate) level: Level,
    pub(crate) target: String,
    pub(crate) numbers: BTreeMap<&'static str, f64>,
}

/// What `work` gives, and the events of its thread meanwhile.
pub(crate) fn capture<T>(work: impl FnOnce() -> T) -> (T, Vec<Captured>) {
    // While there is one dispatcher alone, tracing asks the thread that reaches an event first whether anybody listens,
    // for all threads; and that may be another test's. With two it asks both.
    let _other = Dispatch::new(NoSubscriber::default());
    let capture = Capture::default();
    let given = dispatcher::with_default(&Dispatch::new(capture.clone()), work);
    let captured = std::mem::take(&mut *capture.0.lock().unwrap());
    (given, captured)
}

#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<Captured>>>);

impl Subscriber for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut numbers = Numbers(BTreeMap::new());
        event.record(&mut numbers);
        let (level, target) = (*event.metadata().level(), event.metadata().target().to_owned());
        self.0.lock().unwrap().push(Captured { level, target, numbers: numbers.0 });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Numbers(BTreeMap<&'static str, f64>);

impl Visit for Numbers {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name(), value as f64);
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

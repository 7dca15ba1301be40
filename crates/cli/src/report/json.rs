//! Events as JSON lines.

use std::io::{BufWriter, Stdout, Write};

use sconce_core::run::{Event, Interrupt};

use crate::failure::Failure;

/// Writes events to standard output.
pub(crate) struct Json {
    out: BufWriter<Stdout>,
    error: Option<std::io::Error>,
    interrupt: Interrupt,
}

impl Json {
    pub(super) fn new(interrupt: Interrupt) -> Self {
        Self { out: BufWriter::new(std::io::stdout()), error: None, interrupt }
    }

    pub(super) fn event(&mut self, event: &Event) {
        if self.error.is_some() {
            return;
        }
        let write = || -> std::io::Result<()> {
            serde_json::to_writer(&mut self.out, event)?;
            self.out.write_all(b"\n")?;
            // Hits come by the hundred, before anything else happens.
            if !matches!(event, Event::CellHit { .. }) {
                self.out.flush()?;
            }
            Ok(())
        };
        let mut write = write;
        if let Err(error) = write() {
            // Whoever asked for events no longer reads them: nobody wants this run.
            self.interrupt.ask();
            self.error = Some(error);
        }
    }

    pub(super) fn finish(mut self) -> Result<(), Failure> {
        match self.error.take() {
            Some(error) => Err(error.into()),
            None => Ok(self.out.flush()?),
        }
    }
}

//! The pipeline engine: spec, plan, key, store, execute, receipt.

//! Whole-program tests of the `sconce` command.

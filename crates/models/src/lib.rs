//! Networks with named taps, initialisation, losses, optimisers, the training loop.

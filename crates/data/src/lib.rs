//! What flows along edges and where it comes from.

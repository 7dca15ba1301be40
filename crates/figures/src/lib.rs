//! Plots, grids, animations, tables, the HTML report.

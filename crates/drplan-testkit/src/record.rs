//! Records what a program shows on a terminal, as an SVG that plays it.
//!
//! [`terminal`](run) runs the program on a pseudo-terminal, [`Film`] is what was to be seen and when, [`svg`] draws it.

mod film;
mod svg;
mod terminal;

pub use film::{Film, Size};
pub use svg::svg;
pub use terminal::{Recording, run};

//! Command line of the eGK reader.
fn main() {}

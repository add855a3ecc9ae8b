//! Prints name and insurance number of the first card: `cargo run -p egk-reader --example read_card [READER]`.
#![allow(clippy::print_stdout, reason = "an example that prints")]

use card::transport::Readers;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let source = std::env::args().nth(1).unwrap_or("pcsc:".into());
    let mut readers = Readers::open(&[source.parse()?]);
    let reader = readers.list()?.into_iter().next().ok_or("no reader")?;
    let record = egk_reader::read(readers.connect(&reader.name)?.as_mut())?;
    println!("{}, {}", record.personal.full_family_name(), record.personal.given_name);
    println!("{} insured with {}", record.personal.kvnr, record.coverage.payer.ik);
    Ok(())
}

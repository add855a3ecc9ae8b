//! Writes the seeds into the corpus directories: `cargo run -p fuzz-targets --example seed-corpus fuzz/corpus`.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let corpus = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("fuzz/corpus"), PathBuf::from);
    for (target, name, input) in fuzz_targets::seed::seeds()? {
        let directory = corpus.join(target);
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join(format!("seed-{name}")), input)?;
    }
    Ok(())
}

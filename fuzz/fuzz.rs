//! One program for all targets: `FUZZ_TARGET` names the one to run.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names what to fuzz");
    fuzz_targets::target(&name)
});

fuzz_target!(|input: &[u8]| {
    TARGET(input);
});

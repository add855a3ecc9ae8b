//! How fast the service signs, against the bare token, and what each stage costs.
//!
//! ```sh
//! cargo bench --workspace --bench load                              # everything, about ten minutes
//! cargo bench --workspace --bench load -- throughput --seconds 3 --rounds 5
//! cargo bench --workspace --bench load -- cards --cards 100 --seconds 30
//! ```
//!
//! `throughput`: SoftHSM with a key on P-384. In turn, so that whatever else the machine does meets all of them: raw
//! C_Sign with so many sessions; the service with so many clients, *bare* (without self-verification and audit) and as it
//! is; batches. A ratio is taken within a round; printed is the median of the rounds. Every answer is checked after its
//! window: raw signatures by C_Verify, the service's by VerifySignature over the bytes that were sent, some of them by
//! OpenSSL, too, and the audit trail by `audit verify`.
//!
//! The bare service exists here only: this program serves it itself (`serve-bare`), because no configuration can leave
//! the proof out (docs/decisions/the-load-program-alone-leaves-the-proof-out.md).
//!
//! `cards`: simulated cards at the speed of plastic, all on one node.
#![allow(clippy::print_stdout, clippy::print_stderr)] // it is a program that prints
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a panic is the report
#![allow(missing_docs)]

mod arguments;
mod calls;
mod cards;
mod desk;
mod figures;
mod raw;
mod throughput;

use arguments::Arguments;

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let first = words.first().is_some_and(|word| !word.starts_with("--")).then(|| words.remove(0));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match first.as_deref() {
        Some("serve-bare") => desk::serve_bare(words[0].as_ref()),
        Some("throughput") => throughput::start(&words),
        Some("throughput-on") => {
            let token = desk::Token::at(words.remove(0).into());
            runtime().block_on(throughput::print(&token, &Arguments::read(&words)));
        }
        Some("cards") => runtime().block_on(cards::print(&Arguments::read(&words))),
        None => {
            throughput::start(&words);
            runtime().block_on(cards::print(&Arguments { seconds: 30, ..Arguments::read(&words) }));
        }
        Some(other) => panic!("{other}: expected throughput or cards"),
    }
}

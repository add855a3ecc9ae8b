//! How many commands a card was sent, for programs that watch: a hardware feature object of a vendor's kind (PKCS#11 v3.1
//! clause 4.3). Reading it asks no card.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cryptoki_sys::*;

use super::objects::Object;

/// CKA_HW_FEATURE_TYPE of the counter.
pub(crate) const CKH_HPC_CARD_COMMANDS: CK_ULONG = CKH_VENDOR_DEFINED | 0x4850_4301;
/// Commands that the cards in this reader were sent since C_Initialize, a CK_ULONG. Both tokens of a card show the same.
pub(crate) const CKA_HPC_COMMANDS: CK_ATTRIBUTE_TYPE = CKA_VENDOR_DEFINED | 0x4850_4301;

/// Counts the commands of a reader, over all cards in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commands(Arc<AtomicU64>);

impl Commands {
    /// One more.
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The object with the present number; its label is the name of the reader.
    pub(crate) fn shown(&self, counter: &Object, reader: &str) -> Object {
        let mut shown = counter.clone();
        shown.set(CKA_LABEL, reader.as_bytes());
        #[allow(clippy::cast_possible_truncation, reason = "CK_ULONG is 32 bits wide on some targets")]
        let count = self.0.load(Ordering::Relaxed) as CK_ULONG;
        shown.set(CKA_HPC_COMMANDS, &count.to_ne_bytes());
        shown
    }
}

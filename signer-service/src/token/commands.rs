//! How many commands cards were sent. PKCS#11 has no word for it; this project's module tells it by a hardware feature object of
//! its own (docs/pkcs11-functions.md, "The counter of card commands"). Of other modules it is not asked: they have no such
//! object, and a look at an HSM's objects every few seconds is not free.

use std::sync::PoisonError;

use cryptoki::{
    object::{Attribute, AttributeType, ObjectClass},
    session::Session,
    slot::Slot,
};

use super::Module;

/// CKA_VENDOR_DEFINED and the number of the module's attribute.
const COMMANDS: AttributeType = AttributeType::VendorDefined(0x8000_0000 | 0x4850_4301);
/// How the module names its maker.
const MAKER: &str = "HPC Signer";

/// What the cards in a reader were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// The module's name for the reader, which may have several slots.
    pub reader: String,
    /// Since the module was loaded.
    pub count: u64,
}

impl Module {
    /// Does the module count commands?
    pub(super) fn counts_commands(&self) -> bool {
        self.context.get_library_info().is_ok_and(|info| info.manufacturer_id().trim_end() == MAKER)
    }

    /// The commands of the reader that has this slot, if a call has looked at its card before. Costs no card command.
    pub(super) fn commands(&self, slot: Slot) -> Option<Commands> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        read(idle.get(&slot.id())?)
    }
}

fn read(session: &Session) -> Option<Commands> {
    let found = session.find_objects(&[Attribute::Class(ObjectClass::HARDWARE_FEATURE)]).ok()?;
    found.into_iter().find_map(|object| {
        let attributes = session.get_attributes(object, &[COMMANDS, AttributeType::Label]).ok()?;
        let (mut count, mut reader) = (None, None);
        for attribute in attributes {
            match attribute {
                Attribute::VendorDefined((COMMANDS, bytes)) => count = number(&bytes),
                Attribute::Label(bytes) => reader = String::from_utf8(bytes).ok(),
                _ => {}
            }
        }
        Some(Commands { reader: reader?, count: count? })
    })
}

/// A CK_ULONG, which is as wide as the machine's.
fn number(bytes: &[u8]) -> Option<u64> {
    match *bytes {
        [a, b, c, d] => Some(u32::from_ne_bytes([a, b, c, d]).into()),
        _ => Some(u64::from_ne_bytes(bytes.try_into().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_the_module_is_four_or_eight_bytes() {
        assert_eq!(number(&7u32.to_ne_bytes()), Some(7));
        assert_eq!(number(&0x1_0000_0007u64.to_ne_bytes()), Some(0x1_0000_0007));
        assert_eq!(number(&[1, 2]), None);
    }
}

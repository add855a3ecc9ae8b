//! The faults, and which return value each may lead to.

use card_simulator::server::Fault;
use cryptoki::error::RvError;

use crate::desk::Operation;

/// A name, and what makes the fault.
type NamedFault = (&'static str, fn() -> Fault);

/// All faults.
pub(crate) const FAULTS: [NamedFault; 9] = [
    ("pulled", || Fault::Pull),
    ("reset", || Fault::Reset),
    ("mute", || Fault::Mute),
    ("6F00", || Fault::Answer(vec![0x6F, 0x00])),
    ("garbage", || Fault::Answer(vec![0xDE, 0xAD, 0xBE, 0xEF, 0x47, 0x11])),
    ("long garbage", || Fault::Answer((0..=255).cycle().take(4000).collect())),
    ("one byte", || Fault::Answer(vec![0x90])),
    ("truncated", || Fault::Truncate),
    ("shortened", || Fault::Shorten),
];

/// Whether the operation may end this way after the fault. `None` is CKR_OK: the driver found another way, and what
/// came out is right.
pub(crate) fn permits(operation: Operation, fault: &str, result: Option<RvError>) -> bool {
    use RvError::{
        DeviceError, DeviceRemoved, PinIncorrect, TokenNotPresent, TokenNotRecognized, UserNotLoggedIn,
    };
    match (fault, operation, result) {
        ("pulled", Operation::StartUp, result) => result == Some(TokenNotPresent),
        ("pulled", _, result) => result == Some(DeviceRemoved),
        // Reading starts over; so does a login whose PIN has not been sent. A signature must not.
        ("reset", Operation::StartUp, result) => result.is_none(),
        ("reset", Operation::FirstSignature | Operation::FurtherSignature, result) => {
            result == Some(UserNotLoggedIn)
        }
        // A card whose first answer is nonsense may be anybody's.
        (_, Operation::StartUp, result) => {
            matches!(result, None | Some(DeviceError | TokenNotRecognized))
        }
        (_, Operation::WrongLogin | Operation::WrongChange, result) => {
            matches!(result, Some(PinIncorrect | DeviceError))
        }
        (_, _, result) => matches!(result, None | Some(DeviceError)),
    }
}

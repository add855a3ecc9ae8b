//! The faults, and which return value each may lead to.

use card_simulator::server::Fault;
use cryptoki::error::RvError;

use crate::desk::Operation;

/// A name, and what makes the fault.
pub(crate) type NamedFault = (&'static str, fn() -> Fault);

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

/// What somebody on the line can do to an answer under secure messaging: `87|81 .. 99 02 status 8E 08 code`, status.
pub(crate) const FORGERIES: [NamedFault; 7] = [
    ("forged: code changed", || Fault::Alter(|answer, _| flipped(answer, 3))),
    ("forged: protected status changed", || Fault::Alter(|answer, _| flipped(answer, 13))),
    ("forged: data changed", || Fault::Alter(|answer, _| flipped(answer, 17))),
    ("forged: protected status left out", || Fault::Alter(without_status)),
    ("forged: the answer before again", || Fault::Alter(|_, before| before.to_vec())),
    ("forged: status in plain", || Fault::Answer(vec![0x90, 0x00])),
    ("forged: data in plain", || Fault::Answer([vec![0xA5; 64], vec![0x90, 0x00]].concat())),
];

/// One bit is wrong, so many bytes before the end, or in the first byte of a shorter answer.
fn flipped(mut answer: Vec<u8>, from_end: usize) -> Vec<u8> {
    let place = answer.len().saturating_sub(from_end);
    if let Some(byte) = answer.get_mut(place) {
        *byte ^= 1;
    }
    answer
}

fn without_status(mut answer: Vec<u8>, _: &[u8]) -> Vec<u8> {
    let start = answer.len().saturating_sub(16);
    if answer.get(start..start + 2) == Some(&[0x99, 0x02]) {
        answer.drain(start..start + 4);
    }
    answer
}

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
        // No forged answer becomes a signature. Without protection it means that the card has ended the channel.
        (forged, Operation::FirstSignature | Operation::FurtherSignature, result)
            if forged.starts_with("forged") =>
        {
            matches!(result, Some(DeviceError | UserNotLoggedIn))
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

//! The sender's end of a trusted channel: what a security module computes so that a program can secure commands to another
//! card and open its answers, without ever seeing the keys (gemSpec_COS 14.8.1 to 14.8.3 and 14.8.8).

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::session_keys::{Block, SessionKeys, padded};

/// What stands before a cryptogram: padded.
const PADDED: u8 = 0x01;

/// Keys and counter.
pub(crate) struct SenderKeys {
    keys: SessionKeys,
    counter: u128,
}

impl std::fmt::Debug for SenderKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SenderKeys(..)")
    }
}

impl SenderKeys {
    pub(crate) fn new(keys: SessionKeys) -> SenderKeys {
        SenderKeys { keys, counter: 0 }
    }

    /// Enciphers the data of the next command.
    pub(crate) fn encipher(&mut self, data: &[u8]) -> Vec<u8> {
        self.counter += 1;
        let mut out = vec![PADDED];
        out.extend(self.keys.enc.encipher(self.vector(), data));
        out
    }

    /// The code over a command; counts it unless its data were enciphered before.
    pub(crate) fn authenticate(&mut self, counts: bool, message: &[u8]) -> [u8; 8] {
        self.counter += u128::from(counts);
        self.code(message)
    }

    /// Whether the code over an answer is right. Counts it.
    pub(crate) fn is_authentic(&mut self, message: &[u8], code: &[u8]) -> bool {
        self.counter += 1;
        self.code(message).ct_eq(code).into()
    }

    /// Deciphers the data of the answer that was checked last.
    pub(crate) fn decipher(&self, cryptogram: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.keys.enc.decipher(self.vector(), cryptogram.strip_prefix(&[PADDED])?)
    }

    fn code(&self, message: &[u8]) -> [u8; 8] {
        self.keys.mac.mac(&[self.counter.to_be_bytes().as_slice(), &padded(message)].concat())
    }

    fn vector(&self) -> Block {
        self.keys.enc.encipher_block(self.counter.to_be_bytes())
    }
}

//! The block cipher of a channel, AES with keys of three lengths: key derivation, one block, authentication codes (ICAO
//! Doc 9303 part 11 clauses 9.7.1 and 9.8).

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit, consts::U16};
use aes::{Aes128, Aes192, Aes256};
use cmac::{Cmac, Mac};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 16;

/// AES with one of its key lengths. It is what the three protocols of this kind differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// id-PACE-ECDH-GM-AES-CBC-CMAC-128: the German cards'.
    Aes128,
    /// id-PACE-ECDH-GM-AES-CBC-CMAC-192.
    Aes192,
    /// id-PACE-ECDH-GM-AES-CBC-CMAC-256.
    Aes256,
}

impl Cipher {
    const ALL: [Cipher; 3] = [Cipher::Aes128, Cipher::Aes192, Cipher::Aes256];

    /// The value of the protocol's object identifier, 0.4.0.127.0.7.2.2.4.2.x.
    pub(super) fn protocol(self) -> [u8; 10] {
        let last = match self {
            Cipher::Aes128 => 0x02,
            Cipher::Aes192 => 0x03,
            Cipher::Aes256 => 0x04,
        };
        [0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x04, 0x02, last]
    }

    pub(super) fn of_protocol(identifier: &[u8]) -> Option<Cipher> {
        Cipher::ALL.into_iter().find(|cipher| cipher.protocol() == *identifier)
    }

    /// The key derivation function: SHA-1 for keys of 128 bits, SHA-256 for longer ones.
    pub(super) fn derive(self, secret: &[u8], counter: u8) -> Key {
        let counter = [0, 0, 0, counter];
        match self {
            Cipher::Aes128 => {
                let hash = Zeroizing::new(<[u8; 20]>::from(
                    Sha1::new().chain_update(secret).chain_update(counter).finalize(),
                ));
                Key::Aes128(beginning(hash.as_slice()))
            }
            Cipher::Aes192 => Key::Aes192(beginning(sha256(secret, counter).as_slice())),
            Cipher::Aes256 => Key::Aes256(sha256(secret, counter)),
        }
    }
}

fn sha256(secret: &[u8], counter: [u8; 4]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(Sha256::new().chain_update(secret).chain_update(counter).finalize().into())
}

/// The first bytes of a hash, which has them.
fn beginning<const N: usize>(hash: &[u8]) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    key.iter_mut().zip(hash).for_each(|(key, hash)| *key = *hash);
    key
}

/// A key for AES. Wiped from memory when dropped.
#[derive(Clone)]
pub(crate) enum Key {
    Aes128(Zeroizing<[u8; 16]>),
    Aes192(Zeroizing<[u8; 24]>),
    Aes256(Zeroizing<[u8; 32]>),
}

type Block = Array<u8, U16>;

impl Key {
    pub(crate) fn encrypt_block(&self, block: &mut [u8; BLOCK]) {
        let mut whole = Block::from(*block);
        match self {
            Key::Aes128(key) => Aes128::new(&Array::from(**key)).encrypt_block(&mut whole),
            Key::Aes192(key) => Aes192::new(&Array::from(**key)).encrypt_block(&mut whole),
            Key::Aes256(key) => Aes256::new(&Array::from(**key)).encrypt_block(&mut whole),
        }
        *block = whole.into();
    }

    pub(crate) fn decrypt_block(&self, block: &mut [u8; BLOCK]) {
        let mut whole = Block::from(*block);
        match self {
            Key::Aes128(key) => Aes128::new(&Array::from(**key)).decrypt_block(&mut whole),
            Key::Aes192(key) => Aes192::new(&Array::from(**key)).decrypt_block(&mut whole),
            Key::Aes256(key) => Aes256::new(&Array::from(**key)).decrypt_block(&mut whole),
        }
        *block = whole.into();
    }

    /// CBC over whole blocks, in place.
    pub(crate) fn encrypt(&self, vector: [u8; BLOCK], blocks: &mut [[u8; BLOCK]]) {
        let mut chain = vector;
        for block in blocks {
            block.iter_mut().zip(chain).for_each(|(byte, chain)| *byte ^= chain);
            self.encrypt_block(block);
            chain = *block;
        }
    }

    /// Undoes [`Key::encrypt`].
    pub(crate) fn decrypt(&self, vector: [u8; BLOCK], blocks: &mut [[u8; BLOCK]]) {
        let mut chain = vector;
        for block in blocks {
            let enciphered = *block;
            self.decrypt_block(block);
            block.iter_mut().zip(chain).for_each(|(byte, chain)| *byte ^= chain);
            chain = enciphered;
        }
    }

    /// The first eight bytes of the CMAC over all parts, one behind the other.
    pub(crate) fn authenticate(&self, parts: &[&[u8]]) -> [u8; 8] {
        match self {
            Key::Aes128(key) => code(<Cmac<Aes128> as KeyInit>::new(&Array::from(**key)), parts),
            Key::Aes192(key) => code(<Cmac<Aes192> as KeyInit>::new(&Array::from(**key)), parts),
            Key::Aes256(key) => code(<Cmac<Aes256> as KeyInit>::new(&Array::from(**key)), parts),
        }
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Key::Aes128(key) => key.as_slice(),
            Key::Aes192(key) => key.as_slice(),
            Key::Aes256(key) => key.as_slice(),
        }
    }
}

fn code(mut mac: impl Mac, parts: &[&[u8]]) -> [u8; 8] {
    parts.iter().for_each(|part| mac.update(part));
    let whole = mac.finalize().into_bytes();
    let mut short = [0; 8];
    short.iter_mut().zip(whole).for_each(|(short, mac)| *short = mac);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST SP 800-38B, examples of AES-192 and AES-256 with a message of one block.
    #[test]
    fn longer_keys_give_the_published_codes() {
        let message = hex::decode("6BC1BEE22E409F96E93D7E117393172A").unwrap();
        let cases = [
            ("8E73B0F7DA0E6452C810F32B809079E562F8EAD2522C6B7B", "9E99A7BF31E71090"),
            ("603DEB1015CA71BE2B73AEF0857D77811F352C073B6108D72D9810A30914DFF4", "28A7023F452E8F82"),
        ];
        for (key, expected) in cases {
            let bytes = hex::decode(key).unwrap();
            let key = match bytes.len() {
                24 => Key::Aes192(beginning(&bytes)),
                _ => Key::Aes256(beginning(&bytes)),
            };
            assert_eq!(hex::encode_upper(key.authenticate(&[&message[..5], &message[5..]])), expected);
        }
    }

    #[test]
    fn each_protocol_has_its_identifier_and_key_length() {
        for (cipher, length) in [(Cipher::Aes128, 16), (Cipher::Aes192, 24), (Cipher::Aes256, 32)] {
            assert_eq!(Cipher::of_protocol(&cipher.protocol()), Some(cipher));
            let key = cipher.derive(b"123123", 3);
            assert_eq!(key.bytes().len(), length);
            let mut blocks = [[1; BLOCK], [2; BLOCK]];
            key.encrypt([9; BLOCK], &mut blocks);
            assert_ne!(blocks, [[1; BLOCK], [2; BLOCK]]);
            key.decrypt([9; BLOCK], &mut blocks);
            assert_eq!(blocks, [[1; BLOCK], [2; BLOCK]]);
        }
        assert_eq!(Cipher::of_protocol(&[4, 0, 127, 0, 7, 2, 2, 4, 1, 2]), None, "finite fields");
    }
}

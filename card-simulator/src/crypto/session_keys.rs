//! Keys of a secure channel: AES with 128, 192 or 256 bits, derived from a shared secret (gemSpec_COS 6.2.3, BSI TR-03110
//! part 3, A.2.3).

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use cmac::{Cmac, Mac};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use zeroize::Zeroizing;

pub(crate) const BLOCK: usize = 16;
pub(crate) type Block = [u8; BLOCK];

/// Lengths of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyLength {
    Bits128,
    Bits192,
    Bits256,
}

#[cfg(test)]
impl KeyLength {
    fn bytes(self) -> usize {
        match self {
            KeyLength::Bits128 => 16,
            KeyLength::Bits192 => 24,
            KeyLength::Bits256 => 32,
        }
    }
}

/// A key for AES.
#[derive(Clone)]
pub(crate) struct AesKey {
    length: KeyLength,
    /// As many bytes as the length says; the rest is not used.
    value: Zeroizing<[u8; 32]>,
}

impl AesKey {
    /// The first bytes of SHA-1 (keys of 128 bits) or SHA-256 over the secret and a counter.
    pub(crate) fn derive(length: KeyLength, secret: &[u8], counter: u32) -> AesKey {
        let parts = [secret, &counter.to_be_bytes()];
        let mut value = Zeroizing::new([0; 32]);
        if length == KeyLength::Bits128 {
            let hash = parts.iter().fold(Sha1::new(), |hash, part| hash.chain_update(part)).finalize();
            value.iter_mut().zip(hash).for_each(|(byte, hash)| *byte = hash);
        } else {
            let hash = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize();
            value.copy_from_slice(&hash);
        }
        AesKey { length, value }
    }

    /// A key with this value of 16 bytes.
    #[cfg(test)]
    pub(crate) fn short(bytes: [u8; 16]) -> AesKey {
        let mut value = Zeroizing::new([0; 32]);
        value[..16].copy_from_slice(&bytes);
        AesKey { length: KeyLength::Bits128, value }
    }

    #[cfg(test)]
    pub(crate) fn value(&self) -> &[u8] {
        self.value.get(..self.length.bytes()).unwrap_or_default()
    }

    fn part<const N: usize>(&self) -> [u8; N] {
        std::array::from_fn(|i| self.value.get(i).copied().unwrap_or_default())
    }

    /// One block.
    pub(crate) fn encipher_block(&self, block: Block) -> Block {
        let mut block = Array::from(block);
        match self.length {
            KeyLength::Bits128 => Aes128::new(&Array::from(self.part())).encrypt_block(&mut block),
            KeyLength::Bits192 => Aes192::new(&Array::from(self.part())).encrypt_block(&mut block),
            KeyLength::Bits256 => Aes256::new(&Array::from(self.part())).encrypt_block(&mut block),
        }
        block.into()
    }

    fn decipher_block(&self, block: Block) -> Block {
        let mut block = Array::from(block);
        match self.length {
            KeyLength::Bits128 => Aes128::new(&Array::from(self.part())).decrypt_block(&mut block),
            KeyLength::Bits192 => Aes192::new(&Array::from(self.part())).decrypt_block(&mut block),
            KeyLength::Bits256 => Aes256::new(&Array::from(self.part())).decrypt_block(&mut block),
        }
        block.into()
    }

    /// Data padded to whole blocks, in CBC mode.
    pub(crate) fn encipher(&self, vector: Block, data: &[u8]) -> Vec<u8> {
        let mut chain = vector;
        let mut cryptogram = Vec::new();
        for block in padded(data).as_chunks::<BLOCK>().0 {
            chain = self.encipher_block(std::array::from_fn(|i| {
                block.get(i).copied().unwrap_or_default() ^ chain.get(i).copied().unwrap_or_default()
            }));
            cryptogram.extend_from_slice(&chain);
        }
        cryptogram
    }

    /// What [`AesKey::encipher`] made; `None` if there are no whole blocks or no padding.
    pub(crate) fn decipher(&self, vector: Block, cryptogram: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut chain = vector;
        let mut plain = Zeroizing::new(Vec::with_capacity(cryptogram.len()));
        let (blocks, []) = cryptogram.as_chunks::<BLOCK>() else { return None };
        for block in blocks {
            plain.extend(self.decipher_block(*block).iter().zip(chain).map(|(byte, chain)| byte ^ chain));
            chain = *block;
        }
        let end = plain.iter().rposition(|&byte| byte != 0).filter(|&end| plain.get(end) == Some(&0x80))?;
        plain.truncate(end);
        Some(plain)
    }

    /// The first eight bytes of the CMAC.
    pub(crate) fn mac(&self, message: &[u8]) -> [u8; 8] {
        fn first<M: Mac>(mac: M, message: &[u8]) -> [u8; 8] {
            let whole = mac.chain_update(message).finalize().into_bytes();
            std::array::from_fn(|i| whole.get(i).copied().unwrap_or_default())
        }
        match self.length {
            KeyLength::Bits128 => first(<Cmac<Aes128> as KeyInit>::new(&Array::from(self.part())), message),
            KeyLength::Bits192 => first(<Cmac<Aes192> as KeyInit>::new(&Array::from(self.part())), message),
            KeyLength::Bits256 => first(<Cmac<Aes256> as KeyInit>::new(&Array::from(self.part())), message),
        }
    }
}

/// ISO/IEC 9797-1 padding method 2.
pub(crate) fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.push(0x80);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    out
}

/// Keys of a secure channel.
#[derive(Clone)]
pub(crate) struct SessionKeys {
    pub(crate) enc: AesKey,
    pub(crate) mac: AesKey,
}

impl SessionKeys {
    /// Both keys from a shared secret.
    pub(crate) fn derive(length: KeyLength, secret: &[u8]) -> SessionKeys {
        SessionKeys { enc: AesKey::derive(length, secret, 1), mac: AesKey::derive(length, secret, 2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_deciphers_what_it_enciphered() {
        for length in [KeyLength::Bits128, KeyLength::Bits192, KeyLength::Bits256] {
            let key = AesKey::derive(length, b"secret", 1);
            assert_eq!(key.value().len(), length.bytes());
            for data in [&b""[..], b"0123456789ABCDEF", b"0123456789ABCDEF0"] {
                let mut cryptogram = key.encipher([7; 16], data);
                assert_eq!(key.decipher([7; 16], &cryptogram).unwrap().as_slice(), data);
                cryptogram.pop();
                assert!(key.decipher([7; 16], &cryptogram).is_none());
            }
            assert_ne!(key.mac(b"a"), AesKey::derive(length, b"secret", 2).mac(b"a"));
        }
    }
}

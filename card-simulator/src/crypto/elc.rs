//! The German cards' hybrid decipherment with elliptic curves (gemSpec_COS N004.500, N004.800, N090.300).
//!
//! The cryptogram is `A6 { 06 curve, 7F49 { 86 ephemeral point }, 86 02‖C, 8E T }`: with K the x-coordinate of
//! the common point, kEnc and kMac are SHA-256(K ‖ counter), C is AES-256-CBC of the padded message under an IV
//! that is the encryption of a zero block, and T the first eight bytes of a CMAC over the padded C.

use aes::Aes256;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use cmac::{Cmac, Mac};
use elliptic_curve::pkcs8::AssociatedOid;
use elliptic_curve::point::AffineCoordinates;
use elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, NonZeroScalar, PublicKey};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::CryptoError;
use crate::tlv;

const BLOCK: usize = 16;

/// Opens a cryptogram with a card's private scalar.
pub(super) fn decipher<C>(
    secret: &NonZeroScalar<C>,
    cryptogram: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError>
where
    C: CurveArithmetic + AssociatedOid,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C> + AffineCoordinates,
{
    let parts = Parts::parse(cryptogram, C::OID.as_bytes()).ok_or(CryptoError::Cryptogram)?;
    let public = PublicKey::<C>::from_sec1_bytes(parts.point).map_err(|_| CryptoError::Cryptogram)?;
    let common = elliptic_curve::ecdh::diffie_hellman(secret, public.as_affine());
    let k_enc = derive(common.raw_secret_bytes(), 1);
    let k_mac = derive(common.raw_secret_bytes(), 2);
    let mac = <Cmac<Aes256> as KeyInit>::new_from_slice(k_mac.as_slice())
        .map_err(|_| CryptoError::Failed)?
        .chain_update(pad(parts.ciphertext))
        .finalize()
        .into_bytes();
    let (expected, _) = mac.split_at(8);
    if !bool::from(expected.ct_eq(parts.mac)) {
        return Err(CryptoError::Cryptogram);
    }
    decrypt(&k_enc, parts.ciphertext)
}

struct Parts<'a> {
    point: &'a [u8],
    ciphertext: &'a [u8],
    mac: &'a [u8],
}

impl<'a> Parts<'a> {
    fn parse(cryptogram: &'a [u8], curve: &[u8]) -> Option<Parts<'a>> {
        let outer = tlv::parse(cryptogram)?;
        let objects = tlv::parse(tlv::find(&outer, 0xA6)?)?;
        let [oid, key, data, mac] = objects.as_slice() else { return None };
        if (oid.tag, key.tag, data.tag, mac.tag) != (0x06, 0x7F49, 0x86, 0x8E) || oid.value != curve {
            return None;
        }
        let point = tlv::find(&tlv::parse(key.value)?, 0x86)?;
        let ciphertext = data.value.strip_prefix(&[0x02])?;
        let whole_blocks = !ciphertext.is_empty() && ciphertext.len().is_multiple_of(BLOCK);
        (whole_blocks && mac.value.len() == 8).then_some(Parts { point, ciphertext, mac: mac.value })
    }
}

fn derive(secret: &[u8], counter: u8) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(Sha256::new().chain_update(secret).chain_update([0, 0, 0, counter]).finalize().into())
}

/// ISO/IEC 9797-1 padding method 2.
fn pad(bytes: &[u8]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(BLOCK), 0);
    padded
}

fn decrypt(key: &[u8; 32], ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let cipher = Aes256::new(&Array::from(*key));
    let mut chain = Array::from([0u8; BLOCK]);
    cipher.encrypt_block(&mut chain);
    let mut plain = Zeroizing::new(Vec::with_capacity(ciphertext.len()));
    for block in ciphertext.chunks_exact(BLOCK) {
        let encrypted = Array::try_from(block).map_err(|_| CryptoError::Failed)?;
        let mut open = encrypted;
        cipher.decrypt_block(&mut open);
        plain.extend(open.iter().zip(chain.iter()).map(|(a, b)| a ^ b));
        chain = encrypted;
    }
    let end = plain.iter().rposition(|&byte| byte != 0).filter(|&i| plain.get(i) == Some(&0x80));
    let end = end.ok_or(CryptoError::Cryptogram)?;
    plain.truncate(end);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const SECRET: [u8; 32] = hex!("6564E270F7CE1DDC3BBA4E6A1512FB0055429C350DD036EB9C5B589A4C205351");
    const CRYPTOGRAM: &[u8] = &hex!(
        "A6818E06092B24030302080101077F49438641046260E4F00A15CBB186783F6268979D00D09C43E6B0939488B444497AE13B"
        "F66853E36029D981A0767E6DAFE5AC040203B235CCAB1EDA21FF0FF9CEF85092FBDD863102DA02306AF38E446DC4D4CCE507"
        "2C12C0BCFB39C91AA8BDCA1932B5F4E3BC14EF5D1702F710DEDAAD9ED2BEA1FAA508948E08CC574E75EE26764F"
    );

    fn secret() -> NonZeroScalar<bp256::BrainpoolP256r1> {
        *ecdsa::SigningKey::from_slice(&SECRET).unwrap().as_nonzero_scalar()
    }

    #[test]
    fn the_known_cryptogram_opens() {
        let plain = decipher(&secret(), CRYPTOGRAM).unwrap();
        assert_eq!(plain.as_slice(), b"content encryption key 0123456789");
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        for position in 0..CRYPTOGRAM.len() {
            let mut damaged = CRYPTOGRAM.to_vec();
            damaged[position] ^= 1;
            assert!(decipher(&secret(), &damaged).is_err(), "byte {position}");
        }
    }
}

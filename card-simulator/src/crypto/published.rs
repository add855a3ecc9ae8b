//! Refuses keys whose private halves anybody can download.

use sha2::{Digest, Sha256};

use super::PrivateKey;

const LIST: &str = include_str!("../../profiles/published-keys.txt");

/// Whether the private half of this key has been published.
pub(crate) fn is_published(key: &PrivateKey) -> bool {
    let public = key.modulus_and_exponent().map(|(modulus, _)| modulus).or_else(|| key.point());
    public.is_some_and(|bytes| is_listed(&Sha256::digest(bytes)))
}

fn is_listed(digest: &[u8]) -> bool {
    let digest = hex::encode_upper(digest);
    LIST.lines().any(|line| line.split(' ').next() == Some(digest.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn a_published_key_is_recognised() {
        let point = hex!(
            "0439DCF5264790FDC9587689CBB0762F3A4A86A20EFD94C3C3A729B11B7F320DA9"
            "9F53178A2ED39BF34F53F2498DE15C45C3A9A7867AB0F5892F3AF111A335854A"
        );
        assert!(is_listed(&Sha256::digest(point)));
        assert_eq!(LIST.lines().filter(|line| !line.starts_with('#')).count(), 17);
    }

    #[test]
    fn a_fresh_key_is_not_published() {
        let kind = crate::layout::KeyKind::EcPrivate(crate::layout::Curve::BrainpoolP256r1);
        let key = PrivateKey::generate(kind).unwrap().unwrap();
        assert!(!is_published(&key));
    }
}

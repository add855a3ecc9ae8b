//! Agreeing on a secret with the keys that can (PKCS#11 v3.1 clauses 5.18.5 and 6.3.17): C_DeriveKey with CKM_ECDH1_DERIVE.
//!
//! The card gives out the x-coordinate of the common point and derives nothing from it, so that CKD_NULL is all there is.

use std::sync::Arc;

use card::profile::KeyKind;
use cryptoki_sys::*;

use super::handles::Key;
use super::operations::Condition;
use super::secret_key::Plan;
use super::{Module, lock};
use crate::error::{Error, Result};

/// What CKM_ECDH1_DERIVE is given (CK_ECDH1_DERIVE_PARAMS).
pub(crate) struct Agreement<'call> {
    /// CKD_...
    pub(crate) kdf: CK_EC_KDF_TYPE,
    /// Data for a key derivation function.
    pub(crate) shared: &'call [u8],
    /// The other side's public key.
    pub(crate) public: &'call [u8],
}

impl Module {
    /// C_DeriveKey. `agreement` reads the parameter of CKM_ECDH1_DERIVE, `template` the attributes of the new key.
    pub(crate) fn derive_key<'call>(
        &self,
        handle: CK_SESSION_HANDLE,
        kind: CK_MECHANISM_TYPE,
        agreement: impl FnOnce() -> Result<Agreement<'call>>,
        key: CK_OBJECT_HANDLE,
        template: impl FnOnce() -> Result<Vec<Condition<'call>>>,
    ) -> Result<CK_OBJECT_HANDLE> {
        let session = self.session(handle)?;
        let slot = &session.slot;
        let Key { profile: key, .. } = self.private_key(&session, key)?;
        slot.reader.token(slot.application)?.token.check_offered(kind)?;
        // The other mechanisms of the slot do something else.
        if kind != CKM_ECDH1_DERIVE {
            return Err(Error::MechanismInvalid);
        }
        let Agreement { kdf, shared, public } = agreement()?;
        if kdf != CKD_NULL || !shared.is_empty() {
            return Err(Error::MechanismParamInvalid);
        }
        let KeyKind::Ec(curve) = key.kind else { return Err(Error::KeyTypeInconsistent) };
        if key.agrees.is_none() {
            return Err(Error::KeyFunctionNotPermitted);
        }
        let width = curve.field_len();
        let plan = Plan::new(&template()?, width, session.read_write)?;
        let new = session.room_for_an_object()?;
        let point = bare_point(public, width);
        let secret =
            slot.reader.agree(slot.application, session.generation, session.handle, key.id, point)?;
        lock(&session.copies).push((new, Arc::new(plan.with_value(&secret, new))));
        Ok(new)
    }
}

/// The point as it is, or out of the OCTET STRING in which CKA_EC_POINT has it; both are allowed (clause 6.3.17). An
/// uncompressed point begins as an OCTET STRING does, so that its length has to tell.
fn bare_point(public: &[u8], width: usize) -> &[u8] {
    let bare = 1 + 2 * width;
    match public {
        [0x04, length, point @ ..] if usize::from(*length) == bare && point.len() == bare => point,
        point => point,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_taken_with_and_without_their_octet_string() {
        let mut point = [0x04; 65];
        // Looks like the beginning of an OCTET STRING of 63 bytes.
        point[1] = 63;
        assert_eq!(bare_point(&point, 32), point);
        let wrapped = [&[0x04, 65], &point[..]].concat();
        assert_eq!(bare_point(&wrapped, 32), point);
        assert_eq!(bare_point(&wrapped, 48), wrapped);
        assert_eq!(bare_point(&wrapped[..66], 32), &wrapped[..66]);
    }
}

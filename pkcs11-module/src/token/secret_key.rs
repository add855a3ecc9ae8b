//! Secrets that were agreed on, as session objects (PKCS#11 v3.1 clauses 4.10, 5.18.5 and 6.8.1).
//!
//! The module has no mechanism that uses a secret key: it is there to be taken out. One that the template makes sensitive, or
//! not extractable, is of no use to anybody, so that its value is not kept.

use cryptoki_sys::*;

use super::copies::flag;
use super::objects::Object;
use super::operations::Condition;
use crate::error::{Error, Result};

/// What a template says about a secret that is not there yet.
pub(super) struct Plan {
    object: Object,
    length: usize,
}

/// What a caller may say about the use of a key; false unless he does.
const USES: [CK_ATTRIBUTE_TYPE; 8] =
    [CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE, CKA_WRAP_WITH_TRUSTED];

impl Plan {
    /// Reads the template for a secret of `most` bytes. Nothing is written to the card.
    pub(super) fn new(template: &[Condition<'_>], most: usize, read_write: bool) -> Result<Plan> {
        let mut plan = Plan { object: with_defaults(), length: most };
        let mut seen = Vec::new();
        for Condition { kind, value } in template {
            if seen.contains(kind) {
                return Err(Error::TemplateInconsistent);
            }
            seen.push(*kind);
            plan.apply(*kind, value, read_write)?;
        }
        if !seen.contains(&CKA_KEY_TYPE) {
            return Err(Error::TemplateIncomplete);
        }
        Ok(plan)
    }

    /// The object with its value: the last bytes of the secret (clause 6.3.17: truncation takes from the leading end).
    pub(super) fn with_value(self, secret: &[u8], handle: CK_OBJECT_HANDLE) -> Object {
        let Plan { mut object, length } = self;
        let value = secret.get(secret.len().saturating_sub(length)..).unwrap_or(secret);
        object.set(CKA_UNIQUE_ID, format!("secret {handle}").as_bytes());
        object.number(CKA_VALUE_LEN, value.len() as CK_ULONG);
        object.bytes(CKA_VALUE, value);
        let (sensitive, extractable) = (object.is(CKA_SENSITIVE), object.is(CKA_EXTRACTABLE));
        // The key it came from was always both (clause 6.3.17).
        object.flag(CKA_ALWAYS_SENSITIVE, sensitive);
        object.flag(CKA_NEVER_EXTRACTABLE, !extractable);
        if sensitive || !extractable {
            object.withhold_value();
        }
        object.private = object.is(CKA_PRIVATE);
        object
    }

    fn apply(&mut self, kind: CK_ATTRIBUTE_TYPE, value: &[u8], read_write: bool) -> Result<()> {
        match kind {
            CKA_CLASS if number(value)? != CKO_SECRET_KEY => return Err(Error::TemplateInconsistent),
            CKA_KEY_TYPE if number(value)? != CKK_GENERIC_SECRET => return Err(Error::AttributeValueInvalid),
            CKA_TOKEN if flag(value)? => {
                return Err(if read_write { Error::TokenWriteProtected } else { Error::SessionReadOnly });
            }
            CKA_CLASS | CKA_KEY_TYPE | CKA_TOKEN => return Ok(()),
            CKA_VALUE_LEN => {
                let length = usize::try_from(number(value)?).ok();
                let fits = length.filter(|length| (1..=self.length).contains(length));
                self.length = fits.ok_or(Error::AttributeValueInvalid)?;
                return Ok(());
            }
            CKA_LABEL | CKA_ID => {}
            CKA_START_DATE | CKA_END_DATE if matches!(value.len(), 0 | 8) => {}
            CKA_PRIVATE | CKA_MODIFIABLE | CKA_COPYABLE | CKA_DESTROYABLE | CKA_SENSITIVE
            | CKA_EXTRACTABLE => drop(flag(value)?),
            kind if USES.contains(&kind) => drop(flag(value)?),
            CKA_START_DATE | CKA_END_DATE => return Err(Error::AttributeValueInvalid),
            // The mechanism makes it.
            CKA_VALUE => return Err(Error::TemplateInconsistent),
            CKA_LOCAL
            | CKA_KEY_GEN_MECHANISM
            | CKA_ALWAYS_SENSITIVE
            | CKA_NEVER_EXTRACTABLE
            | CKA_UNIQUE_ID => return Err(Error::AttributeReadOnly),
            _ => return Err(Error::AttributeTypeInvalid),
        }
        self.object.set(kind, value);
        Ok(())
    }
}

fn with_defaults() -> Object {
    let mut object = Object::common(CKO_SECRET_KEY, "", "secret");
    object.set(CKA_TOKEN, &[CK_FALSE]);
    for kind in [CKA_PRIVATE, CKA_MODIFIABLE, CKA_DESTROYABLE, CKA_EXTRACTABLE] {
        object.set(kind, &[CK_TRUE]);
    }
    for kind in USES.into_iter().chain([CKA_SENSITIVE, CKA_LOCAL]) {
        object.flag(kind, false);
    }
    for kind in [CKA_ID, CKA_START_DATE, CKA_END_DATE] {
        object.bytes(kind, &[]);
    }
    object.number(CKA_KEY_TYPE, CKK_GENERIC_SECRET);
    object.number(CKA_KEY_GEN_MECHANISM, CK_UNAVAILABLE_INFORMATION);
    object
}

fn number(value: &[u8]) -> Result<CK_ULONG> {
    value.try_into().map(CK_ULONG::from_ne_bytes).map_err(|_| Error::AttributeValueInvalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = {
        let mut secret = [0; 32];
        let mut index = 0;
        while index < 32 {
            secret[index] = index as u8;
            index += 1;
        }
        secret
    };

    fn plan(template: &[(CK_ATTRIBUTE_TYPE, &[u8])]) -> Result<Object> {
        let mut conditions = Vec::new();
        let key_type = CKK_GENERIC_SECRET.to_ne_bytes();
        conditions.push(Condition { kind: CKA_KEY_TYPE, value: &key_type });
        conditions.extend(template.iter().map(|(kind, value)| Condition { kind: *kind, value }));
        Plan::new(&conditions, SECRET.len(), false).map(|plan| plan.with_value(&SECRET, 7))
    }

    fn flags(object: &Object) -> [bool; 4] {
        [CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE, CKA_EXTRACTABLE, CKA_NEVER_EXTRACTABLE]
            .map(|kind| object.is(kind))
    }

    #[test]
    fn a_secret_can_be_read_unless_the_template_says_otherwise() {
        let open = plan(&[]).unwrap();
        assert_eq!(
            (open.value(CKA_VALUE).unwrap(), flags(&open)),
            (&SECRET[..], [false, false, true, false])
        );
        assert!(open.private && open.is(CKA_DESTROYABLE) && !open.is(CKA_TOKEN) && !open.is(CKA_LOCAL));
        let sensitive = plan(&[(CKA_SENSITIVE, &[CK_TRUE])]).unwrap();
        assert!(matches!(sensitive.value(CKA_VALUE), Err(Error::AttributeSensitive)));
        assert_eq!(flags(&sensitive), [true, true, true, false]);
        let kept = plan(&[(CKA_EXTRACTABLE, &[CK_FALSE])]).unwrap();
        assert!(matches!(kept.value(CKA_VALUE), Err(Error::AttributeSensitive)));
        assert_eq!(flags(&kept), [false, false, false, true]);
        assert_eq!(kept.value(CKA_VALUE_LEN).unwrap(), (32 as CK_ULONG).to_ne_bytes());
    }

    #[test]
    fn a_shorter_secret_is_the_end_of_the_whole_one() {
        let short = plan(&[(CKA_VALUE_LEN, &(20 as CK_ULONG).to_ne_bytes())]).unwrap();
        assert_eq!(short.value(CKA_VALUE).unwrap(), &SECRET[12..]);
        for wrong in [0, 33, CK_ULONG::MAX] {
            let refused = plan(&[(CKA_VALUE_LEN, &wrong.to_ne_bytes())]);
            assert!(matches!(refused, Err(Error::AttributeValueInvalid)), "{wrong}");
        }
    }

    #[test]
    fn templates_that_ask_for_something_else_are_refused() {
        let class = CKO_PRIVATE_KEY.to_ne_bytes();
        let label: (CK_ATTRIBUTE_TYPE, &[u8]) = (CKA_LABEL, b"twice");
        for (template, expected) in [
            (&[(CKA_CLASS, &class[..])][..], CKR_TEMPLATE_INCONSISTENT),
            (&[(CKA_CLASS, &class[..4])], CKR_ATTRIBUTE_VALUE_INVALID),
            (&[label, label], CKR_TEMPLATE_INCONSISTENT),
            (&[(CKA_VALUE, &[1])], CKR_TEMPLATE_INCONSISTENT),
            (&[(CKA_LOCAL, &[CK_TRUE])], CKR_ATTRIBUTE_READ_ONLY),
            (&[(CKA_TOKEN, &[CK_TRUE])], CKR_SESSION_READ_ONLY),
            (&[(CKA_SENSITIVE, &[2])], CKR_ATTRIBUTE_VALUE_INVALID),
            (&[(CKA_ENCRYPT, &[])], CKR_ATTRIBUTE_VALUE_INVALID),
            (&[(CKA_START_DATE, &[0; 7])], CKR_ATTRIBUTE_VALUE_INVALID),
            (&[(CKA_MODULUS, &[1])], CKR_ATTRIBUTE_TYPE_INVALID),
        ] {
            assert_eq!(plan(template).map(|_| ()).unwrap_err().rv(), expected, "{template:?}");
        }
        let other = CKK_DES3.to_ne_bytes();
        let other = Plan::new(&[Condition { kind: CKA_KEY_TYPE, value: &other }], 32, false);
        assert!(matches!(other.map(|_| ()), Err(Error::AttributeValueInvalid)));
        assert!(matches!(Plan::new(&[], 32, false).map(|_| ()), Err(Error::TemplateIncomplete)));
    }

    #[test]
    fn no_value_shows_in_debug_output() {
        let shown = format!("{:?}", plan(&[]).unwrap());
        assert!(shown.contains("attributes") && !shown.contains("10, 11, 12"), "{shown}");
    }
}

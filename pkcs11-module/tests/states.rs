//! Every function that takes a session, in every wrong state: no such session, no such object, nothing begun, something
//! begun already, room too small. No such call may reach the card.
#![allow(unsafe_code, reason = "calls a C interface")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is the test's failure")]

use std::ptr::null_mut;

use card_simulator::ProfileName;
use cryptoki::object::ObjectClass;
use cryptoki_sys::*;

mod bench;
mod module;

use bench::{Bench, PIN_CH, key, object};
use module::{NAMES, call};

/// A function with its arguments, a letter each: `s` session, `b` a buffer, `n` its length, `l` where its length stands
/// and comes out, `o` an object that does not exist, `k` a key for signing, `p` a public key, `d` a key that deciphers, `m`
/// CKM_ECDSA, `a` a mechanism that deciphers, `h` CKM_SHA256, `0` nothing.
type Call = (&'static str, &'static str);

/// No such session: always the same answer, whatever else is wrong.
const WITH_A_SESSION: &[Call] = &[
    ("C_InitPIN", "sbn"),
    ("C_SetPIN", "sbnbn"),
    ("C_CloseSession", "s"),
    ("C_GetSessionInfo", "sb"),
    ("C_GetOperationState", "sbl"),
    ("C_Login", "s1bn"),
    ("C_Logout", "s"),
    ("C_CopyObject", "so00b"),
    ("C_DestroyObject", "so"),
    ("C_GetObjectSize", "sob"),
    ("C_GetAttributeValue", "sob0"),
    ("C_SetAttributeValue", "so00"),
    ("C_FindObjectsInit", "s00"),
    ("C_FindObjects", "sb1b"),
    ("C_FindObjectsFinal", "s"),
    ("C_DecryptInit", "sao"),
    ("C_Decrypt", "sbnbl"),
    ("C_DecryptUpdate", "sbnbl"),
    ("C_DecryptFinal", "sbl"),
    ("C_DigestInit", "sh"),
    ("C_Digest", "sbnbl"),
    ("C_DigestUpdate", "sbn"),
    ("C_DigestFinal", "sbl"),
    ("C_SignInit", "smo"),
    ("C_Sign", "sbnbl"),
    ("C_SignUpdate", "sbn"),
    ("C_SignFinal", "sbl"),
    ("C_VerifyInit", "smo"),
    ("C_Verify", "sbnbn"),
    ("C_VerifyUpdate", "sbn"),
    ("C_VerifyFinal", "sbn"),
    ("C_DeriveKey", "smo00b"),
    ("C_SeedRandom", "sbn"),
    ("C_GenerateRandom", "sbn"),
    ("C_GetFunctionStatus", "s"),
    ("C_CancelFunction", "s"),
    ("C_SessionCancel", "s0"),
];

/// With a session in which nothing has begun.
const NOTHING_BEGUN: &[(Call, CK_RV)] = &[
    (("C_GetOperationState", "sbl"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_InitPIN", "sbn"), CKR_USER_NOT_LOGGED_IN),
    (("C_SetPIN", "sbnbn"), CKR_SESSION_READ_ONLY),
    (("C_Login", "s1bn"), CKR_USER_ALREADY_LOGGED_IN),
    (("C_Login", "s2bn"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_Login", "s0bn"), CKR_SESSION_READ_ONLY),
    (("C_Login", "s7bn"), CKR_USER_TYPE_INVALID),
    (("C_CopyObject", "so00b"), CKR_OBJECT_HANDLE_INVALID),
    (("C_DestroyObject", "so"), CKR_OBJECT_HANDLE_INVALID),
    (("C_GetObjectSize", "sob"), CKR_OBJECT_HANDLE_INVALID),
    (("C_GetAttributeValue", "sob0"), CKR_OBJECT_HANDLE_INVALID),
    (("C_SetAttributeValue", "so00"), CKR_OBJECT_HANDLE_INVALID),
    (("C_FindObjects", "sb1b"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_FindObjectsFinal", "s"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_DecryptInit", "sao"), CKR_KEY_HANDLE_INVALID),
    (("C_DecryptInit", "s0d"), CKR_ARGUMENTS_BAD),
    (("C_DecryptInit", "smd"), CKR_MECHANISM_INVALID),
    (("C_DecryptInit", "sak"), CKR_KEY_FUNCTION_NOT_PERMITTED),
    (("C_Decrypt", "sbnbl"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_DecryptUpdate", "sbnbl"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_DecryptFinal", "sbl"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_DigestInit", "s0"), CKR_ARGUMENTS_BAD),
    (("C_DigestInit", "sm"), CKR_MECHANISM_INVALID),
    (("C_Digest", "sbnbl"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_DigestUpdate", "sbn"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_DigestFinal", "sbl"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_SignInit", "smo"), CKR_KEY_HANDLE_INVALID),
    (("C_SignInit", "s0k"), CKR_ARGUMENTS_BAD),
    (("C_SignInit", "shk"), CKR_MECHANISM_INVALID),
    (("C_SignInit", "smp"), CKR_KEY_FUNCTION_NOT_PERMITTED),
    (("C_SignInit", "smd"), CKR_KEY_FUNCTION_NOT_PERMITTED),
    (("C_Sign", "sbnbl"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_SignUpdate", "sbn"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_SignFinal", "sbl"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_VerifyInit", "smo"), CKR_KEY_HANDLE_INVALID),
    (("C_VerifyInit", "smk"), CKR_KEY_FUNCTION_NOT_PERMITTED),
    (("C_VerifyInit", "shp"), CKR_MECHANISM_INVALID),
    (("C_Verify", "sbnbn"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_VerifyUpdate", "sbn"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_VerifyFinal", "sbn"), CKR_OPERATION_NOT_INITIALIZED),
    (("C_DeriveKey", "smo00b"), CKR_KEY_HANDLE_INVALID),
    (("C_DeriveKey", "s0d00b"), CKR_ARGUMENTS_BAD),
    (("C_DeriveKey", "smd000"), CKR_ARGUMENTS_BAD),
    (("C_DeriveKey", "smk00b"), CKR_MECHANISM_INVALID),
    (("C_SeedRandom", "sbn"), CKR_RANDOM_NO_RNG),
    (("C_GenerateRandom", "sbn"), CKR_RANDOM_NO_RNG),
    (("C_GetFunctionStatus", "s"), CKR_FUNCTION_NOT_PARALLEL),
    (("C_CancelFunction", "s"), CKR_FUNCTION_NOT_PARALLEL),
    (("C_SessionCancel", "s0"), CKR_OK),
];

/// What begins an operation, what must not follow it, and with which answer.
const BEGUN: &[(Call, &[(Call, CK_RV)])] = &[
    (("C_FindObjectsInit", "s00"), &[(("C_FindObjectsInit", "s00"), CKR_OPERATION_ACTIVE)]),
    (
        ("C_SignInit", "smk"),
        &[
            (("C_SignInit", "smk"), CKR_OPERATION_ACTIVE),
            (("C_GetOperationState", "sbl"), CKR_STATE_UNSAVEABLE),
            (("C_Login", "s2bn"), CKR_OPERATION_NOT_INITIALIZED),
            (("C_Sign", "sbnbL"), CKR_BUFFER_TOO_SMALL),
            (("C_Sign", "sbn0L"), CKR_OK),
            (("C_Sign", "sbnb0"), CKR_ARGUMENTS_BAD),
            (("C_VerifyFinal", "sbn"), CKR_OPERATION_NOT_INITIALIZED),
            (("C_SignUpdate", "sbn"), CKR_OK),
            (("C_Sign", "sbnbl"), CKR_OPERATION_ACTIVE),
            (("C_SignFinal", "sbL"), CKR_BUFFER_TOO_SMALL),
        ],
    ),
    (
        ("C_VerifyInit", "smp"),
        &[
            (("C_VerifyInit", "smp"), CKR_OPERATION_ACTIVE),
            (("C_GetOperationState", "sbl"), CKR_STATE_UNSAVEABLE),
            (("C_VerifyUpdate", "sbn"), CKR_OK),
            (("C_Verify", "sbnbn"), CKR_OPERATION_ACTIVE),
            (("C_VerifyFinal", "sbn"), CKR_SIGNATURE_LEN_RANGE),
            (("C_VerifyFinal", "sbn"), CKR_OPERATION_NOT_INITIALIZED),
        ],
    ),
    (
        ("C_DecryptInit", "sad"),
        &[
            (("C_DecryptInit", "sad"), CKR_OPERATION_ACTIVE),
            (("C_GetOperationState", "sbl"), CKR_STATE_UNSAVEABLE),
            (("C_Decrypt", "sbn0L"), CKR_OK),
            (("C_DecryptUpdate", "sbnbl"), CKR_OK),
            (("C_Decrypt", "sbnbl"), CKR_OPERATION_ACTIVE),
            (("C_DecryptFinal", "s0L"), CKR_OK),
            (("C_DecryptFinal", "sbl"), CKR_ENCRYPTED_DATA_INVALID),
            (("C_DecryptFinal", "sbl"), CKR_OPERATION_NOT_INITIALIZED),
        ],
    ),
    (
        ("C_DigestInit", "sh"),
        &[
            (("C_DigestInit", "sh"), CKR_OPERATION_ACTIVE),
            (("C_GetOperationState", "sbl"), CKR_STATE_UNSAVEABLE),
            (("C_Digest", "sbnbL"), CKR_BUFFER_TOO_SMALL),
            (("C_DigestUpdate", "sbn"), CKR_OK),
            (("C_Digest", "sbnbl"), CKR_OPERATION_ACTIVE),
            (("C_DigestFinal", "sbL"), CKR_BUFFER_TOO_SMALL),
            (("C_DigestFinal", "sbl"), CKR_OK),
        ],
    ),
];

/// What the letters stand for.
struct Arguments {
    list: CK_FUNCTION_LIST_3_2,
    session: CK_SESSION_HANDLE,
    sign: CK_OBJECT_HANDLE,
    public: CK_OBJECT_HANDLE,
    decipher: CK_OBJECT_HANDLE,
}

impl Arguments {
    fn of(bench: &Bench, session: &cryptoki::session::Session) -> Arguments {
        Arguments {
            list: bench.functions(),
            session: session.handle(),
            sign: key(session, "C.HP.AUT.E384").handle(),
            public: object(session, ObjectClass::PUBLIC_KEY, "C.HP.AUT.E384").handle(),
            decipher: key(session, "C.HP.ENC.E384").handle(),
        }
    }

    fn call(&self, (name, letters): Call) -> CK_RV {
        let index = NAMES.split_whitespace().position(|known| known == name).unwrap();
        let mut buffers = [[0u64; 64]; 10];
        let mut lengths: [CK_ULONG; 10] = [512; 10];
        let mechanism = |mechanism| CK_MECHANISM { mechanism, pParameter: null_mut(), ulParameterLen: 0 };
        let mut ecdsa = mechanism(CKM_ECDSA);
        let mut elc = mechanism(CKM_VENDOR_DEFINED | 0x4850_4301);
        let mut sha256 = mechanism(CKM_SHA256);
        let mut arguments = [0usize; 10];
        for (place, letter) in letters.chars().enumerate() {
            arguments[place] = match letter {
                's' => self.session as usize,
                'b' => buffers[place].as_mut_ptr() as usize,
                'n' => 8,
                'l' => &raw mut lengths[place] as usize,
                'L' => {
                    lengths[place] = 1;
                    &raw mut lengths[place] as usize
                }
                'o' => 0x0BAD_BAD0,
                'k' => self.sign as usize,
                'p' => self.public as usize,
                'd' => self.decipher as usize,
                'm' => &raw mut ecdsa as usize,
                'a' => &raw mut elc as usize,
                'h' => &raw mut sha256 as usize,
                digit => digit.to_digit(10).unwrap() as usize,
            };
        }
        let list = (&raw const self.list).cast_mut().cast();
        // SAFETY: the letters follow the function's declaration; all memory outlives the call.
        unsafe { call(list, index, arguments) }
    }
}

#[test]
fn every_function_refuses_a_session_that_does_not_exist() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let arguments = Arguments { session: 0x0BAD_BAD0, ..Arguments::of(&bench, &session) };
    let ((), cost) = bench.cost(|| {
        for call in WITH_A_SESSION {
            assert_eq!(arguments.call(*call), CKR_SESSION_HANDLE_INVALID, "{call:?}");
        }
    });
    assert_eq!(cost, 0);
}

#[test]
fn what_has_not_begun_does_not_go_on() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let arguments = Arguments::of(&bench, &session);
    let ((), cost) = bench.cost(|| {
        for (call, expected) in NOTHING_BEGUN {
            assert_eq!(arguments.call(*call), *expected, "{call:?}");
        }
    });
    assert_eq!(cost, 0);
}

#[test]
fn what_has_begun_goes_on_only_as_it_should() {
    let bench = Bench::with(ProfileName::HpcP384);
    for (begin, calls) in BEGUN {
        let session = bench.logged_in(bench.esign(), PIN_CH);
        let arguments = Arguments::of(&bench, &session);
        assert_eq!(arguments.call(*begin), CKR_OK, "{begin:?}");
        for (call, expected) in *calls {
            assert_eq!(arguments.call(*call), *expected, "{call:?} after {begin:?}");
        }
    }
}

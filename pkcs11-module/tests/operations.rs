//! Operations as raw calls: buffers that are too small, calls out of order, operations given up.
#![allow(unsafe_code, reason = "calls a C interface")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is the test's failure")]

use std::ptr::null_mut;

use card_simulator::{NewCard, ProfileName};
use cryptoki::session::Session;
use cryptoki_sys::*;

mod bench;
mod module;

use bench::{Bench, PIN_CH, PIN_QES};

/// A session and the functions to use it with.
struct Raw {
    functions: CK_FUNCTION_LIST_3_2,
    session: CK_SESSION_HANDLE,
}

impl Raw {
    fn of(bench: &Bench, session: &Session) -> Raw {
        Raw { functions: bench.functions(), session: session.handle() }
    }

    fn find(&self, class: CK_OBJECT_CLASS, id: u8) -> CK_OBJECT_HANDLE {
        let (mut class, mut id) = (class, id);
        let mut template = [
            CK_ATTRIBUTE { type_: CKA_CLASS, pValue: (&raw mut class).cast(), ulValueLen: 8 },
            CK_ATTRIBUTE { type_: CKA_ID, pValue: (&raw mut id).cast(), ulValueLen: 1 },
        ];
        let (mut found, mut count) = (0, 0);
        // SAFETY: all pointers are valid.
        unsafe {
            let functions = &self.functions;
            assert_eq!(functions.C_FindObjectsInit.unwrap()(self.session, template.as_mut_ptr(), 2), CKR_OK);
            assert_eq!(functions.C_FindObjects.unwrap()(self.session, &mut found, 1, &mut count), CKR_OK);
            assert_eq!(functions.C_FindObjectsFinal.unwrap()(self.session), CKR_OK);
        }
        assert_eq!(count, 1);
        found
    }

    fn sign_init(&self, kind: CK_MECHANISM_TYPE, key: CK_OBJECT_HANDLE) -> CK_RV {
        let mut mechanism = CK_MECHANISM { mechanism: kind, pParameter: null_mut(), ulParameterLen: 0 };
        // SAFETY: the mechanism is valid.
        unsafe { self.functions.C_SignInit.unwrap()(self.session, &mut mechanism, key) }
    }

    /// C_Sign with this much room; `None` asks for the length.
    fn sign(&self, data: &mut [u8], room: Option<usize>) -> (CK_RV, CK_ULONG) {
        let mut buffer = vec![0; room.unwrap_or(0)];
        let mut length = buffer.len() as CK_ULONG;
        let out = if room.is_some() { buffer.as_mut_ptr() } else { null_mut() };
        let size = data.len() as CK_ULONG;
        // SAFETY: the lengths are those of the buffers.
        let rv = unsafe {
            self.functions.C_Sign.unwrap()(self.session, data.as_mut_ptr(), size, out, &mut length)
        };
        (rv, length)
    }

    fn update(&self, data: &mut [u8]) -> CK_RV {
        let size = data.len() as CK_ULONG;
        // SAFETY: the length is that of the buffer.
        unsafe { self.functions.C_SignUpdate.unwrap()(self.session, data.as_mut_ptr(), size) }
    }

    fn finish(&self, room: Option<usize>) -> (CK_RV, CK_ULONG) {
        let mut buffer = vec![0; room.unwrap_or(0)];
        let mut length = buffer.len() as CK_ULONG;
        let out = if room.is_some() { buffer.as_mut_ptr() } else { null_mut() };
        // SAFETY: the length is that of the buffer.
        let rv = unsafe { self.functions.C_SignFinal.unwrap()(self.session, out, &mut length) };
        (rv, length)
    }
}

const AUT: u8 = 1;
const QES: u8 = 3;

#[test]
fn short_buffers_keep_the_operation_and_cost_nothing() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let raw = Raw::of(&bench, &session);
    assert_eq!(raw.sign_init(CKM_ECDSA, raw.find(CKO_PRIVATE_KEY, AUT)), CKR_OK);
    let (_, cost) = bench.cost(|| {
        assert_eq!(raw.sign(&mut [7; 48], None), (CKR_OK, 96));
        assert_eq!(raw.sign(&mut [7; 48], Some(95)), (CKR_BUFFER_TOO_SMALL, 96));
        assert_eq!(raw.sign(&mut [7; 48], Some(0)), (CKR_BUFFER_TOO_SMALL, 96));
    });
    assert_eq!(cost, 0);
    assert_eq!(raw.sign(&mut [7; 48], Some(200)), (CKR_OK, 96));
    assert_eq!(raw.sign(&mut [7; 48], Some(200)).0, CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(bench.signatures(), 1);
}

#[test]
fn single_and_multi_part_are_not_mixed() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let raw = Raw::of(&bench, &session);
    let key = raw.find(CKO_PRIVATE_KEY, AUT);
    assert_eq!(raw.update(&mut [1]), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(raw.finish(Some(96)).0, CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(raw.sign_init(CKM_ECDSA_SHA384, key), CKR_OK);
    assert_eq!(raw.sign_init(CKM_ECDSA_SHA384, key), CKR_OPERATION_ACTIVE);
    assert_eq!(raw.update(&mut [1; 10]), CKR_OK);
    assert_eq!(raw.sign(&mut [1; 10], Some(96)).0, CKR_OPERATION_ACTIVE);
    assert_eq!(raw.finish(None), (CKR_OK, 96));
    assert_eq!(raw.finish(Some(10)), (CKR_BUFFER_TOO_SMALL, 96));
    assert_eq!(raw.finish(Some(96)), (CKR_OK, 96));
    assert_eq!(bench.signatures(), 1);
}

#[test]
fn errors_end_the_operation() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let raw = Raw::of(&bench, &session);
    let key = raw.find(CKO_PRIVATE_KEY, AUT);
    assert_eq!(raw.sign_init(CKM_ECDSA, key), CKR_OK);
    assert_eq!(raw.sign(&mut [], Some(96)).0, CKR_DATA_LEN_RANGE);
    assert_eq!(raw.sign_init(CKM_ECDSA, key), CKR_OK);
    assert_eq!(raw.update(&mut [1; 2000]), CKR_DATA_LEN_RANGE);
    assert_eq!(raw.sign_init(CKM_ECDSA, key), CKR_OK);
}

#[test]
fn an_operation_can_be_given_up_in_two_ways() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let raw = Raw::of(&bench, &session);
    let key = raw.find(CKO_PRIVATE_KEY, AUT);
    // SAFETY: NULL is allowed here.
    unsafe {
        let init = raw.functions.C_SignInit.unwrap();
        assert_eq!(init(raw.session, null_mut(), 0), CKR_ARGUMENTS_BAD);
        assert_eq!(raw.sign_init(CKM_ECDSA, key), CKR_OK);
        assert_eq!(init(raw.session, null_mut(), 0), CKR_OK);
        assert_eq!(raw.sign_init(CKM_ECDSA, key), CKR_OK);
        let cancel = raw.functions.C_SessionCancel.unwrap();
        assert_eq!(cancel(raw.session, CKF_SIGN | CKF_DECRYPT), CKR_OK);
        assert_eq!(cancel(raw.session, CKF_SIGN), CKR_OK);
    }
    assert_eq!(raw.sign(&mut [7; 48], Some(96)).0, CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(bench.signatures(), 0);
}

#[test]
fn giving_up_an_operation_ends_its_context_login_on_the_card() {
    let bench = Bench::configured(Some(NewCard::new(ProfileName::HpcP384)), "qes = \"context-only\"");
    let session = bench.session(bench.qes());
    let raw = Raw::of(&bench, &session);
    assert_eq!(raw.sign_init(CKM_ECDSA, raw.find(CKO_PRIVATE_KEY, QES)), CKR_OK);
    bench::login(&session, cryptoki::session::UserType::ContextSpecific, PIN_QES).unwrap();
    // SAFETY: the session is valid.
    let (rv, cost) = bench.cost(|| unsafe { raw.functions.C_SessionCancel.unwrap()(raw.session, CKF_SIGN) });
    assert_eq!((rv, cost), (CKR_OK, 1));
}

#[test]
fn searches_hand_out_objects_in_portions() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.session(bench.esign());
    let raw = Raw::of(&bench, &session);
    let mut handles = [0; 4];
    let mut all = Vec::new();
    // SAFETY: the lengths are those of the buffers.
    unsafe {
        let (init, next, finish) = (
            raw.functions.C_FindObjectsInit.unwrap(),
            raw.functions.C_FindObjects.unwrap(),
            raw.functions.C_FindObjectsFinal.unwrap(),
        );
        let mut count = 0;
        assert_eq!(next(raw.session, handles.as_mut_ptr(), 4, &mut count), CKR_OPERATION_NOT_INITIALIZED);
        assert_eq!(finish(raw.session), CKR_OPERATION_NOT_INITIALIZED);
        assert_eq!(init(raw.session, null_mut(), 0), CKR_OK);
        assert_eq!(init(raw.session, null_mut(), 0), CKR_OPERATION_ACTIVE);
        loop {
            assert_eq!(next(raw.session, handles.as_mut_ptr(), 4, &mut count), CKR_OK);
            all.extend_from_slice(&handles[..count as usize]);
            if count == 0 {
                break;
            }
        }
        assert_eq!(finish(raw.session), CKR_OK);
    }
    // A profile, four certificates, four public keys.
    assert_eq!(all.len(), 9);
    all.dedup();
    assert_eq!(all.len(), 9);
}

#[test]
fn serial_numbers_match_as_der_only() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.session(bench.esign());
    let raw = Raw::of(&bench, &session);
    let certificate = raw.find(CKO_CERTIFICATE, AUT);
    let mut serial = [0u8; 64];
    let mut attribute = CK_ATTRIBUTE {
        type_: CKA_SERIAL_NUMBER,
        pValue: serial.as_mut_ptr().cast(),
        ulValueLen: serial.len() as CK_ULONG,
    };
    // SAFETY: the lengths are those of the buffers.
    unsafe {
        let read = raw.functions.C_GetAttributeValue.unwrap();
        assert_eq!(read(raw.session, certificate, &mut attribute, 1), CKR_OK);
    }
    let der = &serial[..attribute.ulValueLen as usize];
    assert_eq!((der[0], usize::from(der[1])), (2, der.len() - 2));
    let search = |value: &[u8]| {
        let template = [cryptoki::object::Attribute::SerialNumber(value.to_vec())];
        session.find_objects(&template).unwrap().len()
    };
    assert_eq!((search(der), search(&der[2..])), (1, 0));
}

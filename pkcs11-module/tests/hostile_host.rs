//! A host that calls anything in any order from several threads: random handles, NULL pointers, short buffers and
//! impossible lengths. Nothing may crash, hang or panic behind the boundary, and afterwards the card still signs.
//!
//! `HOSTILE_HOST_CALLS` makes it longer; `CONTRIBUTING.md` tells how it is run under valgrind.
#![allow(unsafe_code, reason = "calls a C interface")]
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]
#![allow(clippy::indexing_slicing, reason = "a failure here is the test's failure")]

use std::ptr::null_mut;

use card_simulator::{NewCard, ProfileName};
use cryptoki::mechanism::Mechanism;
use cryptoki_sys::*;

mod bench;
mod module;

use bench::{Bench, PIN_CH, key};

const THREADS: u64 = 4;
const CALLS: u64 = 1000;
/// Base point of P-384 (FIPS 186-4 clause D.1.2.4), `04‖x‖y`: somebody's public key, if a weak one.
const POINT: &str = "04\
    aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7\
    3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f";

#[test]
fn any_call_in_any_order_leaves_a_working_module() {
    assert_eq!(
        call_anything(ProfileName::HpcP384, "C.HP.AUT.E384"),
        0,
        "no key of this card agrees on anything"
    );
}

#[test]
fn any_call_in_any_order_leaves_a_module_that_works_with_a_card_that_agrees_on_secrets() {
    let agreed = call_anything(ProfileName::PivP384, "C.PIV.AUT.P384");
    assert!(agreed > 0, "nothing was agreed on");
}

/// Answers how many secrets were agreed on meanwhile.
fn call_anything(profile: ProfileName, label: &str) -> u64 {
    let mut bench = Bench::with(profile);
    let calls = std::env::var("HOSTILE_HOST_CALLS").map_or(CALLS, |text| text.parse().unwrap());
    let functions = bench.functions();
    let [accepted, agreed] = std::thread::scope(|scope| {
        let host = |number| {
            let bench = &bench;
            let functions = &functions;
            scope.spawn(move || {
                let mut host = Host::new(bench, functions, number);
                for call in 0..calls {
                    host.call_something();
                    if number == 0 && call % 100 == 99 {
                        upset(bench, call);
                    }
                }
                [host.accepted, host.agreed]
            })
        };
        let hosts: Vec<_> = (0..THREADS).map(host).collect();
        let counts = hosts.into_iter().map(|host| host.join().unwrap());
        counts.fold([0, 0], |[accepted, agreed], [more, secrets]| [accepted + more, agreed + secrets])
    });
    // Nonsense alone would only show that nonsense is refused. One thread alone may meet an empty reader all the time.
    assert!(accepted > THREADS * calls / 50, "{accepted} calls got through");
    bench.insert(NewCard::new(profile));
    let session = bench.logged_in(bench.esign(), PIN_CH);
    session.sign(&Mechanism::Ecdsa, key(&session, label), &[1; 48]).unwrap();
    agreed
}

/// Meanwhile people use the reader.
fn upset(bench: &Bench, call: u64) {
    match call / 100 % 3 {
        0 => bench.reader.reset(),
        1 => bench.reinsert(),
        _ => drop(bench.reader.eject()),
    }
    if !bench.reader.has_card() {
        bench.reinsert();
    }
}

/// One thread of the host.
struct Host<'f> {
    bench: &'f Bench,
    functions: &'f CK_FUNCTION_LIST_3_2,
    chance: u64,
    /// Calls that did what they were asked.
    accepted: u64,
    /// Secrets that were agreed on.
    agreed: u64,
    sessions: Vec<CK_SESSION_HANDLE>,
    objects: Vec<CK_OBJECT_HANDLE>,
    /// Where the module writes; its ends are watched.
    room: Vec<u8>,
}

const ROOM: usize = 4096;
const FENCE: usize = 64;
const UNTOUCHED: u8 = 0xC3;

/// Calls a function of the list; what it answers must be a return value that no panic makes.
macro_rules! call {
    ($host:expr, $name:ident $(, $argument:expr)*) => {{
        // SAFETY: pointers are NULL or lead to memory of this thread as large as the length beside them says; lengths
        // that are larger are impossible ones, which the module refuses.
        let rv = unsafe { ($host.functions.$name.unwrap())($($argument),*) };
        assert_ne!(rv, CKR_GENERAL_ERROR, stringify!($name));
        $host.accepted += u64::from(rv == CKR_OK);
        rv
    }};
}

impl<'f> Host<'f> {
    fn new(bench: &'f Bench, functions: &'f CK_FUNCTION_LIST_3_2, number: u64) -> Host<'f> {
        let chance = 0x9E37_79B9_7F4A_7C15 ^ (number + 1);
        let room = vec![UNTOUCHED; ROOM + FENCE];
        Host {
            bench,
            functions,
            chance,
            accepted: 0,
            agreed: 0,
            sessions: Vec::new(),
            objects: Vec::new(),
            room,
        }
    }

    fn call_something(&mut self) {
        match self.below(13) {
            0 => self.slots(),
            1 | 2 => self.session_calls(),
            3 => self.logins(),
            4 | 5 => self.searches(),
            6 => self.attributes(),
            7 | 8 => self.signatures(),
            9 => self.digests(),
            10 => self.odd_ones(),
            11 => self.secrets(),
            _ => self.with_nothing(),
        }
        // Older ones are void: their card was pulled.
        self.sessions.drain(..self.sessions.len().saturating_sub(8));
        self.objects.drain(..self.objects.len().saturating_sub(64));
        assert!(self.room[ROOM..].iter().all(|byte| *byte == UNTOUCHED), "written behind the buffer");
    }

    fn slots(&mut self) {
        let slot = self.slot();
        let mut count = self.length();
        let (mut info, mut token) = (CK_SLOT_INFO::default(), CK_TOKEN_INFO::default());
        let mut mechanism = CK_MECHANISM_INFO::default();
        match self.below(6) {
            0 => {
                let mut ids = vec![0; 512];
                let mut count = self.below(513) as CK_ULONG;
                let list = if self.below(3) == 0 { null_mut() } else { ids.as_mut_ptr() };
                call!(self, C_GetSlotList, self.below(2) as CK_BBOOL, list, &mut count);
            }
            1 => drop(call!(self, C_GetSlotInfo, slot, &mut info)),
            2 => drop(call!(self, C_GetTokenInfo, slot, &mut token)),
            3 => drop(call!(self, C_GetMechanismList, slot, null_mut(), &mut count)),
            4 => drop(call!(self, C_GetMechanismInfo, slot, self.mechanism_type(), &mut mechanism)),
            _ => {
                let mut changed = 0;
                call!(self, C_WaitForSlotEvent, CKF_DONT_BLOCK, &mut changed, null_mut());
            }
        }
    }

    fn session_calls(&mut self) {
        let (slot, session) = (self.slot(), self.session());
        match self.below(8) {
            0..=3 => {
                let mut new = 0;
                let flags = [CKF_SERIAL_SESSION, CKF_SERIAL_SESSION | CKF_RW_SESSION, 0][self.below(3)];
                if call!(self, C_OpenSession, slot, flags, null_mut(), None, &mut new) == CKR_OK {
                    self.sessions.push(new);
                }
            }
            4 => drop(call!(self, C_CloseSession, session)),
            5 if self.below(20) == 0 => drop(call!(self, C_CloseAllSessions, slot)),
            6 => drop(call!(self, C_SessionCancel, session, CKF_SIGN)),
            _ => {
                let mut info = CK_SESSION_INFO::default();
                call!(self, C_GetSessionInfo, session, &mut info);
            }
        }
    }

    /// The right PIN of one slot, or what cannot be one: nothing that leaves a card without tries.
    fn logins(&mut self) {
        let session = self.session();
        let mut pins: [Vec<u8>; 4] = [PIN_CH.into(), "1".into(), vec![b'x'; 300], Vec::new()];
        let chosen = &mut pins[[0, 0, 0, 1, 2, 3][self.below(6)]];
        let (pointer, length) = (chosen.as_mut_ptr(), chosen.len() as CK_ULONG);
        let user = [CKU_USER, CKU_USER, CKU_CONTEXT_SPECIFIC, 7][self.below(4)];
        match self.below(6) {
            0 => drop(call!(self, C_Logout, session)),
            1 => drop(call!(self, C_SetPIN, session, pointer, length, pointer, length)),
            2 => drop(call!(self, C_Login, session, user, null_mut(), length)),
            _ => drop(call!(self, C_Login, session, user, pointer, length)),
        }
    }

    fn searches(&mut self) {
        let session = self.session();
        let mut class = self.below(6) as CK_OBJECT_CLASS;
        let mut template = [CK_ATTRIBUTE {
            type_: CKA_CLASS,
            pValue: (&raw mut class).cast(),
            ulValueLen: [size_of::<CK_OBJECT_CLASS>() as CK_ULONG, 0, CK_ULONG::MAX][self.below(3)],
        }];
        let entries = [0, 1, CK_ULONG::MAX][self.below(3)];
        match self.below(3) {
            0 => drop(call!(self, C_FindObjectsInit, session, template.as_mut_ptr(), entries)),
            1 => {
                let (mut found, mut count) = ([0; 32], 0);
                let most = self.below(33) as CK_ULONG;
                if call!(self, C_FindObjects, session, found.as_mut_ptr(), most, &mut count) == CKR_OK {
                    assert!(count <= most, "more objects than there is room for");
                    self.objects.extend(&found[..usize::try_from(count).unwrap()]);
                }
            }
            _ => drop(call!(self, C_FindObjectsFinal, session)),
        }
    }

    fn attributes(&mut self) {
        let (session, object) = (self.session(), self.object());
        let types =
            [CKA_VALUE, CKA_ID, CKA_LABEL, CKA_EC_POINT, CKA_MODULUS, CKA_SIGN, 0x8000_0001, CK_ULONG::MAX];
        let length = [ROOM as CK_ULONG, 0, 1, CK_ULONG::MAX][self.below(4)];
        let mut template = [CK_ATTRIBUTE {
            type_: types[self.below(types.len())],
            pValue: if self.below(3) == 0 { null_mut() } else { self.room.as_mut_ptr().cast() },
            ulValueLen: length,
        }];
        let count = [0, 1, 1, CK_ULONG::MAX][self.below(4)];
        call!(self, C_GetAttributeValue, session, object, template.as_mut_ptr(), count);
    }

    fn signatures(&mut self) {
        let (session, object) = (self.session(), self.object());
        let data = self.room.as_mut_ptr();
        let length = [0, 1, 20, 32, 48, 64, 4096, CK_ULONG::MAX][self.below(8)];
        let mut room = [0, 1, 96, ROOM as CK_ULONG][self.below(4)];
        let out = if self.below(3) == 0 { null_mut() } else { data };
        match self.below(5) {
            0 | 1 => {
                let mut mechanism = self.mechanism();
                call!(self, C_SignInit, session, &mut mechanism, object);
            }
            2 => drop(call!(self, C_Sign, session, data, length, out, &mut room)),
            3 => drop(call!(self, C_SignUpdate, session, data, length)),
            _ => drop(call!(self, C_SignFinal, session, out, &mut room)),
        }
    }

    fn digests(&mut self) {
        let session = self.session();
        let data = self.room.as_mut_ptr();
        let length = [0, 1, 64, 4096, CK_ULONG::MAX][self.below(5)];
        let mut room = [0, 31, 64, ROOM as CK_ULONG][self.below(4)];
        match self.below(4) {
            0 => {
                let mut mechanism = self.mechanism();
                call!(self, C_DigestInit, session, &mut mechanism);
            }
            1 => drop(call!(self, C_Digest, session, data, length, data, &mut room)),
            2 => drop(call!(self, C_DigestUpdate, session, data, length)),
            _ => drop(call!(self, C_DigestFinal, session, data, &mut room)),
        }
    }

    /// Key agreements: as they should be, and with anything wrong about them.
    fn secrets(&mut self) {
        let session = self.session();
        let right = self.below(2) == 0;
        let object = if right { self.key_that_agrees(session) } else { self.object() };
        let mut point = hex::decode(POINT).unwrap();
        let mut choose = |as_it_should_be: CK_ULONG, others: &[CK_ULONG]| {
            if right || self.below(2) == 0 { as_it_should_be } else { others[self.below(others.len())] }
        };
        let word = size_of::<CK_ULONG>() as CK_ULONG;
        let whole = size_of::<CK_ECDH1_DERIVE_PARAMS>() as CK_ULONG;
        // No more than there is at that place, or impossible.
        let length = choose(97, &[0, 1, 65, CK_ULONG::MAX]);
        let kdf = choose(CKD_NULL, &[CKD_SHA256_KDF, CK_ULONG::MAX]);
        let shared = choose(0, &[1, CK_ULONG::MAX]);
        let parameter = choose(whole, &[0, whole - 1, CK_ULONG::MAX]);
        let mut kind = choose(CKK_GENERIC_SECRET, &[CKK_AES, CK_ULONG::MAX]);
        let mut size = choose(48, &[1, 0, 49, CK_ULONG::MAX]);
        let second = choose(CKA_VALUE_LEN, &[CKA_LABEL, CKA_VALUE, CKA_KEY_TYPE, CK_ULONG::MAX]);
        let room = choose(word, &[0, 1, CK_ULONG::MAX]);
        let entries = choose(2, &[1, 0, CK_ULONG::MAX]);
        let (public, value, out) = (choose(1, &[0, 2]), choose(1, &[0]), choose(1, &[0]));
        let mut new = 0;
        let out = if out == 0 { null_mut() } else { &raw mut new };
        let mut agreement = CK_ECDH1_DERIVE_PARAMS {
            kdf,
            ulSharedDataLen: shared,
            pSharedData: null_mut(),
            ulPublicDataLen: length,
            pPublicData: [null_mut(), point.as_mut_ptr(), self.room.as_mut_ptr()][public as usize],
        };
        let mut mechanism = CK_MECHANISM {
            mechanism: CKM_ECDH1_DERIVE,
            pParameter: (&raw mut agreement).cast(),
            ulParameterLen: parameter,
        };
        let value = if value == 0 { null_mut() } else { (&raw mut size).cast() };
        let mut template = [
            CK_ATTRIBUTE { type_: CKA_KEY_TYPE, pValue: (&raw mut kind).cast(), ulValueLen: word },
            CK_ATTRIBUTE { type_: second, pValue: value, ulValueLen: room },
        ];
        let template = template.as_mut_ptr();
        if call!(self, C_DeriveKey, session, &mut mechanism, object, template, entries, out) == CKR_OK {
            self.agreed += 1;
            self.objects.push(new);
        }
    }

    /// What a search for such a key finds after a login; anything if there is none.
    fn key_that_agrees(&mut self, session: CK_SESSION_HANDLE) -> CK_OBJECT_HANDLE {
        let mut pin = PIN_CH.as_bytes().to_vec();
        call!(self, C_Login, session, CKU_USER, pin.as_mut_ptr(), pin.len() as CK_ULONG);
        let mut yes = CK_TRUE;
        let mut wanted = [CK_ATTRIBUTE { type_: CKA_DERIVE, pValue: (&raw mut yes).cast(), ulValueLen: 1 }];
        let (mut found, mut count) = ([0], 0);
        call!(self, C_FindObjectsFinal, session);
        call!(self, C_FindObjectsInit, session, wanted.as_mut_ptr(), 1);
        call!(self, C_FindObjects, session, found.as_mut_ptr(), 1, &mut count);
        call!(self, C_FindObjectsFinal, session);
        if count == 1 { found[0] } else { self.object() }
    }

    /// The end and a new beginning, in the middle of everything; and calls no card serves.
    fn odd_ones(&mut self) {
        let (session, object) = (self.session(), self.object());
        match self.below(40) {
            0 => {
                call!(self, C_Finalize, null_mut());
                self.sessions.clear();
                let mut arguments = self.bench.initialize_args();
                call!(self, C_Initialize, (&raw mut arguments).cast());
            }
            1..=9 => drop(call!(self, C_DestroyObject, session, object)),
            10..=19 => drop(call!(self, C_GenerateRandom, session, self.room.as_mut_ptr(), 64)),
            20..=29 => {
                let mut mechanism = self.mechanism();
                call!(self, C_VerifyInit, session, &mut mechanism, object);
            }
            _ => {
                let mut info = CK_INFO::default();
                call!(self, C_GetInfo, &mut info);
            }
        }
    }

    /// NULL for every pointer, any handle.
    fn with_nothing(&mut self) {
        let (session, object) = (self.session(), self.object());
        let (bytes, number) = (null_mut::<CK_BYTE>(), null_mut::<CK_ULONG>());
        match self.below(11) {
            0 => drop(call!(self, C_GetSlotList, 1, null_mut(), null_mut())),
            1 => drop(call!(self, C_GetTokenInfo, self.slot(), null_mut())),
            2 => drop(call!(
                self,
                C_OpenSession,
                self.slot(),
                CKF_SERIAL_SESSION,
                null_mut(),
                None,
                null_mut()
            )),
            3 => drop(call!(self, C_FindObjectsInit, session, null_mut(), 3)),
            4 => drop(call!(self, C_GetAttributeValue, session, object, null_mut(), 2)),
            5 => drop(call!(self, C_SignInit, session, null_mut(), object)),
            6 => drop(call!(self, C_Sign, session, bytes, 32, bytes, number)),
            7 => drop(call!(self, C_Digest, session, bytes, 8, bytes, number)),
            8 => drop(call!(self, C_Login, session, CKU_USER, bytes, 6)),
            9 => {
                let mut new = 0;
                call!(self, C_DeriveKey, session, null_mut(), object, null_mut(), 1, &mut new);
            }
            _ => drop(call!(self, C_GetInfo, null_mut())),
        }
    }

    fn mechanism(&mut self) -> CK_MECHANISM {
        let (parameter, length) = match self.below(4) {
            0 => (self.room.as_mut_ptr().cast(), [0, 1, 24, ROOM as CK_ULONG][self.below(4)]),
            1 => (null_mut(), 24),
            _ => (null_mut(), 0),
        };
        CK_MECHANISM { mechanism: self.mechanism_type(), pParameter: parameter, ulParameterLen: length }
    }

    fn mechanism_type(&mut self) -> CK_MECHANISM_TYPE {
        let types = [
            CKM_ECDSA,
            CKM_ECDSA,
            CKM_ECDSA_SHA256,
            CKM_ECDSA_SHA384,
            CKM_RSA_PKCS,
            CKM_SHA256_RSA_PKCS_PSS,
            CKM_ECDH1_DERIVE,
            CKM_SHA256,
            CKM_SHA512,
            CKM_AES_GCM,
            CK_ULONG::MAX,
        ];
        types[self.below(types.len())]
    }

    fn slot(&mut self) -> CK_SLOT_ID {
        [0, 0, 0, 1, 2, 4711, CK_ULONG::MAX][self.below(7)]
    }

    fn length(&mut self) -> CK_ULONG {
        [0, 1, 512][self.below(3)]
    }

    fn session(&mut self) -> CK_SESSION_HANDLE {
        let place = self.below(self.sessions.len() + 1);
        self.sessions.get(place).copied().unwrap_or([0, 1, CK_ULONG::MAX][self.below(3)])
    }

    fn object(&mut self) -> CK_OBJECT_HANDLE {
        let place = self.below(self.objects.len() + 1);
        self.objects.get(place).copied().unwrap_or([0, 1, CK_ULONG::MAX][self.below(3)])
    }

    /// Xorshift (Marsaglia 2003).
    fn below(&mut self, end: usize) -> usize {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        usize::try_from(self.chance % u64::try_from(end).unwrap()).unwrap()
    }
}

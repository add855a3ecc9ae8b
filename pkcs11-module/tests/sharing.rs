//! Several programs, threads and processes with one card.
//!
//! A copy of the module has its own state and its own connection, so two copies in one process are two programs as far
//! as the card can tell. Where the process itself matters, the tests fork.
#![allow(unsafe_code, reason = "calls a C interface, forks")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is the test's failure")]

use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use card_simulator::server::Fault;
use card_simulator::{NewCard, ProfileName};
use cryptoki::context::Pkcs11;
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, UserType};
use cryptoki_sys::*;

mod bench;
mod module;

use bench::{Bench, Check, PIN_CH, PIN_QES, certificate, key, login, openssl_accepts, rv};
use module::Installed;

const AUT: &str = "C.HP.AUT.E384";

/// Another program with the same reader.
struct Program {
    module: Pkcs11,
    _installed: Installed,
}

impl Program {
    fn beside(bench: &Bench, settings: &str) -> Program {
        let installed = Installed::with(&format!("{}{settings}", bench.configuration()));
        let module = Pkcs11::new(installed.path()).unwrap();
        bench::initialize(&module, &installed);
        Program { module, _installed: installed }
    }

    fn logged_in(&self, slot: usize, pin: &str) -> Session {
        let slot = self.module.get_all_slots().unwrap()[slot];
        let session = self.module.open_ro_session(slot).unwrap();
        login(&session, UserType::User, pin).unwrap();
        session
    }
}

fn sign(session: &Session, key: ObjectHandle, round: u8) -> Vec<u8> {
    session.sign(&Mechanism::Ecdsa, key, &[round; 32]).unwrap()
}

#[test]
fn two_programs_alternate_signatures_with_three_commands_each() {
    let cases = [
        (ProfileName::HpcP384, [(0, PIN_CH, AUT), (0, PIN_CH, AUT)]),
        (ProfileName::HbaG21, [(0, PIN_CH, "C.HP.AUT.E256"), (0, PIN_CH, "C.HP.AUT.E256")]),
        (ProfileName::HbaG21, [(1, PIN_QES, "C.HP.QES.E256"), (1, PIN_QES, "C.HP.QES.E256")]),
        (ProfileName::HbaG21, [(0, PIN_CH, "C.HP.AUT.E256"), (1, PIN_QES, "C.HP.QES.E256")]),
    ];
    for (profile, users) in cases {
        let bench = Bench::configured(Some(NewCard::new(profile)), "");
        let batch = "qes_batch = true\n";
        let programs = [Program::beside(&bench, batch), Program::beside(&bench, batch)];
        let sessions: Vec<_> = programs
            .iter()
            .zip(users)
            .map(|(program, (slot, pin, label))| {
                let session = program.logged_in(slot, pin);
                let (key, certificate) = (key(&session, label), certificate(&session, label));
                (session, key, certificate)
            })
            .collect();
        for round in 0..6 {
            for (session, key, certificate) in &sessions {
                let (signature, commands) = bench.cost(|| sign(session, *key, round));
                assert!(commands <= 3, "{profile} {users:?}: {commands} commands in round {round}");
                let digest = match profile {
                    ProfileName::HpcP384 => [[0; 16].as_slice(), &[round; 32]].concat(),
                    _ => vec![round; 32],
                };
                assert!(openssl_accepts(certificate, &Check::Ecdsa, &digest, &signature));
            }
        }
    }
}

#[test]
fn twenty_threads_sign_with_sessions_of_their_own() {
    let bench = Bench::with(ProfileName::HpcP384);
    let first = bench.logged_in(bench.esign(), PIN_CH);
    let certificate = certificate(&first, AUT);
    let made: Vec<(u8, Vec<u8>)> = std::thread::scope(|scope| {
        let bench = &bench;
        let threads: Vec<_> = (0..20)
            .map(|thread| {
                scope.spawn(move || {
                    let session = bench.session(bench.esign());
                    let key = key(&session, AUT);
                    let made: Vec<_> = (0..3).map(|_| (thread, sign(&session, key, thread))).collect();
                    bench.module.get_token_info(bench.qes()).unwrap();
                    made
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!((made.len(), bench.signatures()), (60, 60));
    for (thread, signature) in made.iter().step_by(7) {
        let digest = [[0; 16].as_slice(), &[*thread; 32]].concat();
        assert!(openssl_accepts(&certificate, &Check::Ecdsa, &digest, signature), "thread {thread}");
    }
}

#[test]
fn finalize_lets_a_running_signature_end() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let handle = key(&session, AUT);
    bench.reader.fault_at(bench.reader.commands() + 2, Fault::Delay(Duration::from_millis(300)));
    let before = bench.reader.commands();
    std::thread::scope(|scope| {
        let signing = scope.spawn(move || {
            let signature = session.sign(&Mechanism::Ecdsa, handle, &[1; 48]);
            std::mem::forget(session);
            signature
        });
        wait_until(|| bench.reader.commands() > before);
        assert_eq!(finalize(&bench.functions()), CKR_OK);
        signing.join().unwrap().unwrap();
    });
}

#[test]
fn finalize_ends_a_signature_of_a_mute_card_and_the_module_can_be_used_again() {
    let bench = Bench::configured(Some(NewCard::new(ProfileName::HpcP384)), "card_timeout = 3600");
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let handle = key(&session, AUT);
    let before = bench.reader.commands();
    bench.reader.fault_at(before + 1, Fault::Mute);
    std::thread::scope(|scope| {
        let signing = scope.spawn(move || {
            let signature = session.sign(&Mechanism::Ecdsa, handle, &[1; 48]);
            std::mem::forget(session);
            signature
        });
        wait_until(|| bench.reader.commands() > before);
        assert_eq!(finalize(&bench.functions()), CKR_OK);
        signing.join().unwrap().unwrap_err();
    });
    let again = Program::beside(&bench, "");
    let session = again.logged_in(0, PIN_CH);
    sign(&session, key(&session, AUT), 1);
}

#[test]
fn a_mute_card_is_given_up_after_the_configured_time_and_works_again() {
    let bench = Bench::configured(Some(NewCard::new(ProfileName::HpcP384)), "card_timeout = 1");
    let session = bench.logged_in(bench.esign(), PIN_CH);
    bench.reader.fault_at(bench.reader.commands() + 1, Fault::Mute);
    let answer = session.sign(&Mechanism::Ecdsa, key(&session, AUT), &[1; 48]);
    assert_eq!(rv(answer), RvError::DeviceError);
    login(&session, UserType::User, PIN_CH).unwrap();
    sign(&session, key(&session, AUT), 1);
}

#[test]
fn a_child_forked_after_login_starts_afresh_and_leaves_the_parents_login_alone() {
    let bench = Bench::with(ProfileName::HbaG21);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let handle = key(&session, "C.HP.AUT.E256");
    sign(&session, handle, 1);
    let functions = bench.functions();
    let mut arguments = bench.initialize_args();
    let ended = in_child(|| {
        // SAFETY: the pointers are valid.
        unsafe {
            let mut count = 0;
            let inherited = functions.C_GetSlotList.unwrap()(CK_FALSE, null_mut(), &mut count);
            let made = functions.C_Initialize.unwrap()((&raw mut arguments).cast());
            let signed = login_and_sign(&functions);
            let finalized = functions.C_Finalize.unwrap()(null_mut());
            [inherited, made, signed, finalized] == [CKR_CRYPTOKI_NOT_INITIALIZED, CKR_OK, CKR_OK, CKR_OK]
        }
    });
    assert!(ended);
    sign(&session, handle, 2);
    assert_eq!(bench.signatures(), 3);
}

#[test]
fn a_child_forked_before_initialize_and_its_parent_both_sign() {
    let bench = Bench::with(ProfileName::HbaG21);
    let installed = Installed::with(&bench.configuration());
    let loaded = installed.load();
    let functions = loaded.functions();
    let run = |installed: &Installed| {
        let mut arguments = installed.initialize_args();
        // SAFETY: the argument is valid.
        let made = unsafe { functions.C_Initialize.unwrap()((&raw mut arguments).cast()) };
        [made, login_and_sign(&functions), finalize(&functions)] == [CKR_OK; 3]
    };
    assert!(in_child(|| run(&installed)));
    assert!(run(&installed));
    assert_eq!(bench.signatures(), 2);
}

static AT_EXIT: OnceLock<CK_FUNCTION_LIST_3_2> = OnceLock::new();
static SESSION: AtomicU64 = AtomicU64::new(0);

extern "C" fn clean_up_at_exit() {
    let functions = AT_EXIT.get().unwrap();
    let session = SESSION.load(Ordering::SeqCst) as CK_SESSION_HANDLE;
    // SAFETY: NULL is the only pointer.
    unsafe {
        let answers = [
            functions.C_Logout.unwrap()(session),
            functions.C_CloseSession.unwrap()(session),
            functions.C_Finalize.unwrap()(null_mut()),
        ];
        _exit(if answers == [CKR_OK; 3] { 0 } else { 1 });
    }
}

#[test]
fn exit_handlers_may_log_out_and_finalize() {
    let bench = Bench::with(ProfileName::HbaG21);
    let functions = bench.functions();
    let mut arguments = bench.initialize_args();
    AT_EXIT.get_or_init(|| functions);
    let ended = in_child(|| {
        // SAFETY: the pointers are valid; the handler has the type of one.
        unsafe {
            let made = functions.C_Initialize.unwrap()((&raw mut arguments).cast());
            let mut session = 0;
            let opened =
                functions.C_OpenSession.unwrap()(0, CKF_SERIAL_SESSION, null_mut(), None, &mut session);
            let mut pin = PIN_CH.as_bytes().to_vec();
            let logged_in = functions.C_Login.unwrap()(session, CKU_USER, pin.as_mut_ptr(), 6);
            if [made, opened, logged_in] != [CKR_OK; 3] {
                return false;
            }
            SESSION.store(session, Ordering::SeqCst);
            atexit(clean_up_at_exit);
            exit(2)
        }
    });
    assert!(ended);
}

#[test]
fn a_program_may_exit_without_finalize_and_leaves_the_card_usable() {
    let bench = Bench::with(ProfileName::HbaG21);
    let functions = bench.functions();
    let mut arguments = bench.initialize_args();
    let ended = in_child(|| {
        // SAFETY: the argument is valid.
        unsafe {
            let made = functions.C_Initialize.unwrap()((&raw mut arguments).cast());
            if [made, login_and_sign(&functions)] != [CKR_OK; 2] {
                return false;
            }
            exit(0)
        }
    });
    assert!(ended);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    sign(&session, key(&session, "C.HP.AUT.E256"), 1);
}

#[test]
fn loading_and_unloading_with_a_card_many_times_works_every_time() {
    let bench = Bench::with(ProfileName::HbaG21);
    let installed = Installed::with(&bench.configuration());
    for _ in 0..20 {
        let loaded = installed.load();
        let functions = loaded.functions();
        let mut arguments = installed.initialize_args();
        // SAFETY: the argument is valid.
        assert_eq!(unsafe { functions.C_Initialize.unwrap()((&raw mut arguments).cast()) }, CKR_OK);
        assert_eq!(login_and_sign(&functions), CKR_OK);
        assert_eq!(finalize(&functions), CKR_OK);
    }
    assert_eq!(bench.signatures(), 20);
}

/// Logs in to the first slot, signs with the first elliptic curve key there, and leaves the session open.
fn login_and_sign(functions: &CK_FUNCTION_LIST_3_2) -> CK_RV {
    let mut session = 0;
    let mut pin = PIN_CH.as_bytes().to_vec();
    let (mut class, mut kind) = (CKO_PRIVATE_KEY, CKK_EC);
    let mut sign = CK_TRUE;
    let size = std::mem::size_of::<CK_ULONG>() as CK_ULONG;
    let mut template = [
        CK_ATTRIBUTE { type_: CKA_CLASS, pValue: (&raw mut class).cast(), ulValueLen: size },
        CK_ATTRIBUTE { type_: CKA_KEY_TYPE, pValue: (&raw mut kind).cast(), ulValueLen: size },
        CK_ATTRIBUTE { type_: CKA_SIGN, pValue: (&raw mut sign).cast(), ulValueLen: 1 },
    ];
    let mut mechanism = CK_MECHANISM { mechanism: CKM_ECDSA, pParameter: null_mut(), ulParameterLen: 0 };
    let (mut key, mut found, mut digest, mut signature, mut length) = (0, 0, [7; 32], [0; 256], 256);
    // SAFETY: all pointers are valid, all lengths are those of what they point to.
    unsafe {
        for answer in [
            functions.C_OpenSession.unwrap()(0, CKF_SERIAL_SESSION, null_mut(), None, &mut session),
            functions.C_Login.unwrap()(session, CKU_USER, pin.as_mut_ptr(), 6),
            functions.C_FindObjectsInit.unwrap()(session, template.as_mut_ptr(), 3),
            functions.C_FindObjects.unwrap()(session, &mut key, 1, &mut found),
            functions.C_FindObjectsFinal.unwrap()(session),
            functions.C_SignInit.unwrap()(session, &mut mechanism, key),
        ] {
            if answer != CKR_OK {
                return answer;
            }
        }
        functions.C_Sign.unwrap()(session, digest.as_mut_ptr(), 32, signature.as_mut_ptr(), &mut length)
    }
}

fn finalize(functions: &CK_FUNCTION_LIST_3_2) -> CK_RV {
    // SAFETY: NULL is the only argument.
    unsafe { functions.C_Finalize.unwrap()(null_mut()) }
}

fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(status: i32) -> !;
    fn exit(status: i32) -> !;
    fn atexit(handler: extern "C" fn()) -> i32;
}

/// Whether a child that does this ends well. It leaves without running anything of the test harness, unless the work
/// itself exits.
fn in_child(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child works with its own copy of everything and then ends.
    unsafe {
        let child = fork();
        if child == 0 {
            _exit(if work() { 0 } else { 1 });
        }
        let mut status = -1;
        assert_eq!(waitpid(child, &mut status, 0), child);
        status == 0
    }
}

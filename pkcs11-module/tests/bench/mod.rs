//! A reader with a simulated card, and the built module that reaches it through a socket.
#![allow(unsafe_code, reason = "hands a text to C_Initialize")]
#![allow(dead_code, reason = "not every test needs everything")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is the test's failure"
)]

use std::ffi::c_void;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::NonNull;
use std::time::Duration;

use card_simulator::server::{Address, Plug, Slot as Reader};
use card_simulator::{Card, CardImage, ImageError, Interface, NewCard, ProfileName, RsaKeyPool};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use cryptoki_sys::{CK_C_INITIALIZE_ARGS, CK_FUNCTION_LIST_3_2};
use tempfile::TempDir;

use crate::module::Installed;

pub(crate) mod openssl;

/// Test PINs of the simulator.
pub(crate) const PIN_CH: &str = "123456";
pub(crate) const PIN_QES: &str = "234567";
pub(crate) const WRONG_PIN: &str = "999999";

/// Reader, card and an initialised module.
pub(crate) struct Bench {
    pub(crate) reader: Reader,
    pub(crate) module: Pkcs11,
    installed: Installed,
    interface: Interface,
    // Before the directories: its end is reported through the socket in one of them.
    _plug: Plug,
    cards: Vec<TempDir>,
}

impl Bench {
    /// A card of this kind in the reader, default configuration.
    pub(crate) fn with(profile: ProfileName) -> Bench {
        Bench::configured(Some(NewCard::new(profile)), "")
    }

    /// A card, or none, and further lines of configuration.
    pub(crate) fn configured(card: Option<NewCard>, configuration: &str) -> Bench {
        Bench::over(Interface::Contact, card, configuration)
    }

    /// The same with a reader for radio, or for contacts.
    pub(crate) fn over(interface: Interface, card: Option<NewCard>, configuration: &str) -> Bench {
        let reader = Reader::empty();
        let sockets = tempfile::tempdir().unwrap();
        let address = sockets.path().join("card");
        let plug = reader.plug(&Address::Unix(address.clone())).unwrap();
        let readers = format!("readers = [\"socket:{}\"]\n", address.display());
        // What a card costs must not depend on earlier tests.
        let cache =
            if configuration.contains("certificate_cache") { "" } else { "certificate_cache = false\n" };
        let installed = Installed::with(&format!("{readers}{cache}{configuration}"));
        let module = Pkcs11::new(installed.path()).unwrap();
        initialize(&module, &installed);
        let cards = vec![sockets];
        let mut bench = Bench { reader, module, installed, interface, cards, _plug: plug };
        if let Some(card) = card {
            bench.insert(card);
        }
        bench
    }

    /// Issues a card and puts it into the reader.
    pub(crate) fn insert(&mut self, card: NewCard) {
        let card = self.issue(card);
        self.reader.insert(card);
    }

    /// Takes the card out, if it is still there, and puts it back.
    pub(crate) fn reinsert(&self) {
        drop(self.reader.eject());
        let directory = self.cards.last().unwrap();
        self.reader.insert(Card::new(open(directory.path())).over(self.interface));
    }

    /// Issues a card.
    pub(crate) fn issue(&mut self, card: NewCard) -> Card {
        let directory = tempfile::tempdir().unwrap();
        card.rsa_keys(RsaKeyPool::Shared).create(directory.path()).unwrap();
        let card = Card::new(open(directory.path())).over(self.interface);
        self.cards.push(directory);
        card
    }

    /// What the module's configuration says.
    pub(crate) fn configuration(&self) -> String {
        self.installed.configuration()
    }

    /// The functions of the same module as a C program sees them.
    pub(crate) fn functions(&self) -> CK_FUNCTION_LIST_3_2 {
        self.installed.load().functions()
    }

    /// Arguments for C_Initialize of the same module with the same configuration.
    pub(crate) fn initialize_args(&self) -> CK_C_INITIALIZE_ARGS {
        self.installed.initialize_args()
    }

    /// The first slot of the reader.
    pub(crate) fn esign(&self) -> Slot {
        self.module.get_all_slots().unwrap()[0]
    }

    /// The second.
    pub(crate) fn qes(&self) -> Slot {
        self.module.get_all_slots().unwrap()[1]
    }

    /// A session without login.
    pub(crate) fn session(&self, slot: Slot) -> Session {
        self.module.open_ro_session(slot).unwrap()
    }

    /// A session after a user login.
    pub(crate) fn logged_in(&self, slot: Slot, pin: &str) -> Session {
        let session = self.session(slot);
        login(&session, UserType::User, pin).unwrap();
        session
    }

    /// Card commands that `work` costs.
    pub(crate) fn cost<T>(&self, work: impl FnOnce() -> T) -> (T, u64) {
        let before = self.reader.commands();
        let result = work();
        (result, self.reader.commands() - before)
    }

    /// Signatures the inserted card has made.
    pub(crate) fn signatures(&self) -> u64 {
        self.reader.inspect(|card| card.image().signatures()).unwrap()
    }
}

/// Opens an image. A process that another thread is about to start may hold its lock for a moment.
fn open(directory: &Path) -> CardImage {
    loop {
        match CardImage::open(directory) {
            Err(ImageError::InUse(_)) => std::thread::sleep(Duration::from_millis(5)),
            image => return image.unwrap(),
        }
    }
}

/// C_Initialize with the configuration of this copy.
pub(crate) fn initialize(module: &Pkcs11, installed: &Installed) {
    let text: *mut c_void = installed.initialize_args().pReserved;
    let text = NonNull::new(text).unwrap();
    // SAFETY: the text lives in `installed` until after the call.
    let arguments = unsafe { CInitializeArgs::new_with_reserved(CInitializeFlags::OS_LOCKING_OK, text) };
    module.initialize(arguments).unwrap();
}

/// C_Login.
pub(crate) fn login(session: &Session, user: UserType, pin: &str) -> Result<(), Error> {
    session.login(user, Some(&AuthPin::new(pin.to_owned().into())))
}

/// The return value of a failed call.
pub(crate) fn rv<T: Debug>(result: Result<T, Error>) -> RvError {
    match result {
        Err(Error::Pkcs11(rv, _)) => rv,
        other => panic!("a PKCS#11 error, not {other:?}"),
    }
}

/// The one object with this class and label.
pub(crate) fn object(session: &Session, class: ObjectClass, label: &str) -> ObjectHandle {
    let found = objects(session, class, label);
    assert_eq!(found.len(), 1, "{class:?} {label}");
    found[0]
}

/// The objects with this class and label.
pub(crate) fn objects(session: &Session, class: ObjectClass, label: &str) -> Vec<ObjectHandle> {
    session.find_objects(&[Attribute::Class(class), Attribute::Label(label.into())]).unwrap()
}

/// The private key with this label.
pub(crate) fn key(session: &Session, label: &str) -> ObjectHandle {
    object(session, ObjectClass::PRIVATE_KEY, label)
}

/// The certificate with this label, DER.
pub(crate) fn certificate(session: &Session, label: &str) -> Vec<u8> {
    value(session, object(session, ObjectClass::CERTIFICATE, label))
}

/// CKA_VALUE of an object.
pub(crate) fn value(session: &Session, handle: ObjectHandle) -> Vec<u8> {
    match session.get_attributes(handle, &[AttributeType::Value]).unwrap().remove(0) {
        Attribute::Value(value) => value,
        other => panic!("a value, not {other:?}"),
    }
}

/// How OpenSSL is told to check a signature.
pub(crate) enum Check {
    /// r||s over a digest.
    Ecdsa,
    /// PKCS#1 v1.5 with this digest.
    Pkcs1(&'static str),
    /// PSS with SHA-256 and a salt of 32 bytes.
    Pss,
}

/// Lets OpenSSL check a signature over a digest with the key of a certificate.
pub(crate) fn openssl_accepts(certificate: &[u8], check: &Check, digest: &[u8], signature: &[u8]) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| -> PathBuf {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let certificate = file("certificate.der", certificate);
    let key = Command::new("openssl")
        .args(["x509", "-inform", "DER", "-noout", "-pubkey", "-in"])
        .arg(certificate)
        .output()
        .unwrap();
    let signature = match check {
        Check::Ecdsa => ecdsa_der(signature),
        Check::Pkcs1(_) | Check::Pss => signature.to_vec(),
    };
    let options: Vec<String> = match check {
        Check::Ecdsa => Vec::new(),
        Check::Pkcs1(hash) => vec![format!("digest:{hash}")],
        Check::Pss => {
            ["digest:sha256", "rsa_padding_mode:pss", "rsa_pss_saltlen:32"].map(str::to_owned).to_vec()
        }
    };
    let mut command = Command::new("openssl");
    command.args(["pkeyutl", "-verify", "-pubin", "-inkey"]).arg(file("key.pem", &key.stdout));
    command.arg("-sigfile").arg(file("signature", &signature)).arg("-in").arg(file("digest", digest));
    for option in options {
        command.args(["-pkeyopt", &option]);
    }
    command.output().unwrap().status.success()
}

/// r||s as SEQUENCE { r, s }.
fn ecdsa_der(signature: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let first = number.iter().position(|byte| *byte != 0).unwrap();
        let mut content = number[first..].to_vec();
        if content[0] & 0x80 != 0 {
            content.insert(0, 0);
        }
        [vec![2, u8::try_from(content.len()).unwrap()], content].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let both = [integer(r), integer(s)].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}

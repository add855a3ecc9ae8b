//! The bare token: C_Sign in so many sessions at once, each on a thread of its own.

use std::time::{Duration, Instant};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    mechanism::Mechanism,
    object::{Attribute, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::Slot,
};

use crate::{
    desk::{MODULE, PIN, processor_time},
    figures::Window,
};

/// The token, logged in.
pub(crate) struct Raw {
    module: Pkcs11,
    slot: Slot,
    /// Carries the login.
    first: Session,
}

/// A digest and the signature over it.
type Signed = ([u8; 48], Vec<u8>);

impl Raw {
    pub(crate) fn load() -> Raw {
        let module = Pkcs11::new(MODULE).expect("scripts/setup test installs SoftHSM");
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
        let slot = module.get_slots_with_initialized_token().unwrap()[0];
        let first = module.open_ro_session(slot).unwrap();
        first.login(UserType::User, Some(&PIN.into())).unwrap();
        Raw { module, slot, first }
    }

    /// The token's serial number.
    pub(crate) fn serial(&self) -> String {
        self.module.get_token_info(self.slot).unwrap().serial_number().to_owned()
    }

    /// Signs for a time and checks every signature afterwards.
    pub(crate) fn window(&self, sessions: usize, length: Duration) -> Window {
        let before = processor_time(std::process::id());
        let parts: Vec<(Window, Vec<Signed>)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..sessions)
                .map(|thread| {
                    let session = self.module.open_ro_session(self.slot).unwrap();
                    scope.spawn(move || sign_until(&session, thread, length))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let processor = processor_time(std::process::id()) - before;
        let mut all = Window { processor, ..Window::default() };
        let public = find(&self.first, ObjectClass::PUBLIC_KEY);
        for (window, signed) in parts {
            for (digest, signature) in signed {
                self.first.verify(&Mechanism::Ecdsa, public, &digest, &signature).expect("a wrong signature");
            }
            all.join(window);
        }
        all
    }
}

fn sign_until(session: &Session, thread: usize, length: Duration) -> (Window, Vec<Signed>) {
    let key = find(session, ObjectClass::PRIVATE_KEY);
    let (mut window, mut signed) = (Window::default(), Vec::new());
    let begun = Instant::now();
    for number in 0u64.. {
        if begun.elapsed() >= length {
            break;
        }
        let mut digest = [0; 48];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        digest[8..16].copy_from_slice(&(thread as u64).to_be_bytes());
        let this = Instant::now();
        let signature = session.sign(&Mechanism::Ecdsa, key, &digest).unwrap();
        window.latencies.push(this.elapsed());
        signed.push((digest, signature));
    }
    window.elapsed = begun.elapsed();
    (window, signed)
}

fn find(session: &Session, class: ObjectClass) -> ObjectHandle {
    session.find_objects(&[Attribute::Class(class)]).unwrap()[0]
}

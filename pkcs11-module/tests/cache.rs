//! Cards that were read before are ready after four commands, and never with certificates that are not theirs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is the test's failure")]

use card_simulator::{NewCard, ProfileName};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{AttributeType, ObjectClass};
use cryptoki::session::UserType;

mod bench;
mod module;

use bench::{Bench, PIN_CH, PIN_QES, certificate, key, object};

const ICCSN: &str = "80276001234567890123";
const AUT: &str = "C.HP.AUT.E384";

/// A bench whose module keeps certificates in a directory of the test.
fn bench(caches: &tempfile::TempDir) -> Bench {
    let card = NewCard::new(ProfileName::HpcP384).iccsn(ICCSN);
    Bench::configured(Some(card), &configuration(caches))
}

fn configuration(caches: &tempfile::TempDir) -> String {
    let directory = caches.path().join("certificates");
    format!("certificate_cache = true\ncache_directory = \"{}\"\n", directory.display())
}

/// Shows everything both tokens have without a login.
fn list(bench: &Bench) -> usize {
    let mut objects = 0;
    for slot in bench.module.get_slots_with_token().unwrap() {
        bench.module.get_token_info(slot).unwrap();
        let session = bench.session(slot);
        for object in session.find_objects(&[]).unwrap() {
            session.get_attributes(object, &[AttributeType::Label, AttributeType::Value]).unwrap();
            objects += 1;
        }
    }
    objects
}

fn reinsert(bench: &Bench) {
    let card = bench.reader.eject().unwrap();
    bench.reader.insert(card);
}

#[test]
fn a_known_card_is_listed_with_four_commands_and_works() {
    let caches = tempfile::tempdir().unwrap();
    let bench = bench(&caches);
    let (objects, cold) = bench.cost(|| list(&bench));
    reinsert(&bench);
    let (again, warm) = bench.cost(|| list(&bench));
    assert_eq!((again, warm), (objects, 4), "{cold} commands the first time");
    assert_eq!(bench.cost(|| list(&bench)).1, 0);

    for (slot, pin, label) in [(bench.esign(), PIN_CH, AUT), (bench.qes(), PIN_QES, "C.HP.QES.E384")] {
        let session = bench.logged_in(slot, pin);
        let signature = session.sign(&Mechanism::Ecdsa, key(&session, label), &[7; 48]).unwrap();
        let certificate = certificate(&session, label);
        assert!(bench::openssl_accepts(&certificate, &bench::Check::Ecdsa, &[7; 48], &signature));
    }
}

#[test]
fn a_known_card_with_channels_is_ready_for_its_login_after_four_commands_and_two_for_the_other_slot() {
    let caches = tempfile::tempdir().unwrap();
    let settings = format!("{}qes_batch = true\n", configuration(&caches));
    let bench = Bench::configured(Some(NewCard::new(ProfileName::HbaG21)), &settings);
    let objects = list(&bench);
    for (order, costs) in [([0, 1], [4, 2]), ([1, 0], [4, 2])] {
        reinsert(&bench);
        for (slot, expected) in order.into_iter().zip(costs) {
            let slot = bench.module.get_all_slots().unwrap()[slot];
            let (session, cost) = bench.cost(|| bench.session(slot));
            assert_eq!(cost, expected, "{order:?}");
            let (pin, label) =
                if slot == bench.qes() { (PIN_QES, "C.HP.QES.E256") } else { (PIN_CH, "C.HP.AUT.E256") };
            let (logged_in, cost) = bench.cost(|| bench::login(&session, UserType::User, pin));
            assert_eq!((logged_in.is_ok(), cost), (true, 1), "{order:?}");
            let key = key(&session, label);
            let (signature, cost) = bench.cost(|| session.sign(&Mechanism::Ecdsa, key, &[7; 32]).unwrap());
            assert_eq!(cost, 2, "{order:?}");
            let certificate = certificate(&session, label);
            assert!(bench::openssl_accepts(&certificate, &bench::Check::Ecdsa, &[7; 32], &signature));
        }
        assert_eq!(list(&bench), objects);
    }
}

#[test]
fn what_one_slot_has_left_in_the_cache_serves_that_slot_and_no_other() {
    let caches = tempfile::tempdir().unwrap();
    let bench = Bench::configured(Some(NewCard::new(ProfileName::HbaG21)), &configuration(&caches));
    bench.session(bench.esign());
    reinsert(&bench);
    assert_eq!(bench.cost(|| bench.session(bench.esign())).1, 4);
    let (session, cost) = bench.cost(|| bench.session(bench.qes()));
    assert_eq!(cost, 4, "channel, SELECT and two certificates");
    object(&session, ObjectClass::CERTIFICATE, "C.HP.QES.E256");
    reinsert(&bench);
    assert_eq!(bench.cost(|| bench.session(bench.qes())).1, 4);
    assert_eq!(bench.cost(|| bench.session(bench.esign())).1, 2);
}

#[test]
fn a_card_with_the_same_number_and_other_certificates_shows_its_own() {
    let caches = tempfile::tempdir().unwrap();
    let mut bench = bench(&caches);
    list(&bench);
    let first = certificate(&bench.session(bench.esign()), AUT);
    bench.insert(NewCard::new(ProfileName::HpcP384).iccsn(ICCSN));
    assert!(bench.cost(|| list(&bench)).1 > 4);
    let second = certificate(&bench.session(bench.esign()), AUT);
    assert_ne!(first, second);
    reinsert(&bench);
    assert_eq!(bench.cost(|| list(&bench)).1, 4);
    assert_eq!(certificate(&bench.session(bench.esign()), AUT), second);
}

#[test]
fn a_damaged_cache_is_as_good_as_none_and_is_repaired() {
    let caches = tempfile::tempdir().unwrap();
    let bench = bench(&caches);
    let (objects, cold) = bench.cost(|| list(&bench));
    let files: Vec<_> = std::fs::read_dir(caches.path().join("certificates")).unwrap().collect();
    assert_eq!(files.len(), 1);
    let file = files[0].as_ref().unwrap().path();
    for damage in ["", "nonsense", "0000\nprofile = \"hpc-p384\"\ncertificates = []\n"] {
        std::fs::write(&file, damage).unwrap();
        reinsert(&bench);
        assert_eq!(bench.cost(|| list(&bench)), (objects, cold));
    }
    reinsert(&bench);
    assert_eq!(bench.cost(|| list(&bench)), (objects, 4));
}

#[test]
fn a_cache_that_cannot_be_written_costs_commands_but_no_error() {
    let caches = tempfile::tempdir().unwrap();
    std::fs::write(caches.path().join("certificates"), "no directory").unwrap();
    let bench = bench(&caches);
    let (objects, cold) = bench.cost(|| list(&bench));
    reinsert(&bench);
    assert_eq!(bench.cost(|| list(&bench)), (objects, cold));
    object(&bench.session(bench.esign()), ObjectClass::CERTIFICATE, AUT);
}

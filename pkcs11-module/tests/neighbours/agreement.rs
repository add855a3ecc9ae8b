//! Key agreement through the module: secrets as objects of a session, and everything that is refused.

use card_simulator::ProfileName;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use sha2::{Digest, Sha384};

use crate::bench::openssl::{self, Agreed};
use crate::bench::{Bench, Check, PIN_CH, certificate, key, login, object, openssl_accepts, rv, value};

const P256: &str = "C.PIV.KM.P256";
const P384: &str = "C.PIV.KM.P384";
const ESTONIAN: &str = "C.EST.AUT.P384";
const SECRET: Attribute = Attribute::KeyType(KeyType::GENERIC_SECRET);

fn derive(
    session: &Session,
    key: ObjectHandle,
    point: &[u8],
    more: &[Attribute],
) -> Result<ObjectHandle, Error> {
    let parameter = Ecdh1DeriveParams::new(EcKdf::null(), point);
    session.derive_key(&Mechanism::Ecdh1Derive(parameter), key, &[&[SECRET], more].concat())
}

fn peer(session: &Session, label: &str) -> Agreed {
    let curve = if label == P256 { "prime256v1" } else { "secp384r1" };
    openssl::agrees(&certificate(session, label), curve)
}

#[test]
fn a_point_is_taken_bare_or_in_its_octet_string_and_costs_no_more_than_the_card_needs() {
    for (profile, label, expected) in
        [(ProfileName::PivRsa, P256, 1), (ProfileName::PivP384, P384, 1), (ProfileName::Esteid, ESTONIAN, 2)]
    {
        let bench = Bench::with(profile);
        let session = bench.logged_in(bench.esign(), PIN_CH);
        let handle = key(&session, label);
        let Agreed { point, secret } = peer(&session, label);
        let wrapped = [&[0x04, u8::try_from(point.len()).unwrap()], &point[..]].concat();
        for point in [point, wrapped] {
            let (new, commands) = bench.cost(|| derive(&session, handle, &point, &[]).unwrap());
            assert_eq!((value(&session, new), commands), (secret.clone(), expected), "{profile}");
        }
    }
}

#[test]
fn the_mechanism_and_the_keys_say_that_they_agree_on_secrets() {
    for (profile, label, bits, also_signs) in
        [(ProfileName::PivP384, P384, 384, false), (ProfileName::Esteid, ESTONIAN, 384, true)]
    {
        let bench = Bench::with(profile);
        let info = bench.module.get_mechanism_info(bench.esign(), MechanismType::ECDH1_DERIVE).unwrap();
        assert!(info.derive() && info.hardware() && info.ec_from_oid() && info.ec_uncompressed());
        assert!(!info.sign() && !info.decrypt());
        assert_eq!((info.min_key_size(), info.max_key_size()), (bits, bits));
        let session = bench.logged_in(bench.esign(), PIN_CH);
        let uses = |handle| {
            let kinds = [AttributeType::Derive, AttributeType::Sign];
            session.get_attributes(handle, &kinds).unwrap()
        };
        let expected = [Attribute::Derive(true), Attribute::Sign(also_signs)];
        assert_eq!(uses(key(&session, label)), expected, "{profile}");
        let public = object(&session, ObjectClass::PUBLIC_KEY, label);
        assert_eq!(uses(public), [Attribute::Derive(false)], "the private half does it");
    }
}

#[test]
fn a_secret_is_an_object_of_its_session_that_ends_with_the_login() {
    let bench = Bench::with(ProfileName::PivP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let Agreed { point, secret } = peer(&session, P384);
    let label = Attribute::Label(b"agreed".to_vec());
    let new = derive(&session, key(&session, P384), &point, &[label.clone(), Attribute::ValueLen(20.into())]);
    let new = new.unwrap();
    assert_eq!(value(&session, new), secret[28..], "a shorter one is the end of the whole");
    let shown = [
        AttributeType::Class,
        AttributeType::KeyType,
        AttributeType::ValueLen,
        AttributeType::Token,
        AttributeType::Local,
    ];
    let expected = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        SECRET,
        Attribute::ValueLen(20.into()),
        Attribute::Token(false),
        Attribute::Local(false),
    ];
    assert_eq!(session.get_attributes(new, &shown).unwrap(), expected);
    let other = bench.session(bench.esign());
    assert_eq!(other.find_objects(std::slice::from_ref(&label)).unwrap(), [new]);
    let handle = key(&session, P384);
    let destroyed = derive(&session, handle, &point, &[]).unwrap();
    session.destroy_object(destroyed).unwrap();
    assert_eq!(rv(session.get_attributes(destroyed, &[AttributeType::Value])), RvError::ObjectHandleInvalid);
    // It neither signs nor agrees on anything.
    assert_eq!(rv(derive(&session, new, &point, &[])), RvError::KeyHandleInvalid);
    session.logout().unwrap();
    assert!(other.find_objects(&[label]).unwrap().is_empty());
}

#[test]
fn a_sensitive_secret_is_not_given_out_and_an_open_one_can_be_closed() {
    let bench = Bench::with(ProfileName::PivP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let Agreed { point, secret } = peer(&session, P384);
    let handle = key(&session, P384);
    // The wrapper passes over what it may not see.
    let shown = |object| session.get_attributes(object, &[AttributeType::Value]).unwrap();
    for closed in [Attribute::Sensitive(true), Attribute::Extractable(false)] {
        let new = derive(&session, handle, &point, &[closed]).unwrap();
        assert!(shown(new).is_empty());
    }
    let open = derive(&session, handle, &point, &[]).unwrap();
    assert_eq!(shown(open), [Attribute::Value(secret)]);
    session.update_attributes(open, &[Attribute::Sensitive(true)]).unwrap();
    assert!(shown(open).is_empty());
    let refused = session.update_attributes(open, &[Attribute::Sensitive(false)]);
    assert_eq!(rv(refused), RvError::AttributeReadOnly);
}

#[test]
fn an_estonian_card_signs_as_before_after_it_agreed_on_a_secret() {
    let bench = Bench::with(ProfileName::Esteid);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let handle = key(&session, ESTONIAN);
    let digest = Sha384::digest("text");
    for _ in 0..2 {
        let Agreed { point, secret } = peer(&session, ESTONIAN);
        assert_eq!(value(&session, derive(&session, handle, &point, &[]).unwrap()), secret);
        let signature = session.sign(&Mechanism::Ecdsa, handle, &digest).unwrap();
        let certificate = certificate(&session, ESTONIAN);
        assert!(openssl_accepts(&certificate, &Check::Ecdsa, &digest, &signature));
    }
    bench.reader.reset();
    let Agreed { point, .. } = peer(&session, ESTONIAN);
    assert_eq!(rv(derive(&session, handle, &point, &[])), RvError::UserNotLoggedIn);
}

#[test]
fn what_is_no_point_of_the_other_side_does_not_reach_the_card() {
    let bench = Bench::with(ProfileName::PivRsa);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let handle = key(&session, P256);
    let Agreed { point, .. } = peer(&session, P256);
    let mut off_curve = point.clone();
    off_curve[64] ^= 1;
    let compressed = [&[2 + (point[64] & 1)], &point[1..33]].concat();
    let hybrid = [&[6 + (point[64] & 1)], &point[1..]].concat();
    for wrong in [
        off_curve.as_slice(),
        &compressed,
        &hybrid,
        &point[..64],
        &[&point[..], &[0]].concat(),
        &[0],
        &[],
        &[0; 65],
        &[0xFF; 65],
    ] {
        let (refused, commands) = bench.cost(|| derive(&session, handle, wrong, &[]));
        assert_eq!((rv(refused), commands), (RvError::PublicKeyInvalid, 0), "{}", hex::encode(wrong));
    }
    let (_, commands) = bench.cost(|| derive(&session, handle, &point, &[]).unwrap());
    assert_eq!(commands, 1, "nothing was lost by that");
}

#[test]
fn what_cannot_be_derived_is_refused_without_the_card() {
    let bench = Bench::with(ProfileName::PivP384);
    let session = bench.session(bench.esign());
    login(&session, UserType::User, PIN_CH).unwrap();
    let Agreed { point, .. } = peer(&session, P384);
    let (agrees, signs) = (key(&session, P384), key(&session, "C.PIV.AUT.P384"));
    let public = object(&session, ObjectClass::PUBLIC_KEY, P384);
    let plain = |key| derive(&session, key, &point, &[]);
    let ((), commands) = bench.cost(|| {
        assert_eq!(rv(plain(signs)), RvError::KeyFunctionNotPermitted);
        assert_eq!(rv(plain(public)), RvError::KeyFunctionNotPermitted);
        let hashed = Ecdh1DeriveParams::new(EcKdf::sha256(&[]), &point);
        let refused = session.derive_key(&Mechanism::Ecdh1Derive(hashed), agrees, &[SECRET]);
        assert_eq!(rv(refused), RvError::MechanismParamInvalid);
        assert_eq!(rv(session.derive_key(&Mechanism::Ecdsa, agrees, &[SECRET])), RvError::MechanismInvalid);
        for (attribute, expected) in [
            (Attribute::Class(ObjectClass::PUBLIC_KEY), RvError::TemplateInconsistent),
            (Attribute::ValueLen(49.into()), RvError::AttributeValueInvalid),
            (Attribute::ValueLen(0.into()), RvError::AttributeValueInvalid),
            (Attribute::Token(true), RvError::SessionReadOnly),
            (Attribute::Value(vec![1]), RvError::TemplateInconsistent),
            (Attribute::Modulus(vec![1]), RvError::AttributeTypeInvalid),
        ] {
            let what = format!("{attribute:?}");
            assert_eq!(rv(derive(&session, agrees, &point, &[attribute])), expected, "{what}");
        }
        let parameter = Ecdh1DeriveParams::new(EcKdf::null(), &point);
        let refused = session.derive_key(&Mechanism::Ecdh1Derive(parameter), agrees, &[]);
        assert_eq!(rv(refused), RvError::TemplateIncomplete);
    });
    assert_eq!(commands, 0);
    session.logout().unwrap();
    assert_eq!(
        rv(plain(agrees)),
        RvError::KeyHandleInvalid,
        "handles of private objects end with the logout"
    );
}

#[test]
fn a_card_whose_keys_agree_on_nothing_does_not_offer_it() {
    for profile in [ProfileName::HbaG21, ProfileName::Beid18, ProfileName::Piv] {
        let bench = Bench::with(profile);
        let offered = bench.module.get_mechanism_list(bench.esign()).unwrap();
        assert!(!offered.contains(&MechanismType::ECDH1_DERIVE), "{profile}");
        let session = bench.logged_in(bench.esign(), PIN_CH);
        let any = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap()[0];
        assert_eq!(rv(derive(&session, any, &[4; 65], &[])), RvError::MechanismInvalid, "{profile}");
    }
}

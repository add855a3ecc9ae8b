//! Tokens of clinicians on a soft token: who gets one, what it grants, and whose card it lets be used.

use std::{fs, process::Output, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use proto::v1;
use serde_json::Value;

use crate::support::{Desk, Key, NO_CARD, P384, PIN, json};

const ALWAYS: &str =
    "[clinicians]\ntoken_required = \"always\"\ntoken_seconds = 600\n[comfort]\nenabled = true\n";

/// An authentication or signature key with admission (1.3.36.8.3.3): profession and Telematik-ID.
macro_rules! key {
    ($usage:literal, $label:literal, $profession:literal, $telematik:literal) => {
        Key {
            kind: P384,
            usage: concat!(
                $usage,
                "\n1.3.36.8.3.3=DER:30223020301e301c301a30060c0441727a74300906072a8214004c04",
                $profession,
                "1305",
                $telematik
            ),
            label: $label,
        }
    };
}

/// Physician 1-T-1.
pub(crate) const ADA_SIGNS: Key = key!("nonRepudiation", "C.HP.QES.E384", "1e", "312d542d31");
pub(crate) const ADA: Key = key!("digitalSignature", "C.HP.AUT.E384", "1e", "312d542d31");
/// Physician 2-T-2.
pub(crate) const BOB: Key = key!("digitalSignature", "C.HP.AUT.E384", "1e", "322d542d32");
/// Physician 3-T-3.
pub(crate) const EVE: Key = key!("digitalSignature", "C.HP.AUT.E384", "1e", "332d542d33");
/// Pharmacist 4-T-4.
pub(crate) const CARL: Key = key!("digitalSignature", "C.HP.AUT.E384", "20", "342d542d34");
/// Pharmacist 1-T-1: another profession of the same person.
const PHARMACIST: Key = key!("digitalSignature", "C.HP.AUT.E384", "20", "312d542d31");

fn authenticate(desk: &Desk, scopes: &[&str], more: &[&str]) -> Output {
    let mut command = desk.client_command(&["authenticate", "--json", "--audience", "clinic"]);
    for scope in scopes {
        command.args(["--scope", scope]);
    }
    command.arg("--token-file").arg(desk.path("token")).args(more);
    command.args(["--pin-env", "TEST_PIN"]).env("TEST_PIN", PIN).output().unwrap()
}

/// Signs with the token in this file; the reason of the refusal, or nothing.
fn sign(desk: &Desk, token: Option<&str>) -> String {
    let mut command = desk.client_command(&["sign", "--json", "--pin-env", "TEST_PIN"]);
    command.arg(desk.path("prescription.xml")).arg("--out").arg(desk.path("out.p7s")).args(NO_CARD);
    if let Some(file) = token {
        command.arg("--token").arg(desk.path(file));
    }
    let output = command.env("TEST_PIN", PIN).output().unwrap();
    json(&output)["error"]["reason"].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// DER of ECDSA-Sig-Value, for OpenSSL.
fn der(raw: &[u8]) -> Vec<u8> {
    let number = |half: &[u8]| {
        let start = half.iter().position(|byte| *byte != 0).unwrap();
        let sign = if half[start] & 0x80 == 0 { &[][..] } else { &[0] };
        let body = [sign, &half[start..]].concat();
        [&[2, u8::try_from(body.len()).unwrap()], &body[..]].concat()
    };
    let body = [number(&raw[..48]), number(&raw[48..])].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}

#[tokio::test]
async fn a_token_names_the_clinician_and_openssl_verifies_it_with_the_published_key() {
    let desk = Desk::configured(&[ADA_SIGNS, ADA], ALWAYS);
    let consent = ["--consent", "patient/Observation.r"];
    let asked = ["prescription.sign", "patient/Observation.read", "patient/Device.cruds", "launch"];
    let said = json(&authenticate(&desk, &asked, &consent));
    assert_eq!(
        said["granted_scopes"],
        serde_json::json!(["prescription.sign", "patient/Observation.r"]),
        "{said}"
    );
    let refused: Vec<String> = said["refused_scopes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refused| {
            format!("{} {}", refused["scope"].as_str().unwrap(), refused["refused_by"].as_str().unwrap())
        })
        .collect();
    let expected = [
        "patient/Observation.s consent",
        "patient/Device.d profession",
        "patient/Device.crus consent",
        "launch syntax",
    ];
    assert_eq!(refused, expected);

    let token = fs::read_to_string(desk.path("token")).unwrap();
    let claims = claims(&token);
    assert_eq!(claims["idNummer"], "1-T-1");
    assert_eq!(claims["professionOID"], "1.2.276.0.76.4.30");
    assert_eq!(claims["certificate_serial"], said["certificate"]["serial"]);
    assert_eq!(
        (&claims["aud"], &claims["scope"]),
        (&"clinic".into(), &"prescription.sign patient/Observation.r".into())
    );
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);

    // The published key is the one in the file, and the signature is by it.
    let keys = desk.grpc().await.get_token_keys(v1::GetTokenKeysRequest {}).await.unwrap().into_inner();
    let key = serde_json::from_str::<Value>(&keys.jwks_json).unwrap()["keys"][0].clone();
    let coordinate = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [coordinate("x"), coordinate("y")].concat();
    let spki = hex::decode("3076301006072a8648ce3d020106052b8104002203620004").unwrap();
    fs::write(desk.path("key.der"), [spki, point].concat()).unwrap();
    desk.tool("openssl", &["pkey", "-pubin", "-inform", "DER", "-in", "key.der", "-out", "published.pub"]);
    assert_eq!(fs::read(desk.path("published.pub")).unwrap(), fs::read(desk.path("tokens.pub")).unwrap());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    fs::write(desk.path("signed"), signed).unwrap();
    fs::write(desk.path("signature"), der(&BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap())).unwrap();
    desk.tool(
        "openssl",
        &["dgst", "-sha384", "-verify", "published.pub", "-signature", "signature", "signed"],
    );
    assert!(!desk.log().contains(&token));
    assert_eq!(desk.cards_in_records().await, (1, 0));
}

#[tokio::test]
async fn signing_needs_a_token_of_the_same_person() {
    let desk = Desk::configured(&[ADA_SIGNS, ADA], ALWAYS);
    assert_eq!(sign(&desk, None), "TOKEN_REQUIRED");
    let activate = v1::ActivateComfortSignatureRequest {
        pin: Some(v1::Pin { value: PIN.into(), last_try: false }),
        user_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let refused = desk.grpc().await.activate_comfort_signature(activate).await.unwrap_err();
    assert_eq!(crate::support::refusal(&refused).0, "TOKEN_REQUIRED");
    let mut batch =
        desk.client_command(&["sign-batch", "--json", "--no-card", "none", "--pin-env", "TEST_PIN"]);
    batch.arg(desk.path("prescription.xml")).arg("--out").arg(desk.path("out"));
    assert_eq!(json(&batch.output().unwrap())["error"]["reason"], "TOKEN_REQUIRED");
    assert!(authenticate(&desk, &["prescription.sign"], &[]).status.success());
    assert_eq!(sign(&desk, Some("token")), "");
    batch.arg("--token").arg(desk.path("token")).env("TEST_PIN", PIN);
    assert_eq!(json(&batch.output().unwrap())["signed"], 1);

    let token = fs::read_to_string(desk.path("token")).unwrap();
    let (head, tail) = token.split_at(token.len() / 2);
    fs::write(desk.path("changed"), format!("{head}x{tail}")).unwrap();
    assert_eq!(sign(&desk, Some("changed")), "TOKEN_NOT_VALID");
    // What it does not grant it does not allow.
    assert!(authenticate(&desk, &["patient/Observation.read"], &[]).status.success());
    assert_eq!(sign(&desk, Some("token")), "SCOPE_MISSING");

    let other = Desk::configured(&[ADA_SIGNS, BOB], ALWAYS);
    assert!(authenticate(&other, &["prescription.sign"], &[]).status.success());
    assert_eq!(sign(&other, Some("token")), "OTHER_PERSON");
    fs::copy(other.path("token"), desk.path("foreign")).unwrap();
    assert_eq!(sign(&desk, Some("foreign")), "TOKEN_NOT_VALID");
    let pharmacist = Desk::configured(&[ADA_SIGNS, PHARMACIST], ALWAYS);
    assert!(authenticate(&pharmacist, &["prescription.sign"], &[]).status.success());
    assert_eq!(sign(&pharmacist, Some("token")), "SCOPE_MISSING");
}

#[test]
fn a_token_ends_with_its_time_and_with_the_service() {
    let mut desk = Desk::configured(&[ADA_SIGNS, ADA], &ALWAYS.replace("600", "2"));
    assert!(authenticate(&desk, &["prescription.sign"], &[]).status.success());
    while sign(&desk, Some("token")).is_empty() {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(sign(&desk, Some("token")), "TOKEN_NOT_VALID");
    let config = fs::read_to_string(desk.path("config.toml")).unwrap();
    fs::write(desk.path("config.toml"), config.replace("token_seconds = 2", "token_seconds = 600")).unwrap();
    desk.kill_and_start();
    assert!(authenticate(&desk, &["prescription.sign"], &[]).status.success());
    assert_eq!(sign(&desk, Some("token")), "");
    desk.kill_and_start();
    assert_eq!(sign(&desk, Some("token")), "TOKEN_NOT_VALID");
}

#[test]
fn strangers_and_certificates_nobody_vouches_for_get_no_token() {
    let desk = Desk::configured(&[ADA_SIGNS, ADA], "[clinicians]\nrevocation = \"required\"\n");
    let refused = authenticate(&desk, &["prescription.sign"], &[]);
    assert_eq!(json(&refused)["error"]["reason"], "STATUS_UNKNOWN");
    let mut stranger = Desk::configured(&[ADA_SIGNS, ADA], ALWAYS);
    stranger.tool(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "other.key",
            "-subj",
            "/CN=X",
            "-out",
            "ca.pem",
        ],
    );
    stranger.kill_and_start();
    let refused = json(&authenticate(&stranger, &["prescription.sign"], &[]));
    assert_eq!(refused["error"]["reason"], "CLINICIAN_UNTRUSTED", "{refused}");
    assert!(!stranger.path("token").exists());
}

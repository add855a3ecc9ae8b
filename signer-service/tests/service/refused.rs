//! What comes to the TLS port and is worth nothing: tokens of other people, and requests that are none. Each is refused with
//! the status that gRPC has for it, no PIN is used, and neither status nor log shows what was in it.

use std::{fs, process::Command};

use bytes::Bytes;
use proto::v1::{
    self, sign_prescription_request::InsuranceCheck, signer_service_client::SignerServiceClient,
};
use tonic::{Code, Request, Status, transport::Channel};

use crate::{
    clinician::{ADA, ADA_SIGNS, BOB},
    network::{ALL, address, channel, client},
    random_requests::{SECRETS, call},
    support::{BOTH, Desk, Key, PIN, fixture, refusal},
    watching::http,
};

/// Clients may do everything, and clinicians need tokens.
fn with_tokens(more: &str) -> String {
    ALL.replace("token_required = 'never'", &format!("token_required = 'remote'\n{more}"))
}

/// A prescription signed with Ada's card, and with this in `authorization`.
async fn sign(channel: &Channel, authorization: &str) -> Result<(), Status> {
    let no_card = v1::NoInsuranceCard { reason: "the test has no card".into() };
    let mut request = Request::new(v1::SignPrescriptionRequest {
        prescription: fs::read(fixture("prescription.xml")).unwrap(),
        pin: Some(v1::Pin { value: PIN.into(), last_try: false }),
        card: Some(v1::CardSelector { token_label: "ada".into(), ..Default::default() }),
        insurance_check: Some(InsuranceCheck::NoCard(no_card)),
        ..Default::default()
    });
    request.metadata_mut().insert("authorization", authorization.parse().unwrap());
    SignerServiceClient::new(channel.clone()).sign_prescription(request).await.map(drop)
}

/// The token of whoever has this card.
fn token_of(desk: &Desk, card: &str) -> String {
    let mut command = client(desk, "ward", &["authenticate", "--json", "--scope", "prescription.sign"]);
    command.args(["--card", card, "--pin-env", "TEST_PIN", "--token-file"]).arg(desk.path("token"));
    let said = command.env("TEST_PIN", PIN).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    fs::read_to_string(desk.path("token")).unwrap().trim().to_owned()
}

#[tokio::test]
async fn tokens_of_others_forged_and_expired_ones_use_no_pin() {
    let people: [(&str, &[Key]); 2] = [("ada", &[ADA_SIGNS, ADA]), ("bob", &[BOB])];
    let desk = Desk::of_people_on_network(&people, &with_tokens(""));
    let channel = channel(&desk, "ward").await;
    let (ada, bob) = (token_of(&desk, "ada"), token_of(&desk, "bob"));
    let pins = || {
        let text = http(&desk, "GET /metrics");
        let mut lines: Vec<String> =
            text.lines().filter(|line| line.contains("operation=\"PIN\"")).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let before = pins();
    assert_eq!(before.len(), 2, "one for each card: {before:?}");
    // The claims of one and the signature of the other; and no signature at all (RFC 8725 clause 2.1).
    let part = |token: &str, at: usize| token.split('.').nth(at).unwrap().to_owned();
    let mixed = format!("{}.{}.{}", part(&ada, 0), part(&ada, 1), part(&bob, 2));
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{}.", part(&ada, 1));
    let cases = [
        (format!("Bearer {bob}"), Code::PermissionDenied, "OTHER_PERSON"),
        (format!("Bearer {mixed}"), Code::Unauthenticated, "TOKEN_NOT_VALID"),
        (format!("Bearer {unsigned}"), Code::Unauthenticated, "TOKEN_NOT_VALID"),
        ("Bearer ".to_owned(), Code::Unauthenticated, "TOKEN_NOT_VALID"),
        (format!("Basic {ada}"), Code::Unauthenticated, "TOKEN_REQUIRED"),
    ];
    for (authorization, code, reason) in cases {
        let refused = sign(&channel, &authorization).await.unwrap_err();
        assert_eq!((refused.code(), refusal(&refused).0.as_str()), (code, reason), "{authorization}");
        let shown = format!("{refused:?}");
        assert!(![&ada, &bob, PIN, "1-T-1", "2-T-2"].iter().any(|secret| shown.contains(*secret)), "{shown}");
    }
    assert_eq!(pins(), before, "a PIN was used");
    sign(&channel, &format!("Bearer {ada}")).await.unwrap();
    let log = desk.log();
    assert!(![&ada, &bob, &mixed].iter().any(|token| log.contains(token.as_str())), "a token is in the log");
}

#[tokio::test]
async fn bytes_that_are_no_request_get_the_status_that_grpc_has_for_them() {
    let desk = Desk::on_network(&BOTH, ALL);
    let channel = channel(&desk, "ward").await;
    let signs = "/hpc.signer.v1.SignerService/SignPrescription";
    // Field 1, 100 bytes, of which a PIN's come; a number that never ends; a group that nobody opened.
    let cut = [&[0x0A, 100][..], PIN.as_bytes()].concat();
    for (bytes, method, code) in [
        (cut, signs, Code::Internal),
        (vec![0xFF; 40], signs, Code::Internal),
        (vec![0x0C], signs, Code::Internal),
        (Vec::new(), signs, Code::InvalidArgument),
        (Vec::new(), "/hpc.signer.v1.SignerService/SignEverything", Code::Unimplemented),
        (Vec::new(), "/hpc.signer.v2.SignerService/SignPrescription", Code::Unimplemented),
    ] {
        let refused = call(&channel, method, Bytes::from(bytes.clone())).await.unwrap_err();
        assert_eq!(refused.code(), code, "{method} {}: {refused:?}", hex::encode(bytes));
        assert!(!format!("{refused:?}").contains(PIN), "{refused:?}");
    }
    assert!(!desk.log().contains(PIN));
}

/// What curl is answered for these bytes as the body of SignPrescription: HTTP status and gRPC status.
fn post(desk: &Desk, body: &[u8], more: &[&str]) -> (String, String) {
    fs::write(desk.path("body"), body).unwrap();
    let tls = |name: &str| desk.path(&format!("pki/tls/{name}")).display().to_string();
    let port = address(desk).rsplit_once(':').unwrap().1.to_owned();
    let mut curl = Command::new("curl");
    curl.args(["-s", "-i", "--http2", "--max-time", "60", "--cacert", &tls("ca.pem")]);
    curl.args(["--cert", &tls("ward.pem"), "--key", &tls("ward.key"), "-H", "te: trailers"]);
    if !more.contains(&"-H") {
        curl.args(["-H", "content-type: application/grpc"]);
    }
    curl.arg("--data-binary").arg(format!("@{}", desk.path("body").display())).args(more);
    curl.arg(format!("https://localhost:{port}/hpc.signer.v1.SignerService/SignPrescription"));
    let said = String::from_utf8_lossy(&curl.output().unwrap().stdout).into_owned();
    assert!(!SECRETS.iter().any(|secret| said.contains(secret)), "{said}");
    let status = said.split(' ').nth(1).unwrap_or_else(|| panic!("no HTTP: {said:?}")).to_owned();
    let grpc = said.lines().find_map(|line| line.strip_prefix("grpc-status: ")).unwrap_or_default();
    (status, grpc.trim().to_owned())
}

#[test]
fn frames_that_lie_about_themselves_are_refused_and_the_next_request_is_not() {
    let desk = Desk::on_network(&BOTH, ALL);
    let frame =
        |flag: u8, length: u32, content: &[u8]| [&[flag][..], &length.to_be_bytes(), content].concat();
    let pin = PIN.as_bytes();
    let mut answers = Vec::new();
    for (name, body) in [
        ("an empty message", frame(0, 0, &[])),
        ("no frame", Vec::new()),
        ("half a header", vec![0, 0, 0]),
        ("less than it says", frame(0, 100, pin)),
        ("four gigabytes announced", frame(0, u32::MAX, pin)),
        ("compressed without saying how", frame(1, 8, pin)),
        ("an unknown flag", frame(2, 8, pin)),
    ] {
        let (http, grpc) = post(&desk, &body, &[]);
        assert_eq!(http, "200", "{name}");
        answers.push((name, grpc));
    }
    // INVALID_ARGUMENT 3, OUT_OF_RANGE 11, INTERNAL 13 (gRPC over HTTP/2, status codes).
    let expected = ["3", "13", "13", "13", "11", "13", "13"];
    let got: Vec<&str> = answers.iter().map(|(_, grpc)| grpc.as_str()).collect();
    assert_eq!(got, expected, "{answers:?}");
    let (http, grpc) = post(&desk, b"pin=40917263", &["-H", "content-type: text/plain"]);
    assert!(http == "415" || !["", "0"].contains(&grpc.as_str()), "{http} {grpc}");
    assert_eq!(post(&desk, &frame(0, 0, &[]), &[]).1, "3");
    assert!(!desk.log().contains(PIN));
    assert!(desk.sign("prescription.xml", PIN).status.success());
}

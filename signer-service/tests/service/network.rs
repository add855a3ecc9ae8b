//! Callers over the network: who gets a connection, what each may do, and what is read again while the service runs.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use proto::v1::{self, signer_service_client::SignerServiceClient};
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    clinician::{ADA, ADA_SIGNS},
    support::{BOTH, Desk, NO_CARD, PIN, fixture, json, refusal},
};

/// Everything for the certificate named "ward", by its subject, and nobody needs a token.
pub(crate) const ALL: &str = "[clients.ward]\ncertificates = ['subject:CN=ward']\ncalls = ['*']\ncards = ['*']\nreaders = ['*']\n\
                   [clinicians]\ntoken_required = 'never'\n";

/// Where the service listens for TLS.
pub(crate) fn address(desk: &Desk) -> String {
    let line = logged(desk, "TLS address=");
    line.rsplit_once("address=").unwrap().1.trim().to_owned()
}

/// Waits for a line of the log.
pub(crate) fn logged(desk: &Desk, text: &str) -> String {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let log = desk.log();
        if let Some(line) = log.lines().find(|line| line.contains(text)) {
            return line.to_owned();
        }
        assert!(Instant::now() < patience, "{text}: {log}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A client command that shows the certificate in these files of `pki/tls`.
pub(crate) fn client(desk: &Desk, name: &str, arguments: &[&str]) -> Command {
    let port = address(desk).rsplit_once(':').unwrap().1.to_owned();
    let file = |ending: &str| desk.path(&format!("pki/tls/{name}.{ending}"));
    let mut command = desk.client_command(arguments);
    command.env("HPC_SIGNER_ADDRESS", format!("https://localhost:{port}"));
    command.env("HPC_SIGNER_CA", desk.path("pki/tls/ca.pem"));
    if !name.is_empty() {
        command.env("HPC_SIGNER_CERT", file("pem")).env("HPC_SIGNER_KEY", file("key"));
    }
    command
}

pub(crate) fn sign(desk: &Desk, name: &str, further: &[&str]) -> Output {
    sign_with(desk, name, PIN, further)
}

pub(crate) fn sign_with(desk: &Desk, name: &str, pin: &str, further: &[&str]) -> Output {
    let mut sign = client(desk, name, &["sign", "--json", "--pin-env", "TEST_PIN"]);
    sign.arg(desk.path("prescription.xml"))
        .arg("--out")
        .arg(desk.path("out.p7s"))
        .args(NO_CARD)
        .args(further);
    sign.env("TEST_PIN", pin).output().unwrap()
}

/// What a command was refused for; empty if it was not.
pub(crate) fn reason(output: &Output) -> String {
    json(output)["error"]["reason"].as_str().unwrap_or_default().to_owned()
}

pub(crate) async fn channel(desk: &Desk, name: &str) -> Channel {
    let file = |ending: &str| fs::read(desk.path(&format!("pki/tls/{name}.{ending}"))).unwrap();
    let ca = fs::read(desk.path("pki/tls/ca.pem")).unwrap();
    let tls = ClientTlsConfig::new()
        .domain_name("localhost")
        .ca_certificate(Certificate::from_pem(ca))
        .identity(Identity::from_pem(file("pem"), file("key")));
    let endpoint = Endpoint::from_shared(format!("https://{}", address(desk))).unwrap();
    endpoint.tls_config(tls).unwrap().connect().await.unwrap()
}

/// A further certificate of the desk's own authority.
pub(crate) fn further_client(desk: &Desk, name: &str) {
    let mut command = desk.client_command(&["client-certificate", name, "--dir"]);
    assert!(command.arg(desk.path("pki/tls")).output().unwrap().status.success());
}

/// Makes `NAME.pem` with OpenSSL, signed by an authority in these files.
pub(crate) fn openssl_client(desk: &Desk, name: &str, ca: &str, days: &str, usage: &str) {
    fs::write(desk.path("usage"), format!("extendedKeyUsage={usage}\n")).unwrap();
    let file = |ending: &str| format!("pki/tls/{name}.{ending}");
    let words = |line: String| drop(desk.tool("openssl", &line.split(' ').collect::<Vec<_>>()));
    words(format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {}", file("key")));
    words(format!("req -new -key {} -subj /CN=ward -out {}", file("key"), file("csr")));
    words(format!(
        "x509 -req -in {} -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days {days} -extfile usage -out {}",
        file("csr"),
        file("pem")
    ));
}

/// What `openssl s_client` says of a connection with these options, after an HTTP/2 preface.
fn s_client(desk: &Desk, options: &[&str]) -> (bool, String) {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address(desk), "-alpn", "h2", "-CAfile"]);
    command.arg(desk.path("pki/tls/ca.pem")).args(["-verify_return_error", "-ign_eof"]).args(options);
    command.current_dir(desk.path("pki/tls"));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Preface, empty SETTINGS, then GOAWAY: an HTTP/2 server answers SETTINGS and ends (RFC 9113).
    let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    preface.extend(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let _ = child.stdin.take().unwrap().write_all(&preface);
    let output = child.wait_with_output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

#[test]
fn a_clinician_signs_over_the_network_with_certificate_and_token() {
    let clients = ALL.replace("[clinicians]\ntoken_required = 'never'\n", "");
    let desk = Desk::on_network(&[ADA_SIGNS, ADA], &clients);
    assert_eq!(reason(&sign(&desk, "ward", &[])), "TOKEN_REQUIRED");
    let mut authenticate = client(&desk, "ward", &["authenticate", "--json", "--scope", "prescription.sign"]);
    authenticate.arg("--token-file").arg(desk.path("token")).args(["--pin-env", "TEST_PIN"]);
    let proved = authenticate.env("TEST_PIN", PIN).output().unwrap();
    assert!(proved.status.success(), "{}", String::from_utf8_lossy(&proved.stderr));
    let token = desk.path("token").display().to_string();
    let signed = sign(&desk, "ward", &["--token", &token]);
    assert_eq!(reason(&signed), "", "{}", String::from_utf8_lossy(&signed.stderr));
    assert_eq!(desk.openssl_content(&[]), fs::read(desk.path("prescription.xml")).unwrap());
    assert!(desk.log().contains("client=\"ward\""), "the log does not name the client");
}

#[test]
fn without_the_right_certificate_there_is_no_connection() {
    let desk = Desk::on_network(&BOTH, ALL);
    let ca = desk.path("pki/tls/ca").display().to_string();
    let words = |line: &str| drop(desk.tool("openssl", &line.split(' ').collect::<Vec<_>>()));
    words(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -subj /CN=Other -out other.pem",
    );
    openssl_client(&desk, "foreign", "other", "9", "clientAuth");
    openssl_client(&desk, "expired", &ca, "0", "clientAuth");
    openssl_client(&desk, "purpose", &ca, "9", "serverAuth");
    // Another key than the certificate's.
    fs::copy(desk.path("pki/tls/ward.pem"), desk.path("pki/tls/stolen.pem")).unwrap();
    fs::copy(desk.path("pki/tls/foreign.key"), desk.path("pki/tls/stolen.key")).unwrap();
    std::thread::sleep(Duration::from_secs(1)); // the one that lasts no day is over in the next second
    for name in ["", "foreign", "expired", "purpose", "stolen"] {
        let output = sign(&desk, name, &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(6), "{name}: {said}");
    }
    for (options, alert) in [
        (&[][..], "certificate required"),
        (&["-cert", "foreign.pem", "-key", "foreign.key"], "unknown ca"),
        (&["-cert", "expired.pem", "-key", "expired.key"], "certificate expired"),
        (&["-cert", "ward.pem", "-key", "ward.key", "-tls1_2"], "protocol version"),
        (&["-cert", "ward.pem", "-key", "ward.key", "-alpn", "http/1.1"], "no application protocol"),
    ] {
        let (connected, said) = s_client(&desk, options);
        assert!(!connected && said.contains(alert), "{options:?}: {said}");
    }
    let (connected, said) = s_client(&desk, &["-cert", "ward.pem", "-key", "ward.key"]);
    assert!(connected && said.contains("TLSv1.3") && said.contains("Verify return code: 0"), "{said}");
    assert_eq!(reason(&sign(&desk, "ward", &[])), "");
}

#[test]
fn older_tls_is_spoken_where_it_is_configured() {
    let desk = Desk::on_network(&BOTH, ALL);
    let config = fs::read_to_string(desk.path("config.toml")).unwrap();
    fs::write(desk.path("config.toml"), config.replace("[tls]\n", "[tls]\noldest = '1.2'\n")).unwrap();
    let mut desk = desk;
    desk.kill_and_start();
    let (connected, said) = s_client(&desk, &["-cert", "ward.pem", "-key", "ward.key", "-tls1_2"]);
    assert!(connected && said.contains("TLSv1.2"), "{said}");
    let (connected, said) = s_client(&desk, &["-tls1_2"]);
    assert!(!connected, "{said}");
    let (connected, said) = s_client(&desk, &["-cert", "ward.pem", "-key", "ward.key", "-tls1_1"]);
    assert!(!connected, "{said}");
}

#[tokio::test]
async fn plaintext_is_not_answered_on_the_secure_port() {
    let desk = Desk::on_network(&BOTH, ALL);
    let plain = Endpoint::from_shared(format!("http://{}", address(&desk))).unwrap().connect_lazy();
    assert!(SignerServiceClient::new(plain).list_cards(v1::ListCardsRequest {}).await.is_err());
    logged(&desk, "no connection");
}

#[tokio::test]
async fn a_certificate_that_is_not_configured_is_refused_every_call() {
    let desk = Desk::on_network(&BOTH, ALL);
    further_client(&desk, "stranger");
    let channel = channel(&desk, "stranger").await;
    let mut signer = SignerServiceClient::new(channel.clone());
    let refused = signer.list_cards(v1::ListCardsRequest {}).await.unwrap_err();
    assert_eq!((refused.code(), refusal(&refused).0.as_str()), (Code::PermissionDenied, "CLIENT_UNKNOWN"));
    let begin = v1::BatchRequest { step: None };
    let refused = match signer.sign_batch(tokio_stream::once(begin)).await {
        Err(refused) => refused,
        Ok(answers) => answers.into_inner().message().await.unwrap_err(),
    };
    assert_eq!(refusal(&refused).0, "CLIENT_UNKNOWN");
    let refused = HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_client_makes_its_calls_with_its_cards_and_no_others() {
    let clients = "[clients.ward]\ncertificates = ['subject:CN=ward']\ncalls = ['ListCards', 'SignPrescription']\n\
                   cards = ['label:another card']\n[clinicians]\ntoken_required = 'never'\n";
    let desk = Desk::on_network(&BOTH, clients);
    let mut signer = SignerServiceClient::new(channel(&desk, "ward").await);
    let seen = signer.list_cards(v1::ListCardsRequest {}).await.unwrap().into_inner();
    assert!(seen.tokens.is_empty() && seen.insurance_readers.is_empty());
    assert_eq!(reason(&sign(&desk, "ward", &[])), "NO_CARD");
    assert_eq!(reason(&sign(&desk, "ward", &["--card", "card"])), "CARD_NOT_FOUND");
    let refused = signer.verify_signature(v1::VerifySignatureRequest::default()).await.unwrap_err();
    let (reason, metadata) = refusal(&refused);
    assert_eq!((refused.code(), reason.as_str()), (Code::PermissionDenied, "CALL_NOT_ALLOWED"));
    assert_eq!(metadata["call"], "VerifySignature");
    // Whoever may open the socket is not bound by this.
    assert!(desk.sign("prescription.xml", PIN).status.success());
}

#[test]
fn clients_do_not_share_idempotency_keys() {
    let both =
        format!("{ALL}[clients.other]\ncertificates = ['subject:CN=other']\ncalls = ['*']\ncards = ['*']\n");
    let desk = Desk::on_network(&BOTH, &both);
    further_client(&desk, "other");
    let signed = |name| json(&sign(&desk, name, &["--idempotency-key", "document-1"]));
    let (first, again, other) = (signed("ward"), signed("ward"), signed("other"));
    assert_eq!(
        (&first["replayed"], &again["replayed"], &other["replayed"]),
        (&false.into(), &true.into(), &false.into())
    );
}

#[tokio::test]
async fn permissions_and_certificates_are_read_again_while_connections_stand() {
    let mut desk = Desk::on_network(&BOTH, ALL);
    let mut standing = SignerServiceClient::new(channel(&desk, "ward").await);
    standing.list_cards(v1::ListCardsRequest {}).await.unwrap();
    let shown = |desk: &Desk| {
        let (_, said) = s_client(desk, &["-cert", "ward.pem", "-key", "ward.key", "-showcerts"]);
        said.split_once("-----BEGIN").unwrap().1.split_once("-----END").unwrap().0.to_owned()
    };
    let before = shown(&desk);
    let mut renew = desk.client_command(&["server-certificate", "--server-name", "localhost", "--dir"]);
    assert!(renew.arg(desk.path("pki/tls")).output().unwrap().status.success());
    let config = fs::read_to_string(desk.path("config.toml")).unwrap();
    let fewer = config.replace("calls = ['*']", "calls = ['VerifySignature']");
    fs::write(desk.path("config.toml"), &fewer).unwrap();
    hang_up(&mut desk, "permissions were read again");
    assert_ne!(shown(&desk), before);
    let refused = standing.list_cards(v1::ListCardsRequest {}).await.unwrap_err();
    assert_eq!(refusal(&refused).0, "CALL_NOT_ALLOWED");
    // What cannot be used changes nothing.
    fs::write(desk.path("config.toml"), "nonsense").unwrap();
    fs::write(desk.path("pki/tls/server.pem"), "nonsense").unwrap();
    hang_up(&mut desk, "permissions stay as they were");
    assert!(desk.log().contains("certificates stay as they were"));
    let mut after = SignerServiceClient::new(channel(&desk, "ward").await);
    let refused = after.list_cards(v1::ListCardsRequest {}).await.unwrap_err();
    assert_eq!(refusal(&refused).0, "CALL_NOT_ALLOWED");
}

/// SIGHUP, and patience until the log says so.
pub(crate) fn hang_up(desk: &mut Desk, expected: &str) {
    let id = desk.service().id().to_string();
    desk.tool("kill", &["-HUP", &id]);
    logged(desk, expected);
}

#[tokio::test]
async fn too_much_is_refused_and_the_connection_goes_on() {
    let desk = Desk::on_network(&BOTH, ALL);
    let mut signer = SignerServiceClient::new(channel(&desk, "ward").await);
    let check = |prescription| v1::CheckPrescriptionRequest { prescription, card: None };
    let refused = signer.check_prescription(check(vec![b' '; 2 << 20])).await.unwrap_err();
    assert_eq!((refused.code(), refusal(&refused).0.as_str()), (Code::ResourceExhausted, "TOO_LARGE"));
    let refused = signer.check_prescription(check(vec![b' '; 40 << 20])).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
    let mut loaded = tonic::Request::new(v1::ListCardsRequest {});
    loaded.metadata_mut().insert("authorization", "x".repeat(60_000).parse().unwrap());
    assert!(signer.list_cards(loaded).await.is_err());
    let text = fs::read(fixture("prescription.xml")).unwrap();
    assert!(signer.check_prescription(check(text)).await.unwrap().into_inner().signable);
}

#[test]
fn another_grpc_library_learns_the_contract_by_reflection_and_calls_it() {
    let desk =
        Desk::on_network(&BOTH, &ALL.replace("calls = ['*']", "calls = ['CheckPrescription', 'Reflection']"));
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("test-python/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python/grpc_over_tls.py");
    let files = ["ca.pem", "ward.pem", "ward.key"].map(|name| desk.path(&format!("pki/tls/{name}")));
    let mut command = Command::new(&python);
    command.arg(script).arg(address(&desk)).args(files).arg(desk.path("prescription.xml"));
    let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    let said = json(&output);
    for version in ["v1", "v1alpha"] {
        let services = said[version].as_array().unwrap();
        assert!(services.contains(&"hpc.signer.v1.SignerService".into()), "{said}");
    }
    assert_eq!((&said["signable"], &said["rules"][0]), (&true.into(), &"AUTHORED_ON".into()));
    assert_eq!(said["empty"]["code"], "INVALID_ARGUMENT");
    assert_eq!(said["empty"]["id"].as_str().unwrap().len(), 36);
    assert_eq!(said["denied"]["code"], "PERMISSION_DENIED");
}

#[test]
fn tokens_that_are_worth_nothing_are_refused_over_the_network() {
    let clients = ALL.replace("token_required = 'never'", "token_seconds = 1");
    let [desk, other] = [(); 2].map(|()| Desk::on_network(&[ADA_SIGNS, ADA], &clients));
    let token_of = |desk: &Desk| {
        let mut command = client(desk, "ward", &["authenticate", "--json", "--scope", "prescription.sign"]);
        command.arg("--token-file").arg(desk.path("token")).args(["--pin-env", "TEST_PIN"]);
        assert!(command.env("TEST_PIN", PIN).output().unwrap().status.success());
        desk.path("token").display().to_string()
    };
    let refused = |token: &str| json(&sign(&desk, "ward", &["--token", token]))["error"].clone();
    let foreign = refused(&token_of(&other));
    assert_eq!(
        (&foreign["reason"], &foreign["metadata"]["why"]),
        (&"TOKEN_NOT_VALID".into(), &"foreign".into())
    );
    let token = token_of(&desk);
    std::thread::sleep(Duration::from_secs(2));
    let expired = refused(&token);
    assert_eq!(
        (&expired["reason"], &expired["metadata"]["why"]),
        (&"TOKEN_NOT_VALID".into(), &"expired".into())
    );
    for (desk, token) in [(&desk, &token), (&other, &other.path("token").display().to_string())] {
        assert!(!desk.log().contains(fs::read_to_string(token).unwrap().trim()), "a token is in the log");
    }
}

#[test]
fn check_looks_at_certificates_and_permissions_too() {
    let desk = Desk::on_network(&BOTH, ALL);
    let good = desk.serve_command(&["--check"]).output().unwrap();
    let said = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success() && said.contains("tls: 127.0.0.1:0, clients: 1"), "{said}");
    assert!(said.contains("\ncertificate: until 20"), "{said}");
    fs::write(desk.path("pki/tls/ca.pem"), "no certificate").unwrap();
    let bad = desk.serve_command(&["--check"]).output().unwrap();
    let said = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(!bad.status.success() && said.contains("tls.client_ca") && said.contains("ca.pem"), "{said}");
}

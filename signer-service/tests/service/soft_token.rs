//! The built service on a soft token: signatures judged by OpenSSL, refusals by their reason.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::support::{BOTH, Desk, Key, MODULE, NO_CARD, P384, PIN, RSA, fixture, json};
use proto::v1;
use sqlx::{ConnectOptions, Connection, Row, sqlite::SqliteConnectOptions};

#[test]
fn a_prescription_signed_with_p384_verifies_with_openssl() {
    let desk = Desk::with(&BOTH);
    let output = desk.sign("prescription.xml", PIN);
    let said = json(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(said["algorithm"], "ecdsa-with-SHA384");
    assert_eq!(said["audit_sequence"], 1);
    let findings = said["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| finding["rule"] == "AUTHORED_ON"), "{findings:?}");
    assert_eq!(findings.len(), 1, "a rule that is off is told");
    assert_eq!(desk.openssl_content(&["-cades"]), fs::read(fixture("prescription.xml")).unwrap());
}

#[test]
fn a_prescription_signed_with_rsa_pss_verifies_with_openssl() {
    let desk = Desk::with(&[Key { kind: RSA, usage: "nonRepudiation", label: "C.HP.QES.R2048" }]);
    let output = desk.sign("prescription.xml", PIN);
    assert!(output.status.success(), "{}", json(&output));
    assert_eq!(json(&output)["algorithm"], "RSASSA-PSS-SHA256");
    assert_eq!(desk.openssl_content(&["-cades"]), fs::read(fixture("prescription.xml")).unwrap());
}

#[tokio::test]
async fn a_signature_that_does_not_fit_the_certificate_is_thrown_away_and_recorded() {
    let mut desk = Desk::with(&BOTH);
    desk.stop();
    // The card holds a certificate of the right authority over another key.
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<String>>();
    let tool = |program: &str, line: &str| {
        let words = words(line);
        desk.tool(program, &words.iter().map(String::as_str).collect::<Vec<&str>>())
    };
    tool("openssl", &format!("genpkey {P384} -out other.pem"));
    tool("openssl", "req -new -key other.pem -subj /CN=Holder -out other.csr");
    fs::write(desk.path("extensions"), "keyUsage=critical,nonRepudiation\n").unwrap();
    tool(
        "openssl",
        "x509 -req -in other.csr -CA ca.pem -CAkey ca.key -days 30 -extfile extensions -outform DER -out other.der",
    );
    let token = format!("--module {MODULE} --token-label card --login --pin {PIN}");
    tool("pkcs11-tool", &format!("{token} --delete-object --type cert --id 01"));
    tool(
        "pkcs11-tool",
        &format!("{token} --write-object other.der --type cert --id 01 --label C.HP.QES.E384"),
    );
    desk.kill_and_start();
    let output = desk.sign_with_key("prescription.xml", PIN, "order-1");
    assert_eq!(json(&output)["error"]["reason"], "SELF_CHECK_FAILED");
    assert!(!desk.path("out.p7s").exists());
    let records = desk.records().await;
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].0.as_str(), records[0].1.as_str()), ("SignPrescription", "SELF_CHECK_FAILED"));
}

#[tokio::test]
async fn what_a_check_finds_refuses_the_signature_before_the_pin() {
    let desk = Desk::with(&BOTH);
    let mut client = desk.grpc().await;
    let text = fs::read_to_string(fixture("whole-prescription.xml")).unwrap();
    let check = |text: &str| v1::CheckPrescriptionRequest {
        prescription: text.as_bytes().to_vec(),
        card: Some(v1::CardSelector::default()),
    };
    let answer = client.check_prescription(check(&text)).await.unwrap().into_inner();
    assert!(answer.signable, "{answer:?}");
    for (from, to, rule, place) in [
        ("X110400001", "X110400006", "KVNR_CHECK_DIGIT", "/resource/Patient/identifier/value"),
        (
            "160.100.000.000.006.24",
            "160.100.000.000.007.22",
            "PRESCRIPTION_ID_CHECK_DIGITS",
            "Bundle/identifier/value",
        ),
        ("160.100.000.000.006.24", "200.100.000.000.006.38", "FLOW_TYPE_PAYER", "Bundle/identifier/value"),
        ("</Patient>", "</Patience>", "MALFORMED", "byte "),
    ] {
        assert!(text.contains(from), "{from}");
        let broken = text.replace(from, to);
        let answer = client.check_prescription(check(&broken)).await.unwrap().into_inner();
        let finding = answer.findings.iter().find(|finding| finding.rule == rule);
        let finding = finding.unwrap_or_else(|| panic!("{rule}: {answer:?}"));
        assert!(
            !answer.signable && finding.severity() == v1::Severity::Error && finding.place.contains(place),
            "{finding:?}"
        );
        fs::write(desk.path("broken.xml"), broken).unwrap();
        let refused = json(&desk.sign("broken.xml", "99999999"));
        let reason = if rule == "MALFORMED" { "MALFORMED_PRESCRIPTION" } else { "RULES_BROKEN" };
        assert_eq!(refused["error"]["reason"], reason, "the PIN was looked at first: {refused}");
    }
}

#[test]
fn refusals_have_reasons_and_exit_codes() {
    let desk = Desk::configured(&BOTH, "[limits]\nprescription_bytes = 4096\n");
    let text = fs::read_to_string(fixture("prescription.xml")).unwrap();
    let cases = [
        (text.clone(), "99999999", "PIN_WRONG", 4),
        (text.clone(), "1", "PIN_FORMAT", 4),
        (text.clone(), "", "PIN_REQUIRED", 4),
        (text.replace("X110400001", "X110400002"), PIN, "RULES_BROKEN", 3),
        (text[..200].to_owned(), PIN, "MALFORMED_PRESCRIPTION", 3),
        (format!("<!DOCTYPE a>{text}"), PIN, "MALFORMED_PRESCRIPTION", 3),
        (text.replace("document", "batch"), PIN, "NOT_A_PRESCRIPTION", 3),
        (text.replace("<!--patient-->", &" ".repeat(4096)), PIN, "TOO_LARGE", 3),
        (String::new(), PIN, "BAD_REQUEST", 3),
    ];
    for (content, pin, reason, exit) in cases {
        fs::write(desk.path("case.xml"), content).unwrap();
        let output = desk.sign("case.xml", pin);
        assert_eq!(json(&output)["error"]["reason"], reason);
        assert_eq!(output.status.code(), Some(exit), "{reason}");
        assert!(!desk.path("out.p7s").exists(), "{reason}");
    }
    assert!(desk.sign("prescription.xml", PIN).status.success(), "a refusal left something behind");
}

#[test]
fn an_insurance_card_without_a_reader_is_told() {
    let desk = Desk::with(&BOTH);
    let mut sign =
        desk.client_command(&["sign", "--egk", "--json", "--pin-env", "TEST_PIN", "--out", "/nowhere"]);
    let output = sign.arg(desk.path("prescription.xml")).env("TEST_PIN", PIN).output().unwrap();
    assert_eq!(json(&output)["error"]["reason"], "NO_READER");
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn cards_and_keys_are_chosen_or_told_missing() {
    let desk = Desk::with(&BOTH);
    let list = json(&desk.client_command(&["list-cards", "--json"]).output().unwrap());
    let certificates = list["tokens"][0]["certificates"].as_array().unwrap();
    let roles = |role: &str| -> Vec<&str> {
        let with_role = certificates.iter().filter(|object| object[role] == true);
        with_role.map(|object| object["label"].as_str().unwrap()).collect()
    };
    assert_eq!(roles("signs_prescriptions"), ["C.HP.QES.E384"]);
    assert_eq!(roles("authenticates"), ["C.HP.AUT.E384"]);
    assert_eq!(list["tokens"][0]["serial_suffix"].as_str().unwrap().len(), 4);

    let mut sign = desk.client_command(&[
        "sign",
        "--card",
        "other",
        "--json",
        "--pin-env",
        "TEST_PIN",
        "--out",
        "/nowhere",
    ]);
    let output = sign.arg(desk.path("prescription.xml")).args(NO_CARD).env("TEST_PIN", PIN).output().unwrap();
    assert_eq!(json(&output)["error"]["reason"], "CARD_NOT_FOUND");

    let without = Desk::with(&[Key { kind: P384, usage: "digitalSignature", label: "C.HP.AUT.E384" }]);
    assert_eq!(json(&without.sign("prescription.xml", PIN))["error"]["reason"], "NO_KEY");
}

#[test]
fn a_clinician_is_authenticated_by_a_signature_openssl_can_check() {
    let desk = Desk::with(&BOTH);
    let mut command =
        desk.client_command(&["authenticate", "--json", "--audience", "https://clinic.example"]);
    command.arg("--out").arg(desk.path("out.p7s")).args(["--pin-env", "TEST_PIN"]).env("TEST_PIN", PIN);
    let said = json(&command.output().unwrap());
    assert_eq!((&said["chain"], &said["algorithm"]), (&"OK".into(), &"ecdsa-with-SHA384".into()), "{said}");
    let nonce = said["nonce"].as_str().unwrap();
    assert_eq!(nonce.len(), 64);
    let challenge = format!("HPC Signer clinician authentication v1\nhttps://clinic.example\n{nonce}\n");
    assert_eq!(said["signed_bytes"], challenge);
    assert_eq!(desk.openssl_content(&[]), challenge.as_bytes());

    // The bare signature is the same one.
    fs::write(desk.path("challenge"), challenge).unwrap();
    fs::write(desk.path("bare"), hex::decode(said["signature_der"].as_str().unwrap()).unwrap()).unwrap();
    fs::write(desk.path("aut.der"), hex::decode(said["certificate"]["der"].as_str().unwrap()).unwrap())
        .unwrap();
    desk.tool(
        "openssl",
        &["x509", "-inform", "DER", "-in", "aut.der", "-pubkey", "-noout", "-out", "aut.pub"],
    );
    desk.tool("openssl", &["dgst", "-sha384", "-verify", "aut.pub", "-signature", "bare", "challenge"]);
    assert_eq!(said["signature_raw"].as_str().unwrap().len(), 2 * 96);
}

#[tokio::test]
async fn each_use_of_a_key_leaves_one_row_and_no_row_means_no_signature() {
    let desk = Desk::with(&BOTH);
    assert!(desk.sign("prescription.xml", PIN).status.success());
    desk.sign("prescription.xml", "99999999");
    let options = SqliteConnectOptions::new().filename(desk.path("audit.db"));
    let mut database = options.connect().await.unwrap();
    let rows = sqlx::query(
        "SELECT sequence, outcome, certificate_issuer, document_sha256, remark FROM audit ORDER BY sequence",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    let outcomes: Vec<String> = rows.iter().map(|row| row.get(1)).collect();
    assert_eq!(outcomes, ["OK", "PIN_WRONG"]);
    assert_eq!(rows[0].get::<String, _>(2), "CN=Test-CA");
    assert_eq!(rows[0].get::<String, _>(3).len(), 64);
    let remark = "insurance card: none: the test has no insurance card; rules off: AUTHORED_ON (fixtures have fixed dates)";
    assert_eq!(rows[0].get::<String, _>(4), remark);

    sqlx::query("DROP TABLE audit").execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    let output = desk.sign("prescription.xml", PIN);
    assert_eq!(json(&output)["error"]["reason"], "AUDIT_FAILED");
    assert!(!desk.path("out.p7s").exists());
}

#[test]
fn signatures_asked_for_at_the_same_time_are_all_made() {
    let desk = Desk::with(&BOTH);
    let clients: Vec<_> = (0..8)
        .map(|index| {
            let out = desk.path(&format!("{index}.p7s"));
            let mut sign = desk.client_command(&["sign", "--pin-env", "TEST_PIN"]);
            sign.arg(desk.path("prescription.xml")).arg("--out").arg(&out).args(NO_CARD).env("TEST_PIN", PIN);
            sign.stdout(Stdio::null());
            (out, sign.spawn().unwrap())
        })
        .collect();
    for (out, mut client) in clients {
        assert!(client.wait().unwrap().success());
        assert!(out.exists());
    }
}

#[test]
fn the_most_verbose_log_shows_neither_pin_nor_patient() {
    let desk = Desk::with(&BOTH);
    desk.sign("prescription.xml", PIN);
    desk.sign("prescription.xml", "86420975");
    fs::write(desk.path("case.xml"), "<Bundle><name value='Musterstädt'/>").unwrap();
    desk.sign("case.xml", PIN);
    let log = desk.log();
    assert!(log.contains("PIN_WRONG") && log.contains("request{id="), "{log}");
    for secret in [PIN, "86420975", "X110400001", "Musterst", "1964-11-03", "no insurance card"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[test]
fn a_second_service_leaves_the_first_alone_and_a_stopped_one_cleans_up() {
    let mut desk = Desk::with(&BOTH);
    let second = desk.serve_command(&[]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another service"));
    assert!(desk.sign("prescription.xml", PIN).status.success());

    let id = desk.service().id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(desk.service().wait().unwrap().success(), "{}", desk.log());
    assert!(!desk.path("s.sock").exists());
    let output = desk.sign("prescription.xml", PIN);
    assert_eq!(output.status.code(), Some(6));
}

#[test]
fn plaintext_tcp_needs_the_flag_and_then_serves() {
    let desk = Desk::with(&BOTH);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = fs::read_to_string(desk.path("config.toml")).unwrap();
    let config = config.replace("\"s.sock\"", &format!("\"tcp.sock\"\ninsecure_tcp = \"127.0.0.1:{port}\""));
    fs::write(desk.path("config.toml"), config.replace("[trust]", "[audit]\ndatabase = \"tcp.db\"\n[trust]"))
        .unwrap();
    let refused = desk.serve_command(&[]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--insecure-development"));

    let mut service = desk.serve_command(&["--insecure-development"]).stderr(Stdio::null()).spawn().unwrap();
    let listed = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let mut list = desk.client_command(&["list-cards", "--connect", &format!("http://127.0.0.1:{port}")]);
        list.output().unwrap().status.success()
    });
    let _ = service.kill();
    let _ = service.wait();
    assert!(listed);
}

#[test]
fn check_loads_everything_and_says_what_it_found() {
    let desk = Desk::with(&BOTH);
    let good = desk.serve_command(&["--check"]).output().unwrap();
    assert!(good.status.success(), "{:?} {}", good.status, String::from_utf8_lossy(&good.stderr));
    let said = String::from_utf8_lossy(&good.stdout);
    assert!(said.contains("tokens: 1"), "{said}");
    fs::write(desk.path("ca.pem"), "no certificate").unwrap();
    let bad = desk.serve_command(&["--check"]).output().unwrap();
    assert_eq!(bad.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("ca.pem"));
}

#[test]
fn a_key_of_the_caller_buys_one_signature_even_across_a_kill() {
    let mut desk = Desk::with(&BOTH);
    let first = desk.sign_with_key("prescription.xml", PIN, "k-1");
    assert!(first.status.success(), "{}", json(&first));
    let signature = fs::read(desk.path("out.p7s")).unwrap();
    // No PIN is needed any more, because the card is not asked.
    let again = json(&desk.sign_with_key("prescription.xml", "", "k-1"));
    assert_eq!((&again["replayed"], &again["audit_sequence"]), (&true.into(), &1.into()), "{again}");
    assert_eq!(fs::read(desk.path("out.p7s")).unwrap(), signature);

    desk.kill_and_start();
    let again = json(&desk.sign_with_key("prescription.xml", "", "k-1"));
    assert_eq!(again["replayed"], true, "{again}");
    assert_eq!(fs::read(desk.path("out.p7s")).unwrap(), signature);

    let other = fs::read_to_string(fixture("prescription.xml")).unwrap().replace("Beispielkasse", "Kasse");
    fs::write(desk.path("other.xml"), other).unwrap();
    let refused = json(&desk.sign_with_key("other.xml", PIN, "k-1"));
    assert_eq!(refused["error"]["reason"], "KEY_REUSED", "{refused}");
    // A refusal leaves its key free.
    assert_eq!(json(&desk.sign_with_key("other.xml", "99999999", "k-2"))["error"]["reason"], "PIN_WRONG");
    let second = desk.sign_with_key("prescription.xml", PIN, "k-2");
    assert_eq!(json(&second)["replayed"], false);
    assert_eq!(desk.openssl_content(&["-cades"]), fs::read(fixture("prescription.xml")).unwrap());
}

#[test]
fn the_audit_trail_is_exported_and_checked_without_the_service() {
    let desk = Desk::with(&BOTH);
    desk.sign("prescription.xml", PIN);
    desk.sign("prescription.xml", "99999999");
    let audit = |arguments: &[&str]| {
        let config = desk.path("config.toml");
        let mut audit = desk.client_command(&["audit"]);
        audit.args(arguments.iter().map(|argument| argument.replace("CONFIG", config.to_str().unwrap())));
        audit.current_dir(desk.path(".")).output().unwrap()
    };
    let text = |output: &std::process::Output| String::from_utf8(output.stdout.clone()).unwrap();
    let export = audit(&["export", "--config", "CONFIG"]);
    fs::write(desk.path("export"), &export.stdout).unwrap();
    let verified = audit(&["verify", "export", "--key", "audit.pub"]);
    assert!(text(&verified).starts_with("in order: 2 records, 1 checkpoints"), "{verified:?}");
    assert!(!text(&export).contains("X110400001"));

    let refused = text(&audit(&["query", "--config", "CONFIG", "--outcome", "PIN_WRONG"]));
    assert_eq!(refused.lines().count(), 1, "{refused}");
    let refused = serde_json::from_str::<serde_json::Value>(&refused).unwrap();
    for who in ["patient", "card"] {
        let name = refused["record"][who].as_str().unwrap();
        let of_them = text(&audit(&["query", "--config", "CONFIG", &format!("--{who}"), name]));
        assert_eq!(of_them.lines().count(), 2, "{of_them}");
    }
    let listed = desk.tool("pkcs11-tool", &["--module", MODULE, "--list-slots"]);
    let number = listed.split("serial num").nth(1).and_then(|rest| rest.split_whitespace().nth(1)).unwrap();
    assert!(number.len() == 16 && !text(&export).contains(number), "{number}");

    desk.sign("prescription.xml", PIN);
    let later = text(&audit(&["export", "--config", "CONFIG"]));
    fs::write(desk.path("later"), &later).unwrap();
    assert!(audit(&["verify", "later", "--key", "audit.pub", "--earlier", "export"]).status.success());
    let backwards = audit(&["verify", "export", "--key", "audit.pub", "--earlier", "later"]);
    assert!(!backwards.status.success(), "a cut was not found");
    fs::write(desk.path("changed"), later.replace("PIN_WRONG", "OK")).unwrap();
    let changed = audit(&["verify", "changed", "--key", "audit.pub"]);
    assert!(String::from_utf8_lossy(&changed.stderr).contains("record 2 was changed"), "{changed:?}");
}

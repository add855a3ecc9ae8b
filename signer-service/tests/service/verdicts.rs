//! VerifySignature of the built service: the verdict under each policy, and beside it the rules of prescriptions.

use std::{fs, process::Output};

use time::{OffsetDateTime, macros::format_description};

use crate::support::{BOTH, Desk, PIN, fixture, json};

/// Certificates of the desk are no qualified ones, and its authority has no OCSP responder.
const ANY_CERTIFICATE: &str = "[verification]\nrequire_qualified = false\n";

fn verify(desk: &Desk, name: &str, further: &[&str]) -> Output {
    let mut verify = desk.client_command(&["verify", "--json"]);
    verify.args(further).arg(desk.path(name)).arg("--content").arg(desk.path("out.xml")).output().unwrap()
}

/// Has OpenSSL sign a document with the desk's last key.
fn sign_with_openssl(desk: &Desk, document: &str, further: &[&str]) {
    fs::write(desk.path("document"), document).unwrap();
    desk.tool("openssl", &["x509", "-inform", "DER", "-in", "certificate.der", "-out", "certificate.pem"]);
    let sign = ["cms", "-sign", "-binary", "-cades", "-md", "sha384", "-signer", "certificate.pem"];
    let files = ["-inkey", "key.pem", "-in", "document", "-outform", "DER", "-out", "theirs.p7s"];
    desk.tool("openssl", &[&sign[..], &files, further].concat());
}

#[test]
fn without_knowledge_of_revocation_the_verdict_follows_the_policy_that_is_wished_for() {
    let desk = Desk::configured(&BOTH, ANY_CERTIFICATE);
    desk.sign("prescription.xml", PIN);
    for (wish, verdict, exit) in [
        (&[][..], "INCONCLUSIVE", 8),
        (&["--revocation-policy", "required"], "INCONCLUSIVE", 8),
        (&["--revocation-policy", "required", "--check-revocation"], "INCONCLUSIVE", 8),
        (&["--revocation-policy", "embedded-suffices"], "INCONCLUSIVE", 8),
        (&["--revocation-policy", "not-required"], "VALID", 0),
    ] {
        let output = verify(&desk, "out.p7s", wish);
        let said = json(&output);
        assert_eq!(
            (said["verdict"].as_str(), output.status.code()),
            (Some(verdict), Some(exit)),
            "{wish:?} {said}"
        );
        assert_eq!(said["revocation_policy"], *wish.get(1).unwrap_or(&"required"));
        assert_eq!((&said["chain"], &said["qualified_required"]), (&"OK".into(), &false.into()));
        let asked = wish.contains(&"--check-revocation");
        assert_eq!(said["status_now"]["state"], if asked { "UNUSABLE" } else { "NOT_CHECKED" });
        assert_eq!(fs::read(desk.path("out.xml")).unwrap(), fs::read(fixture("prescription.xml")).unwrap());
    }

    let mut changed = fs::read(desk.path("out.p7s")).unwrap();
    let at = changed.windows(4).position(|window| window == b"1964").unwrap();
    changed[at] = b'2';
    fs::write(desk.path("changed.p7s"), changed).unwrap();
    let output = verify(&desk, "changed.p7s", &["--revocation-policy", "not-required"]);
    assert_eq!(output.status.code(), Some(7), "{}", json(&output));
    assert_eq!(json(&output)["mathematics"]["content_digest"], false);

    fs::write(desk.path("nothing.p7s"), "nothing").unwrap();
    assert_eq!(json(&verify(&desk, "nothing.p7s", &[]))["error"]["reason"], "NOT_CMS");
}

#[test]
fn the_configured_policy_is_the_one_of_callers_without_a_wish() {
    let desk = Desk::configured(&BOTH, &format!("{ANY_CERTIFICATE}revocation = \"not-required\"\n"));
    desk.sign("prescription.xml", PIN);
    let said = json(&verify(&desk, "out.p7s", &[]));
    assert_eq!((&said["verdict"], &said["revocation_policy"]), (&"VALID".into(), &"not-required".into()));
    let said = json(&verify(&desk, "out.p7s", &["--revocation-policy", "required"]));
    assert_eq!((&said["verdict"], &said["revocation_policy"]), (&"INCONCLUSIVE".into(), &"required".into()));
}

#[test]
fn the_rules_of_prescriptions_are_told_beside_the_verdict() {
    let desk = Desk::configured(&BOTH, ANY_CERTIFICATE);
    let day = format_description!("[year]-[month]-[day]");
    // Somewhere within the hours that the day of Germany and that of UTC have in common, or beside them: the rule is off at
    // this desk, and told with its reason.
    let whole = fs::read_to_string(fixture("whole-prescription.xml")).unwrap();
    let far = whole
        .replace("2026-11-20", &(OffsetDateTime::now_utc() - time::Duration::days(3)).format(day).unwrap());
    for (document, state, flow_type, rule) in [
        (far.clone(), "KEPT", "160", "AUTHORED_ON"),
        (far.replace("X110400001", "X110400006"), "BROKEN", "160", "KVNR_CHECK_DIGIT"),
        (far.replace("Bundle", "Bunch"), "NOT_A_PRESCRIPTION", "", "ROOT"),
        ("a letter to a colleague".to_owned(), "NOT_A_PRESCRIPTION", "", "MALFORMED"),
    ] {
        sign_with_openssl(&desk, &document, &["-nodetach"]);
        let said = json(&verify(&desk, "theirs.p7s", &["--revocation-policy", "not-required"]));
        assert_eq!(said["verdict"], "VALID", "the rules are no part of it: {said}");
        let rules = &said["prescription_rules"];
        assert_eq!((&rules["state"], &rules["flow_type"]), (&state.into(), &flow_type.into()), "{rules}");
        assert_eq!(rules["findings"][0]["rule"], rule, "{rules}");
        assert_eq!(rules["judged_at"], said["signing_time"]);
        let off = rules["findings"].as_array().unwrap().iter().filter(|found| found["rule"] == "AUTHORED_ON");
        assert!(off.into_iter().all(|found| found["severity"] == "INFORMATION"), "{rules}");
    }
}

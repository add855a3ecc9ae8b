//! Emergency access on soft tokens: who may take which step, what survives, and what an outsider makes of the export. Their
//! certificates name no responder: steps are signed in offline mode.

use std::{fs, process::Output, thread};

use proto::v1;
use serde_json::Value;

use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    clinician::{ADA, BOB, CARL, EVE, claims},
    grpc::channel,
    postgres::Postgres,
    support::{Desk, Key, P384, PIN, json, refusal},
    watching::http,
};

const OFFLINE: &str = "[emergency]\nenabled = true\noffline = \"allow\"\n";
const KVNR: &str = "X110400001";
/// Somebody without a Telematik-ID.
const NOBODY: Key = Key { kind: P384, usage: "digitalSignature", label: "C.HP.AUT.E384" };

fn desk() -> Desk {
    let people: [(&str, &[Key]); 6] = [
        ("ada", &[ADA]),
        // A second card of the same person.
        ("ada-again", &[ADA]),
        ("bob", &[BOB]),
        ("carl", &[CARL]),
        ("eve", &[EVE]),
        ("nobody", &[NOBODY]),
    ];
    let desk = Desk::of_people(&people, OFFLINE);
    fs::write(desk.path("patient"), format!("{KVNR}\n")).unwrap();
    desk
}

/// A client command with somebody's card.
fn with_card(desk: &Desk, who: &str, arguments: &[&str]) -> Output {
    let mut command = desk.client_command(&["emergency"]);
    command.args(arguments).args(["--json", "--card", who, "--pin-env", "TEST_PIN"]);
    command.current_dir(desk.path(".")).env("TEST_PIN", PIN).output().unwrap()
}

fn without_card(desk: &Desk, arguments: &[&str]) -> Output {
    let mut command = desk.client_command(&["emergency"]);
    command.args(arguments).arg("--json").current_dir(desk.path(".")).output().unwrap()
}

fn request(desk: &Desk, who: &str, more: &[&str]) -> Value {
    let fixed = [
        "request",
        "--patient-file",
        "patient",
        "--reason",
        "unconscious",
        "--text",
        "found unconscious",
        "--claim-file",
        "claim",
    ];
    json(&with_card(desk, who, &[&fixed[..], more].concat()))
}

fn id(said: &Value) -> String {
    said["request_id"].as_str().unwrap_or_else(|| panic!("no case: {said}")).to_owned()
}

fn reason(output: &Output) -> String {
    json(output)["error"]["reason"]
        .as_str()
        .unwrap_or_else(|| panic!("no refusal: {}", json(output)))
        .to_owned()
}

#[tokio::test]
async fn two_people_open_it_a_third_reviews_it_and_an_outsider_can_check_all_of_it() {
    let mut desk = desk();
    let asked = request(
        &desk,
        "ada",
        &["--scope", "patient/*.rs", "--scope", "patient/Condition.cruds", "--minutes", "5"],
    );
    let id = id(&asked);
    assert_eq!((&asked["standing"], &asked["purpose"]), (&"requested".into(), &"BTG".into()), "{asked}");
    assert_eq!(asked["refused_scopes"][0]["scope"], "patient/Condition.cud");
    let open = |desk: &Desk| {
        without_card(
            desk,
            &["open", &id, "--claim-file", "claim", "--token-file", "token", "--audience", "ward"],
        )
    };
    assert_eq!(reason(&open(&desk)), "EMERGENCY_STANDING", "one person is not enough");

    assert_eq!(reason(&with_card(&desk, "ada", &["approve", &id])), "EMERGENCY_SAME_PERSON");
    assert_eq!(reason(&with_card(&desk, "ada-again", &["approve", &id])), "EMERGENCY_SAME_PERSON");
    assert_eq!(reason(&with_card(&desk, "nobody", &["approve", &id])), "EMERGENCY_SAME_PERSON");
    assert_eq!(reason(&with_card(&desk, "carl", &["approve", &id])), "EMERGENCY_PROFESSION");
    // What is kept survives a power cut.
    desk.kill_and_start();
    let approved = json(&with_card(&desk, "bob", &["approve", &id]));
    assert_eq!(
        (&approved["standing"], &approved["wants_review"]),
        (&"approved".into(), &true.into()),
        "{approved}"
    );
    assert_eq!(approved["decided_by"]["telematik_id"], "2-T-2");
    assert_eq!(approved["offline"], true);
    assert_eq!(reason(&with_card(&desk, "eve", &["approve", &id])), "EMERGENCY_STANDING");

    desk.kill_and_start();
    fs::write(desk.path("wrong"), "guessed").unwrap();
    let guessed = ["open", &id, "--claim-file", "wrong", "--token-file", "token"];
    assert_eq!(reason(&without_card(&desk, &guessed)), "EMERGENCY_CLAIM");
    assert!(open(&desk).status.success());
    let claims = claims(&fs::read_to_string(desk.path("token")).unwrap());
    assert_eq!(
        (&claims["purpose_of_use"], &claims["scope"]),
        (&"BTG".into(), &"patient/*.rs patient/Condition.rs".into())
    );
    let emergency = &claims["emergency"];
    assert_eq!((&emergency["requester"], &emergency["approver"]), (&"1-T-1".into(), &"2-T-2".into()));
    assert_eq!((&emergency["request_id"], &claims["sub"]), (&id.as_str().into(), &"1-T-1".into()));
    assert_eq!(emergency["patient"], asked["patient"]);
    assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 300);

    let review = |who: &str| with_card(&desk, who, &["review", &id, "--justified", "--text", "it was one"]);
    assert_eq!(reason(&review("eve")), "EMERGENCY_STANDING", "it still lasts");
    assert_eq!(json(&with_card(&desk, "bob", &["revoke", &id]))["standing"], "revoked");
    assert_eq!(reason(&open(&desk)), "EMERGENCY_STANDING");
    let queue =
        || json(&without_card(&desk, &["list", "--unreviewed"]))["accesses"].as_array().unwrap().len();
    assert_eq!(queue(), 1);
    assert_eq!(reason(&review("ada")), "EMERGENCY_SAME_PERSON");
    assert_eq!(reason(&review("bob")), "EMERGENCY_SAME_PERSON");
    assert_eq!(json(&review("eve"))["reviewed_by"]["telematik_id"], "3-T-3");
    assert_eq!(reason(&review("eve")), "EMERGENCY_STANDING");
    assert_eq!(queue(), 0);

    outsider_checks(&desk, &id);
    let records: Vec<String> =
        desk.records().await.into_iter().map(|(call, outcome, _)| format!("{call} {outcome}")).collect();
    let count = |wanted: &str| records.iter().filter(|record| record.as_str() == wanted).count();
    for (record, expected) in [
        ("RequestEmergencyAccess OK", 1),
        ("ApproveEmergencyAccess OK", 1),
        ("ApproveEmergencyAccess EMERGENCY_SAME_PERSON", 3),
        ("OpenEmergencyAccess OK", 1),
        ("OpenEmergencyAccess EMERGENCY_CLAIM", 1),
        ("RevokeEmergencyAccess OK", 1),
        ("CloseEmergencyReview OK", 1),
    ] {
        assert_eq!(count(record), expected, "{record}: {records:#?}");
    }
    assert!(!desk.log().contains(KVNR));
}

/// What is changed in an export, and a part of what is then said.
type Change = (&'static str, fn(&mut Value));

/// With the export and the trust anchor alone.
fn outsider_checks(desk: &Desk, id: &str) {
    assert!(without_card(desk, &["export", id, "--out", "case.json"]).status.success());
    let verify =
        |file: &str| without_card(desk, &["verify", file, "--anchors", "ca.pem", "--extract", "steps"]);
    let whole = verify("case.json");
    assert_eq!((whole.status.code(), &json(&whole)["holds"]), (Some(0), &true.into()), "{}", json(&whole));
    assert_eq!(json(&whole)["offline_steps"], serde_json::json!([1, 2, 3, 4]));
    for step in ["1-request", "2-approval", "3-revocation", "4-review"] {
        let file = format!("steps/{step}.p7s");
        let verify = [
            "cms", "-verify", "-binary", "-purpose", "any", "-inform", "DER", "-CAfile", "ca.pem", "-out",
            "content",
        ];
        desk.tool("openssl", &[&verify[..], &["-in", &file]].concat());
        let content = fs::read_to_string(desk.path("content")).unwrap();
        assert!(content.starts_with("HPC Signer emergency access v1\n"), "{content}");
    }
    let text = fs::read_to_string(desk.path("case.json")).unwrap();
    assert!(!text.contains("claim") && !text.contains(KVNR));
    let case: Value = serde_json::from_str(&text).unwrap();
    let changes: [Change; 8] = [
        ("holds another statement", |case| case["steps"][0]["statement"]["reason"] = "other words".into()),
        ("names another person", |case| case["steps"][1]["signed_by"]["telematik_id"] = "9-T-9".into()),
        ("does not follow", |case| drop(case["steps"].as_array_mut().unwrap().remove(1))),
        ("does not follow", |case| case["steps"].as_array_mut().unwrap().swap(1, 2)),
        ("one person did", |case| case["steps"][1]["signed_by"] = case["steps"][0]["signed_by"].clone()),
        ("cannot be read", |case| case["steps"][2]["cms"] = "AAAA".into()),
        ("cannot be believed", |case| case["steps"][0]["ocsp"] = "AAAA".into()),
        ("when it was not open", |case| case["accesses"][0]["at"] = "2020-01-01T00:00:00Z".into()),
    ];
    for (fault, change) in changes {
        let mut changed = case.clone();
        change(&mut changed["case"]);
        fs::write(desk.path("changed.json"), changed.to_string()).unwrap();
        let judged = verify("changed.json");
        let faults = json(&judged)["faults"].to_string();
        assert_eq!(judged.status.code(), Some(7), "{fault}: {faults}");
        assert!(faults.contains(fault), "{fault}: {faults}");
    }
    fs::copy(desk.path("ca.pem"), desk.path("own-ca.pem")).unwrap();
    desk.tool(
        "openssl",
        &[
            "req",
            "-x509",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "x",
            "-subj",
            "/CN=X",
            "-out",
            "own-ca.pem",
        ],
    );
    let stranger = without_card(desk, &["verify", "case.json", "--anchors", "own-ca.pem"]);
    assert_eq!(stranger.status.code(), Some(7), "another authority vouches for nobody");
}

#[test]
fn a_denial_ends_it_and_only_then_it_can_be_asked_for_again() {
    let desk = desk();
    let first = id(&request(&desk, "ada", &[]));
    assert_eq!(
        request(&desk, "ada", &[])["error"]["reason"],
        "EMERGENCY_OPEN",
        "it is not renewed while it lasts"
    );
    let other = id(&request(&desk, "eve", &[]));
    assert_ne!(first, other, "another person asks on their own");
    let denied = json(&with_card(&desk, "bob", &["approve", &first, "--deny"]));
    assert_eq!((&denied["standing"], &denied["wants_review"]), (&"denied".into(), &false.into()));
    assert_eq!(reason(&with_card(&desk, "bob", &["approve", &first])), "EMERGENCY_STANDING");
    id(&request(&desk, "ada", &[]));
}

/// An access of Ada's that Bob approved and that is over.
fn opened(desk: &Desk) -> String {
    let id = id(&request(desk, "ada", &[]));
    assert_eq!(json(&with_card(desk, "bob", &["approve", &id]))["standing"], "approved");
    assert_eq!(json(&with_card(desk, "bob", &["revoke", &id]))["standing"], "revoked");
    id
}

/// What health and metrics say of the reviews, once they say the expected.
async fn watched(desk: &Desk, health: ServingStatus, wanted: u32, overdue: u32) {
    let mut client = HealthClient::new(channel(desk).await);
    let count = |state: &str, count| format!("hpc_signer_emergency_reviews{{state=\"{state}\"}} {count}\n");
    for _ in 0..600 {
        let asked = HealthCheckRequest { service: "emergency-reviews".into() };
        let said = client.check(asked).await.map(|answer| answer.into_inner().status());
        let text = http(desk, "GET /metrics");
        if said.is_ok_and(|said| said == health)
            && text.contains(&count("wanted", wanted))
            && text.contains(&count("overdue", overdue))
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{}", http(desk, "GET /metrics"));
}

#[tokio::test]
async fn overdue_reviews_are_seen_and_keep_their_requester_from_asking_again() {
    let people: [(&str, &[Key]); 3] = [("ada", &[ADA]), ("bob", &[BOB]), ("eve", &[EVE])];
    let desk = Desk::of_people(&people, &format!("{OFFLINE}review_hours = 0\n"));
    fs::write(desk.path("patient"), KVNR).unwrap();
    watched(&desk, ServingStatus::Serving, 0, 0).await;
    let first = opened(&desk);
    watched(&desk, ServingStatus::NotServing, 1, 1).await;
    let listed = json(&without_card(&desk, &["list", "--unreviewed"]));
    assert_eq!(listed["accesses"][0]["review_overdue"], true, "{listed}");

    let refused = request(&desk, "ada", &[])["error"].clone();
    assert_eq!(refused["reason"], "EMERGENCY_REVIEWS_OVERDUE", "{refused}");
    assert_eq!(refused["metadata"]["count"], "1");
    // The other clinician asks, and the first one may agree: an emergency is not kept from its patient.
    let turned = id(&request(&desk, "bob", &[]));
    assert_eq!(json(&with_card(&desk, "ada", &["approve", &turned]))["standing"], "approved");

    let closed = json(&with_card(&desk, "eve", &["review", &first, "--justified", "--text", "it was one"]));
    assert_eq!((&closed["wants_review"], &closed["review_overdue"]), (&false.into(), &false.into()));
    watched(&desk, ServingStatus::Serving, 0, 0).await;
    id(&request(&desk, "ada", &[]));
}

#[tokio::test]
async fn reviews_are_not_overdue_before_their_time_and_may_be_reported_only() {
    let people: [(&str, &[Key]); 2] = [("ada", &[ADA]), ("bob", &[BOB])];
    let later = Desk::of_people(&people, &format!("{OFFLINE}review_hours = 1\n"));
    let reported =
        Desk::of_people(&people, &format!("{OFFLINE}review_hours = 0\noverdue_reviews = \"report\"\n"));
    for (desk, health, overdue) in
        [(later, ServingStatus::Serving, 0), (reported, ServingStatus::NotServing, 1)]
    {
        fs::write(desk.path("patient"), KVNR).unwrap();
        opened(&desk);
        watched(&desk, health, 1, overdue).await;
        let listed = json(&without_card(&desk, &["list"]));
        assert_eq!(listed["accesses"][0]["review_overdue"], overdue == 1, "{listed}");
        id(&request(&desk, "ada", &[]));
    }
}

#[tokio::test]
async fn what_may_not_be_asked_for_is_refused() {
    let desk = desk();
    assert_eq!(request(&desk, "carl", &[])["error"]["reason"], "EMERGENCY_PROFESSION");
    assert_eq!(request(&desk, "nobody", &[])["error"]["reason"], "EMERGENCY_SAME_PERSON");
    assert_eq!(request(&desk, "ada", &["--minutes", "31"])["error"]["reason"], "BAD_REQUEST");
    assert_eq!(
        request(&desk, "ada", &["--scope", "prescription.sign"])["error"]["reason"],
        "EMERGENCY_PROFESSION"
    );
    let mut grpc = desk.grpc().await;
    let whole = v1::RequestEmergencyAccessRequest {
        reason: v1::EmergencyReason::Other.into(),
        reason_text: "no other way".into(),
        scopes: vec!["patient/*.rs".into()],
        ..Default::default()
    };
    let patient = |kvnr: &str| Some(v1::request_emergency_access_request::Patient::InsuredId(kvnr.into()));
    let wrong = [
        v1::RequestEmergencyAccessRequest { patient: None, ..whole.clone() },
        v1::RequestEmergencyAccessRequest { patient: patient("X110400002"), ..whole.clone() },
        v1::RequestEmergencyAccessRequest { patient: patient(KVNR), reason: 0, ..whole.clone() },
        v1::RequestEmergencyAccessRequest {
            patient: patient(KVNR),
            reason_text: "born 1964".into(),
            ..whole
        },
    ];
    for request in wrong {
        let refused = grpc.request_emergency_access(request).await.unwrap_err();
        assert_eq!(refusal(&refused).0, "BAD_REQUEST", "{refused}");
    }
    assert_eq!(reason(&with_card(&desk, "bob", &["approve", "unknown"])), "EMERGENCY_NOT_FOUND");
}

#[test]
fn without_knowing_whether_a_card_is_revoked_there_is_no_access_by_default() {
    let desk = Desk::of_people(&[("ada", &[ADA])], "[emergency]\nenabled = true\n");
    fs::write(desk.path("patient"), KVNR).unwrap();
    assert_eq!(request(&desk, "ada", &[])["error"]["reason"], "STATUS_UNKNOWN");
    let off = Desk::of_people(&[("ada", &[ADA])], "");
    fs::write(off.path("patient"), KVNR).unwrap();
    assert_eq!(request(&off, "ada", &[])["error"]["reason"], "EMERGENCY_DISABLED");
}

#[test]
fn nodes_share_cases_and_of_two_decisions_at_once_one_counts() {
    let postgres = Postgres::start();
    let node = || {
        let desk = Desk::of_people(
            &[("ada", &[ADA]), ("bob", &[BOB]), ("eve", &[EVE])],
            &format!(
                "{OFFLINE}[audit]\ndatabase = \"{}\"\npseudonym_key = \"patients.key\"\n",
                postgres.url()
            ),
        );
        fs::write(desk.path("patient"), KVNR).unwrap();
        desk
    };
    let nodes = [node(), node()];
    for _ in 0..5 {
        let id = id(&request(&nodes[0], "ada", &[]));
        let decide = |node: usize, who: &str| json(&with_card(&nodes[node], who, &["approve", &id]));
        let answers = thread::scope(|scope| {
            let deciders = [scope.spawn(|| decide(0, "bob")), scope.spawn(|| decide(1, "eve"))];
            deciders.map(|decider| decider.join().unwrap())
        });
        let approved = answers.iter().filter(|answer| answer["standing"] == "approved").count();
        assert_eq!(approved, 1, "{answers:#?}");
        let refused = answers.iter().find_map(|answer| answer["error"]["reason"].as_str()).unwrap();
        assert!(["EMERGENCY_CHANGED", "EMERGENCY_STANDING"].contains(&refused), "{refused}");
        let open = ["open", &id, "--claim-file", "claim", "--token-file", "token"];
        assert!(without_card(&nodes[0], &open).status.success());
        let listed = json(&without_card(&nodes[1], &["list"]));
        assert_eq!(listed["accesses"][0]["uses"], 1, "{listed}");
        assert_eq!(json(&with_card(&nodes[1], "bob", &["revoke", &id]))["standing"], "revoked");
    }
}

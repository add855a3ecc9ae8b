//! Comfort sessions on a soft token: what they allow, and everything that ends them.

use std::{fs, time::Duration};

use proto::v1::{
    self, sign_prescription_request::InsuranceCheck, signer_service_client::SignerServiceClient,
};
use tonic::{Code, Status, transport::Channel};

use crate::{
    network::{ALL, channel, further_client, hang_up},
    support::{BOTH, Desk, PIN, fixture, json, refusal},
};

const ENABLED: &str = "[comfort]\nenabled = true\nsessions_per_card = 2\ncard_signatures = 250\n";

struct User {
    client: SignerServiceClient<Channel>,
    id: String,
}

impl User {
    async fn new(desk: &Desk) -> User {
        User { client: desk.grpc().await, id: uuid::Uuid::new_v4().to_string() }
    }

    /// Over TLS, with the certificate of this name.
    async fn over_network(desk: &Desk, name: &str) -> User {
        let client = SignerServiceClient::new(channel(desk, name).await);
        User { client, id: uuid::Uuid::new_v4().to_string() }
    }

    async fn activate(
        &mut self,
        pin: &str,
        signatures: u32,
        seconds: Option<i64>,
    ) -> Result<v1::ComfortSession, Status> {
        let request = v1::ActivateComfortSignatureRequest {
            card: None,
            pin: Some(v1::Pin { value: pin.into(), last_try: false }),
            user_id: self.id.clone(),
            max_signatures: signatures,
            max_time: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
        };
        let answer = self.client.activate_comfort_signature(request).await?;
        Ok(answer.into_inner().session.unwrap())
    }

    async fn sign(&mut self) -> Result<v1::SignPrescriptionResponse, Status> {
        let (user, client) = (self.id.clone(), &mut self.client);
        sign(client, None, user).await
    }

    async fn show(&mut self) -> Result<v1::ComfortSession, Status> {
        let request = v1::GetComfortSessionRequest { card: None, user_id: self.id.clone() };
        Ok(self.client.get_comfort_session(request).await?.into_inner().session.unwrap())
    }

    /// Why there is no session.
    async fn ended(&mut self) -> String {
        let (reason, metadata) = refusal(&self.show().await.unwrap_err());
        assert_eq!(reason, "NO_COMFORT_SESSION");
        metadata.get("ended").cloned().unwrap_or_default()
    }
}

async fn sign(
    client: &mut SignerServiceClient<Channel>,
    pin: Option<&str>,
    comfort_user_id: String,
) -> Result<v1::SignPrescriptionResponse, Status> {
    let no_card = v1::NoInsuranceCard { reason: "the test has none".into() };
    let request = v1::SignPrescriptionRequest {
        prescription: fs::read(fixture("prescription.xml")).unwrap(),
        pin: pin.map(|value| v1::Pin { value: value.into(), last_try: false }),
        insurance_check: Some(InsuranceCheck::NoCard(no_card)),
        comfort_user_id,
        ..Default::default()
    };
    Ok(client.sign_prescription(request).await?.into_inner())
}

fn rules(session: &v1::ComfortSession) -> Vec<&str> {
    session.warnings.iter().map(|warning| warning.rule.as_str()).collect()
}

#[tokio::test]
async fn one_pin_serves_as_many_signatures_as_the_session_has() {
    let desk = Desk::configured(&BOTH, ENABLED);
    let mut user = User::new(&desk).await;
    let session = user.activate(PIN, 12, None).await.unwrap();
    assert_eq!((session.remaining_by_policy, session.remaining_by_card), (12, Some(250)));
    assert!(rules(&session).is_empty());
    for number in 1..=12 {
        let answer = user.sign().await.unwrap();
        let left = answer.comfort_session.unwrap();
        assert_eq!((left.signed, left.remaining_by_policy), (number, 12 - number));
        assert_eq!(left.remaining_by_card, Some(250 - number));
        let warned = rules(&left).contains(&"COMFORT_COUNT_ENDING");
        assert_eq!(warned, number >= 2, "{number}");
        fs::write(desk.path("out.p7s"), answer.cms).unwrap();
    }
    assert_eq!(desk.openssl_content(&["-cades"]), fs::read(fixture("prescription.xml")).unwrap());
    let (reason, metadata) = refusal(&user.sign().await.unwrap_err());
    assert_eq!((reason.as_str(), metadata["ended"].as_str()), ("NO_COMFORT_SESSION", "count"));
    let log = desk.log();
    assert!(!log.contains(&user.id) && !log.contains(PIN), "{log}");
}

#[tokio::test]
async fn user_ids_are_strong_and_serve_once() {
    let mut desk = Desk::configured(&BOTH, ENABLED);
    let mut user = User::new(&desk).await;
    for weak in ["", "doctor", "6e8bc430-9c3a-11d9-9669-0800200c9a66", "00000000-0000-4000-8000-000000000000"]
    {
        let mut other = User { client: user.client.clone(), id: weak.into() };
        let refused = other.activate(PIN, 0, None).await.unwrap_err();
        assert_eq!(refusal(&refused).1["field"], "user_id", "{weak}");
    }
    // A wrong PIN activates nothing and uses up nothing.
    assert_eq!(refusal(&user.activate("99999999", 0, None).await.unwrap_err()).0, "PIN_WRONG");
    user.activate(PIN, 0, None).await.unwrap();
    assert_eq!(refusal(&user.activate(PIN, 0, None).await.unwrap_err()).0, "USER_ID_REUSED");
    desk.kill_and_start();
    let mut again = User { client: desk.grpc().await, id: user.id.clone() };
    assert_eq!(again.ended().await, "");
    assert_eq!(refusal(&again.activate(PIN, 0, None).await.unwrap_err()).0, "USER_ID_REUSED");
}

#[tokio::test]
async fn several_users_share_a_card_until_somebody_enters_a_wrong_pin() {
    let desk = Desk::configured(&BOTH, ENABLED);
    let (mut ada, mut bob, mut eve) =
        (User::new(&desk).await, User::new(&desk).await, User::new(&desk).await);
    ada.activate(PIN, 0, None).await.unwrap();
    let session = bob.activate(PIN, 5, None).await.unwrap();
    assert_eq!((session.sessions_on_card, session.remaining_by_policy), (2, 5));
    let full = eve.activate(PIN, 0, None).await.unwrap_err();
    assert_eq!(refusal(&full).0, "COMFORT_SESSIONS_FULL");
    ada.sign().await.unwrap();
    bob.sign().await.unwrap();
    // A signature with a PIN of its own leaves them alone.
    let mut client = desk.grpc().await;
    sign(&mut client, Some(PIN), String::new()).await.unwrap();
    assert_eq!((ada.sign().await.is_ok(), bob.show().await.unwrap().signed), (true, 1));
    // A stranger's user id opens nothing.
    assert_eq!(refusal(&eve.sign().await.unwrap_err()).0, "NO_COMFORT_SESSION");

    assert_eq!(
        refusal(&sign(&mut client, Some("99999999"), String::new()).await.unwrap_err()).0,
        "PIN_WRONG"
    );
    assert_eq!((ada.ended().await, bob.ended().await), ("card".to_owned(), "card".to_owned()));
    assert_eq!(refusal(&ada.sign().await.unwrap_err()).0, "NO_COMFORT_SESSION");
}

#[tokio::test]
async fn a_session_ends_by_time_and_by_its_user_and_is_recorded() {
    let desk = Desk::configured(&BOTH, ENABLED);
    let (mut ada, mut bob) = (User::new(&desk).await, User::new(&desk).await);
    let session = ada.activate(PIN, 0, Some(1)).await.unwrap();
    assert_eq!(rules(&session), ["COMFORT_TIME_ENDING"]);
    bob.activate(PIN, 0, None).await.unwrap();
    while ada.show().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ada.ended().await, "time");
    bob.sign().await.unwrap();
    let request = v1::DeactivateComfortSignatureRequest { card: None, user_id: bob.id.clone() };
    assert_eq!(bob.client.deactivate_comfort_signature(request).await.unwrap().into_inner().signed, 1);
    assert_eq!(bob.ended().await, "deactivated");
    assert_eq!(refusal(&bob.sign().await.unwrap_err()).0, "NO_COMFORT_SESSION");
    let expected = [
        ("ActivateComfortSignature", "100 signatures, 0 minutes"),
        ("ComfortSignatureEnded", "time; 0 signatures were made"),
        ("DeactivateComfortSignature", "1 signatures were made"),
    ];
    for _ in 0..500 {
        let records = desk.records().await;
        let found = |(operation, remark): &(&str, &str)| {
            records.iter().any(|(found, _, said)| found == operation && said == remark)
        };
        if expected.iter().all(found) {
            let (named, without_card) = desk.cards_in_records().await;
            assert!(named >= 5 && without_card == 0, "{named} {without_card}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?}", desk.records().await);
}

#[tokio::test]
async fn a_session_over_the_network_is_worth_something_with_its_clients_certificate_only() {
    let clients = format!(
        "{ALL}[clients.other]\ncertificates = ['subject:CN=other']\ncalls = ['*']\ncards = ['*']\n{ENABLED}"
    );
    let mut desk = Desk::on_network(&BOTH, &clients);
    further_client(&desk, "other");
    let mut ward = User::over_network(&desk, "ward").await;
    ward.activate(PIN, 5, None).await.unwrap();
    assert_eq!(ward.sign().await.unwrap().comfort_session.unwrap().remaining_by_policy, 4);
    // Another connection of the same client is as good as the first.
    let mut again = User { id: ward.id.clone(), ..User::over_network(&desk, "ward").await };
    assert_eq!(again.sign().await.unwrap().comfort_session.unwrap().remaining_by_policy, 3);

    let over_tls = User::over_network(&desk, "other").await.client;
    for client in [over_tls, desk.grpc().await] {
        let mut thief = User { client, id: ward.id.clone() };
        assert_eq!(thief.ended().await, "", "the session is shown to somebody else");
        let refused = thief.sign().await.unwrap_err();
        assert_eq!(
            (refused.code(), refusal(&refused).0.as_str()),
            (Code::FailedPrecondition, "NO_COMFORT_SESSION")
        );
        let end = v1::DeactivateComfortSignatureRequest { card: None, user_id: ward.id.clone() };
        let refused = thief.client.deactivate_comfort_signature(end).await.unwrap_err();
        assert_eq!(refusal(&refused).0, "NO_COMFORT_SESSION");
    }
    assert_eq!(ward.show().await.unwrap().signed, 2);

    // Whoever loses the permission loses the use of the session, on a connection that stands.
    let config = fs::read_to_string(desk.path("config.toml")).unwrap();
    let fewer = config.replacen("calls = ['*']", "calls = ['GetComfortSession']", 1);
    fs::write(desk.path("config.toml"), fewer).unwrap();
    hang_up(&mut desk, "permissions were read again");
    assert_eq!(refusal(&ward.sign().await.unwrap_err()).0, "CALL_NOT_ALLOWED");
    assert_eq!(ward.show().await.unwrap().signed, 2);
    let log = desk.log();
    assert!(!log.contains(&ward.id) && !log.contains(PIN), "{log}");
}

#[tokio::test]
async fn comfort_signatures_are_off_unless_configured() {
    let desk = Desk::with(&BOTH);
    let mut user = User::new(&desk).await;
    assert_eq!(refusal(&user.activate(PIN, 0, None).await.unwrap_err()).0, "COMFORT_DISABLED");
    assert_eq!(refusal(&user.sign().await.unwrap_err()).0, "COMFORT_DISABLED");
    assert_eq!(desk.records().await.iter().filter(|(_, outcome, _)| outcome == "OK").count(), 0);
}

#[test]
fn the_client_commands_keep_the_user_id_in_a_private_file() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::configured(&BOTH, ENABLED);
    let run = |arguments: &[&str]| {
        let mut command = desk.client_command(arguments);
        command.current_dir(desk.path(".")).env("TEST_PIN", PIN).output().unwrap()
    };
    let activated = run(&["comfort", "activate", "--user-file", "user", "--pin-env", "TEST_PIN", "--json"]);
    assert_eq!(json(&activated)["remaining_by_policy"], 100);
    assert_eq!(fs::metadata(desk.path("user")).unwrap().permissions().mode() & 0o777, 0o600);
    let user = fs::read_to_string(desk.path("user")).unwrap();
    assert!(!String::from_utf8_lossy(&activated.stdout).contains(user.trim()));
    let one =
        ["sign", "prescription.xml", "--out", "out.p7s", "--no-card", "none", "--comfort", "user", "--json"];
    assert_eq!(json(&run(&one))["comfort_session"]["signed"], 1);
    let many = ["sign-batch", "prescription.xml", "prescription.xml", "--out", "many", "--no-card", "none"];
    let said = json(&run(&[&many[..], &["--comfort", "user", "--json"]].concat()));
    assert_eq!((&said["signed"], &said["stopped"]), (&2.into(), &serde_json::Value::Null), "{said}");
    assert_eq!(json(&run(&["comfort", "show", "--user-file", "user", "--json"]))["signed"], 3);
    assert_eq!(json(&run(&["comfort", "end", "--user-file", "user", "--json"]))["signed"], 3);
    assert_eq!(json(&run(&one))["error"]["reason"], "NO_COMFORT_SESSION");
}

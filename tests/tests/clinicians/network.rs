//! A card at a service that is called over the network, pulled and put back: what its clinician had is worth nothing then,
//! and whoever watches the service sees why.

use serde_json::{Value, json};
use tests::artefacts::example;
use tests::cards::{CardImage, PIN_CH, PIN_QES};
use tests::network::{Caller, SIGNER, metrics};
use tests::programs::{program, run};
use tests::service::{Service, Setup};
use tests::simulator::{Simulator, socket_in};
use tests::waiting::until;

const USER: &str = "3f0d1c52-8a44-4c1e-9b57-2d6e70a1b9c3";

struct Desk {
    simulator: Simulator,
    service: Service,
    caller: Caller,
    prescription: String,
    _directory: tempfile::TempDir,
}

impl Desk {
    fn with(card: &CardImage) -> Desk {
        let directory = tempfile::tempdir().unwrap();
        let reader = socket_in(&directory, "hpc");
        let simulator = Simulator::start(&[(card, &reader)]);
        let (anchors, pki) = (card.anchors(), directory.path().join("pki"));
        let mut setup = Setup::on_readers(&[&reader], &anchors);
        setup.module_configuration.push_str("qes_batch = true\n");
        setup.further_configuration =
            "[comfort]\nenabled = true\n[clinicians]\nrevocation = \"off\"\n".into();
        let service = Service::start(setup.on_network(&pki));
        let caller = Caller::connect(&service, &pki);
        let prescription = run(program("base64", ["-w0"]).arg(example("prescription.xml"))).expect_success();
        Desk { simulator, service, caller, prescription: prescription.stdout, _directory: directory }
    }

    fn call(&mut self, call: &str, request: Value, token: &str) -> Value {
        self.caller.call(&format!("{SIGNER}/{call}"), &request, token)
    }

    fn slots(&mut self) -> Vec<String> {
        let listed = self.call("ListCards", json!({}), "");
        let tokens = listed["answer"]["tokens"].as_array().cloned().unwrap_or_default();
        tokens.iter().map(|token| token["slot"].as_str().unwrap().to_owned()).collect()
    }

    fn token(&mut self) -> String {
        let request = json!({ "pin": { "value": PIN_CH }, "scopes": ["prescription.sign"] });
        let said = self.call("AuthenticateClinician", request, "");
        said["answer"]["accessToken"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
    }

    fn sign(&mut self, token: &str, how: Value) -> Value {
        let mut request =
            json!({ "prescription": self.prescription, "noCard": { "reason": "the test has none" } });
        request.as_object_mut().unwrap().extend(how.as_object().unwrap().clone());
        self.call("SignPrescription", request, token)
    }

    /// Waits until health and metrics say of all these slots that their cards can be used, or not.
    fn expect_usable(&mut self, slots: &[String], usable: bool) {
        let health = if usable { "SERVING" } else { "NOT_SERVING" };
        until(health, || slots.iter().all(|slot| self.caller.health(&format!("card/{slot}")) == health));
        let line =
            |slot: &String| format!("hpc_signer_card_usable{{slot=\"{slot}\"}} {}\n", u8::from(usable));
        let text = metrics(&self.service);
        assert!(slots.iter().all(|slot| text.contains(&line(slot))), "{text}");
    }
}

fn refused(said: &Value) -> (&str, &str) {
    (said["code"].as_str().unwrap_or_else(|| panic!("{said}")), said["reason"].as_str().unwrap_or_default())
}

#[test]
fn a_pulled_card_ends_token_and_comfort_session_over_tls_and_is_seen_in_health_and_metrics() {
    let ada = CardImage::with("hpc-p384", &["--telematik-id", "1-HBA-ada"]);
    let bob = CardImage::with("hpc-p384", &["--telematik-id", "1-HBA-bob"]);
    let mut desk = Desk::with(&ada);
    let slots = desk.slots();
    assert_eq!(slots.len(), 2, "{slots:?}");
    desk.expect_usable(&slots, true);

    let with_pin = || json!({ "pin": { "value": PIN_QES } });
    let comfort = || json!({ "comfortUserId": USER });
    let token = desk.token();
    let none = desk.sign("", with_pin());
    assert_eq!(refused(&none), ("UNAUTHENTICATED", "TOKEN_REQUIRED"));
    let signed = desk.sign(&token, with_pin());
    assert!(signed["answer"]["cms"].is_string(), "{signed}");
    let activated = json!({ "pin": { "value": PIN_QES }, "userId": USER });
    let activated = desk.call("ActivateComfortSignature", activated, &token);
    assert!(activated["answer"]["session"].is_object(), "{activated}");
    let signed = desk.sign(&token, comfort());
    assert!(signed["answer"]["cms"].is_string(), "{signed}");
    let text = metrics(&desk.service);
    assert!(text.contains("hpc_signer_comfort_sessions{"), "{text}");

    let before = (desk.simulator.verifications(), desk.simulator.signatures());
    desk.simulator.eject(0);
    let pulled = desk.sign(&token, with_pin());
    assert_eq!(refused(&pulled), ("FAILED_PRECONDITION", "NO_CARD"));
    desk.expect_usable(&slots, false);
    until("the session ended", || !metrics(&desk.service).contains("hpc_signer_comfort_sessions{"));
    assert_eq!(desk.slots(), [""; 0]);

    // Somebody else's card in the same reader, and then the right one again.
    desk.simulator.swap(0, &bob);
    until("the other card is seen", || desk.slots().len() == 2);
    let foreign = desk.sign(&token, with_pin());
    assert_eq!(refused(&foreign), ("UNAUTHENTICATED", "TOKEN_NOT_VALID"), "{foreign}");
    desk.simulator.insert(0);
    until("the card is seen again", || desk.slots().len() == 2);
    let again = desk.sign(&token, with_pin());
    assert_eq!(refused(&again), ("UNAUTHENTICATED", "TOKEN_NOT_VALID"), "{again}");
    assert_eq!(again["metadata"]["why"], "ended");
    assert_eq!(
        (desk.simulator.verifications(), desk.simulator.signatures()),
        before,
        "a PIN or key was used"
    );

    desk.expect_usable(&slots, true);
    let fresh = desk.token();
    let ended = desk.sign(&fresh, comfort());
    assert_eq!(refused(&ended), ("FAILED_PRECONDITION", "NO_COMFORT_SESSION"));
    assert_eq!(ended["metadata"]["ended"], "card");
    let signed = desk.sign(&fresh, with_pin());
    assert!(signed["answer"]["cms"].is_string(), "{signed}");
    // The module counts what it sends, and the cards count what they get.
    until("the metrics have all commands", || {
        let sent =
            format!("hpc_signer_card_commands_total{{reader=\"{}\"}} ", slots[0].trim_end_matches(" ESIGN"));
        let text = metrics(&desk.service);
        let line = text.lines().find_map(|line| line.strip_prefix(&sent));
        line.unwrap_or_else(|| panic!("{text}")).parse() == Ok(desk.simulator.commands())
    });
    let (log, text) = (desk.service.log(), metrics(&desk.service));
    for secret in [token.as_str(), &fresh, USER, PIN_CH, PIN_QES, "1-HBA-ada", "1-HBA-bob"] {
        assert!(!text.contains(secret), "{secret} is in the metrics");
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

//! The service and cards over many signatures: one PIN and one command each, and everything that a card takes with it when
//! it is pulled.

use std::fs;

use tests::artefacts::example;
use tests::cards::{CardImage, PIN_CH, PIN_QES};
use tests::openssl::verified_content;
use tests::programs::run;
use tests::service::{Service, Setup};
use tests::simulator::{Simulator, socket_in};
use tests::waiting::until;

#[test]
fn a_batch_of_a_hundred_costs_one_pin_and_one_card_command_each() {
    for (profile, per_signature) in [("hpc-p384", 1), ("hba-g21", 1)] {
        let card = CardImage::of(profile);
        let directory = tempfile::tempdir().unwrap();
        let reader = socket_in(&directory, "hpc");
        let simulator = Simulator::start(&[(&card, &reader)]);
        let anchors = card.anchors();
        let mut setup = Setup::on_readers(&[&reader], &anchors);
        setup.module_configuration.push_str("qes_batch = true\n");
        let service = Service::start(setup);
        let (folder, out) = (directory.path().join("in"), directory.path().join("out"));
        fs::create_dir(&folder).unwrap();
        let text = fs::read_to_string(example("prescription.xml")).unwrap();
        for number in 0..100 {
            let content = text.replacen("<entry>", &format!("<!-- {number} --><entry>"), 1);
            fs::write(folder.join(format!("{number:02}.xml")), content).unwrap();
        }
        let batch = || {
            let mut batch =
                service.command(&["sign-batch", "--no-card", "none", "--batch-id", "b", "--json"]);
            batch
                .arg(&folder)
                .arg("--out")
                .arg(&out)
                .args(["--pin-env", "TEST_PIN"])
                .env("TEST_PIN", PIN_QES);
            run(&mut batch)
        };
        service.client(&["list-cards"]).expect_success();
        let before = (simulator.verifications(), simulator.signatures(), simulator.sent().len());
        let said = batch();
        assert!(said.success && said.stdout.contains("\"signed\": 100"), "{}", said.text());
        assert_eq!(simulator.verifications() - before.0, 1, "{profile}");
        assert_eq!(simulator.signatures() - before.1, 100, "{profile}");
        let sent = simulator.sent().len() - before.2;
        // Beside them: opening the application, the PIN, choosing the key, and locking the card.
        assert!(sent <= 100 * per_signature + 8, "{profile}: {sent} commands");
        for number in [0, 57, 99] {
            let content = fs::read(folder.join(format!("{number:02}.xml"))).unwrap();
            assert_eq!(verified_content(&out.join(format!("{number:02}.p7s")), &card.anchors()), content);
        }
        let again = batch();
        assert!(again.stdout.contains("\"replayed\": 100"), "{}", again.text());
        assert_eq!(simulator.signatures() - before.1, 100, "{profile}: something was signed twice");
    }
}

/// Serial numbers.
const CARDS: [&str; 6] = [
    "80276883110000100011",
    "80276883110000100022",
    "80276883110000100033",
    "80276883110000100044",
    "80276883110000100055",
    "80276883110000100066",
];

#[test]
fn cards_that_sign_at_once_are_each_asked_for_no_more_than_if_they_were_alone() {
    let cards: Vec<CardImage> =
        CARDS.iter().map(|number| CardImage::with("hpc-p384", &["--iccsn", number])).collect();
    let alone = commands_of_batches(&cards[..1])[0];
    let together = commands_of_batches(&cards);
    for (number, commands) in CARDS.iter().zip(together) {
        assert!(commands <= alone, "card {number}: {commands} commands beside others, {alone} alone");
    }
}

/// Commands that each card got from the start of a service on all of them to the end of a batch of five on each, all at
/// once.
fn commands_of_batches(cards: &[CardImage]) -> Vec<u64> {
    let directory = tempfile::tempdir().unwrap();
    let readers: Vec<String> =
        (0..cards.len()).map(|number| socket_in(&directory, &format!("{number}"))).collect();
    let plugged: Vec<_> = cards.iter().zip(&readers).map(|(card, reader)| (card, reader.as_str())).collect();
    let simulator = Simulator::start(&plugged);
    let anchors = cards[0].anchors();
    let readers: Vec<&str> = readers.iter().map(String::as_str).collect();
    let mut setup = Setup::on_readers(&readers, &anchors);
    setup.module_configuration.push_str("qes_batch = true\ncertificate_cache = false\n");
    let service = Service::start(setup);
    let folder = directory.path().join("in");
    fs::create_dir(&folder).unwrap();
    let text = fs::read_to_string(example("prescription.xml")).unwrap();
    for number in 0..5 {
        let content = text.replacen("<entry>", &format!("<!-- {number} --><entry>"), 1);
        fs::write(folder.join(format!("{number}.xml")), content).unwrap();
    }
    let running: Vec<_> = CARDS[..cards.len()]
        .iter()
        .map(|serial| {
            let mut batch = service.command(&["sign-batch", "--no-card", "none", "--serial", &serial[8..]]);
            batch.arg(&folder).arg("--out").arg(directory.path().join(serial));
            batch.args(["--pin-env", "TEST_PIN"]).env("TEST_PIN", PIN_QES).spawn().unwrap()
        })
        .collect();
    for mut one in running {
        assert!(one.wait().unwrap().success(), "{}", service.log());
    }
    (0..cards.len())
        .map(|reader| {
            let traffic = simulator.traffic(reader);
            assert_eq!(traffic.signatures, 5, "card {reader}");
            traffic.commands
        })
        .collect()
}

#[test]
fn a_pulled_card_takes_its_sessions_and_tokens_with_it() {
    let card = CardImage::of("hpc-p384");
    let directory = tempfile::tempdir().unwrap();
    let reader = socket_in(&directory, "hpc");
    let simulator = Simulator::start(&[(&card, &reader)]);
    let anchors = card.anchors();
    let mut setup = Setup::on_readers(&[&reader], &anchors);
    setup.module_configuration.push_str("qes_batch = true\n");
    setup.further_configuration =
        "[comfort]\nenabled = true\n[clinicians]\ntoken_required = \"always\"\ntoken_seconds = 3600\nrevocation = \"off\"\n".into();
    let service = Service::start(setup);
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (token, user, out) = (file("token"), file("user"), file("out.p7s"));
    let with_pin = |arguments: &[&str], pin: &str| {
        run(service.command(arguments).args(["--pin-env", "TEST_PIN"]).env("TEST_PIN", pin))
    };
    let authenticate = || {
        with_pin(&["authenticate", "--scope", "prescription.sign", "--token-file", &token], PIN_CH)
            .expect_success()
    };
    let prescription = example("prescription.xml");
    let sign = || {
        let arguments = [
            "sign",
            prescription.to_str().unwrap(),
            "--out",
            &out,
            "--no-card",
            "none",
            "--comfort",
            &user,
            "--token",
            &token,
            "--json",
        ];
        service.client(&arguments)
    };
    authenticate();
    with_pin(&["comfort", "activate", "--user-file", &user, "--token", &token], PIN_QES).expect_success();
    sign().expect_success();
    sign().expect_success();
    simulator.eject(0);
    simulator.insert(0);
    until("the card is seen again", || service.client(&["list-cards"]).stdout.contains("QES"));
    assert!(sign().stdout.contains("TOKEN_NOT_VALID"), "{}", sign().text());
    authenticate();
    let ended = sign();
    assert!(ended.stdout.contains("NO_COMFORT_SESSION"), "{}", ended.text());
    assert_eq!(simulator.signatures(), 2 + 2, "two for the clinician, two for prescriptions");
}

#[test]
fn the_last_try_is_used_only_when_asked_for() {
    let card = CardImage::with("hpc-p384", &[]);
    let directory = tempfile::tempdir().unwrap();
    let reader = socket_in(&directory, "hpc");
    let simulator = Simulator::start(&[(&card, &reader)]);
    let anchors = card.anchors();
    let service = Service::start(Setup::on_readers(&[&reader], &anchors));
    let sign = |pin: &str, more: &[&str]| {
        service.sign(&example("prescription.xml"), pin, &[&["--no-card", "none", "--json"], more].concat()).0
    };
    for left in [2, 1] {
        assert!(sign("999999", &[]).stdout.contains("PIN_WRONG"));
        assert_eq!(simulator.tries_left(0, "PIN.QES"), left);
    }
    let sent = simulator.verifications();
    for pin in ["999999", PIN_QES] {
        assert!(sign(pin, &[]).stdout.contains("PIN_LAST_TRY"));
    }
    assert_eq!((simulator.verifications(), simulator.tries_left(0, "PIN.QES")), (sent, 1), "it was sent");
    sign(PIN_QES, &["--last-try"]).expect_success();
    assert_eq!(simulator.tries_left(0, "PIN.QES"), 3);
    sign(PIN_QES, &[]).expect_success();
}

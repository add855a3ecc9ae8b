//! The login page of the service: a standard client library and a real browser log in with a card.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tests::artefacts::{python, root};
use tests::cards::{CardImage, PIN_CH};
use tests::chromium::Chromium;
use tests::desk::Desk;
use tests::programs::{Ran, program, run};
use tests::service::{Service, Setup};
use tests::simulator::{Simulator, socket_in};
use tests::waiting::until;

#[test]
fn a_standard_client_library_logs_in_with_each_card() {
    for profile in ["hpc-p384", "hba-g21"] {
        let directory = tempfile::tempdir().unwrap();
        let card = CardImage::of(profile);
        let reader = socket_in(&directory, "hpc");
        let simulator = Simulator::start(&[(&card, &reader)]);
        let anchors = card.anchors();
        let port = free_port();
        let _service = Service::start(with_page(Setup::on_readers(&[&reader], &anchors), port, "9"));
        let log_in = |pin: &str| application(&["login", &issuer(port), "http://127.0.0.1:9/back"], pin);

        let wrong = log_in("654321");
        assert!(
            !wrong.success && wrong.stderr.contains("Die PIN ist falsch."),
            "{profile}: {}",
            wrong.text()
        );
        let said = log_in(PIN_CH).expect_success();
        let said: Value = serde_json::from_str(&said.stdout).expect("JSON");
        assert_eq!(said["scope"], "openid prescription.sign", "{profile}");
        assert_eq!(said["refused"][0]["refused_by"], "client", "{profile}");
        let access = &said["access"];
        assert_eq!(access["professionOID"], "1.2.276.0.76.4.30", "{profile}: {access}");
        assert!(!access["idNummer"].as_str().unwrap().is_empty(), "{profile}");
        assert_eq!((&access["sub"], &access["iss"]), (&said["id"]["sub"], &said["id"]["iss"]), "{profile}");
        assert_eq!(simulator.answers_to_pins(), ["63C2", "9000"], "{profile}");
    }
}

#[test]
fn the_page_leaves_the_last_try_alone_unless_it_is_told_to_and_may() {
    for offered in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let card = CardImage::with("hpc-p384", &[]);
        let reader = socket_in(&directory, "hpc");
        let simulator = Simulator::start(&[(&card, &reader)]);
        let (anchors, port) = (card.anchors(), free_port());
        let mut setup = with_page(Setup::on_readers(&[&reader], &anchors), port, "9");
        let more = format!("[web]\nlast_try = {offered}\n");
        setup.further_configuration = setup.further_configuration.replace("[web]\n", &more);
        let _service = Service::start(setup);
        let log_in = |pin: &str| application(&["login", &issuer(port), "http://127.0.0.1:9/back"], pin);
        for _ in 0..2 {
            assert!(log_in("654321").stderr.contains("Die PIN ist falsch."));
        }
        let sent = simulator.verifications();
        assert_eq!(simulator.tries_left(0, "PIN.CH"), 1);
        let kept = log_in(PIN_CH);
        assert!(!kept.success && kept.stderr.contains("nur noch einen Versuch"), "{}", kept.text());
        let asked =
            run(command(&["login", &issuer(port), "http://127.0.0.1:9/back"], PIN_CH)
                .env("TEST_LAST_TRY", "1"));
        assert_eq!(asked.success, offered, "{}", asked.text());
        assert_eq!(simulator.verifications() - sent, usize::from(offered));
        assert_eq!(simulator.tries_left(0, "PIN.CH"), if offered { 3 } else { 1 });
    }
}

#[test]
fn a_card_that_is_pulled_between_login_and_token_gets_no_token() {
    let directory = tempfile::tempdir().unwrap();
    let card = CardImage::of("hpc-p384");
    let reader = socket_in(&directory, "hpc");
    let simulator = Simulator::start(&[(&card, &reader)]);
    let (anchors, port) = (card.anchors(), free_port());
    let service = Service::start(with_page(Setup::on_readers(&[&reader], &anchors), port, "9"));
    let log_in = |meanwhile: &dyn Fn()| -> Value {
        let mut command = command(&["pause", &issuer(port), "http://127.0.0.1:9/back"], PIN_CH);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "logged in\n");
        meanwhile();
        writeln!(child.stdin.take().unwrap()).unwrap();
        let said = serde_json::from_reader(said).unwrap();
        child.wait().unwrap();
        said
    };
    let gone = json!({ "error": "invalid_grant", "description": "code: the card left its reader" });
    assert_eq!(log_in(&|| simulator.eject(0)), gone);
    simulator.insert(0);
    let listed = || service.client(&["list-cards"]).stdout;
    until("the card is seen again", || listed().contains("ESIGN"));
    let back = || {
        simulator.eject(0);
        until("the card is gone", || !listed().contains("ESIGN"));
        simulator.insert(0);
        until("the card is seen again", || listed().contains("ESIGN"));
    };
    assert_eq!(log_in(&back), gone, "the card came back, but the login was before");
    let stayed = log_in(&|| {});
    assert_eq!(stayed["scope"], "openid prescription.sign", "{stayed}");
}

#[test]
fn a_browser_comes_from_a_page_and_goes_back_to_it_after_one_pin() {
    let desk = Desk::configured("hpc-p384", "qes = \"off\"");
    let (port, page) = (free_port(), free_port());
    let anchors = desk.card.anchors();
    let mut setup = with_page(Setup::on_readers(&["pcsc:"], &anchors), port, &page.to_string());
    let mut environment = Command::new("env");
    desk.dress(&mut environment);
    let value = |value: Option<&std::ffi::OsStr>| Some(value?.to_str()?.to_owned());
    let pairs =
        environment.get_envs().filter_map(|(name, set)| Some((name.to_str()?.to_owned(), value(set)?)));
    setup.environment.extend(pairs);
    let _service = Service::start(setup);
    let _page = Page::start(&issuer(port), page);

    let chromium = Chromium::start(&desk, &[]);
    let before = desk.simulator.answers_to_pins().len();
    chromium.open(&format!("http://127.0.0.1:{page}/"));
    // The cursor stands in the field for the PIN, and Enter submits the form.
    chromium.type_into_page("Log in by card", PIN_CH);
    chromium.expect_title("Welcome [0-9].*");
    assert_eq!(desk.simulator.answers_to_pins()[before..], ["9000"]);
}

fn issuer(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The login page on a port of this machine, for an application that waits on another.
fn with_page<'a>(mut setup: Setup<'a>, port: u16, back: &str) -> Setup<'a> {
    setup.arguments.push("--insecure-development".to_owned());
    setup.further_configuration = format!(
        "[clinicians]\nissuer = \"http://127.0.0.1:{port}\"\n[web]\ninsecure_tcp = \"127.0.0.1:{port}\"\n[[web.clients]]\n\
         id = \"page\"\nname = \"Ward\"\nredirect_uris = [\"http://127.0.0.1:{back}/back\"]\n\
         scopes = [\"openid\", \"prescription.sign\"]\n"
    );
    setup
}

fn application(arguments: &[&str], pin: &str) -> Ran {
    run(&mut command(arguments, pin))
}

fn command(arguments: &[&str], pin: &str) -> Command {
    let mut command = program(python(), [root().join("tests/python/web_application.py")]);
    command.args(arguments).arg("openid prescription.sign user/Task.r").env("TEST_PIN", pin);
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The application's own page; it ends with this value.
struct Page(Child);

impl Page {
    fn start(issuer: &str, port: u16) -> Page {
        let mut command = program(python(), [root().join("tests/python/web_application.py")]);
        command.args(["serve", issuer, &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let page = Page(command.spawn().unwrap());
        until("the application listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        page
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

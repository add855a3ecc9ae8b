//! Chromium 156, as `docs/clients/chromium.md` tells: pages that demand a certificate of the card.
//!
//! Chromium uses the NSS of the system, so it knows no brainpool curve either.

use tests::cards::PIN_CH;
use tests::chromium::Chromium;
use tests::desk::Desk;
use tests::tls::TlsServer;

/// A browser shows every token that it finds, so the slot of the other PIN stays away.
const SETTINGS: &str = "qes = \"off\"";

#[test]
fn a_card_inserted_after_the_start_opens_pages_after_one_wrong_pin() {
    let desk = Desk::configured("hpc-p384", SETTINGS);
    desk.simulator.eject(0);
    desk.wait_for_cards(0);
    let [newer, older, rsa, older_rsa] = [
        ("-tls1_3", "C.HP.AUT.E384", "Elliptic and newer"),
        ("-tls1_2", "C.HP.AUT.E384", "Elliptic and older"),
        ("-tls1_3", "C.HP.AUT.R2048", "Factors and newer"),
        ("-tls1_2", "C.HP.AUT.R2048", "Factors and older"),
    ]
    .map(|(version, object, title)| Site::open(&desk, version, object, title));
    let ports = [newer.port(), older.port(), rsa.port(), older_rsa.port()];
    let mut chromium = Chromium::start(&desk, &ports);
    desk.simulator.insert(0);
    desk.wait_for_cards(1);

    chromium.open(&newer.address());
    chromium.type_pin("654321");
    chromium.type_pin(PIN_CH);
    chromium.expect_title(newer.title);
    assert_eq!(
        desk.simulator.answers_to_pins(),
        ["63C2", "9000"],
        "one try for the wrong PIN, then the right one"
    );

    // The card is known and logged in.
    for site in [older, rsa, older_rsa] {
        let (commands, signatures) = (desk.simulator.commands(), desk.simulator.signatures());
        chromium.open(&site.address());
        chromium.expect_title(site.title);
        let signatures = desk.simulator.signatures() - signatures;
        assert!(signatures > 0, "{}", site.title);
        let sent = desk.simulator.sent().split_off(commands as usize);
        // The first signature with another key is two commands, each further one is one.
        assert!(sent.len() <= 1 + signatures, "{}, {signatures} signatures: {sent:#?}", site.title);
    }
    assert!(!chromium.asks(), "one login serves all pages");
    assert_eq!(desk.simulator.verifications(), 2);
}

#[test]
fn the_rsa_key_of_a_german_card_opens_a_page_with_one_login() {
    let desk = Desk::configured("hba-g21", SETTINGS);
    let site = Site::open(&desk, "-tls1_3", "C.HP.AUT.R2048", "German card");
    let mut chromium = Chromium::start(&desk, &[site.port()]);
    // The browser has found the card when it asks for the PIN.
    chromium.open(&site.address());
    chromium.type_pin(PIN_CH);
    chromium.expect_title(site.title);
    assert_eq!(desk.simulator.answers_to_pins(), ["9000"]);
}

/// A server with one version of TLS that lets in one key of the card, and a page that it shows those whom it lets in.
struct Site {
    server: TlsServer,
    title: &'static str,
}

impl Site {
    fn open(desk: &Desk, version: &str, object: &str, title: &'static str) -> Site {
        desk.file(&page(title), format!("<title>{title}</title><p>For the holder of a card."));
        let issuer = desk.card.issuer(object, desk.directory());
        Site { server: TlsServer::with_files(desk, &issuer, &[version]), title }
    }

    fn port(&self) -> &str {
        self.server.port()
    }

    fn address(&self) -> String {
        format!("https://localhost:{}/{}", self.port(), page(self.title))
    }
}

fn page(title: &str) -> String {
    format!("{}.html", title.replace(' ', "-"))
}

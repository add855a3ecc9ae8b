//! Firefox ESR 153, as `docs/clients/firefox.md` tells: pages that demand a certificate of the card.
//!
//! Firefox knows no brainpool curve; of the `hba-g21` card it uses the RSA keys.

use tests::cards::PIN_CH;
use tests::desk::Desk;
use tests::firefox::Firefox;
use tests::tls::{TlsServer, expect_page_of_the_holder};
use tests::waiting::until;

/// A browser shows every token that it finds, so the slot of the other PIN stays away.
const SETTINGS: &str = "qes = \"off\"";

const VERSIONS: [(&str, &str); 2] = [("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")];

#[test]
fn a_card_inserted_after_the_start_opens_pages_after_one_wrong_pin() {
    let desk = Desk::configured("hpc-p384", SETTINGS);
    desk.simulator.eject(0);
    desk.wait_for_cards(0);
    let mut firefox = Firefox::start(&desk);
    assert!(firefox.tokens().is_empty(), "{:?}", firefox.tokens());
    desk.simulator.insert(0);
    // Firefox looks at most once a second.
    until("Firefox sees the card", || firefox.tokens() == [desk.token()]);

    firefox.person_types(&["654321", PIN_CH]);
    opens_pages(&mut firefox, &desk, "C.HP.AUT.E384");
    assert_eq!(
        desk.simulator.answers_to_pins(),
        ["63C2", "9000"],
        "one try for the wrong PIN, then the right one"
    );
    opens_pages(&mut firefox, &desk, "C.HP.AUT.R2048");
    assert_eq!(firefox.asked_for().len(), 2, "{:?}", firefox.asked_for());

    // From here on the card is known: what does a page cost?
    firefox.log_out();
    firefox.person_types(&[PIN_CH]);
    let (commands, signatures) = (desk.simulator.commands(), desk.simulator.signatures());
    open_page(&mut firefox, &desk, "C.HP.AUT.E384", VERSIONS[0]);
    let signatures = desk.simulator.signatures() - signatures;
    let sent = desk.simulator.sent().split_off(commands as usize);
    // The login is one command, the first signature two, and each further one is one.
    assert!(sent.len() <= 1 + 2 + (signatures - 1), "{signatures} signatures: {sent:#?}");
    assert_eq!(sent.iter().filter(|command| command[2..4] == *"20").count(), 1, "{sent:#?}");
    assert_eq!(firefox.asked_for().len(), 3, "{:?}", firefox.asked_for());
    firefox.quit();
}

#[test]
fn the_rsa_key_of_a_german_card_opens_pages() {
    let desk = Desk::configured("hba-g21", SETTINGS);
    let mut firefox = Firefox::start(&desk);
    assert_eq!(firefox.tokens(), [desk.token()]);
    firefox.person_types(&[PIN_CH]);
    opens_pages(&mut firefox, &desk, "C.HP.AUT.R2048");
    let asked = firefox.asked_for();
    assert!(asked.len() == 1 && asked[0].contains(desk.token()), "{asked:?}");
    firefox.quit();
}

/// With both versions of TLS.
fn opens_pages(firefox: &mut Firefox, desk: &Desk, object: &str) {
    for version in VERSIONS {
        open_page(firefox, desk, object, version);
    }
}

/// A new server each time: a resumed session would need no signature.
fn open_page(firefox: &mut Firefox, desk: &Desk, object: &str, (option, version): (&str, &str)) {
    let signatures = desk.simulator.signatures();
    let issuer = desk.card.issuer(object, desk.directory());
    let server = TlsServer::demanding(desk, &issuer, &[option]);
    let page = firefox.page(&format!("https://localhost:{}/", server.port()));
    expect_page_of_the_holder(&page, version);
    let algorithm = if object.contains(".R") { "rsaEncryption" } else { "id-ecPublicKey" };
    assert!(page.contains(&format!("Public Key Algorithm: {algorithm}")), "{object}: {page}");
    assert!(desk.simulator.signatures() > signatures, "{object} {version}");
}

//! Certificates, roles and trusted channels between cards: the right status word for each wrong turn.

use card_simulator::ProfileName;
use tempfile::TempDir;

use crate::cards::*;

/// A professional's and an insurance card of one authority.
struct Pair {
    hba: TestCard,
    egk: TestCard,
    _authority: TempDir,
}

fn pair() -> Pair {
    let authority = TempDir::new().unwrap();
    let card = |profile| TestCard::issue(&new_card(profile).authority(authority.path()));
    Pair { hba: card(ProfileName::HbaG21), egk: card(ProfileName::EgkG21), _authority: authority }
}

/// A certificate in a file of the master file, without its outermost tag: reference of the issuer, of the holder, all.
struct Certificate {
    issuer: String,
    holder: String,
    contents: Vec<u8>,
}

fn certificate(card: &mut TestCard, sfid: u8) -> Certificate {
    let file = card.all_ok(&[MASTER, &format!("00B0{:02X}00000000", 0x80 | sfid)]);
    let contents = file[4..].to_vec();
    let after = |tag: &[u8], length: usize| {
        let place = contents.windows(tag.len()).position(|window| window == tag).unwrap() + tag.len();
        hex::encode(&contents[place..place + length])
    };
    let holder =
        if file.len() == 220 { after(&[0x5F, 0x20, 0x08], 8) } else { after(&[0x5F, 0x20, 0x0C], 12) };
    Certificate { issuer: after(&[0x01, 0x70, 0x42, 0x08], 8), holder, contents }
}

impl Certificate {
    fn choose_issuer(&self) -> String {
        format!("002281B60A8308{}", self.issuer)
    }

    fn verify(&self) -> String {
        verify(&self.contents)
    }
}

fn verify(contents: &[u8]) -> String {
    format!("002A00BE{:02X}{}", contents.len(), hex::encode(contents))
}

fn choose_card(holder: &str) -> String {
    format!("002281A411830C{holder}800100")
}

const CHALLENGE: &str = "0084000010";

/// Shows the card the chain of the other one.
fn import(card: &mut TestCard, authority: &Certificate, holder: &Certificate) {
    card.all_ok(&[
        &authority.choose_issuer(),
        &authority.verify(),
        &holder.choose_issuer(),
        &holder.verify(),
    ]);
}

#[test]
fn a_role_is_proven_once_per_challenge() {
    let Pair { mut hba, mut egk, .. } = pair();
    let (authority, role) = (certificate(&mut hba, 7), certificate(&mut hba, 6));
    egk.expect(&choose_card(&role.holder), 0x6A88);
    import(&mut egk, &authority, &role);
    egk.expect(&format!("00820000 40 {}", "11".repeat(64)), 0x6985);
    egk.expect(&choose_card(&role.holder), OK);
    egk.expect(&format!("00820000 40 {}", "11".repeat(64)), 0x6985);
    let challenge = egk.all_ok(&[CHALLENGE]);
    let number = egk.all_ok(&[MASTER, "00B082000C"])[4..].to_vec();
    let token = hex::encode([challenge.as_slice(), &number].concat());
    hba.expect(&format!("0088000018 {token} 00"), 0x6985);
    hba.expect("002241A406840106800100", OK);
    hba.expect(&format!("0088000018 {token} 00"), 0x6982);
    hba.all_ok(&[VERIFY_CH]);
    hba.expect(&format!("0088000017 {} 00", &token[2..]), 0x6A80);
    hba.expect(&format!("0088000018 {token}"), 0x6700);
    let proof = hba.all_ok(&[&format!("0088000018 {token} 00")]);
    let prove = format!("0082000040 {}", hex::encode(&proof));
    egk.expect(&prove, OK);
    egk.expect(&prove, 0x6985);
    egk.all_ok(&["00A4040C06D27600014407", "00B0900000"]);
    // A failed proof takes the role away.
    egk.all_ok(&[CHALLENGE]);
    egk.expect(&prove, 0x6300);
    egk.expect("00B0900000", 0x6982);
}

/// The whole role authentication.
fn prove(hba: &mut TestCard, egk: &mut TestCard) {
    let (authority, role) = (certificate(hba, 7), certificate(hba, 6));
    import(egk, &authority, &role);
    let number = egk.all_ok(&[MASTER, "00B082000C"])[4..].to_vec();
    let challenge = egk.all_ok(&[&choose_card(&role.holder), CHALLENGE]);
    let token = hex::encode([challenge.as_slice(), &number].concat());
    let proof = hba.all_ok(&[MASTER, VERIFY_CH, "002241A406840106800100", &format!("0088000018 {token} 00")]);
    egk.expect(&format!("0082000040 {}", hex::encode(&proof)), OK);
}

#[test]
fn a_role_that_may_write_changes_emergency_data_and_nothing_else_does() {
    const NFD: &str = "00A4040C06 D27600014407";
    let Pair { mut hba, mut egk, .. } = pair();
    egk.all_ok(&[NFD]);
    egk.expect("00D6900003 414243", 0x6982);
    egk.expect("0020000208 26123456FFFFFFFF", OK);
    egk.expect("00D6900003 414243", 0x6982);
    prove(&mut hba, &mut egk);
    let written = egk.all_ok(&[NFD, "00D6900003 414243", "00B0900003"]);
    assert_eq!(written, b"ABC");
    egk.expect("00D69E0001 31", 0x6A82);
    egk.expect("00D68E0001 31", OK);
    let beyond = format!("00D69000 00{:04X} {}", 1800, "00".repeat(1800));
    for offset in 0..6 {
        let at = format!("00D6{:04X} 00{:04X} {}", offset * 1800, 1800, "00".repeat(1800));
        egk.expect(if offset == 0 { &beyond } else { &at }, OK);
    }
    egk.expect(&format!("00D62A30 00{:04X} {}", 1800, "00".repeat(1800)), 0x6A84);
    egk.all_ok(&[NFD, "00D6900003 444546"]);
    egk.reopen();
    egk.expect(NFD, OK);
    egk.expect("00D6900001 31", 0x6982);
    egk.expect("00B0900003", 0x6982);
}

#[test]
fn the_log_keeps_the_last_fifty_accesses_newest_first() {
    const HCA: &str = "00A4040C06 D27600000102";
    let entry = |number: u8| format!("00E200302E {}", hex::encode([number; 46]));
    let Pair { mut hba, mut egk, .. } = pair();
    egk.expect(HCA, OK);
    egk.expect(&entry(1), 0x6982);
    prove(&mut hba, &mut egk);
    egk.expect(HCA, OK);
    egk.expect(&format!("00E200302D {}", hex::encode([1; 45])), 0x6700);
    egk.expect(&entry(1).replacen("00E200", "00E201", 1), 0x6A86);
    for number in 1..=52 {
        egk.expect(&entry(number), OK);
    }
    // Writing is the professional's, reading the patient's.
    egk.expect("00B2013400", 0x6982);
    egk.expect("0020000208 26123456FFFFFFFF", OK);
    for (record, number) in [(1, 52), (2, 51), (50, 3)] {
        assert_eq!(egk.all_ok(&[&format!("00B2{record:02X}3400")]), [number; 46]);
    }
    egk.expect("00B2333400", 0x6A83);
    egk.expect(&format!("00DC01342E {}", hex::encode([1; 46])), 0x6982);
}

#[test]
fn only_certificates_that_the_chosen_key_signed_are_taken() {
    let Pair { mut hba, mut egk, .. } = pair();
    let (authority, role) = (certificate(&mut hba, 7), certificate(&mut hba, 6));
    egk.expect(&authority.verify(), 0x6985);
    egk.expect("002281B60A8308 4445475858990222", 0x6A88);
    egk.expect(&role.choose_issuer(), 0x6A88);
    egk.expect(&authority.choose_issuer(), OK);
    egk.expect(&role.verify(), 0x6A88);
    egk.expect("002A00BE037F4E00", 0x6A80);
    let mut forged = authority.contents.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    egk.expect(&verify(&forged), 0x6A80);
    egk.expect(&authority.verify(), OK);
    egk.expect(&role.choose_issuer(), OK);
    let mut forged = role.contents.clone();
    // The first byte of the flags: a card that calls itself an authority.
    let flags = forged.windows(3).position(|window| window == [0x53, 0x07, 0x00]).unwrap() + 2;
    forged[flags] = 0x80;
    egk.expect(&verify(&forged), 0x6A80);
    egk.expect(&role.verify(), OK);
}

#[test]
fn an_authoritys_key_is_kept_and_a_cards_key_is_not() {
    let Pair { mut hba, mut egk, .. } = pair();
    let (authority, role) = (certificate(&mut hba, 7), certificate(&mut hba, 6));
    let before = egk.all_ok(&["80CA0100000000"]);
    assert_eq!(before.len(), 46, "two roots");
    import(&mut egk, &authority, &role);
    let list = hex::encode(egk.all_ok(&["80CA0100000000"]));
    assert!(list.contains(&format!("b60a8308{}", authority.holder)), "{list}");
    assert!(list.contains(&format!("a40e830c{}", role.holder)), "{list}");
    egk.expect("80CA010020", 0x6200);
    egk.expect("80CA000000", 0x6A86);
    egk.expect("80CA0100", 0x6700);
    egk.reopen();
    egk.expect(&choose_card(&role.holder), 0x6A88);
    egk.expect(&role.choose_issuer(), OK);
}

#[test]
fn a_trusted_channel_wants_the_other_cards_certificate_first() {
    let Pair { mut hba, mut egk, .. } = pair();
    let (authority, device) = (certificate(&mut hba, 7), certificate(&mut hba, 9));
    let begin = format!("10860000107C0EC30C{}00", device.holder);
    egk.expect(&begin, 0x6985);
    egk.expect("002241A406840109800154", OK);
    egk.expect(&begin, 0x6A88);
    import(&mut egk, &authority, &device);
    let answer = egk.all_ok(&[&begin]);
    assert_eq!((&answer[..5], answer.len()), (&[0x7C, 0x43, 0x85, 0x41, 0x04][..], 69));
    egk.expect(&format!("00860000457C43854104{}", "11".repeat(64)), 0x6A80);
    egk.expect("002241A406840109800154", OK);
    let answer = egk.all_ok(&[&begin]);
    // The card's own point is on the curve; nobody knows the keys that follow, but the card has them now.
    egk.expect(&format!("0086000045{}", hex::encode(answer)), OK);
    egk.expect(MASTER, 0x6988);
}

//! Many cards in one program, orders to it, and cards that fail on purpose.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};

use card_simulator::{NewCard, ProfileName, RsaKeyPool};

use crate::{ask, run, simulator};

fn issue(directory: &Path, profile: ProfileName) {
    NewCard::new(profile).rsa_keys(RsaKeyPool::Shared).create(directory).unwrap();
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

#[test]
fn a_hundred_cards_in_a_hundred_readers_keep_their_own_states() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (name, profile) in [("egk", ProfileName::EgkG21), ("hpc", ProfileName::HpcP384)] {
        issue(&path(name), profile);
    }
    let mut plugs = Vec::new();
    for number in 0..100 {
        let image = path(&format!("card{number}"));
        copy(&path(if number % 2 == 0 { "egk" } else { "hpc" }), &image);
        plugs.push(format!("{}=socket:{}/{number}.sock", image.display(), directory.path().display()));
    }
    let (first, more) = plugs.split_first().unwrap();
    let more: Vec<&str> = more.iter().flat_map(|plug| ["--plug", plug]).collect();
    let (mut child, _out) = run(first, &more);
    let mut streams: Vec<_> =
        (0..100).map(|number| UnixStream::connect(path(&format!("{number}.sock"))).unwrap()).collect();
    // PIN.CH of card n gets n mod 3 wrong entries, all cards in turn.
    for round in 0..3 {
        for (number, stream) in streams.iter_mut().enumerate() {
            if round < number % 3 {
                let tries = 2 - u8::try_from(round).unwrap();
                assert_eq!(ask(stream, "002000010826999999FFFFFFFF"), [0x63, 0xC0 + tries], "card {number}");
            }
        }
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        let tries = 3 - u8::try_from(number % 3).unwrap();
        assert_eq!(ask(stream, "80200001"), [0x63, 0xC0 + tries], "card {number}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn tell(socket: &Path, order: &[&str]) -> Output {
    simulator().arg("tell").arg(socket).args(order).output().unwrap()
}

#[test]
fn cards_are_inserted_removed_and_reset_by_command() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    issue(&path("card"), ProfileName::HpcP384);
    let plug = format!("{}=socket:{}", path("card").display(), path("card.sock").display());
    let control = path("control.sock");
    let (mut child, _out) = run(&plug, &["--control", control.to_str().unwrap()]);
    let mut stream = UnixStream::connect(path("card.sock")).unwrap();
    let status = |stream: &mut UnixStream| ask(stream, "07");
    let done = |order: &[&str]| {
        let output = tell(&control, order);
        assert!(output.status.success(), "{order:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(ask(&mut stream, "002000010826123456FFFFFFFF"), [0x90, 0]);
    done(&["reset", "card"]);
    assert!(ask(&mut stream, "80200001").is_empty(), "a reset is noticed");
    assert!(!ask(&mut stream, "04").is_empty());
    assert_eq!(ask(&mut stream, "80200001"), [0x63, 0xC3], "and ends what was verified");
    done(&["eject", "card"]);
    assert_eq!(status(&mut stream), [0, 0, 0, 0, 1]);
    assert!(done(&["cards"]).ends_with(" removed\n"));
    done(&["insert", path("card").to_str().unwrap()]);
    assert_eq!(status(&mut stream), [1, 0, 0, 0, 2]);
    assert!(!ask(&mut stream, "04").is_empty());
    done(&["fault", "card", "answer:6F00"]);
    assert_eq!(ask(&mut stream, "80200001"), [0x6F, 0]);
    assert_eq!(ask(&mut stream, "80200001"), [0x63, 0xC3]);
    assert!(done(&["commands", "card"]).trim().parse::<u64>().unwrap() >= 4);
    for refused in [&["insert", "card"][..], &["eject", "nobody"], &["fault", "card", "explode"], &["dance"]]
    {
        assert!(!tell(&control, refused).status.success(), "{refused:?}");
    }
    assert!(Command::new("sh").args(["-c", &format!("kill {}", child.id())]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    assert!(!control.exists());
}

#[test]
fn cards_misbehave_as_planned() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    issue(&path("card"), ProfileName::EgkG21);
    let plug = format!("{}=socket:{}", path("card").display(), path("card.sock").display());
    let faults = ["--fault", "2=answer:6F00", "--fault", "3=noise", "--fault", "4+=truncate"];
    let (mut child, _out) = run(&plug, &faults);
    let mut stream = UnixStream::connect(path("card.sock")).unwrap();
    let read = "00B0910000";
    let answer = ask(&mut stream, read);
    assert!(answer.len() > 20 && answer.starts_with(&[0xEF]));
    assert_eq!(ask(&mut stream, read), [0x6F, 0]);
    let noise = ask(&mut stream, read);
    assert!(noise.len() == answer.len() && noise != answer);
    for number in 4..=9 {
        let expected = if number % 4 == 0 { &answer[..answer.len() / 2] } else { &answer };
        assert_eq!(ask(&mut stream, read), expected, "command {number}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let wrong = simulator().args(["run", "--plug", &plug, "--fault", "0=pull"]).output().unwrap();
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("is no fault"));
}

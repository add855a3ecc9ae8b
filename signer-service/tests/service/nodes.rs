//! Several services on one PostgreSQL: one signature per key, a chain per node, and no lie when something dies.

use std::{collections::HashMap, fs, process::Output, thread, time::Duration};

use crate::{
    postgres::Postgres,
    support::{BOTH, Desk, PIN, json, prescriptions},
};

const ROUNDS: usize = 12;

fn node(postgres: &Postgres) -> Desk {
    Desk::configured(&BOTH, &format!("[audit]\ndatabase = \"{}\"\n", postgres.url()))
}

fn sign(desk: &Desk, key: &str) -> (Output, Option<Vec<u8>>) {
    (desk.sign_with_key("prescription.xml", PIN, key), fs::read(desk.path("out.p7s")).ok())
}

/// Signs, as often as the key is said to be at work elsewhere.
fn sign_in_turn(desk: &Desk, key: &str) -> (Output, Option<Vec<u8>>) {
    loop {
        let (output, signature) = sign(desk, key);
        if output.status.success() || json(&output)["error"]["reason"] != "KEY_AT_WORK" {
            return (output, signature);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nodes_that_race_for_a_key_sign_once_and_keep_a_chain_each() {
    let postgres = Postgres::start();
    let nodes = [node(&postgres), node(&postgres)];
    let mut signed_by = [0, 0];
    for round in 0..ROUNDS {
        let key = format!("race-{round}");
        let answers = thread::scope(|scope| {
            let racers = nodes.each_ref().map(|node| scope.spawn(|| sign(node, &key)));
            racers.map(|racer| racer.join().unwrap())
        });
        let mut fresh = Vec::new();
        for (number, (output, _)) in answers.iter().enumerate() {
            let said = json(output);
            if !output.status.success() {
                assert_eq!(said["error"]["reason"], "KEY_AT_WORK", "{said}");
            } else if said["replayed"] == false {
                fresh.push(number);
            }
        }
        assert_eq!(fresh.len(), 1, "one node signs");
        signed_by[fresh[0]] += 1;
        // Whoever asks again gets the same signature from either node.
        for node in &nodes {
            let (output, again) = sign_in_turn(node, &key);
            assert_eq!(json(&output)["replayed"], true);
            assert_eq!(again, answers[fresh[0]].1);
        }
    }
    let records = nodes.each_ref().map(Desk::verify_audit);
    assert!(records[0] >= signed_by[0] + ROUNDS && records[1] >= signed_by[1] + ROUNDS, "{records:?}");
}

#[test]
fn a_node_that_dies_at_work_loses_its_key_to_the_others() {
    let postgres = Postgres::start();
    let (mut mortal, other) = (node(&postgres), node(&postgres));
    for milliseconds in [1, 8, 15, 25, 40, 80] {
        let key = format!("death-{milliseconds}");
        let id = mortal.service().id().to_string();
        let first = thread::scope(|scope| {
            let first = scope.spawn(|| sign(&mortal, &key));
            thread::sleep(Duration::from_millis(milliseconds));
            mortal.tool("kill", &["-9", &id]);
            first.join().unwrap()
        });
        let (output, signature) = sign_in_turn(&other, &key);
        assert!(output.status.success(), "{}", json(&output));
        if first.0.status.success() {
            assert_eq!(first.1, signature, "what was handed out is the one signature");
        }
        mortal.kill_and_start();
        assert_eq!(sign(&mortal, &key).1, signature);
    }
    mortal.verify_audit();
    other.verify_audit();
}

#[test]
fn a_database_that_dies_refuses_and_comes_back() {
    let mut postgres = Postgres::start();
    let desk = node(&postgres);
    assert!(sign(&desk, "before").0.status.success());
    postgres.cut();
    for key in ["", "meanwhile", "before"] {
        let (output, signature) = sign(&desk, key);
        assert_eq!(json(&output)["error"]["reason"], "AUDIT_FAILED", "{}", json(&output));
        assert!(signature.is_none(), "what cannot be recorded is not handed out");
    }
    postgres.begin();
    assert_eq!(json(&sign_in_turn(&desk, "meanwhile").0)["replayed"], false);
    assert_eq!(json(&sign_in_turn(&desk, "before").0)["replayed"], true);
    assert_eq!(desk.verify_audit(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_restarted_stops_a_batch_that_is_then_taken_up_again() {
    let mut postgres = Postgres::start();
    let desk = node(&postgres);
    fs::create_dir(desk.path("in")).unwrap();
    for (number, content) in prescriptions(150).into_iter().enumerate() {
        fs::write(desk.path(&format!("in/{number:03}.xml")), content).unwrap();
    }
    let batch = || {
        let mut sign =
            desk.client_command(&["sign-batch", "--json", "--batch-id", "ward", "--no-card", "none"]);
        sign.arg(desk.path("in")).arg("--out").arg(desk.path("out")).args(["--pin-env", "TEST_PIN"]);
        json(&sign.env("TEST_PIN", PIN).output().unwrap())
    };
    let signatures = || {
        let files = fs::read_dir(desk.path("out")).unwrap().flatten();
        files.map(|file| (file.file_name(), fs::read(file.path()).unwrap())).collect::<HashMap<_, _>>()
    };
    let stopped = thread::scope(|scope| {
        let signing = scope.spawn(batch);
        while fs::read_dir(desk.path("out")).map_or(0, Iterator::count) < 10 && !signing.is_finished() {
            thread::sleep(Duration::from_millis(5));
        }
        postgres.cut();
        signing.join().unwrap()
    });
    assert_eq!(stopped["stopped"]["reason"], "AUDIT_FAILED", "{stopped}");
    let before = signatures();
    assert!((10..150).contains(&before.len()), "{} signatures", before.len());
    postgres.begin();
    let end = batch();
    assert_eq!(
        (&end["stopped"], &end["refused"], &end["left"]),
        (&serde_json::Value::Null, &0.into(), &0.into()),
        "{end}"
    );
    let after = signatures();
    assert_eq!(after.len(), 150);
    assert!(before.iter().all(|(name, cms)| after[name] == *cms), "something was signed twice");
    let fresh = end["signed"].as_u64().unwrap();
    assert!(fresh + end["replayed"].as_u64().unwrap() == 150 && fresh <= 150 - before.len() as u64, "{end}");
    desk.verify_audit();
}

#[test]
fn a_password_in_the_configuration_is_not_repeated() {
    let desk = Desk::with(&BOTH);
    let config = fs::read_to_string(desk.path("config.toml")).unwrap();
    let with = |database: &str| {
        fs::write(desk.path("config.toml"), format!("{config}[audit]\ndatabase = \"{database}\"\n")).unwrap();
        let output = desk.serve_command(&["--check"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let missing = with("postgres://signer:geheim@localhost/none?host=/nowhere");
    assert!(
        missing.contains("audit.database: postgres://localhost/none: expected a PostgreSQL server"),
        "{missing}"
    );
    let foreign = with("mysql://signer:geheim@localhost/none");
    assert!(foreign.contains("expected a path, or postgres://"), "{foreign}");
    assert!(!format!("{missing}{foreign}").contains("geheim"), "{missing}{foreign}");
}

//! A card that answers anything to everything.

use proptest::prelude::*;

use super::*;
use crate::apdu::Command;
use crate::egk;

struct Hostile {
    answers: Vec<Vec<u8>>,
    commands: usize,
    verifies: usize,
}

/// Shared with the test, because the card under test owns its transport.
#[derive(Clone)]
struct Line(std::sync::Arc<std::sync::Mutex<Hostile>>);

impl Transport for Line {
    fn atr(&self) -> &[u8] {
        &[]
    }

    /// The answers in turn, again and again; an answer too short for a status word is a broken exchange.
    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let mut card = self.0.lock().unwrap();
        let is_verify = matches!(command.header(), [cla, 0x20, ..] if cla & 0x80 == 0);
        card.verifies += usize::from(is_verify);
        let index = card.commands % card.answers.len();
        card.commands += 1;
        Ok(Response::parse(&card.answers[index])?)
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

fn line(answers: Vec<Vec<u8>>) -> Line {
    Line(std::sync::Arc::new(std::sync::Mutex::new(Hostile { answers, commands: 0, verifies: 0 })))
}

fn answer() -> impl Strategy<Value = Vec<u8>> {
    let status =
        prop::sample::select(vec![0x9000u16, 0x6282, 0x6281, 0x6700, 0x6B00, 0x63C2, 0x6982, 0x6881, 0x6985]);
    let data = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 0..40),
        Just(script::bytes("6282FFFF")),
        Just(script::bytes("3083FFFFFF00")),
        Just(script::bytes("3080308030803080")),
        Just(script::bytes("5A0A80276883110000220885")),
        Just(script::bytes("01")),
    ];
    prop_oneof![
        9 => (data, status).prop_map(|(mut data, status)| {
            data.extend_from_slice(&status.to_be_bytes());
            data
        }),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

proptest! {
    /// At most: 6 files of 130 reads each, and a few commands besides.
    #[test]
    fn a_card_that_lies_is_survived(answers in prop::collection::vec(answer(), 1..16)) {
        let fcp = script::bytes(&script::fcp("F04850433338342E4D46"));
        let gdo = script::bytes("5A0A80276883110000220885 9000");
        let line = line([vec![fcp, gdo], answers].concat());
        if let Ok(mut hpc) = Hpc::open(Box::new(line.clone())) {
            for application in [Application::Esign, Application::Qes] {
                let before = line.0.lock().unwrap().verifies;
                let _ = hpc.verify_pin(application, &pin());
                prop_assert!(line.0.lock().unwrap().verifies <= before + 1);
                let _ = hpc.signatures_per_pin(application);
                for key in 1..=6 {
                    let _ = hpc.sign(key, SignatureScheme::Ecdsa, &QES_DIGEST);
                }
            }
        }
        prop_assert!(line.0.lock().unwrap().commands < 1000);
    }

    #[test]
    fn an_insurance_card_that_lies_is_survived(answers in prop::collection::vec(answer(), 1..16)) {
        let fcp = script::bytes(&script::fcp("D2760001448000"));
        let mut line = line([vec![fcp], answers].concat());
        let _ = egk::read(&mut line);
        prop_assert!(line.0.lock().unwrap().commands < 1000);
    }
}

//! Vectors of others, and what a tampering card achieves.

use serde::Deserialize;

use super::*;
use crate::script::bytes;

#[derive(Deserialize)]
struct Vectors {
    enc: String,
    mac: String,
    commands: Vec<(u64, String, String)>,
    answers: Vec<(u64, String, String)>,
    refused: Vec<(u64, String)>,
}

fn vectors() -> Vectors {
    toml::from_str(include_str!("../../testdata/secure-messaging.toml")).unwrap()
}

fn keys(vectors: &Vectors) -> SessionKeys {
    let key = |text: &str| Key::Aes128(Zeroizing::new(<[u8; 16]>::try_from(bytes(text)).unwrap()));
    SessionKeys { enc: key(&vectors.enc), mac: key(&vectors.mac) }
}

/// A channel whose next message has this number.
fn channel(number: u64) -> Channel {
    let mut channel = Channel::new(&keys(&vectors()));
    channel.counter = u128::from(number) - 1;
    channel
}

/// A command from its bytes, in any of the forms of ISO/IEC 7816-3.
pub(crate) fn command(text: &str) -> Command {
    let bytes = bytes(text);
    let (header, body) = bytes.split_first_chunk::<4>().unwrap();
    let new = Command::new(header[0], header[1], header[2], header[3]);
    let short = |le: u8| Le::Short(if le == 0 { 256 } else { le.into() });
    let long = |le: [u8; 2]| match u16::from_be_bytes(le) {
        0 => Le::EXTENDED_WILDCARD,
        le => Le::Extended(le.into()),
    };
    match body {
        [] => new,
        [le] => new.le(short(*le)),
        [0, high, low] => new.le(long([*high, *low])),
        [0, high, low, rest @ ..] => {
            let (data, le) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            let new = new.data(data);
            match le {
                [] => new,
                [high, low] => new.le(long([*high, *low])),
                [le] => new.le(short(*le)),
                _ => panic!("{text}"),
            }
        }
        [lc, rest @ ..] => {
            let (data, le) = rest.split_at(usize::from(*lc));
            let new = new.data(data);
            if let [le] = le { new.le(short(*le)) } else { new }
        }
    }
}

#[test]
fn commands_are_secured_as_the_vectors_say() {
    for (number, plain, secured) in vectors().commands {
        let ours = channel(number).protect(&command(&plain));
        let theirs = command(&secured);
        // Both outer forms are right; the vectors have either.
        assert_eq!(ours.header(), theirs.header(), "{plain}");
        assert_eq!(hex::encode(ours.data_bytes()), hex::encode(theirs.data_bytes()), "{plain}");
        assert_ne!(ours.expected(), Le::None);
    }
}

#[test]
fn answers_are_opened_as_the_vectors_say() {
    for (number, secured, plain) in vectors().answers {
        let answer = Response::parse(&bytes(&secured)).unwrap();
        let expected = Response::parse(&bytes(&plain)).unwrap();
        assert_eq!(channel(number).open(&answer), Ok(expected), "{secured}");
    }
}

#[test]
fn damaged_answers_are_refused() {
    let vectors = vectors();
    assert_eq!(vectors.refused.len(), 6);
    for (number, secured) in vectors.refused {
        let answer = Response::parse(&bytes(&secured)).unwrap();
        channel(number).open(&answer).unwrap_err();
    }
    for (number, secured, _) in vectors.answers {
        let whole = bytes(&secured);
        for position in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[position] ^= 1;
            let answer = Response::parse(&damaged).unwrap();
            channel(number).open(&answer).unwrap_err();
        }
        let answer = Response::parse(&whole).unwrap();
        assert_eq!(channel(number + 1).open(&answer), Err(ChannelError::Mac), "a repeated answer");
    }
}

#[test]
fn an_answer_without_objects_ends_the_channel() {
    let answer = Response { data: Vec::new(), status: StatusWord(0x6988) };
    assert_eq!(channel(2).open(&answer), Err(ChannelError::Ended { status: StatusWord(0x6988) }));
}

#[test]
fn a_secret_stays_secret_in_a_secured_command() {
    let verify = Command::new(0x00, 0x20, 0x00, 0x01).data([0x26, 0x12, 0x34, 0x56]).sensitive();
    let secured = channel(1).protect(&verify);
    assert!(secured.is_sensitive());
    assert_eq!(format!("{secured:?}"), "0C200001 Lc=29 Le=256");
}

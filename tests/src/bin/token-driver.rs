//! A PKCS#11 host for tests: loads the module of `TOKEN_DRIVER_MODULE`, then does what each line of standard input
//! says and answers with one line. So a test can act on the card between two calls, and a crash is a crash of this
//! process.
//!
//! | line | answer |
//! |---|---|
//! | `objects TOKEN` | labels of its objects |
//! | `login TOKEN PIN`, `logout TOKEN` | `ok` |
//! | `sign TOKEN LABEL HEX` | the signature over the digest, hex |
//! | `rate TOKEN LABEL HEX COUNT` | nanoseconds that so many signatures took |
//! | `event` | the number of the slot where a card came or went; waits for it |
//! | `memory` | resident set of this process in KiB |
//! | `raw HEX COUNT` | nanoseconds that so many exchanges of this command with the first card in a PC/SC reader took |
//!
//! TOKEN is the end of a token label, LABEL that of a key, `*` the first there is; of keys, the first that
//! signs. An error is answered with `error` and its PKCS#11 name.

use std::collections::HashMap;
use std::io::{BufRead, stdin};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;

const ANY: &str = "*";

fn main() {
    let mut host = None;
    for line in stdin().lock().lines() {
        let line = line.expect("standard input is text");
        match answer(&mut host, &line) {
            Ok(text) => println!("{text}"),
            Err(error) => println!("error {error:#}"),
        }
    }
}

/// Loaded at the first use, so that `memory` can be asked before.
struct Host {
    module: Pkcs11,
    sessions: HashMap<String, Session>,
}

fn answer(host: &mut Option<Host>, line: &str) -> Result<String> {
    let words: Vec<&str> = line.split(' ').collect();
    if words == ["memory"] {
        return memory();
    }
    if host.is_none() {
        *host = Some(Host::load()?);
    }
    let host = host.as_mut().context("the module was just loaded")?;
    match words[..] {
        ["objects", token] => host.objects(token),
        ["login", token, pin] => {
            host.session(token)?.login(UserType::User, Some(&AuthPin::new(pin.into())))?;
            Ok("ok".into())
        }
        ["event"] => Ok(host.module.wait_for_slot_event()?.id().to_string()),
        ["logout", token] => {
            host.session(token)?.logout()?;
            Ok("ok".into())
        }
        ["rate", token, label, digest, count] => host
            .rate(token, label, &hex::decode(digest)?, count.parse()?)
            .map(|time| time.as_nanos().to_string()),
        ["raw", command, count] => {
            raw(&hex::decode(command)?, count.parse()?).map(|time| time.as_nanos().to_string())
        }
        ["sign", token, label, digest] => host.sign(token, label, &hex::decode(digest)?).map(hex::encode),
        _ => bail!("not understood: {line}"),
    }
}

impl Host {
    fn load() -> Result<Host> {
        let path = std::env::var("TOKEN_DRIVER_MODULE").context("TOKEN_DRIVER_MODULE names the module")?;
        let module = Pkcs11::new(path)?;
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
        Ok(Host { module, sessions: HashMap::new() })
    }

    /// The session on a token; a new one if the old one ended with its card.
    fn session(&mut self, token: &str) -> Result<&Session> {
        let alive = self.sessions.get(token).is_some_and(|session| session.get_session_info().is_ok());
        if !alive {
            self.sessions.remove(token);
            for slot in self.module.get_slots_with_token()? {
                if self.module.get_token_info(slot)?.label().trim_end().ends_with(token) || token == ANY {
                    self.sessions.insert(token.to_owned(), self.module.open_ro_session(slot)?);
                    break;
                }
            }
        }
        self.sessions.get(token).ok_or_else(|| anyhow!("no token {token}"))
    }

    fn objects(&mut self, token: &str) -> Result<String> {
        let session = self.session(token)?;
        let mut labels = Vec::new();
        for object in session.find_objects(&[])? {
            for attribute in session.get_attributes(object, &[AttributeType::Label])? {
                if let Attribute::Label(label) = attribute {
                    labels.push(String::from_utf8_lossy(&label).into_owned());
                }
            }
        }
        Ok(labels.join(" "))
    }

    fn sign(&mut self, token: &str, label: &str, digest: &[u8]) -> Result<Vec<u8>> {
        let session = self.session(token)?;
        let (mechanism, key) = private_key(session, label)?;
        Ok(session.sign(&mechanism, key, digest)?)
    }

    fn rate(&mut self, token: &str, label: &str, digest: &[u8], count: u32) -> Result<Duration> {
        let session = self.session(token)?;
        let (mechanism, key) = private_key(session, label)?;
        let start = Instant::now();
        for _ in 0..count {
            session.sign(&mechanism, key, digest)?;
        }
        Ok(start.elapsed())
    }
}

fn private_key(session: &Session, label: &str) -> Result<(Mechanism<'static>, ObjectHandle)> {
    let which = if label == ANY { Attribute::Sign(true) } else { Attribute::Label(label.into()) };
    let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), which];
    let key = *session.find_objects(&wanted)?.first().ok_or_else(|| anyhow!("no key {label}"))?;
    Ok((mechanism(session, key)?, key))
}

fn mechanism(session: &Session, key: ObjectHandle) -> Result<Mechanism<'static>> {
    let attributes = session.get_attributes(key, &[AttributeType::KeyType])?;
    Ok(match attributes.first() {
        Some(Attribute::KeyType(KeyType::EC)) => Mechanism::Ecdsa,
        _ => Mechanism::RsaPkcsPss(PkcsPssParams {
            hash_alg: cryptoki::mechanism::MechanismType::SHA256,
            mgf: PkcsMgfType::MGF1_SHA256,
            s_len: 32.into(),
        }),
    })
}

/// One command again and again through PC/SC, as the module sends it, but without the module.
fn raw(command: &[u8], count: u32) -> Result<Duration> {
    let context = pcsc::Context::establish(pcsc::Scope::User)?;
    let readers = context.list_readers_owned()?;
    let connect =
        |name: &std::ffi::CString| context.connect(name, pcsc::ShareMode::Shared, pcsc::Protocols::ANY).ok();
    let mut card = readers.iter().find_map(connect).context("no card")?;
    let mut answer = [0; pcsc::MAX_BUFFER_SIZE];
    let start = Instant::now();
    for _ in 0..count {
        let transaction = card.transaction()?;
        if !transaction.transmit(command, &mut answer)?.ends_with(&[0x90, 0x00]) {
            bail!("the card refuses");
        }
    }
    Ok(start.elapsed())
}

fn memory() -> Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS is missing")?;
    Ok(line.trim().trim_end_matches(" kB").to_owned())
}

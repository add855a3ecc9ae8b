//! Test PINs of new cards.

use super::IssueError;
use crate::image::{Digest, PasswordState};
use crate::layout::{Dialect, Layout, Password, Secret, Transport};

/// PINs, PUK and CAN of a new card, decimal digits where nothing else is said. The defaults are for tests and known to everybody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// PIN.CH, or the only PIN of a card, 6 to 8 digits.
    pub pin_ch: String,
    /// PIN.QES, 6 to 8 digits.
    pub pin_qes: String,
    /// PIN of the representative for medication data on an insurance card, 6 to 8 digits.
    pub pin_representative: String,
    /// PIN of cards whose PINs have four digits.
    pub pin_four: String,
    /// PIN for signatures of cards where it has 6 to 16 capital letters and digits.
    pub pin_letters: String,
    /// PUK of all PINs, 8 digits.
    pub puk: String,
    /// PUK of cards where it has 12 digits.
    pub puk_twelve: String,
    /// Card access number, 6 digits.
    pub can: String,
}

impl Default for Secrets {
    fn default() -> Secrets {
        Secrets {
            pin_ch: "123456".to_owned(),
            pin_qes: "234567".to_owned(),
            pin_representative: "345678".to_owned(),
            pin_four: "1234".to_owned(),
            pin_letters: "ABC123".to_owned(),
            puk: "12345678".to_owned(),
            puk_twelve: "123456789012".to_owned(),
            can: "123123".to_owned(),
        }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// First state of the passwords, and the values to tell the user.
pub(super) struct Passwords {
    pub(super) states: Vec<(&'static Password, PasswordState)>,
    pub(super) shown: Vec<(String, String)>,
}

impl Secrets {
    pub(super) fn check(&self) -> Result<(), IssueError> {
        check("PIN.CH", &self.pin_ch, 6..=8)?;
        check("PIN.QES", &self.pin_qes, 6..=8)?;
        check("PIN of the representative", &self.pin_representative, 6..=8)?;
        check("PIN of four digits", &self.pin_four, 4..=4)?;
        check("PUK", &self.puk, 8..=8)?;
        check("PUK of twelve digits", &self.puk_twelve, 12..=12)?;
        let letters = &self.pin_letters;
        if !(6..=16).contains(&letters.len())
            || !letters.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        {
            let reason = "6 to 16 capital letters and digits".to_owned();
            return Err(IssueError::Value { what: "PIN of letters", reason });
        }
        check("CAN", &self.can, 6..=6)
    }

    pub(super) fn password_states(
        &self,
        layout: &'static Layout,
        transport_pins: bool,
    ) -> Result<Passwords, IssueError> {
        let mut passwords = Passwords { states: Vec::new(), shown: Vec::new() };
        for password in &layout.passwords {
            let Secret::Own { min, puk_uses, transport, .. } = password.secret else { continue };
            let value = self.value(&password.name).filter(|_| transport != Transport::Empty);
            let protected =
                transport_pins && matches!(password.name.as_str(), "PIN.CH" | "PIN.SMC" | "PIN.QES");
            let value = value.map(|pin| if protected { pin.get(..min - 1).unwrap_or(pin) } else { pin });
            let transport = match value {
                None => Transport::Empty,
                Some(_) if protected => Transport::Protected,
                Some(_) => Transport::Regular,
            };
            if let Some(value) = value {
                let note = if protected { " (transport PIN)" } else { "" };
                passwords.shown.push((format!("{}{note}", password.name), value.to_owned()));
            }
            let pin = value.map(digest).transpose()?;
            let puk = if puk_uses > 0 { Some(digest(self.puk_of(layout))?) } else { None };
            passwords.states.push((password, PasswordState { pin, puk, transport }));
        }
        if !passwords.shown.iter().any(|(name, _)| name == "PUK") {
            passwords.shown.push(("PUK".to_owned(), self.puk_of(layout).to_owned()));
        }
        passwords.shown.push(("CAN".to_owned(), self.can.clone()));
        Ok(passwords)
    }

    fn puk_of(&self, layout: &Layout) -> &str {
        if layout.dialect == Dialect::Beid { &self.puk_twelve } else { &self.puk }
    }

    fn value(&self, name: &str) -> Option<&str> {
        match name {
            "PIN.CH" | "PIN.SMC" | "PIN" | "PIN1" => Some(&self.pin_ch),
            "PIN.QES" | "PIN2" => Some(&self.pin_qes),
            "PIN.AUT" | "PIN.TEXT" => Some(&self.pin_four),
            "PIN.SIG" => Some(&self.pin_letters),
            "PUK" => Some(&self.puk),
            "PIN.AMTS_REP" => Some(&self.pin_representative),
            _ => None,
        }
    }
}

fn digest(digits: &str) -> Result<Digest, IssueError> {
    Digest::of(digits.as_bytes()).map_err(|error| IssueError::Keys(error.to_string()))
}

fn check(
    what: &'static str,
    digits: &str,
    length: std::ops::RangeInclusive<usize>,
) -> Result<(), IssueError> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(IssueError::Value { what, reason: "digits only".to_owned() });
    }
    if length.contains(&digits.len()) {
        return Ok(());
    }
    let (min, max) = length.into_inner();
    let wanted = if min == max { format!("{min}") } else { format!("{min} to {max}") };
    Err(IssueError::Value { what, reason: format!("{wanted} digits, not {}", digits.len()) })
}

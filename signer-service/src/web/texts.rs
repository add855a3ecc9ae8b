//! What the pages say, in German and English.

use super::super::service::Refusal;
use crate::token::{TokenError, Tries};

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    German,
    English,
}

/// Why a page shows no login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// The application is not registered.
    Client,
    /// The address to go back to is not registered.
    Redirect,
    /// A parameter came twice, or the form is not from this page.
    Form,
    /// The login took too long, or the service was restarted.
    Over,
    /// Too many logins at a time.
    Busy,
}

/// The fixed texts of the login page.
pub(super) struct Texts {
    pub(super) lang: &'static str,
    pub(super) title: &'static str,
    pub(super) wants: &'static str,
    pub(super) scopes: &'static str,
    pub(super) card: &'static str,
    pub(super) no_card: &'static str,
    pub(super) pin: &'static str,
    pub(super) pin_hint: &'static str,
    pub(super) pin_pad: &'static str,
    pub(super) last_try: &'static str,
    pub(super) log_in: &'static str,
    pub(super) look_again: &'static str,
    pub(super) cancel: &'static str,
    pub(super) number: &'static str,
}

const GERMAN: Texts = Texts {
    lang: "de",
    title: "Anmelden mit Karte",
    wants: "möchte wissen, wer Sie sind, und bittet um:",
    scopes: "Was davon gewährt wird, hängt von Ihrem Beruf und der Einwilligung der Patienten ab.",
    card: "Ihr Ausweis im Lesegerät des Dienstes",
    no_card: "Es steckt kein Heilberufsausweis. Bitte stecken Sie ihn und sehen Sie noch einmal nach.",
    pin: "PIN des Ausweises (PIN.CH)",
    pin_hint: "Nach drei falschen Eingaben ist die PIN gesperrt.",
    pin_pad: "Lassen Sie das Feld leer, wenn Ihr Lesegerät eine eigene Tastatur hat: die PIN wird dann dort eingegeben.",
    last_try: "Auch den letzten Versuch verwenden: ist die PIN falsch, wird sie gesperrt.",
    log_in: "Anmelden",
    look_again: "Noch einmal nachsehen",
    cancel: "Abbrechen",
    number: "Nummer endet auf",
};

const ENGLISH: Texts = Texts {
    lang: "en",
    title: "Log in by card",
    wants: "wants to know who you are, and asks for:",
    scopes: "What is granted of it depends on your profession and on what patients consented to.",
    card: "Your card in the reader of the service",
    no_card: "There is no health professional card. Please insert it and look again.",
    pin: "PIN of the card (PIN.CH)",
    pin_hint: "After three wrong entries the PIN is blocked.",
    pin_pad: "Leave it empty if your reader has a key pad of its own: the PIN is then entered there.",
    last_try: "Use the last try, too: if the PIN is wrong, it is blocked.",
    log_in: "Log in",
    look_again: "Look again",
    cancel: "Cancel",
    number: "number ends with",
};

impl Language {
    /// The first language of a list that there is, as in `ui_locales` (blanks) and `Accept-Language` (commas).
    pub(super) fn of(list: &str) -> Option<Language> {
        list.split([' ', ',']).find_map(|entry| {
            let tag = entry.split([';', '-', '_']).next().unwrap_or_default();
            match tag.trim().to_ascii_lowercase().as_str() {
                "de" => Some(Language::German),
                "en" => Some(Language::English),
                _ => None,
            }
        })
    }

    pub(super) fn texts(self) -> &'static Texts {
        match self {
            Language::German => &GERMAN,
            Language::English => &ENGLISH,
        }
    }

    fn pick(self, german: &'static str, english: &'static str) -> &'static str {
        match self {
            Language::German => german,
            Language::English => english,
        }
    }

    /// Why there is no login.
    pub(super) fn problem(self, problem: Problem) -> &'static str {
        match problem {
            Problem::Client => self.pick(
                "Die Anwendung, von der Sie kommen, ist hier nicht bekannt.",
                "The application you come from is not known here.",
            ),
            Problem::Redirect => self.pick(
                "Die Anwendung, von der Sie kommen, nennt eine Adresse, die nicht für sie eingetragen ist.",
                "The application you come from names an address that is not registered for it.",
            ),
            Problem::Form => self.pick(
                "Diese Eingabe kommt nicht von der Anmeldeseite. Es wurde nichts getan.",
                "This entry does not come from the login page. Nothing was done.",
            ),
            Problem::Over => self.pick(
                "Die Anmeldung ist beendet oder dauerte zu lange. Beginnen Sie in der Anwendung neu.",
                "The login ended or took too long. Begin again in the application.",
            ),
            Problem::Busy => self.pick(
                "Gerade melden sich zu viele an. Versuchen Sie es in einigen Minuten noch einmal.",
                "Too many log in at this moment. Try again in some minutes.",
            ),
        }
    }

    /// What came of a card.
    pub(super) fn refusal(self, refusal: &Refusal) -> &'static str {
        match refusal {
            Refusal::Token(error) => self.card(error),
            Refusal::Revoked(_) => self.pick(
                "Das Zertifikat des Ausweises ist gesperrt oder seinem Herausgeber nicht bekannt.",
                "The certificate of the card is revoked, or its issuer does not know it.",
            ),
            Refusal::StatusUnknown => self.pick(
                "Ob der Ausweis gesperrt ist, lässt sich gerade nicht erfragen. Die PIN wurde nicht verwendet.",
                "Whether the card is revoked cannot be asked at this moment. The PIN was not used.",
            ),
            Refusal::TooManyPins(_) => self.pick(
                "Zu viele falsche PINs in kurzer Zeit. Die PIN wurde nicht an den Ausweis gesandt. Bitte warten Sie.",
                "Too many wrong PINs in a short time. The PIN was not sent to the card. Please wait.",
            ),
            Refusal::ClinicianUntrusted(_) => self.pick(
                "Dieser Ausweis gehört zu keinem Herausgeber, dem dieser Dienst vertraut.",
                "This card is of no issuer that this service trusts.",
            ),
            _ => self.pick(
                "Die Anmeldung ist nicht möglich. Der Betreiber findet den Grund im Protokoll.",
                "The login is not possible. The operator finds the reason in the log.",
            ),
        }
    }

    fn card(self, error: &TokenError) -> &'static str {
        match error {
            TokenError::PinIncorrect(Tries::Final) => {
                self.pick("Die PIN ist falsch. Es bleibt ein Versuch.", "The PIN is wrong. One try is left.")
            }
            TokenError::PinIncorrect(_) => self.pick("Die PIN ist falsch.", "The PIN is wrong."),
            TokenError::LastTry => self.pick(
                "Die PIN hat nur noch einen Versuch. Sie wurde nicht an den Ausweis gesandt.",
                "The PIN has one try left. It was not sent to the card.",
            ),
            TokenError::PinBlocked => self.pick(
                "Die PIN ist gesperrt. Sie wird mit der PUK entsperrt.",
                "The PIN is blocked. The PUK unblocks it.",
            ),
            TokenError::PinRequired => self.pick("Bitte geben Sie die PIN ein.", "Please enter the PIN."),
            TokenError::PinFormat => self.pick(
                "Das hat nicht die Form der PIN dieses Ausweises. Es wurde kein Versuch verbraucht.",
                "This has not the form of this card's PIN. No try was used.",
            ),
            TokenError::PinNotSet => self.pick(
                "Der Ausweis hat noch seine Transport-PIN. Sie muss zuerst ersetzt werden.",
                "The card still has its transport PIN. It has to be replaced first.",
            ),
            TokenError::PinEntryCancelled => self.pick(
                "Die Eingabe am Lesegerät wurde abgebrochen.",
                "The entry at the reader was cancelled.",
            ),
            TokenError::NoReader | TokenError::NoCard | TokenError::NotFound | TokenError::Removed => {
                self.pick("Der Ausweis steckt nicht mehr.", "The card is no longer in the reader.")
            }
            _ => self.pick(
                "Der Ausweis oder das Lesegerät antwortet nicht wie erwartet.",
                "Card or reader do not answer as expected.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_language_counts() {
        assert_eq!(Language::of("fr-FR,en-GB;q=0.8,de;q=0.5"), Some(Language::English));
        assert_eq!(Language::of("de-AT en"), Some(Language::German));
        assert_eq!(Language::of("fr"), None);
    }

    #[test]
    fn a_wrong_pin_and_the_last_try_are_told_apart_in_both_languages() {
        for language in [Language::German, Language::English] {
            let wrong = language.refusal(&TokenError::PinIncorrect(Tries::Low).into());
            let last = language.refusal(&TokenError::PinIncorrect(Tries::Final).into());
            let unsent = language.refusal(&TokenError::LastTry.into());
            assert!(wrong != last && last != unsent && wrong != unsent);
        }
    }
}

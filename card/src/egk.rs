//! Reading the free files of a German insurance card (eGK): EF.StatusVD, EF.PD, EF.VD (gemSpec_eGK_ObjSys_G2_1).

use std::fmt;

mod protected;

pub use protected::{
    AccessRule, ProtectedContent, ProtectedError, ProtectedFile, ProtectedRecords, read_protected,
    read_protected_content, read_protected_records,
};

use crate::apdu::{Command, Le};
use crate::file::{self, FileError, Length};
use crate::iccsn;
use crate::identify::{CardKind, EGK_APPLICATION, identify};
use crate::status::StatusWord;
use crate::tlv;
use crate::transport::{Transport, TransportError, WholeAnswers};

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
    /// The insurance application cannot be selected: absent, or deactivated.
    #[error("the insurance application of the card cannot be selected: {status}")]
    Select {
        /// What the card answered.
        status: StatusWord,
    },
    /// A file cannot be read.
    #[error("{name} cannot be read: {status}")]
    File {
        /// Its name.
        name: &'static str,
        /// What the card answered.
        status: StatusWord,
    },
    /// The connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Reads serial number, status, personal and insurance data with six commands, in one exclusive section. A card or
/// reader without extended length is read in blocks of 256 bytes, one with T=0 in the pieces it offers.
///
/// # Errors
/// No eGK, a file that cannot be read, or the transport.
pub fn read(transport: &mut dyn Transport) -> Result<EgkFiles, EgkError> {
    let mut transport = WholeAnswers::new(transport);
    transport.begin()?;
    let files = read_files(&mut transport);
    end(&mut transport);
    files
}

/// Reads EF.Version2 (SFID 11): its data objects C0 to C7, of which C1 holds the version of the object system in
/// three binary bytes. Two commands.
///
/// # Errors
/// The file cannot be read, or the transport.
pub fn read_version2(transport: &mut dyn Transport) -> Result<Vec<u8>, EgkError> {
    let mut transport = WholeAnswers::new(transport);
    transport.begin()?;
    let content = select(&mut transport, &[]).and_then(|()| {
        file(&mut transport, "EF.Version2", VERSION2_SFID, &mut Length::Short, tlv::total_len)
    });
    end(&mut transport);
    content
}

/// Reads the records of EF.Version (SFID 10), which tell the version of an older card: operating system, object system,
/// storage structures, each as 3 + 3 + 4 digits BCD. Four commands.
///
/// # Errors
/// The file cannot be read, or the transport.
pub fn read_version_records(transport: &mut dyn Transport) -> Result<Vec<Vec<u8>>, EgkError> {
    let mut transport = WholeAnswers::new(transport);
    transport.begin()?;
    let records = select(&mut transport, &[]).and_then(|()| {
        let mut records = Vec::new();
        for number in 1..=VERSION_RECORDS {
            let read = Command::new(0x00, 0xB2, number, VERSION_SFID << 3 | 0x04).le(Le::SHORT_WILDCARD);
            let answer = transport.transmit(&read)?;
            if !answer.status.is_ok() {
                return Err(EgkError::File { name: "EF.Version", status: answer.status });
            }
            records.push(answer.data);
        }
        Ok(records)
    });
    end(&mut transport);
    records
}

/// Reads EF.Pruefungsnachweis (SFID 1C), which anyone may read: what the last online check of the insurance data left, as
/// the card has it; empty if there was none. Two commands.
///
/// # Errors
/// The file cannot be read, or the transport.
pub fn read_receipt(transport: &mut dyn Transport) -> Result<Vec<u8>, EgkError> {
    let mut transport = WholeAnswers::new(transport);
    transport.begin()?;
    let content = select(&mut transport, EGK_APPLICATION).and_then(|()| {
        match file(&mut transport, "EF.Pruefungsnachweis", RECEIPT_SFID, &mut Length::Extended, |_| None) {
            Err(EgkError::File { status: StatusWord::OFFSET, .. }) => Ok(Vec::new()),
            read => read,
        }
    });
    end(&mut transport);
    content
}

/// A certificate file of DF.ESIGN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgkCertificate {
    /// Name of the certificate object, e.g. `C.CH.AUT.E256`.
    pub label: &'static str,
    /// The certificate, DER; else what the card answered: those for pseudonyms and for prescriptions want a PIN or a
    /// health professional's card.
    pub content: Result<Vec<u8>, StatusWord>,
}

/// Reads the certificates of the insured person. Files that the card does not have are left out. Two commands, and one
/// or more for each of eight files.
///
/// # Errors
/// No eGK, no DF.ESIGN, or the transport.
pub fn read_certificates(transport: &mut dyn Transport) -> Result<Vec<EgkCertificate>, EgkError> {
    let mut transport = WholeAnswers::new(transport);
    transport.begin()?;
    let certificates = read_certificate_files(&mut transport);
    end(&mut transport);
    certificates
}

fn read_certificate_files(transport: &mut dyn Transport) -> Result<Vec<EgkCertificate>, EgkError> {
    if identify(transport)? != CardKind::Egk {
        return Err(EgkError::NotAnEgk);
    }
    select(transport, ESIGN)?;
    let mut length = Length::Extended;
    let mut certificates = Vec::new();
    for (label, sfid) in CERTIFICATES {
        let content = match file::read(transport, sfid, &mut length, tlv::total_len) {
            Ok(content) => {
                let end = tlv::total_len(&content).unwrap_or(content.len());
                Ok(content.get(..end).map(<[u8]>::to_vec).unwrap_or(content))
            }
            Err(FileError::Status(StatusWord::FILE_NOT_FOUND | StatusWord::OFFSET)) => continue,
            Err(FileError::Status(status)) => Err(status),
            Err(FileError::Transport(error)) => return Err(error.into()),
        };
        certificates.push(EgkCertificate { label, content });
    }
    Ok(certificates)
}

const ESIGN: &[u8] = &[0xA0, 0x00, 0x00, 0x01, 0x67, 0x45, 0x53, 0x49, 0x47, 0x4E];
/// Names and short file identifiers (gemSpec_eGK_ObjSys_G2_1, DF.ESIGN).
const CERTIFICATES: [(&str, u8); 8] = [
    ("C.CH.AUT.E256", 0x04),
    ("C.CH.ENC.E256", 0x05),
    ("C.CH.AUTN.E256", 0x0B),
    ("C.CH.ENCV.E256", 0x0C),
    ("C.CH.AUT.R2048", 0x01),
    ("C.CH.ENC.R2048", 0x02),
    ("C.CH.AUTN.R2048", 0x09),
    ("C.CH.ENCV.R2048", 0x0A),
];

const VERSION_SFID: u8 = 0x10;
const VERSION_RECORDS: u8 = 3;
const VERSION2_SFID: u8 = 0x11;
const RECEIPT_SFID: u8 = 0x1C;
const PD_SFID: u8 = 0x01;
const VD_SFID: u8 = 0x02;
const STATUS_VD_SFID: u8 = 0x0C;
/// EF.StatusVD: transaction flag, time stamp, versions.
const STATUS_VD_LEN: usize = 25;

fn read_files(transport: &mut dyn Transport) -> Result<EgkFiles, EgkError> {
    if identify(transport)? != CardKind::Egk {
        return Err(EgkError::NotAnEgk);
    }
    let gdo = file(transport, "EF.GDO", iccsn::GDO_SFID, &mut Length::Short, |_| None);
    let iccsn = match gdo {
        Ok(gdo) => iccsn::parse(&gdo),
        Err(EgkError::File { .. }) => None,
        Err(error) => return Err(error),
    };
    select(transport, EGK_APPLICATION)?;
    let mut length = Length::Extended;
    Ok(EgkFiles {
        iccsn,
        status_vd: file(transport, "EF.StatusVD", STATUS_VD_SFID, &mut Length::Short, |_| {
            Some(STATUS_VD_LEN)
        })?,
        pd: file(transport, "EF.PD", PD_SFID, &mut length, pd_len)?,
        vd: file(transport, "EF.VD", VD_SFID, &mut length, vd_len)?,
    })
}

fn file(
    transport: &mut dyn Transport,
    name: &'static str,
    sfid: u8,
    length: &mut Length,
    wanted: impl Fn(&[u8]) -> Option<usize>,
) -> Result<Vec<u8>, EgkError> {
    file::read(transport, sfid, length, wanted).map_err(|error| match error {
        FileError::Status(status) => EgkError::File { name, status },
        FileError::Transport(error) => EgkError::Transport(error),
    })
}

/// Selects an application, or the MF if the name is empty.
fn select(transport: &mut dyn Transport, aid: &[u8]) -> Result<(), EgkError> {
    let status = transport.transmit(&Command::new(0x00, 0xA4, 0x04, 0x0C).data(aid))?.status;
    if status.is_ok() { Ok(()) } else { Err(EgkError::Select { status }) }
}

fn end(transport: &mut dyn Transport) {
    if let Err(error) = transport.end() {
        tracing::debug!(%error, "end of exclusive section");
    }
}

/// EF.PD: two bytes of length, not counted themselves.
fn pd_len(start: &[u8]) -> Option<usize> {
    let (length, _) = start.split_first_chunk::<2>()?;
    Some(usize::from(u16::from_be_bytes(*length)) + 2)
}

/// EF.VD: first and last byte of two parts, counted from the start of the file; `FFFF` for a part that is absent.
fn vd_len(start: &[u8]) -> Option<usize> {
    let (offsets, _) = start.split_first_chunk::<8>()?;
    let [_, _, first_end_high, first_end_low, _, _, second_end_high, second_end_low] = *offsets;
    let ends = [[first_end_high, first_end_low], [second_end_high, second_end_low]];
    let known = ends.map(u16::from_be_bytes).into_iter().filter(|end| *end != u16::MAX);
    Some(known.max().map_or(offsets.len(), |end| usize::from(end) + 1))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Log, Script, fcp};

    const STATUS_VD: &str = "3032303236303130313132303030300050020000 0030000004";

    fn start_up() -> Script {
        Script::new("3BD097FF81B1FE451F072B")
            .on("00A4040400", &fcp("D2760001448000"))
            .on("00B0820000", "5A0A802768831100001122339000")
            .on("00A4040C06D27600000102", "9000")
            .on("00B08C0000", &format!("{STATUS_VD}9000"))
    }

    fn read_from(script: Script) -> (Result<EgkFiles, EgkError>, Log) {
        let (mut card, log) = script.start();
        let result = read(&mut *card);
        log.assert_finished();
        (result, log)
    }

    #[test]
    fn an_insurance_card_is_read_with_six_commands() {
        let script = start_up()
            .on("00B08100000000", "0003AABBCC00009000")
            .on("00B08200000000", "00080009FFFFFFFF112200009000");
        let (files, log) = read_from(script);
        let files = files.unwrap();
        assert_eq!(log.take_count(), 6);
        assert_eq!(files.iccsn.as_deref(), Some("80276883110000112233"));
        assert_eq!(files.status_vd.len(), 25);
        assert_eq!(hex::encode_upper(files.pd), "0003AABBCC0000");
        assert_eq!(hex::encode_upper(files.vd), "00080009FFFFFFFF11220000");
    }

    #[test]
    fn without_extended_length_the_same_is_read_in_blocks() {
        let first = format!("012C{}", "AB".repeat(254));
        let script = start_up()
            .on("00B08100000000", "6700")
            .on("00B0810000", &format!("{first}9000"))
            .on("00B0010000", &format!("{}6282", "CD".repeat(46)))
            .on("00B0820000", "0008000AFFFFFFFF1122336282");
        let files = read_from(script).0.unwrap();
        assert_eq!(hex::encode_upper(files.pd), format!("{first}{}", "CD".repeat(46)));
        assert_eq!(hex::encode_upper(files.vd), "0008000AFFFFFFFF112233");
    }

    #[test]
    fn a_card_without_a_serial_number_is_still_read() {
        let script = Script::new("3B9F")
            .on("00A4040400", &fcp("D2760001448000"))
            .on("00B0820000", "6A82")
            .on("00A4040C06D27600000102", "9000")
            .on("00B08C0000", &format!("{STATUS_VD}6282"))
            .on("00B08100000000", "0001AA9000")
            .on("00B08200000000", "FFFFFFFFFFFFFFFF9000");
        assert_eq!(read_from(script).0.unwrap().iccsn, None);
    }

    #[test]
    fn another_card_is_left_alone() {
        let script = Script::new("3B9F").on("00A4040400", &fcp("D27600014601"));
        assert!(matches!(read_from(script).0, Err(EgkError::NotAnEgk)));
    }

    #[test]
    fn what_the_card_refuses_is_named() {
        let deactivated = Script::new("3B9F")
            .on("00A4040400", &fcp("D2760001448000"))
            .on("00B0820000", "6B00")
            .on("00A4040C06D27600000102", "6283");
        let refused = read_from(deactivated).0;
        assert!(matches!(refused, Err(EgkError::Select { status: StatusWord::DEACTIVATED })), "{refused:?}");
        let refused = read_from(start_up().on("00B08100000000", "6982")).0;
        assert!(matches!(refused, Err(EgkError::File { name: "EF.PD", .. })), "{refused:?}");
    }

    #[test]
    fn a_card_pulled_at_any_command_is_reported() {
        for pulled_at in 0..4 {
            let (result, _) = read_from(start_up().cut(pulled_at, TransportError::Removed));
            assert!(matches!(result, Err(EgkError::Transport(TransportError::Removed))), "at {pulled_at}");
        }
    }

    #[test]
    fn the_version_file_is_read_from_the_mf() {
        let body =
            "EF2BC003020000C103040502C21045474B5F47322E312020202020040502C403010000C503020000C703010000";
        let (mut card, log) =
            Script::new("").on("00A4040C", "9000").on("00B0910000", &format!("{body}6282")).start();
        assert_eq!(hex::encode_upper(read_version2(&mut *card).unwrap()), body);
        log.assert_finished();
    }

    #[test]
    fn an_older_card_is_asked_for_three_records() {
        let (mut card, log) = Script::new("")
            .on("00A4040C", "9000")
            .on("00B2018400", "00300000009000")
            .on("00B2028400", "00300000019000")
            .on("00B2038400", "00300000039000")
            .start();
        let records = read_version_records(&mut *card).unwrap();
        assert_eq!(records.concat(), hex::decode("003000000000300000010030000003").unwrap());
        log.assert_finished();
    }

    #[test]
    fn debug_output_shows_lengths_only() {
        let files =
            EgkFiles { iccsn: Some("80276883110000112233".into()), pd: vec![7; 3], ..Default::default() };
        assert_eq!(format!("{files:?}"), "EgkFiles { status_vd: 0, pd: 3, vd: 0, .. }");
    }
}

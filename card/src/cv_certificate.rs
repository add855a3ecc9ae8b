//! Card-verifiable certificates (gemSpec_PKI clause 6.4), as far as a terminal needs them: whose key, by whom, with
//! which rights. A terminal hands them from card to card; only the cards verify them.

use crate::tlv::Tlv;

const CERTIFICATE: u32 = 0x7F21;
const BODY: u32 = 0x7F4E;
const SIGNATURE: u32 = 0x5F37;
const ISSUER: u32 = 0x42;
const HOLDER: u32 = 0x5F20;
const FLAG_LIST: u32 = 0x7F4C;
const FLAGS: u32 = 0x53;

/// A certificate as a card has it in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CvCertificate {
    issuer: Vec<u8>,
    holder: Vec<u8>,
    rights: Rights,
    contents: Vec<u8>,
}

/// Bytes that are no card-verifiable certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes are no card-verifiable certificate")]
pub struct CvCertificateError {
    /// How many bytes there were.
    pub length: usize,
}

/// What the holder of a certificate may do on other cards: 56 flags, of which flag 0 is the most significant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights([u8; 7]);

impl Rights {
    /// Reading the certificate for authentication under a pseudonym without the patient's PIN.
    pub const PSEUDONYM_AUTHENTICATION: u8 = 9;
    /// Reading the certificate for prescriptions under a pseudonym without the patient's PIN.
    pub const PSEUDONYM_ENCRYPTION: u8 = 11;
    /// Reading emergency data with the patient's PIN.
    pub const EMERGENCY_DATA_WITH_PIN: u8 = 17;
    /// Reading emergency data without the patient's PIN.
    pub const EMERGENCY_DATA: u8 = 18;
    /// Reading personal declarations without the patient's PIN.
    pub const PERSONAL_DECLARATIONS: u8 = 23;
    /// Reading protected insurance data without the patient's PIN.
    pub const PROTECTED_DATA: u8 = 30;
    /// Reading organ donation declarations without the patient's PIN.
    pub const ORGAN_DONATION: u8 = 42;
    /// Reading medication data with the patient's PIN.
    pub const MEDICATION: u8 = 46;

    /// Whether flag `number` is set.
    pub fn has(self, number: u8) -> bool {
        let byte = self.0.get(usize::from(number / 8)).copied().unwrap_or(0);
        byte & (0x80 >> (number % 8)) != 0
    }
}

impl CvCertificate {
    /// Reads a certificate, with its outer tag 7F21 or without.
    ///
    /// # Errors
    /// Not a certificate of this kind.
    pub fn parse(bytes: &[u8]) -> Result<CvCertificate, CvCertificateError> {
        Self::read(bytes).ok_or(CvCertificateError { length: bytes.len() })
    }

    fn read(bytes: &[u8]) -> Option<CvCertificate> {
        let (first, _) = Tlv::split_first(bytes).ok()?;
        let contents = if first.tag == CERTIFICATE { first.value } else { bytes };
        let (body, rest) = Tlv::split_first(contents).ok()?;
        let fields = (body.tag == BODY).then_some(body.value)?;
        let (signature, rest) = Tlv::split_first(rest).ok()?;
        let flags = Tlv::find(Tlv::find(fields, FLAG_LIST).ok()?, FLAGS).ok()?;
        let certificate = CvCertificate {
            issuer: Tlv::find(fields, ISSUER).ok()?.to_vec(),
            holder: Tlv::find(fields, HOLDER).ok()?.to_vec(),
            rights: Rights(flags.try_into().ok()?),
            contents: contents.get(..contents.len() - rest.len())?.to_vec(),
        };
        let lengths = (certificate.issuer.len(), certificate.holder.len());
        (signature.tag == SIGNATURE && matches!(lengths, (8, 8 | 12))).then_some(certificate)
    }

    /// Reference of the key that signed it (CAR).
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// Reference of the key in it (CHR); for a card its number and the card's serial number.
    pub fn holder(&self) -> &[u8] {
        &self.holder
    }

    /// What the holder may do.
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// What PSO VERIFY CERTIFICATE carries.
    pub(crate) fn contents(&self) -> &[u8] {
        &self.contents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The certificate of a test card for professionals, published with its image.
    const ROLE: &str = concat!(
        "7F2181DA7F4E81935F290170420844454758581102207F494B06062B240305030186410411E6E8032E36DC3871B44337",
        "2E33B75D6E727C92E4727FAF7ED5E4EDB41E04CC42C119633EBB870BA4AEC0BAF313341917700935466921448CD2DA2A",
        "1B42E4045F200C0006802768831100002208857F4C1306082A8214004C0481185307005D20DAA083005F250602040003",
        "00045F24060204000300085F374041D90470DCAA89B95E9465341A6405052E01E3124397582995CC73C63BE3BF5902D0",
        "87D9430A057B857514CE6118B234A33CC792729BD3A4FB01AAEA022E8010",
    );

    #[test]
    fn a_published_certificate_tells_holder_issuer_and_rights() {
        let file = hex::decode(ROLE).unwrap();
        let certificate = CvCertificate::parse(&file).unwrap();
        assert_eq!(hex::encode_upper(certificate.issuer()), "4445475858110220");
        assert_eq!(hex::encode_upper(certificate.holder()), "000680276883110000220885");
        let rights: Vec<u8> = (0..56).filter(|flag| certificate.rights().has(*flag)).collect();
        assert_eq!(rights, [9, 11, 12, 13, 15, 18, 24, 25, 27, 28, 30, 32, 34, 40, 46, 47]);
        assert!(!certificate.rights().has(56));
        let contents = CvCertificate::parse(certificate.contents()).unwrap();
        assert_eq!(contents, certificate);
        let padded = [file.as_slice(), &[0; 9]].concat();
        assert_eq!(CvCertificate::parse(&padded), Ok(certificate));
    }

    #[test]
    fn other_bytes_are_no_certificate() {
        let file = hex::decode(ROLE).unwrap();
        for length in 0..file.len() {
            let error = CvCertificate::parse(&file[..length]).unwrap_err();
            assert_eq!(error, CvCertificateError { length });
        }
        assert!(CvCertificate::parse(&[0; 222]).is_err());
    }
}

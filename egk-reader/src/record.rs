//! The typed record of one insurance card. Field names are English, the German element each one comes from stands in
//! its documentation; `docs/insurance-data.md` has the whole table. Optional elements that are present but empty count
//! as absent. `Debug` of every type with personal data prints no value.

use std::fmt;

use serde::Serialize;

use crate::date::PartialDate;
use crate::finding::Finding;
use crate::generation::Generation;
use crate::health::Field;
use crate::status::StatusVd;
use crate::vsd::Schema;

/// Everything that was read from one card.
#[derive(Clone, PartialEq, Serialize)]
pub struct InsuranceRecord {
    /// Personal data, EF.PD.
    pub personal: PersonalData,
    /// General insurance data, first part of EF.VD.
    pub coverage: CoverageData,
    /// Copy of the protected insurance data that older cards keep in the second part of EF.VD. Cards issued from 2026
    /// no longer fill it.
    pub protected: Option<ProtectedData>,
    /// EF.StatusVD.
    pub status: StatusVd,
    /// What is known of the card itself.
    pub card: CardFacts,
    /// The XML documents as they are on the card, byte for byte.
    pub documents: Documents,
    /// What was noticed while reading. Holds no personal values.
    pub findings: Vec<Finding>,
}

impl fmt::Debug for InsuranceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InsuranceRecord").field("findings", &self.findings).finish_non_exhaustive()
    }
}

/// Facts about the card.
#[derive(Clone, Default, PartialEq, Serialize)]
pub struct CardFacts {
    /// ICCSN of EF.GDO, 20 digits, if it was read.
    pub iccsn: Option<String>,
    /// Generation by EF.Version2, if it was read.
    pub generation: Option<Generation>,
}

impl fmt::Debug for CardFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardFacts").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Who the card belongs to (`UC_PersoenlicheVersichertendatenXML`).
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct PersonalData {
    /// `Versicherten_ID`: the lifelong ten characters of the health insurance number.
    pub kvnr: String,
    /// `Geburtsdatum`.
    pub birth_date: PartialDate,
    /// `Vorname`: all given names in one string.
    pub given_name: String,
    /// `Nachname`, without prefix and addition.
    pub family_name: String,
    /// `Vorsatzwort`, for example "von".
    pub name_prefix: Option<String>,
    /// `Namenszusatz`, for example "Freifrau".
    pub name_addition: Option<String>,
    /// `Titel`: academic degrees.
    pub title: Option<String>,
    /// `Geschlecht`; may be absent in schema 5.3.
    pub gender: Option<Gender>,
    /// `StrassenAdresse`.
    pub street_address: Option<StreetAddress>,
    /// `PostfachAdresse`.
    pub post_box_address: Option<PostBoxAddress>,
}

impl PersonalData {
    /// Family name as it is written: addition, prefix and name, separated by blanks.
    pub fn full_family_name(&self) -> String {
        [self.name_addition.as_deref(), self.name_prefix.as_deref(), Some(self.family_name.as_str())]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// `Geschlecht`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum Gender {
    /// `M`
    Male,
    /// `W`
    Female,
    /// `X`: undetermined.
    Undetermined,
    /// `D`
    Diverse,
    /// Another capital letter that the schema allows but does not explain.
    Other(char),
}

impl Gender {
    /// The letter on the card.
    pub fn letter(self) -> char {
        match self {
            Gender::Male => 'M',
            Gender::Female => 'W',
            Gender::Undetermined => 'X',
            Gender::Diverse => 'D',
            Gender::Other(letter) => letter,
        }
    }
}

impl From<char> for Gender {
    fn from(letter: char) -> Gender {
        match letter {
            'M' => Gender::Male,
            'W' => Gender::Female,
            'X' => Gender::Undetermined,
            'D' => Gender::Diverse,
            other => Gender::Other(other),
        }
    }
}

impl From<Gender> for String {
    fn from(gender: Gender) -> String {
        gender.letter().to_string()
    }
}

/// `StrassenAdresse`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct StreetAddress {
    /// `Postleitzahl`.
    pub postal_code: Option<String>,
    /// `Ort`.
    pub city: Option<String>,
    /// `Land/Wohnsitzlaendercode`: licence plate code, `D` for Germany.
    pub country: Option<String>,
    /// `Strasse`; may include the house number.
    pub street: Option<String>,
    /// `Hausnummer`.
    pub house_number: Option<String>,
    /// `Anschriftenzusatz`.
    pub addition: Option<String>,
}

/// `PostfachAdresse`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct PostBoxAddress {
    /// `Postleitzahl`.
    pub postal_code: Option<String>,
    /// `Ort`.
    pub city: Option<String>,
    /// `Land/Wohnsitzlaendercode`.
    pub country: Option<String>,
    /// `Postfach`.
    pub post_box: Option<String>,
}

/// Who pays (`UC_AllgemeineVersicherungsdatenXML`).
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct CoverageData {
    /// Statutory or private insurance.
    pub kind: InsuranceKind,
    /// `Versicherungsschutz/Beginn`; may be absent in schema 5.3.
    pub begin: Option<PartialDate>,
    /// `Versicherungsschutz/Ende`.
    pub end: Option<PartialDate>,
    /// `Kostentraeger`.
    pub payer: Payer,
    /// `Kostentraeger/AbrechnenderKostentraeger`: who is billed, if it is another one.
    pub billing_payer: Option<Payer>,
    /// `ZusatzinfosGKV`; may be absent in schema 5.3, always absent for private insurance.
    pub statutory: Option<StatutoryDetails>,
    /// `ZusatzinfosPKV`.
    pub private: Option<PrivateDetails>,
}

impl CoverageData {
    /// The payer a bill or a prescription goes to: the billing payer where the card names one.
    pub fn effective_payer(&self) -> &Payer {
        self.billing_payer.as_ref().unwrap_or(&self.payer)
    }

    /// `Versichertenart`: 1 member, 3 family member, 5 pensioner.
    pub fn insured_type(&self) -> Option<&str> {
        self.statutory.as_ref()?.insured_type.as_deref()
    }

    /// `WOP`: two-digit code of the region of residence.
    pub fn wop(&self) -> Option<&str> {
        self.statutory.as_ref()?.wop.as_deref()
    }
}

/// Kind of insurance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InsuranceKind {
    /// GKV.
    Statutory,
    /// PKV.
    Private,
}

/// `Kostentraeger` or `AbrechnenderKostentraeger`.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Payer {
    /// `Kostentraegerkennung`: the IK, padded to nine digits (the schema type is an integer).
    pub ik: String,
    /// `Kostentraegerlaendercode`; may be absent in schema 5.3 and for the billing payer of schema 5.1.
    pub country: Option<String>,
    /// `Name`; the schema allows an empty one, which is absent here.
    pub name: Option<String>,
}

/// `ZusatzinfosGKV`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct StatutoryDetails {
    /// `Versichertenart`.
    pub insured_type: Option<String>,
    /// `Zusatzinfos_Abrechnung_GKV/WOP`.
    pub wop: Option<String>,
    /// `Kostenerstattung`, schemas 5.2 and 5.3.
    pub reimbursement: Option<Reimbursement>,
    /// Fields that only schema 5.1 has.
    pub schema_5_1: Option<Schema51Details>,
}

/// `Kostenerstattung`: for which care the person chose to be reimbursed.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reimbursement {
    /// `AerztlicheVersorgung`.
    pub medical: bool,
    /// `ZahnaerztlicheVersorgung`.
    pub dental: bool,
    /// `StationaererBereich`.
    pub inpatient: bool,
    /// `VeranlassteLeistungen`.
    pub ordered_services: bool,
}

/// Fields of schema 5.1 that later schemas dropped.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Schema51Details {
    /// `Rechtskreis`.
    pub legal_area: Option<String>,
    /// `Versichertenstatus_RSA`.
    pub risk_structure_status: Option<String>,
    /// `Kostenerstattung_ambulant`.
    pub outpatient_reimbursement: Option<String>,
    /// `Kostenerstattung_stationaer`.
    pub inpatient_reimbursement: Option<String>,
}

/// `ZusatzinfosPKV`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct PrivateDetails {
    /// `Tarifart` (schema PKV 1.0) or `PKV_Verbandstarif` (schema 5.1), two digits.
    pub tariff: Option<String>,
    /// `Beihilfeberechtigung`: code of the entitlement to civil servants' aid.
    pub civil_service_aid: Option<String>,
    /// `KVB_PBeaK`: code of the fund of railway or postal officials.
    pub officials_fund: Option<String>,
    /// `StationaereLeistungen` (schema PKV 1.0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hospital: Option<HospitalBenefits>,
}

/// `StationaereLeistungen`: what a private insurer pays in hospital.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct HospitalBenefits {
    /// `TeilnahmeClinicCardVerfahren`: the insurer settles with the hospital.
    pub clinic_card: Option<bool>,
    /// `WahlleistungUnterkunft`, at most three.
    pub accommodation: Vec<HospitalBenefit>,
    /// `WahlleistungAerztlicheBehandlung`.
    pub treatment: Option<HospitalBenefit>,
    /// `AllgemeineKrankenhausleistungen`: how much of them is paid, percent.
    pub general_percent: Option<String>,
}

/// A benefit that was chosen.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct HospitalBenefit {
    /// `ArtWahlleistungUnterkunft` (01 single, 02 double, 03 shared room, 04 difference between the first two) or
    /// `ArtWahlleistungAerztlicheBehandlung` (01 by the head physician, 02 general, 03 by an attending physician).
    pub kind: Option<String>,
    /// `HoechstbetragWahlleistungUnterkunft`: at most so many euros a day.
    pub most_euros: Option<String>,
    /// `ProzentwertWahlleistung...`: percent.
    pub percent: Option<String>,
}

/// Protected insurance data (`UC_GeschuetzteVersichertendatenXML`).
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProtectedData {
    /// `Zuzahlungsstatus/Status`: true if exempt from co-payment.
    pub copayment_exempt: Option<bool>,
    /// `Zuzahlungsstatus/Gueltig_bis`: last day of the exemption.
    pub copayment_exempt_until: Option<PartialDate>,
    /// `BesonderePersonengruppe`, padded to two digits.
    pub special_group: Option<String>,
    /// `DMP_Kennzeichnung`, padded to two digits.
    pub dmp: Option<String>,
    /// `Selektivvertraege/Aerztlich`: 0 none, 1 present, 9 not used.
    pub selective_contract_medical: Option<String>,
    /// `Selektivvertraege/Zahnaerztlich`: as above.
    pub selective_contract_dental: Option<String>,
    /// `Selektivvertraege/Art`: four flags.
    pub selective_contract_kind: Option<String>,
    /// `RuhenderLeistungsanspruch`.
    pub suspended: Option<SuspendedEntitlement>,
}

/// `RuhenderLeistungsanspruch`.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct SuspendedEntitlement {
    /// `Beginn`.
    pub begin: Option<PartialDate>,
    /// `Ende`.
    pub end: Option<PartialDate>,
    /// `ArtDesRuhens`: 1 complete, 2 restricted.
    pub kind: Option<String>,
}

/// The documents behind the record.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Documents {
    /// Personal data.
    pub personal: Document,
    /// Insurance data.
    pub coverage: Document,
    /// Copy of the protected data, if the card has one.
    pub protected: Option<Document>,
}

/// One XML document.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Which schema its namespace names.
    pub schema: Schema,
    /// The attribute `CDM_VERSION`.
    pub cdm_version: Option<String>,
    /// Elements that none of the known schemas has, with their path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Field>,
    /// The unpacked bytes, unchanged.
    #[serde(skip)]
    pub xml: Vec<u8>,
}

/// `Debug` that names the type and nothing else.
macro_rules! silent_debug {
    ($($type:ty),+ $(,)?) => {$(
        impl ::std::fmt::Debug for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(concat!(stringify!($type), " { .. }"))
            }
        }
    )+};
}

pub(crate) use silent_debug;

silent_debug!(
    PersonalData,
    Gender,
    StreetAddress,
    PostBoxAddress,
    CoverageData,
    Payer,
    StatutoryDetails,
    Reimbursement,
    Schema51Details,
    PrivateDetails,
    HospitalBenefits,
    HospitalBenefit,
    ProtectedData,
    SuspendedEntitlement,
    Documents,
    Document,
);

//! The rules by name: what a document may be refused for by the national prescription service, or looked at twice.

use super::rules::Finding;

/// What breaking a rule means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Information,
    /// Another party may refuse the document.
    Warning,
    /// The prescription service refuses the document: it is not signed.
    Error,
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident $code:literal $severity:ident $text:literal;)+) => {
        /// The rules behind findings.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Rule { $($(#[doc = $doc])+ $name,)+ }

        impl Rule {
            /// All of them.
            pub const ALL: &[Rule] = &[$(Rule::$name,)+];

            /// Stable name, for programs.
            pub fn code(self) -> &'static str {
                match self { $(Rule::$name => $code,)+ }
            }

            /// One sentence for people.
            pub fn text(self) -> &'static str {
                match self { $(Rule::$name => $text,)+ }
            }

            /// What breaking it means.
            pub fn severity(self) -> Severity {
                match self { $(Rule::$name => Severity::$severity,)+ }
            }
        }
    };
}

rules! {
    /// Profile without or with an unknown version.
    ProfileVersion "PROFILE_VERSION" Warning "the version of the bundle profile is missing or not known here";
    /// A version that is not in use on the day of authoredOn.
    ProfileDate "PROFILE_DATE" Error "this version of the bundle profile is not in use on the day of authoredOn";
    /// `meta.versionId` is forbidden up to profile 1.3 and mandatory from 1.4 on.
    VersionId "VERSION_ID" Error "meta.versionId is missing although profile 1.4 demands it, or is there although 1.3 forbids it";
    /// Exactly one.
    OneMedicationRequest "ONE_MEDICATION_REQUEST" Error "not exactly one MedicationRequest";
    /// Exactly one.
    OneCoverage "ONE_COVERAGE" Error "not exactly one Coverage";
    /// Exactly one.
    OneMedication "ONE_MEDICATION" Error "not exactly one Medication";
    /// A full date.
    AuthoredOnFormat "AUTHORED_ON_FORMAT" Error "authoredOn is missing or is not YYYY-MM-DD";
    /// The day of signing, in Germany.
    AuthoredOn "AUTHORED_ON" Error "authoredOn is not the day of signing in Germany";
    /// Missing, or of another form than 000.000.000.000.000.00.
    PrescriptionIdFormat "PRESCRIPTION_ID_FORMAT" Error "the prescription number is missing or has a wrong form";
    /// Its last two digits do not fit.
    PrescriptionIdCheckDigits "PRESCRIPTION_ID_CHECK_DIGITS" Error "the check digits of the prescription number are wrong";
    /// Not 160, 162, 166, 169, 200 or 209.
    FlowType "FLOW_TYPE" Error "the prescription number begins with an unknown flow type";
    /// Private insurance has the flow types 200 and 209, everybody else the others; 166 is for both.
    FlowTypePayer "FLOW_TYPE_PAYER" Error "flow type and kind of insurance do not go together";
    /// Category 02 and profile 1.4 for flow type 166, category 00 for the others.
    FlowTypeCategory "FLOW_TYPE_CATEGORY" Error "flow type and category of the medicine do not go together";
    /// Category 01.
    Narcotic "NARCOTIC" Error "narcotics are not taken by the prescription service";
    /// The signer may not use this flow type.
    FlowTypeProfession "FLOW_TYPE_PROFESSION" Error "the signer's profession may not prescribe with this flow type";
    /// The patient's insurance number is missing.
    KvnrMissing "KVNR_MISSING" Error "the patient has no insurance number";
    /// Another naming system than `http://fhir.de/sid/gkv/kvid-10`, with a profile that takes this one for everybody.
    KvnrSystem "KVNR_SYSTEM" Error "the insurance number is of a naming system that the profile no longer takes";
    /// It is not one letter and nine digits.
    KvnrFormat "KVNR_FORMAT" Error "the insurance number is not one letter and nine digits";
    /// Its last digit does not fit.
    KvnrCheckDigit "KVNR_CHECK_DIGIT" Error "the check digit of the insurance number is wrong";
    /// LANR or ZANR.
    DoctorNumber "DOCTOR_NUMBER" Warning "the number of the physician or dentist (LANR, ZANR) has a wrong form or check digit";
    /// Payer and alternative payer.
    InstitutionNumber "INSTITUTION_NUMBER" Error "an institution number (IK) has a wrong form or check digit";
    /// BSNR, KZVA number or Standortnummer: nine digits.
    OrganizationNumber "ORGANIZATION_NUMBER" Error "the number of the practice or hospital (BSNR, KZVA, location) is not nine digits";
    /// `meta.profile` of each resource of the bundle.
    OneProfile "ONE_PROFILE" Error "a resource does not name exactly one profile";
    /// Free text or a structure, and free text once only (constraint DosageStructuredOrFreeText).
    DosageMixed "DOSAGE_MIXED" Error "a dosage is given as free text and as a structure, or as free text several times";
    /// The flag is true if and only if there is a dosage, and generated text describes one that is there.
    DosageFlag "DOSAGE_FLAG" Error "dosage flag, dosage and generated dosage text do not go together";
    /// An order without a patient.
    PracticeSupply "PRACTICE_SUPPLY" Warning "orders for the practice's own supply are not taken by the prescription service";
    /// Also of ingredients.
    PackNumber "PACK_NUMBER" Error "a drug pack number (PZN) has a wrong form or check digit";
    /// `urn:uuid:` and a UUID.
    MvoId "MVO_ID" Error "the id of a multiple prescription is not urn:uuid: and a UUID";
    /// There, and not before authoredOn.
    MvoStart "MVO_START" Error "a part of a multiple prescription has no start, or one before authoredOn";
    /// Not before the start.
    MvoEnd "MVO_END" Error "a part of a multiple prescription ends before it starts";
    /// 1 to 4 of 2 to 4.
    MvoNumbering "MVO_NUMBERING" Error "the numbering of a multiple prescription is not 1 to 4 of 2 to 4";
    /// Discharge and replacement prescriptions have no parts.
    MvoLegalBasis "MVO_LEGAL_BASIS" Error "discharge and replacement prescriptions cannot be multiple";
    /// 162 and 166 have no parts.
    MvoFlowType "MVO_FLOW_TYPE" Error "prescriptions of this flow type cannot be multiple";
    /// Numbering or period without the mark.
    MvoAbsent "MVO_ABSENT" Error "numbering or period although the prescription is not multiple";
    /// The payer is of a kind that is not on the insurance card, so it was not compared.
    PayerNotCompared "PAYER_NOT_COMPARED" Warning "this kind of payer does not stand on an insurance card and was not compared";
}

impl Finding {
    pub(super) fn of(rule: Rule, place: impl Into<String>) -> Finding {
        Finding { rule, place: place.into() }
    }
}

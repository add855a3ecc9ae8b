//! `Debug` of messages that must not print what they carry: secrets, documents, people.

use std::fmt::{Debug, Formatter, Result};

use zeroize::Zeroize;

use crate::v1::{
    ActivateComfortSignatureRequest, Address, AnswerIdpChallengeRequest, AnswerIdpChallengeResponse,
    AuthenticateClinicianResponse, BatchBegin, BatchDocument, DeactivateComfortSignatureRequest,
    GetComfortSessionRequest, OpenEmergencyAccessRequest, OpenEmergencyAccessResponse, PersonalData, Pin,
    PreparePrescriptionRequest, PreparePrescriptionResponse, ReadEmergencyDataResponse,
    ReadInsuranceResponse, RequestEmergencyAccessRequest, RequestEmergencyAccessResponse,
    SignPrescriptionRequest, SignPrescriptionResponse, VerifySignatureRequest, VerifySignatureResponse,
    sign_prescription_request::InsuranceCheck,
};

impl Debug for Pin {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("Pin(..)")
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl Debug for SignPrescriptionRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("SignPrescriptionRequest")
            .field("prescription", &Bytes(self.prescription.len()))
            .field("card", &self.card)
            .field("pin", &self.pin)
            .field("insurance_check", &self.insurance_check)
            .finish()
    }
}

impl Debug for InsuranceCheck {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            InsuranceCheck::InsuranceCard(_) => "InsuranceCard",
            InsuranceCheck::NoCard(_) => "NoCard",
        })
    }
}

impl Debug for SignPrescriptionResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("SignPrescriptionResponse")
            .field("cms", &Bytes(self.cms.len()))
            .field("findings", &self.findings)
            .field("times", &self.times)
            .field("algorithm", &self.algorithm)
            .field("audit_sequence", &self.audit_sequence)
            .finish_non_exhaustive()
    }
}

impl Debug for PreparePrescriptionRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("PreparePrescriptionRequest")
            .field("draft", &Bytes(self.draft.len()))
            .finish_non_exhaustive()
    }
}

impl Debug for PreparePrescriptionResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("PreparePrescriptionResponse")
            .field("prescription", &Bytes(self.prescription.len()))
            .field("findings", &self.findings)
            .finish_non_exhaustive()
    }
}

impl Debug for BatchBegin {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("BatchBegin")
            .field("batch_id", &self.batch_id)
            .field("card", &self.card)
            .finish_non_exhaustive()
    }
}

impl Debug for BatchDocument {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("BatchDocument")
            .field("number", &self.number)
            .field("prescription", &Bytes(self.prescription.len()))
            .finish_non_exhaustive()
    }
}

impl Debug for ActivateComfortSignatureRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ActivateComfortSignatureRequest")
            .field("card", &self.card)
            .field("max_signatures", &self.max_signatures)
            .field("max_time", &self.max_time)
            .finish_non_exhaustive()
    }
}

impl Debug for AuthenticateClinicianResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("AuthenticateClinicianResponse")
            .field("chain", &self.chain())
            .field("granted_scopes", &self.granted_scopes)
            .field("audit_sequence", &self.audit_sequence)
            .finish_non_exhaustive()
    }
}

impl Debug for DeactivateComfortSignatureRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("DeactivateComfortSignatureRequest").field("card", &self.card).finish_non_exhaustive()
    }
}

impl Debug for GetComfortSessionRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("GetComfortSessionRequest").field("card", &self.card).finish_non_exhaustive()
    }
}

impl Debug for AnswerIdpChallengeRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("AnswerIdpChallengeRequest")
            .field("card", &self.card)
            .field("pin", &self.pin)
            .field("challenge", &Bytes(self.challenge.len()))
            .finish_non_exhaustive()
    }
}

impl Debug for AnswerIdpChallengeResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("AnswerIdpChallengeResponse")
            .field("encrypted", &Bytes(self.encrypted.len()))
            .field("audit_sequence", &self.audit_sequence)
            .finish_non_exhaustive()
    }
}

impl Debug for VerifySignatureRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("VerifySignatureRequest").field("cms", &Bytes(self.cms.len())).finish()
    }
}

impl Debug for VerifySignatureResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("VerifySignatureResponse")
            .field("verdict", &self.verdict())
            .field("mathematics", &self.mathematics)
            .field("format", &self.format)
            .field("chain", &self.chain())
            .field("content", &Bytes(self.content.len()))
            .finish_non_exhaustive()
    }
}

impl Debug for ReadInsuranceResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ReadInsuranceResponse")
            .field("personal_xml", &Bytes(self.personal_xml.len()))
            .field("coverage_xml", &Bytes(self.coverage_xml.len()))
            .field("status", &self.status)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

impl Debug for RequestEmergencyAccessRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("RequestEmergencyAccessRequest")
            .field("card", &self.card)
            .field("reason", &self.reason())
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

impl Debug for RequestEmergencyAccessResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("RequestEmergencyAccessResponse")
            .field("access", &self.access)
            .field("audit_sequence", &self.audit_sequence)
            .finish_non_exhaustive()
    }
}

impl Debug for OpenEmergencyAccessRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("OpenEmergencyAccessRequest")
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

impl Debug for OpenEmergencyAccessResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("OpenEmergencyAccessResponse")
            .field("granted_scopes", &self.granted_scopes)
            .field("audit_sequence", &self.audit_sequence)
            .finish_non_exhaustive()
    }
}

impl Debug for ReadEmergencyDataResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ReadEmergencyDataResponse")
            .field("xml", &Bytes(self.xml.len()))
            .field("audit_sequence", &self.audit_sequence)
            .finish_non_exhaustive()
    }
}

impl Debug for PersonalData {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("PersonalData(..)")
    }
}

impl Debug for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("Address(..)")
    }
}

/// Prints a length in place of bytes.
struct Bytes(usize);

impl Debug for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} bytes", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_sign_request_shows_neither_pin_nor_prescription() {
        let request = SignPrescriptionRequest {
            prescription: b"<Bundle>secret</Bundle>".to_vec(),
            pin: Some(Pin { value: "234567".into(), last_try: false }),
            ..Default::default()
        };
        let shown = format!("{request:?} {request:#?}");
        assert!(!shown.contains("234567"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("23 bytes"), "{shown}");
    }

    #[test]
    fn debug_of_batches_and_comfort_sessions_shows_neither_document_nor_user_id() {
        let document = BatchDocument { number: 7, prescription: b"secret".to_vec(), ..Default::default() };
        let user = "6e8bc430-9c3a-41d9-9669-0800200c9a66";
        let begin = BatchBegin { comfort_user_id: user.into(), ..Default::default() };
        let activate = ActivateComfortSignatureRequest { user_id: user.into(), ..Default::default() };
        let get = GetComfortSessionRequest { user_id: user.into(), ..Default::default() };
        let end = DeactivateComfortSignatureRequest { user_id: user.into(), ..Default::default() };
        let shown = format!("{document:?} {begin:?} {activate:?} {get:?} {end:?}");
        assert!(!shown.contains("secret") && !shown.contains("115, 101") && !shown.contains(user), "{shown}");
        assert!(shown.contains("number: 7"), "{shown}");
    }

    #[test]
    fn debug_of_insurance_data_shows_no_person() {
        let personal = PersonalData {
            insured_id: "X110400001".into(),
            family_name: "Beispiel".into(),
            street_address: Some(Address { city: "Musterstadt".into(), ..Default::default() }),
            ..Default::default()
        };
        let answer = ReadInsuranceResponse {
            fhir_patient_json: r#"{"family":"Beispiel"}"#.into(),
            personal: Some(personal),
            ..Default::default()
        };
        let shown = format!(
            "{answer:?} {:?} {:?}",
            answer.personal,
            answer.personal.as_ref().map(|p| &p.street_address)
        );
        for value in ["X110400001", "Beispiel", "Musterstadt"] {
            assert!(!shown.contains(value), "{shown}");
        }
    }
}

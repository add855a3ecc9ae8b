//! `UC_AllgemeineVersicherungsdatenXML`. Schema 5.3 made `Beginn`, `Zusatzinfos` and everything in it optional; 5.1 has
//! fields of its own.

use super::Schema;
use super::fields::Fields;
use crate::error::VsdError;
use crate::record::{
    CoverageData, HospitalBenefit, HospitalBenefits, InsuranceKind, Payer, PrivateDetails, Reimbursement,
    Schema51Details, StatutoryDetails,
};

pub(super) fn read(root: &Fields<'_>, schema: Schema) -> Result<CoverageData, VsdError> {
    let insured = root.required("Versicherter")?;
    let cover = insured.required("Versicherungsschutz")?;
    let payer_element = cover.required("Kostentraeger")?;
    let details = insured.optional("Zusatzinfos");
    let statutory = details.as_ref().and_then(|details| details.optional("ZusatzinfosGKV"));
    let private = details.as_ref().and_then(|details| details.optional("ZusatzinfosPKV"));
    let kind = if schema == Schema::Pkv1_0 || private.is_some() {
        InsuranceKind::Private
    } else {
        InsuranceKind::Statutory
    };
    Ok(CoverageData {
        kind,
        begin: cover.date("Beginn")?,
        end: cover.date("Ende")?,
        payer: payer(&payer_element)?,
        billing_payer: payer_element
            .optional("AbrechnenderKostentraeger")
            .map(|billing| payer(&billing))
            .transpose()?,
        statutory: statutory.map(|fields| statutory_details(&fields, schema)).transpose()?,
        private: private.map(|fields| private_details(&fields)).transpose()?,
    })
}

fn payer(fields: &Fields<'_>) -> Result<Payer, VsdError> {
    const IK_DIGITS: usize = 9;
    let name = "Kostentraegerkennung";
    Ok(Payer {
        ik: fields.digits(name, IK_DIGITS)?.ok_or_else(|| fields.missing(name))?,
        country: fields.text("Kostentraegerlaendercode"),
        name: fields.text("Name"),
    })
}

fn statutory_details(fields: &Fields<'_>, schema: Schema) -> Result<StatutoryDetails, VsdError> {
    let billing = fields.optional("Zusatzinfos_Abrechnung_GKV");
    let reimbursement = billing.as_ref().and_then(|billing| billing.optional("Kostenerstattung"));
    let billing_text = |name| billing.as_ref().and_then(|billing| billing.text(name));
    Ok(StatutoryDetails {
        insured_type: fields.text("Versichertenart"),
        wop: billing_text("WOP"),
        reimbursement: reimbursement.map(|fields| self::reimbursement(&fields)).transpose()?,
        schema_5_1: (schema == Schema::V5_1).then(|| Schema51Details {
            legal_area: fields.text("Rechtskreis"),
            risk_structure_status: fields.text("Versichertenstatus_RSA"),
            outpatient_reimbursement: billing_text("Kostenerstattung_ambulant"),
            inpatient_reimbursement: billing_text("Kostenerstattung_stationaer"),
        }),
    })
}

fn reimbursement(fields: &Fields<'_>) -> Result<Reimbursement, VsdError> {
    Ok(Reimbursement {
        medical: fields.flag("AerztlicheVersorgung")?.unwrap_or_default(),
        dental: fields.flag("ZahnaerztlicheVersorgung")?.unwrap_or_default(),
        inpatient: fields.flag("StationaererBereich")?.unwrap_or_default(),
        ordered_services: fields.flag("VeranlassteLeistungen")?.unwrap_or_default(),
    })
}

/// Schema 5.1 wraps `Beihilfeberechtigung` around a `Kennzeichnung` and names the tariff otherwise.
fn private_details(fields: &Fields<'_>) -> Result<PrivateDetails, VsdError> {
    let aid = fields.optional("Beihilfeberechtigung").and_then(|aid| aid.text("Kennzeichnung"));
    Ok(PrivateDetails {
        tariff: fields.text("Tarifart").or_else(|| fields.text("PKV_Verbandstarif")),
        civil_service_aid: aid.or_else(|| fields.text("Beihilfeberechtigung")),
        officials_fund: fields.text("KVB_PBeaK"),
        hospital: fields.optional("StationaereLeistungen").map(|fields| hospital(&fields)).transpose()?,
    })
}

fn hospital(fields: &Fields<'_>) -> Result<HospitalBenefits, VsdError> {
    let treatment = fields.optional("WahlleistungAerztlicheBehandlung");
    Ok(HospitalBenefits {
        clinic_card: fields.flag("TeilnahmeClinicCardVerfahren")?,
        accommodation: fields
            .all("WahlleistungUnterkunft")
            .map(|fields| HospitalBenefit {
                kind: fields.text("ArtWahlleistungUnterkunft"),
                most_euros: fields.text("HoechstbetragWahlleistungUnterkunft"),
                percent: fields.text("ProzentwertWahlleistungUnterkunft"),
            })
            .collect(),
        treatment: treatment.map(|fields| HospitalBenefit {
            kind: fields.text("ArtWahlleistungAerztlicheBehandlung"),
            most_euros: None,
            percent: fields.text("ProzentwertWahlleistungAerztlicheBehandlung"),
        }),
        general_percent: fields.text("AllgemeineKrankenhausleistungen"),
    })
}

//! `UC_GeschuetzteVersichertendatenXML`, here as the readable copy in EF.VD.

use super::fields::Fields;
use crate::error::VsdError;
use crate::record::{ProtectedData, SuspendedEntitlement};

pub(super) fn read(root: &Fields<'_>) -> Result<ProtectedData, VsdError> {
    const CODE_DIGITS: usize = 2;
    let copayment = root.optional("Zuzahlungsstatus");
    let contracts = root.optional("Selektivvertraege");
    let contract = |name| contracts.as_ref().and_then(|contracts| contracts.text(name));
    // Schema 5.1 spells the element with an underscore.
    let group_name = if root.optional("BesonderePersonengruppe").is_some() {
        "BesonderePersonengruppe"
    } else {
        "Besondere_Personengruppe"
    };
    Ok(ProtectedData {
        copayment_exempt: copayment.as_ref().map(|fields| fields.flag("Status")).transpose()?.flatten(),
        copayment_exempt_until: copayment
            .as_ref()
            .map(|fields| fields.date("Gueltig_bis"))
            .transpose()?
            .flatten(),
        special_group: root.digits(group_name, CODE_DIGITS)?,
        dmp: root.digits("DMP_Kennzeichnung", CODE_DIGITS)?,
        selective_contract_medical: contract("Aerztlich"),
        selective_contract_dental: contract("Zahnaerztlich"),
        selective_contract_kind: contract("Art"),
        suspended: root.optional("RuhenderLeistungsanspruch").map(|fields| suspended(&fields)).transpose()?,
    })
}

fn suspended(fields: &Fields<'_>) -> Result<SuspendedEntitlement, VsdError> {
    Ok(SuspendedEntitlement {
        begin: fields.date("Beginn")?,
        end: fields.date("Ende")?,
        kind: fields.text("ArtDesRuhens"),
    })
}

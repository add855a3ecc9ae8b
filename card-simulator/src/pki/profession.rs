//! Professions of card holders (gemSpec_PKI, tables of profession identifiers).

use std::fmt;
use std::str::FromStr;

use const_oid::ObjectIdentifier;

/// Profession in the admission extension of a professional's certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profession {
    /// Physician.
    Physician,
    /// Dentist.
    Dentist,
    /// Pharmacist.
    Pharmacist,
    /// Psychotherapist.
    Psychotherapist,
    /// Nurse.
    Nurse,
    /// Midwife.
    Midwife,
    /// Emergency paramedic.
    Paramedic,
}

impl Profession {
    /// All professions.
    pub const ALL: [Profession; 7] = [
        Profession::Physician,
        Profession::Dentist,
        Profession::Pharmacist,
        Profession::Psychotherapist,
        Profession::Nurse,
        Profession::Midwife,
        Profession::Paramedic,
    ];

    /// The name used on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Profession::Physician => "physician",
            Profession::Dentist => "dentist",
            Profession::Pharmacist => "pharmacist",
            Profession::Psychotherapist => "psychotherapist",
            Profession::Nurse => "nurse",
            Profession::Midwife => "midwife",
            Profession::Paramedic => "paramedic",
        }
    }

    /// Text in the admission extension.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Profession::Physician => "Ärztin/Arzt",
            Profession::Dentist => "Zahnärztin/Zahnarzt",
            Profession::Pharmacist => "Apotheker/-in",
            Profession::Psychotherapist => "Psychotherapeut/-in",
            Profession::Nurse => "Gesundheits- und Krankenpfleger/-in",
            Profession::Midwife => "Hebamme",
            Profession::Paramedic => "Notfallsanitäter/-in",
        }
    }

    /// Object identifier in the admission extension.
    pub(crate) fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Profession::Physician => "1.2.276.0.76.4.30",
            Profession::Dentist => "1.2.276.0.76.4.31",
            Profession::Pharmacist => "1.2.276.0.76.4.32",
            Profession::Psychotherapist => "1.2.276.0.76.4.45",
            Profession::Nurse => "1.2.276.0.76.4.232",
            Profession::Midwife => "1.2.276.0.76.4.235",
            Profession::Paramedic => "1.2.276.0.76.4.178",
        })
    }

    /// Text and identifier of the institution in an institution's certificates; `None` where it is not known.
    pub(crate) fn institution(self) -> Option<(&'static str, ObjectIdentifier)> {
        let (text, oid) = match self {
            Profession::Physician => ("Betriebsstätte Arzt", "1.2.276.0.76.4.50"),
            Profession::Dentist => ("Zahnarztpraxis", "1.2.276.0.76.4.51"),
            Profession::Psychotherapist => ("Betriebsstätte Psychotherapeut", "1.2.276.0.76.4.52"),
            Profession::Pharmacist => ("Öffentliche Apotheke", "1.2.276.0.76.4.54"),
            Profession::Nurse | Profession::Midwife | Profession::Paramedic => return None,
        };
        Some((text, ObjectIdentifier::new_unwrap(oid)))
    }

    /// First character of a Telematik-ID of this profession.
    pub(crate) fn telematik_prefix(self) -> char {
        match self {
            Profession::Physician => '1',
            Profession::Dentist => '2',
            Profession::Pharmacist => '3',
            Profession::Psychotherapist => '4',
            Profession::Nurse | Profession::Midwife | Profession::Paramedic => '9',
        }
    }
}

impl fmt::Display for Profession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Lists the professions there are.
impl FromStr for Profession {
    type Err = String;

    fn from_str(text: &str) -> Result<Profession, String> {
        let found = Profession::ALL.into_iter().find(|profession| profession.as_str() == text);
        found.ok_or_else(|| {
            let names: Vec<_> = Profession::ALL.iter().map(|profession| profession.as_str()).collect();
            format!("unknown profession '{text}': one of {}", names.join(", "))
        })
    }
}

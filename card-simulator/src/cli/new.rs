//! `card-simulator new`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use card_simulator::{IssuedCard, NewCard, Patient, Profession, ProfileName, Secrets};
use clap::Args;

/// Make a card image with fresh keys and test certificates.
///
/// The PINs have well-known defaults and are printed: such a card is for tests only.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// Kind of card: hpc-p384, hba-g21, egk-g21, egk-g2, smc-b, gsmc-kt, gsmc-k, piv, piv-rsa, piv-p384,
    /// esteid, beid17, beid18, jpki, vitale2 or kvk.
    #[arg(long)]
    profile: ProfileName,
    /// Directory for the image; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Name of the professional in the certificates.
    #[arg(long, value_name = "NAME", default_value = "Dr. Ada Beispiel")]
    holder: String,
    /// Profession in the certificates: physician, dentist, pharmacist, psychotherapist, nurse, midwife, paramedic.
    #[arg(long, default_value = "physician")]
    profession: Profession,
    /// Telematik-ID in the certificates; made up from the serial number by default.
    #[arg(long, value_name = "ID")]
    telematik_id: Option<String>,
    /// Serial number of the card, 20 digits; random by default.
    #[arg(long, value_name = "DIGITS")]
    iccsn: Option<String>,
    /// Directory of the test certification authority to issue from, made if it is not there, so that several
    /// cards share one; by default each card has its own in DIR/ca.
    #[arg(long, value_name = "DIR")]
    ca: Option<PathBuf>,
    /// Address of the OCSP responder in the certificates.
    #[arg(long, value_name = "URL")]
    ocsp: Option<String>,
    /// PIN.CH (authentication, decipherment) or the only PIN of a card, 6 to 8 digits.
    #[arg(long, value_name = "PIN", default_value = "123456")]
    pin_ch: String,
    /// PIN.QES (signature), 6 to 8 digits.
    #[arg(long, value_name = "PIN", default_value = "234567")]
    pin_qes: String,
    /// PUK of all PINs, 8 digits.
    #[arg(long, value_name = "PUK", default_value = "12345678")]
    puk: String,
    /// Card access number for the contactless interface, 6 digits.
    #[arg(long, value_name = "CAN", default_value = "123123")]
    can: String,
    /// Deliver PIN.CH and PIN.QES with transport protection: the PIN without its last digit must be changed first.
    #[arg(long)]
    transport_pin: bool,
    /// Signatures the card makes per entry of PIN.QES (EF.SSEC).
    #[arg(long, value_name = "N", default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..=250))]
    signatures_per_pin: u32,
    /// Insurance data to pack, exactly as the files are: personal data, general insurance data and, optionally,
    /// protected data. An invented person by default.
    #[arg(long, num_args = 2..=3, value_names = ["PD.XML", "VD.XML", "GVD.XML"])]
    patient: Vec<PathBuf>,
    /// Give a transparent file this content instead, for deviating cards: EF.PD=path.
    #[arg(long, value_name = "FILE=PATH")]
    replace: Vec<String>,
    /// A script of deviations, for cards that are not as they should be (docs/simulator.md).
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Makes the card.
pub(crate) fn run(arguments: New) -> anyhow::Result<()> {
    let mut card = NewCard::new(arguments.profile)
        .holder(arguments.holder)
        .profession(arguments.profession)
        .transport_pins(arguments.transport_pin)
        .signatures_per_pin(arguments.signatures_per_pin)
        .secrets(Secrets {
            pin_ch: arguments.pin_ch,
            pin_qes: arguments.pin_qes,
            puk: arguments.puk,
            can: arguments.can,
            ..Secrets::default()
        });
    if let Some(id) = arguments.telematik_id {
        card = card.telematik_id(id);
    }
    if let Some(iccsn) = arguments.iccsn {
        card = card.iccsn(iccsn);
    }
    if let Some(directory) = arguments.ca {
        card = card.authority(directory);
    }
    if let Some(url) = arguments.ocsp {
        card = card.ocsp(url);
    }
    if let Some(patient) = patient(&arguments.patient)? {
        card = card.patient(patient);
    }
    for replacement in &arguments.replace {
        let (name, path) = replacement.split_once('=').context("--replace takes FILE=PATH")?;
        card = card.file(name, read(path.as_ref())?);
    }
    if let Some(path) = &arguments.script {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        card = card.script(&text).with_context(|| path.display().to_string())?;
    }
    let issued = card.create(&arguments.out)?;
    let text =
        if arguments.json { serde_json::to_string_pretty(&issued)? + "\n" } else { described(&issued)? };
    Ok(super::tell(&text)?)
}

fn patient(paths: &[PathBuf]) -> anyhow::Result<Option<Patient>> {
    let [personal, insurance, protected @ ..] = paths else { return Ok(None) };
    Ok(Some(Patient {
        personal: read(personal)?,
        insurance: read(insurance)?,
        protected: protected.first().map(|path| read(path)).transpose()?,
    }))
}

fn read(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

fn described(card: &IssuedCard) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "card image    {} ({})", card.directory.display(), card.profile)?;
    writeln!(out, "serial number {}", card.iccsn)?;
    if let Some(id) = &card.telematik_id {
        writeln!(out, "Telematik-ID  {id}")?;
    }
    for (name, value) in &card.secrets {
        writeln!(out, "{name:<13} {value}")?;
    }
    writeln!(out, "trust anchors {}", card.ca_file.display())?;
    for (name, path) in &card.certificates {
        writeln!(out, "{name:<13} {}", path.display())?;
    }
    Ok(out)
}

//! Compiles the contract with a compiler written in Rust, so that no `protoc` is needed on the machine.

use std::{env, error::Error, fs, path::PathBuf};

const SOURCE: &str = "hpc/signer/v1/signer.proto";

/// Messages that hold secrets or patient data: their `Debug` is written by hand in `src/redacted.rs`.
const REDACTED: [&str; 23] = [
    "hpc.signer.v1.Pin",
    "hpc.signer.v1.SignPrescriptionRequest",
    "hpc.signer.v1.SignPrescriptionResponse",
    "hpc.signer.v1.PreparePrescriptionRequest",
    "hpc.signer.v1.PreparePrescriptionResponse",
    "hpc.signer.v1.BatchBegin",
    "hpc.signer.v1.BatchDocument",
    "hpc.signer.v1.ActivateComfortSignatureRequest",
    "hpc.signer.v1.DeactivateComfortSignatureRequest",
    "hpc.signer.v1.GetComfortSessionRequest",
    "hpc.signer.v1.AnswerIdpChallengeRequest",
    "hpc.signer.v1.AnswerIdpChallengeResponse",
    "hpc.signer.v1.AuthenticateClinicianResponse",
    "hpc.signer.v1.VerifySignatureRequest",
    "hpc.signer.v1.VerifySignatureResponse",
    "hpc.signer.v1.ReadInsuranceResponse",
    "hpc.signer.v1.PersonalData",
    "hpc.signer.v1.RequestEmergencyAccessRequest",
    "hpc.signer.v1.RequestEmergencyAccessResponse",
    "hpc.signer.v1.OpenEmergencyAccessRequest",
    "hpc.signer.v1.OpenEmergencyAccessResponse",
    "hpc.signer.v1.ReadEmergencyDataResponse",
    "hpc.signer.v1.Address",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::Compiler::new(["proto"])?
        .include_source_info(true)
        .include_imports(true)
        .open_file(SOURCE)?
        .encode_file_descriptor_set();
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(out.join("signer.bin"), &descriptors)?;
    let set = prost::Message::decode(descriptors.as_slice())?;
    tonic_prost_build::configure().skip_debug(REDACTED).compile_fds(set)?;
    Ok(())
}

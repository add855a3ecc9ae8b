//! The calls of the contract, each by its name.

use proto::v1::{self, signer_service_server::SignerService};
use tonic::{Request, Response, Status, Streaming};

use super::{
    Answers, Signer, authenticate, batch, cards, check, clinician, comfort, emergency, idp, insurance,
    prepare, sign, verify,
};

#[tonic::async_trait]
impl SignerService for Signer {
    async fn sign_prescription(
        &self,
        request: Request<v1::SignPrescriptionRequest>,
    ) -> Result<Response<v1::SignPrescriptionResponse>, Status> {
        self.answer("SignPrescription", request, sign::call).await
    }

    async fn prepare_prescription(
        &self,
        request: Request<v1::PreparePrescriptionRequest>,
    ) -> Result<Response<v1::PreparePrescriptionResponse>, Status> {
        self.answer("PreparePrescription", request, prepare::call).await
    }

    type SignBatchStream = Answers;

    async fn sign_batch(
        &self,
        request: Request<Streaming<v1::BatchRequest>>,
    ) -> Result<Response<Answers>, Status> {
        self.converse("SignBatch", request, batch::call).await
    }

    async fn activate_comfort_signature(
        &self,
        request: Request<v1::ActivateComfortSignatureRequest>,
    ) -> Result<Response<v1::ActivateComfortSignatureResponse>, Status> {
        self.answer("ActivateComfortSignature", request, comfort::activate).await
    }

    async fn deactivate_comfort_signature(
        &self,
        request: Request<v1::DeactivateComfortSignatureRequest>,
    ) -> Result<Response<v1::DeactivateComfortSignatureResponse>, Status> {
        self.answer("DeactivateComfortSignature", request, comfort::deactivate).await
    }

    async fn get_comfort_session(
        &self,
        request: Request<v1::GetComfortSessionRequest>,
    ) -> Result<Response<v1::GetComfortSessionResponse>, Status> {
        self.answer("GetComfortSession", request, comfort::get).await
    }

    async fn check_prescription(
        &self,
        request: Request<v1::CheckPrescriptionRequest>,
    ) -> Result<Response<v1::CheckPrescriptionResponse>, Status> {
        self.answer("CheckPrescription", request, check::call).await
    }

    async fn verify_signature(
        &self,
        request: Request<v1::VerifySignatureRequest>,
    ) -> Result<Response<v1::VerifySignatureResponse>, Status> {
        self.answer("VerifySignature", request, verify::call).await
    }

    async fn read_insurance(
        &self,
        request: Request<v1::ReadInsuranceRequest>,
    ) -> Result<Response<v1::ReadInsuranceResponse>, Status> {
        self.answer("ReadInsurance", request, insurance::call).await
    }

    async fn authenticate_clinician(
        &self,
        request: Request<v1::AuthenticateClinicianRequest>,
    ) -> Result<Response<v1::AuthenticateClinicianResponse>, Status> {
        self.answer("AuthenticateClinician", request, authenticate::call).await
    }

    async fn answer_idp_challenge(
        &self,
        request: Request<v1::AnswerIdpChallengeRequest>,
    ) -> Result<Response<v1::AnswerIdpChallengeResponse>, Status> {
        self.answer("AnswerIdpChallenge", request, idp::call).await
    }

    async fn get_token_keys(
        &self,
        request: Request<v1::GetTokenKeysRequest>,
    ) -> Result<Response<v1::GetTokenKeysResponse>, Status> {
        self.answer("GetTokenKeys", request, clinician::keys).await
    }

    async fn request_emergency_access(
        &self,
        request: Request<v1::RequestEmergencyAccessRequest>,
    ) -> Result<Response<v1::RequestEmergencyAccessResponse>, Status> {
        self.answer("RequestEmergencyAccess", request, emergency::request).await
    }

    async fn approve_emergency_access(
        &self,
        request: Request<v1::ApproveEmergencyAccessRequest>,
    ) -> Result<Response<v1::EmergencyAccessResponse>, Status> {
        self.answer("ApproveEmergencyAccess", request, emergency::approve).await
    }

    async fn revoke_emergency_access(
        &self,
        request: Request<v1::RevokeEmergencyAccessRequest>,
    ) -> Result<Response<v1::EmergencyAccessResponse>, Status> {
        self.answer("RevokeEmergencyAccess", request, emergency::revoke).await
    }

    async fn open_emergency_access(
        &self,
        request: Request<v1::OpenEmergencyAccessRequest>,
    ) -> Result<Response<v1::OpenEmergencyAccessResponse>, Status> {
        self.answer("OpenEmergencyAccess", request, emergency::open).await
    }

    async fn list_emergency_access(
        &self,
        request: Request<v1::ListEmergencyAccessRequest>,
    ) -> Result<Response<v1::ListEmergencyAccessResponse>, Status> {
        self.answer("ListEmergencyAccess", request, emergency::list).await
    }

    async fn close_emergency_review(
        &self,
        request: Request<v1::CloseEmergencyReviewRequest>,
    ) -> Result<Response<v1::EmergencyAccessResponse>, Status> {
        self.answer("CloseEmergencyReview", request, emergency::review).await
    }

    async fn export_emergency_access(
        &self,
        request: Request<v1::ExportEmergencyAccessRequest>,
    ) -> Result<Response<v1::ExportEmergencyAccessResponse>, Status> {
        self.answer("ExportEmergencyAccess", request, emergency::export).await
    }

    async fn read_emergency_data(
        &self,
        request: Request<v1::ReadEmergencyDataRequest>,
    ) -> Result<Response<v1::ReadEmergencyDataResponse>, Status> {
        self.answer("ReadEmergencyData", request, emergency::read_data).await
    }

    async fn list_cards(
        &self,
        request: Request<v1::ListCardsRequest>,
    ) -> Result<Response<v1::ListCardsResponse>, Status> {
        self.answer("ListCards", request, cards::call).await
    }
}

//! What other people's gRPC tools rely on: health, reflection in both versions, request ids, details of refusals.

use crate::support::{BOTH, Desk};
use proto::v1;
use tokio_stream::once;
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1 as reflection, v1alpha as reflection_alpha};

const SERVICE: &str = "hpc.signer.v1.SignerService";

#[tokio::test]
async fn the_service_reports_its_health() {
    let desk = Desk::with(&BOTH);
    let mut health = HealthClient::new(channel(&desk).await);
    for service in ["", SERVICE] {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving, "{service}");
    }
}

#[tokio::test]
async fn a_prescription_is_checked_without_a_pin() {
    let desk = Desk::with(&BOTH);
    let mut client = v1::signer_service_client::SignerServiceClient::new(channel(&desk).await);
    let text = std::fs::read_to_string(crate::support::fixture("prescription.xml")).unwrap();
    for (content, signable, rules) in [
        (text.clone(), true, vec!["AUTHORED_ON"]),
        (text.replace("X110400001", "X110400002"), false, vec!["KVNR_CHECK_DIGIT", "AUTHORED_ON"]),
        (text.replace("document", "batch"), false, vec!["BUNDLE_TYPE"]),
        (text[..300].to_owned(), false, vec!["MALFORMED"]),
    ] {
        let request = v1::CheckPrescriptionRequest {
            prescription: content.into_bytes(),
            card: Some(v1::CardSelector::default()),
        };
        let answer = client.check_prescription(request).await.unwrap().into_inner();
        let found: Vec<&str> = answer.findings.iter().map(|finding| finding.rule.as_str()).collect();
        assert_eq!((answer.signable, found), (signable, rules));
    }
    let empty = client.check_prescription(v1::CheckPrescriptionRequest::default()).await.unwrap_err();
    assert_eq!(empty.code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn reflection_answers_in_both_versions() {
    let desk = Desk::with(&BOTH);
    let channel = channel(&desk).await;
    {
        use reflection::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let message_request = Some(MessageRequest::ListServices(String::new()));
        let request = ServerReflectionRequest { host: String::new(), message_request };
        let mut answers = ServerReflectionClient::new(channel.clone())
            .server_reflection_info(once(request))
            .await
            .unwrap()
            .into_inner();
        let answer = answers.message().await.unwrap().unwrap().message_response;
        let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
        assert!(list.service.iter().any(|service| service.name == SERVICE), "{list:?}");
    }
    use reflection_alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let message_request = Some(MessageRequest::FileContainingSymbol(SERVICE.into()));
    let request = ServerReflectionRequest { host: String::new(), message_request };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    assert!(matches!(answer, Some(MessageResponse::FileDescriptorResponse(_))), "{answer:?}");
}

#[tokio::test]
async fn a_request_id_comes_back_with_answers_and_refusals() {
    let desk = Desk::with(&BOTH);
    let mut client = v1::signer_service_client::SignerServiceClient::new(channel(&desk).await);
    let mut request = Request::new(v1::ListCardsRequest {});
    request.metadata_mut().insert("x-request-id", "ward-7".parse().unwrap());
    let answer = client.list_cards(request).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "ward-7");
    let refusal = client.read_insurance(v1::ReadInsuranceRequest::default()).await.unwrap_err();
    assert_eq!(refusal.metadata().get("x-request-id").unwrap().len(), 36);
    assert!(desk.log().contains("ward-7"));
}

pub(crate) async fn channel(desk: &Desk) -> Channel {
    let address = format!("unix:{}", desk.path("s.sock").display());
    Endpoint::from_shared(address).unwrap().connect().await.unwrap()
}

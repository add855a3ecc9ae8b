//! Ten thousand requests that make no sense, or half, a quarter of them over TLS: each is answered, none shows a secret, and
//! the service goes on.

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use proto::v1::{self, sign_prescription_request::InsuranceCheck};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};

use crate::{
    grpc::channel,
    network::{self, ALL},
    support::{BOTH, Desk, PIN, fixture},
};

const REQUESTS: usize = 10_000;
const TASKS: usize = 8;
/// What no status and no log may show.
pub(crate) const SECRETS: [&str; 4] = [PIN, "X110400001", "Musterst", "1964-11-03"];

#[tokio::test(flavor = "multi_thread")]
async fn random_requests_are_answered_without_harm() {
    // Some of them are wrong PINs, which would be limited.
    let limits = "[limits]\nwrong_pins_per_card = 100000\nwrong_pins_per_client = 100000\n";
    let desk = Desk::on_network(&BOTH, &format!("{ALL}{limits}"));
    let (local, remote) = (channel(&desk).await, network::channel(&desk, "ward").await);
    let methods = methods();
    let tasks = (0..TASKS).map(|task| {
        let channel = if task % 4 == 0 { remote.clone() } else { local.clone() };
        let methods = methods.clone();
        tokio::spawn(async move {
            let mut chance = Chance(0x9E37_79B9_7F4A_7C15 + task as u64);
            for _ in 0..REQUESTS / TASKS {
                let method = &methods[chance.below(methods.len())];
                let request = chance.request();
                if let Err(status) = call(&channel, method, request.clone()).await {
                    judge(method, &request, &status);
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let output = desk.sign("prescription.xml", PIN);
    assert!(output.status.success(), "the service does not sign any more");
    let log = desk.log();
    for secret in SECRETS {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

fn judge(method: &str, request: &Bytes, status: &Status) {
    let said = status.message();
    // What does not decode is INTERNAL in gRPC, and our own INTERNALs mean a defect.
    let decodes = status.code() != Code::Internal || said.contains("decode") || said.contains("buffer");
    let known = !matches!(status.code(), Code::Unknown | Code::DataLoss | Code::Unimplemented);
    assert!(decodes && known, "{method} {}: {status:?}", hex::encode(request));
    let shown = format!("{said}{}", String::from_utf8_lossy(status.details()));
    assert!(!SECRETS.iter().any(|secret| shown.contains(secret)), "{method}: {shown}");
}

/// The paths of all calls of the contract.
fn methods() -> Vec<String> {
    let files = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = files.file.iter().flat_map(|file| file.service.iter().map(move |service| (file, service)));
    let path = |package: &str, service: &str, method: &str| format!("/{package}.{service}/{method}");
    let methods = services.flat_map(|(file, service)| {
        service.method.iter().map(move |method| path(file.package(), service.name(), method.name()))
    });
    let methods: Vec<String> = methods.collect();
    assert!(methods.len() >= 6, "{methods:?}");
    methods
}

/// One message, as a stream: for the wire there is no difference to a single request.
pub(crate) async fn call(channel: &Channel, method: &str, request: Bytes) -> Result<(), Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::try_from(method).unwrap();
    let mut answers =
        grpc.streaming(Request::new(tokio_stream::once(request)), path, Raw).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}

/// A generator of random numbers that gives the same every time (xorshift64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Noise, or a message of one call - perhaps for another - with some bytes changed, or cut, or doubled.
    fn request(&mut self) -> Bytes {
        let mut bytes = match self.below(5) {
            0 => {
                let length = self.below(200);
                return (0..length).map(|_| self.next() as u8).collect();
            }
            1 => sensible().encode_to_vec(),
            2 => v1::VerifySignatureRequest { cms: self.noise(300), ..Default::default() }.encode_to_vec(),
            3 => {
                let request = v1::AuthenticateClinicianRequest {
                    pin: Some(v1::Pin { value: PIN.into(), last_try: false }),
                    nonce: self.noise(40),
                    ..Default::default()
                };
                request.encode_to_vec()
            }
            _ => v1::CheckPrescriptionRequest { prescription: self.noise(300), card: None }.encode_to_vec(),
        };
        for _ in 0..self.below(6) {
            let at = self.below(bytes.len().max(1)).min(bytes.len());
            match self.below(3) {
                0 if at < bytes.len() => bytes[at] = self.next() as u8,
                1 => bytes.truncate(at),
                _ => bytes.extend_from_within(at..),
            }
        }
        bytes.truncate(1 << 16);
        bytes.into()
    }

    fn noise(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next() as u8).collect()
    }
}

fn sensible() -> v1::SignPrescriptionRequest {
    let no_card = v1::NoInsuranceCard { reason: "the test has no card".into() };
    v1::SignPrescriptionRequest {
        prescription: std::fs::read(fixture("prescription.xml")).unwrap(),
        pin: Some(v1::Pin { value: PIN.into(), last_try: false }),
        insurance_check: Some(InsuranceCheck::NoCard(no_card)),
        ..Default::default()
    }
}

/// Messages as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

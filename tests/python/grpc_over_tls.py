"""Google's gRPC library over mutual TLS, with nothing of the contract at hand: all it knows it learns by reflection.

    grpc_over_tls.py HOST:PORT CA CERTIFICATE KEY PRESCRIPTION

Prints JSON: what reflection lists in both versions, what CheckPrescription says, and how other calls end.
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICE = "hpc.signer.v1.SignerService"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def services_by(channel, version):
    """Both versions of reflection have the same messages under other names."""
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(iter(call(iter([asked]), timeout=20)))
    return sorted(service.name for service in answer.list_services_response.service)


def main(address, ca, certificate, key, prescription):
    credentials = grpc.ssl_channel_credentials(read(ca), read(key), read(certificate))
    channel = grpc.secure_channel(address, credentials, [("grpc.ssl_target_name_override", "localhost")])
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    contract = pool.FindServiceByName(SERVICE)

    def call(name, **fields):
        method = contract.methods_by_name[name]
        request = message_factory.GetMessageClass(method.input_type)(**fields)
        answer = message_factory.GetMessageClass(method.output_type)
        path = f"/{SERVICE}/{name}"
        stub = channel.unary_unary(path, type(request).SerializeToString, answer.FromString)
        return stub(request, timeout=20)

    def refused(name, **fields):
        try:
            call(name, **fields)
        except grpc.RpcError as error:
            metadata = dict(error.trailing_metadata())
            return {"code": error.code().name, "text": error.details(), "id": metadata.get("x-request-id")}
        return None

    checked = call("CheckPrescription", prescription=read(prescription))
    print(json.dumps({
        "v1": services_by(channel, "v1"),
        "v1alpha": services_by(channel, "v1alpha"),
        "signable": checked.signable,
        "rules": [finding.rule for finding in checked.findings],
        "empty": refused("CheckPrescription"),
        "denied": refused("VerifySignature"),
    }))


main(*sys.argv[1:])

"""Google's gRPC library over mutual TLS, told what to call line by line. It learns the contract by reflection.

    grpc_conversation.py HOST:PORT CA CERTIFICATE KEY

Each line of input is JSON: {"call": "package.Service/Method", "request": {...}, "token": "..."}, the request in the JSON form of
Protocol Buffers. Each line of output is {"answer": {...}} or {"code": "...", "text": "...", "reason": "...", "metadata": {...}}.
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


def read(path):
    with open(path, "rb") as file:
        return file.read()


def main(address, ca, certificate, key):
    credentials = grpc.ssl_channel_credentials(read(ca), read(key), read(certificate))
    channel = grpc.secure_channel(address, credentials, [("grpc.ssl_target_name_override", "localhost")])
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    def message(name):
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))

    def call(path, request, token):
        service, name = path.split("/")
        method = pool.FindServiceByName(service).methods_by_name[name]
        request = json_format.ParseDict(request, message_factory.GetMessageClass(method.input_type)())
        answer = message_factory.GetMessageClass(method.output_type)
        stub = channel.unary_unary(f"/{path}", type(request).SerializeToString, answer.FromString)
        metadata = [("authorization", f"Bearer {token}")] if token else []
        return json_format.MessageToDict(stub(request, timeout=60, metadata=metadata))

    def refusal(error):
        said = {"code": error.code().name, "text": error.details()}
        for name, value in error.trailing_metadata():
            if name != "grpc-status-details-bin":
                continue
            status = message("google.rpc.Status").FromString(value)
            for detail in status.details:
                if detail.type_url.endswith("google.rpc.ErrorInfo"):
                    info = message("google.rpc.ErrorInfo").FromString(detail.value)
                    said |= {"reason": info.reason, "metadata": dict(info.metadata)}
        return said

    for line in sys.stdin:
        order = json.loads(line)
        try:
            said = {"answer": call(order["call"], order["request"], order.get("token"))}
        except grpc.RpcError as error:
            said = refusal(error)
        print(json.dumps(said), flush=True)


main(*sys.argv[1:])

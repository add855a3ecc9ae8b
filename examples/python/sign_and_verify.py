#!/usr/bin/env python3
"""Signs a prescription and verifies the signature, through the gRPC contract.

    python3 -m venv venv && venv/bin/pip install grpcio-tools
    venv/bin/python examples/python/sign_and_verify.py unix:/run/hpc-signer/signer.sock prescription.xml out.p7s

The PIN comes from the variable HPC_PIN, or is asked for. The classes of the contract are generated when this starts, from
proto/hpc/signer/v1/signer.proto; a program that is shipped would have them generated when it is built.
"""

import getpass
import os
import pathlib
import sys
import tempfile
import uuid

import grpc
import grpc_tools
from google.protobuf import any_pb2
from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parents[2]


def generate(directory):
    """Writes the modules of the contract and of the error details into a directory that Python looks in."""
    builtin = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{ROOT / 'proto/proto'}", f"-I{builtin}"]
    arguments += [f"--python_out={directory}", f"--grpc_python_out={directory}", "hpc/signer/v1/signer.proto"]
    if protoc.main(arguments) != 0:
        sys.exit("the contract could not be compiled")
    sys.path.insert(0, str(directory))


def refusal(error):
    """The reason and its metadata in a refusal of the service (google.rpc.ErrorInfo), or None.

    Two fields and a map: read here without another package.
    """
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = Status.FromString(value)
            for detail in status.details:
                if detail.type_url.endswith("google.rpc.ErrorInfo"):
                    info = ErrorInfo.FromString(detail.value)
                    return info.reason, dict(info.metadata)
    return None


def error_messages():
    """google.rpc.Status and ErrorInfo, declared by their field numbers."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="errors.proto", package="example", syntax="proto3")
    file.dependency.append(any_pb2.DESCRIPTOR.name)
    field = descriptor_pb2.FieldDescriptorProto
    status = file.message_type.add(name="Status")
    status.field.add(name="code", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    status.field.add(name="message", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    status.field.add(name="details", number=3, type=field.TYPE_MESSAGE, label=field.LABEL_REPEATED,
                     type_name=".google.protobuf.Any")
    info = file.message_type.add(name="ErrorInfo")
    info.field.add(name="reason", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    info.field.add(name="domain", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    info.field.add(name="metadata", number=3, type=field.TYPE_MESSAGE, label=field.LABEL_REPEATED,
                   type_name=".example.ErrorInfo.MetadataEntry")
    entry = info.nested_type.add(name="MetadataEntry")
    entry.options.map_entry = True
    for number, name in enumerate(("key", "value"), 1):
        entry.field.add(name=name, number=number, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.Default()
    pool.Add(file)
    named = lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    return named("example.Status"), named("example.ErrorInfo")


Status, ErrorInfo = error_messages()


def main(address, prescription, out):
    with tempfile.TemporaryDirectory() as directory:
        generate(directory)
        from hpc.signer.v1 import signer_pb2 as messages, signer_pb2_grpc as calls

        document = pathlib.Path(prescription).read_bytes()
        pin = os.environ.get("HPC_PIN") or getpass.getpass("Signature PIN (PIN.QES): ")
        # The service's certificate names no Unix socket; this is what it is called there.
        with grpc.insecure_channel(address, options=[("grpc.default_authority", "localhost")]) as channel:
            service = calls.SignerServiceStub(channel)
            request = messages.SignPrescriptionRequest(
                prescription=document,
                pin=messages.Pin(value=pin),
                no_card=messages.NoInsuranceCard(reason="example without an insurance card"),
                # A retry with this key after a lost answer gets the same signature, and no second one is made.
                idempotency_key=str(uuid.uuid4()),
            )
            try:
                signed = service.SignPrescription(request)
                again = service.SignPrescription(request)
            except grpc.RpcError as error:
                reason = refusal(error)
                sys.exit(f"refused: {error.code().name}: {reason[0] if reason else error.details()}")
            assert again.cms == signed.cms and again.replayed
            pathlib.Path(out).write_bytes(signed.cms)

            # Nobody but the OCSP responder knows whether the certificate is revoked: without asking it the verdict is
            # INCONCLUSIVE, unless another policy is configured or wished for.
            question = messages.VerifySignatureRequest(cms=signed.cms, check_revocation_now=True)
            verdict = service.VerifySignature(question)
            print("signed with", signed.algorithm, "- audit record", signed.audit_sequence)
            print("verdict:", messages.Verdict.Name(verdict.verdict), "under", verdict.revocation_policy)
            for reason in verdict.reasons:
                print("  ", reason)
            rules = verdict.prescription_rules
            print("prescription rules:", messages.PrescriptionRules.State.Name(rules.state))
            for finding in rules.findings:
                print("  ", messages.Severity.Name(finding.severity), finding.rule, finding.text)
            if verdict.content != document:
                sys.exit("the signature is over other bytes")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])

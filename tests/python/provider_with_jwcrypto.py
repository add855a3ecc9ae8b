"""A small national identity provider made of jwcrypto: makes a challenge, and judges the answer to it.

provider_with_jwcrypto.py challenge DIRECTORY
provider_with_jwcrypto.py judge DIRECTORY CERTIFICATE
"""

import base64
import json
import pathlib
import sys
import time

from jwcrypto import jwe, jwk, jws

what, directory = sys.argv[1], pathlib.Path(sys.argv[2])


def challenge():
    for name in ("signature", "encryption"):
        key = jwk.JWK.generate(kty="EC", crv="BP-256", kid=f"puk_idp_{name[:3]}")
        (directory / f"{name}.private").write_text(key.export_private())
        (directory / f"{name}.jwk").write_text(key.export_public())
    claims = {
        "iss": "https://idp.example",
        "response_type": "code",
        "token_type": "challenge",
        "nonce": "876",
        "client_id": "practice",
        "scope": "openid e-rezept",
        "iat": int(time.time()),
        "exp": int(time.time()) + 180,
    }
    token = jws.JWS(json.dumps(claims))
    token.allowed_algs = ["BP256R1"]
    key = jwk.JWK.from_json((directory / "signature.private").read_text())
    token.add_signature(key, protected=json.dumps({"alg": "BP256R1", "kid": "puk_idp_sig", "typ": "JWT"}))
    (directory / "challenge").write_text(token.serialize(compact=True))


def judge(certificate):
    given = (directory / "challenge").read_text()
    key = jwk.JWK.from_json((directory / "encryption.private").read_text())
    outer = jwe.JWE()
    outer.deserialize((directory / "answer").read_text().strip(), key=key)
    header = json.loads(outer.objects["protected"])
    claims = jws.JWS()
    claims.deserialize(given)
    exp = json.loads(claims.objects["payload"])["exp"]
    assert (header["alg"], header["enc"], header["cty"], header["exp"]) == ("ECDH-ES", "A256GCM", "NJWT", exp)
    inner = jws.JWS()
    inner.allowed_algs = ["BP256R1", "PS256"]
    inner.deserialize(json.loads(outer.payload)["njwt"])
    pem = pathlib.Path(certificate).read_bytes()
    der = base64.b64decode("".join(line for line in pem.decode().splitlines() if not line.startswith("-")))
    assert base64.b64decode(inner.jose_header["x5c"][0]) == der, "another certificate"
    inner.verify(jwk.JWK.from_pem(pem))
    assert json.loads(inner.payload)["njwt"] == given, "another challenge"
    print("genuine", inner.jose_header["alg"])


challenge() if what == "challenge" else judge(sys.argv[3])

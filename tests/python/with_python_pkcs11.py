"""Signs a file with a key of a card through python-pkcs11.

Usage: with_python_pkcs11.py TOKEN LABEL FILE SIGNATURE, the module in MODULE and the PIN in PIN.
"""

import hashlib
import os
import sys

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_ecdsa_signature

token_label, label, file, out = sys.argv[1:]
with open(file, "rb") as document:
    data = document.read()

token = pkcs11.lib(os.environ["MODULE"]).get_token(token_label=token_label)

with token.open() as session:
    certificates = list(session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE}))
    print("certificates without a PIN:", *sorted(one[Attribute.LABEL] for one in certificates))
    print("private keys without a PIN:", len(list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}))))

with token.open(user_pin=os.environ["PIN"]) as session:
    key = session.get_key(label=label, object_class=ObjectClass.PRIVATE_KEY)
    if key.key_type == KeyType.EC:
        digest = hashlib.sha256(data).digest()
        signature = encode_ecdsa_signature(key.sign(digest, mechanism=Mechanism.ECDSA))
    else:
        signature = key.sign(data, mechanism=Mechanism.SHA256_RSA_PKCS)

with open(out, "wb") as result:
    result.write(signature)

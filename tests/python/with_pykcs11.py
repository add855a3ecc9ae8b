"""Signs a file with a key of a card through PyKCS11.

Usage: with_pykcs11.py TOKEN LABEL FILE SIGNATURE, the module in MODULE and the PIN in PIN.
"""

import hashlib
import os
import sys

import PyKCS11
from asn1crypto.algos import DSASignature
from PyKCS11 import LowLevel

token_label, label, file, out = sys.argv[1:]
with open(file, "rb") as document:
    data = document.read()

module = PyKCS11.PyKCS11Lib()
module.load(os.environ["MODULE"])
slots = module.getSlotList(tokenPresent=True)
slot = next(one for one in slots if module.getTokenInfo(one).label.strip() == token_label)
session = module.openSession(slot)

certificates = session.findObjects([(LowLevel.CKA_CLASS, LowLevel.CKO_CERTIFICATE)])
labels = [session.getAttributeValue(one, [LowLevel.CKA_LABEL])[0] for one in certificates]
print("certificates without a PIN:", *sorted(labels))
private_key = [(LowLevel.CKA_CLASS, LowLevel.CKO_PRIVATE_KEY)]
print("private keys without a PIN:", len(session.findObjects(private_key)))

session.login(os.environ["PIN"])
(key,) = session.findObjects(private_key + [(LowLevel.CKA_LABEL, label)])
(kind,) = session.getAttributeValue(key, [LowLevel.CKA_KEY_TYPE])
if kind == LowLevel.CKK_EC:
    digest = hashlib.sha256(data).digest()
    plain = bytes(session.sign(key, digest, PyKCS11.Mechanism(LowLevel.CKM_ECDSA)))
    signature = DSASignature.from_p1363(plain).dump()
else:
    signature = bytes(session.sign(key, data, PyKCS11.Mechanism(LowLevel.CKM_SHA256_RSA_PKCS)))
session.logout()
session.closeSession()

with open(out, "wb") as result:
    result.write(signature)

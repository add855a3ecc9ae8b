"""Judges a CMS signature with pyHanko: judge_with_pyhanko.py SIGNATURE ANCHORS"""

import asyncio
import sys

from asn1crypto import cms, pem, x509
from pyhanko.sign.validation.generic_cms import async_validate_cms_signature
from pyhanko_certvalidator import ValidationContext
from pyhanko.sign.validation.settings import KeyUsageConstraints

signature, anchors = (open(path, "rb").read() for path in sys.argv[1:3])
signed = cms.ContentInfo.load(signature)["content"]
roots = [x509.Certificate.load(der) for _, _, der in pem.unarmor(anchors, multiple=True)]
# The anchors of a card are its issuing CA, and no revocation list is fetched.
context = ValidationContext(trust_roots=roots, allow_fetching=False)
verdict = asyncio.run(
    async_validate_cms_signature(
        signed,
        validation_context=context,
        key_usage_settings=KeyUsageConstraints(key_usage={"non_repudiation"}),
    )
)
print(f"intact={verdict.intact} valid={verdict.valid} trusted={verdict.trusted}")

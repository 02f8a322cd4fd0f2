#!/usr/bin/env python3
"""Say what pyHanko, a stranger to Belfry, thinks of the signatures in a PDF.

    pyhanko_check.py --trust ROOT.pem [--trust ...] [--at 2026-06-01T12:00:00Z] [--revocation] FILE

Prints one JSON object: for each signature its level (B-B or B-T), the conclusion
of ETSI EN 319 102-1, whether the byte ranges and the later revisions are in
order, and whether the certification was kept. Without --revocation nobody is
asked whether certificates were revoked, which a test PKI needs. Exit status 0 if
every signature passed, 1 if one did not, 2 if the file could not be checked.
"""

import argparse
import asyncio
import json
import sys
from datetime import datetime, timezone

from pyhanko.keys import load_cert_from_pemder
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESIndeterminate, AdESPassed
from pyhanko.sign.validation.ades import ades_basic_validation, ades_with_time_validation
from pyhanko.sign.validation.policy_decl import SignatureValidationSpec
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo
from pyhanko_certvalidator.policy_decl import (
    REQUIRE_REVINFO,
    CertRevTrustPolicy,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)
from pyhanko_certvalidator.registry import SimpleTrustManager

NOBODY_ASKED = RevocationCheckingPolicy(
    ee_certificate_rule=RevocationCheckingRule.NO_CHECK,
    intermediate_ca_cert_rule=RevocationCheckingRule.NO_CHECK,
)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trust", action="append", required=True, help="a root certificate, PEM or DER")
    parser.add_argument("--at", help="the moment to check for, RFC 3339; now where left out")
    parser.add_argument("--revocation", action="store_true", help="want proof that no certificate was revoked")
    parser.add_argument("file")
    return parser.parse_args()


def specification(args):
    anchors = [CertTrustAnchor(load_cert_from_pemder(path)) for path in args.trust]
    policy = CertValidationPolicySpec(
        trust_manager=SimpleTrustManager.build(anchors),
        revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO if args.revocation else NOBODY_ASKED),
    )
    return SignatureValidationSpec(
        cert_validation_policy=policy,
        key_usage_settings=KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"}, match_all_key_usages=False),
    )


def timing(args):
    if not args.at:
        return None
    at = datetime.fromisoformat(args.at.replace("Z", "+00:00")).astimezone(timezone.utc)
    return ValidationTimingInfo(validation_time=at, best_signature_time=at, point_in_time_validation=True)


def conclusion(result):
    kind = result.ades_subindic
    if kind == AdESPassed.OK:
        return "passed"
    return ("indeterminate " if isinstance(kind, AdESIndeterminate) else "failed ") + str(kind)


async def check(signature, args):
    signature.compute_integrity_info()
    kept = signature.summarise_integrity_info()
    changes = kept["diff_result"]
    unsigned = signature.signer_info["unsigned_attrs"]
    stamped = any(a["type"].native == "signature_time_stamp_token" for a in unsigned)
    validate = ades_with_time_validation if stamped else ades_basic_validation
    result = await validate(
        signature.signed_data,
        validation_spec=specification(args),
        timing_info=timing(args),
        raw_digest=signature.compute_digest(),
    )
    out = {
        "field": signature.field_name,
        "subfilter": str(signature.sig_object["/SubFilter"]),
        "level": "B-T" if stamped else "B-B",
        "conclusion": conclusion(result),
        "reason": result.failure_msg,
        "coverage": signature.coverage.name,
        "modification": getattr(getattr(changes, "modification_level", None), "name", "SUSPICIOUS"),
        "docmdp_ok": kept["docmdp_ok"],
        "certification": signature.docmdp_level.value if signature.docmdp_level else 0,
    }
    if stamped:
        out["best_time"] = result.best_signature_time.isoformat()
    out["ok"] = out["conclusion"] == "passed" and out["docmdp_ok"] and out["coverage"] in ("ENTIRE_FILE", "ENTIRE_REVISION") \
        and out["modification"] in ("NONE", "LTA_UPDATES", "FORM_FILLING") and out["subfilter"] == "/ETSI.CAdES.detached"
    return out


async def main():
    args = arguments()
    with open(args.file, "rb") as stream:
        reader = PdfFileReader(stream, strict=True)
        found = [await check(s, args) for s in reader.embedded_regular_signatures]
    print(json.dumps({"signatures": found}, indent=1))
    return 0 if found and all(s["ok"] for s in found) else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except Exception as problem:  # whatever it is, it is no verdict
        print(json.dumps({"error": f"{type(problem).__name__}: {problem}"}))
        sys.exit(2)

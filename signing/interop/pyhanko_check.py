#!/usr/bin/env python3
"""Say what pyHanko, a stranger to Belfry, thinks of the signatures in a PDF.

    pyhanko_check.py --trust ROOT.pem [--trust ...] [--at 2026-06-01T12:00:00Z] [--future ...] [--revocation] [--password ...] FILE...

Prints one JSON object for each file: for each signature its level (B-B to B-LTA), the conclusion
of ETSI EN 319 102-1, whether the byte ranges and the later revisions are in
order, and whether the certification was kept. A file with a document security
store must hold in it proof that no certificate was revoked, and is validated as
one that is meant to last (EN 319 102-1, 5.6.3); nobody is asked online. Without
--revocation that proof is not wanted of other files. Exit status 0 if
every signature passed, 1 if one did not, 2 if a file could not be checked.
"""

import argparse
import asyncio
import dataclasses
import json
import sys
from datetime import datetime, timezone

from asn1crypto.crl import CertificateList
from asn1crypto.ocsp import OCSPResponse
from pyhanko.keys import load_certs_from_pemder
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESIndeterminate, AdESPassed
from pyhanko.sign.validation.ades import (
    ades_basic_validation,
    ades_lta_validation,
    ades_with_time_validation,
    simulate_future_ades_lta_validation,
)
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.policy_decl import (
    LocalKnowledge,
    PdfSignatureValidationSpec,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
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
from pyhanko_certvalidator.revinfo.archival import CRLContainer, OCSPContainer
from pyhanko_certvalidator.registry import SimpleTrustManager

NOBODY_ASKED = RevocationCheckingPolicy(
    ee_certificate_rule=RevocationCheckingRule.NO_CHECK,
    intermediate_ca_cert_rule=RevocationCheckingRule.NO_CHECK,
)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trust", action="append", required=True, help="root certificates, PEM or DER")
    parser.add_argument("--at", help="the moment to check for, RFC 3339; now where left out")
    parser.add_argument("--future", help="the later moment to check a B-LTA file for, as if it had been renewed until then")
    parser.add_argument("--revocation", action="store_true", help="want proof that no certificate was revoked")
    parser.add_argument("--password", default="", help="opens encrypted files")
    parser.add_argument("files", nargs="+", metavar="FILE")
    return parser.parse_args()


def specification(args, lasting=False):
    anchors = [CertTrustAnchor(cert) for cert in load_certs_from_pemder(args.trust)]
    policy = CertValidationPolicySpec(
        trust_manager=SimpleTrustManager.build(anchors),
        revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO if args.revocation or lasting else NOBODY_ASKED),
    )
    return SignatureValidationSpec(
        cert_validation_policy=policy,
        revinfo_gathering_policy=RevocationInfoGatheringSpec(online_fetching_rule=RevinfoOnlineFetchingRule.LOCAL_ONLY),
        key_usage_settings=KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"}, match_all_key_usages=False),
    )


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)


def timing(args):
    if not args.at:
        return None
    at = moment(args.at)
    return ValidationTimingInfo(validation_time=at, best_signature_time=at, point_in_time_validation=True)


def conclusion(result):
    kind = result.ades_subindic
    if kind == AdESPassed.OK:
        return "passed"
    return ("indeterminate " if isinstance(kind, AdESIndeterminate) else "failed ") + str(kind)


def level_of(signature, stamped):
    """The baseline level by what is there; whether it is any good is asked afterwards."""
    reader = signature.reader
    later = [d for d in reader.embedded_timestamp_signatures if d.signed_revision > signature.signed_revision]
    if not stamped and not later:
        return "B-B"
    if "/DSS" not in reader.root:
        return "B-T"
    for d in later:
        if "/DSS" in reader.get_historical_root(d.signed_revision):
            return "B-LTA"
    return "B-LT"


async def check(signature, args):
    signature.compute_integrity_info()
    kept = signature.summarise_integrity_info()
    changes = kept["diff_result"]
    unsigned = signature.signer_info["unsigned_attrs"]
    stamped = any(a["type"].native == "signature_time_stamp_token" for a in unsigned)
    level = level_of(signature, stamped)
    if level == "B-LTA" and args.future:
        result = await simulate_future_ades_lta_validation(
            signature,
            PdfSignatureValidationSpec(specification(args, lasting=True)),
            future_validation_time=moment(args.future),
            current_reference_time=moment(args.at),
        )
    elif level == "B-LTA" and stamped:  # pyHanko wants a stamp inside, though one upon the document proves the same
        result = await ades_lta_validation(
            signature,
            PdfSignatureValidationSpec(specification(args, lasting=True)),
            timing_info=timing(args),
        )
    else:
        validate = ades_with_time_validation if stamped else ades_basic_validation
        spec = specification(args)
        if level == "B-LT":
            held = DocumentSecurityStore.read_dss(signature.reader)
            known = LocalKnowledge(
                known_ocsps=[c for o in held.ocsps for c in OCSPContainer.load_multi(OCSPResponse.load(o.get_object().data))],
                known_crls=[CRLContainer(CertificateList.load(c.get_object().data)) for c in held.crls],
                known_certs=list(held.load_certs()),
            )
            spec = dataclasses.replace(specification(args, lasting=True), local_knowledge=known)
        result = await validate(
            signature.signed_data,
            validation_spec=spec,
            timing_info=timing(args),
            raw_digest=signature.compute_digest(),
        )
    out = {
        "field": signature.field_name,
        "subfilter": str(signature.sig_object["/SubFilter"]),
        "level": level,
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


async def verdict(path, args):
    with open(path, "rb") as stream:
        reader = PdfFileReader(stream, strict=True)
        if reader.encrypted:
            reader.decrypt(args.password)
        return [await check(s, args) for s in reader.embedded_regular_signatures]


async def main():
    args = arguments()
    status = 0
    for path in args.files:
        try:
            found = await verdict(path, args)
        except Exception as problem:  # whatever it is, it is no verdict
            print(json.dumps({"error": f"{type(problem).__name__}: {problem}"}))
            status = 2
            continue
        print(json.dumps({"signatures": found}, indent=1))
        if not found or not all(s["ok"] for s in found):
            status = max(status, 1)
    return status


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""Signs a form with pyHanko and fills it in afterwards, as a program of others does.

usage: pyhanko_make.py FORM KEY CERTIFICATE CHAIN OUT

Writes into the folder OUT the files that changes_test.go knows by name: a form signed in a
field that locks "box", a form certified for form filling, one whose seed values the
signature breaks, and what became of them when fields were filled in.
"""

import sys
from io import BytesIO
from pathlib import Path

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec, MDPPerm, SigFieldSpec, SigSeedSubFilter

form, key, certificate, chain, out = sys.argv[1:]
signer = signers.SimpleSigner.load(key, certificate, ca_chain_files=(chain,))


def sign(data, field, lock=None, level=None, certify=False, box=None):
    w = IncrementalPdfFileWriter(BytesIO(data))
    spec = SigFieldSpec(field, field_mdp_spec=lock, doc_mdp_update_value=level, box=box)
    meta = signers.PdfSignatureMetadata(field_name=field, subfilter=SigSeedSubFilter.PADES, certify=certify,
                                        docmdp_permissions=MDPPerm.FILL_FORMS, md_algorithm="sha256")
    result = signers.PdfSigner(meta, signer, new_field_spec=spec).sign_pdf(w)
    return result.getvalue()


def fill(data, *names):
    """Puts a value into fields, named "a.b", as pyHanko's own tests do."""
    w = IncrementalPdfFileWriter(BytesIO(data))
    for name in names:
        found = None
        level = w.root["/AcroForm"]["/Fields"]
        for part in name.split("."):
            found = next(f.get_object() for f in level if f.get_object().get("/T") == part)
            level = found.get("/Kids", ())
        found["/V"] = generic.pdf_string("filled in")
        w.update_container(found)
    target = BytesIO()
    w.write(target)
    return target.getvalue()


data = Path(form).read_bytes()
locked = sign(data, "Sig", FieldMDPSpec(FieldMDPAction.INCLUDE, fields=["box"]))
everything = sign(data, "Sig", FieldMDPSpec(FieldMDPAction.ALL))
closed = sign(data, "Sig", FieldMDPSpec(FieldMDPAction.INCLUDE, fields=["box"]), MDPPerm.NO_CHANGES)
certified = sign(data, "Sig", certify=True)
files = {
    "locked": locked,
    "locked, another filled": fill(locked, "parent.kid"),
    "locked, filled": fill(locked, "box"),
    "all locked": everything,
    "all locked, filled": fill(everything, "parent.kid"),
    "closed, another filled": fill(closed, "parent.kid"),
    "certified": certified,
    "certified, filled": fill(certified, "box", "parent.kid"),
    "certified, signed, filled": fill(sign(certified, "Second", box=None), "box"),
    "certified, signed with a lock, filled": fill(sign(certified, "Second", FieldMDPSpec(FieldMDPAction.EXCLUDE, fields=["parent"])), "parent.kid"),
    "certified, signed with a lock, locked filled": fill(sign(certified, "Second", FieldMDPSpec(FieldMDPAction.EXCLUDE, fields=["parent"])), "box"),
}
for name, content in files.items():
    PdfFileReader(BytesIO(content), strict=True)
    (Path(out) / (name + ".pdf")).write_bytes(content)

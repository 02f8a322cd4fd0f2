package plain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing/verify"
)

// check reads what the library made as a stranger would, and as one who knows what was
// there before.
func check(before *pdf.File, content, file []byte, o Options) error {
	if !bytes.HasPrefix(file, content) {
		return fmt.Errorf("plain: the file does not begin with the content")
	}
	after, err := pdf.Bytes(file)
	if err != nil {
		return err
	}
	if err := after.Sound(); err != nil {
		return err
	}
	if !after.Closed() {
		return fmt.Errorf("plain: bytes behind the end")
	}
	if err := kept(before, after); err != nil {
		return err
	}
	r := verify.File(bytes.NewReader(file), int64(len(file)), verify.Options{Roots: o.Chain, Now: o.At})
	if r.Result != verify.Valid || len(r.Signatures) != 1 {
		return fmt.Errorf("plain: %d signatures, together %s: %v", len(r.Signatures), r.Result, r.Findings)
	}
	s := r.Signatures[0]
	certificate := sha256.Sum256(o.Chain[0].Raw)
	switch {
	case !s.WholeFile || s.SubFilter != "adbe.pkcs7.detached":
		return fmt.Errorf("plain: a signature %s, whole file %v", s.SubFilter, s.WholeFile)
	case s.Signer == nil || s.Signer.SHA256 != hex.EncodeToString(certificate[:]):
		return fmt.Errorf("plain: the signature is another certificate's")
	case s.Name != o.Name || s.Reason != o.Reason || s.Location != o.Location:
		return fmt.Errorf("plain: other words than were asked for")
	}
	return nil
}

// kept says whether the newest revision has all that was there before, and no more than
// one signature field besides.
func kept(before, after *pdf.File) error {
	for _, k := range []pdf.Name{"Info", "ID"} {
		if !reflect.DeepEqual(before.Trailer()[k], after.Trailer()[k]) {
			return fmt.Errorf("plain: /%s was %v and is %v", k, before.Trailer()[k], after.Trailer()[k])
		}
	}
	was, err := before.Catalog()
	if err != nil {
		return err
	}
	is, err := after.Catalog()
	if err != nil {
		return err
	}
	is = maps.Clone(is)
	for _, k := range slices.Sorted(maps.Keys(was)) {
		if k != "Version" && !reflect.DeepEqual(was[k], is[k]) {
			return fmt.Errorf("plain: the catalog's /%s was %v and is %v", k, was[k], is[k])
		}
		delete(is, k)
	}
	delete(is, "Version")
	delete(is, "AcroForm")
	if len(is) > 0 {
		return fmt.Errorf("plain: the catalog has more than before: %v", is)
	}
	fields, err := after.Fields()
	if err != nil {
		return err
	}
	if len(fields) != 1 || fields[0].Type != "Sig" {
		return fmt.Errorf("plain: %d fields", len(fields))
	}
	return nil
}

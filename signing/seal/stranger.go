package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/cms"
	"github.com/belfry-eid/belfry/signing/tsa"
)

// readAsStranger reads a finished file with nothing but its bytes and says
// whether it is what was granted: it begins with the content, its one new
// signature covers all of it, verifies with the certificate, and is stamped where
// the level says so. It shares no code with what wrote the file but the PDF reader
// and the CMS checks. Whom to trust is no question here: we know our certificate.
func readAsStranger(file []byte, content blob.Digest, size int, certificate []byte, level string) error {
	if len(file) < size || blob.Sum(file[:size]) != content {
		return errors.New("the file does not begin with the content")
	}
	signed, contents, err := lastSignature(file)
	if err != nil {
		return err
	}
	s, padding, err := cms.Parse(contents)
	switch {
	case err != nil:
		return err
	case len(bytes.Trim(padding, "\x00")) > 0:
		return errors.New("there is something behind the signature")
	case !s.IsData() || s.Content != nil:
		return errors.New("the signature is not a detached one")
	case s.Signer == nil || !bytes.Equal(s.Signer.Raw, certificate):
		return errors.New("the signature is another certificate's")
	}
	h := s.Hash.New()
	for _, part := range signed {
		h.Write(part)
	}
	if err := s.Check(h.Sum(nil)); err != nil {
		return err
	}
	return checkStamp(s, level)
}

func checkStamp(s *cms.SignedData, level string) error {
	if level == signing.LevelBB {
		if s.Stamp != nil {
			return errors.New("there is a time stamp")
		}
		return nil
	}
	if s.Stamp == nil {
		return errors.New("the time stamp is missing")
	}
	token, err := tsa.Parse(s.Stamp)
	if err != nil {
		return err
	}
	if !token.Covers(s.Signature) {
		return errors.New("the time stamp is another signature's")
	}
	return nil
}

// lastSignature finds the signature whose byte range ends with the file, and
// holds it to the rules of ISO 32000-1, 12.8.1: two ranges, from the first byte to
// the last, that leave out exactly the string of /Contents.
func lastSignature(file []byte) (signed [][]byte, contents []byte, err error) {
	f, err := pdf.Bytes(file)
	if err != nil {
		return nil, nil, err
	}
	if !f.Closed() {
		return nil, nil, errors.New("there are bytes behind the end of the file")
	}
	fields, err := f.Fields()
	if err != nil {
		return nil, nil, err
	}
	for _, field := range slices.Backward(fields) {
		if field.Type != "Sig" || field.Value == nil {
			continue
		}
		d, err := f.Dict(field.Value)
		if err != nil {
			return nil, nil, err
		}
		ranges, err := byteRange(f, d["ByteRange"])
		if err != nil {
			return nil, nil, err
		}
		if ranges[2]+ranges[3] != int64(len(file)) {
			continue // an earlier signature
		}
		value, ok := d["Contents"].(pdf.String)
		from, to := ranges[1], ranges[2]
		if !ok || d["SubFilter"] != pdf.Name("ETSI.CAdES.detached") || ranges[0] != 0 || from < 0 || to < from+2 || to > int64(len(file)) ||
			file[from] != '<' || file[to-1] != '>' {
			return nil, nil, errors.New("the byte range is not that of a PAdES signature")
		}
		hole, err := hex.DecodeString(string(file[from+1 : to-1]))
		if err != nil || !bytes.Equal(hole, []byte(value)) {
			return nil, nil, errors.New("the byte range leaves out more than the signature")
		}
		return [][]byte{file[:from], file[to:]}, hole, nil
	}
	return nil, nil, errors.New("no signature covers the whole file")
}

func byteRange(f *pdf.File, o pdf.Object) (r [4]int64, err error) {
	a, err := f.Array(o)
	if err == nil && len(a) != 4 {
		err = fmt.Errorf("a byte range of %d numbers", len(a))
	}
	for i := 0; i < len(a) && err == nil; i++ {
		n, ok := a[i].(pdf.Integer)
		if !ok {
			err = errors.New("a byte range that is no numbers")
		}
		r[i] = int64(n)
	}
	return r, err
}

// Package plain puts the older signature adbe.pkcs7.detached (ISO 32000-1, 12.8.3.3) on
// our own documents, for receivers whose programs know no PAdES.
//
// It owns what stands between github.com/digitorus/pdfsign, which makes that signature,
// and everybody else. That library loses or breaks things of many files, so it is given
// none that has what it breaks, it runs in a process of its own without network, files
// and key, and what it made is read again by our own reader and signing/verify before
// anybody gets it. This package refuses to know where keys are and who may use them, and
// refuses files with a form or a signature: it is not for foreign files. It guarantees
// that the finished file begins with the bytes it was given, that catalog, /Info and /ID
// are kept, and that the key is asked once at most.
//
// The signature says when it was made by the clock of the machine, which the library
// reads itself. It has no time stamp: signing/pades is for what has to last.
package plain

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing/cms"
)

// maxContent is the largest file taken, in bytes; the library holds it several times.
const maxContent = 8 << 20

// Options say what is put into the signature.
type Options struct {
	Chain []*x509.Certificate // the signer's first, then its issuers
	At    time.Time           // /M; the signature's own time is that of the machine
	// Name, Reason and Location go into the signature; all optional.
	Name, Reason, Location string
}

func unsuitable(format string, args ...any) error {
	return fault.New(fault.Invalid, "plain.unsuitable", fmt.Errorf("plain: "+format, args...))
}

// Sign returns the signed file. A file that cannot be signed so is a fault of kind
// Invalid; that the key is asked and the file is thrown away afterwards is one of kind
// Internal. The program must call RunIfChild first thing in main.
func Sign(ctx context.Context, content []byte, key crypto.Signer, o Options) ([]byte, error) {
	if len(o.Chain) == 0 {
		return nil, errors.New("plain: no certificate")
	}
	hash, err := cms.HashFor(o.Chain[0].PublicKey)
	if err != nil {
		return nil, err
	}
	before, err := suitable(content, o)
	if err != nil {
		return nil, err
	}
	file, err := inChild(ctx, content, key, hash, o)
	if err != nil {
		return nil, fault.New(fault.Internal, "plain.failed", err)
	}
	if err := check(before, content, file, o); err != nil {
		return nil, fault.New(fault.Internal, "plain.failed", err)
	}
	return file, nil
}

// suitable refuses what the library is known to break.
func suitable(content []byte, o Options) (*pdf.File, error) {
	if len(content) > maxContent {
		return nil, unsuitable("%d bytes", len(content))
	}
	f, err := pdf.Bytes(content)
	if err != nil {
		return nil, unsuitable("%w", err)
	}
	if f.Encrypted() {
		return nil, unsuitable("an encrypted file")
	}
	if !f.Closed() {
		return nil, unsuitable("bytes behind the end")
	}
	if err := f.Sound(); err != nil {
		return nil, unsuitable("%w", err)
	}
	form, err := f.Form()
	if err != nil {
		return nil, unsuitable("%w", err)
	}
	if form != nil { // its fields would be dropped, an earlier signature's room be written into
		return nil, fault.New(fault.Invalid, "plain.has_form", errors.New("plain: a file with a form"))
	}
	if f.Sections()[0].Stream && f.Trailer()["Info"] != nil {
		return nil, unsuitable("/Info in a cross-reference stream would be lost")
	}
	// The library finds its own places by searching the whole file for these.
	if bytes.Contains(content, bytes.Repeat([]byte{'0'}, 1000)) || bytes.Contains(content, []byte("/ByteRange")) {
		return nil, unsuitable("text that looks like a signature's")
	}
	catalog, err := f.Catalog()
	if err != nil {
		return nil, unsuitable("%w", err)
	}
	if !copied(catalog, 0) {
		return nil, unsuitable("the catalog has text or names that would not be copied")
	}
	for _, text := range []string{o.Name, o.Reason, o.Location} {
		if !written(text) {
			return nil, unsuitable("text that would not be written as it is")
		}
	}
	return f, nil
}

// written says whether the library writes a text as it is: it escapes nothing in what it
// writes in UTF-16.
func written(text string) bool {
	s := string(pdf.Text(text))
	return s == text || !bytes.ContainsAny([]byte(s), "()\\\r\n")
}

// copied says whether the library copies a value of the catalog as it is: it escapes
// neither names nor strings there.
func copied(o pdf.Object, depth int) bool {
	if depth > 16 {
		return false
	}
	switch o := o.(type) {
	case pdf.Name:
		return plainName(o)
	case pdf.String:
		return !bytes.ContainsAny([]byte(o), "()\\\r\n")
	case pdf.Array:
		for _, v := range o {
			if !copied(v, depth+1) {
				return false
			}
		}
	case pdf.Dict:
		for k, v := range o {
			if !plainName(k) || !copied(v, depth+1) {
				return false
			}
		}
	}
	return true
}

func plainName(n pdf.Name) bool {
	for _, c := range []byte(n) {
		if c <= ' ' || c > '~' || bytes.IndexByte([]byte("#()<>[]{}/%"), c) >= 0 {
			return false
		}
	}
	return n != ""
}

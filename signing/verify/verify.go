// Package verify says whether a PDF is as it was when it was sealed, and by whom.
//
// It owns the report on any PDF: byte ranges, revisions, CMS, chains and time
// stamps, in the spirit of ETSI EN 319 102-1, with every doubt as a code that
// four languages explain. It refuses to know how our own files are made: it
// reads them as a stranger would, and signing/pades never imports it. It
// guarantees that "valid" means: every byte but the signature's own is covered,
// what came later is validation data, time stamps, further signatures, or what the
// signer lets others do (DocMDP and FieldMDP, ISO 32000-2, 12.8.2), and each
// certificate leads to a root that the caller named; that anything it
// cannot read is "unknown", never "valid"; and, through Child, that a hostile
// file costs a process, never the server (docs/adr/0005).
//
// Each revision is compared with the one before it, object by object (compare.go); what
// a signature makes of the changes is its permission's to say (permit.go).
//
// Time is what stamps prove (past validation, EN 319 102-1, 5.6): whether a
// certificate had ended or was revoked is asked for the earliest time at which a
// signature is known to have existed. What says so is in the file, or given by the
// caller: nobody is asked but through Online, which the caller must choose. The
// report says where nothing is known.
package verify

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing/trustlist"
)

// Result is the verdict upon a file or a signature.
type Result string

const (
	Valid    Result = "valid"
	NotValid Result = "not_valid"
	Unknown  Result = "unknown" // could not tell
)

// ExitCode is what belfry verify exits with.
func (r Result) ExitCode() int {
	switch r {
	case Valid:
		return 0
	case NotValid:
		return 1
	}
	return 2
}

// Options say what to believe.
type Options struct {
	Roots         []*x509.Certificate // of signers
	StampRoots    []*x509.Certificate // of time-stamping authorities; nil means Roots
	Intermediates []*x509.Certificate // besides those in the file
	Services      []trustlist.Service // of trusted lists, believed as they were when it counts
	OCSPs, CRLs   [][]byte            // DER of statements that the caller has asked for, besides those in the file
	Now           time.Time           // the time of checking
	Password      string              // of an encrypted file; "" where none is needed
}

// Report is what was found.
type Report struct {
	Result Result `json:"result"`
	// Indication and SubIndication are those of EN 319 102-1, the worst of all
	// signatures. They are stricter than Result: what was not revoked for all that is
	// known is valid to Result, and INDETERMINATE, TRY_LATER to the standard.
	Indication    Indication    `json:"indication"`
	SubIndication SubIndication `json:"sub_indication,omitempty"`
	Findings      []Finding     `json:"findings,omitempty"`   // about the file as a whole
	Signatures    []Signature   `json:"signatures,omitempty"` // the oldest first
	Revisions     []Revision    `json:"revisions,omitempty"`  // those since the oldest signature, the oldest first
	Size          int64         `json:"size"`
	// Before is how many bytes stand before the header. All places in the report count from it.
	Before int64     `json:"bytes_before,omitempty"`
	At     time.Time `json:"at"` // the time of checking

	asks []ask // what issuers could still tell
}

// Finding is one fact with its code.
type Finding struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail,omitempty"` // for experts, in English
	Field  string `json:"field,omitempty"`  // that was changed
	Page   int    `json:"page,omitempty"`   // that was changed, from 1
}

// Kind says what a signature is.
type Kind string

const (
	Signing  Kind = "signature"
	Stamping Kind = "timestamp" // a document time stamp, ISO 32000-2, 12.8.5
)

// Changes says what came after the revision that a signature covers. It is empty
// where that could not be told.
type Changes string

const (
	Unchanged Changes = "none"
	Extended  Changes = "extended"  // validation data, time stamps, further signatures
	Permitted Changes = "permitted" // besides, what the signer let others do: form filling, annotations
	Altered   Changes = "altered"   // anything else
)

// Signature is the report on one signature or document time stamp.
type Signature struct {
	Field         string         `json:"field"`
	Kind          Kind           `json:"kind"`
	Result        Result         `json:"result"`
	Indication    Indication     `json:"indication"`
	SubIndication SubIndication  `json:"sub_indication,omitempty"`
	Findings      []Finding      `json:"findings,omitempty"`
	SubFilter     string         `json:"subfilter"`
	Level         string         `json:"level,omitempty"` // B-B to B-LTA, as proved by what is in the file; empty where it is no PAdES baseline signature
	Signer        *Certificate   `json:"signer,omitempty"`
	ClaimedAt     *time.Time     `json:"claimed_at,omitempty"` // by the signer's own clock
	StampedAt     *time.Time     `json:"stamped_at,omitempty"` // by a time stamp that was checked
	StampedBy     string         `json:"stamped_by,omitempty"`
	ProvedAt      *time.Time     `json:"proved_at,omitempty"` // the earliest time at which it is known to have existed
	Revocation    []Revocation   `json:"revocation,omitempty"`
	Qualification *Qualification `json:"qualification,omitempty"`
	Certification int            `json:"certification,omitempty"` // DocMDP P: 1 no changes, 2 form filling, 3 annotations too
	Locks         []Lock         `json:"locks,omitempty"`         // fields that may not change any more
	Name          string         `json:"name,omitempty"`
	Reason        string         `json:"reason,omitempty"`
	Location      string         `json:"location,omitempty"`
	ByteRange     []int64        `json:"byte_range,omitempty"`
	WholeFile     bool           `json:"whole_file"` // the signature covers the file to its end
	Changes       Changes        `json:"changes,omitempty"`

	// What the trusted lists say of the signer and of the time stamp; nothing where
	// none was given, or none knows them.
	Listed      *trustlist.Standing `json:"trusted_list,omitempty"`
	StampListed *trustlist.Standing `json:"stamp_trusted_list,omitempty"`
}

// Certificate is what matters of one.
type Certificate struct {
	Name         string    `json:"name"`
	Organization string    `json:"organization,omitempty"`
	Issuer       string    `json:"issuer"`
	Serial       string    `json:"serial"` // hexadecimal
	SHA256       string    `json:"sha256"`
	NotBefore    time.Time `json:"not_before"`
	NotAfter     time.Time `json:"not_after"`
}

// File checks a PDF in this process. Foreign files go through Child.
func File(src io.ReaderAt, size int64, o Options) *Report {
	r := &Report{Size: size, At: o.Now.UTC().Truncate(time.Second)}
	src, size, err := r.lead(src, size)
	if err != nil {
		return r.unread(err)
	}
	f, err := pdf.OpenWith(src, size, o.Password)
	if err != nil {
		return r.unread(err)
	}
	f.Share()
	fields, err := f.Fields()
	if err != nil {
		return r.unread(err)
	}
	c := newChecker(src, f, o)
	var found []*examined
	for _, field := range fields {
		if field.Type != "Sig" || field.Value == nil || field.Dict["V"] == nil {
			continue
		}
		if len(found) == maxSignatures {
			return r.unread(pdf.ErrLimit)
		}
		found = append(found, c.examine(field))
	}
	slices.SortStableFunc(found, func(a, b *examined) int { return cmp.Compare(a.end(), b.end()) })
	r.Revisions = c.history(found)
	c.judge(found)
	r.asks = c.asks
	for _, s := range found {
		r.Signatures = append(r.Signatures, s.Signature)
	}
	r.conclude()
	if r.notesItself(NoSignature) {
		c.hidden(r)
	}
	return r
}

// lead leaves out what stands before the header. No signature covers it, and a program
// that goes by a file's first bytes may take the whole for something else: a page of the
// web, a script, an archive.
func (r *Report) lead(src io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	n, blank, err := pdf.Lead(src, size)
	if err != nil || n == 0 {
		return src, size, err
	}
	code := Polyglot
	if blank {
		code = BytesBefore
	}
	r.Before = n
	r.Findings = append(r.Findings, Finding{Code: code, Detail: fmt.Sprintf("%d bytes", n)})
	return io.NewSectionReader(src, n, size-n), size - n, nil
}

func (r *Report) notesItself(code Code) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code == code })
}

// end is where the covered part ends, past every file where that is not known.
func (s *Signature) end() int64 {
	if len(s.ByteRange) != 4 {
		return math.MaxInt64
	}
	return s.ByteRange[2] + s.ByteRange[3]
}

const maxSignatures = 100

// unread ends a report on a file that could not be read.
func (r *Report) unread(err error) *Report {
	code := Broken
	switch {
	case errors.Is(err, pdf.ErrNotPDF):
		code = NotPDF
	case errors.Is(err, pdf.ErrEncrypted), errors.Is(err, pdf.ErrPassword):
		code = Encrypted
	}
	r.Result = Unknown
	r.Findings = append(r.Findings, Finding{Code: code, Detail: err.Error()})
	r.indicate()
	return r
}

// conclude draws the verdict on the file from those on its signatures: the worst counts.
func (r *Report) conclude() {
	signed := false
	r.Result = Valid
	for _, f := range r.Findings {
		r.Result = worse(r.Result, f.Code.Result())
	}
	for _, s := range r.Signatures {
		signed = signed || s.Kind == Signing
		r.Result = worse(r.Result, s.Result)
	}
	if !signed {
		r.Findings = append(r.Findings, Finding{Code: NoSignature})
		r.Result = NotValid
	}
	r.indicate()
}

func worse(a, b Result) Result {
	rank := map[Result]int{Valid: 0, Unknown: 1, NotValid: 2}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

package verify

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fetch"
	"github.com/belfry-eid/belfry/signing/trustlist"
	signing "github.com/belfry-eid/belfry/signing/verify"
)

// Trust names whose seals and time stamps are recognised.
type Trust struct {
	Roots         []*x509.Certificate // of seals
	StampRoots    []*x509.Certificate // of time-stamping authorities
	Intermediates []*x509.Certificate // besides those in the file
	// Services are those of the trusted lists, as they are now; may be nil.
	Services func() []trustlist.Service
	// Fetch asks issuers whether certificates are revoked, where the file proves
	// nothing; nil asks nobody.
	Fetch *fetch.Fetcher
}

// NewChecker reads files with signing/verify in a child process of this program,
// whose main must call that package's RunIfChild first.
func NewChecker(t Trust, now clock.Clock) Checker { return reader{t, now} }

type reader struct {
	trust Trust
	now   clock.Clock
}

// Check implements Checker. That a child could not do its work is an error, with a
// report that says so; what it says of the file is not.
func (c reader) Check(ctx context.Context, file []byte) (Report, error) {
	o := signing.Options{Roots: c.trust.Roots, StampRoots: c.trust.StampRoots, Intermediates: c.trust.Intermediates, Now: c.now()}
	if c.trust.Services != nil {
		o.Services = c.trust.Services()
	}
	check := func(o signing.Options) *signing.Report { return signing.ChildBytes(ctx, file, o) }
	var found *signing.Report
	if c.trust.Fetch != nil {
		found = signing.Online(ctx, c.trust.Fetch, o, check)
	} else {
		found = check(o)
	}
	for _, f := range found.Findings {
		switch f.Code {
		case signing.Crashed, signing.TimedOut, signing.TooLarge:
			return Report{Found: found}, fmt.Errorf("verify: %s: %s", f.Code, f.Detail)
		}
	}
	return inWords(found, file), nil
}

// inWords is a report as far as people can use it.
func inWords(found *signing.Report, file []byte) Report {
	r := Report{Verdict: verdict(found), Found: found}
	file = file[min(max(found.Before, 0), int64(len(file))):]
	for _, s := range found.Signatures {
		if end, ok := revision(s, len(file)); ok {
			r.Revisions = append([]blob.Digest{sha256.Sum256(file[:end])}, r.Revisions...)
		}
		if s.Kind != signing.Signing {
			continue
		}
		if r.Signer != "" && r.Verdict != Altered {
			r.People = append(r.People, r.Signer)
		}
		if end, ok := revision(s, len(file)); ok && s.Whole() && found.Before == 0 {
			r.Signed = end
		}
		r.Signer, r.SignedAt, r.StampedAt, r.StampedBy = "", time.Time{}, time.Time{}, s.StampedBy // the last one's
		if s.Signer != nil {
			// A card's certificate says what it is for behind the name.
			r.Signer = strings.TrimSuffix(s.Signer.Name, " (Signature)")
		}
		if s.ClaimedAt != nil {
			r.SignedAt = *s.ClaimedAt
		}
		if s.StampedAt != nil {
			r.StampedAt = *s.StampedAt
		}
	}
	return r
}

// revision is the length of the file as it was when s was made.
func revision(s signing.Signature, size int) (int, bool) {
	if len(s.ByteRange) != 4 {
		return 0, false
	}
	from, length := s.ByteRange[2], s.ByteRange[3]
	if from < 0 || length < 0 || from > int64(size) || length > int64(size)-from {
		return 0, false
	}
	return int(from + length), true
}

func verdict(found *signing.Report) Verdict {
	codes := map[signing.Code]bool{}
	for _, f := range found.Findings {
		codes[f.Code] = true
	}
	switch {
	case codes[signing.NotPDF] || codes[signing.Encrypted] || codes[signing.Broken]:
		return Unreadable
	case codes[signing.HiddenSignature]:
		return Altered
	case codes[signing.NoSignature]:
		return Unsigned
	case found.Result == signing.Valid:
		return validOrExtended(found.Signatures)
	case found.Result == signing.Unknown:
		return Unclear
	}
	return brokenOrStranger(found.Signatures)
}

func validOrExtended(list []signing.Signature) Verdict {
	verdict := Valid
	for _, s := range list {
		switch s.Changes {
		case signing.Permitted:
			return Permitted
		case signing.Extended:
			verdict = Extended
		}
	}
	return verdict
}

// brokenOrStranger tells a file that was changed from one whose signer nobody here knows.
func brokenOrStranger(list []signing.Signature) Verdict {
	for _, s := range list {
		for _, f := range s.Findings {
			if f.Code.Result() == signing.NotValid && f.Code != signing.Untrusted && f.Code != signing.OutOfTime {
				return Altered
			}
		}
	}
	return Untrusted
}

package seal

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/tsa"
	"github.com/belfry-eid/belfry/signing/verify"
)

// finishedFile is what a finished file is to be.
type finishedFile struct {
	content blob.Digest // of the bytes it begins with
	size    int64       // how many they are
	chain   []*x509.Certificate
	level   string
	stamp   []byte // the time-stamp token, nil at level B-B
	sealed  int64  // where the seal's revision ends; what follows makes it last
	// roots are where all paths may end, from level B-LT on.
	roots    []*x509.Certificate
	password string // of an encrypted file
}

// readAsStranger reads a finished file with nothing but its bytes, as signing/verify
// does for everybody, and says whether it is what was granted: it begins with the
// content, and its newest signature covers all of it, is valid, is made with the
// certificate of the attempt and stamped where the level says so. Behind it stand
// proofs and document time stamps only, and the last of these covers the whole file.
//
// Below level B-LT, which roots to believe is no question here: the settings name our chain, whose
// signatures New has checked, and the Stamper has checked the authority's. So every
// certificate of the chain is an anchor, and none is verified again for each file.
func readAsStranger(file whole, want finishedFile, now time.Time) error {
	if begins, err := file.sum(want.size); err != nil || begins != want.content {
		return errors.Join(errors.New("the file does not begin with the content"), err)
	}
	o := verify.Options{Roots: want.chain, Now: now, Password: want.password}
	at := now // when the issuers must be valid
	if want.stamp != nil {
		token, err := tsa.Parse(want.stamp)
		if err != nil {
			return err
		}
		o.StampRoots, at = []*x509.Certificate{token.Signer}, token.Time
	}
	if signing.Reaches(want.level, signing.LevelBLT) { // the proofs must lead to where everybody's trust ends
		o.Roots, o.StampRoots, o.Intermediates = want.roots, want.roots, want.chain
	}
	report := verify.File(file, file.Size(), o)
	if err := want.seal(report); err != nil {
		return err
	}
	for _, c := range want.chain[1:] { // verify has looked at the signer's own
		if at.Before(c.NotBefore) || at.After(c.NotAfter) {
			return doubts(fmt.Sprintf("the certificate of %q is not valid at %s", c.Subject.CommonName, at), report)
		}
	}
	return want.archive(report)
}

// seal says whether the newest signature is the one that is wanted.
func (want finishedFile) seal(report *verify.Report) error {
	// A person's signature may lie under ours: whether to believe that one's
	// certificate was asked before we were granted to seal.
	s := newest(report, verify.Signing)
	if s == nil {
		return doubts("no signature", report)
	}
	certificate := sha256.Sum256(want.chain[0].Raw)
	lasts := signing.Reaches(want.level, signing.LevelBLT)
	switch {
	case s.Result != verify.Valid:
		return doubts("the signature is "+string(s.Result), report)
	case lasts && (len(s.ByteRange) != 4 || s.ByteRange[2]+s.ByteRange[3] != want.sealed || s.Changes == verify.Altered || s.Changes == ""):
		return doubts("more than proofs stand behind the seal", report)
	case !lasts && (!s.WholeFile || s.Changes != verify.Unchanged):
		return doubts("the signature does not cover the whole file", report)
	case s.Signer == nil || s.Signer.SHA256 != hex.EncodeToString(certificate[:]):
		return doubts("the signature is another certificate's", report)
	case want.level == signing.Plain && (s.Level != "" || s.SubFilter != "adbe.pkcs7.detached"):
		return doubts("the signature is not of the plain form", report)
	case want.level != signing.Plain && s.Level != want.level:
		return doubts(fmt.Sprintf("the level is %s, not %s", s.Level, want.level), report)
	case signing.Reaches(want.level, signing.LevelBT) != (s.StampedAt != nil):
		return doubts("the time stamp is not as the level says", report)
	}
	return nil
}

// archive says whether a document time stamp covers all of the file, where the level wants one.
func (want finishedFile) archive(report *verify.Report) error {
	s := newest(report, verify.Stamping)
	switch {
	case want.level != signing.LevelBLTA:
		return nil
	case s == nil:
		return doubts("no document time stamp", report)
	case s.Result != verify.Valid || s.StampedAt == nil || !s.WholeFile:
		return doubts("the document time stamp does not hold", report)
	}
	return nil
}

func newest(report *verify.Report, kind verify.Kind) *verify.Signature {
	for i := len(report.Signatures) - 1; i >= 0; i-- {
		if report.Signatures[i].Kind == kind {
			return &report.Signatures[i]
		}
	}
	return nil
}

// doubts puts the report behind a reason, for the log. It says nothing of people:
// the file's text is not in it.
func doubts(reason string, report *verify.Report) error {
	b, err := json.Marshal(report)
	if err != nil {
		return errors.New(reason)
	}
	return fmt.Errorf("%s: %s", reason, b)
}

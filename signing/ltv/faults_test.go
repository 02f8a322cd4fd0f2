package ltv_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"golang.org/x/crypto/ocsp"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/ltv"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
)

const day = 24 * time.Hour

// each statement that a responder and a list may get wrong: whatever both
// get wrong leaves the file as it was, with words that say what is awaited.
func TestLiesAreNotPutIntoDocuments(t *testing.T) {
	at := signingtest.Now
	bend := func(f func(*ocsp.Response)) func(*signingtest.Status) {
		return func(s *signingtest.Status) { s.BendOCSP = f }
	}
	answer := func(f func(w http.ResponseWriter)) func(*signingtest.Status) {
		return func(s *signingtest.Status) {
			s.Answer = func(w http.ResponseWriter, path string) bool {
				if !strings.HasPrefix(path, "/ocsp/") {
					return false
				}
				f(w)
				return true
			}
		}
	}
	stranger := signingtest.Shared().Stranger
	for name, lie := range map[string]func(*signingtest.Status){
		"down":       answer(func(w http.ResponseWriter) { http.Error(w, "away", http.StatusServiceUnavailable) }),
		"HTML":       answer(func(w http.ResponseWriter) { io.WriteString(w, "<html>") }),
		"try later":  answer(func(w http.ResponseWriter) { w.Write(ocsp.TryLaterErrorResponse) }),
		"huge":       answer(func(w http.ResponseWriter) { w.Write(make([]byte, 2<<20)) }),
		"redirect":   answer(func(w http.ResponseWriter) { w.Header().Set("Location", "http://10.0.0.1/"); w.WriteHeader(302) }),
		"unknown":    bend(func(r *ocsp.Response) { r.Status = ocsp.Unknown }),
		"stale":      bend(func(r *ocsp.Response) { r.ThisUpdate, r.NextUpdate = at.Add(-3*day), at.Add(-2*day) }),
		"old":        bend(func(r *ocsp.Response) { r.ThisUpdate, r.NextUpdate = at.Add(-3*day), at.Add(2*day) }),
		"future":     bend(func(r *ocsp.Response) { r.ThisUpdate = at.Add(day) }),
		"other cert": bend(func(r *ocsp.Response) { r.SerialNumber = stranger.Cert.SerialNumber }),
		"critical": bend(func(r *ocsp.Response) {
			r.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}),
		"no delegate": bend(func(r *ocsp.Response) {
			if r.Certificate != nil {
				r.Certificate = stranger.Cert
			}
		}),
		"wrong key": func(s *signingtest.Status) { s.Signer = &stranger },
	} {
		t.Run(name, func(t *testing.T) {
			w := own(t, nil)
			file := w.sign(plain(), "P-256", true, true)
			lie(w.Status)
			if w.Status.Signer == nil { // the list answers in the responder's place
				if _, x, err := w.TryRaise(file, signing.LevelBLT); err != nil || len(x.Tail) == 0 {
					t.Errorf("with a good list: %v", err)
				}
			}
			w = newWorld(t, w.Lasting, nil) // which remembers nothing
			honest := w.Status.Answer
			w.Status.Answer = func(rw http.ResponseWriter, path string) bool {
				if strings.HasPrefix(path, "/crl/") {
					http.Error(rw, "away", http.StatusServiceUnavailable)
					return true
				}
				return honest != nil && honest(rw, path)
			}
			_, _, err := w.TryRaise(file, signing.LevelBLTA)
			if fault.KindOf(err) != fault.Unreachable || fault.KeyOf(err) != "ltv.awaited" {
				t.Errorf("without the list: %v", err)
			}
			if w.Authority.Count() != 0 {
				t.Error("a stamp was asked for a file that is not ready for it")
			}
		})
	}
}

// What lists can get wrong, where there is no responder.
func TestLyingLists(t *testing.T) {
	at := signingtest.Now
	for name, bend := range map[string]func(*x509.RevocationList){
		"stale":  func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = at.Add(-9*day), at.Add(-2*day) },
		"old":    func(l *x509.RevocationList) { l.ThisUpdate = at.Add(-2 * day) },
		"future": func(l *x509.RevocationList) { l.ThisUpdate = at.Add(day) },
		"indirect": func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0x03, 0x84, 0x01, 0xff}}}
		},
	} {
		w := own(t, nil)
		file := w.sign(plain(), "P-256", true, true)
		w.Status.Answer = func(rw http.ResponseWriter, path string) bool {
			if strings.HasPrefix(path, "/ocsp/") {
				http.Error(rw, "away", http.StatusServiceUnavailable)
				return true
			}
			return false
		}
		if _, _, err := w.TryRaise(file, signing.LevelBLT); err != nil {
			t.Fatal(err)
		}
		w = newWorld(t, w.Lasting, nil)
		w.Status.BendCRL = bend
		if _, _, err := w.TryRaise(file, signing.LevelBLT); !errors.Is(err, ltv.ErrAwaited) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A seal revoked before its stamp cannot be extended; one revoked later can.
func TestRevoked(t *testing.T) {
	for _, after := range []bool{false, true} {
		w := own(t, nil)
		file := w.sign(plain(), "P-256", true, true)
		when := w.Clock.Now().Add(-time.Minute)
		if after {
			when = w.Clock.Now().Add(time.Hour)
		}
		w.Status.Revoked = map[string]time.Time{w.Seal("P-256").Cert.SerialNumber.String(): when}
		w.Clock.Add(2 * time.Hour)
		_, _, err := w.TryRaise(file, signing.LevelBLTA)
		if after && err != nil || !after && !errors.Is(err, ltv.ErrRevoked) {
			t.Errorf("revoked after the stamp %v: %v", after, err)
		}
	}
}

// The grace period: with it a document waits for a statement made after its stamp.
func TestGracePeriod(t *testing.T) {
	w := own(t, func(c *ltv.Config) { c.Policy.AfterStamp = true })
	w.Status.BendOCSP = func(r *ocsp.Response) { r.ThisUpdate = signingtest.Now.Add(-time.Hour) }
	w.Clock.Add(time.Minute)
	file := w.sign(plain(), "P-256", true, true)
	if _, _, err := w.TryRaise(file, signing.LevelBLT); !errors.Is(err, ltv.ErrAwaited) {
		t.Fatal(err)
	}
	w.Status.BendOCSP = nil
	w.Clock.Add(time.Minute)
	w.mustExtend(file, signing.LevelBLT)
}

// An authority that lies leaves the file as it was.
func TestLyingAuthority(t *testing.T) {
	for name, lie := range map[string]func(*world){
		"down": func(w *world) {
			w.Authority.Answer = func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
				http.Error(rw, "", http.StatusServiceUnavailable)
			}
		},
		"HTML": func(w *world) {
			w.Authority.Answer = func(rw http.ResponseWriter, _ *http.Request, _ []byte) { io.WriteString(rw, "<html>") }
		},
		"old time": func(w *world) { w.Authority.Bend = func(s *timestamp.Timestamp) { s.Time = s.Time.Add(-time.Hour) } },
		"imprint":  func(w *world) { w.Authority.Bend = func(s *timestamp.Timestamp) { s.HashedMessage = make([]byte, 32) } },
		"stranger": func(w *world) { w.Authority.Unit = signingtest.Shared().TSAStranger },
	} {
		w := own(t, nil)
		file := w.sign(plain(), "P-256", true, true)
		lie(w)
		if _, _, err := w.TryRaise(file, signing.LevelBLTA); fault.KindOf(err) != fault.Unreachable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Foreign files: with a signature alone, with fields, in every form, certified or not.
func TestForeignFiles(t *testing.T) {
	for name, form := range pdftest.Forms {
		w := own(t, nil)
		for _, stamped := range []bool{false, true} {
			for _, certify := range []bool{false, true} {
				file := w.sign(pdftest.Build(form, pdftest.Plain()), "P-384", certify, stamped)
				stamps := w.Authority.Count()
				for _, level := range []string{signing.LevelBT, signing.LevelBLT, signing.LevelBLTA} {
					out, x := w.mustExtend(file, level)
					if x.Level != level || !bytes.HasPrefix(out, file) {
						t.Errorf("%s: level %s", name, x.Level)
					}
					_ = stamps
				}
			}
		}
	}
}

// What cannot be extended is refused with the reason.
func TestRefusals(t *testing.T) {
	w := own(t, nil)
	other := own(t, nil)
	signed := w.sign(plain(), "P-256", true, true)
	for name, c := range map[string]struct {
		file []byte
		want *fault.Error
	}{
		"unsigned":        {plain(), ltv.ErrUnsigned},
		"no PDF":          {[]byte("hello"), ltv.ErrUnreadable},
		"cut":             {signed[:len(signed)-40], ltv.ErrUnreadable},
		"another's world": {other.sign(plain(), "P-256", true, true), ltv.ErrUntrusted},
		"a broken stamp":  {breakStamp(t, signed), ltv.ErrUnreadable},
	} {
		if _, _, err := w.TryRaise(c.file, signing.LevelBLTA); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Key)
		}
	}
}

// breakStamp spoils the signature's own time stamp.
func breakStamp(t *testing.T, file []byte) []byte {
	t.Helper()
	out := bytes.Clone(file)
	i := bytes.Index(out, []byte("060b2a864886f70d0109100104")) // id-ct-TSTInfo
	if i < 0 {
		t.Fatal("no stamp")
	}
	copy(out[i:], "060b2a864886f70d0109100105")
	return out
}

// A store that is there already is kept, and nothing is put into it twice.
func TestStoreIsMerged(t *testing.T) {
	for name, form := range pdftest.Forms {
		w := own(t, nil)
		file := w.sign(pdftest.Build(form, pdftest.Plain()), "P-256", true, true)
		own := pades.Material{CRLs: [][]byte{[]byte("one that was there")}}
		tail, err := pades.AppendMaterial(bytes.NewReader(file), int64(len(file)), own)
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, tail...)
		lt, _ := w.mustExtend(file, signing.LevelBLT)
		m := material(t, lt)
		if len(m.CRLs) != 2 || string(m.CRLs[0]) != "one that was there" || len(m.Certificates) < 5 || len(m.OCSPs) < 4 {
			t.Errorf("%s: %d certificates, %d answers, %d lists", name, len(m.Certificates), len(m.OCSPs), len(m.CRLs))
		}
		if tail, err := pades.AppendMaterial(bytes.NewReader(lt), int64(len(lt)), m); err != nil || tail != nil {
			t.Errorf("%s: added again: %d bytes, %v", name, len(tail), err)
		}
	}
}

func material(t *testing.T, file []byte) pades.Material {
	t.Helper()
	f, err := pdf.Bytes(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := pades.ReadMaterial(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A file is due before its last stamp ends, and each renewal makes it last longer,
// after the seal's certificate has ended and nobody says anything about it any more.
func TestRenewal(t *testing.T) {
	sha := signingtest.Now.AddDate(7, 0, 0)
	w := own(t, func(c *ltv.Config) { c.Policy.Ends = map[string]time.Time{"P-256": sha} })
	file, x := w.mustExtend(w.sign(plain(), "P-521", true, true), signing.LevelBLTA)
	if !x.RenewBefore.Equal(w.TSA.Cert.NotAfter) || !w.Due(x.RenewBefore).Equal(w.TSA.Cert.NotAfter.Add(-90*day)) {
		t.Errorf("renew before %v, the unit ends at %v", x.RenewBefore, w.TSA.Cert.NotAfter)
	}
	w.Clock.Add(w.Due(x.RenewBefore).Sub(w.Clock.Now()))
	w.Authority.Unit = w.Next
	file, x = w.mustExtend(file, signing.LevelBLTA)
	if !x.RenewBefore.Equal(sha) {
		t.Errorf("renew before %v, P-256 ends at %v", x.RenewBefore, sha)
	}
	// The seal's certificate and the first unit's have ended. The responder forgets both.
	w.Clock.Add(w.Due(x.RenewBefore).Sub(w.Clock.Now()))
	gone := map[string]bool{w.Seal("P-521").Cert.SerialNumber.String(): true, w.TSA.Cert.SerialNumber.String(): true}
	w.Status.BendOCSP = func(r *ocsp.Response) {
		if gone[r.SerialNumber.String()] {
			r.Status = ocsp.Unknown
		}
	}
	if _, x, err := w.TryRaise(file, signing.LevelBLTA); err != nil || x.StampedAt.Before(w.Clock.Now().Add(-time.Second)) {
		t.Fatal(err)
	}
}

// When SHA-256 is known to end, files that rest on it are due before, new stamps are upon
// SHA-384, and only an authority that does not sign by SHA-256 itself makes them last.
func TestRenewalUnderAnotherHash(t *testing.T) {
	w := own(t, nil)
	old, x := w.mustExtend(w.sign(plain(), "P-384", true, true), signing.LevelBLTA)
	if !slices.Contains(x.Algorithms, "SHA-256") || w.Policy.Hash() != crypto.SHA256 {
		t.Fatalf("it rests on %v, stamps are upon %v", x.Algorithms, w.Policy.Hash())
	}
	end := w.Base.AddDate(2, 0, 0)
	w.Policy.Ends = map[string]time.Time{"SHA-256": end}
	if _, by := w.Policy.DueBy(end.Add(-89 * day)); !slices.Equal(by, []string{"SHA-256"}) {
		t.Errorf("due by %v", by)
	}
	w.Clock.Add(end.Sub(w.Clock.Now()) - 60*day)
	if _, y := w.mustExtend(old, signing.LevelBLTA); !y.RenewBefore.Equal(end) || w.Policy.Better(y, x.EndsAt, x.Algorithms) {
		t.Errorf("an authority that signs by SHA-256 makes it last until %v", y.RenewBefore)
	}
	w.Authority.Hash = crypto.SHA384
	file, y := w.mustExtend(old, signing.LevelBLTA)
	if !y.RenewBefore.Equal(w.TSA.Cert.NotAfter) || !w.Policy.Better(y, x.EndsAt, x.Algorithms) || slices.Contains(y.Algorithms, "SHA-256") {
		t.Errorf("it lasts until %v, by %v", y.RenewBefore, y.Algorithms)
	}
	if !bytes.HasPrefix(file, old) {
		t.Error("the file does not begin with the old one")
	}
	for ends, want := range map[string]crypto.Hash{"": crypto.SHA256, "SHA-256": crypto.SHA384, "SHA-384": crypto.SHA256, "SHA-256 SHA-384": crypto.SHA512, "SHA-512 SHA-384 SHA-256": crypto.SHA256} {
		p := ltv.Policy{Ends: map[string]time.Time{}}
		for n, name := range strings.Fields(ends) {
			p.Ends[name] = end.AddDate(n, 0, 0)
		}
		if got := p.Hash(); got != want {
			t.Errorf("with the end of %q: %v", ends, got)
		}
	}
}

// Anybody's bytes: an error or a file that begins with them, never a panic.
func FuzzExtend(f *testing.F) {
	w := own(f, nil)
	f.Add(w.sign(pdftest.Build(pdftest.Table, pdftest.Plain()), "P-256", true, true))
	lta, _ := w.mustExtend(w.sign(pdftest.Build(pdftest.Stream, pdftest.Plain()), "P-256", false, false), signing.LevelBLTA)
	f.Add(lta)
	w.Extender.Stamper = nil
	w.Status.Answer = func(rw http.ResponseWriter, _ string) bool {
		http.Error(rw, "away", http.StatusServiceUnavailable)
		return true
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		x, err := w.Extend(t.Context(), bytes.NewReader(file), int64(len(file)), signing.LevelBLT)
		if err != nil {
			return
		}
		if _, err := pdf.Bytes(append(bytes.Clone(file), x.Tail...)); err != nil {
			t.Error(err)
		}
	})
}

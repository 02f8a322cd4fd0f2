package verify_test

import (
	"bytes"
	"crypto/x509"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"golang.org/x/crypto/ocsp"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fetch"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/tsa"
	"github.com/belfry-eid/belfry/signing/verify"
)

// lasting makes files that last.
type lasting struct {
	*signingtest.Maker
	t     testing.TB
	clock *clock.Hand
	tsa   *signingtest.Authority
}

func newLasting(t testing.TB) *lasting {
	t.Helper()
	m := signingtest.NewOwnMaker(t, nil)
	return &lasting{m, t, m.Clock, m.Authority}
}

func (w *lasting) file(kind, level string) []byte {
	w.t.Helper()
	return w.fileOf(pdftest.Build(pdftest.Table, pdftest.Fields()), kind, level)
}

func (w *lasting) fileOf(content []byte, kind, level string) []byte {
	w.t.Helper()
	return w.File(content, kind, level, pades.Options{Certify: true})
}

func (w *lasting) extend(file []byte, level string) []byte {
	w.t.Helper()
	return w.Raise(file, level)
}

func (w *lasting) check(file []byte) *verify.Report {
	return verify.File(bytes.NewReader(file), int64(len(file)), verify.Options{Roots: w.Roots(), Now: w.clock.Now()})
}

// The level that was made is the level that is found, for every kind of key, and
// only what proves revocation passes.
func TestLevels(t *testing.T) {
	w := newLasting(t)
	w.clock.Add(time.Minute)
	for _, kind := range signingtest.KeyKinds {
		for _, level := range []string{signing.LevelBB, signing.LevelBT, signing.LevelBLT, signing.LevelBLTA} {
			r := w.check(w.file(kind, level))
			s := r.Signatures[0]
			if r.Result != verify.Valid || s.Level != level {
				t.Errorf("%s, %s: %s", kind, level, dump(r))
			}
			proved := level == signing.LevelBLT || level == signing.LevelBLTA
			if got := s.Indication; proved != (got == verify.TotalPassed) || !proved && s.SubIndication != verify.TryLater {
				t.Errorf("%s, %s: %s %s", kind, level, got, s.SubIndication)
			}
			if (r.Indication == verify.TotalPassed) != proved {
				t.Errorf("%s, %s: the file is %s", kind, level, r.Indication)
			}
		}
	}
}

// Ten years later, after two renewals: certificates have ended, and still it passes.
// Without the renewal, or without one of its pieces, it does not.
func TestPastValidation(t *testing.T) {
	w := newLasting(t)
	lt, lta := w.file("P-256", signing.LevelBLT), w.file("P-256", signing.LevelBLTA)
	w.clock.Add(3*365*24*time.Hour + 200*24*time.Hour)
	w.tsa.Unit = w.Next
	once := w.extend(lta, signing.LevelBLTA)
	w.clock.Add(6 * 365 * 24 * time.Hour)
	twice := w.extend(once, signing.LevelBLTA)
	late := w.extend(lta, signing.LevelBT) // nothing to do: it has a stamp
	if len(late) != len(lta) {
		t.Error("a stamp too many")
	}
	for name, c := range map[string]struct {
		file []byte
		want verify.Indication
		sub  verify.SubIndication
	}{
		"renewed once":        {once, verify.TotalPassed, ""},
		"renewed twice":       {twice, verify.TotalPassed, ""},
		"B-LT, never stamped": {lt, verify.Indeterminate, verify.OutOfBoundsNoPOE},
		"never renewed":       {lta, verify.Indeterminate, verify.OutOfBoundsNoPOE},
	} {
		r := w.check(c.file)
		s := r.Signatures[0]
		if s.Indication != c.want || s.SubIndication != c.sub {
			t.Errorf("%s: %s %s\n%s", name, s.Indication, s.SubIndication, dump(r))
		}
		if c.want == verify.TotalPassed && (s.Level != signing.LevelBLTA || s.ProvedAt == nil || !s.ProvedAt.Equal(signingtest.Now) || r.Result != verify.Valid) {
			t.Errorf("%s: %s", name, dump(r))
		}
	}
	// A renewal that came too late proves nothing about what had ended before.
	w2 := newLasting(t)
	lta = w2.file("P-256", signing.LevelBLTA)
	w2.clock.Add(5 * 365 * 24 * time.Hour)
	w2.tsa.Unit = w2.Next
	tooLate, err := w2.Extend(t.Context(), bytes.NewReader(lta), int64(len(lta)), signing.LevelBLTA)
	if err != nil {
		t.Fatal(err)
	}
	if r := w2.check(slices.Concat(lta, tooLate.Tail)); r.Signatures[0].Indication != verify.Indeterminate {
		t.Errorf("too late: %s", dump(r))
	}
}

// What was revoked, and when.
func TestRevocation(t *testing.T) {
	for name, c := range map[string]struct {
		who  func(*lasting) signingtest.Identity
		when time.Duration // after the stamp
		want verify.Code
		sub  verify.SubIndication
	}{
		"signer before":   {func(w *lasting) signingtest.Identity { return w.Seal("P-256") }, -time.Hour, verify.Revoked, verify.RevokedNoPOE},
		"signer after":    {func(w *lasting) signingtest.Identity { return w.Seal("P-256") }, time.Hour, "", ""},
		"issuer before":   {func(w *lasting) signingtest.Identity { return w.CA }, -time.Hour, verify.IssuerRevoked, verify.RevokedCANoPOE},
		"issuer after":    {func(w *lasting) signingtest.Identity { return w.CA }, time.Hour, "", ""},
		"unit after":      {func(w *lasting) signingtest.Identity { return w.TSA }, time.Hour, verify.StampRevoked, ""},
		"another's":       {func(w *lasting) signingtest.Identity { return w.Next }, -time.Hour, "", ""},
		"responder after": {func(w *lasting) signingtest.Identity { return w.StampAgent }, time.Hour * 30, "", ""},
	} {
		w := newLasting(t)
		file := w.file("P-256", signing.LevelBT)
		w.Status.Revoked = map[string]time.Time{c.who(w).Cert.SerialNumber.String(): w.clock.Now().Add(c.when)}
		w.clock.Add(2 * time.Hour)
		o := verify.Options{Roots: w.Roots(), Now: w.clock.Now()}
		for _, id := range []signingtest.Identity{w.Seal("P-256"), w.CA, w.TSA, w.StampCA, w.StampAgent} {
			o.OCSPs, o.CRLs = append(o.OCSPs, w.answer(id)), append(o.CRLs, w.list(id))
		}
		r := verify.File(bytes.NewReader(file), int64(len(file)), o)
		s := r.Signatures[0]
		if c.want != "" && !slices.Contains(codes(r), string(c.want)) || s.SubIndication != c.sub {
			t.Errorf("%s: %s", name, dump(r))
		}
		if wantBad := c.want == verify.Revoked || c.want == verify.IssuerRevoked; wantBad != (r.Result == verify.NotValid) {
			t.Errorf("%s: result %s", name, r.Result)
		}
		if c.want == "" && (s.Level != signing.LevelBT || s.Indication != verify.TotalPassed) {
			t.Errorf("%s: level %s from what the caller gave: %s", name, s.Level, dump(r))
		}
	}
}

// answer and list are what the world says about a certificate now.
func (w *lasting) answer(id signingtest.Identity) []byte {
	if len(id.Cert.OCSPServer) == 0 {
		return nil
	}
	request, err := ocsp.CreateRequest(id.Cert, w.issuer(id), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.fetch(id.Cert.OCSPServer[0], request)
}

func (w *lasting) list(id signingtest.Identity) []byte {
	return w.fetch(id.Cert.CRLDistributionPoints[0], nil)
}

func (w *lasting) issuer(id signingtest.Identity) *x509.Certificate {
	for _, ca := range []signingtest.Identity{w.Root, w.CA, w.StampCA} {
		if bytes.Equal(ca.Cert.RawSubject, id.Cert.RawIssuer) {
			return ca.Cert
		}
	}
	return nil
}

func (w *lasting) fetch(address string, body []byte) []byte {
	w.t.Helper()
	f, err := fetch.New(fetch.Config{Hosts: []string{signingtest.StatusHost}, Client: w.Status.Client()})
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := f.Post(w.t.Context(), address, "application/octet-stream", body)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// What is put into a store to deceive counts for nothing.
func TestLyingStore(t *testing.T) {
	for name, lie := range map[string]func(*lasting){
		"a stranger's key": func(w *lasting) { w.Status.Signer = &signingtest.Identity{Key: w.Seal("P-384").Key, Cert: w.CA.Cert} },
		"another's serial": func(w *lasting) {
			w.Status.BendOCSP = func(r *ocsp.Response) { r.SerialNumber = w.Seal("P-384").Cert.SerialNumber }
		},
		"ended before": func(w *lasting) {
			w.Status.BendOCSP = func(r *ocsp.Response) {
				r.ThisUpdate, r.NextUpdate = signingtest.Now.AddDate(0, -1, 0), signingtest.Now.AddDate(0, 0, -20)
			}
		},
		"from the future": func(w *lasting) {
			w.Status.BendOCSP = func(r *ocsp.Response) { r.ThisUpdate = signingtest.Now.AddDate(1, 0, 0) }
		},
		"unknown": func(w *lasting) { w.Status.BendOCSP = func(r *ocsp.Response) { r.Status = ocsp.Unknown } },
		"a delegate's own": func(w *lasting) {
			w.Status.BendOCSP = func(r *ocsp.Response) {
				if r.Certificate != nil {
					r.Certificate = w.Seal("P-384").Cert
				}
			}
		},
	} {
		w := newLasting(t)
		file := w.file("P-256", signing.LevelBT)
		lie(w)
		m := pades.Material{Certificates: [][]byte{w.CA.Cert.Raw, w.StampCA.Cert.Raw}}
		for _, id := range []signingtest.Identity{w.Seal("P-256"), w.CA, w.TSA, w.StampCA} {
			m.OCSPs = append(m.OCSPs, w.answer(id))
		}
		tail, err := pades.AppendMaterial(bytes.NewReader(file), int64(len(file)), m)
		if err != nil {
			t.Fatal(err)
		}
		w.clock.Add(time.Minute)
		r := w.check(slices.Concat(file, tail))
		if s := r.Signatures[0]; s.Level != signing.LevelBT || s.SubIndication != verify.TryLater || r.Result != verify.Valid {
			t.Errorf("%s: %s", name, dump(r))
		}
	}
}

// A document time stamp that lies about its time is not believed before one that tells it.
func TestStampFromBeforeItsUnit(t *testing.T) {
	w := newLasting(t)
	file := w.file("P-256", signing.LevelBLT)
	w.tsa.Bend = func(s *timestamp.Timestamp) { s.Time = signingtest.Now.AddDate(-3, 0, 0) }
	p, err := pades.PrepareStamp(bytes.NewReader(file), int64(len(file)), pades.StampOptions{})
	if err != nil {
		t.Fatal(err)
	}
	far := clock.At(signingtest.Now.AddDate(-3, 0, 0))
	believer, err := tsa.New(tsa.Config{Clock: far, Authorities: []tsa.Authority{{URL: w.tsa.Server.URL, Roots: w.Roots()}}})
	if err != nil {
		t.Fatal(err)
	}
	hash, digest := p.Imprint()
	if _, err := believer.Stamp(t.Context(), signing.Imprint{Hash: hash, Sum: digest}); err == nil {
		t.Error("a stamp from before its unit was taken")
	}
}

// BenchmarkBLTA sets the validation of a B-LTA file beside the signature checks that
// it cannot do without: five on P-256 and a certificate on it twice, seven on P-384.
func BenchmarkBLTA(b *testing.B) {
	w := newLasting(b)
	file := w.file("P-256", signing.LevelBLTA)
	w.clock.Add(time.Minute)
	b.Run("validate", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			if r := w.check(file); r.Indication != verify.TotalPassed {
				b.Fatal(dump(r))
			}
		}
	})
	b.Run("checks", func(b *testing.B) {
		small, large := w.Seal("P-256").Cert, w.CA.Cert
		defer cpu(b)()
		for b.Loop() {
			for range 7 {
				if small.CheckSignatureFrom(w.CA.Cert) != nil || large.CheckSignatureFrom(w.Root.Cert) != nil {
					b.Fatal("a certificate does not verify")
				}
			}
		}
	})
}

// cpu reports the processor time of one round: other programs on the machine do not count.
func cpu(b *testing.B) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N)/1e6, "cpu-ms/op") }
}

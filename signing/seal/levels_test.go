package seal

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/digitorus/timestamp"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/fetch"
	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/ltv"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/tsa"
	"github.com/belfry-eid/belfry/testcerts/softcard"
)

// lastingWorld is a world whose certificates can be proved, with responders of its own.
type lastingWorld struct {
	*world
	pki *signingtest.Lasting
}

func newLastingWorld(t testing.TB, db *sqldb.DB, level, kind string) *lastingWorld {
	t.Helper()
	pki := signingtest.NewLasting(signingtest.Now)
	id := pki.Seal(kind)
	w := newWorld(t, db, signing.LevelBB, id)
	w.tsa.Unit, w.tsa.Clock, pki.Status.Clock = pki.TSA, w.clock.Now, w.clock.Now
	stamper, err := tsa.New(tsa.Config{Clock: w.clock.Now, Timeout: time.Second,
		Authorities: []tsa.Authority{{URL: w.tsa.Server.URL, Roots: pki.Roots()}}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := fetch.New(fetch.Config{Hosts: []string{signingtest.StatusHost}, Client: pki.Status.Client(), Clock: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	extender, err := ltv.New(ltv.Config{Roots: pki.Roots(), Fetch: f, Stamper: stamper, Clock: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Stamper, w.cfg.Extender, w.cfg.Keys = stamper, extender, oneKey(level, w.key, id.Chain)
	w.cfg.Keys[here].Tokens[0].PSS = strings.HasSuffix(kind, "PSS")
	w.restart()
	return &lastingWorld{w, pki}
}

func (w *lastingWorld) file(r signing.Receipt) []byte {
	w.t.Helper()
	file, err := w.blobs.Read(ctx, here, r.Document)
	if err != nil {
		w.t.Fatal(err)
	}
	return file
}

func (w *lastingWorld) actions(grant string) string {
	w.t.Helper()
	entries, err := w.audit.List(ctx, here, "order "+grant)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, strings.TrimPrefix(e.Action, "seal."))
	}
	return strings.Join(all, " ")
}

// status makes the responders and lists answer with an error.
func (w *lastingWorld) status(down bool) {
	w.pki.Status.Answer = func(rw http.ResponseWriter, _ string) bool {
		if down {
			http.Error(rw, "out of order", http.StatusServiceUnavailable)
		}
		return down
	}
}

// Every kind of key, in memory and in a token, seals at the highest level, and programs
// of others accept the file.
func TestEveryKindOfKeyAtBLTA(t *testing.T) {
	inTokens := map[string]p11.KeyKind{"RSA-2048": p11.RSA2048, "RSA-3072": p11.RSA3072, "RSA-4096": p11.RSA4096, "P-256": p11.P256, "P-384": p11.P384, "P-521": p11.P521}
	for _, kind := range signingtest.KeyKinds {
		t.Run("memory/"+kind, func(t *testing.T) {
			w := newLastingWorld(t, sqldbtest.SQLite(t), signing.LevelBLTA, kind)
			w.sealsForOthers(t)
		})
	}
	token := newSoftToken(t)
	for _, kind := range signingtest.KeyKinds {
		t.Run("token/"+kind, func(t *testing.T) {
			w := newLastingWorld(t, sqldbtest.SQLite(t), signing.LevelBLTA, "P-256")
			label := strings.TrimSuffix(kind, "-PSS")
			if kind == label {
				if _, err := token.GenerateKey(label, inTokens[label]); err != nil {
					t.Fatal(err)
				}
			}
			key, err := token.Signer(label)
			if err != nil {
				t.Fatal(err)
			}
			id := w.pki.Certify("Belfry Test Seal in a token "+kind, key)
			w.cfg.Keys = oneKey(signing.LevelBLTA, key, id.Chain)
			w.cfg.Keys[here].Tokens[0].PSS = strings.HasSuffix(kind, "PSS")
			w.restart()
			w.sealsForOthers(t)
			if key.Calls() != 1 {
				t.Errorf("%d calls of the token", key.Calls())
			}
		})
	}
}

// newSoftToken is an empty token of SoftHSM.
func newSoftToken(t *testing.T) *p11.Token {
	t.Helper()
	m, err := p11.Load(softcard.Test(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	so, user := p11.ParsePIN("12345678"), p11.ParsePIN("87654321")
	info, err := m.InitToken("kinds", so, user)
	if err != nil {
		t.Fatal(err)
	}
	token, err := m.Open(p11.Selector{Label: info.Label, Serial: info.Serial}, user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { token.Close() })
	return token
}

func (w *lastingWorld) sealsForOthers(t *testing.T) {
	t.Helper()
	r, err := w.seal(w.grant(paper(t.Name(), 2000)))
	if err != nil {
		t.Fatal(err)
	}
	if r.Level != signing.LevelBLTA || r.Stage != signing.Finished {
		t.Errorf("%+v", r)
	}
	signingtest.Outside(t, w.pki, r.Level, w.file(r))
}

// Each level goes through its own stages, each kept and recorded once.
func TestStages(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		for level, want := range map[string]struct{ actions, stages string }{
			signing.LevelBB:   {"granted attempted signed finished", "signed finished"},
			signing.LevelBT:   {"granted attempted signed finished", "signed finished"},
			signing.LevelBLT:  {"granted attempted signed stamped finished", "signed stamped finished"},
			signing.LevelBLTA: {"granted attempted signed stamped proved finished", "signed stamped lasting finished"},
		} {
			t.Run(level, func(t *testing.T) {
				w := newLastingWorld(t, db, level, "P-256")
				grant := w.grant(paper(t.Name(), 2000))
				r, err := w.seal(grant)
				if err != nil {
					t.Fatal(err)
				}
				if got := w.actions(grant); got != want.actions {
					t.Errorf("audit: %s", got)
				}
				for _, stage := range strings.Fields(want.stages) {
					if n, _ := w.recorded(grant, signing.Stage(stage)); n != 1 {
						t.Errorf("%s was recorded %d times", stage, n)
					}
				}
				file := w.file(r)
				if i := bytes.Index(file, []byte("/DSS")); (i >= 0) != signing.Reaches(level, signing.LevelBLT) {
					t.Errorf("a store of proofs: %v", i >= 0)
				}
				g, err := w.store.Get(ctx, here, grant)
				if err != nil || g.Proof.EndsAt.IsZero() != (level != signing.LevelBLTA) {
					t.Errorf("%+v, %v", g.Proof, err)
				}
				w.neverTooMuch(grant)
			})
		}
	})
}

// Whichever service is away, the order waits where it is, in words, without a document;
// and the key is called once.
func TestServicesAreAway(t *testing.T) {
	for name, test := range map[string]struct {
		away  func(w *lastingWorld, away bool)
		stage signing.Stage
		key   string
	}{
		"no stamp":     {func(w *lastingWorld, away bool) { w.silence(away) }, signing.Signed, "tsa.unavailable"},
		"no proofs":    {func(w *lastingWorld, away bool) { w.status(away) }, signing.Stamped, "ltv.awaited"},
		"no 2nd stamp": {func(w *lastingWorld, away bool) { w.onlyFirstStamp(away) }, signing.Lasting, "tsa.unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newLastingWorld(t, sqldbtest.SQLite(t), signing.LevelBLTA, "P-384")
			first, err := w.seal(w.grant(paper("before", 1000))) // the clock is known to be right
			if err != nil || first.Stage != signing.Finished {
				t.Fatal(err)
			}
			grant := w.grant(paper(t.Name(), 1000))
			calls := w.key.calls.Load()
			test.away(w, true)
			for range 3 {
				r, err := w.seal(grant)
				if fault.KindOf(err) != fault.Unreachable || fault.KeyOf(err) != test.key || r.Stage != test.stage || !r.Document.IsZero() {
					t.Fatalf("%+v, %v", r, err)
				}
				w.neverTooMuch(grant)
				w.restart()
				w.clock.Add(time.Minute)
			}
			test.away(w, false)
			r, err := w.seal(grant)
			if err != nil || r.Stage != signing.Finished || w.key.calls.Load() != calls+1 {
				t.Fatalf("%+v, %v after %d calls", r, err, w.key.calls.Load()-calls)
			}
			w.neverTooMuch(grant)
		})
	}
}

// Each commit of a document of the highest level fails, before it is on disk and after:
// the next process goes on where it stopped, and a signature that was kept is not made again.
func TestEveryStageIsInterrupted(t *testing.T) {
	const key, commits = 2, 5 // attempt, signed, stamped, proved, finished
	for n := 1; n <= commits; n++ {
		for _, committed := range []bool{false, true} {
			t.Run(fmt.Sprintf("commit %d, on disk %v", n, committed), func(t *testing.T) {
				t.Parallel()
				w := newLastingWorld(t, sqldbtest.SQLite(t), signing.LevelBLTA, "P-256")
				grant := w.grant(paper(t.Name(), 1000))
				w.failWrite(n, committed)
				if r, err := w.seal(grant); !errors.Is(err, errOutage) || r.Stage == signing.Finished || !r.Document.IsZero() {
					t.Fatalf("%+v, %v", r, err)
				}
				w.neverTooMuch(grant)
				calls, stamps := w.key.calls.Load(), w.tsa.Count()
				w.restart()
				r, err := w.seal(grant)
				if err != nil || r.Stage != signing.Finished {
					t.Fatalf("%+v, %v", r, err)
				}
				w.neverTooMuch(grant)
				if again := w.key.calls.Load() - calls; again > 0 && (n > key || n == key && committed) {
					t.Errorf("the key was called %d times again", again)
				}
				if n == commits && committed && w.tsa.Count() != stamps {
					t.Error("a finished document was stamped again")
				}
				if file := w.file(r); r.Level != signing.LevelBLTA || !bytes.Contains(file, []byte("/DocTimeStamp")) {
					t.Errorf("%+v", r)
				}
			})
		}
	}
}

// onlyFirstStamp has the authority be silent after one stamp more.
func (w *lastingWorld) onlyFirstStamp(on bool) {
	w.tsa.Answer = nil
	given := 0
	if on {
		w.tsa.Answer = func(rw http.ResponseWriter, r *http.Request, token []byte) {
			if given++; given > 1 {
				http.Error(rw, "out of order", http.StatusServiceUnavailable)
				return
			}
			rw.Header().Set("Content-Type", "application/timestamp-reply")
			rw.Write(token)
		}
	}
}

// What a lying responder or authority says never gets into a document.
func TestServicesThatLie(t *testing.T) {
	for name, test := range map[string]struct {
		lie   func(w *lastingWorld)
		stage signing.Stage
	}{
		"stamp of an hour ago": {func(w *lastingWorld) { w.tsa.Bend = func(s *timestamp.Timestamp) { s.Time = s.Time.Add(-time.Hour) } }, signing.Prepared},
		"stamp of another digest": {func(w *lastingWorld) {
			w.tsa.Bend = func(s *timestamp.Timestamp) { s.HashedMessage = make([]byte, 32) }
		}, signing.Signed},
		"another nonce": {func(w *lastingWorld) { w.tsa.Bend = func(s *timestamp.Timestamp) { s.Nonce.Add(s.Nonce, s.Nonce) } }, signing.Signed},
		"a web page for a stamp": {func(w *lastingWorld) {
			w.tsa.Answer = func(rw http.ResponseWriter, _ *http.Request, _ []byte) { fmt.Fprint(rw, "<html>Welcome") }
		}, signing.Signed},
		"a stamp of two megabytes": {func(w *lastingWorld) {
			w.tsa.Answer = func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
				rw.Header().Set("Content-Type", "application/timestamp-reply")
				rw.Write(make([]byte, 2<<20))
			}
		}, signing.Signed},
		"a stranger's stamp": {func(w *lastingWorld) { w.tsa.Unit = signingtest.Shared().TSAStranger }, signing.Signed},
		"an old answer of OCSP": {func(w *lastingWorld) {
			w.pki.Status.BendOCSP = func(r *ocsp.Response) {
				r.ThisUpdate, r.NextUpdate = r.ThisUpdate.AddDate(0, 0, -9), r.ThisUpdate.AddDate(0, 0, -8)
			}
			w.pki.Status.BendCRL = func(l *x509.RevocationList) {
				l.ThisUpdate, l.NextUpdate = l.ThisUpdate.AddDate(0, 0, -9), l.ThisUpdate.AddDate(0, 0, -8)
			}
		}, signing.Stamped},
		"a stranger's answer of OCSP": {func(w *lastingWorld) { s := signingtest.Shared().StrangerRoot; w.pki.Status.Signer = &s }, signing.Stamped},
		"a web page for an answer": {func(w *lastingWorld) {
			w.pki.Status.Answer = func(rw http.ResponseWriter, _ string) bool { fmt.Fprint(rw, "<html>Welcome"); return true }
		}, signing.Stamped},
	} {
		t.Run(name, func(t *testing.T) {
			w := newLastingWorld(t, sqldbtest.SQLite(t), signing.LevelBLTA, "P-256")
			if _, err := w.seal(w.grant(paper("before", 1000))); err != nil {
				t.Fatal(err)
			}
			grant := w.grant(paper(t.Name(), 1000))
			test.lie(w)
			r, err := w.seal(grant)
			if err == nil || r.Stage != test.stage || !r.Document.IsZero() {
				t.Fatalf("%+v, %v", r, err)
			}
			w.neverTooMuch(grant)
			w.tsa.Bend, w.tsa.Answer, w.tsa.Unit = nil, nil, w.pki.TSA
			w.pki.Status.BendOCSP, w.pki.Status.BendCRL, w.pki.Status.Signer, w.pki.Status.Answer = nil, nil, nil, nil
			w.clock.Add(time.Minute)
			if r, err := w.seal(grant); err != nil || r.Stage != signing.Finished {
				t.Fatalf("%+v, %v", r, err)
			}
			w.neverTooMuch(grant)
		})
	}
}

// With a clock that is not the authority's nothing is signed, but for the one signature
// by which it was noticed, and that one never leaves the house.
func TestTheClockIsNotTheAuthoritys(t *testing.T) {
	for _, off := range []time.Duration{time.Hour, 24 * time.Hour, -4 * time.Minute, 6 * time.Minute} {
		w := newLastingWorld(t, sqldbtest.SQLite(t), signing.LevelBT, "P-256")
		real := w.clock.Now()
		w.tsa.Clock = func() time.Time { return real }
		grant := w.grant(paper(t.Name(), 1000))
		w.clock.Add(off)
		r, err := w.seal(grant)
		if off < 5*time.Minute {
			if err != nil {
				t.Errorf("%v: %v", off, err)
			}
			continue
		}
		if fault.KeyOf(err) != "seal.clock" || r.Stage != signing.Prepared || w.key.calls.Load() != 0 {
			t.Errorf("%v at the start: %+v, %v, %d calls", off, r, err, w.key.calls.Load())
		}
		w.clock.Add(-off)
		if r, err = w.seal(grant); err != nil {
			t.Fatal(err)
		}
		w.finishedAt(r, real)

		again := w.grant(paper(t.Name()+"again", 1000))
		w.clock.Add(off) // while it runs
		for range 3 {
			if r, err := w.seal(again); err == nil || r.Stage != signing.Prepared {
				t.Errorf("%v later: %+v, %v", off, r, err)
			}
		}
		if n := w.key.calls.Load(); n > 2 {
			t.Errorf("%v: %d calls of the key", off, n)
		}
		w.neverTooMuch(again)
	}
}

func (w *lastingWorld) finishedAt(r signing.Receipt, at time.Time) {
	w.t.Helper()
	if r.Stage != signing.Finished || !r.SignedAt.Equal(at) || !r.StampedAt.Equal(at) {
		w.t.Errorf("%+v, want %v", r, at)
	}
}

// A certificate revoked between the approval and the finished document, and one that
// ends: the order waits for another certificate, which a spare token may have.
func TestTheCertificateIsNoLongerGood(t *testing.T) {
	w := newLastingWorld(t, sqldbtest.SQLite(t), signing.LevelBLTA, "P-256")
	w.pki.Status.Revoked = map[string]time.Time{w.pki.Seal("P-256").Cert.SerialNumber.String(): w.clock.Now().Add(-time.Hour)}
	grant, next := w.grant(paper(t.Name(), 1000)), w.grant(paper("next", 1000))
	for _, g := range []string{grant, grant, next} {
		r, err := w.seal(g)
		if fault.KeyOf(err) != "seal.revoked" || r.Stage != signing.Prepared {
			t.Fatalf("%+v, %v", r, err)
		}
		w.restart()
	}
	if n := w.key.calls.Load(); n != 1 {
		t.Errorf("%d calls of a key whose certificate is revoked", n)
	}
	other := w.pki.Seal("RSA-2048")
	k := w.cfg.Keys[here]
	k.Tokens = append(k.Tokens, Token{Signer: other.Key, Chain: other.Chain})
	w.cfg.Keys = map[commune.ID]Key{here: k}
	w.restart()
	for _, g := range []string{grant, next} {
		if r, err := w.seal(g); err != nil || r.Signer != other.Cert.Subject.CommonName {
			t.Errorf("%+v, %v", r, err)
		}
	}

	ending := newLastingWorld(t, sqldbtest.SQLite(t), signing.LevelBT, "P-256")
	grant = ending.grant(paper(t.Name(), 1000))
	ending.clock.Add(ending.pki.Seal("P-256").Cert.NotAfter.Sub(ending.clock.Now()) - 30*time.Minute)
	if r, err := ending.seal(grant); fault.KeyOf(err) != "pades.certificate_unusable" || r.Stage != signing.Prepared || ending.key.calls.Load() != 0 {
		t.Errorf("half an hour before the end: %+v, %v", r, err)
	}
	ending.tsa.Unit = ending.pki.Next
	ending.clock.Add(-time.Hour)
	ending.silence(true)
	if r, err := ending.seal(grant); r.Stage != signing.Signed {
		t.Fatalf("%+v, %v", r, err)
	}
	ending.silence(false)
	ending.clock.Add(2 * time.Hour)
	if r, err := ending.seal(grant); fault.KeyOf(err) != "seal.not_valid" || r.Stage != signing.Prepared {
		t.Errorf("stamped after the end: %+v, %v", r, err)
	}
	ending.neverTooMuch(grant)
}

// A time-stamping unit that was revoked: its stamp is thrown away, another is asked for,
// and the key is not called again.
func TestTheStampIsNoLongerGood(t *testing.T) {
	w := newLastingWorld(t, sqldbtest.SQLite(t), signing.LevelBLTA, "P-256")
	w.pki.Status.Revoked = map[string]time.Time{w.pki.TSA.Cert.SerialNumber.String(): w.clock.Now().Add(-time.Hour)}
	grant := w.grant(paper(t.Name(), 1000))
	for range 2 {
		if r, err := w.seal(grant); fault.KindOf(err) != fault.Unreachable || r.Stage != signing.Signed {
			t.Fatalf("%+v, %v", r, err)
		}
		w.neverTooMuch(grant)
	}
	w.tsa.Unit = w.pki.Next
	r, err := w.seal(grant)
	if err != nil || r.Stage != signing.Finished || w.key.calls.Load() != 1 {
		t.Fatalf("%+v, %v, %d calls", r, err, w.key.calls.Load())
	}
}

// A token that does not answer, or hangs: the spare one is called, in an attempt of its own.
func TestSpareTokens(t *testing.T) {
	for name, bad := range map[string]func(k *countingKey){
		"fails":  func(k *countingKey) { k.before = func() error { return errOutage } },
		"hangs":  func(k *countingKey) { k.delay = 400 * time.Millisecond },
		"panics": func(k *countingKey) { k.before = func() error { panic("module") } },
	} {
		t.Run(name, func(t *testing.T) {
			w := newLastingWorld(t, sqldbtest.SQLite(t), signing.LevelBT, "P-256")
			id := w.pki.Seal("P-256")
			spare := &countingKey{Signer: id.Key}
			k := w.cfg.Keys[here]
			k.Tokens = append(k.Tokens, Token{Signer: spare, Chain: id.Chain})
			w.cfg.Keys, w.cfg.KeyTimeout = map[commune.ID]Key{here: k}, 50*time.Millisecond
			w.restart()
			w.key.set(bad)
			attempts := 0
			for i := range 8 {
				grant := w.grant(paper(fmt.Sprint(t.Name(), i), 1000))
				r, err := w.seal(grant)
				if err != nil || r.Stage != signing.Finished {
					t.Fatalf("%+v, %v", r, err)
				}
				attempts += len(w.attempts(grant))
			}
			first, second := w.key.calls.Load(), spare.calls.Load()
			if second != 8 || first == 0 || first > failuresMax || int(first+second) != attempts {
				t.Errorf("%d calls of the bad token, %d of the spare, %d attempts", first, second, attempts)
			}
			if len(w.Silent()) != 0 {
				t.Errorf("silent: %v", w.Silent())
			}
			w.key.set(nil)
			w.clock.Add(restMax)
			if _, err := w.seal(w.grant(paper("healed", 1000))); err != nil || w.key.calls.Load() != first+1 {
				t.Errorf("once it answers again: %v", err)
			}
		})
	}
}

// A token that hangs holds up nobody else: who comes later is told at once.
func TestAHangingTokenHoldsUpNobodyElse(t *testing.T) {
	w := newLastingWorld(t, sqldbtest.SQLite(t), signing.LevelBB, "P-256")
	release := make(chan struct{})
	defer close(release)
	w.Sealer.KeyTimeout = 50 * time.Millisecond
	w.key.set(func(k *countingKey) { k.before = func() error { <-release; return errOutage } })
	if _, err := w.seal(w.grant(paper("first", 1000))); fault.KindOf(err) != fault.Unreachable {
		t.Fatal(err)
	}
	w.Sealer.KeyTimeout = time.Minute
	began := time.Now()
	for i := range 20 {
		if _, err := w.seal(w.grant(paper(fmt.Sprint(i), 1000))); fault.KindOf(err) != fault.Unreachable {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > 2*time.Second || w.key.calls.Load() != 1 {
		t.Errorf("20 others waited %v, %d calls", took, w.key.calls.Load())
	}
	if s := w.Silent(); len(s) != 1 || s[0] != here {
		t.Errorf("silent: %v", s)
	}
}

// A document is stamped again before the unit of its last stamp ends, and only if that helps.
func TestRenewal(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		w := newLastingWorld(t, db, signing.LevelBLTA, "P-256")
		grant := w.grant(paper(t.Name(), 1000))
		first, err := w.seal(grant)
		if err != nil {
			t.Fatal(err)
		}
		due := func() int {
			t.Helper()
			l, err := w.Lasting(ctx, here)
			list, err2 := w.Due(ctx, here, 10)
			if err := errors.Join(err, err2); err != nil || l.Documents != 1 || len(list) != l.Due || !l.FirstEnds.After(w.clock.Now()) {
				t.Fatalf("%+v, %v, %v", l, list, err)
			}
			return l.Due
		}
		if due() != 0 {
			t.Error("due at once")
		}
		w.clock.Add(w.pki.TSA.Cert.NotAfter.Sub(w.clock.Now()) - 89*24*time.Hour)
		if due() != 1 {
			t.Error("not due three months before the end")
		}
		renew := func() (signing.Receipt, error) {
			return w.Renew(ctx, here, grant, func(tx *sqldb.Tx, r signing.Receipt) error {
				_, err := tx.Exec(`UPDATE recorded SET document = $1 WHERE id = $2 AND stage = 'finished'`, r.Document, grant)
				return err
			})
		}
		if r, err := renew(); fault.KindOf(err) != fault.Unreachable || r.Document != first.Document {
			t.Fatalf("with the same unit: %+v, %v", r, err)
		}
		w.tsa.Unit = w.pki.Next
		w.silence(true)
		if r, err := renew(); fault.KindOf(err) != fault.Unreachable || r.Document != first.Document {
			t.Fatalf("without an authority: %+v, %v", r, err)
		}
		w.silence(false)
		second, err := renew()
		if err != nil || second.Document == first.Document || second.Sealed != first.Sealed || second.Stage != signing.Finished {
			t.Fatalf("%+v, %v", second, err)
		}
		old, file := w.file(first), w.file(second)
		if !bytes.HasPrefix(file, old) {
			t.Error("the new file does not begin with the old one")
		}
		if due() != 0 || w.key.calls.Load() != 1 {
			t.Errorf("%d due, %d calls of the key", due(), w.key.calls.Load())
		}
		if got := w.actions(grant); !strings.HasSuffix(got, "finished renewed") {
			t.Errorf("audit: %s", got)
		}
		g, err := w.store.Get(ctx, here, grant)
		if err != nil || g.Receipt != second || g.Renewals != 1 || !g.Proof.EndsAt.Equal(w.pki.Next.Cert.NotAfter) {
			t.Errorf("%+v, %v", g, err)
		}
		w.neverTooMuch(grant)

		// An algorithm whose end is made known: the stamp rests on it, and is renewed.
		w.cfg.Extender.Policy.Ends = map[string]time.Time{"P-256": w.clock.Now().AddDate(0, 1, 0)}
		if due() != 1 {
			t.Error("not due before the end of an algorithm")
		}
	})
}

// When the end of SHA-256 is made known, every stamp is upon another hash, what rests on
// SHA-256 is due, and once it is renewed no more.
func TestRenewalUnderAnotherHash(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		w := newLastingWorld(t, db, signing.LevelBLTA, "P-384")
		var upon []crypto.Hash
		w.tsa.Bend = func(s *timestamp.Timestamp) { upon = append(upon, s.HashAlgorithm) }
		grant := w.grant(paper(t.Name(), 1000))
		first, err := w.seal(grant)
		if err != nil || !slices.Contains(upon, crypto.SHA256) {
			t.Fatal(err, upon)
		}
		w.cfg.Extender.Policy.Ends = map[string]time.Time{"SHA-256": w.clock.Now().AddDate(0, 2, 0)}
		due := func() int {
			t.Helper()
			list, err := w.Due(ctx, here, 10)
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		if due() != 1 {
			t.Fatal("not due before the end of SHA-256")
		}
		renew := func() (signing.Receipt, error) {
			return w.Renew(ctx, here, grant, func(tx *sqldb.Tx, r signing.Receipt) error {
				_, err := tx.Exec(`UPDATE recorded SET document = $1 WHERE id = $2 AND stage = 'finished'`, r.Document, grant)
				return err
			})
		}
		if r, err := renew(); fault.KindOf(err) != fault.Unreachable || r.Document != first.Document {
			t.Fatalf("an authority that signs by SHA-256: %+v, %v", r, err)
		}
		upon, w.tsa.Hash = nil, crypto.SHA384
		r, err := renew()
		if err != nil || r.Document == first.Document || due() != 0 || !bytes.HasPrefix(w.file(r), w.file(first)) {
			t.Fatalf("%+v, %v, %d due", r, err, due())
		}
		if _, err := w.seal(w.grant(paper("after", 1000))); err != nil || due() != 0 {
			t.Error(err, due())
		}
		if slices.ContainsFunc(upon, func(h crypto.Hash) bool { return h != crypto.SHA384 }) || len(upon) < 3 {
			t.Errorf("stamps upon %v", upon)
		}
		w.neverTooMuch(grant)
	})
}

// F17: a document or a content whose bytes were changed on disk is neither sealed nor renewed.
func TestSpoiledBlobs(t *testing.T) {
	w := newLastingWorld(t, sqldbtest.SQLite(t), signing.LevelBLTA, "P-256")
	done := w.grant(paper("done", 1000))
	r, err := w.seal(done)
	if err != nil {
		t.Fatal(err)
	}
	waiting := w.grant(paper("waiting", 1000))
	w.blobs.spoil = func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	calls := w.key.calls.Load()
	if got, err := w.seal(waiting); err == nil || got.Stage != signing.Prepared || w.key.calls.Load() != calls {
		t.Errorf("%+v, %v, %d calls", got, err, w.key.calls.Load()-calls)
	}
	w.tsa.Unit = w.pki.Next
	w.clock.Add(w.pki.TSA.Cert.NotAfter.Sub(w.clock.Now()) - 24*time.Hour)
	if got, err := w.Renew(ctx, here, done, func(*sqldb.Tx, signing.Receipt) error { return nil }); err == nil || got.Document != r.Document {
		t.Errorf("%+v, %v", got, err)
	}
}

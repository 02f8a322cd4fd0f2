package seal

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/cms"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/verify"
)

var levels = []string{signing.LevelBB, signing.LevelBT}

func TestSeal(t *testing.T) {
	identities := map[string]signingtest.Identity{"RSA": signingtest.Shared().RSA, "P-256": signingtest.Shared().P256, "P-384": signingtest.Shared().P384}
	each(t, func(t *testing.T, db *sqldb.DB) {
		for name, id := range identities {
			for _, level := range levels {
				t.Run(name+" "+level, func(t *testing.T) {
					w := newWorld(t, db, level, id)
					grant := w.grant(paper(t.Name(), 2000))
					r, err := w.seal(grant)
					if err != nil {
						t.Fatal(err)
					}
					file := w.finished(grant, r)
					if calls := w.key.calls.Load(); calls != 1 {
						t.Errorf("%d calls", calls)
					}
					if r.Level != level || r.Signer != id.Cert.Subject.CommonName || !r.SignedAt.Equal(signingtest.Now) || r.Specimen {
						t.Errorf("%+v", r)
					}
					if r.StampedAt.IsZero() != (level == signing.LevelBB) {
						t.Errorf("stamped at %v", r.StampedAt)
					}
					if n, _ := w.recorded(grant, signing.Signed); n != 1 {
						t.Errorf("Signed was recorded %d times", n)
					}
					popplerAgrees(t, file)
					again, err := w.seal(grant)
					if err != nil || again != r || w.key.calls.Load() != 1 {
						t.Errorf("again: %+v, %v", again, err)
					}
					entries, err := w.audit.List(ctx, here, "order "+grant)
					var actions []string
					for _, e := range entries {
						actions = append(actions, e.Action)
					}
					if got := strings.Join(actions, " "); err != nil || got != "seal.granted seal.attempted seal.signed seal.finished" {
						t.Errorf("audit: %s, %v", got, err)
					}
				})
			}
		}
	})
}

// popplerAgrees asks a program of others.
func popplerAgrees(t *testing.T, file []byte) {
	t.Helper()
	tool, err := exec.LookPath("pdfsig")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("pdfsig (poppler-utils) is not installed")
		}
		return
	}
	path := filepath.Join(t.TempDir(), "sealed.pdf")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command(tool, "-nocert", path).CombinedOutput() // its exit code speaks of trust
	for _, want := range []string{"Signature is Valid", "Total document signed", "ETSI.CAdES.detached"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("pdfsig does not say %q:\n%s", want, out)
		}
	}
}

// What may break, one at a time: each step fails before it is done, and, worse,
// after it is done. Then the process starts again and all is well.
func TestEveryFault(t *testing.T) {
	type outage struct {
		name  string
		begin func(w *world)
	}
	var outages []outage
	for n, step := range []string{"", "attempt", "signed", "finished"} {
		if n == 0 {
			continue
		}
		outages = append(outages,
			outage{step + " not committed", func(w *world) { w.failWrite(n, false) }},
			outage{step + " committed, then failed", func(w *world) { w.failWrite(n, true) }})
	}
	outages = append(outages,
		outage{"key gone", func(w *world) { w.key.set(func(k *countingKey) { k.before = func() error { return errOutage } }) }},
		outage{"key signs, answer lost", func(w *world) { w.key.set(func(k *countingKey) { k.after = func() error { return errOutage } }) }},
		outage{"key panics", func(w *world) { w.key.set(func(k *countingKey) { k.before = func() error { panic("module") } }) }},
		outage{"key signs something else", func(w *world) { w.key.set(func(k *countingKey) { k.wrong = true }) }},
		outage{"key hangs", func(w *world) {
			w.Sealer.KeyTimeout = 30 * time.Millisecond
			w.key.set(func(k *countingKey) { k.delay = 300 * time.Millisecond })
		}},
		outage{"authority silent", func(w *world) { w.silence(true) }},
		outage{"blob not kept", func(w *world) { w.blobs.before = errOutage }},
		outage{"blob kept, then failed", func(w *world) { w.blobs.after = errOutage }},
	)
	for _, level := range levels {
		for _, o := range outages {
			t.Run(level+"/"+o.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, sqldbtest.SQLite(t), level, signingtest.Shared().P256)
				grant := w.grant(paper(t.Name(), 1000))
				o.begin(w)
				r, err := w.seal(grant)
				if o.name == "authority silent" && level == signing.LevelBB {
					if err != nil {
						t.Fatal(err)
					}
				} else if err == nil {
					t.Fatal("nothing failed")
				} else if r.Stage == signing.Finished {
					t.Errorf("%v, with receipt %+v", err, r)
				}
				w.neverTooMuch(grant)
				calls := w.key.calls.Load()

				w.key.set(nil)
				w.silence(false)
				w.blobs.before, w.blobs.after = nil, nil
				w.restart()
				r, err = w.seal(grant)
				if err != nil {
					t.Fatal(err)
				}
				w.finished(grant, r)
				// With the signature kept, nothing is worth another call.
				for _, late := range []string{"signed committed, then failed", "authority", "blob", "finished"} {
					if strings.HasPrefix(o.name, late) && w.key.calls.Load() != calls {
						t.Errorf("the key was called again")
					}
				}
			})
		}
	}
}

// failWrite makes the nth write fail, before or after it is committed.
func (w *world) failWrite(n int, commit bool) {
	count := 0
	write := w.Sealer.write
	w.Sealer.write = func(ctx context.Context, f func(*sqldb.Tx) error) error {
		if count++; count != n {
			return write(ctx, f)
		}
		if commit {
			if err := write(ctx, f); err != nil {
				return err
			}
		}
		return errOutage
	}
}

func TestASilentAuthorityCostsNoCallOfTheKey(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, signing.LevelBT, signingtest.Shared().P384)
		grant := w.grant(paper(t.Name(), 1000))
		w.silence(true)
		for range 3 {
			r, err := w.seal(grant)
			if fault.KindOf(err) != fault.Unreachable || r.Stage != signing.Signed || !r.Document.IsZero() {
				t.Fatalf("%+v, %v", r, err)
			}
			w.neverTooMuch(grant)
			w.restart()
			w.clock.Add(time.Hour)
		}
		w.silence(false)
		w.tsa.Clock = w.clock.Now
		r, err := w.seal(grant)
		if err != nil {
			t.Fatal(err)
		}
		w.finished(grant, r)
		if calls := w.key.calls.Load(); calls != 1 {
			t.Errorf("%d calls", calls)
		}
		if !r.SignedAt.Equal(signingtest.Now) || !r.StampedAt.Equal(w.clock.Now()) {
			t.Errorf("signed %v, stamped %v", r.SignedAt, r.StampedAt)
		}
	})
}

// A key changed while a signature waits for its stamp: the signature stays the
// old key's.
func TestTheKeyIsChangedBeforeTheStamp(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBT, signingtest.Shared().P256)
	grant := w.grant(paper(t.Name(), 1000))
	w.silence(true)
	w.seal(grant)
	w.silence(false)
	old := w.cfg.Keys
	next := signingtest.Shared().RSA
	w.cfg.Keys = oneKey(signing.LevelBT, next.Key, next.Chain)
	w.restart()
	r, err := w.seal(grant)
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Keys = old
	w.finished(grant, r)
	if r.Signer != signingtest.Shared().P256.Cert.Subject.CommonName {
		t.Errorf("signer %q", r.Signer)
	}
}

// A certificate that ends while a signature waits: what would not verify is made
// void, and sealed again once there is another certificate.
func TestTheCertificateEndsBeforeTheDocument(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBB, signingtest.Shared().P256)
	grant := w.grant(paper(t.Name(), 1000))
	w.failWrite(3, false)
	if r, err := w.seal(grant); !errors.Is(err, errOutage) || r.Stage != signing.Signed {
		t.Fatalf("%+v, %v", r, err)
	}
	w.restart()
	w.clock.Add(51 * 365 * 24 * time.Hour)
	if r, err := w.seal(grant); fault.KeyOf(err) != "seal.not_valid" || r.Stage != signing.Prepared || !strings.Contains(err.Error(), "expired") {
		t.Fatalf("%+v, %v", r, err)
	}
	w.neverTooMuch(grant)
	if r, err := w.seal(grant); fault.KeyOf(err) != "pades.certificate_unusable" || r.Stage != signing.Prepared {
		t.Fatalf("%+v, %v", r, err)
	}
	w.clock.Add(-50 * 365 * 24 * time.Hour) // in place of a new certificate; and no entry of the future
	w.restart()
	if _, err := w.seal(grant); fault.KeyOf(err) != "seal.clock" {
		t.Fatal(err)
	}
	renewed := signingtest.Issue("Renewed", &signingtest.Shared().CA, signingtest.Shared().P256.Key, func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageContentCommitment
		c.NotBefore, c.NotAfter = signingtest.Now, signingtest.Now.AddDate(60, 0, 0)
	})
	w.cfg.Keys = oneKey(signing.LevelBB, w.key, []*x509.Certificate{renewed.Cert})
	w.clock.Add(50 * 365 * 24 * time.Hour)
	w.restart()
	r, err := w.seal(grant)
	if err != nil || r.Signer != "Renewed" {
		t.Fatalf("%+v, %v", r, err)
	}
	if calls := w.key.calls.Load(); calls != 2 {
		t.Errorf("%d calls", calls)
	}
	w.neverTooMuch(grant)
}

func TestAStrangerIsNotFooled(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBT, signingtest.Shared().P256)
	content := paper(t.Name(), 1000)
	r, err := w.seal(w.grant(content))
	if err != nil {
		t.Fatal(err)
	}
	file, err := w.blobs.Read(ctx, here, r.Document)
	if err != nil {
		t.Fatal(err)
	}
	signed, _, err := cms.Parse(contentsOf(t, file))
	if err != nil {
		t.Fatal(err)
	}
	good := finishedFile{content: blob.Sum(content), size: int64(len(content)), chain: signingtest.Shared().P256.Chain, level: signing.LevelBT, stamp: signed.Stamp, sealed: int64(len(file))}
	if err := readAsStranger(inStore(file), good, w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(f []byte, want *finishedFile) []byte{
		"nothing signed":      func(f []byte, want *finishedFile) []byte { return content },
		"other content":       func(f []byte, want *finishedFile) []byte { want.content = blob.Sum([]byte("x")); return f },
		"a byte changed":      func(f []byte, want *finishedFile) []byte { f[len(f)-40] ^= 1; return f },
		"something behind":    func(f []byte, want *finishedFile) []byte { return append(f, "\n%%EOF\n"...) },
		"cut":                 func(f []byte, want *finishedFile) []byte { return f[:len(f)-10] },
		"shorter than it was": func(f []byte, want *finishedFile) []byte { return f[:100] },
		"another level":       func(f []byte, want *finishedFile) []byte { want.level, want.stamp = signing.LevelBB, nil; return f },
		"another certificate": func(f []byte, want *finishedFile) []byte { want.chain = signingtest.Shared().RSA.Chain; return f },
		"nonsense as a stamp": func(f []byte, want *finishedFile) []byte { want.stamp = []byte("x"); return f },
	} {
		want := good
		if err := readAsStranger(inStore(spoil(bytes.Clone(file), &want)), want, w.clock.Now()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// stamper answers the same to everybody.
type stamper signing.Stamp

func (s stamper) Stamp(context.Context, signing.Imprint) (signing.Stamp, error) {
	return signing.Stamp(s), nil
}

// A Stamper that breaks its own promise does not get a document out.
func TestAStamperThatLies(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBT, signingtest.Shared().P256)
	honest, err := w.cfg.Stamper.Stamp(ctx, signing.ImprintOf(crypto.SHA256, []byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	for name, lie := range map[string]signing.Stamp{"another signature's stamp": honest, "nothing": {}, "nonsense": {Token: []byte("x")}} {
		grant := w.grant(paper(t.Name()+name, 1000))
		w.cfg.Stamper = stamper(lie)
		w.restart()
		if r, err := w.seal(grant); fault.KeyOf(err) != "seal.not_valid" || r.Stage != signing.Prepared {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		w.cfg.Stamper = nil
	}
}

// contentsOf is the signature in a file, padding and all.
func contentsOf(t *testing.T, file []byte) []byte {
	t.Helper()
	b := verify.File(bytes.NewReader(file), int64(len(file)), verify.Options{}).Signatures[0].ByteRange
	der, err := hex.DecodeString(string(file[b[1]+1 : b[2]-1]))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Several workers on the same grants, in one process and in several.
func TestManyWorkersOnOneGrant(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, signing.LevelBT, signingtest.Shared().P256)
		w.key.set(func(k *countingKey) { k.delay = 2 * time.Millisecond })
		processes := []*Sealer{w.Sealer}
		for range 2 {
			s, err := New(w.cfg)
			if err != nil {
				t.Fatal(err)
			}
			processes = append(processes, s)
		}
		var grants []string
		for i := range 5 {
			grants = append(grants, w.grant(paper(fmt.Sprint(t.Name(), i), 1000)))
		}
		var wg sync.WaitGroup
		for _, grant := range grants {
			for _, s := range processes {
				for range 2 {
					wg.Go(func() {
						if _, err := w.sealBy(s, grant); err != nil && fault.KindOf(err) != fault.Conflict {
							t.Error(err)
						}
					})
				}
			}
		}
		wg.Wait()
		attempts := 0
		for _, grant := range grants {
			r, err := w.seal(grant)
			if err != nil {
				t.Fatal(err)
			}
			w.key.set(nil)
			attempts += len(w.attempts(grant))
			g, err := w.store.Get(ctx, here, grant)
			if err != nil || g.Receipt != r || r.Stage != signing.Finished {
				t.Errorf("%+v, %v", r, err)
			}
			if n, d := w.recorded(grant, signing.Finished); n != 1 || d != r.Document {
				t.Errorf("recorded %d times", n)
			}
		}
		if calls := w.key.calls.Load(); calls != int64(attempts) {
			t.Errorf("%d calls of the key, %d attempts", calls, attempts)
		}
		if err := w.audit.Verify(ctx, here); err != nil {
			t.Error(err)
		}
		t.Logf("%d attempts for 5 grants and 30 workers", attempts)
	})
}

func TestGrantsAreNeeded(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBB, signingtest.Shared().P256)
	if _, err := w.seal("none"); fault.KeyOf(err) != "seal.no_grant" {
		t.Errorf("no grant: %v", err)
	}
	good := signing.Grant{ID: "g", Commune: here, Kind: signing.Approval, Reference: "o", Content: blob.Sum([]byte("x")), By: "claire", At: signingtest.Now}
	for name, spoil := range map[string]func(*signing.Grant){
		"no content":     func(g *signing.Grant) { g.Content = blob.Digest{} },
		"nobody":         func(g *signing.Grant) { g.By = "" },
		"no time":        func(g *signing.Grant) { g.At = time.Time{} },
		"other commune":  func(g *signing.Grant) { g.Commune = "zandvoorde" },
		"other kind":     func(g *signing.Grant) { g.Kind = signing.Operator },
		"no reference":   func(g *signing.Grant) { g.Reference = "" },
		"no identifier":  func(g *signing.Grant) { g.ID = "" },
		"a foreign kind": func(g *signing.Grant) { g.Kind = "whim" },
	} {
		g := good
		spoil(&g)
		if err := w.db.Write(ctx, func(tx *sqldb.Tx) error { return w.Grant(tx, g) }); err == nil {
			t.Errorf("%s: granted", name)
		}
	}
	for i := range 2 {
		err := w.db.Write(ctx, func(tx *sqldb.Tx) error { return w.Grant(tx, good) })
		if (i == 0) != (err == nil) || (i == 1 && !sqldb.IsUnique(err)) {
			t.Errorf("grant %d: %v", i, err)
		}
	}
	if _, err := w.seal("g"); !errors.Is(err, blob.ErrMissing) || w.key.calls.Load() != 0 {
		t.Errorf("a content nobody has: %v, %d calls", err, w.key.calls.Load())
	}
}

func TestRecordCanRefuse(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBB, signingtest.Shared().P256)
	grant := w.grant(paper(t.Name(), 1000))
	no := errors.New("the order was cancelled")
	for _, stage := range []signing.Stage{signing.Signed, signing.Finished} {
		r, err := w.Seal(ctx, here, grant, func(tx *sqldb.Tx, r signing.Receipt) error {
			if r.Stage == stage {
				return no
			}
			return nil
		})
		if !errors.Is(err, no) || r.Stage == signing.Finished {
			t.Errorf("%s: %+v, %v", stage, r, err)
		}
		w.neverTooMuch(grant)
	}
	r, err := w.seal(grant)
	if err != nil {
		t.Fatal(err)
	}
	w.finished(grant, r)
}

func TestTheClockMustNotRunBehind(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBB, signingtest.Shared().P256)
	grant := w.grant(paper(t.Name(), 1000))
	for _, back := range []time.Duration{-10 * time.Minute, -24 * time.Hour, -60 * 365 * 24 * time.Hour} {
		w.clock.Add(back)
		if _, err := w.seal(grant); fault.KeyOf(err) != "seal.clock" {
			t.Errorf("%v: %v", back, err)
		}
		w.clock.Add(-back)
	}
	if w.key.calls.Load() != 0 {
		t.Error("the key was called")
	}
	w.clock.Add(-time.Minute) // several machines do not agree to the second
	if r, err := w.seal(grant); err != nil || r.Stage != signing.Finished {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhatDoesNotFitIsGivenUp(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBB, signingtest.Shared().P256)
	grant := w.grant(paper(t.Name(), 1000))
	w.key.set(func(k *countingKey) { k.wrong = true })
	for range uselessMax {
		if _, err := w.seal(grant); fault.KeyOf(err) != "seal.not_valid" {
			t.Fatal(err)
		}
		w.clock.Add(restMax) // such a key is left alone, too
	}
	if _, err := w.seal(grant); fault.KeyOf(err) != "seal.given_up" || w.key.calls.Load() != uselessMax {
		t.Errorf("%v after %d calls", err, w.key.calls.Load())
	}
	w.neverTooMuch(grant)
}

// A token may be away for hours: no order is given up for it, few attempts are spent, and
// the next answer is taken.
func TestAKeyThatIsAway(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBB, signingtest.Shared().P256)
	grants := []string{w.grant(paper("1", 1000)), w.grant(paper("2", 1000)), w.grant(paper("3", 1000))}
	w.key.set(func(k *countingKey) { k.before = func() error { return errOutage } })
	const minutes = 6 * 60
	for range minutes * 4 {
		for _, grant := range grants {
			if _, err := w.seal(grant); fault.KeyOf(err) != "seal.key_silent" || fault.KindOf(err) != fault.Unreachable {
				t.Fatal(err)
			}
		}
		w.clock.Add(15 * time.Second)
	}
	if n := w.key.calls.Load(); n > minutes+10 {
		t.Errorf("%d calls of a key that was away for %d minutes", n, minutes)
	}
	w.key.set(nil)
	w.clock.Add(restMax)
	attempts := 0
	for _, grant := range grants {
		if r, err := w.seal(grant); err != nil || r.Stage != signing.Finished {
			t.Errorf("%+v, %v", r, err)
		}
		attempts += len(w.attempts(grant))
	}
	if n := w.key.calls.Load(); int(n) != attempts {
		t.Errorf("%d calls of the key, %d attempts", n, attempts)
	}
}

// A key that says that it is not ready costs no attempt.
func TestAKeyThatIsNotReady(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBB, signingtest.Shared().P256)
	key := &unreadyKey{Signer: w.key, err: errOutage}
	w.cfg.Keys = oneKey(signing.LevelBB, key, signingtest.Shared().P256.Chain)
	w.restart()
	grant := w.grant(paper(t.Name(), 1000))
	for range 10 {
		if _, err := w.seal(grant); fault.KindOf(err) != fault.Unreachable {
			t.Fatal(err)
		}
	}
	if n := len(w.attempts(grant)); n != 0 {
		t.Errorf("%d attempts", n)
	}
	key.err = nil
	if r, err := w.seal(grant); err != nil || r.Stage != signing.Finished {
		t.Errorf("%+v, %v", r, err)
	}
}

type unreadyKey struct {
	crypto.Signer
	err error
}

func (k *unreadyKey) Ready() error { return k.err }

func TestAHangingKeyIsNotCrowded(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBB, signingtest.Shared().P256)
	release := make(chan struct{})
	w.Sealer.KeyTimeout = 50 * time.Millisecond
	w.key.set(func(k *countingKey) { k.before = func() error { <-release; return errOutage } })
	var wg sync.WaitGroup
	for i := range 3 * callsMax {
		grant := w.grant(paper(fmt.Sprint(i), 1000))
		wg.Go(func() {
			if _, err := w.seal(grant); fault.KindOf(err) != fault.Unreachable {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := w.key.calls.Load(); n == 0 || n > callsMax {
		t.Errorf("%d calls of a key that hangs", n)
	}
	close(release)
}

func TestSettings(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBT, signingtest.Shared().P256)
	other, own := signingtest.Shared().RSA, signingtest.Shared().P256.Chain
	for name, spoil := range map[string]func(*Config){
		"another level":       func(c *Config) { c.Keys = oneKey("B-X", w.key, own) },
		"no authority":        func(c *Config) { c.Stamper = nil },
		"another certificate": func(c *Config) { c.Keys = oneKey(signing.LevelBT, w.key, other.Chain) },
		"no certificate":      func(c *Config) { c.Keys = oneKey(signing.LevelBT, w.key, nil) },
		"another's chain": func(c *Config) {
			c.Keys = oneKey(signing.LevelBT, w.key, []*x509.Certificate{own[0], other.Cert})
		},
		"no key":                       func(c *Config) { c.Keys = oneKey(signing.LevelBT, nil, other.Chain) },
		"no token":                     func(c *Config) { c.Keys = map[commune.ID]Key{here: {Kind: signing.Approval, Level: signing.LevelBT}} },
		"PSS without RSA":              func(c *Config) { k := oneKey(signing.LevelBT, w.key, own); k[here].Tokens[0].PSS = true; c.Keys = k },
		"nobody to prove certificates": func(c *Config) { c.Keys = oneKey(signing.LevelBLT, w.key, own) },
		"no kind": func(c *Config) {
			k := oneKey(signing.LevelBT, w.key, own)[here]
			k.Kind = ""
			c.Keys = map[commune.ID]Key{here: k}
		},
	} {
		cfg := w.cfg
		spoil(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

package deferred

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/testcerts"
	"github.com/belfry-eid/belfry/testcerts/responder"
)

var ctx = context.Background()

const (
	here  = commune.ID("beaumarais")
	there = commune.ID("zandvoorde")
)

type world struct {
	*Service
	t       testing.TB
	pki     *testcerts.World
	clock   *clock.Hand
	dir     string
	content blob.Digest
	bytes   []byte
}

func newWorld(t testing.TB, db *sqldb.DB) *world {
	t.Helper()
	w := &world{t: t, pki: testcerts.New(t), clock: clock.NewHand(time.Now()), dir: t.TempDir(), bytes: pdftest.Build(pdftest.Table, pdftest.Plain())}
	authority, err := trust.New(trust.Config{Roots: w.pki.Roots(), Intermediates: w.pki.Intermediates(), Hosts: w.pki.Hosts()})
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.NewDir(filepath.Join(w.dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.New(db, filepath.Join(w.dir, "heads"))
	if err != nil {
		t.Fatal(err)
	}
	if w.Service, err = New(ctx, Config{DB: db, Blobs: blobs, Audit: log, Clock: w.clock.Now, Authority: authority}); err != nil {
		t.Fatal(err)
	}
	if w.content, err = blobs.Put(ctx, here, w.bytes); err != nil {
		t.Fatal(err)
	}
	return w
}

func number(t testing.TB, c *testcerts.Card) eid.NationalNumber {
	t.Helper()
	n, err := eid.ParseNationalNumber(c.Number)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *world) request(c *testcerts.Card) signing.SignatureRequest {
	return signing.SignatureRequest{Commune: here, Reference: "order-1", Content: w.content, By: "clerk-1", Number: number(w.t, c), Certificate: c.Signature.Raw}
}

// sign has a card sign, as it would in a reader elsewhere.
func (w *world) sign(c *testcerts.Card, function string, hash []byte) []byte {
	w.t.Helper()
	inserted, err := card.Find(w.pki.Module(), c.Serial)
	if err != nil {
		w.t.Fatal(err)
	}
	made, err := inserted.Sign(map[string]crypto.Hash{"SHA-256": crypto.SHA256, "SHA-384": crypto.SHA384}[function], hash, p11.ParsePIN(c.PIN))
	if err != nil {
		w.t.Fatal(err)
	}
	return made.Value
}

// answered is a request and the card's answer to it.
func (w *world) answered(c *testcerts.Card) signing.SignatureAnswer {
	w.t.Helper()
	q := w.request(c)
	p, err := w.Prepare(ctx, q)
	if err != nil {
		w.t.Fatal(err)
	}
	return signing.SignatureAnswer{Commune: here, ID: p.ID, Reference: q.Reference, Content: q.Content, By: q.By, Signature: w.sign(c, p.HashFunction, p.Hash)}
}

func nothing(*sqldb.Tx, signing.PersonalSignature) error { return nil }

func never(t testing.TB) func(*sqldb.Tx, signing.PersonalSignature) error {
	return func(*sqldb.Tx, signing.PersonalSignature) error {
		t.Error("a refused answer was recorded")
		return nil
	}
}

// Both kinds of card, citizens and foreigners, on both databases: the file begins with
// what was seen, and others' programs accept the signature.
func TestACardSignsElsewhere(t *testing.T) {
	for engine, open := range sqldbtest.Engines(t) {
		t.Run(engine, func(t *testing.T) {
			w := newWorld(t, open(t))
			old, err := w.pki.MakeCard(testcerts.CardSpec{Person: w.pki.Citizen("luc").Person, Kind: testcerts.Old, PIN: "7531"})
			if err != nil {
				t.Fatal(err)
			}
			for name, c := range map[string]*testcerts.Card{"citizen": w.pki.Citizen("claire"), "foreigner": w.pki.Citizen("amina"), "card of before 2021": old} {
				t.Run(name, func(t *testing.T) {
					recorded := 0
					made, err := w.Finish(ctx, w.answered(c), func(_ *sqldb.Tx, s signing.PersonalSignature) error { recorded++; return nil })
					if err != nil || recorded != 1 {
						t.Fatalf("%v, recorded %d times", err, recorded)
					}
					file, err := w.Blobs.Read(ctx, here, made.Document)
					if err != nil || !bytes.HasPrefix(file, w.bytes) {
						t.Fatalf("the file does not begin with the content: %v", err)
					}
					if made.Signer != c.FullName() || strings.Contains(made.Signer, c.Number) {
						t.Error("the signer is not called by their name alone")
					}
					w.othersAccept(t, file)
				})
			}
		})
	}
}

// byteRange is that of a file's only signature.
var byteRange = regexp.MustCompile(`/ByteRange\s*\[0 +(\d+) +(\d+) +(\d+)`)

// othersAccept shows a signed file to pdfsig, and the signature in it to OpenSSL.
func (w *world) othersAccept(t *testing.T, file []byte) {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var n [3]int
	for i, text := range byteRange.FindSubmatch(file)[1:] {
		n[i], _ = strconv.Atoi(string(text))
	}
	if n[1]+n[2] != len(file) {
		t.Fatalf("the byte range is %v of %d", n, len(file))
	}
	der, err := hex.DecodeString(string(file[n[0]+1 : n[1]-1]))
	if err != nil {
		t.Fatal(err)
	}
	var roots []byte
	for _, r := range w.pki.Roots() {
		roots = append(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Raw})...)
	}
	root := put("root.pem", roots)
	covered := append(bytes.Clone(file[:n[0]]), file[n[1]:]...)
	run := func(want []string, command ...string) {
		t.Helper()
		if _, err := exec.LookPath(command[0]); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed", command[0])
			}
			t.Skipf("%s is not installed", command[0])
		}
		out, _ := exec.Command(command[0], command[1:]...).CombinedOutput()
		for _, text := range want {
			if !strings.Contains(string(out), text) {
				t.Errorf("%s does not say %q", command[0], text) // what it says instead may hold the number
			}
		}
	}
	run([]string{"Signature is Valid", "Total document signed"}, "pdfsig", "-nocert", put("signed.pdf", file))
	run([]string{"Verification successful"}, "openssl", "cms", "-verify", "-cades", "-inform", "DER", "-in", put("cms", der),
		"-content", put("covered", covered), "-binary", "-CAfile", root, "-purpose", "any", "-out", os.DevNull)
}

// Everything that may not be prepared.
func TestPrepareRefuses(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	claire := w.pki.Citizen("claire")
	for name, test := range map[string]struct {
		change func(*signing.SignatureRequest)
		before func()
		want   error
	}{
		"another person's card":                 {change: func(q *signing.SignatureRequest) { q.Number = number(t, w.pki.Citizen("luc")) }, want: ErrOtherPerson},
		"the card's certificate for signing in": {change: func(q *signing.SignatureRequest) { q.Certificate = claire.Authentication.Raw }, want: trust.ErrWrongUse},
		"a CA's certificate":                    {change: func(q *signing.SignatureRequest) { q.Certificate = claire.CA.Raw }, want: trust.ErrWrongUse},
		"no certificate":                        {change: func(q *signing.SignatureRequest) { q.Certificate = []byte("junk") }, want: trust.ErrMalformed},
		"a commune's seal":                      {change: func(q *signing.SignatureRequest) { q.Certificate = w.pki.DefaultSeal("beaumarais").Certificate.Raw }, want: trust.ErrWrongUse},
		"a revoked card":                        {change: of(t, w, "marc"), want: trust.ErrRevoked},
		"an expired card":                       {change: of(t, w, "greta"), want: trust.ErrExpired},
		"a card nobody knows":                   {change: of(t, w, "nina"), want: trust.ErrUnknownCA},
		"responder down": {before: func() {
			for _, s := range []responder.Service{responder.OCSP, responder.CRL} {
				if err := w.pki.Responder.Set(s, responder.Gone); err != nil {
					t.Fatal(err)
				}
			}
		}, want: trust.ErrResponderDown},
	} {
		t.Run(name, func(t *testing.T) {
			defer w.pki.Responder.Reset()
			if test.before != nil {
				test.before()
			}
			q := w.request(claire)
			if test.change != nil {
				test.change(&q)
			}
			if _, err := w.Prepare(ctx, q); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			} else if strings.Contains(err.Error(), claire.Number) {
				t.Error("the refusal names the national number")
			}
		})
	}
	q := w.request(claire)
	q.Commune = there
	if _, err := w.Prepare(ctx, q); err == nil {
		t.Error("a commune signs another's content")
	}
}

func of(t *testing.T, w *world, name string) func(*signing.SignatureRequest) {
	return func(q *signing.SignatureRequest) {
		c := w.pki.Citizen(name)
		q.Certificate, q.Number = c.Signature.Raw, number(t, c)
	}
}

// An answer is good for what it was asked for, and for nothing else.
func TestFinishRefuses(t *testing.T) {
	for engine, open := range sqldbtest.Engines(t) {
		t.Run(engine, func(t *testing.T) {
			w := newWorld(t, open(t))
			claire, luc := w.pki.Citizen("claire"), w.pki.Citizen("luc")
			for name, test := range map[string]struct {
				change func(*signing.SignatureAnswer)
				want   error
			}{
				"another clerk":   {func(a *signing.SignatureAnswer) { a.By = "clerk-2" }, ErrOtherRequest},
				"another order":   {func(a *signing.SignatureAnswer) { a.Reference = "order-2" }, ErrOtherRequest},
				"another content": {func(a *signing.SignatureAnswer) { a.Content = sha256.Sum256([]byte("x")) }, ErrOtherRequest},
				"another commune": {func(a *signing.SignatureAnswer) { a.Commune = there }, ErrUnknown},
				"unknown":         {func(a *signing.SignatureAnswer) { a.ID = "none" }, ErrUnknown},
				"another request's answer": {func(a *signing.SignatureAnswer) {
					w.clock.Add(time.Second) // another /M
					a.Signature = w.answered(claire).Signature
				}, ErrSignature},
				"another card's answer": {func(a *signing.SignatureAnswer) {
					a.Signature = w.sign(luc, "SHA-384", make([]byte, 48))
				}, ErrSignature},
				"too short":   {func(a *signing.SignatureAnswer) { a.Signature = a.Signature[1:] }, ErrSignature},
				"no answer":   {func(a *signing.SignatureAnswer) { a.Signature = nil }, ErrSignature},
				"all zero":    {func(a *signing.SignatureAnswer) { clear(a.Signature) }, ErrSignature},
				"too late":    {func(*signing.SignatureAnswer) { w.clock.Add(lifetime) }, ErrLate},
				"revoked now": {func(*signing.SignatureAnswer) { claire.Revoke(); t.Cleanup(claire.Unrevoke) }, trust.ErrRevoked},
			} {
				t.Run(name, func(t *testing.T) {
					a := w.answered(claire)
					defer claire.Unrevoke()
					test.change(&a)
					if _, err := w.Finish(ctx, a, never(t)); !errors.Is(err, test.want) {
						t.Errorf("%v, want %v", err, test.want)
					}
				})
			}
		})
	}
}

// Of many who bring one answer at once one is heard; a step that fails leaves the
// answer good; a request that came to nothing keeps no certificate.
func TestAnAnswerIsUsedOnce(t *testing.T) {
	for engine, open := range sqldbtest.Engines(t) {
		t.Run(engine, func(t *testing.T) {
			w := newWorld(t, open(t))
			claire := w.pki.Citizen("claire")
			a := w.answered(claire)
			broken := errors.New("the step fails")
			if _, err := w.Finish(ctx, a, func(*sqldb.Tx, signing.PersonalSignature) error { return broken }); !errors.Is(err, broken) {
				t.Fatal(err)
			}
			var mu sync.Mutex
			var wait sync.WaitGroup
			won, lost := 0, 0
			for range 6 {
				wait.Go(func() {
					_, err := w.Finish(ctx, a, nothing)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						won++
					case errors.Is(err, ErrUsed), errors.Is(err, ErrLate):
						lost++
					default:
						t.Error(err)
					}
				})
			}
			wait.Wait()
			if won != 1 || lost != 5 {
				t.Errorf("%d won, %d lost", won, lost)
			}
			if _, err := w.Finish(ctx, a, never(t)); !errors.Is(err, ErrUsed) {
				t.Errorf("a replay: %v", err)
			}
			w.answered(claire)
			w.clock.Add(lifetime + time.Minute)
			w.answered(claire)
			if err := w.Purge(ctx); err != nil {
				t.Fatal(err)
			}
			var kept int
			if err := w.DB.QueryRow(ctx, `SELECT COUNT(*) FROM deferred_signature WHERE prepared IS NOT NULL`).Scan(&kept); err != nil || kept != 1 {
				t.Errorf("%d certificates are kept, want that of the open request (%v)", kept, err)
			}
		})
	}
}

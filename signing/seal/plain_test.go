package seal

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/plain"
	"github.com/belfry-eid/belfry/signing/signingtest"
)

func TestMain(m *testing.M) {
	plain.RunIfChild() // the process that lays out a plain signature is this program
	os.Exit(m.Run())
}

// asked is a grant of an operator for a content.
func (w *world) asked(content []byte) string {
	w.t.Helper()
	d, err := w.blobs.Store.Put(ctx, here, content)
	if err != nil {
		w.t.Fatal(err)
	}
	id := uuid.Must(uuid.NewV7()).String()
	g := signing.Grant{ID: id, Commune: here, Kind: signing.Operator, Reference: "order " + id, Content: d, By: "operator", Reason: "a test", At: w.clock.Now()}
	if err := w.db.Write(ctx, func(tx *sqldb.Tx) error { return w.Grant(tx, g) }); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// operator turns the key of a world into an operator's.
func (w *world) operator(change func(*Key)) {
	k := w.cfg.Keys[here]
	k.Kind = signing.Operator
	change(&k)
	w.cfg.Keys[here] = k
	w.restart()
}

// A plain signature takes the way of every other: an attempt for each call of the key,
// an answer that is lost costs one more, and no other file comes out.
func TestPlainSeal(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, signing.LevelBB, signingtest.Shared().P256)
		w.operator(func(k *Key) { k.Level = signing.Plain })
		content := pdftest.Build(pdftest.Table, pdftest.Plain())
		grant := w.asked(content)
		w.key.set(func(k *countingKey) { k.after = func() error { return errOutage } })
		if _, err := w.seal(grant); fault.KindOf(err) != fault.Unreachable {
			t.Fatalf("the answer is lost: %v", err)
		}
		w.key.set(func(k *countingKey) { k.after = nil })
		w.restart()
		r, err := w.seal(grant)
		if err != nil {
			t.Fatal(err)
		}
		w.neverTooMuch(grant)
		file, err := w.blobs.Read(ctx, here, r.Document)
		if err != nil || !bytes.HasPrefix(file, content) || !bytes.Contains(file[len(content):], []byte("/adbe.pkcs7.detached")) {
			t.Errorf("no plain signature (%v)", err)
		}
		if calls, attempts := w.key.calls.Load(), len(w.attempts(grant)); calls != 2 || attempts != 2 || r.Level != signing.Plain || !r.StampedAt.IsZero() {
			t.Errorf("%d calls, %d attempts, %+v", calls, attempts, r)
		}
		refused := w.asked(pdftest.Build(pdftest.Table, pdftest.Fields()))
		if _, err := w.seal(refused); fault.KeyOf(err) != "plain.has_form" || w.key.calls.Load() != 2 || len(w.attempts(refused)) != 0 {
			t.Errorf("a form: %v, %d calls", err, w.key.calls.Load())
		}
	})
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBB, signingtest.Shared().P256)
	k := w.cfg.Keys[here]
	k.Level = signing.Plain
	w.cfg.Keys[here] = k
	if _, err := New(w.cfg); err == nil {
		t.Error("documents of orders may be sealed in the plain form")
	}
}

// A seal fills the field that the operator names, certifies unless the field wants
// otherwise, and is refused where an earlier signature locks it.
func TestSealIntoAField(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBT, signingtest.Shared().RSA)
	build := func(more string) []byte {
		o := pdftest.Fields()
		o[10] = strings.Replace(o[10], "/T(empty)", "/T(empty)"+more, 1)
		return pdftest.Build(pdftest.Table, o)
	}
	for _, c := range []struct {
		field, more, fault string
		certifies          bool
	}{
		{"empty", "", "", true},
		{pades.OnlyEmpty, "", "", true},
		{"empty", "/SV<</MDP<</P 0>>>>", "", false},
		{"empty", "/SV<</Ff 2/SubFilter[/adbe.pkcs7.sha1]>>", "pades.seed_value", false},
		{"other", "", "pades.no_such_field", false},
	} {
		w.operator(func(k *Key) { k.Field = c.field })
		calls := w.key.calls.Load()
		grant := w.asked(build(c.more))
		r, err := w.seal(grant)
		if fault.KeyOf(err) != c.fault && (err != nil || c.fault != "") {
			t.Errorf("%+v: %v", c, err)
		}
		if err != nil {
			if w.key.calls.Load() != calls {
				t.Errorf("%+v: the key was called", c)
			}
			continue
		}
		b, err := w.blobs.Read(ctx, here, r.Document)
		if err != nil {
			t.Fatal(err)
		}
		f, err := pdf.Bytes(b)
		if err != nil {
			t.Fatal(err)
		}
		list, err := f.Fields()
		if err != nil {
			t.Fatal(err)
		}
		signed := 0
		for _, field := range list {
			if field.Type == "Sig" && field.Value != nil {
				signed++
				if d, err := f.Dict(field.Value); field.Name != "empty" || err != nil || (d["Reference"] != nil) != c.certifies {
					t.Errorf("%+v: field %s, %v, %v", c, field.Name, d["Reference"], err)
				}
			}
		}
		if signed != 1 {
			t.Errorf("%+v: %d signed fields", c, signed)
		}
	}
}

package signingsql_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/signingsql"
)

var (
	ctx = context.Background()
	day = time.Date(2026, 11, 24, 10, 0, 0, 123456000, time.UTC)
)

const here, there = commune.ID("beaumarais"), commune.ID("zandvoorde")

type fixture struct {
	*signingsql.Store
	db *sqldb.DB
	t  *testing.T
}

func each(t *testing.T, f func(*testing.T, fixture)) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			s, err := signingsql.New(db)
			if err != nil {
				t.Fatal(err)
			}
			f(t, fixture{s, db, t})
		})
	}
}

func (f fixture) write(g func(*sqldb.Tx) error) error { return f.db.Write(ctx, g) }

func grant(id string) signing.Grant {
	return signing.Grant{ID: id, Commune: here, Kind: signing.Approval, Reference: "order of " + id, Content: blob.Sum([]byte(id)), By: "claire", Reason: "approved", At: day}
}

func (f fixture) grant(id string) {
	f.t.Helper()
	if err := f.write(func(tx *sqldb.Tx) error { return f.Grant(tx, grant(id)) }); err != nil {
		f.t.Fatal(err)
	}
}

func attempt(id string, n int) signingsql.Attempt {
	return signingsql.Attempt{Commune: here, Grant: id, N: n, Level: signing.LevelBT, SignedAt: day, Chain: []byte("chain"), Attributes: []byte{0, 255}, Prepared: []byte("prepared")}
}

func (f fixture) begin(id string, n int) error {
	return f.write(func(tx *sqldb.Tx) error { return f.Begin(tx, attempt(id, n)) })
}

var receipt = signing.Receipt{Stage: signing.Signed, SignedAt: day, Level: signing.LevelBT, Signer: "Beaumarais", Specimen: true}

func (f fixture) sign(id string, n int) error {
	return f.write(func(tx *sqldb.Tx) error { return f.Sign(tx, here, id, n, []byte("signature"), receipt) })
}

var document = blob.Sum([]byte("document"))

func (f fixture) finish(id string, n int) error {
	r := receipt
	r.Document, r.StampedAt = document, day.Add(time.Second)
	return f.write(func(tx *sqldb.Tx) error { return f.Finish(tx, here, id, n, r, signingsql.Proof{}) })
}

func (f fixture) void(id string, n int) error {
	return f.write(func(tx *sqldb.Tx) error { return f.MakeVoid(tx, here, id, n, "why") })
}

func (f fixture) states(id string) (states []string) {
	f.t.Helper()
	list, err := f.Attempts(ctx, here, id)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, a := range list {
		states = append(states, string(a.State))
	}
	return states
}

func TestTheWay(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		f.grant("g")
		if g, err := f.Get(ctx, here, "g"); err != nil || g.Grant != grant("g") || g.Attempts != 0 || g.Receipt.Stage != signing.Prepared {
			t.Fatalf("%+v, %v", g, err)
		}
		for i, step := range []func() error{
			func() error { return f.begin("g", 1) },
			func() error { return f.sign("g", 1) },
			func() error { return f.finish("g", 1) },
		} {
			if err := step(); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
			if err := step(); !errors.Is(err, signingsql.ErrSuperseded) {
				t.Errorf("step %d again: %v", i, err)
			}
		}
		want := receipt
		want.Grant, want.Stage, want.Document, want.StampedAt = "g", signing.Finished, document, day.Add(time.Second)
		if g, err := f.Get(ctx, here, "g"); err != nil || g.Receipt != want {
			t.Errorf("%+v, %v\nwant %+v", g.Receipt, err, want)
		}
		list, err := f.Attempts(ctx, here, "g")
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if a := list[0]; a.State != signingsql.Finished || string(a.Signature) != "signature" || string(a.Attributes) != "\x00\xff" || a.Prepared != nil || !a.SignedAt.Equal(day) || a.Level != signing.LevelBT {
			t.Errorf("%+v", a)
		}
		for _, late := range []func() error{func() error { return f.begin("g", 2) }, func() error { return f.void("g", 1) }} {
			if err := late(); !errors.Is(err, signingsql.ErrSuperseded) {
				t.Errorf("after the end: %v", err)
			}
		}
	})
}

func TestVoidAttempts(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		f.grant("g")
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(f.begin("g", 1))
		must(f.begin("g", 2)) // the first one's answer was lost
		if err := f.sign("g", 1); !errors.Is(err, signingsql.ErrSuperseded) {
			t.Errorf("a late answer: %v", err)
		}
		must(f.void("g", 2))
		must(f.begin("g", 3))
		must(f.sign("g", 3))
		if err := f.begin("g", 4); !errors.Is(err, signingsql.ErrSuperseded) {
			t.Errorf("a signed grant begun again: %v", err)
		}
		must(f.void("g", 3))
		must(f.begin("g", 4))
		must(f.sign("g", 4))
		must(f.finish("g", 4))
		if got := f.states("g"); !slices.Equal(got, []string{"void", "void", "void", "finished"}) {
			t.Error(got)
		}
	})
}

func TestOneGrantForAnOrder(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		f.grant("g")
		twice := grant("h")
		twice.Reference = grant("g").Reference
		if err := f.write(func(tx *sqldb.Tx) error { return f.Grant(tx, twice) }); !sqldb.IsUnique(err) {
			t.Errorf("a second approval: %v", err)
		}
		for i := range 2 { // an operator may seal a file of one name twice
			twice.ID, twice.Kind = fmt.Sprint("op", i), signing.Operator
			if err := f.write(func(tx *sqldb.Tx) error { return f.Grant(tx, twice) }); err != nil {
				t.Error(err)
			}
		}
		twice.ID, twice.Kind, twice.Commune = "g", signing.Approval, there
		if err := f.write(func(tx *sqldb.Tx) error { return f.Grant(tx, twice) }); err != nil {
			t.Errorf("another commune: %v", err)
		}
		if ids, err := f.Open(ctx, here, 10); err != nil || len(ids) != 3 {
			t.Error(ids, err)
		}
	})
}

func TestCommunesDoNotSeeEachOther(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		f.grant("g")
		if err := f.begin("g", 1); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Get(ctx, there, "g"); !errors.Is(err, signingsql.ErrMissing) {
			t.Errorf("Get: %v", err)
		}
		if list, err := f.Attempts(ctx, there, "g"); err != nil || len(list) != 0 {
			t.Errorf("Attempts: %v, %v", list, err)
		}
		if ids, err := f.Open(ctx, there, 10); err != nil || len(ids) != 0 {
			t.Errorf("Open: %v, %v", ids, err)
		}
		a := attempt("g", 2)
		a.Commune = there
		for name, step := range map[string]func(*sqldb.Tx) error{
			"Begin":    func(tx *sqldb.Tx) error { return f.Begin(tx, a) },
			"Sign":     func(tx *sqldb.Tx) error { return f.Sign(tx, there, "g", 1, nil, receipt) },
			"Finish":   func(tx *sqldb.Tx) error { return f.Finish(tx, there, "g", 1, receipt, signingsql.Proof{}) },
			"MakeVoid": func(tx *sqldb.Tx) error { return f.MakeVoid(tx, there, "g", 1, "") },
		} {
			if err := f.write(step); !errors.Is(err, signingsql.ErrSuperseded) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		f.grant("g")
		for i, step := range []func() error{
			func() error { return f.begin("g", 1) },
			func() error { return f.sign("g", 1) },
			func() error { return f.finish("g", 1) },
		} {
			var won atomic.Int32
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					switch err := step(); {
					case err == nil:
						won.Add(1)
					case !errors.Is(err, signingsql.ErrSuperseded):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Errorf("step %d was taken %d times", i, won.Load())
			}
		}
	})
}

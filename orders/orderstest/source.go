package orderstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/outside"
	"github.com/belfry-eid/belfry/orders/register"
)

// Source stands in for a register that gives sealed papers. The same request is answered
// by the same paper.
type Source struct {
	mu     sync.Mutex
	fail   error
	unseal error
	asked  []register.Question
	change func(*register.Sealed)
}

// Fail has every answer be err from now on, until it is nil.
func (s *Source) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// Unseal has every seal be found to be err from now on, until it is nil.
func (s *Source) Unseal(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unseal = err
}

// Change has each answer be changed before it is given, until f is nil.
func (s *Source) Change(f func(*register.Sealed)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change = f
}

// Asked lists the questions.
func (s *Source) Asked() []register.Question {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]register.Question(nil), s.asked...)
}

// Document implements register.Documents.
func (s *Source) Document(_ context.Context, q register.Question) (register.Sealed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q)
	if s.fail != nil {
		return register.Sealed{}, s.fail
	}
	a := register.Sealed{Reference: "RN/" + q.Request, IssuedOn: Noon.Truncate(24 * 3600e9), File: PDF(fmt.Sprintf("sealed %s %s for %s", q.Product, q.Language, q.Request))}
	if s.change != nil {
		s.change(&a)
	}
	return a, nil
}

// Seal is that of orders.Source.
func (s *Source) Seal(_ context.Context, file []byte) (orders.SourceSeal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unseal != nil {
		return orders.SourceSeal{}, s.unseal
	}
	return orders.SourceSeal{Signer: "The Register", Level: "B-T", SealedAt: Noon, Specimen: true}, nil
}

// PDF is a file that Files takes.
func PDF(text string) []byte { return []byte("%PDF-1.7\n" + text) }

// Files stands in for outside.Reader: a PDF is what begins as one, and a mark is JSON
// behind it.
type Files struct {
	mu   sync.Mutex
	fail error
	last outside.Mark
}

// Fail has every mark fail with err from now on, until it is nil.
func (f *Files) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

// Last is the mark that was drawn last.
func (f *Files) Last() outside.Mark {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// Check implements orders.PaperReader.
func (f *Files) Check(ctx context.Context, file []byte) (outside.Access, error) {
	if !bytes.HasPrefix(file, []byte("%PDF-")) {
		return outside.Access{}, fault.New(fault.Invalid, "outside.not_pdf", errors.New("no PDF"))
	}
	return f.Look(ctx, file)
}

// Look implements orders.PaperReader.
func (f *Files) Look(_ context.Context, file []byte) (outside.Access, error) {
	a := outside.Access{Pages: 1, Title: "A title", Tagged: !bytes.Contains(file, []byte("untagged"))}
	if bytes.Contains(file, []byte("in German")) {
		a.Language = "de-BE"
	}
	return a, nil
}

// Bind implements orders.PaperReader.
func (f *Files) Bind(_ context.Context, letters []outside.Letter) ([]byte, error) {
	all := []byte("%PDF-1.7 bound\n")
	for _, l := range letters {
		all = append(append(all, l.Sheet...), bytes.Repeat(l.Paper, l.Copies)...)
	}
	return all, nil
}

// Mark implements orders.PaperReader.
func (f *Files) Mark(_ context.Context, file []byte, m outside.Mark) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	f.last = m
	b, err := json.Marshal(m)
	return append(append([]byte(nil), file...), b...), err
}

// Goes has a commune come by its residence papers another way from now on.
func (w *World) Goes(t testing.TB, c commune.ID, way commune.Way) {
	t.Helper()
	w.set(t, c, func(p *commune.Product) { p.Way = way })
}

// set changes what a commune says about the residence paper, and leaves the rest of it.
func (w *World) set(t testing.TB, c commune.ID, change func(*commune.Product)) {
	t.Helper()
	of, ok := w.Communes.ByID(c)
	if !ok {
		t.Fatal(c)
	}
	p := of.Products["residence"]
	change(&p)
	of.Products = map[string]commune.Product{"residence": p}
}

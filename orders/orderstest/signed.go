package orderstest

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/signing"
)

// setting changes whether a commune's clerks sign with their own cards.
func (w *World) setting(t testing.TB, c commune.ID, s commune.ClerkSignature) {
	t.Helper()
	of, ok := w.Communes.ByID(c)
	if !ok {
		t.Fatal(c)
	}
	of.ClerkSignature = s
}

func certificate(c orders.Clerk) []byte { return []byte(c.Number.Reveal()) }

// signedByClerk: what is sealed is the content with the clerk's signature behind it.
func signedByClerk(t *testing.T, w *World) {
	s, o, clerk := w.Service, w.Prepared(t, A, 1), Clerk(1)
	_, err := s.PrepareSignature(ctx, A, o.ID, clerk, o.Paper.Content, certificate(clerk))
	wants(t, err, fault.Forbidden, "orders.signature_off")
	_, err = s.ApproveSigned(ctx, A, o.ID, clerk, o.Paper.Content, "request-1", nil)
	wants(t, err, fault.Forbidden, "orders.signature_off")
	w.setting(t, A, commune.RequiredClerkSignature)
	_, err = s.Approve(ctx, A, o.ID, clerk, o.Paper.Content)
	wants(t, err, fault.Conflict, "orders.signature_required")
	_, err = s.PrepareSignature(ctx, A, o.ID, clerk, o.Paper.Content, certificate(Clerk(2)))
	wants(t, err, fault.Forbidden, "deferred.other_person")
	_, err = s.PrepareSignature(ctx, A, o.ID, orders.Clerk{Subject: "x"}, o.Paper.Content, nil)
	wants(t, err, fault.Forbidden, "orders.signature_unknown_clerk")
	p, err := s.PrepareSignature(ctx, A, o.ID, clerk, o.Paper.Content, certificate(clerk))
	ok(t, err)
	_, err = s.ApproveSigned(ctx, A, o.ID, clerk, o.Paper.Content, p.ID, p.Hash)
	wants(t, err, fault.Invalid, "deferred.signature_wrong")
	_, err = s.ApproveSigned(ctx, A, o.ID, Clerk(2), o.Paper.Content, p.ID, Answer(p.Hash))
	wants(t, err, fault.Conflict, "delegation.other_signatory")
	if w.Get(t, A, o.ID).State != orders.InReview {
		t.Fatal("a refused signature has moved the order")
	}
	_, err = s.ApproveSigned(ctx, A, o.ID, clerk, o.Paper.Content, p.ID, Answer(p.Hash))
	ok(t, err)
	w.Work(t)
	o = w.Get(t, A, o.ID)
	if got := kinds(o.Events); got != "submitted in_review prepared clerk_signed approved signed issued notified" {
		t.Errorf("the events are %q", got)
	}
	f, err := s.Document(ctx, A, o.ID, o.Subject)
	ok(t, err)
	if !strings.Contains(string(f.Data), "signed by clerk-1\nsealed under") {
		t.Error("the seal is not upon the clerk's signature")
	}
}

// signedOnce: however many windows and clicks bring answers, one is heard.
func signedOnce(t *testing.T, w *World) {
	w.setting(t, A, commune.OptionalClerkSignature)
	o := w.Prepared(t, A, 1)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	heard := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			won++
		} else if fault.KindOf(err) != fault.Conflict {
			t.Errorf("the loser hears %v", err)
		}
	}
	var pending []signing.PendingSignature
	for range 6 { // windows
		p, err := w.Service.PrepareSignature(ctx, A, o.ID, Clerk(1), o.Paper.Content, certificate(Clerk(1)))
		ok(t, err)
		pending = append(pending, p)
	}
	for _, p := range pending {
		clerk := Clerk(1)
		for range 2 { // a double click
			wg.Go(func() {
				_, err := w.Service.ApproveSigned(ctx, A, o.ID, clerk, o.Paper.Content, p.ID, Answer(p.Hash))
				heard(err)
			})
		}
		wg.Go(func() {
			_, err := w.Service.Approve(ctx, A, o.ID, clerk, o.Paper.Content)
			heard(err)
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("approved %d times", won)
	}
}

// ready: what can be approved today, and nothing about the clerk.
func ready(t *testing.T, w *World) {
	first, second := w.Prepared(t, A, 1), w.Prepared(t, A, 2)
	w.Order(t, A, 3)
	w.Approved(t, A, 4)
	w.Prepared(t, B, 5)
	list := func(c orders.Clerk) (ids []string) {
		found, err := w.Service.Ready(ctx, A, c)
		ok(t, err)
		for _, o := range found {
			ids = append(ids, o.ID)
		}
		return ids
	}
	if got := list(Clerk(1)); len(got) != 2 || got[0] != first.ID || got[1] != second.ID {
		t.Errorf("ready are %v", got)
	}
	for name, own := range map[string]orders.Clerk{
		"same subject": {Subject: first.Subject}, "same number": {Subject: "staff-7", Number: Number(1)},
	} {
		own.Name = "Luc"
		w.Delegate(t, A, own)
		_, err := w.Service.PrepareFor(ctx, A, second.ID, Clerk(1), own.Subject, nil)
		ok(t, err)
		if _, err := w.Service.PrepareFor(ctx, A, first.ID, Clerk(1), own.Subject, nil); name == "same subject" {
			wants(t, err, fault.Conflict, "delegation.not_theirs")
		} else {
			ok(t, err)
		}
		if got := list(own); len(got) != 1 || got[0] != second.ID {
			t.Errorf("%s: ready are %v", name, got)
		}
	}
	if got := list(orders.Clerk{}); len(got) != 0 {
		t.Errorf("to nobody are ready %v", got)
	}
	w.Clock.Add(13 * time.Hour)
	if got := list(Clerk(1)); len(got) != 0 {
		t.Errorf("on the next day are ready %v", got)
	}
}

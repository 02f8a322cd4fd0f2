package portal_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/orders/orderstest"
)

// A person takes a proof of their order away; nobody else does, and an address that is
// opened makes none.
func TestProofOfAnOrder(t *testing.T) {
	w := newWorld(t)
	o := w.Order(t, orderstest.A, 1)
	b, _ := w.citizen(orderstest.A, 1)
	at := "/fr/orders/" + o.ID
	page := b.get(at)
	if !strings.Contains(page.body, `action="`+at+`/proof"`) || !strings.Contains(text(page.doc), "Il porte un cachet électronique de la commune.") {
		t.Error("the page does not offer it")
	}
	if to := b.get(at + "/proof").to(t); to != at || w.Proofs.KeyUsed() != 0 {
		t.Errorf("opened, it leads to %s and has called the key %d times", to, w.Proofs.KeyUsed())
	}
	a := b.post(at+"/proof", nil)
	if a.status != 200 || a.header.Get("Content-Type") != "application/pdf" || a.header.Get("Cache-Control") != "no-store" ||
		a.header.Get("Content-Disposition") != `attachment; filename=beaumarais-`+o.Reference+`.pdf` || !strings.Contains(a.body, "sealed under") {
		t.Errorf("%d %v", a.status, a.header)
	}
	w.Proofs.None(true)
	if said := text(b.get(at).doc); strings.Contains(said, "Il porte un cachet") {
		t.Error("without a key the page promises a seal")
	}
	w.Proofs.None(false)
	w.Proofs.Silence(true)
	late := w.Order(t, orderstest.A, 1)
	if a := b.post("/fr/orders/"+late.ID+"/proof", nil); a.status != 503 || !strings.Contains(a.body, `href="/fr/orders/`+late.ID+`"`) {
		t.Errorf("while nobody stamps: %d %s", a.status, text(a.doc))
	}
	stranger, _ := w.citizen(orderstest.A, 2)
	if a := stranger.post(at+"/proof", url.Values{}); a.status != 404 {
		t.Errorf("somebody else: %d", a.status)
	}
}

// Proofs are not made without end: each is set in type, and may call a key.
func TestProofsAreCounted(t *testing.T) {
	w := newWorld(t)
	o := w.Order(t, orderstest.A, 1)
	b, _ := w.citizen(orderstest.A, 1)
	at := "/fr/orders/" + o.ID + "/proof"
	heard := map[int]int{}
	for range 25 {
		heard[b.post(at, nil).status]++
	}
	if heard[200] != 20 || heard[429] != 5 {
		t.Errorf("answers %v", heard)
	}
	if a := b.post(at, nil); a.header.Get("Retry-After") != "3600" || !strings.Contains(text(a.doc), "Réessayez après 13:00") {
		t.Errorf("%s %s", a.header.Get("Retry-After"), text(a.doc))
	}
	w.Clock.Add(time.Hour)
	b, _ = w.citizen(orderstest.A, 1)
	if a := b.post(at, nil); a.status != 200 {
		t.Errorf("an hour later: %d", a.status)
	}
}

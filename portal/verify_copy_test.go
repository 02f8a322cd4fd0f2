package portal_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/code"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
)

// Whoever holds a paper has the whole file where the commune allows it, and only there, only
// by what stands on the paper, and only while it stands.
func TestWholeFileOfACheckedPaper(t *testing.T) {
	w := newWorld(t)
	o := w.Issued(t, orderstest.A, 1)
	file, err := w.Service.Document(t.Context(), orderstest.A, o.ID, o.Subject)
	if err != nil {
		t.Fatal(err)
	}
	u := w.Renderer.Last().Verify.URL
	token := u[strings.LastIndex(u, "/")+1:]
	s := w.browser(orderstest.A)
	byCode := url.Values{"number": {string(o.Paper.Number)}, "code": {o.Paper.Code}}
	byToken := url.Values{"token": {token}}
	offered := func() bool {
		typed, scanned := s.post("/fr/verify", byCode), s.get("/fr/verify/"+token)
		if typed.status != 200 || scanned.status != 200 {
			t.Fatalf("%d, %d", typed.status, scanned.status)
		}
		inspect(t, "copy", "fr", typed)
		one, other := strings.Contains(typed.body, `action="/fr/verify/copy"`), strings.Contains(scanned.body, `value="`+token+`"`)
		if one != other {
			t.Error("one way in offers it and the other does not")
		}
		return one
	}
	refused := func(why string, form url.Values) {
		t.Helper()
		if a := s.post("/fr/verify/copy", form); a.status != http.StatusNotFound || strings.Contains(a.body, "%PDF") || strings.Contains(a.body, o.Paper.Holder) {
			t.Errorf("%s: %d", why, a.status)
		}
	}
	if offered() {
		t.Error("offered where the commune says nothing")
	}
	refused("off", byCode)
	refused("off", byToken)
	// The pages and the orders have their own list of communes in this world.
	here, _ := w.cfg.Communes.ByID(orderstest.A)
	there, _ := w.Communes.ByID(orderstest.A)
	here.CheckCopy = true
	refused("off where orders are", byCode)
	there.CheckCopy = true
	if !offered() {
		t.Error("not offered where the commune allows it")
	}
	for name, form := range map[string]url.Values{"number and code": byCode, "token": byToken} {
		a := s.post("/fr/verify/copy", form)
		if a.status != 200 || a.body != string(file.Data) || a.header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: %d %v", name, a.status, a.header)
		}
	}
	refused("a wrong code", url.Values{"number": {string(o.Paper.Number)}, "code": {code.New(10)}})
	refused("the number alone", url.Values{"number": {string(o.Paper.Number)}})
	refused("a wrong token", url.Values{"token": {strings.Repeat("A", 22)}})
	refused("nothing", nil)
	if a := w.browser(orderstest.B).post("/fr/verify/copy", byCode); a.status != 404 {
		t.Errorf("at another commune: %d", a.status)
	}
	guesses := w.browser(orderstest.A)
	heard := map[int]int{}
	for range 20 {
		heard[guesses.from("192.0.2.9", "POST", "/fr/verify/copy", url.Values{"number": {string(o.Paper.Number)}, "code": {code.New(10)}}).status]++
	}
	if heard[404] != 10 || heard[429] != 10 {
		t.Errorf("guessing hears %v", heard)
	}
	if _, err := w.Service.Withdraw(t.Context(), orderstest.A, o.ID, orderstest.Clerk(1), orders.FactsWrong, "Faux."); err != nil {
		t.Fatal(err)
	}
	if offered() {
		t.Error("offered of a paper that no longer stands")
	}
	refused("withdrawn", byToken)
}

// A file is known by its hash, of which the page says that its seal was not read.
func TestAFileIsComparedWithoutBeingSent(t *testing.T) {
	w := newWorld(t)
	o := w.Issued(t, orderstest.A, 1)
	file, err := w.Service.Document(t.Context(), orderstest.A, o.ID, o.Subject)
	if err != nil {
		t.Fatal(err)
	}
	s := w.browser(orderstest.A)
	sum := func(data []byte) *answer {
		hash := sha256.Sum256(data)
		return s.post("/fr/verify/sum", url.Values{"sum": {hex.EncodeToString(hash[:])}})
	}
	a := sum(file.Data)
	inspect(t, "sum", "fr", a)
	said := text(all(a.doc, "main")[0])
	if a.status != 200 || !strings.Contains(said, o.Paper.Holder) || !strings.Contains(said, "à l’octet près, celui que la commune a délivré") || !strings.Contains(said, "son cachet n’a pas été lu ici") {
		t.Errorf("%d %s", a.status, said)
	}
	if a := sum(append(file.Data, ' ')); a.status != 404 || strings.Contains(a.body, o.Paper.Holder) {
		t.Errorf("another file: %d", a.status)
	}
	if to := s.post("/fr/verify/sum", url.Values{"sum": {"x"}}).to(t); to != "/fr/verify" {
		t.Errorf("no hash leads to %s", to)
	}
	if ask := s.get("/fr/verify"); !strings.Contains(ask.body, `data-sum="/fr/verify/sum"`) {
		t.Error("the page's script is not told where to ask")
	}
}

package portal_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/staff"
)

func galleryEntry(w *world, desk *browser, at func(string) string, show func(string, *answer)) {
	show("counter", desk.get(at("/desk/new")))
	show("counter, errors", desk.post(at("/desk/new"), url.Values{"way": {"pigeon"}, "number": {"123"}}))
	show("counter, unknown person", desk.post(at("/desk/new"), url.Values{"way": {"counter card_seen"}, "number": {orderstest.Number(70000).Reveal()}, "product": {"residence"}}))
	p := w.Person(orderstest.A, 6000)
	desk.post(at("/desk/new"), url.Values{"way": {"phone called_back"}, "number": {p.Number.Reveal()}, "product": {"residence"}}).to(w.t)
	check := desk.get(at("/desk/new/check"))
	show("counter, check", check)
	show("counter, check, errors", desk.post(at("/desk/new/check"), url.Values{"key": {check.value("key")}, "email": {"x"}}))
	show("counter, who came, errors", desk.post(at("/desk/new/check"), url.Values{"key": {check.value("key")}, "document_language": {string(w.documentLanguage())}, "came": {"mandate"}}))
	order := desk.post(at("/desk/new/check"), url.Values{"key": {check.value("key")}, "document_language": {string(w.documentLanguage())},
		"came": {"mandate"}, "came_name": {"Zoé Maes"}, "came_proof": {"Zoé 1/2"}, "came_to": {w.Clock.Now().AddDate(1, 0, 0).Format(time.DateOnly)}}).to(w.t)
	order = strings.TrimSuffix(order, "#decide")
	show("desk order, entered by phone, with a mandate", desk.get(order))
	desk.post(at("/desk/new"), url.Values{"way": {"phone called_back"}, "number": {p.Number.Reveal()}, "product": {"residence"}}).to(w.t)
	show("counter, check, a mandate stands", desk.get(at("/desk/new/check")))
	desk.post(order+"/mandate", nil).to(w.t)
	show("desk order, a mandate ended", desk.get(order))
	galleryShown(w, desk, at, show)
}

// documentLanguage is the first in which A issues.
func (w *world) documentLanguage() string {
	of, _ := w.Communes.ByID(orderstest.A)
	return string(of.DocumentLanguages()[0])
}

// At the counter: the number is typed, the register says who it is, the paper is read,
// approved and printed. The number stands nowhere, and the person finds the order later.
func TestACounterRequest(t *testing.T) {
	w := newWorld(t)
	desk := w.clerk(orderstest.A, 1, staff.Approver)
	p := w.Person(orderstest.A, 1)
	n := p.Number.Reveal()
	typed := n[:2] + "." + n[2:4] + "." + n[4:6] + "-" + n[6:9] + "." + n[9:]
	form := url.Values{"way": {"counter card_seen"}, "number": {typed}, "product": {"residence"}}
	if a := desk.post("/fr/desk/new", url.Values{"way": {"counter card_seen"}, "number": {n[:10] + string('0'+(n[10]-'0'+1)%10)}, "product": {"residence"}}); a.status != 422 || !strings.Contains(text(a.doc), "vérifiez les 11 chiffres") || strings.Contains(a.body, n[:9]) {
		t.Errorf("a number that does not exist: %d", a.status)
	}
	check := desk.get(desk.post("/fr/desk/new", form).to(t))
	if said := text(check.doc); !strings.Contains(said, "Luc Marie") || !strings.Contains(said, "Rue du Beffroi 12") || strings.Contains(check.body, n) || strings.Contains(check.body, typed) {
		t.Errorf("the second step: %s", said)
	}
	send := url.Values{"key": {check.value("key")}, "document_language": {"fr"}}
	to := desk.post("/fr/desk/new/check", send).to(t)
	if again := desk.post("/fr/desk/new/check", send).to(t); again != strings.TrimSuffix(to, "#decide") {
		t.Errorf("a second click leads to %s", again)
	}
	page := strings.TrimSuffix(to, "#decide")
	id := page[strings.LastIndex(page, "/")+1:]
	o := w.Get(t, orderstest.A, id)
	if o.State != orders.InReview || o.Entry.Channel != orders.Counter {
		t.Fatalf("%s %+v", o.State, o.Entry)
	}
	desk.post(page+"/approve", url.Values{"content": {o.Paper.Content.String()}}).to(t)
	waiting := desk.get(page)
	if !strings.Contains(waiting.body, `data-watch="`+page+`/standing" data-state="approved"`) || desk.get(page+"/standing").body != "approved" {
		t.Error("the page does not wait")
	}
	if a := desk.get(page + "/paper"); a.status != 409 {
		t.Errorf("printed before it is issued: %d", a.status)
	}
	w.Work(t)
	if a := desk.get(page); desk.get(page+"/standing").body != "issued" || !strings.Contains(a.body, page+"/paper") || !strings.Contains(text(a.doc), "Au guichet") {
		t.Error("the page does not lead to the print")
	}
	if a := desk.get(page + "/paper"); !strings.HasPrefix(a.body, "%PDF") || !strings.HasPrefix(a.header.Get("Content-Disposition"), "inline") {
		t.Errorf("the print: %d %v", a.status, a.header)
	}
	person := w.browser(orderstest.A)
	if a := person.signIn("/fr/orders", card(p)); !strings.Contains(text(a.doc), o.Reference) {
		t.Errorf("the person does not find it: %s", text(a.doc))
	}
	other, _ := w.citizen(orderstest.A, 2)
	if a := other.get("/fr/orders/" + id); a.status != 404 {
		t.Errorf("somebody else sees it: %d", a.status)
	}
	for _, log := range []string{w.log.String(), w.Log.String()} {
		if strings.Contains(log, n) || strings.Contains(log, typed) {
			t.Error("a log holds the number")
		}
	}
}

// The fee is taken in the counter's last step: the order and its receipt are made at once,
// and the paper can be approved.
func TestAFeeIsTakenWithTheRequest(t *testing.T) {
	w := newWorld(t)
	w.Charge(t, orderstest.A, orderstest.Fees())
	desk := w.clerk(orderstest.A, 1, staff.Approver)
	begin := func(n int, way string) url.Values {
		desk.post("/fr/desk/new", url.Values{"way": {way}, "number": {w.Person(orderstest.A, n).Number.Reveal()}, "product": {"residence"}}).to(t)
		return url.Values{"key": {desk.get("/fr/desk/new/check").value("key")}, "document_language": {"fr"}, "delivery": {"counter"}, "purpose": {"unsaid"}}
	}
	typed := begin(1, "counter card_seen")
	seen := desk.post("/fr/desk/new/check", typed)
	typed.Set("price", seen.value("price"))
	typed.Set("paying", seen.value("paying"))
	for _, c := range []struct{ how, receipt, key string }{{"", "17", "fee.how_missing"}, {"cash", "", "fee.number_wrong"}, {"shells", "17", "fee.how_missing"}} {
		typed.Set("how", c.how)
		typed.Set("receipt", c.receipt)
		if a := desk.post("/fr/desk/new/check", typed); a.status != 422 || !says(a, c.key) || a.value("receipt") != c.receipt || a.value("price") == "" {
			t.Errorf("%q %q: %d %s", c.how, c.receipt, a.status, text(a.doc))
		}
	}
	typed.Set("how", "card")
	typed.Set("receipt", "2026/18")
	page, _, _ := strings.Cut(desk.post("/fr/desk/new/check", typed).to(t), "#")
	o := w.Get(t, orderstest.A, page[strings.LastIndex(page, "/")+1:])
	if r := o.Fee.Received; r == nil || r.How != orders.BankCard || r.Number != "2026/18" || r.Cents != 200 || o.Fee.Due() || o.State != orders.InReview {
		t.Fatalf("%s %+v", o.State, o.Fee)
	}
	if a := desk.get(page); !strings.Contains(a.body, page+"/approve") || !strings.Contains(text(a.doc), "reçu n° 2026/18") {
		t.Error("it cannot be approved, or does not show its receipt")
	}
	// It may be paid later; on the phone nothing is taken.
	typed = begin(2, "counter card_seen")
	seen = desk.post("/fr/desk/new/check", typed)
	typed.Set("price", seen.value("price"))
	typed.Set("paying", seen.value("paying"))
	typed.Set("how", "later")
	page, _, _ = strings.Cut(desk.post("/fr/desk/new/check", typed).to(t), "#")
	if o := w.Get(t, orderstest.A, page[strings.LastIndex(page, "/")+1:]); !o.Fee.Due() {
		t.Errorf("paid later: %+v", o.Fee)
	}
	if a := desk.post("/fr/desk/new/check", begin(3, "phone called_back")); a.value("price") == "" || a.value("paying") != "" {
		t.Errorf("on the phone: %d", a.status)
	}
}

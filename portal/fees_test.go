package portal_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/staff"
)

// letter are the answers of a form for two copies for a bank by post.
func letter() url.Values {
	return url.Values{"document_language": {"fr"}, "contact": {"none"}, "delivery": {"post"}, "copies": {"2"}, "purpose": {"bank"}}
}

// galleryFees shows the pages of a paper that costs something.
func galleryFees(w *world, l i18n.Language, show func(string, *answer)) {
	at := func(path string) string { return "/" + string(l) + path }
	w.Charge(w.t, orderstest.A, orderstest.Fees())
	defer w.Charge(w.t, orderstest.A, commune.Tariff{})
	b := w.browser(orderstest.A)
	show("product, with fees", b.get(at("/documents/residence")))
	b.signIn("/fr/orders", card(w.Person(orderstest.A, 5000+int(l[0]))))
	show("form, with fees", b.get(at("/documents/residence/form")))
	show("form, with fees, errors", b.post(at("/documents/residence/form"), url.Values{"delivery": {"post"}, "copies": {"0"}}))
	b.post(at("/documents/residence/form"), letter()).to(w.t)
	check := b.get(at("/documents/residence/check"))
	show("check, with fees", check)
	show("check, price changed", b.post(at("/documents/residence/send"), url.Values{"key": {check.value("key")}, "price": {"other"}}))
	sent := b.post(at("/documents/residence/send"), url.Values{"key": {check.value("key")}, "price": {check.value("price")}}).to(w.t)
	show("sent, with fees", b.get(sent))
	show("order, with fees", b.get(strings.TrimSuffix(sent, "/sent")))
}

// J2, without paying: the price stands on every page before and after sending, and never
// changes behind somebody's back.
func TestAPriceIsSeenBeforeItIsOwed(t *testing.T) {
	w := newWorld(t)
	w.Charge(t, orderstest.A, orderstest.Fees())
	b, p := w.citizen(orderstest.A, 1)
	at := "/fr/documents/residence/"
	if said := text(b.get("/fr/documents/residence").doc); !strings.Contains(said, "1,00 € à 3,00 €") || !strings.Contains(said, "Règlement-redevance") {
		t.Errorf("the product's page: %s", said)
	}
	form := text(b.get(at + "form").doc)
	for _, want := range []string{"Rue du Beffroi 12", "Registre national", "Je préfère ne pas le dire 2,00 € par exemplaire", "peut consulter le registre lui-même", "une signature à la main et une légalisation", "le prix le plus élevé s’applique"} {
		if !strings.Contains(form, want) {
			t.Errorf("the form does not say %q", want)
		}
	}
	wrong := letter()
	wrong.Set("copies", "1000000000")
	if a := b.post(at+"form", wrong); a.status != 422 || !strings.Contains(a.body, `href="#copies"`) {
		t.Errorf("a billion copies: %d", a.status)
	}
	abroad := letter()
	abroad.Set("purpose", "abroad")
	b.post(at+"form", abroad).to(t)
	if said := text(b.get(at + "check").doc); !strings.Contains(said, "légalisation") {
		t.Error("nothing about abroad on the check page")
	}
	if to := b.post(at+"form", letter()).to(t); to != at+"check" {
		t.Fatalf("the form leads to %s", to)
	}
	check := b.get(at + "check")
	said := text(check.doc)
	for _, want := range []string{"2 exemplaires à 2,00 €", "4,00 €", "Envoi par courrier", "Total 5,00 €", "Envoyer la demande (5,00 €)", "Adresse d’envoi", "Banque ou crédit"} {
		if !strings.Contains(said, want) {
			t.Errorf("the check page does not say %q: %s", want, said)
		}
	}
	dearer := orderstest.Fees()
	dearer.PostCents = 150
	w.Charge(t, orderstest.A, dearer)
	send := url.Values{"key": {check.value("key")}, "price": {check.value("price")}}
	stale := b.post(at+"send", send)
	if now := text(stale.doc); stale.status != 200 || !strings.Contains(now, "Le prix a changé") || !strings.Contains(now, "Envoyer la demande (5,50 €)") {
		t.Errorf("a price that has changed: %d %s", stale.status, now)
	}
	if mine, err := w.Service.Mine(ctx, orderstest.A, p.Subject); err != nil || len(mine) != 0 {
		t.Fatalf("%d orders", len(mine))
	}
	send.Set("price", stale.value("price"))
	sent := b.post(at+"send", send).to(t)
	for _, page := range []string{sent, strings.TrimSuffix(sent, "/sent")} {
		if said := text(b.get(page).doc); !strings.Contains(said, "Total 5,50 €") || !strings.Contains(said, "Vous ne payez pas en ligne") {
			t.Errorf("%s: %s", page, said)
		}
	}
	// The commune stops sending letters while somebody is on the check page: they choose again.
	b.post(at+"form", letter()).to(t) // answers of the form that has made an order lead to it
	b.get(at + "form")
	b.post(at+"form", letter()).to(t)
	last := b.get(at + "check")
	w.Charge(t, orderstest.A, commune.Tariff{})
	if to := b.post(at+"send", url.Values{"key": {last.value("key")}, "price": {last.value("price")}}).to(t); to != at+"form" {
		t.Errorf("a delivery that is gone leads to %s", to)
	}
	// A free download asks nothing of all this.
	if said := text(b.get(at + "form").doc); strings.Contains(said, "Nombre d’exemplaires") || strings.Contains(said, "Usage du certificat") {
		t.Error("asked without need")
	}
}

// galleryFeeDesk shows the desk's pages about fees.
func galleryFeeDesk(w *world, desk *browser, at func(string) string, show func(string, *answer)) {
	o := w.Owed(w.t, orderstest.A, 5100)
	defer w.Charge(w.t, orderstest.A, commune.Tariff{})
	page := at("/desk/orders/" + o.ID)
	show("desk order, fee owed", desk.get(page))
	show("desk order, fee, errors", desk.post(page+"/fee", nil))
	desk.post(page+"/fee", url.Values{"how": {"card"}, "receipt": {"2026/1"}}).to(w.t)
	show("desk order, fee received", desk.get(page))
	show("desk order, undo, errors", desk.post(page+"/fee/undo", url.Values{"seq": {"1"}}))
	show("desk order, receipt gone", desk.post(page+"/fee/undo", url.Values{"seq": {"7"}, "reason": {"faux"}}))
	show("letters, none", desk.get(at("/desk/letters")))
	w.Posted(w.t, orderstest.A, 5102)
	show("desk, a letter", desk.get(at("/desk")))
	show("letters", desk.get(at("/desk/letters")))
	show("letters, none ticked", desk.post(at("/desk/letters"), url.Values{"do": {"sent"}}))
	show("letters, sent", desk.get(at("/desk/letters?sent=1")))
	p := w.Person(orderstest.A, 5101)
	desk.post(at("/desk/new"), url.Values{"way": {"counter card_seen"}, "number": {p.Number.Reveal()}, "product": {"residence"}}).to(w.t)
	check := desk.get(at("/desk/new/check"))
	show("counter, check, fees", check)
	show("counter, check, price", desk.post(at("/desk/new/check"), url.Values{"key": {check.value("key")}, "document_language": {w.documentLanguage()}, "delivery": {"counter"}, "purpose": {"bank"}}))
}

// J6: at the counter the same is asked at the same price, the clerk confirms it, and the
// paper waits until a receipt is recorded.
func TestAFeeAtTheCounter(t *testing.T) {
	w := newWorld(t)
	w.Charge(t, orderstest.A, orderstest.Fees())
	desk := w.clerk(orderstest.A, 1, staff.Approver)
	p := w.Person(orderstest.A, 1)
	desk.post("/fr/desk/new", url.Values{"way": {"counter card_seen"}, "number": {p.Number.Reveal()}, "product": {"residence"}}).to(t)
	check := desk.get("/fr/desk/new/check")
	if !strings.Contains(check.body, `value="counter" checked`) {
		t.Error("whoever is at the counter is not offered the counter first")
	}
	typed := url.Values{"key": {check.value("key")}, "document_language": {"fr"}, "delivery": {"counter"}, "purpose": {"unsaid"}}
	seen := desk.post("/fr/desk/new/check", typed)
	if seen.status != 200 || !strings.Contains(text(seen.doc), "Créer la demande (2,00 €)") {
		t.Fatalf("the price is not shown first: %d %s", seen.status, text(seen.doc))
	}
	typed.Set("price", seen.value("price"))
	typed.Set("purpose", "pension") // another choice, another price: free
	if a := desk.post("/fr/desk/new/check", typed); a.status != 200 || strings.Contains(text(a.doc), "Créer la demande (") {
		t.Errorf("another purpose: %d", a.status)
	}
	typed.Set("purpose", "unsaid")
	page := strings.TrimSuffix(desk.post("/fr/desk/new/check", typed).to(t), "#decide")
	o := w.Get(t, orderstest.A, page[strings.LastIndex(page, "/")+1:])
	if o.State != orders.InReview || !o.Fee.Due() || o.Fee.Price.Total != 200 {
		t.Fatalf("%s %+v", o.State, o.Fee)
	}
	if said := text(desk.get(page).doc); !strings.Contains(said, "La redevance n’a pas encore été reçue") || strings.Contains(said, "Approuver et") {
		t.Errorf("before the fee: %s", said)
	}
	content := url.Values{"content": {o.Paper.Content.String()}}
	if a := desk.post(page+"/approve", content); a.status != 409 {
		t.Errorf("approved without its fee: %d", a.status)
	}
	if a := desk.post(page+"/fee", url.Values{"how": {"cash"}}); a.status != 422 || !strings.Contains(a.body, `href="#receipt"`) {
		t.Errorf("without a receipt: %d", a.status)
	}
	desk.post(page+"/fee", url.Values{"how": {"cash"}, "receipt": {"2026/17"}}).to(t)
	if a := desk.post(page+"/fee", url.Values{"how": {"cash"}, "receipt": {"2026/17"}}); a.status != 409 {
		t.Errorf("received twice: %d", a.status)
	}
	if said := text(desk.get(page).doc); !strings.Contains(said, "2,00 € en espèces, reçu n° 2026/17") {
		t.Errorf("received: %s", said)
	}
	o = w.Get(t, orderstest.A, o.ID)
	desk.post(page+"/fee/undo", url.Values{"seq": {strconv.Itoa(o.Fee.Received.Seq)}, "reason": {"Mauvais dossier."}}).to(t)
	if said := text(desk.get(page).doc); !strings.Contains(said, "Le reçu 2026/17 a été annulé : Mauvais dossier.") {
		t.Errorf("undone: %s", said)
	}
	desk.post(page+"/fee", url.Values{"how": {"card"}, "receipt": {"2026/18"}}).to(t)
	desk.post(page+"/approve", content).to(t)
	w.Work(t)
	if o = w.Get(t, orderstest.A, o.ID); o.State != orders.Issued {
		t.Errorf("paid, approved and %s", o.State)
	}
	// Nobody of another commune touches it, and neither does a citizen.
	other := w.clerk(orderstest.B, 2, staff.Approver)
	if a := other.post("/nl/desk/orders/"+o.ID+"/fee", url.Values{"how": {"cash"}, "receipt": {"1"}}); a.status != 404 {
		t.Errorf("another commune's clerk: %d", a.status)
	}
	b, _ := w.citizen(orderstest.A, 3)
	if a := b.post("/fr/desk/orders/"+o.ID+"/fee/undo", url.Values{"seq": {"1"}, "reason": {"x"}}); a.status == 303 && strings.Contains(a.header.Get("Location"), "#fee") || a.status == 200 {
		t.Errorf("a citizen: %d", a.status)
	}
}

// What waits to be sent is printed as one file and marked as sent; the person's page and
// mail say so.
func TestLettersAreSent(t *testing.T) {
	w := newWorld(t)
	w.Charge(t, orderstest.A, orderstest.Fees())
	o := w.Posted(t, orderstest.A, 1)
	desk := w.clerk(orderstest.A, 2, staff.Clerk)
	if said := text(desk.get("/fr/desk").doc); !strings.Contains(said, "Lettres à envoyer (1)") {
		t.Errorf("the inbox: %s", said)
	}
	list := desk.get("/fr/desk/letters")
	if said := text(list.doc); !strings.Contains(said, "Rue du Beffroi 12") || !strings.Contains(said, "5,00 €, reçue") || !strings.Contains(list.body, `value="`+o.ID+`" checked`) {
		t.Errorf("the list: %s", said)
	}
	file := desk.post("/fr/desk/letters", url.Values{"order": {o.ID}, "do": {"print"}})
	if file.status != 200 || file.header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(file.body, "%PDF-") {
		t.Errorf("the file: %d %v", file.status, file.header)
	}
	b := w.browser(orderstest.A)
	b.signIn("/fr/orders", card(w.Person(orderstest.A, 1)))
	if said := text(b.get("/fr/orders/" + o.ID).doc); !strings.Contains(said, "La commune l’imprime et l’envoie") || !strings.Contains(said, "Redevance reçue") {
		t.Errorf("before it is sent: %s", said)
	}
	if to := desk.post("/fr/desk/letters", url.Values{"order": {o.ID}, "do": {"sent"}}).to(t); to != "/fr/desk/letters?sent=1" {
		t.Errorf("sent leads to %s", to)
	}
	again := desk.post("/fr/desk/letters", url.Values{"order": {o.ID}, "do": {"sent"}})
	if again.status != 409 || !strings.Contains(text(again.doc), o.Reference) {
		t.Errorf("sent twice: %d", again.status)
	}
	w.Work(t)
	if said := text(b.get("/fr/orders/" + o.ID).doc); strings.Contains(said, "La commune l’imprime") || !strings.Contains(said, "document envoyé par courrier") {
		t.Errorf("after it was sent: %s", said)
	}
	other := w.clerk(orderstest.B, 3, staff.Approver)
	if a := other.post("/nl/desk/letters", url.Values{"order": {o.ID}, "do": {"print"}}); a.status != 404 {
		t.Errorf("another commune's clerk: %d", a.status)
	}
}

// What waits for its fee is said in words, and has a list of its own while there is any.
func TestTheInboxSaysWhatWaitsForItsFee(t *testing.T) {
	w := newWorld(t)
	desk := w.clerk(orderstest.A, 1, staff.Clerk)
	plain := w.Order(t, orderstest.A, 2)
	if a := desk.get("/fr/desk"); strings.Contains(a.body, "show=unpaid") || strings.Contains(text(a.doc), "redevance") {
		t.Errorf("nothing is owed: %s", text(a.doc))
	}
	owed := w.Owed(t, orderstest.A, 3)
	if said := text(desk.get("/fr/desk").doc); !strings.Contains(said, "Redevance à recevoir (1)") || strings.Count(said, "Attend la redevance") != 1 {
		t.Errorf("the inbox: %s", said)
	}
	if said := text(desk.get("/fr/desk?show=unpaid").doc); !strings.Contains(said, owed.Reference) || strings.Contains(said, plain.Reference) {
		t.Errorf("the list: %s", said)
	}
	desk.post("/fr/desk/orders/"+owed.ID+"/fee", url.Values{"how": {"cash"}, "receipt": {"7"}}).to(t)
	if a := desk.get("/fr/desk"); strings.Contains(a.body, "show=unpaid") || strings.Contains(text(a.doc), "Attend la redevance") {
		t.Errorf("paid: %s", text(a.doc))
	}
}

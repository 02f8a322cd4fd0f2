package portal_test

import (
	"bytes"
	"context"
	"mime/multipart"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/orders/outside"
	"github.com/belfry-eid/belfry/orders/register"
	"github.com/belfry-eid/belfry/portal/staff"
)

// orders residence papers through the pages, and returns where sending led.
func (b *browser) orders(t *testing.T) string {
	t.Helper()
	b.get("/fr/documents/residence/form")
	b.post("/fr/documents/residence/form", url.Values{"document_language": {"fr"}, "contact": {"none"}}).to(t)
	return b.post("/fr/documents/residence/send", url.Values{"key": {b.get("/fr/documents/residence/check").value("key")}}).to(t)
}

// A paper that the register seals is there at once, and its pages say whose it is.
func TestAPaperSealedByItsSource(t *testing.T) {
	w := newWorld(t)
	w.Goes(t, orderstest.A, commune.FromSource)
	b, p := w.citizen(orderstest.A, 1)
	if said := text(b.get("/fr/documents/residence").doc); !strings.Contains(said, "Tout de suite") {
		t.Errorf("the product page promises %s", said)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.Jobs.Start(ctx); err != nil {
		t.Fatal(err)
	}
	to := b.orders(t)
	if err := w.Jobs.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	mine, err := w.Service.Mine(ctx, orderstest.A, p.Subject)
	if err != nil || len(mine) != 1 || mine[0].State != orders.Issued || to != "/fr/orders/"+mine[0].ID {
		t.Fatalf("sending led to %s, %v, %+v", to, err, mine)
	}
	said := text(b.get(to).doc)
	for _, want := range []string{"Votre document est prêt", "The Register", "cachet du registre", "Demandé au registre", "lecteur d’écran", string(mine[0].Paper.Number)} {
		if !strings.Contains(said, want) {
			t.Errorf("the order's page does not say %q: %s", want, said)
		}
	}
	if strings.Contains(said, "avec son numéro et son code") {
		t.Error("it speaks of a code that there is not")
	}
	file := b.get(to + "/document")
	if !strings.HasPrefix(file.body, "%PDF-1.7\nsealed MainResidence fr") {
		t.Errorf("downloaded %q", file.body)
	}
	check := w.browser(orderstest.A).upload("/fr/verify/file", []byte(file.body))
	if said := text(check.doc); !strings.Contains(said, "The Register, remis tel quel par l’intermédiaire de Beaumarais") || !strings.Contains(said, "sans rien y changer") {
		t.Errorf("the verification page says %s", said)
	}
	desk := w.clerk(orderstest.A, 1, staff.Approver)
	if said := text(desk.get("/fr/desk/orders/" + mine[0].ID).doc); !strings.Contains(said, "La commune n’y a rien ajouté") || strings.Contains(said, "Joindre") {
		t.Errorf("the desk says %s", said)
	}
}

// The first page and the product's promise "at once" where the register gives the paper, and
// working days where a fee has to be received before it is asked.
func TestWhatIsThereAtOnceIsPromisedAtOnce(t *testing.T) {
	w := newWorld(t)
	b := w.browser(orderstest.A)
	of, _ := w.Communes.ByID(orderstest.A)
	cent, afterwards := int64(100), false
	costs := commune.Tariff{PriceCents: &cent, DownloadCosts: true}
	for name, c := range map[string]struct {
		product commune.Product
		first   *bool
		once    bool
	}{
		"made here":           {commune.Product{}, nil, false},
		"of a source":         {commune.Product{Way: commune.FromSource}, nil, true},
		"paid first":          {commune.Product{Way: commune.FromSource, Tariff: costs}, nil, false},
		"paid afterwards":     {commune.Product{Way: commune.FromSource, Tariff: costs}, &afterwards, true},
		"free as a download":  {commune.Product{Way: commune.FromSource, Tariff: orderstest.Fees()}, nil, true},
		"attached by a clerk": {commune.Product{Way: commune.Attached}, nil, false},
	} {
		of.Products, of.FeeBeforeIssue = map[string]commune.Product{"residence": c.product}, c.first
		card := ""
		for _, li := range all(b.get("/en/").doc, "li") {
			if attr(li, "class") == "b-card" && strings.Contains(text(li), "main residence") {
				card = text(li)
			}
		}
		page := text(b.get("/en/documents/residence").doc)
		if strings.Contains(card, "At once in most cases") != c.once || strings.Contains(card, "working day") == c.once {
			t.Errorf("%s: the first page says %q", name, card)
		}
		if strings.Contains(page, "At once, unless") != c.once {
			t.Errorf("%s: the product's page says %s", name, page)
		}
	}
}

// While the register is silent a clerk sees it; what it cannot give they read why, and ask again.
func TestAClerkAndASource(t *testing.T) {
	w := newWorld(t)
	w.Goes(t, orderstest.A, commune.FromSource)
	o := w.Order(t, orderstest.A, 1)
	desk := w.clerk(orderstest.A, 1, staff.Approver)
	at := "/fr/desk/orders/" + o.ID
	if a := desk.get(at); !strings.Contains(text(a.doc), "Le document est demandé au registre") || strings.Contains(a.body, at+"/source") || !strings.Contains(a.body, at+"/attach") {
		t.Errorf("while it waits: %s", text(a.doc))
	}
	w.Source.Unseal(fault.New(fault.Invalid, "way.source.stranger", nil))
	w.Work(t)
	w.Source.Unseal(nil)
	a := desk.get(at)
	if !strings.Contains(text(a.doc), "n’est pas celui du registre") || !strings.Contains(a.body, at+"/source") {
		t.Errorf("after it failed: %s", text(a.doc))
	}
	plain := w.clerk(orderstest.A, 2, staff.Clerk)
	if a := plain.get(at); strings.Contains(a.body, at+"/source") || !strings.Contains(a.body, at+"/attach") {
		t.Errorf("a clerk who decides nothing is offered %s", text(a.doc))
	}
	if a := plain.post(at+"/source", nil); a.status != 403 {
		t.Errorf("a clerk who decides nothing had a paper issued: %d", a.status)
	}
	desk.post(at+"/source", nil).to(t)
	w.Work(t)
	if now := w.Get(t, orderstest.A, o.ID); now.State != orders.Issued {
		t.Errorf("asked again: %s", now.State)
	}
	// Somebody whose registration is special: a reason is asked for at its field.
	p := w.Person(orderstest.A, 2)
	home := w.Home(orderstest.A, p)
	home.Status = register.Undisclosed
	w.Register.Move(p, home)
	special, err := w.Service.Submit(context.Background(), orderstest.A, p, w.Form(orderstest.A))
	if err != nil {
		t.Fatal(err)
	}
	at = "/fr/desk/orders/" + special.ID
	if a := desk.post(at+"/source", url.Values{"reason": {" "}}); a.status == 303 || !strings.Contains(a.body, `href="#reason"`) || !strings.Contains(a.body, `id="reason-error"`) {
		t.Errorf("without a reason: %d %s", a.status, text(a.doc))
	}
	desk.post(at+"/source", url.Values{"reason": {"Vu au guichet."}}).to(t)
	w.Work(t)
	if now := w.Get(t, orderstest.A, special.ID); now.State != orders.Issued {
		t.Errorf("with a reason: %s", now.State)
	}
}

// attach sends the form with a file; nil sends none.
func (b *browser) attach(path string, file []byte, fields map[string]string) *answer {
	b.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range fields {
		form.WriteField(name, value)
	}
	if file != nil {
		part, err := form.CreateFormFile("file", `C:\a "name".pdf`)
		if err != nil {
			b.t.Fatal(err)
		}
		part.Write(file)
	}
	form.Close()
	r := httptest.NewRequest("POST", path, &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

func TestAClerkAttachesAPaper(t *testing.T) {
	w := newWorld(t)
	w.Goes(t, orderstest.A, commune.Attached)
	b, p := w.citizen(orderstest.A, 1)
	b.get(b.orders(t))
	mine, err := w.Service.Mine(context.Background(), orderstest.A, p.Subject)
	if err != nil || len(mine) != 1 {
		t.Fatal(err)
	}
	desk := w.clerk(orderstest.A, 1, staff.Approver)
	at := "/fr/desk/orders/" + mine[0].ID
	if a := desk.get(at); strings.Contains(a.body, at+"/prepare") || !strings.Contains(a.body, at+"/attach") {
		t.Errorf("the order's page offers %s", text(a.doc))
	}
	corner := map[string]string{"corner": "top-left"}
	good := orderstest.PDF("untagged, made elsewhere")
	for name, c := range map[string]struct {
		file   []byte
		fields map[string]string
		field  string
	}{
		"no file":       {nil, corner, "file"},
		"an empty file": {[]byte{}, corner, "file"},
		"no PDF":        {[]byte("<html>"), corner, "file"},
		"no corner":     {good, nil, "corner"},
		"a gigabyte":    {make([]byte, outside.MaxFile+1), corner, "file"},
		"a long reason": {good, map[string]string{"corner": "top-left", "reason": strings.Repeat("x", 17<<10)}, "file"},
	} {
		a := desk.attach(at+"/attach", c.file, c.fields)
		if a.status != 422 || !strings.Contains(a.body, `href="#`+c.field+`"`) || !strings.Contains(a.body, `id="`+c.field+`-error"`) {
			t.Errorf("%s: %d %s", name, a.status, text(a.doc))
		}
	}
	if w.Get(t, orderstest.A, mine[0].ID).Paper != nil {
		t.Error("a number was spent on nothing")
	}
	if to := desk.attach(at+"/attach", good, corner).to(t); to != at+"#preview" {
		t.Errorf("attaching leads to %s", to)
	}
	review := desk.get(at)
	if said := text(review.doc); !strings.Contains(said, "Fichier joint par Claire 1") || !strings.Contains(said, "Un lecteur d’écran lira mal ce fichier") || !strings.Contains(said, "la structure") {
		t.Errorf("the page says of the file: %s", said)
	}
	if preview := desk.get(at + "/preview"); !strings.HasPrefix(preview.body, string(good)) {
		t.Error("the preview is another file")
	}
	desk.post(at+"/approve", url.Values{"content": {review.value("content")}}).to(t)
	w.Work(t)
	if said := text(b.get("/fr/orders/" + mine[0].ID).doc); !strings.Contains(said, "prêt") || !strings.Contains(said, "se lit mal avec un lecteur d’écran") {
		t.Errorf("the person reads %s", said)
	}
	if a := desk.get(at + "/attach"); a.to(t) != at {
		t.Error("a file can be attached to what is issued")
	}
	outsider, _ := w.citizen(orderstest.A, 2)
	if a := outsider.attach(at+"/attach", good, corner); a.status < 300 {
		t.Errorf("somebody from outside attached a file: %d", a.status)
	}
}

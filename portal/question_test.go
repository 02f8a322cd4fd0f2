package portal_test

import (
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/staff"
)

// typedIn is the text of a page's textarea, and in which language it says it is.
func typedIn(a *answer, id string) (text string, l i18n.Language) {
	walk(a.doc, func(n *html.Node) {
		if n.Data == "textarea" && attr(n, "id") == id && n.FirstChild != nil {
			text, l = n.FirstChild.Data, i18n.Language(attr(n, "lang"))
		}
	})
	return text, l
}

// galleryQuestions shows the pages of a commune's own questions.
func galleryQuestions(w *world, l i18n.Language, desk *browser, o orders.Order, show func(string, *answer)) {
	at := "/" + string(l) + "/desk/questions"
	show("questions, none", desk.get(at))
	form := url.Values{"label-" + string(l): {"Bail"}, "text-" + string(l): {"Votre bail ?"}}
	for _, official := range []string{"fr", "nl", "de"} {
		form.Set("label-"+official, "Bail")
		form.Set("text-"+official, "Votre bail ?")
	}
	desk.post(at, form).to(w.t)
	show("questions", desk.get(at))
	show("questions, errors", desk.post(at, nil))
	list, err := w.Service.Questions(ctx, orderstest.A)
	if err != nil || len(list) != 1 {
		w.t.Fatalf("%v, %v", list, err)
	}
	one := at + "/" + list[0].ID
	show("question", desk.get(one))
	show("question, errors", desk.post(one, nil))
	show("question, changed meanwhile", desk.post(one, form))
	show("question, gone", desk.get(at+"/none"))
	show("ask, of the commune", desk.get("/"+string(l)+"/desk/orders/"+o.ID+"/ask?template="+list[0].ID))
	desk.post(one+"/drop", url.Values{"version": {"1"}}).to(w.t)
}

// An administrator writes a question of the commune's own; a clerk starts from it, in the
// person's language or told that it is in another; nobody else sees or changes it.
func TestACommunesOwnQuestions(t *testing.T) {
	w := newWorld(t)
	boss := w.clerk(orderstest.A, 1, staff.Administrator)
	const at = "/fr/desk/questions"
	half := boss.post(at, url.Values{"label-fr": {"Bail"}, "label-nl": {"Huur"}, "text-nl": {"Uw contract?"}})
	if said := text(half.doc); half.status != 422 || !strings.Contains(text(half.doc), "Français, Texte de la question : ") || half.value("label-fr") != "Bail" || strings.Contains(half.body, `href="#text-nl"`) {
		t.Fatalf("half a question: %d %s", half.status, said)
	}
	if to := boss.post(at, url.Values{"label-fr": {"Bail"}, "text-fr": {"Pour {reference} : votre bail ?"}}).to(t); to != at {
		t.Fatalf("saving leads to %s", to)
	}
	list, err := w.Service.Questions(ctx, orderstest.A)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	one := at + "/" + list[0].ID
	if a := boss.get(at); !strings.Contains(a.body, `href="`+one+`"`) || !strings.Contains(text(a.doc), "Bail") {
		t.Errorf("the list: %s", text(a.doc))
	}

	clerk := w.clerk(orderstest.A, 2, staff.Clerk)
	o := w.Order(t, orderstest.A, 3)
	ask := "/fr/desk/orders/" + o.ID + "/ask"
	if a := clerk.get(ask); !strings.Contains(a.body, `<optgroup label="De la commune"><option value="`+list[0].ID+`">Bail</option></optgroup>`) {
		t.Errorf("the clerk's list: %s", a.body)
	}
	chosen := clerk.get(ask + "?template=" + list[0].ID)
	if said, l := typedIn(chosen, "text"); said != "Pour "+o.Reference+" : votre bail ?" || l != "fr" || strings.Contains(chosen.body, "traduisez-le") {
		t.Errorf("chosen: %q in %s", said, l)
	}
	if err := w.DB.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE orders_order SET language = 'en' WHERE id = $1`, o.ID)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if a := clerk.get(ask + "?template=" + list[0].ID); !strings.Contains(a.body, "traduisez-le") {
		t.Error("nobody says that it is in another language")
	} else if _, l := typedIn(a, "text"); l != "fr" {
		t.Errorf("the text is said to be in %s", l)
	}

	// Only who administers this commune may come here.
	for path, form := range map[string]url.Values{at: {"label-fr": {"x"}, "text-fr": {"y"}}, one: {"label-fr": {"x"}, "text-fr": {"y"}, "version": {"1"}}, one + "/drop": {"version": {"1"}}} {
		if a := clerk.post(path, form); a.status != 403 {
			t.Errorf("a clerk posts to %s: %d", path, a.status)
		}
	}
	if a := clerk.get(at); a.status != 403 {
		t.Errorf("a clerk reads the page: %d", a.status)
	}
	elsewhere := w.clerk(orderstest.B, 3, staff.Administrator)
	if a := elsewhere.get(strings.Replace(one, "/fr/", "/nl/", 1)); a.status != 404 {
		t.Errorf("another commune reads it: %d", a.status)
	}
	if a := elsewhere.post(strings.Replace(one, "/fr/", "/nl/", 1)+"/drop", url.Values{"version": {"1"}}); a.status != 404 {
		t.Errorf("another commune drops it: %d", a.status)
	}

	// Two administrators: the second hears of the first.
	edit := boss.get(one)
	change := url.Values{"label-fr": {"Bail"}, "text-fr": {"Votre bail, s’il vous plaît."}, "label-en": {"Lease"}, "text-en": {"Your lease?"}, "version": {edit.value("version")}}
	boss.post(one, change).to(t)
	if a := boss.post(one, change); a.status != 409 || !strings.Contains(text(a.doc), "vient de modifier ce texte") {
		t.Errorf("saved upon somebody else's: %d %s", a.status, text(a.doc))
	}
	if said, l := typedIn(clerk.get(ask+"?template="+list[0].ID), "text"); said != "Your lease?" || l != "en" {
		t.Errorf("in the person's language: %q in %s", said, l)
	}
	boss.post(one+"/drop", url.Values{"version": {boss.get(one).value("version")}}).to(t)
	if a := boss.get(one); a.status != 404 {
		t.Errorf("dropped, and still there: %d", a.status)
	}
	if a := clerk.get(ask); strings.Contains(a.body, "optgroup") {
		t.Error("a clerk may still choose it")
	}
}

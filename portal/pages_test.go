package portal_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/portal/verify"
)

var (
	rawKey    = regexp.MustCompile(`\b(portal|account|clerk|follow|desk|thread|appeal|staff|figures|check|orders|page|fault|register|idp)\.[a-z_]+`)
	anyNumber = regexp.MustCompile(`\b857[0-9]{8}\b`) // of the people of orderstest
)

// inspect holds a page to what every page promises.
func inspect(t *testing.T, name string, l i18n.Language, a *answer) string {
	t.Helper()
	bad := func(format string, args ...any) { t.Errorf("%s in %s: %s", name, l, fmt.Sprintf(format, args...)) }
	if a.doc == nil {
		bad("no page, status %d", a.status)
		return ""
	}
	if root := all(a.doc, "html"); attr(root[0], "lang") != string(l) {
		bad("lang is %q", attr(root[0], "lang"))
	}
	if n := len(all(a.doc, "h1")); n != 1 {
		bad("%d h1", n)
	}
	title := text(all(a.doc, "title")[0])
	if title == "" {
		bad("no title")
	}
	said := text(all(a.doc, "body")[0])
	if key := rawKey.FindString(said); key != "" {
		bad("shows the key %s", key)
	}
	if strings.Contains(said, "<no value>") || strings.Contains(said, "{{") {
		bad("shows a gap in a text")
	}
	if n := anyNumber.FindString(a.body); n != "" {
		bad("holds a national number")
	}
	structure(a, bad)
	if marked := sections(a); marked != nil && len(marked) != 1 && !strings.HasPrefix(name, "join") { // which belongs to none
		bad("the desk's navigation marks %q", marked)
	}
	return title
}

// sections are the addresses that the desk's navigation marks as where the reader is; nil
// where there is no such navigation.
func sections(a *answer) (marked []string) {
	for _, nav := range all(a.doc, "nav") {
		links := all(nav, "a")
		if len(links) == 0 || !slices.ContainsFunc(links, func(l *html.Node) bool { return strings.HasSuffix(attr(l, "href"), "/desk/absence") }) {
			continue
		}
		marked = []string{}
		for _, l := range links {
			if attr(l, "aria-current") == "page" {
				marked = append(marked, attr(l, "href"))
			}
		}
	}
	return marked
}

// Every page of the desk marks the section it belongs to: inspect holds each of the gallery
// to one mark, this says which.
func TestTheDeskMarksItsSection(t *testing.T) {
	w := newWorld(t)
	desk := w.clerk(orderstest.A, 1, staff.Administrator)
	o := w.Order(t, orderstest.A, 2)
	value := o.ID + " " + strings.Repeat("ab", 32)
	list, err := w.Service.Questions(ctx, orderstest.A)
	if err != nil || len(list) != 0 {
		t.Fatalf("%v, %v", list, err)
	}
	desk.post("/fr/desk/questions", url.Values{"label-fr": {"Bail"}, "text-fr": {"Votre bail ?"}}).to(t)
	if list, err = w.Service.Questions(ctx, orderstest.A); err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	for section, pages := range map[string][]*answer{
		"/fr/desk": {
			desk.get("/fr/desk"), desk.get("/fr/desk?show=late"), desk.get("/fr/desk/new"), desk.get("/fr/desk/ready"), desk.get("/fr/desk/letters"),
			desk.get("/fr/desk/orders/" + o.ID), desk.get("/fr/desk/orders/" + o.ID + "/ask"), desk.get("/fr/desk/orders/" + o.ID + "/refuse"), desk.get("/fr/desk/orders/none"),
			desk.post("/fr/desk/assign", url.Values{"to": {"clerk-1"}, "order": {o.ID + " "}}), desk.get(desk.post("/fr/desk/ready/begin", url.Values{"order": {value}}).to(t)),
		},
		"/fr/desk/absence": {desk.get("/fr/desk/absence"), desk.post("/fr/desk/absence", nil)},
		"/fr/desk/figures": {desk.get("/fr/desk/figures"), desk.get("/fr/desk/figures?year=2025")},
		"/fr/desk/staff": {
			desk.get("/fr/desk/staff"), desk.post("/fr/desk/staff/invite", nil), desk.get("/fr/desk/delegations"), desk.post("/fr/desk/delegations", nil),
			desk.get("/fr/desk/questions"), desk.get("/fr/desk/questions/" + list[0].ID), desk.post("/fr/desk/questions/"+list[0].ID, nil),
		},
	} {
		for i, a := range pages {
			if got := sections(a); !slices.Equal(got, []string{section}) {
				t.Errorf("%s, page %d (%d): marked %q", section, i, a.status, got)
			}
		}
	}
}

func structure(a *answer, bad func(string, ...any)) {
	ids := map[string]bool{}
	labels := map[string]bool{}
	walk(a.doc, func(n *html.Node) {
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				bad("two elements have the id %s", id)
			}
			ids[id] = true
		}
		if n.Data == "label" {
			labels[attr(n, "for")] = true
			if text(n) == "" {
				bad("an empty label")
			}
		}
		if has(n, "style") || n.Data == "style" || (n.Data == "script" && !has(n, "src")) {
			bad("something inline that the policy forbids: %s", n.Data)
		}
		for _, at := range n.Attr {
			if strings.HasPrefix(at.Key, "on") {
				bad("a handler in an attribute")
			}
		}
	})
	level := 0
	failed := false
	walk(a.doc, func(n *html.Node) {
		switch n.Data {
		case "input", "select", "textarea":
			if attr(n, "type") != "hidden" && !labels[attr(n, "id")] {
				bad("%s %q has no label", n.Data, attr(n, "name"))
			}
		case "h1", "h2", "h3", "h4":
			now := int(n.Data[1] - '0')
			if now > level+1 && level > 0 {
				bad("heading %q jumps from h%d to h%d", text(n), level, now)
			}
			level = now
		case "a":
			if text(n) == "" {
				bad("a link without text to %s", attr(n, "href"))
			}
			if id, ok := strings.CutPrefix(attr(n, "href"), "#"); ok && !ids[id] {
				bad("a link to #%s, which is not there", id)
			}
		case "button":
			if text(n) == "" {
				bad("a button without text")
			}
		case "th":
			if !has(n, "scope") {
				bad("a header cell without scope")
			}
		case "table":
			if len(all(n, "caption")) != 1 {
				bad("a table without caption")
			}
		case "iframe":
			if attr(n, "title") == "" {
				bad("a frame without title")
			}
		case "svg":
			if attr(n, "aria-hidden") != "true" && (attr(n, "role") != "img" || attr(n, "aria-label") == "") {
				bad("a picture that is neither hidden nor named")
			}
		}
		for _, id := range strings.Fields(attr(n, "aria-describedby") + " " + attr(n, "aria-labelledby")) {
			if !ids[id] {
				bad("%s is described by #%s, which is not there", n.Data, id)
			}
		}
		failed = failed || strings.Contains(attr(n, "class"), "govuk-error-summary__list")
	})
	prefix := strings.HasPrefix(text(all(a.doc, "title")[0]), strings.Join(strings.Fields(i18n.T(i18n.Language(attr(all(a.doc, "html")[0], "lang")), "page.error_prefix")), " "))
	if failed != prefix {
		bad("error summary %v, title says so %v", failed, prefix)
	}
}

// gallery opens every page of the portal in a language and hands each to show.
func gallery(w *world, l i18n.Language, show func(name string, a *answer)) {
	t := w.t
	at := func(path string) string { return "/" + string(l) + path }
	c := orderstest.A

	stranger := w.browser(c)
	show("home", stranger.get(at("/")))
	show("product", stranger.get(at("/documents/residence")))
	show("signed out", stranger.get(at("/signed-out")))
	for _, name := range []string{"contact", "help", "accessibility", "privacy"} {
		show(name, stranger.get(at("/"+name)))
	}
	show("not found", stranger.get(at("/nowhere")))
	show("cross-site", crossSite(stranger, at("/sign-out")))
	show("follow", stranger.get(at("/follow")))
	show("follow, errors", stranger.post(at("/follow"), url.Values{"code": {"x"}, "year": {"x"}}))
	show("follow, unknown", stranger.post(at("/follow"), url.Values{"code": {"2222-2222"}, "day": {"1"}, "month": {"2"}, "year": {"1990"}}))
	show("follow, lost", stranger.get(at("/follow/code")))
	show("follow, lost, errors", stranger.post(at("/follow/code"), nil))
	show("follow, sent", stranger.post(at("/follow/code"), url.Values{"email": {"a@example.be"}, "year": {"1990"}}))
	show("verify", stranger.get(at("/verify")))
	show("verify, errors", stranger.post(at("/verify"), url.Values{"number": {"x"}, "code": {"y"}}))
	show("verify, no file", stranger.upload(at("/verify/file"), nil))

	b, p := w.citizen(orderstest.B, 1+int(l[0])) // B issues in two languages: the form has a question
	show("home, signed in", b.get(at("/")))
	show("orders, none", b.get(at("/orders")))
	show("form", b.get(at("/documents/residence/form")))
	show("account", b.get(at("/account")))
	show("access, nobody", b.get(at("/account/access")))
	show("contact", b.get(at("/account/contact")))
	show("contact, errors", b.post(at("/account/contact"), url.Values{"contact": {"phone"}, "phone": {"12"}}))
	show("contact, none chosen", b.post(at("/account/contact"), nil))
	show("form, no address", b.post(at("/documents/residence/form"), url.Values{"contact": {"email"}}))
	show("papers, none", b.get(at("/papers")))
	show("form, errors", b.post(at("/documents/residence/form"), url.Values{"email": {"nobody"}}))
	b.post(at("/documents/residence/form"), url.Values{"email": {"somebody@example.be"}, "document_language": {"nl"}}).to(t)
	show("orders, a draft", b.get(at("/orders")))
	show("home, a draft", b.get(at("/")))
	show("form, kept", b.get(at("/documents/residence/form")))
	check := b.get(at("/documents/residence/check"))
	show("check", check)
	sent := b.post(at("/documents/residence/send"), url.Values{"key": {check.value("key")}}).to(t)
	show("sent", b.get(sent))
	show("account, known", b.get(at("/account")))
	show("contact, known", b.get(at("/account/contact")))
	show("orders", b.get(at("/orders")))
	id := strings.Split(sent, "/")[3]
	show("order, submitted", b.get(at("/orders/"+id)))
	show("cancel", b.get(at("/orders/"+id+"/cancel")))
	b.post(at("/orders/"+id+"/cancel"), nil).to(t)
	show("order, cancelled", b.get(at("/orders/"+id)))
	w.Register.Move(p, w.Home(c, p))
	show("elsewhere", b.get(at("/documents/residence/form")))
	w.Register.Fail(fault.New(fault.Unreachable, "register.down", errors.New("refused")))
	show("register down", b.get(at("/documents/residence/form")))
	w.Register.Fail(nil)

	gallerySteps(w, l, show)
	galleryFees(w, l, show)
	if l != i18n.English { // the desk has none
		show("join, nobody", stranger.get(at("/desk/join?code=ABCDE")))
		galleryDesk(w, l, show)
	}
}

// gallerySteps shows one person's order in each state, and its paper being checked.
func gallerySteps(w *world, l i18n.Language, show func(string, *answer)) {
	ctx, t, c := context.Background(), w.t, orderstest.A
	at := func(path string) string { return "/" + string(l) + path }
	n := 100 + int(l[0])
	o := w.Order(t, c, n)
	b := w.browser(c)
	b.signIn("/fr/orders", card(w.Person(c, n)))
	page := at("/orders/" + o.ID)
	o, err := w.Service.Prepare(ctx, c, o.ID, orderstest.Clerk(1))
	if err != nil {
		t.Fatal(err)
	}
	show("order, in review", b.get(page))
	if _, err := w.Service.Approve(ctx, c, o.ID, orderstest.Clerk(1), o.Paper.Content); err != nil {
		t.Fatal(err)
	}
	show("order, approved", b.get(page))
	w.Sealer.Silence(true)
	w.Work(t)
	show("order, stamp pending", b.get(page))
	w.Clock.Add(1) // the pages of one order have one title; only the state differs
	w.Sealer.Silence(false)
	w.Work(t)
	show("order, issued", b.get(page))
	show("papers", b.get(at("/papers")))
	show("access", b.get(at("/account/access")))
	b.signIn("/fr/orders", card(w.Person(c, n)))
	show("account, ended", b.get(at("/account?ended=1")))
	o = w.Get(t, c, o.ID)

	other := w.Order(t, c, n+1)
	if _, err := w.Service.Refuse(ctx, c, other.ID, orderstest.Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "Venez au guichet."}); err != nil {
		t.Fatal(err)
	}
	second := w.browser(c)
	second.signIn("/fr/orders", card(w.Person(c, n+1)))
	show("order, refused", second.get(at("/orders/"+other.ID)))

	file, err := w.Service.Document(ctx, c, o.ID, o.Subject)
	if err != nil {
		t.Fatal(err)
	}
	s := w.browser(c)
	good := verify.Report{Verdict: verify.Valid, Signer: "Commune de Beaumarais", SignedAt: orderstest.Noon, StampedAt: orderstest.Noon, StampedBy: "Horodatage"}
	show("result, valid", s.post(at("/verify"), url.Values{"number": {string(o.Paper.Number)}, "code": {o.Paper.Code}}))
	show("result, household", household(w, s, at, n+2))
	show("result, unknown", s.post(at("/verify"), url.Values{"number": {string(o.Paper.Number)}, "code": {"2222222222"}}))
	show("result, unknown token", s.get(at("/verify/AAAAAAAAAAAAAAAAAAAAAA")))
	w.checker.report = good
	show("result, valid file", s.upload(at("/verify/file"), file.Data))
	w.checker.err = errors.New("the child died")
	show("result, valid file unread", s.upload(at("/verify/file"), file.Data))
	show("file not read", s.upload(at("/verify/file"), []byte("%PDF-1.7 foreign")))
	w.checker.err = nil
	for _, v := range []verify.Verdict{verify.Valid, verify.Altered, verify.Untrusted, verify.Unsigned, verify.Unreadable, verify.Unclear} {
		w.checker.report = verify.Report{Verdict: v, Signer: "Somebody"}
		show("result, foreign file "+string(v), s.upload(at("/verify/file"), []byte("%PDF-1.7 foreign")))
	}
	w.checker.report = verify.Report{Verdict: verify.Extended, Signer: "Commune", Revisions: []blob.Digest{{1}, file.Digest}}
	show("result, extended", s.upload(at("/verify/file"), append(file.Data, "more"...)))
	w.checker.report.Verdict = verify.Altered
	show("result, altered", s.upload(at("/verify/file"), append(file.Data, "more"...)))
	if _, err := w.Service.Withdraw(ctx, c, o.ID, orderstest.Clerk(1), orders.FactsWrong, "Faux."); err != nil {
		t.Fatal(err)
	}
	show("order, withdrawn", b.get(page))
	show("papers, withdrawn", b.get(at("/papers")))
	show("document, withdrawn", b.get(page+"/document"))
	show("result, withdrawn", s.post(at("/verify"), url.Values{"number": {string(o.Paper.Number)}, "code": {o.Paper.Code}}))
	show("result, withdrawn and altered", s.upload(at("/verify/file"), append(file.Data, "more"...)))
	w.replace(o)
	show("order, replaced", b.get(page))
	show("result, replaced", s.post(at("/verify"), url.Values{"number": {string(o.Paper.Number)}, "code": {o.Paper.Code}}))
}

// galleryBatch shows several orders decided at once, where clerks may sign with their
// cards and where they must.
func galleryBatch(w *world, desk *browser, at func(string) string, prepared orders.Order, show func(string, *answer)) {
	t := w.t
	of, _ := w.cfg.Communes.ByID(orderstest.A)
	here, _ := w.Communes.ByID(orderstest.A)
	set := func(s commune.ClerkSignature) { of.ClerkSignature, here.ClerkSignature = s, s }
	show("ready", desk.get(at("/desk/ready")))
	show("ready, all", desk.get(at("/desk/ready?all=1")))
	show("ready, card again", desk.get(at("/desk/ready?again=1")))
	show("ready, none ticked", desk.post(at("/desk/ready/begin"), nil))
	show("ready, no hash", desk.post(at("/desk/ready/begin"), url.Values{"order": {prepared.ID}}))
	set(commune.RequiredClerkSignature)
	defer set(commune.NoClerkSignature)
	show("ready, to be signed", desk.get(at("/desk/ready")))
	show("desk order, to be signed", desk.get(at("/desk/orders/"+prepared.ID)))
	value := prepared.ID + " " + prepared.Paper.Content.String()
	show("batch, not without card", desk.get(desk.post(at("/desk/ready/begin"), url.Values{"order": {value}}).to(t)))
	batch := desk.post(at("/desk/ready/begin"), url.Values{"order": {value}, "way": {"sign"}}).to(t)
	show("batch", desk.get(batch))
	show("batch, card again", desk.get(batch+"?again=1"))
	show("batch, missing", desk.get(at("/desk/batches/none")))
}

// galleryThread shows what a person sees who is asked something.
func galleryThread(w *world, at func(string) string, o orders.Order, n int, show func(string, *answer)) {
	b := w.browser(o.Commune)
	b.signIn("/fr/orders", card(w.Person(o.Commune, n)))
	page := at("/orders/" + o.ID)
	show("order, asked", b.get(page))
	show("orders, asked", b.get(at("/orders")))
	show("order, no answer", b.write(page, 1, "", nil))
	show("order, wrong file", b.write(page, 1, "x", map[string][]byte{"a.pdf": []byte("x")}))
	b.write(page, 1, "Ceci.", map[string][]byte{"a.png": picture(w.t)}).to(w.t)
	show("order, answered", b.get(page))
}

// household is what whoever checks a household's paper is shown.
func household(w *world, s *browser, at func(string) string, n int) *answer {
	ctx, c := context.Background(), orderstest.A
	p, wife := w.Person(c, n), w.Person(c, n+1)
	wife.GivenNames = "Anne"
	w.Register.House(orderstest.Member(p, "reference"), orderstest.Member(wife, "spouse"))
	o, err := w.Service.Submit(ctx, c, p, w.FormOf(c, "household", i18n.French))
	if err == nil {
		o, err = w.Service.Prepare(ctx, c, o.ID, orderstest.Clerk(1))
	}
	if err == nil {
		o, err = w.Service.Approve(ctx, c, o.ID, orderstest.Clerk(1), o.Paper.Content)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.Work(w.t)
	a := s.post(at("/verify"), url.Values{"number": {string(o.Paper.Number)}, "code": {o.Paper.Code}})
	if !strings.Contains(text(a.doc), "Luc, Anne") || strings.Contains(text(a.doc), "Beffroi 12") {
		w.t.Errorf("a household's paper is shown as %s", text(a.doc))
	}
	return a
}

// galleryDesk shows the desk.
func galleryDesk(w *world, l i18n.Language, show func(string, *answer)) {
	ctx, t, c := context.Background(), w.t, orderstest.A
	at := func(path string) string { return "/" + string(l) + path }
	n := 200 + int(l[0])
	fresh := w.Order(t, c, n)
	me := orderstest.Clerk(1000 + int(l[0]))
	desk := w.clerk(c, 1000+int(l[0]), staff.Administrator)
	others, ready := w.Prepared(t, c, n+4), w.Prepared(t, c, n+1, me)
	galleryDelegations(w, desk, at, others, show)
	galleryEntry(w, desk, at, show)
	galleryFeeDesk(w, desk, at, show)
	galleryQuestions(w, l, desk, fresh, show)
	show("desk", desk.get(at("/desk")))
	show("desk, nothing found", desk.get(at("/desk?q=zzzz")))
	for _, tab := range []string{"mine", "team", "answered", "waiting", "in_review", "sealing", "register", "unpaid", "late", "closed"} {
		show("desk, "+tab, desk.get(at("/desk?show="+tab)))
	}
	show("desk, sorted", desk.get(at("/desk?sort=name&down=1&rows=200")))
	show("desk given", desk.post(at("/desk/assign"), url.Values{"order": {fresh.ID + " ", ready.ID + " "}, "to": {"clerk-" + fmt.Sprint(1000+int(l[0]))}}))
	show("desk order, taken", desk.get(at("/desk/orders/"+fresh.ID)))
	show("desk order, taken meanwhile", desk.post(at("/desk/orders/"+fresh.ID+"/assign"), url.Values{"seen": {"somebody"}}))
	show("desk given, to nobody", desk.post(at("/desk/assign"), url.Values{"order": {fresh.ID + " clerk-" + fmt.Sprint(1000+int(l[0]))}}))
	show("ask", desk.get(at("/desk/orders/"+fresh.ID+"/ask?template=call")))
	show("ask, no text", desk.post(at("/desk/orders/"+fresh.ID+"/ask"), nil))
	show("desk order, no note", desk.post(at("/desk/orders/"+fresh.ID+"/note"), nil))
	desk.post(at("/desk/orders/"+fresh.ID+"/note"), url.Values{"note": {"Note."}}).to(t)
	desk.post(at("/desk/orders/"+fresh.ID+"/ask"), url.Values{"text": {"Quoi ?"}}).to(t)
	show("desk order, waiting", desk.get(at("/desk/orders/"+fresh.ID)))
	galleryThread(w, at, fresh, n, show)
	show("desk order, answered", desk.get(at("/desk/orders/"+fresh.ID)))
	show("desk order, new", desk.get(at("/desk/orders/"+fresh.ID)))
	show("desk order, prepared", desk.get(at("/desk/orders/"+ready.ID)))
	show("desk order, card again", desk.get(at("/desk/orders/"+ready.ID+"?again=1")))
	show("refuse", desk.get(at("/desk/orders/"+ready.ID+"/refuse")))
	show("refuse, errors", desk.post(at("/desk/orders/"+ready.ID+"/refuse"), nil))
	show("refuse, no text", desk.post(at("/desk/orders/"+ready.ID+"/refuse"), url.Values{"ground": {"other"}}))
	show("approve without hash", desk.post(at("/desk/orders/"+ready.ID+"/approve"), nil))
	show("approve another content", desk.post(at("/desk/orders/"+ready.ID+"/approve"), url.Values{"content": {strings.Repeat("ab", 32)}}))
	galleryBatch(w, desk, at, ready, show)
	odd := special(w, n+2)
	show("desk order, attention", desk.get(at("/desk/orders/"+odd.ID)))
	show("desk order, no reason", desk.post(at("/desk/orders/"+odd.ID+"/prepare"), url.Values{"reason": {""}}))
	if _, err := w.Service.Approve(ctx, c, ready.ID, me, ready.Paper.Content); err != nil {
		t.Fatal(err)
	}
	show("somebody was first", desk.post(at("/desk/orders/"+ready.ID+"/approve"), url.Values{"content": {ready.Paper.Content.String()}}))
	show("desk order, approved", desk.get(at("/desk/orders/"+ready.ID)))
	w.Work(t)
	show("desk order, issued", desk.get(at("/desk/orders/"+ready.ID)))
	show("withdraw", desk.get(at("/desk/orders/"+ready.ID+"/withdrawal")))
	show("withdraw, card again", desk.get(at("/desk/orders/"+ready.ID+"/withdrawal?again=1")))
	show("withdraw, errors", desk.post(at("/desk/orders/"+ready.ID+"/withdrawal"), nil))
	show("withdraw, no words", desk.post(at("/desk/orders/"+ready.ID+"/withdrawal"), url.Values{"cause": {"other"}}))
	desk.post(at("/desk/orders/"+ready.ID+"/withdrawal"), url.Values{"cause": {"other"}, "words": {"Une faute."}}).to(t)
	show("desk order, withdrawn", desk.get(at("/desk/orders/"+ready.ID)))
	show("withdrawn by a colleague", desk.post(at("/desk/orders/"+ready.ID+"/withdrawal"), url.Values{"cause": {"other"}, "words": {"Une faute."}}))
	instead := desk.post(at("/desk/orders/"+ready.ID+"/replace"), nil).to(t)
	show("desk order, in the place of another", desk.get(instead))
	show("desk order, replaced", desk.get(at("/desk/orders/"+ready.ID)))
	show("replaced by a colleague", desk.post(at("/desk/orders/"+ready.ID+"/replace"), nil))
	show("desk order, missing", desk.get(at("/desk/orders/none")))

	show("staff", desk.get(at("/desk/staff")))
	show("staff, no name", desk.post(at("/desk/staff/invite"), url.Values{"role": {"clerk"}}))
	show("staff, invited", desk.post(at("/desk/staff/invite"), url.Values{"name": {"Wim"}, "role": {"clerk"}}))
	show("figures", desk.get(at("/desk/figures")))
	show("figures, a year without", desk.get(at("/desk/figures?year=2019")))
	show("absence", desk.get(at("/desk/absence")))
	show("absence, wrong", desk.post(at("/desk/absence"), url.Values{"from": {"x"}}))
	show("absence, no deputy", desk.post(at("/desk/absence"), url.Values{"from": {"2030-01-01"}, "to": {"2030-01-02"}}))
	show("join, already", desk.get(at("/desk/join?code=x")))
	b, _ := w.citizen(c, n+3)
	show("join, wrong", b.get(at("/desk/join?code=x")))
	show("join, no code", b.get(at("/desk/join")))
	show("desk, not staff", b.get(at("/desk")))
}

// special makes an order of somebody whose card and register name them differently.
func special(w *world, n int) orders.Order {
	p := w.Person(orderstest.A, n)
	home := w.Home(orderstest.A, p)
	home.Surname = "Autrement"
	w.Register.Move(p, home)
	o, err := w.Service.Submit(context.Background(), orderstest.A, p, w.Form(orderstest.A))
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func crossSite(b *browser, path string) *answer {
	r, _ := http.NewRequest("POST", path, nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Origin", "https://evil.example")
	return b.do(r)
}

func TestEveryPageInEveryLanguage(t *testing.T) {
	for _, l := range i18n.Languages {
		t.Run(string(l), func(t *testing.T) {
			w := newWorld(t, regimeOf[l])
			count, titles := 0, map[string]string{}
			gallery(w, l, func(name string, a *answer) {
				t.Helper()
				count++
				title := inspect(t, name, l, a)
				if a.status != 200 || strings.Contains(name, ",") { // another state of a page has its title
					return
				}
				if other := titles[title]; other != "" {
					t.Errorf("%q and %q share the title %q", name, other, title)
				}
				titles[title] = name
			})
			if least := map[bool]int{true: 35, false: 60}[l == i18n.English]; count < least {
				t.Errorf("only %d pages", count)
			}
		})
	}
}

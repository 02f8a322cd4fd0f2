package portal_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/rp/rptest"
	"github.com/belfry-eid/belfry/portal/staff"
)

// J8: somebody leaves half-way, signs in elsewhere, goes on at the first question without a
// good answer, and finds nothing left once it is sent.
func TestAFormIsLeftHalfWayAndGoneOnWithElsewhere(t *testing.T) {
	w := newWorld(t)
	at := "/nl/documents/residence/"
	b, p := w.citizen(orderstest.B, 1)
	b.get(at + "form")
	if said := text(b.get("/nl/orders").doc); strings.Contains(said, i18n.T("nl", "account.drafts.title")) {
		t.Error("looking at a form is no draft")
	}
	if to := b.post(at+"form", url.Values{"email": {"luc@exam"}, "document_language": {"nl"}, "later": {"1"}}).to(t); to != "/nl/orders#drafts" {
		t.Errorf("kept for later: to %s", to)
	}
	b.post("/nl/sign-out", nil)
	w.Clock.Add(3 * 24 * time.Hour)

	phone := w.browser(orderstest.B)
	list := phone.signIn("/nl/orders", card(p))
	if said := text(list.doc); !strings.Contains(said, i18n.T("nl", "account.drafts.title")) || !strings.Contains(said, "17 februari 2026") {
		t.Errorf("the list: %s", said)
	}
	if said := text(phone.get("/nl/").doc); !strings.Contains(said, i18n.T("nl", "account.drafts.continue")) {
		t.Error("the first page does not offer it")
	}
	if to := phone.get(at + "continue").to(t); to != at+"form#email" {
		t.Errorf("it goes on at %s", to)
	}
	if form := phone.get(at + "form"); form.value("email") != "luc@exam" || !strings.Contains(form.body, `value="nl" checked`) {
		t.Error("what was typed is lost")
	}
	phone.post(at+"form", url.Values{"email": {"luc@example.be"}, "document_language": {"nl"}}).to(t)
	tablet := w.browser(orderstest.B)
	tablet.signIn("/nl/orders", card(p))
	if to := tablet.get(at + "check").to(t); to != at+"continue" {
		t.Errorf("a new browser's check page leads to %s", to)
	}
	if to := tablet.get(at + "continue").to(t); to != at+"check" {
		t.Errorf("a complete one goes on at %s", to)
	}
	key := tablet.get(at + "check").value("key")
	sent := tablet.post(at+"send", url.Values{"key": {key}}).to(t)
	if said := text(tablet.get("/nl/orders").doc); strings.Contains(said, i18n.T("nl", "account.drafts.title")) {
		t.Error("the draft outlives its order")
	}
	// The first browser's page is still open: the same order, no second.
	if to := phone.post(at+"send", url.Values{"key": {key}}).to(t); to != sent {
		t.Errorf("sent from both, it leads to %s and %s", sent, to)
	}
	if a := phone.post(at+"form", url.Values{"email": {"other@example.be"}, "document_language": {"nl"}}); a.status != 409 {
		t.Errorf("changed after sending: %d", a.status)
	}
	if a := phone.get(at + "form"); a.status != 200 || a.value("email") == "other@example.be" {
		t.Errorf("a new form after that: %d", a.status)
	}
	mine, err := w.Service.Mine(ctx, orderstest.B, p.Subject)
	if err != nil || len(mine) != 1 {
		t.Errorf("%d orders, %v", len(mine), err)
	}
}

// What the page's script sends while its person types is kept as it is, and the answer says
// until when; after the order was sent it is not.
func TestAnswersAreKeptWhileTheyAreTyped(t *testing.T) {
	w := newWorld(t)
	b, p := w.citizen(orderstest.A, 1)
	form := b.get(residence + "form")
	if !strings.Contains(form.body, `data-autosave="Vos dernières`) {
		t.Error("the form does not ask for it")
	}
	auto := func(mail string) *answer {
		return b.post(residence+"form", url.Values{"contact": {"email"}, "email": {mail}, "auto": {"1"}})
	}
	if a := auto("luc@exam"); a.status != 200 || a.body != "Pas encore envoyé. Vos réponses sont gardées jusqu’au 17\u00a0février 2026" || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
		t.Errorf("%d %q", a.status, a.body)
	}
	other := w.browser(orderstest.A)
	other.signIn("/fr/orders", card(p))
	if to := other.get(residence + "continue").to(t); to != residence+"form#email" {
		t.Errorf("elsewhere it goes on at %s", to)
	}
	auto("luc@example.be")
	key := b.get(residence + "check").value("key")
	b.post(residence+"send", url.Values{"key": {key}}).to(t)
	auto("other@example.be").to(t)
	if d, err := w.Service.Drafts(ctx, orderstest.A, p); err != nil || len(d) != 0 {
		t.Errorf("kept after sending: %+v, %v", d, err)
	}
}

// A page that somebody left open keeps nothing of theirs for the next person at that browser.
func TestAnswersAreNotKeptForSomebodyElse(t *testing.T) {
	w := newWorld(t)
	first, _ := w.citizen(orderstest.A, 1)
	left := first.get(residence + "form")
	next, p := w.citizen(orderstest.A, 2)
	next.get(residence + "form")
	typed := url.Values{"contact": {"email"}, "email": {"first@example.be"}, "auto": {"1"}, "whose": {left.value("whose")}}
	if to := next.post(residence+"form", typed).to(t); left.value("whose") == "" || to != residence+"form" {
		t.Errorf("a page of %q leads to %s", left.value("whose"), to)
	}
	if d, err := w.Service.Drafts(t.Context(), orderstest.A, p); err != nil || len(d) != 0 {
		t.Errorf("kept for the next: %+v, %v", d, err)
	}
	if a := first.post(residence+"form", typed); a.status != 200 {
		t.Errorf("for whose page it is: %d", a.status)
	}
}

// A session that does not know that its form has made an order begins another.
func TestAFormThatWasSentElsewhereIsBegunAnew(t *testing.T) {
	w := newWorld(t)
	desk, p := w.citizen(orderstest.A, 1)
	at := "/fr/documents/residence/"
	desk.get(at + "form")
	desk.post(at+"form", url.Values{"contact": {"none"}}).to(t)
	phone := w.browser(orderstest.A)
	phone.signIn(at+"form", card(p)) // the same form
	check := desk.get(at + "check")
	desk.post(at+"send", url.Values{"key": {check.value("key")}}).to(t)
	phone.get(at + "form")
	if to := phone.post(at+"form", url.Values{"email": {"luc@example.be"}}).to(t); to != at+"check" {
		t.Errorf("another request leads to %s", to)
	}
	if key := phone.get(at + "check").value("key"); key == "" || key == check.value("key") {
		t.Error("two requests share a form")
	}
}

func TestADraftIsDiscarded(t *testing.T) {
	w := newWorld(t)
	b, _ := w.citizen(orderstest.A, 1)
	b.get(residence + "form")
	b.post(residence+"form", url.Values{"email": {"luc@example.be"}}).to(t)
	if to := b.post(residence+"discard", nil).to(t); to != "/fr/orders" {
		t.Errorf("to %s", to)
	}
	if a := b.get(residence + "form"); a.value("email") != "" {
		t.Error("what was discarded is still in the form")
	}
	if to := b.get(residence + "check").to(t); to != residence+"form" {
		t.Errorf("its check page leads to %s", to)
	}
}

func TestAPersonsPapers(t *testing.T) {
	w := newWorld(t)
	o := w.Issued(t, orderstest.A, 1)
	second := w.Withdrawn(t, orderstest.A, 1)
	b, _ := w.citizen(orderstest.A, 1)
	a := b.get("/fr/papers")
	said := text(a.doc)
	for _, want := range []string{string(o.Paper.Number), o.Paper.Code, string(second.Paper.Number), i18n.T("fr", "account.standing.valid"), i18n.T("fr", "account.standing.withdrawn")} {
		if !strings.Contains(said, strings.Join(strings.Fields(want), " ")) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if old := i18n.T("fr", "account.papers.again"); strings.Contains(said, old) {
		t.Error("a new paper is said to be old")
	}
	if strings.Count(a.body, `/document"`) != 1 {
		t.Error("the file of a withdrawn paper is offered, or that of a valid one is not")
	}
	w.Clock.Add(100 * 24 * time.Hour)
	b, _ = w.citizen(orderstest.A, 1)
	if said := text(b.get("/fr/papers").doc); strings.Count(said, i18n.T("fr", "account.papers.again")) != 1 {
		t.Error("nothing is said about the age of the paper that stands")
	}
}

func TestAPersonEndsASessionElsewhere(t *testing.T) {
	w := newWorld(t)
	here, p := w.citizen(orderstest.A, 1)
	signIn := func(agent string) *browser {
		b := w.browser(orderstest.A)
		b.agent = agent
		b.signIn("/fr/orders", card(p))
		return b
	}
	pc := signIn("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0")
	phone := signIn("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1")
	other, _ := w.citizen(orderstest.A, 2)
	a := here.get("/fr/account")
	said := text(a.doc)
	for _, want := range []string{"Firefox sur Windows", "Safari sur iPhone", i18n.T("fr", "account.device.unknown"), i18n.T("fr", "account.sessions.current")} {
		if !strings.Contains(said, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, secret := range []string{"140", "18_0", pc.cookies["__Host-session"], here.cookies["__Host-session"]} {
		if strings.Contains(a.body, secret) {
			t.Errorf("the page shows %q", secret)
		}
	}
	if to := other.post("/fr/account/sessions", url.Values{"id": {a.value("id")}}).to(t); to != "/fr/account?ended=1" {
		t.Errorf("to %s", to)
	}
	if pc.get("/fr/orders").status != 200 || phone.get("/fr/orders").status != 200 {
		t.Fatal("somebody else has ended a session")
	}
	here.post("/fr/account/sessions", url.Values{"others": {"1"}}).to(t)
	for name, b := range map[string]*browser{"pc": pc, "phone": phone} {
		if to := b.get("/fr/orders").to(t); !strings.Contains(to, "/sign-in") {
			t.Errorf("the %s goes on to %s", name, to)
		}
	}
	if here.get("/fr/account").status != 200 || other.get("/fr/account").status != 200 {
		t.Error("this session, or another person's, has ended")
	}
}

// A browser whose session its person has ended from elsewhere does not come back on what
// the provider remembers of it; who proves anew who they are does.
func TestWhatWasEndedElsewhereIsProvedAnew(t *testing.T) {
	w := newWorld(t)
	p := w.Person(orderstest.A, 1)
	at := func(session string) rptest.Person {
		who := card(p)
		who.Session, who.AuthTime = session, w.Clock.Now()
		return who
	}
	atPC, atHome := at("pc"), at("home")
	pc, home := w.browser(orderstest.A), w.browser(orderstest.A)
	if pc.signIn("/fr/orders", atPC).status != 200 || home.signIn("/fr/orders", atHome).status != 200 {
		t.Fatal("not signed in")
	}
	w.Clock.Add(10 * time.Minute)
	home.post("/fr/account/sessions", url.Values{"others": {"1"}}).to(t)
	if a := pc.signIn("/fr/orders", atPC); a.status == 200 {
		t.Error("the provider's memory alone signs it in again")
	}
	if pc.get("/fr/orders").status == 200 {
		t.Error("it has a session")
	}
	if a := pc.signIn("/fr/orders", at("pc")); a.status != 200 {
		t.Errorf("proved anew: %d %s", a.status, text(a.doc))
	}
	// Nothing else of the person's is touched, not the browser that asked either.
	home.post("/fr/sign-out", nil)
	if a := home.signIn("/fr/orders", atHome); a.status != 200 {
		t.Errorf("the browser that asked: %d", a.status)
	}
	if a := w.browser(orderstest.A).signIn("/fr/orders", at("phone")); a.status != 200 {
		t.Errorf("another one: %d", a.status)
	}
}

// A person sees that a clerk looked, and when; not who it was by name.
func TestAPersonSeesWhoLooked(t *testing.T) {
	w := newWorld(t)
	b, p := w.citizen(orderstest.A, 1)
	if said := text(b.get("/fr/account/access").doc); !strings.Contains(said, i18n.T("fr", "account.access.none")) {
		t.Error("somebody has looked at nothing")
	}
	o, err := w.Service.Submit(ctx, orderstest.A, p, w.Form(orderstest.A))
	if err != nil {
		t.Fatal(err)
	}
	desk := w.clerk(orderstest.A, 1, staff.Clerk)
	desk.get("/fr/desk/orders/" + o.ID)
	said := text(b.get("/fr/account/access").doc)
	if !strings.Contains(said, i18n.T("fr", orders.DidRead.Key())) || !strings.Contains(said, o.Reference) || !strings.Contains(said, "3 février 2026") || strings.Contains(said, "Claire") {
		t.Errorf("the page says %s", said)
	}
	// A long list comes in pieces that lead to each other.
	for range 60 {
		w.Clock.Add(time.Second)
		desk.get("/fr/desk/orders/" + o.ID)
	}
	next := ""
	for _, a := range all(b.get("/fr/account/access").doc, "a") {
		if attr(a, "rel") == "next" {
			next = attr(a, "href")
		}
	}
	older := b.get(next)
	if rows := len(all(older.doc, "tr")); next == "" || older.status != 200 || rows < 5 || rows > 20 || !strings.Contains(older.body, `href="/fr/account/access"`) || strings.Contains(older.body, `rel="next"`) {
		t.Errorf("%q: %d, %d rows: %s", next, older.status, rows, text(older.doc))
	}
}

// How somebody is told is asked once, offered the next time, and theirs to change.
func TestHowAPersonIsTold(t *testing.T) {
	w := newWorld(t)
	b, p := w.citizen(orderstest.A, 1)
	form := b.get(residence + "form")
	if strings.Contains(form.body, " checked") {
		t.Error("something is chosen for the person")
	}
	for given, want := range map[string]string{"": "#contact", "contact=phone": "#phone", "contact=phone&phone=12": "#phone", "contact=email&email=x": "#email"} {
		values, err := url.ParseQuery(given)
		if err != nil {
			t.Fatal(err)
		}
		if a := b.post(residence+"form", values); a.status != 422 || !strings.Contains(a.body, `href="`+want+`"`) {
			t.Errorf("%q: %d, the summary does not lead to %s", given, a.status, want)
		}
	}
	b.post(residence+"form", url.Values{"contact": {"phone"}, "phone": {"0470/12.34.56"}, "email": {"no@example.be"}}).to(t)
	check := b.get(residence + "check")
	if said := text(check.doc); !strings.Contains(said, "+32470123456") || strings.Contains(said, "no@example.be") {
		t.Errorf("the check page says %s", said)
	}
	b.post(residence+"send", url.Values{"key": {check.value("key")}}).to(t)
	mine, err := w.Service.Mine(ctx, orderstest.A, p.Subject)
	if err != nil || len(mine) != 1 {
		t.Fatalf("%d orders, %v", len(mine), err)
	}
	desk := w.clerk(orderstest.A, 1, staff.Clerk)
	if said := text(desk.get("/fr/desk/orders/" + mine[0].ID).doc); !strings.Contains(said, "+32470123456") {
		t.Error("the clerk does not see the number")
	}
	if a := b.get("/fr/documents/life/form"); a.value("phone") != "+32470123456" {
		t.Error("the next form does not offer it")
	}
	if to := b.post("/fr/account/contact", url.Values{"contact": {"email"}, "email": {"luc@example.be"}}).to(t); to != "/fr/account?kept=1" {
		t.Errorf("to %s", to)
	}
	if a := b.get("/fr/account"); !strings.Contains(text(a.doc), "luc@example.be") {
		t.Error("the page does not show the new choice")
	}
	b.post("/fr/account/contact", url.Values{"forget": {"1"}}).to(t)
	if a := b.get("/fr/documents/life/form"); a.value("email") != "" || strings.Contains(a.body, " checked") {
		t.Error("what was forgotten is offered")
	}
}

// What the person was told stands on the order's page, and whether it went.
func TestAPersonSeesWhatTheyWereTold(t *testing.T) {
	w := newWorld(t)
	o := w.Prepared(t, orderstest.A, 1)
	w.Work(t)
	w.Mail.Fail(fault.New(fault.Invalid, "mail.refused", nil))
	if _, err := w.Service.Refuse(ctx, orderstest.A, o.ID, orderstest.Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "Non."}); err != nil {
		t.Fatal(err)
	}
	w.Work(t)
	b, _ := w.citizen(orderstest.A, 1)
	said := text(b.get("/fr/orders/" + o.ID).doc)
	received, refused := strings.Index(said, i18n.T("fr", "account.told.received")), strings.Index(said, i18n.T("fr", "account.told.refused")+" "+i18n.T("fr", "account.told.failed"))
	if received < 0 || refused < received {
		t.Errorf("the page says %s", said)
	}
}

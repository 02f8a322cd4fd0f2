package portal_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/staff"
)

// Two clerks at one order: each sees the other, the order is one's, and whoever comes
// second hears who and when.
func TestTwoClerksMeetAtAnOrder(t *testing.T) {
	w := newWorld(t)
	o := w.Order(t, orderstest.A, 1)
	first, second := w.clerk(orderstest.A, 5, staff.Clerk), w.clerk(orderstest.A, 6, staff.Clerk)
	page := "/fr/desk/orders/" + o.ID
	if said := text(first.get(page).doc); strings.Contains(said, "a aussi ouvert") || !strings.Contains(said, "Je m’en occupe") {
		t.Errorf("the first sees %s", said)
	}
	shown := second.get(page)
	if said := text(shown.doc); !strings.Contains(said, "Claire 5 a aussi ouvert cette demande") {
		t.Errorf("the second does not see the first: %s", said)
	}
	if to := first.post(page+"/assign", url.Values{"seen": {""}, "to": {"clerk-5"}}).to(t); to != page {
		t.Errorf("taking leads to %s", to)
	}
	a := second.post(page+"/assign", url.Values{"seen": {shown.value("seen")}, "to": {"clerk-6"}})
	if said := text(a.doc); a.status != 409 || !strings.Contains(said, "Claire 5 s’occupe de cette demande depuis le 03/02/2026 12:00") {
		t.Errorf("%d %s", a.status, said)
	}
	if said := text(second.get("/fr/desk?show=mine").doc); strings.Contains(said, "Lambertb") {
		t.Error("the second has it too")
	}
	if said := text(first.get("/fr/desk?show=mine").doc); !strings.Contains(said, "Lambertb") {
		t.Errorf("the first has it not: %s", said)
	}
	if a := first.post(page+"/assign", url.Values{"seen": {"clerk-5"}, "to": {"somebody"}}); a.status != 404 {
		t.Errorf("given to somebody who does not work here: %d", a.status)
	}
	w.Clock.Add(4 * time.Minute)
	if said := text(second.get(page).doc); strings.Contains(said, "a aussi ouvert") || !strings.Contains(said, "Reprendre cette demande") {
		t.Errorf("long after: %s", said)
	}
}

// Several are given at once, each by itself: what changed meanwhile is named.
func TestSeveralAreGivenAtOnce(t *testing.T) {
	w := newWorld(t)
	free, taken := w.Order(t, orderstest.A, 1), w.Order(t, orderstest.A, 2)
	desk := w.clerk(orderstest.A, 5, staff.Clerk)
	w.clerk(orderstest.A, 6, staff.Clerk)
	form := url.Values{"to": {"clerk-6"}}
	for _, r := range all(desk.get("/fr/desk").doc, "input") {
		if attr(r, "name") == "order" {
			form.Add("order", attr(r, "value"))
		}
	}
	desk.post("/fr/desk/orders/"+taken.ID+"/assign", url.Values{"seen": {""}, "to": {"clerk-5"}}).to(t)
	said := text(desk.post("/fr/desk/assign", form).doc)
	if !strings.Contains(said, "1 demande est chez Claire 6") || !strings.Contains(said, "1 demande n’a pas changé de main") || !strings.Contains(said, "Claire 5 s’occupe de cette demande") {
		t.Errorf("the report says %s", said)
	}
	if got := w.Get(t, orderstest.A, free.ID).Assignee.Subject; got != "clerk-6" {
		t.Errorf("%q is on it", got)
	}
}

// The list goes on where the page before ended, in every order.
func TestTheInboxGoesOn(t *testing.T) {
	w := newWorld(t)
	for i := range 53 {
		w.Order(t, orderstest.A, i)
	}
	desk := w.clerk(orderstest.A, 5, staff.Clerk)
	next := func(a *answer) string {
		for _, l := range all(a.doc, "a") {
			if strings.Contains(text(l), "Demandes suivantes") {
				return attr(l, "href")
			}
		}
		return ""
	}
	rows := func(a *answer) int { return len(all(a.doc, "tr")) - 1 }
	for _, by := range []string{"", "&sort=name", "&sort=name&down=1", "&sort=sent", "&down=1"} {
		a := desk.get("/fr/desk?show=open" + by)
		b := desk.get(next(a))
		if rows(a) != 50 || rows(b) != 3 || next(b) != "" {
			t.Errorf("%q: %d rows, then %d, then %q", by, rows(a), rows(b), next(b))
		}
		if a := desk.get("/fr/desk?rows=200" + by); rows(a) != 53 {
			t.Errorf("%q: %d rows of 200", by, rows(a))
		}
	}
	if a := desk.get("/fr/desk?after=nothing"); a.status != 400 {
		t.Errorf("after nothing: %d", a.status)
	}
}

// One order that is not there, or not this commune's, stops none of the others: each has its
// line, when they are given away and when they are approved.
func TestAnUnknownOrderStopsNoOther(t *testing.T) {
	w := newWorld(t)
	desk := w.clerk(orderstest.A, 5, staff.Approver)
	one, two, foreign := w.Prepared(t, orderstest.A, 1, orderstest.Clerk(5)), w.Prepared(t, orderstest.A, 2, orderstest.Clerk(5)), w.Prepared(t, orderstest.B, 3)
	ids := []string{one.ID, "none", foreign.ID, two.ID}
	lines := func(a *answer) (list []string) {
		for _, tr := range all(a.doc, "tr")[1:] {
			list = append(list, text(tr))
		}
		return list
	}
	w.clerk(orderstest.A, 6, staff.Clerk)
	give := url.Values{"to": {"clerk-6"}}
	approve := url.Values{}
	for _, id := range ids {
		give.Add("order", id+" clerk-5")
		approve.Add("order", id+" "+one.Paper.Content.String())
	}
	approve["order"][3] = two.ID + " " + two.Paper.Content.String()
	for name, c := range map[string]struct {
		a    *answer
		done string
	}{
		"given":    {desk.post("/fr/desk/assign", give), "Confiée"},
		"approved": {desk.get(desk.post("/fr/desk/ready/begin", approve).to(t)), "Approuvé"},
	} {
		got := lines(c.a)
		if c.a.status != 200 || len(got) != 4 {
			t.Fatalf("%s: %d %s", name, c.a.status, text(c.a.doc))
		}
		for i, line := range got {
			known := i == 0 || i == 3
			if strings.Contains(line, "Lambert") != known || strings.HasSuffix(line, c.done) != known || strings.Contains(line, "Cette commune n’a pas de demande de ce numéro") == known {
				t.Errorf("%s, line %d: %s", name, i, line)
			}
		}
		if strings.Contains(c.a.body, foreign.Reference) || strings.Contains(c.a.body, foreign.ID) {
			t.Errorf("%s: the report tells of another commune's order", name)
		}
	}
	for _, o := range []orders.Order{one, two} {
		if now := w.Get(t, orderstest.A, o.ID); now.Assignee.Subject != "clerk-6" || now.State != orders.Approved {
			t.Errorf("%q is on it, %s", now.Assignee.Subject, now.State)
		}
	}
	if now := w.Get(t, orderstest.B, foreign.ID); now.Assignee.Subject == "clerk-6" || now.State != orders.InReview {
		t.Errorf("the other commune's: %q, %s", now.Assignee.Subject, now.State)
	}
}

// What is ticked at once has a bound, for giving away as for approving: nothing of more is done.
func TestNobodyGivesAwayMoreThanAPageShows(t *testing.T) {
	w := newWorld(t)
	o := w.Order(t, orderstest.A, 1)
	desk := w.clerk(orderstest.A, 5, staff.Clerk)
	form := url.Values{"to": {"clerk-5"}, "order": {o.ID + " "}}
	for range 100 {
		form.Add("order", o.ID+" ")
	}
	if a := desk.post("/fr/desk/assign", form); a.status != 400 || !w.Get(t, orderstest.A, o.ID).Assignee.IsZero() {
		t.Errorf("%d: %s", a.status, text(a.doc))
	}
	form["order"] = form["order"][1:]
	if a := desk.post("/fr/desk/assign", form); a.status != 200 || w.Get(t, orderstest.A, o.ID).Assignee.Subject != "clerk-5" {
		t.Errorf("a hundred: %d", a.status)
	}
}

// Whoever prepares does not decide, and does not see where to.
func TestAClerkPreparesAndAnApproverDecides(t *testing.T) {
	w := newWorld(t)
	o := w.Order(t, orderstest.A, 1)
	boss, desk := w.clerk(orderstest.A, 4, staff.Administrator), w.clerk(orderstest.A, 5, staff.Clerk)
	at := "/fr/desk/orders/" + o.ID
	desk.post(at+"/prepare", nil).to(t)
	page := desk.get(at)
	if said := text(page.doc); !strings.Contains(said, "un approbateur doit encore décider") || strings.Contains(page.body, "/approve") || strings.Contains(page.body, "/refuse") || !strings.Contains(page.body, "/preview") {
		t.Errorf("the page offers a decision: %s", said)
	}
	content := w.Get(t, orderstest.A, o.ID).Paper.Content.String()
	for path, form := range map[string]url.Values{
		at + "/approve": {"content": {content}}, at + "/refuse": {"ground": {"other"}, "text": {"non"}},
		"/fr/desk/ready/begin": {"order": {o.ID + " " + content}}, "/fr/desk/staff/role": {"subject": {"clerk-5"}, "role": {"administrator"}},
	} {
		if a := desk.post(path, form); a.status != 403 {
			t.Errorf("a clerk at %s: %d", path, a.status)
		}
	}
	if a := desk.get("/fr/desk/ready"); a.status != 403 || strings.Contains(desk.get("/fr/desk").body, "/desk/ready") {
		t.Errorf("the list of what is ready: %d", a.status)
	}
	boss.post("/fr/desk/staff/role", url.Values{"subject": {"clerk-5"}, "role": {"approver"}}).to(t)
	desk.post(at+"/approve", url.Values{"content": {content}}).to(t)
	if a := boss.post("/fr/desk/staff/role", url.Values{"subject": {"clerk-4"}, "role": {"clerk"}}); a.status != 403 || !strings.Contains(text(a.doc), "dernier administrateur") {
		t.Errorf("the last administrator: %d", a.status)
	}
}

// While somebody is away their orders are their deputy's too.
func TestADeputySeesWhatSomebodyAwayHasInHand(t *testing.T) {
	w := newWorld(t)
	o := w.Order(t, orderstest.A, 1)
	boss, away, deputy := w.clerk(orderstest.A, 4, staff.Administrator), w.clerk(orderstest.A, 5, staff.Clerk), w.clerk(orderstest.A, 6, staff.Clerk)
	away.post("/fr/desk/orders/"+o.ID+"/assign", url.Values{"seen": {""}, "to": {"clerk-5"}}).to(t)
	form := url.Values{"deputy": {"clerk-6"}, "from": {"2026-02-03"}, "to": {"2026-02-20"}}
	if a := away.post("/fr/desk/absence", url.Values{"deputy": {""}, "from": {"2026-02-03"}, "to": {"2026-02-20"}}); a.status != 422 || !strings.Contains(text(a.doc), "Choisissez un collègue") {
		t.Errorf("without a deputy: %d", a.status)
	}
	away.post("/fr/desk/absence", form).to(t)
	form.Set("subject", "clerk-4")
	if a := deputy.post("/fr/desk/absence", form); a.status != 403 {
		t.Errorf("a clerk says that somebody else is away: %d", a.status)
	}
	if said := text(deputy.get("/fr/desk?show=mine").doc); !strings.Contains(said, "Les miennes (1)") || !strings.Contains(said, "Lambertb") {
		t.Errorf("the deputy has %s", said)
	}
	if said := text(deputy.get("/fr/desk/orders/" + o.ID).doc); !strings.Contains(said, "Absent jusqu’au 20 février 2026, remplacé par Claire 6") {
		t.Errorf("the order says %s", said)
	}
	boss.post("/fr/desk/absence/end", url.Values{"subject": {"clerk-5"}}).to(t)
	if said := text(deputy.get("/fr/desk?show=mine").doc); !strings.Contains(said, "Les miennes (0)") {
		t.Errorf("afterwards the deputy has %s", said)
	}
}

// The figures as a page, and as a file that a spreadsheet reads.
func TestFiguresAreReadAndTaken(t *testing.T) {
	w := newWorld(t)
	w.Issued(t, orderstest.A, 1)
	w.Order(t, orderstest.A, 2)
	w.Order(t, orderstest.B, 3)
	w.Enters(t, orderstest.A, 8, orders.Entry{Channel: orders.Counter, Identified: orders.CardSeen})
	w.Enters(t, orderstest.A, 9, orders.Entry{Channel: orders.Phone, Identified: orders.CalledBack})
	boss, desk := w.clerk(orderstest.A, 4, staff.Administrator), w.clerk(orderstest.A, 5, staff.Clerk)
	a := desk.get("/fr/desk/figures")
	if said := text(a.doc); !strings.Contains(said, "Demandes reçues en 2026 : 4 ; dans le délai promis : 1, en retard : 0") || strings.Contains(said, "par agent") {
		t.Errorf("the page says %s", said)
	}
	if said := text(boss.get("/fr/desk/figures").doc); !strings.Contains(said, "En cours, par agent") {
		t.Errorf("the administrator reads %s", said)
	}
	for _, c := range []struct {
		desk           *browser
		language, want string
	}{
		{desk, "fr", "\ufeffMois;Document;Reçues;En ligne;Au guichet;Par téléphone;Par courrier;Délivrées;Refusées;Retirées;En cours;Dans le délai;En retard;Dans le délai (%);Délai médian (heures);90e centile (heures)\r\n2026-02;Certificat de résidence principale;4;2;1;1;0;1;0;0;3;1;0;100,0;0,0;0,0\r\n"},
		{w.clerk(orderstest.B, 7, staff.Clerk), "nl", "\ufeffMaand;Document;Ontvangen;Online;Aan het loket;Telefonisch;Per post;Afgeleverd;Geweigerd;Ingetrokken;Lopend;Binnen de termijn;Te laat;Binnen de termijn (%);Mediane termijn (uren);90e percentiel (uren)\r\n2026-02;Attest van hoofdverblijfplaats;1;1;0;0;0;0;0;0;1;0;0;;;\r\n"},
	} {
		f := c.desk.get("/" + c.language + "/desk/figures/file?year=2026")
		if f.body != c.want || !strings.HasSuffix(f.header.Get("Content-Disposition"), "-2026.csv") || f.header.Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Errorf("%s: %q %v", c.language, f.body, f.header)
		}
	}
	if said := text(desk.get("/fr/desk/figures?year=99999").doc); !strings.Contains(said, "Chiffres 2026") {
		t.Errorf("a year that is none: %s", said)
	}
}

// What waits for a register is said in words, and has a list of its own while there is any.
func TestTheInboxSaysWhatWaitsForARegister(t *testing.T) {
	w := newWorld(t)
	desk := w.clerk(orderstest.A, 1, staff.Approver)
	plain := w.Order(t, orderstest.A, 2)
	if a := desk.get("/fr/desk"); strings.Contains(a.body, "show=register") || strings.Contains(text(a.doc), "registre") {
		t.Errorf("nothing waits: %s", text(a.doc))
	}
	w.Goes(t, orderstest.A, commune.FromSource)
	w.Source.Fail(fault.New(fault.Unreachable, "way.source.down", nil))
	waits := w.Order(t, orderstest.A, 3)
	w.Work(t)
	if said := text(desk.get("/fr/desk").doc); !strings.Contains(said, "Au registre (1)") || !strings.Contains(said, "Attend la réponse du registre") {
		t.Errorf("the inbox: %s", said)
	}
	if said := text(desk.get("/fr/desk?show=register").doc); !strings.Contains(said, waits.Reference) || strings.Contains(said, plain.Reference) {
		t.Errorf("the list: %s", said)
	}
	w.Source.Fail(fault.New(fault.Forbidden, "way.source.none", nil))
	w.Work(t)
	if said := text(desk.get("/fr/desk?show=register").doc); !strings.Contains(said, "Le registre n’a pas donné le document : à joindre") {
		t.Errorf("the source has failed: %s", said)
	}
}

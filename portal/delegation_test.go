package portal_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/delegation"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/staff"
)

func galleryDelegations(w *world, desk *browser, at func(string) string, others orders.Order, show func(string, *answer)) {
	show("desk order, in a colleague's name", desk.get(at("/desk/orders/"+others.ID)))
	show("delegations", desk.get(at("/desk/delegations")))
	show("delegations, errors", desk.post(at("/desk/delegations"), nil))
	show("delegation that is not there", desk.post(at("/desk/delegations/end"), url.Values{"id": {"x"}}))
	me := clerkCard(1000 + int(at("/")[1]))
	w.Clock.Add(-48 * time.Hour) // nobody's delegation has begun; nor has the session
	show("desk order, nobody may sign", desk.signIn(at("/desk/orders/"+others.ID), me))
	w.Clock.Add(48 * time.Hour)
	desk.signIn(at("/desk"), me)
}

// An administrator records what was decided, a colleague signs by it, and no longer once
// it is ended; whose name the paper bears, the page says before anything is approved.
func TestOnlyDelegatesApprove(t *testing.T) {
	w := newWorld(t)
	boss := w.clerk(orderstest.A, 1, staff.Administrator)
	newcomer := w.clerk(orderstest.A, 30, staff.Approver)
	if a := newcomer.get("/fr/desk/delegations"); a.status != 403 {
		t.Errorf("a clerk sees the delegations: %d", a.status)
	}
	if a := newcomer.post("/fr/desk/delegations", url.Values{"member": {orderstest.Clerk(30).Subject}, "office": {"mayor"}, "product": {"all"}, "from": {"2026-02-03"}, "decision": {"moi-même"}}); a.status != 403 {
		t.Errorf("a clerk gives themselves a delegation: %d", a.status)
	}
	list, err := w.Delegations.InForce(ctx, orderstest.A, "residence", "2026-02-03")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if d.Subject == orderstest.Clerk(30).Subject {
			boss.post("/fr/desk/delegations/end", url.Values{"id": {d.ID}}).to(t)
		}
	}
	o := w.Prepared(t, orderstest.A, 1)
	page, hash := "/fr/desk/orders/"+o.ID, o.Paper.Content.String()
	shown := newcomer.get(page)
	if said := text(shown.doc); !strings.Contains(said, "porte le nom de Claire 1") || strings.Contains(shown.body, page+"/approve") || strings.Contains(said, "Préparer de nouveau à mon nom") {
		t.Errorf("a clerk without delegation sees: %s", said)
	}
	if a := newcomer.post(page+"/approve", url.Values{"content": {hash}}); a.status != 409 {
		t.Errorf("a clerk without delegation approves: %d", a.status)
	}

	form := url.Values{"member": {orderstest.Clerk(30).Subject}, "office": {"registrar"}, "product": {"residence"}, "from": {"2026-02-03"}, "to": {"2026-02-04"}, "decision": {"Arrêté du 2 février, n° 7"}}
	boss.post("/fr/desk/delegations", form).to(t)
	if said := text(boss.get("/fr/desk/delegations").doc); !strings.Contains(said, "Arrêté du 2 février, n° 7") || !strings.Contains(said, "Finie le 3 février 2026") {
		t.Errorf("on record: %s", said)
	}
	if said := text(newcomer.get(page).doc); !strings.Contains(said, "Préparer de nouveau à mon nom") {
		t.Errorf("a delegate is not shown the way: %s", said)
	}
	newcomer.post(page+"/prepare", url.Values{"signatory": {orderstest.Clerk(30).Subject}}).to(t)
	now := w.Get(t, orderstest.A, o.ID)
	if d := w.Renderer.Last().Signatory; d.Name != "Claire 30" || d.Mention != "Pour l’Officier de l’état civil, l’agent délégué" {
		t.Errorf("the paper bears %+v", d)
	}
	newcomer.post(page+"/approve", url.Values{"content": {now.Paper.Content.String()}}).to(t)
	w.Work(t)
	s := w.browser(orderstest.A)
	if said := text(s.post("/fr/verify", url.Values{"number": {string(now.Paper.Number)}, "code": {now.Paper.Code}}).doc); !strings.Contains(said, "l’agent délégué Claire 30") {
		t.Errorf("a stranger reads: %s", said)
	}
}

// Whoever is removed takes no delegation along: invited again, they sign nothing until
// somebody records it anew, and meanwhile nobody prepares papers in their name.
func TestADelegationEndsWithTheMembership(t *testing.T) {
	w := newWorld(t)
	boss := w.clerk(orderstest.A, 1, staff.Administrator)
	w.clerk(orderstest.A, 30, staff.Approver)
	stands := func() bool {
		list, err := w.Delegations.InForce(ctx, orderstest.A, "residence", "2026-02-03")
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(list, func(d delegation.Delegation) bool { return d.Subject == orderstest.Clerk(30).Subject })
	}
	if !stands() {
		t.Fatal("nothing to end")
	}
	boss.post("/fr/desk/staff/remove", url.Values{"subject": {orderstest.Clerk(30).Subject}}).to(t)
	if stands() {
		t.Error("it outlives the membership")
	}
}

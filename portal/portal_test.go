package portal_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/portal/visit"
)

var ctx = context.Background()

func TestAPersonOrdersAndTheCommuneIssues(t *testing.T) {
	w := newWorld(t)
	p := w.Person(orderstest.A, 1)
	b := w.browser(orderstest.A)
	if a := b.get("/"); a.to(t) != "/fr/" {
		t.Errorf("the commune's first language is French, not %s", a.header.Get("Location"))
	}
	form := b.signIn("/fr/documents/residence/form", card(p))
	if said := text(form.doc); !strings.Contains(said, "Rue du Beffroi 12") || !strings.Contains(said, "Lu sur votre carte") || !strings.Contains(said, "Registre national") {
		t.Errorf("the form does not show what is known and from where: %s", said)
	}
	if to := b.post("/fr/documents/residence/form", url.Values{"email": {"luc@example.be"}}).to(t); to != "/fr/documents/residence/check" {
		t.Fatalf("the form leads to %s", to)
	}
	check := b.get("/fr/documents/residence/check")
	if said := text(check.doc); !strings.Contains(said, "luc@example.be") || !strings.Contains(said, "Modifier") || !strings.Contains(said, "Gratuit") {
		t.Errorf("the check page lacks something: %s", said)
	}
	sent := b.get(b.post("/fr/documents/residence/send", url.Values{"key": {check.value("key")}}).to(t))
	mine, err := w.Service.Mine(ctx, orderstest.A, p.Subject)
	if err != nil || len(mine) != 1 {
		t.Fatalf("%d orders, %v", len(mine), err)
	}
	o := mine[0]
	if said := text(sent.doc); !strings.Contains(said, o.Reference) || !strings.Contains(said, "6 février 2026") {
		t.Errorf("the confirmation names neither reference nor day: %s", said)
	}

	desk := w.clerk(orderstest.A, 1, staff.Approver)
	if a := desk.get("/fr/desk"); !strings.Contains(text(a.doc), p.Surname) {
		t.Error("the order is not in the inbox")
	}
	if to := desk.post("/fr/desk/orders/"+o.ID+"/prepare", nil).to(t); to != "/fr/desk/orders/"+o.ID+"#preview" {
		t.Fatalf("preparing leads to %s", to)
	}
	review := desk.get("/fr/desk/orders/" + o.ID)
	hash := review.value("content")
	if now := w.Get(t, orderstest.A, o.ID); hash == "" || now.Paper.Content.String() != hash {
		t.Errorf("the page shows hash %q", hash)
	}
	preview := desk.get("/fr/desk/orders/" + o.ID + "/preview")
	if preview.header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(preview.body, "%PDF") || preview.header.Get("Content-Security-Policy") != "frame-ancestors 'self'" {
		t.Errorf("preview: %v", preview.header)
	}
	if !strings.Contains(review.header.Get("Content-Security-Policy"), "frame-src 'self'") {
		t.Error("the page may not show its preview")
	}
	desk.post("/fr/desk/orders/"+o.ID+"/approve", url.Values{"content": {hash}}).to(t)
	w.Work(t)

	if a := b.get("/fr/orders/" + o.ID); !strings.Contains(text(a.doc), "Votre document est prêt") {
		t.Errorf("not ready: %s", text(a.doc))
	}
	file := b.get("/fr/orders/" + o.ID + "/document")
	if !strings.HasPrefix(file.body, "%PDF") || !strings.HasPrefix(file.header.Get("Content-Disposition"), "attachment;") || file.header.Get("Cache-Control") != "no-store" {
		t.Errorf("download: %d %v", file.status, file.header)
	}
	for _, text := range []string{w.log.String(), w.Log.String()} {
		if strings.Contains(text, p.Number.Reveal()) || strings.Contains(text, o.ID) || strings.Contains(text, p.Surname) {
			t.Error("a log names a person or an address with an order's id")
		}
	}
}

func TestAFormSentTwiceIsOneOrder(t *testing.T) {
	w := newWorld(t)
	b, p := w.citizen(orderstest.A, 1)
	b.get("/fr/documents/residence/form")
	b.post("/fr/documents/residence/form", url.Values{"contact": {"none"}}).to(t)
	key := b.get("/fr/documents/residence/check").value("key")
	var wait sync.WaitGroup
	places := make([]string, 20)
	for i := range places {
		wait.Go(func() {
			again := &browser{world: w, host: b.host, cookies: map[string]string{"__Host-session": b.cookies["__Host-session"]}}
			a := again.post("/fr/documents/residence/send", url.Values{"key": {key}})
			places[i] = a.header.Get("Location")
		})
	}
	wait.Wait()
	mine, err := w.Service.Mine(ctx, orderstest.A, p.Subject)
	if err != nil || len(mine) != 1 {
		t.Fatalf("%d orders, %v", len(mine), err)
	}
	for _, place := range places {
		if place != "/fr/orders/"+mine[0].ID+"/sent" {
			t.Errorf("a click led to %q", place)
		}
	}
	// Without the form's key, or with one that is nobody's, nothing is sent; the same key at
	// the form of another paper makes no second order.
	for _, bad := range []url.Values{nil, {"key": {""}}, {"key": {"x"}}, {"key": {strings.Repeat("k", 5000)}}} {
		if a := b.post("/fr/documents/household/send", bad); a.status < 300 || a.status >= 500 || strings.HasSuffix(a.header.Get("Location"), "/sent") {
			t.Errorf("%.20v: %d to %s", bad, a.status, a.header.Get("Location"))
		}
	}
	if again := b.post("/fr/documents/household/send", url.Values{"key": {key}}); again.header.Get("Location") != places[0] {
		t.Errorf("the key of another paper's form: %d to %s", again.status, again.header.Get("Location"))
	}
	if again := b.post("/fr/documents/residence/send", url.Values{"key": {key}}); again.header.Get("Location") != places[0] {
		t.Errorf("reloaded, the answer is %d to %s", again.status, again.header.Get("Location"))
	}
	if mine, err = w.Service.Mine(ctx, orderstest.A, p.Subject); err != nil || len(mine) != 1 {
		t.Fatalf("%d orders, %v", len(mine), err)
	}
	t.Logf("%d times sent at once, then again: %d order", len(places), len(mine))
	if to := b.post("/fr/documents/residence/form", url.Values{"email": {"new@example.be"}}).to(t); to != "/fr/orders/"+mine[0].ID {
		t.Errorf("the back button leads to %s", to)
	}
	b.get("/fr/documents/residence/form")
	if again := b.get("/fr/documents/residence/form"); again.status != 200 {
		t.Errorf("a new order cannot be begun: %d", again.status)
	}
}

// endpoints are all addresses that show or change something of an order, a person or the staff.
func endpoints(o orders.Order, content string) []*http.Request {
	get := func(path string) *http.Request { return httptest.NewRequest("GET", path, nil) }
	post := func(path string, form url.Values) *http.Request {
		r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		return r
	}
	return []*http.Request{
		get("/fr/orders"), get("/fr/orders/" + o.ID), get("/fr/orders/" + o.ID + "/sent"), get("/fr/orders/" + o.ID + "/document"),
		get("/fr/orders/" + o.ID + "/cancel"), post("/fr/orders/"+o.ID+"/cancel", nil),
		get("/fr/papers"), get("/fr/account"), get("/fr/account/access"), get("/fr/account/contact"), post("/fr/account/contact", url.Values{"forget": {"1"}}), post("/fr/account/sessions", url.Values{"others": {"1"}}),
		get("/fr/documents/residence/continue"), post("/fr/documents/residence/discard", nil),
		get("/fr/documents/residence/form"), get("/fr/documents/residence/check"), post("/fr/documents/residence/send", url.Values{"key": {orders.NewKey()}}),
		get("/fr/desk"), get("/fr/desk?show=closed"), get("/fr/desk?q=" + o.Reference), get("/fr/desk/orders/" + o.ID), get("/fr/desk/orders/" + o.ID + "/preview"),
		post("/fr/desk/orders/"+o.ID+"/prepare", nil), post("/fr/desk/orders/"+o.ID+"/approve", url.Values{"content": {content}}),
		get("/fr/desk/orders/" + o.ID + "/refuse"), post("/fr/desk/orders/"+o.ID+"/refuse", url.Values{"ground": {"other"}, "text": {"non"}}),
		get("/fr/orders/" + o.ID + "/message"), post("/fr/orders/"+o.ID+"/message", nil), get("/fr/orders/" + o.ID + "/files/1/1"), get("/fr/desk/orders/" + o.ID + "/files/1/1"),
		get("/fr/desk/orders/" + o.ID + "/ask"), post("/fr/desk/orders/"+o.ID+"/ask", url.Values{"text": {"Quoi ?"}}), post("/fr/desk/orders/"+o.ID+"/resume", nil), post("/fr/desk/orders/"+o.ID+"/note", url.Values{"note": {"Zoé"}}),
		get("/fr/desk?show=mine"), post("/fr/desk/orders/"+o.ID+"/assign", url.Values{"seen": {o.Assignee.Subject}}), post("/fr/desk/assign", url.Values{"order": {o.ID + " " + o.Assignee.Subject}}),
		get("/fr/desk/orders/" + o.ID + "/withdrawal"), post("/fr/desk/orders/"+o.ID+"/withdrawal", url.Values{"cause": {"other"}, "words": {"non"}}),
		post("/fr/desk/orders/"+o.ID+"/replace", nil), post("/fr/desk/orders/"+o.ID+"/mandate", nil),
		get("/fr/desk/new"), get("/fr/desk/new/check"), post("/fr/desk/new/permission", nil), post("/fr/desk/new/card", nil),
		get("/fr/desk/ready"), post("/fr/desk/ready/begin", url.Values{"order": {o.ID + " " + content}, "way": {"approve"}}),
		post("/fr/desk/ready/begin", url.Values{"order": {o.ID + " " + content}, "way": {"sign"}}),
		get("/fr/desk/batches/none"), post("/fr/desk/batches/none/prepare", nil), post("/fr/desk/batches/none/finish", nil), post("/fr/desk/batches/none/failed", nil),
		get("/fr/desk/figures"), get("/fr/desk/figures/file"), get("/fr/desk/absence"), post("/fr/desk/absence", url.Values{"subject": {"clerk-1"}, "deputy": {"clerk-7"}, "from": {"2026-02-03"}, "to": {"2026-03-03"}}), post("/fr/desk/absence/end", url.Values{"subject": {"clerk-1"}}),
		post("/fr/desk/staff/role", url.Values{"subject": {"clerk-1"}, "role": {"clerk"}}),
		get("/fr/desk/staff"), post("/fr/desk/staff/invite", url.Values{"name": {"X"}, "role": {"clerk"}}),
		get("/fr/desk/orders/" + o.ID + "/standing"), get("/fr/desk/orders/" + o.ID + "/paper"), get("/fr/desk/new"), get("/fr/desk/new/check"),
		post("/fr/desk/new", url.Values{"way": {"counter card_seen"}, "number": {orderstest.Number(1).Reveal()}, "product": {"residence"}}),
		get("/fr/desk/delegations"), post("/fr/desk/delegations", url.Values{"member": {"clerk-1"}}), post("/fr/desk/delegations/end", url.Values{"id": {"x"}}),
		post("/fr/desk/staff/remove", url.Values{"subject": {"clerk-1"}}), post("/fr/desk/staff/withdraw", url.Values{"id": {"x"}}),
		post("/fr/verify", url.Values{"number": {"2026-000001"}, "code": {"2222222222"}}),
	}
}

// What belongs to commune A is neither shown nor changed by any address of commune B,
// whoever is signed in there, nor with a session of A taken to B (threat T16).
func TestNothingOfACommuneLeaksToAnother(t *testing.T) {
	w := newWorld(t)
	o := w.Prepared(t, orderstest.A, 1)
	atHome, _ := w.citizen(orderstest.A, 1)
	clerkHere := w.clerk(orderstest.A, 1, staff.Administrator)
	stolen := func(from *browser) func() *browser {
		return func() *browser {
			b := w.browser(orderstest.B)
			b.cookies["__Host-session"] = from.cookies["__Host-session"]
			return b
		}
	}
	same, _ := w.citizen(orderstest.B, 2) // and somebody at B with the very subject of A
	subject := w.browser(orderstest.B)
	subject.signIn("/fr/orders", card(w.Person(orderstest.A, 1)))
	clerkThere := w.clerk(orderstest.B, 7, staff.Administrator)
	for name, who := range map[string]func() *browser{
		"nobody":                    func() *browser { return w.browser(orderstest.B) },
		"a citizen of B":            func() *browser { return same },
		"the person herself at B":   func() *browser { return subject },
		"an administrator of B":     func() *browser { return clerkThere },
		"the person's session of A": stolen(atHome),
		"a clerk's session of A":    stolen(clerkHere),
	} {
		for _, r := range endpoints(o, o.Paper.Content.String()) {
			path := r.Method + " " + r.URL.Path
			a := who().do(r)
			if r.URL.RawQuery != "" { // what was asked may come back
				a.body = strings.ReplaceAll(a.body, o.Reference, "")
			}
			for what, secret := range map[string]string{"reference": o.Reference, "number": string(o.Paper.Number), "code": o.Paper.Code, "surname": "Lamberta", "colleague": "Claire 1", "address": "Rue du Beffroi"} {
				if strings.Contains(a.body, secret) && !(what == "surname" && name == "the person herself at B") && !(what == "address" && strings.Contains(path, "/form")) && !(what == "number" && strings.Contains(path, "verify")) {
					t.Errorf("%s as %s shows the %s", path, name, what)
				}
			}
			if a.status == 500 {
				t.Errorf("%s as %s: 500", path, name)
			}
		}
	}
	if now := w.Get(t, orderstest.A, o.ID); now.Version != o.Version || now.State != o.State {
		t.Error("the order has changed")
	}
	if members := text(clerkHere.get("/fr/desk/staff").doc); !strings.Contains(members, "Claire 1") {
		t.Error("a member of A was removed from B")
	}
}

// Within one commune: other citizens see nothing of an order, and no citizen sees the desk.
func TestNothingOfAPersonLeaksToAnother(t *testing.T) {
	w := newWorld(t)
	o := w.Issued(t, orderstest.A, 1)
	other, _ := w.citizen(orderstest.A, 2)
	for name, b := range map[string]*browser{"nobody": w.browser(orderstest.A), "a neighbour": other} {
		for _, r := range endpoints(o, o.Paper.Content.String()) {
			path := r.Method + " " + r.URL.Path
			a := b.do(r)
			if r.URL.RawQuery != "" { // what was asked may come back
				a.body = strings.ReplaceAll(a.body, o.Reference, "")
			}
			for _, secret := range []string{o.Reference, o.Paper.Code, "Lamberta", "Claire 1", "%PDF"} {
				if strings.Contains(a.body, secret) {
					t.Errorf("%s as %s shows %q", path, name, secret)
				}
			}
			if strings.Contains(path, "/desk") && a.status != 303 && a.status != 403 {
				t.Errorf("%s as %s: %d", path, name, a.status)
			}
		}
	}
}

func TestCrossSiteRequestsChangeNothing(t *testing.T) {
	w := newWorld(t)
	o := w.Prepared(t, orderstest.A, 1)
	b, _ := w.citizen(orderstest.A, 1)
	desk := w.clerk(orderstest.A, 1, staff.Administrator)
	for _, who := range []*browser{b, desk} {
		for _, r := range endpoints(o, o.Paper.Content.String()) {
			if r.Method != "POST" {
				continue
			}
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Origin", "https://evil.example")
			if a := who.do(r); a.status != 403 {
				t.Errorf("%s from another site: %d", r.URL.Path, a.status)
			}
		}
		if a := crossSite(who, "/fr/sign-out"); a.status != 403 {
			t.Errorf("sign-out from another site: %d", a.status)
		}
	}
	if now := w.Get(t, orderstest.A, o.ID); now.Version != o.Version {
		t.Error("the order has changed")
	}
}

func TestTheHostAloneChoosesTheCommune(t *testing.T) {
	w := newWorld(t)
	ask := func(host string, https bool, change func(*http.Request)) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/fr/", nil)
		r.Host = host
		if https {
			r.TLS = &tls.ConnectionState{}
		}
		change(r)
		rec := httptest.NewRecorder()
		w.portal.ServeHTTP(rec, r)
		return rec
	}
	nothing := func(*http.Request) {}
	if a := ask("guichet.beaumarais.example", true, nothing); a.Code != 200 || !strings.Contains(a.Body.String(), "Beaumarais") {
		t.Errorf("its own host: %d", a.Code)
	}
	if a := ask("GUICHET.Beaumarais.example", true, nothing); a.Code != 200 {
		t.Errorf("capitals: %d", a.Code)
	}
	for name, a := range map[string]*httptest.ResponseRecorder{
		"an unknown host":       ask("evil.example", true, nothing),
		"an unknown port":       ask("guichet.beaumarais.example:8443", true, nothing),
		"another scheme":        ask("guichet.beaumarais.example", false, nothing),
		"a suffix":              ask("guichet.beaumarais.example.evil.example", true, nothing),
		"no host":               ask("", true, nothing),
		"forwarded by a client": ask("evil.example", true, func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "guichet.beaumarais.example") }),
	} {
		if a.Code != http.StatusMisdirectedRequest || strings.Contains(a.Body.String(), "Beaumarais") {
			t.Errorf("%s: %d", name, a.Code)
		}
	}
	a := ask("guichet.beaumarais.example", true, func(r *http.Request) {
		r.Header.Set("X-Forwarded-Host", "loket.zandvoorde.example")
		r.Header.Set("Accept-Language", "nl")
	})
	if body := a.Body.String(); !strings.Contains(body, "Beaumarais") || strings.Contains(body, "Zandvoorde") || !strings.Contains(body, `lang="fr"`) {
		t.Error("a header chose the commune or the language")
	}
}

func TestSignInBindsToItsBrowserAndChangesTheSecret(t *testing.T) {
	w := newWorld(t)
	luc, eve := card(w.Person(orderstest.A, 1)), card(w.Person(orderstest.A, 2))
	b := w.browser(orderstest.A)
	b.signIn("/fr/orders", luc)
	before := b.cookies["__Host-session"]
	b.signIn("/fr/sign-in?desk=1&return=/fr/orders", luc)
	if after := b.cookies["__Host-session"]; after == before || after == "" {
		t.Error("the secret did not change at sign-in")
	}
	old := w.browser(orderstest.A)
	old.cookies["__Host-session"] = before
	if a := old.get("/fr/orders"); a.status != 303 {
		t.Error("the old secret still opens the orders")
	}
	// Eve begins, and has Luc's browser finish (login CSRF).
	evil := w.browser(orderstest.A)
	back, err := w.provider.SignIn(evil.get("/fr/sign-in?return=/fr/orders").to(t), eve)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(back)
	victim := w.browser(orderstest.A)
	if a := victim.get(u.RequestURI()); a.status != http.StatusConflict || victim.cookies["__Host-session"] != "" {
		t.Errorf("a stranger's sign-in was finished: %d", a.status)
	}
	// A planted secret is never taken over.
	fixed := w.browser(orderstest.A)
	fixed.cookies["__Host-session"] = "planted"
	fixed.signIn("/fr/orders", luc)
	if fixed.cookies["__Host-session"] == "planted" {
		t.Error("a planted secret became a session")
	}
}

func TestSignInComesBackToWhereItBegan(t *testing.T) {
	w := newWorld(t)
	luc := card(w.Person(orderstest.A, 1))
	for asked, want := range map[string]string{
		"/fr/orders": "/fr/orders", "/nl/documents/residence/form": "/nl/documents/residence/form",
		"https://evil.example/": "/fr/", "//evil.example": "/fr/", "": "/fr/",
	} {
		b := w.browser(orderstest.A)
		back, err := w.provider.SignIn(b.get("/fr/sign-in?return="+url.QueryEscape(asked)).to(t), luc)
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(back)
		if to := b.get(u.RequestURI()).to(t); to != want {
			t.Errorf("return=%s led to %s", asked, to)
		}
	}
	b := w.browser(orderstest.A)
	back, err := w.provider.Refuse(b.get(b.get("/nl/orders").to(t)).to(t), "access_denied")
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(back)
	a := b.get(u.RequestURI())
	if a.status != 403 || attr(all(a.doc, "html")[0], "lang") != "nl" || !strings.Contains(a.body, "/nl/sign-in?return=%2Fnl%2Forders") {
		t.Errorf("a cancelled sign-in: %d, %s", a.status, text(a.doc))
	}
	w.provider.Down = true
	if a := w.browser(orderstest.A).get("/fr/sign-in"); a.status != http.StatusSeeOther && a.status != http.StatusServiceUnavailable {
		t.Errorf("provider down: %d", a.status)
	}
}

func TestSignOutEndsTheSessionHereAndThere(t *testing.T) {
	w := newWorld(t)
	b, _ := w.citizen(orderstest.A, 1)
	kept := b.cookies["__Host-session"]
	a := b.post("/nl/sign-out", nil)
	to := a.to(t)
	if !strings.HasPrefix(to, issuer+"/logout?") || !strings.Contains(to, "id_token_hint=") || a.header.Get("Clear-Site-Data") == "" {
		t.Errorf("sign-out leads to %s", to)
	}
	b.cookies["__Host-session"] = kept
	if again := b.get("/fr/orders"); again.status != 303 {
		t.Error("the session still opens the orders")
	}
	if to := b.get("/signed-out?state=nl").to(t); to != "/nl/signed-out" {
		t.Errorf("back from the provider leads to %s", to)
	}
	home := b.get("/fr/orders")
	if home.header.Get("Cache-Control") != "no-store" {
		t.Error("the back button would show it again")
	}
}

func TestASessionEnds(t *testing.T) {
	w := newWorld(t)
	b, _ := w.citizen(orderstest.A, 1)
	for range 15 {
		w.Clock.Add(29 * time.Minute)
		if a := b.get("/fr/orders"); a.status != 200 {
			t.Fatalf("ended while in use: %d", a.status)
		}
	}
	w.Clock.Add(31 * time.Minute)
	if a := b.get("/fr/orders"); a.status != 303 {
		t.Error("an idle session goes on")
	}
	b, _ = w.citizen(orderstest.A, 1)
	for range 20 {
		w.Clock.Add(25 * time.Minute)
		b.get("/fr/")
	}
	if a := b.get("/fr/orders"); a.status != 303 {
		t.Error("a session lasts longer than a working day")
	}
}

func TestAClerkUsesTheCardAgain(t *testing.T) {
	w := newWorld(t)
	o := w.Prepared(t, orderstest.A, 1, orderstest.Clerk(2))
	desk := w.clerk(orderstest.A, 2, staff.Approver)
	page := "/fr/desk/orders/" + o.ID
	w.Clock.Add(visit.DeskIdle + time.Minute)
	if to := desk.get(page).to(t); !strings.HasPrefix(to, "/fr/sign-in?desk=1") {
		t.Errorf("an idle clerk goes to %s", to)
	}
	for _, at := range []string{page, "/fr/desk", "/fr/orders"} { // another try is no card
		if a := desk.get(at); a.status != 303 {
			t.Errorf("whoever asks again at an idle clerk's desk sees %s: %d", at, a.status)
		}
	}
	desk.signIn(page, clerkCard(2))
	if asked := w.provider.Asked[len(w.provider.Asked)-1]; asked.Get("max_age") != "900" {
		t.Errorf("max_age %q", asked.Get("max_age"))
	}
	for range 4 {
		w.Clock.Add(10 * time.Minute)
		if a := desk.get(page); a.status != 200 {
			t.Fatalf("a busy clerk may not look: %d", a.status)
		}
	}
	form := url.Values{"content": {o.Paper.Content.String()}}
	to := desk.post(page+"/approve", form).to(t)
	if !strings.HasPrefix(to, "/fr/sign-in?desk=1") || !strings.Contains(to, url.QueryEscape(page+"?again=1")) {
		t.Errorf("approving long after the card was used leads to %s", to)
	}
	if w.Get(t, orderstest.A, o.ID).State != orders.InReview {
		t.Error("it was approved all the same")
	}
	if a := desk.signIn(to, clerkCard(2)); !strings.Contains(text(a.doc), "Rien n’a encore été décidé") {
		t.Error("the page does not say that nothing was decided")
	}
	desk.post(page+"/approve", form).to(t)
	if w.Get(t, orderstest.A, o.ID).State != orders.Approved {
		t.Error("not approved")
	}
}

func TestALowerLevelDoesNotOpenTheDesk(t *testing.T) {
	w := newWorld(t)
	w.clerk(orderstest.A, 1, staff.Approver)
	low := clerkCard(1)
	low.ACR = "http://eidas.europa.eu/LoA/substantial"
	if a := w.browser(orderstest.A).signIn("/fr/desk", low); a.status != 403 {
		t.Errorf("%d", a.status)
	}
}

func TestTheSecondClerkHearsWhoWasFirst(t *testing.T) {
	w := newWorld(t)
	o := w.Prepared(t, orderstest.A, 1, orderstest.Clerk(5))
	first, second := w.clerk(orderstest.A, 5, staff.Approver), w.clerk(orderstest.A, 6, staff.Approver)
	form := url.Values{"content": {o.Paper.Content.String()}}
	first.post("/fr/desk/orders/"+o.ID+"/approve", form).to(t)
	for _, a := range []*answer{
		second.post("/fr/desk/orders/"+o.ID+"/approve", form),
		second.post("/fr/desk/orders/"+o.ID+"/refuse", url.Values{"ground": {"other"}, "text": {"non"}}),
		second.post("/fr/desk/orders/"+o.ID+"/prepare", nil),
	} {
		if said := text(a.doc); a.status != 409 || !strings.Contains(said, "Claire 5") || !strings.Contains(said, "3 février 2026, 12:00") || !strings.Contains(said, "Approuvée, en attente du cachet") {
			t.Errorf("%d %s", a.status, said)
		}
	}
}

// What is approved is what was shown: another clerk prepares again, and the first
// one's page is out of date (threat T10).
func TestASwappedPreviewIsNotApproved(t *testing.T) {
	w := newWorld(t)
	o := w.Prepared(t, orderstest.A, 1, orderstest.Clerk(5))
	desk := w.clerk(orderstest.A, 5, staff.Approver)
	shown := desk.get("/fr/desk/orders/" + o.ID).value("content")
	w.Clock.Add(2 * time.Second)
	if _, err := w.Service.Prepare(ctx, orderstest.A, o.ID, orderstest.Clerk(9)); err != nil {
		t.Fatal(err)
	}
	if now := w.Get(t, orderstest.A, o.ID); now.Paper.Content.String() == shown {
		t.Fatal("the content did not change; the test would prove nothing")
	}
	a := desk.post("/fr/desk/orders/"+o.ID+"/approve", url.Values{"content": {shown}})
	if said := text(a.doc); a.status != 409 || !strings.Contains(said, "Claire 9") {
		t.Errorf("%d %s", a.status, said)
	}
	if w.Get(t, orderstest.A, o.ID).State != orders.InReview {
		t.Error("it was approved")
	}
}

func TestAClerkDoesNotDecideForThemselves(t *testing.T) {
	w := newWorld(t)
	desk := w.clerk(orderstest.A, 5, staff.Approver)
	me := orders.Person{Subject: "clerk-5", Number: orderstest.Clerk(5).Number, GivenNames: "Claire", Surname: "5"}
	w.Register.Move(me, w.Home(orderstest.A, me))
	o, err := w.Service.Submit(ctx, orderstest.A, me, w.Form(orderstest.A))
	if err != nil {
		t.Fatal(err)
	}
	a := desk.get("/fr/desk/orders/" + o.ID)
	if !strings.Contains(text(a.doc), "C’est votre propre demande") || strings.Contains(a.body, "/prepare") || strings.Contains(a.body, "/refuse") {
		t.Errorf("the page offers a decision: %s", text(a.doc))
	}
	for _, what := range []string{"prepare", "approve", "refuse"} {
		a := desk.post("/fr/desk/orders/"+o.ID+"/"+what, url.Values{"content": {strings.Repeat("00", 32)}, "ground": {"other"}, "text": {"non"}})
		if a.status != 403 && a.status != 409 {
			t.Errorf("%s: %d", what, a.status)
		}
	}
	if now := w.Get(t, orderstest.A, o.ID); now.Version != o.Version {
		t.Error("the order has changed")
	}
}

func TestSomebodyOfAnotherCommuneIsShownTheWay(t *testing.T) {
	w := newWorld(t)
	b, p := w.citizen(orderstest.A, 1)
	away := w.Home(orderstest.B, p)
	away.NIS, away.Commune, away.Website = "99003", map[i18n.Language]string{"fr": "Lindenberg"}, "https://www.lindenberg.example"
	w.Register.Move(p, away)
	a := b.get("/fr/documents/residence/form")
	if said := text(a.doc); a.status != 403 || !strings.Contains(said, "Lindenberg") || !strings.Contains(a.body, `href="https://www.lindenberg.example"`) {
		t.Errorf("%d %s", a.status, said)
	}
	away.Website = "javascript:alert(1)"
	w.Register.Move(p, away)
	if a := b.get("/fr/documents/residence/form"); strings.Contains(a.body, "javascript:") {
		t.Error("the register's address is not a web address, and was linked")
	}
	if mine, err := w.Service.Mine(ctx, orderstest.A, p.Subject); err != nil || len(mine) != 0 {
		t.Errorf("%d orders, %v", len(mine), err)
	}
}

func TestInvitationsCountOnce(t *testing.T) {
	w := newWorld(t)
	u := w.invite(orderstest.A, "Claire Dubois", staff.Administrator)
	code := u.Query().Get("code")
	one, two := w.browser(orderstest.A), w.browser(orderstest.A)
	one.signIn("/fr/orders", clerkCard(1))
	two.signIn("/fr/orders", clerkCard(2))
	if page := one.get(u.RequestURI()); !strings.Contains(text(page.doc), "Claire Dubois") {
		t.Errorf("the invitation is not shown: %s", text(page.doc))
	}
	one.post(u.Path, url.Values{"code": {strings.ToLower(strings.ReplaceAll(code, "-", " "))}}).to(t)
	if a := two.post(u.Path, url.Values{"code": {code}}); a.status != 404 {
		t.Errorf("it counted twice: %d", a.status)
	}
	if a := one.get("/fr/desk"); a.status != 200 {
		t.Errorf("the desk: %d", a.status)
	}
	other := w.browser(orderstest.B)
	other.signIn("/fr/orders", clerkCard(1))
	if a := other.get("/nl/desk"); a.status != 403 {
		t.Errorf("a clerk of A at B's desk: %d", a.status)
	}
	for i := range 25 {
		if a := two.post(u.Path, url.Values{"code": {fmt.Sprint("guess", i)}}); i >= 20 && a.status != http.StatusTooManyRequests {
			t.Fatalf("guess %d: %d", i, a.status)
		}
	}
	u = w.invite(orderstest.A, "Late", staff.Approver)
	w.Clock.Add(staff.Lifetime + time.Hour)
	third := w.browser(orderstest.A)
	third.signIn("/fr/orders", clerkCard(3))
	if a := third.post(u.Path, url.Values{"code": {u.Query().Get("code")}}); a.status != 404 {
		t.Errorf("an old invitation: %d", a.status)
	}
}

func TestAdministratorsManageTheStaff(t *testing.T) {
	w := newWorld(t)
	boss, colleague := w.clerk(orderstest.A, 1, staff.Administrator), w.clerk(orderstest.A, 2, staff.Approver)
	if a := colleague.get("/fr/desk/staff"); a.status != 403 {
		t.Errorf("a clerk sees the staff page: %d", a.status)
	}
	if a := colleague.post("/fr/desk/staff/invite", url.Values{"name": {"X"}, "role": {"administrator"}}); a.status != 403 {
		t.Errorf("a clerk invites: %d", a.status)
	}
	if a := boss.post("/fr/desk/staff/remove", url.Values{"subject": {"clerk-1"}}); a.status != 403 {
		t.Errorf("an administrator removes herself: %d", a.status)
	}
	boss.post("/fr/desk/staff/remove", url.Values{"subject": {"clerk-2"}}).to(t)
	if a := colleague.get("/fr/desk"); a.status != 403 {
		t.Errorf("who was removed still sees the desk: %d", a.status)
	}
	again := w.clerk(orderstest.A, 2, staff.Approver)
	if a := again.get("/fr/desk"); a.status != 200 {
		t.Errorf("who was invited again does not: %d", a.status)
	}
}

func TestUnknownAndWrongAreOneAnswer(t *testing.T) {
	w := newWorld(t)
	o := w.Issued(t, orderstest.A, 1)
	open := w.Prepared(t, orderstest.A, 2)
	s := w.browser(orderstest.A)
	ask := func(number orders.Number, code string) *answer {
		return s.post("/fr/verify", url.Values{"number": {string(number)}, "code": {code}})
	}
	wrong := ask(o.Paper.Number, "2222222222")
	for name, a := range map[string]*answer{
		"no such number": ask("2026-009999", "2222222222"), "another's code": ask(o.Paper.Number, open.Paper.Code), "not issued": ask(open.Paper.Number, open.Paper.Code),
	} {
		if a.status != wrong.status || a.body != wrong.body {
			t.Errorf("%s is told apart from a wrong code", name)
		}
	}
	right := ask(o.Paper.Number, " "+strings.ToLower(o.Paper.Code)+" ")
	if right.status != 200 || !strings.Contains(text(right.doc), o.Paper.Holder) || !strings.Contains(right.body, "noindex") {
		t.Errorf("the right code: %d", right.status)
	}
	if strings.Contains(right.body, "Rue du Beffroi") {
		t.Error("the page shows more than is needed")
	}
}

func TestVerificationIsLimited(t *testing.T) {
	w := newWorld(t)
	s := w.browser(orderstest.A)
	last := 0
	for range 130 {
		last = s.get("/fr/verify/AAAAAAAAAAAAAAAAAAAAAA").status
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("130 tries: %d", last)
	}
	w.Clock.Add(61 * time.Minute)
	if a := s.get("/fr/verify/AAAAAAAAAAAAAAAAAAAAAA"); a.status != http.StatusNotFound {
		t.Errorf("an hour later: %d", a.status)
	}
}

func TestAddressesOnPapersLeadToTheirPages(t *testing.T) {
	w := newWorld(t)
	o := w.Issued(t, orderstest.A, 1)
	printed := w.Renderer.Last().Verify
	s := w.browser(orderstest.A)
	for address, want := range map[string]string{printed.URL: "Document authentique", printed.Page: "Vérifier un document"} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if a := s.get(s.get(u.RequestURI()).to(t)); a.status != 200 || !strings.Contains(text(a.doc), want) {
			t.Errorf("%s: %d", u.Path, a.status)
		}
	}
	b, _ := w.citizen(orderstest.A, 1)
	if a := b.get(b.get(orders.OrderPath + o.ID).to(t)); a.status != 200 || !strings.Contains(text(a.doc), o.Reference) {
		t.Errorf("the address in the mail: %d", a.status)
	}
}

func TestEachCommuneHasItsTheme(t *testing.T) {
	w := newWorld(t)
	b := w.browser(orderstest.A)
	home := b.get("/fr/")
	var href string
	for _, link := range all(home.doc, "link") {
		if strings.HasPrefix(attr(link, "href"), "/theme.css") {
			href = attr(link, "href")
		}
	}
	css := b.get(href)
	if css.status != 200 || !strings.Contains(css.body, "--brand:#23574a") || !strings.Contains(css.header.Get("Cache-Control"), "immutable") {
		t.Errorf("%s: %d %s", href, css.status, css.body)
	}
	if a := b.get(page.Asset("belfry.css")); a.status != 200 {
		t.Errorf("static: %d", a.status)
	}
}

// A logo stands in its commune's header under the commune's name, and nowhere else.
func TestALogoIsOneCommunes(t *testing.T) {
	w := newWorld(t)
	var drawn bytes.Buffer
	if err := png.Encode(&drawn, image.NewGray(image.Rect(0, 0, 40, 30))); err != nil {
		t.Fatal(err)
	}
	logo, err := page.ReadLogo(drawn.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Logos = map[commune.ID]*page.Logo{orderstest.A: logo}
	if w.portal, err = portal.New(ctx, w.cfg); err != nil {
		t.Fatal(err)
	}
	seen := func(a *answer) (found []string) {
		for _, img := range all(a.doc, "img") {
			if strings.HasPrefix(attr(img, "src"), page.LogoPath) {
				found = append(found, attr(img, "src"), attr(img, "alt"), attr(img, "width"), attr(img, "height"))
			}
		}
		return found
	}
	a, b := w.browser(orderstest.A), w.browser(orderstest.B)
	for _, path := range []string{"/fr/", "/fr/contact", "/fr/nothing"} {
		if got := seen(a.get(path)); !slices.Equal(got, []string{logo.Address(), "Logo\u00a0: Beaumarais", "40", "30"}) {
			t.Errorf("%s: %q", path, got)
		}
	}
	if got := seen(b.get("/nl/")); got != nil {
		t.Errorf("another commune's page has %q", got)
	}
	if file := a.get(logo.Address()); file.status != 200 || file.header.Get("Content-Type") != "image/png" || file.header.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.Contains(file.header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(file.header.Get("Content-Security-Policy"), "sandbox; default-src 'none'") {
		t.Errorf("%d %v", file.status, file.header)
	}
	if file := b.get(logo.Address()); file.status != 404 {
		t.Errorf("another commune serves it: %d", file.status)
	}
}

func TestErrorsAreWordsWithAReference(t *testing.T) {
	w := newWorld(t)
	b, _ := w.citizen(orderstest.A, 1)
	w.Register.Fail(errors.New("secret cause"))
	a := b.get("/fr/documents/residence/form")
	if a.status != 500 || strings.Contains(a.body, "secret cause") || !strings.Contains(w.log.String(), "secret cause") {
		t.Errorf("%d", a.status)
	}
	w.Register.Fail(fault.New(fault.Unreachable, "register.down", nil))
	if a := b.get("/fr/documents/residence/form"); a.status != 503 || !strings.Contains(a.body, `href="/fr/documents/residence/form"`) {
		t.Errorf("no way to try again: %d", a.status)
	}
}

func TestLanguagesOutsideTheOfferLeadNowhere(t *testing.T) {
	w := newWorld(t)
	b := w.browser(orderstest.A)
	for _, path := range []string{"/it/", "/FR/", "/frx/orders", "/fr", "/nowhere"} {
		a := b.get(path)
		if path == "/fr" {
			if a.status != 200 && a.status != 303 {
				t.Errorf("%s: %d", path, a.status)
			}
			continue
		}
		if a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

// waiting is a body whose first byte does not come before the test says so.
type waiting struct {
	began chan<- struct{}
	on    <-chan struct{}
}

func (b waiting) Read([]byte) (int, error) {
	b.began <- struct{}{}
	<-b.on
	return 0, io.ErrUnexpectedEOF
}

// TestFewFilesAreInMemoryAtOnce: of many who hand in large files at once most wait
// before their file is read, so that memory does not grow with their number (T19).
func TestFewFilesAreInMemoryAtOnce(t *testing.T) {
	w := newWorld(t)
	began, release := make(chan struct{}, 100), make(chan struct{})
	post := func(ctx context.Context) int {
		r := httptest.NewRequestWithContext(ctx, "POST", "/fr/verify/file", waiting{began, release})
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		return w.browser(orderstest.A).do(r).status
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { post(t.Context()) })
		<-began
	}
	impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if status := post(impatient); status != http.StatusTooManyRequests || len(began) > 0 {
		t.Errorf("the ninth file: %d, read %v", status, len(began) > 0)
	}
	close(release)
	all.Wait()
}

package idp_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/idp"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// desk is who administers beaumarais: subjects of its portal.
type desk struct{ subjects *[]string }

func (desk) Client(c commune.ID) string { return "portal-" + string(c) }

func (d desk) Administrator(_ context.Context, c commune.ID, subject string) (bool, error) {
	return c == "beaumarais" && slices.Contains(*d.subjects, subject), nil
}

// hall is a world where people are taken at their word and beaumarais has administrators.
type hall struct {
	*world
	administrators []string
}

func newHall(t *testing.T, opts ...option) *hall {
	h := &hall{}
	staffed := func(o *options) { o.staff = func(*world) idp.Staff { return desk{&h.administrators} } }
	h.world = newWorld(t, append([]option{bare, staffed}, opts...)...)
	return h
}

// somebody signs in at the portal as the n-th invented person; the subject is theirs.
func (h *hall) somebody(n int, p *party) (*browser, string) {
	h.t.Helper()
	b := h.browser()
	return b, h.again(b, n, p)
}

func (h *hall) again(b *browser, n int, p *party) string {
	h.t.Helper()
	f := p.flow(with("prompt", "login"))
	at := b.open(p.ask(f))
	code := b.post(at.url.String(), h.issuer, url.Values{"number": {invented(n)}}).code(f)
	subject, _ := p.claims(f, p.exchange(f, code))["sub"].(string)
	return subject
}

var mergeID = regexp.MustCompile(`name="id" value="([^"]+)"`)

func (h *hall) persons(b *browser) place { return b.open(h.issuer + "/persons/beaumarais") }

func (h *hall) do(b *browser, what string, v url.Values) place {
	return b.post(h.issuer+"/persons/beaumarais/"+what, h.issuer, v)
}

func (h *hall) journal(action string) int {
	h.t.Helper()
	var n int
	h.must(h.db.QueryRow(h.t.Context(), `SELECT count(*) FROM audit_entry WHERE commune = 'beaumarais' AND action = $1`, action).Scan(&n))
	return n
}

// Two administrators join two records; clients know the person by the older subject, are
// told the other, and take hints of both; the person reads of it; and it is undone.
func TestTwoAdministratorsMerge(t *testing.T) {
	h := newHall(t)
	p := h.parties[portal]
	luc, older := h.somebody(1, p)
	h.hand.Add(time.Second)
	_, younger := h.somebody(2, p)
	marc, one := h.somebody(8, p)
	nadia, two := h.somebody(9, p)
	h.administrators = []string{one, two}

	h.persons(marc).says("fr", "person.none")
	at := h.do(marc, "propose", url.Values{"one": {invented(2)}, "other": {younger + "x"}, "reason": {"national number since May"}})
	at.says("fr", "person.unknown")
	at = h.do(marc, "propose", url.Values{"one": {invented(2)}, "other": {older}, "reason": {"national number since May"}})
	at.says("fr", "person.colleague")
	id := mergeID.FindStringSubmatch(h.persons(nadia).body)
	if id == nil {
		t.Fatal("the colleague sees no proposal")
	}
	h.do(marc, "confirm", url.Values{"id": {id[1]}}).says("fr", "person.twice")
	if h.again(h.browser(), 2, p) != younger {
		t.Error("one administrator alone has merged")
	}
	h.do(nadia, "confirm", url.Values{"id": {id[1]}}).says("fr", "person.done_title")

	// The person reads of it before going on, and only once.
	again := h.browser()
	f := p.flow(with("scope", "openid profile national_number"))
	word := again.open(p.ask(f))
	notice := again.post(word.url.String(), h.issuer, url.Values{"number": {invented(2)}})
	notice.says("fr", "person.notice_joined")
	code := again.post(notice.url.String()+"/read", h.issuer, nil).code(f)
	tokens := p.exchange(f, code)
	claims := p.claims(f, tokens)
	info := h.userinfo(tokens.str("access_token"))
	if claims["sub"] != older || info.str("sub") != older || info.str(idp.ClaimNumber) != invented(2) {
		t.Error("after the merge the subject is not the older one, or the number not the one shown")
	}
	if former, _ := info.body[idp.ClaimFormer].([]any); len(former) != 1 || former[0] != younger {
		t.Errorf("former subjects: %v", info.body[idp.ClaimFormer])
	}
	h.hand.Add(time.Second)
	if h.again(again, 2, p) != older {
		t.Error("the second time")
	}
	// A client that holds an old ID token still means the same person.
	silent := p.flow(with("prompt", "none"), with("id_token_hint", tokens.str("id_token")))
	again.open(p.ask(silent)).code(silent)

	// The older record's person is told as well; a silent question shows no page.
	silent = p.flow(with("prompt", "none"))
	luc.open(p.ask(silent)).code(silent)
	loud := p.flow()
	notice = luc.open(p.ask(loud))
	notice.says("fr", "person.notice_joined")
	luc.post(notice.url.String()+"/read", h.issuer, nil).code(loud)

	h.do(marc, "undo", url.Values{"id": {id[1]}}).says("fr", "person.none")
	f = p.flow()
	notice = again.open(p.ask(f))
	notice.says("fr", "person.notice_parted")
	code = again.post(notice.url.String()+"/read", h.issuer, nil).code(f)
	if p.claims(f, p.exchange(f, code))["sub"] != younger {
		t.Error("the younger subject does not come back")
	}
	for action, n := range map[string]int{"person.merge_proposed": 1, "person.merged": 1, "person.unmerged": 1, "person.told": 3} {
		if got := h.journal(action); got != n {
			t.Errorf("%d lines of %s, want %d", got, action, n)
		}
	}
	if strings.Contains(h.log.String(), invented(2)) {
		t.Error("a number is in the log")
	}
}

// Whoever is no administrator here, or was one a while ago, gets nothing done.
func TestOnlyAdministratorsMerge(t *testing.T) {
	h := newHall(t)
	p := h.parties[portal]
	_, older := h.somebody(1, p)
	_, younger := h.somebody(2, p)
	marc, one := h.somebody(8, p)
	clerk, _ := h.somebody(7, p)
	far, there := h.somebody(6, h.parties[seaside])
	h.administrators = []string{one, there}
	proposal := url.Values{"one": {older}, "other": {younger}, "reason": {"because"}}

	stranger := h.browser()
	if at := h.persons(stranger); !strings.Contains(at.url.Path, "/login/") {
		t.Errorf("a stranger is at %s", at.url)
	}
	h.do(clerk, "propose", proposal).says("fr", "person.not_staff")
	h.do(far, "propose", proposal).says("fr", "person.not_staff")
	if at := marc.open(h.issuer + "/persons/zandvoorde"); !strings.Contains(at.url.Path, "/login/") { // which wants more of its staff
		t.Errorf("an administrator of one commune at another: %d at %s", at.status, at.url)
	}
	if at := marc.post(h.issuer+"/persons/beaumarais/propose", "https://evil.example", proposal); at.status != http.StatusForbidden {
		t.Errorf("another site's form: %d", at.status)
	}
	h.hand.Add(14*time.Minute + 59*time.Second)
	h.persons(marc).says("fr", "person.none")
	h.hand.Add(2 * time.Second)
	if at := h.do(marc, "propose", proposal); !strings.Contains(at.url.Path, "/login/") {
		t.Errorf("after a quarter of an hour: %s", at.url)
	} else if back := marc.post(at.url.String(), h.issuer, url.Values{"number": {invented(8)}}); back.url.Path != "/persons/beaumarais" {
		t.Errorf("after signing in again: %s", back.url)
	}
	if n := h.journal("person.merge_proposed"); n != 0 {
		t.Errorf("%d proposals", n)
	}
	if at := newWorld(t, bare).browser().open("http://id.belfry.localhost/persons/beaumarais"); at.status != http.StatusNotFound {
		t.Errorf("without staff: %d", at.status)
	}
}

func TestThePagesAboutPersonsAreWholeInEveryLanguage(t *testing.T) {
	for l, regime := range map[i18n.Language]commune.Regime{"fr": "fr", "nl": "brussels", "de": "de"} {
		h, nadia, id := proposed(t, func(o *options) { o.regime = regime })
		for asked, shown := range map[string]i18n.Language{string(l): l, "": h.official(), "en": h.official()} { // the desk has no English
			at := nadia.open(h.issuer + "/persons/beaumarais?lang=" + asked)
			at.says(shown, "person.confirm")
			text := tagText.ReplaceAllString(at.body, " ")
			if key := rawKey.FindString(at.body); key != "" || strings.Contains(at.body, "<b>because") || strings.Contains(text, "%!") || !strings.Contains(at.body, `<html lang="`+string(shown)) {
				t.Errorf("%s, %s: %s", regime, asked, key)
			}
		}
		h.do(nadia, "confirm", url.Values{"id": {id}}).says(h.official(), "person.undo")
		if at := h.do(nadia, "propose", url.Values{"one": {invented(1)}, "other": {invented(2)}, "reason": {"again"}}); at.status != http.StatusConflict {
			t.Errorf("one person twice: %d", at.status)
		}
		if at := h.do(nadia, "propose", url.Values{"one": {invented(1)}, "other": {invented(8)}}); at.status != http.StatusBadRequest && at.status != http.StatusUnprocessableEntity {
			t.Errorf("without a reason: %d", at.status)
		}
	}
}

// proposed is a hall where Marc has proposed a merge that Nadia, whose browser it is, may confirm.
func proposed(t *testing.T, opts ...option) (*hall, *browser, string) {
	t.Helper()
	h := newHall(t, opts...)
	p := h.parties[portal]
	h.somebody(1, p)
	h.somebody(2, p)
	marc, one := h.somebody(8, p)
	nadia, two := h.somebody(9, p)
	h.administrators = []string{one, two}
	h.do(marc, "propose", url.Values{"one": {invented(1)}, "other": {invented(2)}, "reason": {"<b>because"}})
	return h, nadia, mergeID.FindStringSubmatch(h.persons(nadia).body)[1]
}

// official is the language of beaumarais' desk where none is asked for.
func (h *hall) official() i18n.Language {
	c, _ := h.communes.ByID("beaumarais")
	return c.StaffLanguages()[0]
}

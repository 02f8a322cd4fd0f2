package idp_test

import (
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"context"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
)

// two is a world with two ways to sign in.
func two(o *options) {
	o.methods = func(w *world) []method.Method { return []method.Method{w.card(), word{}} }
}

var (
	rawKey  = regexp.MustCompile(`>[^<]*\b(idp|page|fault|card)\.[a-z_]+`)
	tagText = regexp.MustCompile(`(?s)<(script|style)[^>]*>.*?</(script|style)>|<[^>]*>`)
)

func TestEveryPageIsWholeInEveryLanguage(t *testing.T) {
	for l, regime := range map[i18n.Language]commune.Regime{"fr": "fr", "en": "fr", "nl": "brussels", "de": "de"} {
		w := newWorld(t, two, func(o *options) { o.regime = regime })
		p, b := w.parties[portal], w.browser()
		pages := map[string]place{}
		choose := b.open(p.ask(p.flow(with("ui_locales", string(l)))))
		pages["choose"] = choose
		choose.says(l, "idp.choose_title")
		pages["card"] = b.open(choose.url.String() + "/card")
		action, v := pages["card"].card()
		v.Set("token", strings.Repeat("x", 200))
		pages["card, refused"] = b.post(action, w.issuer, v)
		pages["card, refused"].says(l, "card.malformed")
		pages["card, refused"].says(l, "idp.other_way")
		for _, key := range []string{"no_certificate", "no_certificate_child", "no_certificate_declined"} {
			action, v := pages["card, refused"].card()
			v.Set("problem", key)
			without := b.post(action, w.issuer, v)
			pages["card, "+key] = without
			for _, said := range []string{"idp.without_title", "card." + key, "idp.without_another", "idp.without_counter"} {
				without.says(l, said)
			}
			if without.status == http.StatusOK || !strings.Contains(without.body, "/word") {
				t.Errorf("%s, %s: no other way", l, key)
			}
		}
		if !strings.Contains(pages["card, refused"].body, "<title>"+i18n.T(l, "page.error_prefix")) {
			t.Errorf("%s: the title does not say that something is wrong", l)
		}
		w.hand.Add(time.Second)
		f := p.flow(with("ui_locales", string(l)))
		b.post(b.open(p.ask(f)).url.String()+"/word", w.issuer, url.Values{"number": {invented(1)}}).code(f)
		pages["question"] = b.open(w.logout(url.Values{"client_id": {p.id}, "ui_locales": {string(l)}}))
		pages["question"].says(l, "idp.logout_title")
		pages["signed out"] = b.post(w.issuer+"/logout/confirm", w.issuer, url.Values{"client_id": {p.id}, "ui_locales": {string(l)}})
		pages["signed out"].says(l, "idp.signed_out_title")
		r, err := http.NewRequest("GET", w.issuer+"/authorize?client_id=nobody", nil)
		w.must(err)
		r.Header.Set("Accept-Language", string(l)+"-BE;q=0.9, en;q=0.1")
		pages["failed"] = b.send(r)
		pages["failed"].says(l, "idp.error_client")
		for name, at := range pages {
			if !strings.Contains(at.body, `<html lang="`+string(l)+`"`) || strings.Count(at.body, "<h1") != 1 || !strings.Contains(at.body, `id="main"`) {
				t.Errorf("%s in %s: lang, one h1 or main is missing", name, l)
			}
			if found := rawKey.FindString(at.body); found != "" {
				t.Errorf("%s in %s: a text is missing: %s", name, l, found)
			}
			for _, id := range regexp.MustCompile(`<(?:input|select|textarea)[^>]*>`).FindAllString(at.body, -1) {
				if !strings.Contains(id, `type="hidden"`) {
					t.Errorf("%s in %s: a field without a label: %s", name, l, id)
				}
			}
			text := strings.ToLower(html.UnescapeString(tagText.ReplaceAllString(at.body, " ")))
			for _, banned := range []string{"token", "jeton", "relying", "assertion", "tenant", "claim", "méthode", "methode"} {
				if strings.Contains(text, banned) {
					t.Errorf("%s in %s says %q", name, l, banned)
				}
			}
			if strings.Contains(at.body, "<style") || regexp.MustCompile(`\son[a-z]+=|\sstyle=|<script>`).MatchString(at.body) {
				t.Errorf("%s in %s: something inline", name, l)
			}
		}
	}
}

// brittle is a key-value store that can be made to fail.
type brittle struct {
	kv.Store
	down *atomic.Bool
}

var errDown = errors.New("the store does not answer")

func (b brittle) Get(ctx context.Context, key string) ([]byte, error) {
	if b.down.Load() {
		return nil, errDown
	}
	return b.Store.Get(ctx, key)
}

func (b brittle) Put(ctx context.Context, key string, v []byte, ttl time.Duration) error {
	if b.down.Load() {
		return errDown
	}
	return b.Store.Put(ctx, key, v, ttl)
}

func (b brittle) Take(ctx context.Context, key string) ([]byte, error) {
	if b.down.Load() {
		return nil, errDown
	}
	return b.Store.Take(ctx, key)
}

// Without the store of sessions nobody gets in, nobody is taken for nobody, and it
// all goes on when it is back.
func TestWithoutItsStoreTheProviderRefuses(t *testing.T) {
	var down atomic.Bool
	w := newWorld(t, bare, func(o *options) { o.kv = func(s kv.Store) kv.Store { return brittle{s, &down} } })
	p := w.parties[library]
	b := w.browser()
	b.say(p, invented(1))
	half := w.browser()
	step := half.open(p.ask(p.flow()))
	down.Store(true)
	f := p.flow()
	if at := b.open(p.ask(f)); at.status != http.StatusServiceUnavailable || at.away != nil {
		t.Errorf("authorize: %d, away %v", at.status, at.away)
	}
	f = p.flow(with("prompt", "none"))
	if got := b.open(p.ask(f)).failure(f); got != "temporarily_unavailable" {
		t.Errorf("a silent question: %q", got)
	}
	if at := half.post(step.url.String(), w.issuer, url.Values{"number": {invented(2)}}); at.status != http.StatusServiceUnavailable {
		t.Errorf("the step: %d", at.status)
	}
	if at := w.browser().post(w.issuer+"/authorize", "https://library.example", p.flow().values); at.status != http.StatusServiceUnavailable {
		t.Errorf("a posted request: %d", at.status)
	}
	down.Store(false)
	if at := half.post(step.url.String(), w.issuer, url.Values{"number": {invented(2)}}); at.away == nil {
		t.Errorf("the login was lost: %d", at.status)
	}
	if !p.in(b) {
		t.Error("the session was lost")
	}
}

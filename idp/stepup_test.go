package idp_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/idp"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// app is a way to sign in whose level is what people say it is, up to what beaumarais
// takes it for: high there and substantial elsewhere.
type app struct{ word }

func (app) Name() string { return "app" }

func (app) Reaches(c commune.ID) []string {
	if c == "beaumarais" {
		return []string{method.Substantial, method.High}
	}
	return []string{method.Substantial}
}

func (app) Level(c commune.ID, upstream string) (string, bool) {
	if c == "beaumarais" && upstream == "strong" {
		return method.High, true
	}
	return method.Substantial, true
}

func (a app) Answer(ctx context.Context, s method.Step, form url.Values) (method.Proof, error) {
	proof, err := a.word.Answer(ctx, s, form)
	proof.Upstream = form.Get("upstream")
	return proof, err
}

func stepWorld(t *testing.T, more ...option) *world {
	return newWorld(t, append([]option{bare, func(o *options) { o.methods = func(*world) []method.Method { return []method.Method{word{}, app{}} } }}, more...)...)
}

// essential asks for a level that must be reached.
func essential(level string) func(url.Values) {
	return with("claims", `{"id_token":{"acr":{"essential":true,"value":"`+level+`"}}}`)
}

func (b *browser) by(at place, way, upstream string) place {
	base, _, _ := strings.Cut(at.url.String(), "/app")
	base, _, _ = strings.Cut(base, "/word")
	return b.post(base+"/"+way, b.w.issuer, url.Values{"number": {invented(1)}, "upstream": {upstream}})
}

// A client that wishes for more sends the person on, and takes what comes; one that must
// have it explains what was too little, and ends as the standard says.
func TestStepUp(t *testing.T) {
	w := stepWorld(t)
	p := w.parties[portal]
	b := w.browser()
	f := p.flow()
	low := p.claims(f, p.exchange(f, b.by(b.open(p.ask(f)), "word", "").code(f)))
	if low["acr"] != method.Low {
		t.Fatalf("acr %v", low["acr"])
	}

	f = p.flow(with("acr_values", method.High))
	at := b.open(p.ask(f))
	at.says("fr", "person.less") // the way they came by, behind the other
	if strings.Index(at.body, "/app") > strings.Index(at.body, "/word") {
		t.Error("the way that would do is not the first")
	}
	tokens := p.exchange(f, b.by(at, "app", "strong").code(f))
	high, info := p.claims(f, tokens), w.userinfo(tokens.str("access_token"))
	if high["sub"] != low["sub"] || high["acr"] != method.High || high[idp.ClaimUpstream] != "strong" {
		t.Errorf("after the step: acr %v, upstream %v", high["acr"], high[idp.ClaimUpstream])
	}
	for _, claim := range []string{"acr", "auth_time", idp.ClaimUpstream} {
		if info.body[claim] == nil || info.body[claim] != high[claim] {
			t.Errorf("userinfo says %s %v, the ID token %v", claim, info.body[claim], high[claim])
		}
	}

	// A wish that is not met is no refusal, and is not asked for again at once.
	b = w.browser()
	f = p.flow(with("acr_values", method.High))
	if got := p.claims(f, p.exchange(f, b.by(b.open(p.ask(f)), "word", "").code(f))); got["acr"] != method.Low {
		t.Errorf("acr %v", got["acr"])
	}

	// A need: the way that cannot give it is not offered; too little is explained; then
	// either the same way gives more, or the person gives up.
	for _, gives := range []string{"strong", ""} {
		f = p.flow(essential(method.High))
		at = b.open(p.ask(f))
		if gives != "" { // signed in, too low
			at.says("fr", "person.too_low")
		} else if !strings.HasSuffix(at.url.Path, "/app") {
			t.Fatalf("one way will do, and they are at %s", at.url)
		}
		if none := b.by(at, "word", ""); none.status != 404 {
			t.Errorf("a way that cannot give it answers %d", none.status)
		}
		at = b.by(at, "app", "weak")
		at.says("fr", "person.too_low")
		if !strings.Contains(at.body, "/app") || strings.Contains(at.body, "/word") || at.away != nil {
			t.Error("the ways that would do are not shown")
		}
		if gives != "" {
			if got := p.claims(f, p.exchange(f, b.by(at, "app", gives).code(f))); got["acr"] != method.High {
				t.Errorf("acr %v", got["acr"])
			}
			b.open(w.logout(url.Values{"client_id": {p.id}}))
			b = w.browser()
			continue
		}
		if got := b.post(at.url.String()+"/cancel", w.issuer, nil).failure(f); got != "unmet_authentication_requirements" {
			t.Errorf("giving up: %s", got)
		}
	}

	// What nobody reaches here is refused at once; elsewhere's map counts for nothing.
	q := w.parties[seaside]
	f = q.flow(essential(method.High))
	if answer := q.call("/par", f.values); answer.status != 400 || answer.str("error") != "unmet_authentication_requirements" {
		t.Errorf("%d %s", answer.status, answer.str("error"))
	}
	b = w.browser()
	f = p.flow()
	b.by(b.open(p.ask(f)), "app", "strong").code(f)
	f = q.flow()
	if got := q.claims(f, q.exchange(f, b.open(q.ask(f)).code(f))); got["acr"] != method.Substantial {
		t.Errorf("high at beaumarais is %v at zandvoorde", got["acr"])
	}
}

// A silent question and one of age are answered from the session.
func TestSilentQuestionsOfLevelAndAge(t *testing.T) {
	w := stepWorld(t)
	p := w.parties[portal]
	b := w.browser()
	f := p.flow()
	b.by(b.open(p.ask(f)), "app", "weak").code(f)
	for name, c := range map[string]struct {
		change []func(url.Values)
		want   string
	}{
		"a wish":   {[]func(url.Values){with("acr_values", method.High)}, ""},
		"a need":   {[]func(url.Values){essential(method.High)}, "login_required"},
		"met":      {[]func(url.Values){essential(method.Substantial)}, ""},
		"young":    {[]func(url.Values){with("max_age", "60")}, ""},
		"too old":  {[]func(url.Values){with("max_age", "10")}, "login_required"},
		"any age":  {nil, ""},
		"for work": {[]func(url.Values){with("belfry_staff", "1")}, ""},
	} {
		if name == "young" || name == "too old" {
			w.hand.Add(12 * time.Second)
		}
		f := p.flow(append(c.change, with("prompt", "none"))...)
		at := b.open(p.ask(f))
		if c.want == "" {
			at.code(f)
		} else if got := at.failure(f); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Each commune says which ways its citizens and its staff are shown, and in which order;
// one way needs no choice; a computer is shown the last one first.
func TestChoice(t *testing.T) {
	w := stepWorld(t)
	home, _ := w.communes.ByID("beaumarais")
	ways := func(b *browser, change ...func(url.Values)) []string {
		p := w.parties[portal]
		at := b.open(p.ask(p.flow(append(change, with("prompt", "login"))...)))
		var list []string
		for _, m := range []string{"word", "app"} {
			if strings.Contains(at.body, at.url.Path+"/"+m+`"`) || strings.HasSuffix(at.url.Path, "/"+m) {
				list = append(list, m)
			}
		}
		slices.SortFunc(list, func(a, b string) int { return strings.Index(at.body, "/"+a) - strings.Index(at.body, "/"+b) })
		return list
	}
	for _, c := range []struct {
		citizens, staff, shown, atWork []string
	}{
		{nil, nil, []string{"word", "app"}, []string{"word", "app"}},
		{[]string{"app", "word"}, nil, []string{"app", "word"}, []string{"app", "word"}},
		{[]string{"word"}, []string{"app"}, []string{"word"}, []string{"app"}},
		{[]string{"word"}, []string{"app", "word"}, []string{"word"}, []string{"app", "word"}},
	} {
		home.SignIn, home.StaffSignIn = c.citizens, c.staff
		if got := ways(w.browser()); !slices.Equal(got, c.shown) {
			t.Errorf("%v: citizens are shown %v", c, got)
		}
		if got := ways(w.browser(), with("belfry_staff", "1")); !slices.Equal(got, c.atWork) {
			t.Errorf("%v: staff are shown %v", c, got)
		}
	}
	home.SignIn, home.StaffSignIn = nil, nil
	p, b := w.parties[portal], w.browser()
	f := p.flow()
	b.by(b.open(p.ask(f)), "app", "").code(f)
	if got := ways(b); !slices.Equal(got, []string{"app", "word"}) {
		t.Errorf("after signing in by app: %v", got)
	}
	for _, l := range []i18n.Language{"fr", "en"} {
		b.open(p.ask(p.flow(with("prompt", "login"), with("ui_locales", string(l))))).says(l, "fas.last_way")
	}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// stop is a page of a journey: who opens it, and where, below the address of a language.
// {open}, {asked}, {prepared}, {issued} and {refused} stand for orders in these states,
// {token} for what the code on the paper leads to.
type stop struct{ journey, who, path string }

const (
	anybody = "anybody"
	citizen = "citizen"
	desk    = "desk" // an administrator, in the languages of the desk
)

// unknownPaper is where a code leads that is on no paper.
const unknownPaper = "/verify/AAAAAAAAAAAAAAAAAAAAAA"

// tour are the pages of the journeys that are opened in each language. Whoever adds a page
// to a journey adds it here; what is shown after a mistake is held to the same by
// portal.TestEveryPageInEveryLanguage, without a browser.
var tour = []stop{
	{"J1", anybody, "/"},
	{"J1", anybody, "/documents/residence"},
	{"J1", citizen, "/"},
	{"J1", citizen, "/documents/residence/form"},
	{"J1", citizen, "/orders/{issued}/sent"},
	{"J1", citizen, "/orders/{issued}"},
	{"J1", citizen, "/orders"},
	{"J1", citizen, "/papers"},
	{"J2", citizen, "/orders/{open}"},
	{"J2", citizen, "/orders/{open}/cancel"},
	{"J2", citizen, "/orders/{refused}"},
	{"J2", desk, "/desk"},
	{"J2", desk, "/desk?show=closed"},
	{"J2", desk, "/desk/orders/{open}"},
	{"J2", desk, "/desk/orders/{prepared}"},
	{"J2", desk, "/desk/orders/{prepared}/refuse"},
	{"J2", desk, "/desk/orders/{issued}"},
	{"J2", desk, "/desk/orders/{issued}/withdrawal"},
	{"J2", desk, "/desk/orders/{refused}"},
	{"J2", desk, "/desk/ready"},
	{"J6", desk, "/desk/new"},
	{"J7", anybody, "/follow"},
	{"J7", anybody, "/follow/code"},
	{"J8", citizen, "/documents/life/form"},
	{"J8", citizen, "/account"},
	{"J8", citizen, "/account/contact"},
	{"J8", citizen, "/account/access"},
	{"J9", citizen, "/orders/{asked}"},
	{"J9", desk, "/desk/orders/{asked}"},
	{"J9", desk, "/desk/orders/{open}/ask?template=proof"},
	{"J9", desk, "/desk/absence"},
	{"J9", desk, "/desk/staff"},
	{"J9", desk, "/desk/delegations"},
	{"J9", desk, "/desk/questions"},
	{"J12", anybody, "/contact"},
	{"J12", anybody, "/help"},
	{"J12", anybody, "/accessibility"},
	{"J12", anybody, "/privacy"},
	{"J13", desk, "/desk/figures"},
	{"J14", anybody, "/verify"},
	{"J14", anybody, "/verify/{token}"},
	{"J14", anybody, unknownPaper},
}

// lived is a commune in which things have happened.
type lived struct {
	*world
	commune string
	orders  map[string]string // the states of tour, and what stands in addresses for them
	who     map[string]*person

	pages, desk []i18n.Language // of everybody's pages and of the desk's
}

// live has somebody order papers in a commune, and a clerk bring them to each state.
func (w *world) live(commune, whose, clerk string, l i18n.Language) *lived {
	w.t.Helper()
	c, d := newPerson(w.t), w.administrator(commune, clerk)
	v := &lived{world: w, commune: commune, orders: map[string]string{}, who: map[string]*person{anybody: newPerson(w.t), citizen: c, desk: d}}
	for state, product := range map[string]string{"issued": "residence", "asked": "household", "prepared": "nationality", "refused": "residence_history", "open": "residence"} {
		order := c.orderOf(w, commune, w.card(whose), product, l, l)
		v.orders[state] = order[strings.LastIndex(order, "/")+1:]
		at := deskOf(order, l)
		switch state {
		case "issued":
			d.decide(order, l)
			c.waitIssued(order, 30*time.Second)
		case "asked":
			d.get(at + "/ask")
			d.send("/ask", "text", "?")
			d.want(200)
		case "prepared":
			d.get(at)
			d.send("/prepare")
			d.want(200)
		case "refused":
			d.get(at + "/refuse")
			d.send("/refuse", "ground", "other", "text", "—")
			d.want(200)
		}
	}
	c.get(w.origin(commune) + "/" + string(l) + "/documents/life/form")
	c.send("/form", "email", "x@example.org", "later", "1")
	v.orders["token"] = v.tokenOf()
	return v
}

// tokenOf is what the code on the commune's issued paper leads to.
func (v *lived) tokenOf() (token string) {
	v.t.Helper()
	s, err := loadSettings(v.Belfry.Config)
	if err != nil {
		v.t.Fatal(err)
	}
	db, err := sqldb.Open(context.Background(), s.Database.URL)
	if err != nil {
		v.t.Fatal(err)
	}
	defer db.Close()
	err = db.QueryRow(context.Background(), `SELECT token FROM orders_paper WHERE commune = $1 AND document <> ''`, v.commune).Scan(&token)
	if err != nil {
		v.t.Fatal(err)
	}
	return token
}

func (v *lived) address(s stop, l i18n.Language) string {
	path := s.path
	for name, value := range v.orders {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	return v.origin(v.commune) + "/" + string(l) + path
}

// becomes gives the browser the cookies that somebody has.
func (b *tab) becomes(p *person, origin string) {
	b.t.Helper()
	b.forgetSession()
	at, err := url.Parse(origin)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	for _, c := range p.client.Jar.Cookies(at) {
		if _, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{Name: c.Name, Value: c.Value, URL: origin}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// at has the browser become each of those of a tour in turn, and open their pages in their
// first language or in all of them.
func (v *lived) at(b *tab, all bool, look func(s stop, l i18n.Language, name string)) {
	v.t.Helper()
	for who, p := range v.who {
		b.becomes(p, v.origin(v.commune))
		languages := v.pages
		if who == desk {
			languages = v.desk
		}
		if !all {
			languages = languages[:1]
		}
		for _, l := range languages {
			for i, s := range tour {
				if s.who == who {
					b.open(v.address(s, l))
					want := http.StatusOK
					if s.path == unknownPaper {
						want = http.StatusNotFound
					}
					if status, err := see(b, chromedp.Evaluate[int](`performance.getEntriesByType("navigation")[0].responseStatus`)); err != nil || status != want {
						b.t.Errorf("%s in %s is answered with %d (%v)", s.path, l, status, err)
					}
					look(s, l, fmt.Sprintf("tour-%s-%02d-%s-%s", s.journey, i, who, l))
				}
			}
		}
	}
}

// J1, J2, J6, J8, J9, J12, J13 and J14: every page of the tour, in the languages that a
// commune's regime gives, keeps what adapts and speaks promise, is there in whole where no
// script runs, and can be used in forced colours.
func TestBrowserLanguages(t *testing.T) {
	whole := browse(t)
	w := startWorld(t)
	bilingual := w.live("montclair", "samira", "leila", "nl")
	bilingual.pages, bilingual.desk = []i18n.Language{"fr", "nl", "en"}, []i18n.Language{"fr", "nl"}
	german := w.live("ahornfeld", "heidi", "ute", "de")
	german.pages, german.desk = []i18n.Language{"de"}, []i18n.Language{"de"}
	t.Run("languages", func(t *testing.T) {
		b, pages := &tab{t, whole.ctx}, 0
		for _, v := range []*lived{bilingual, german} {
			v.at(b, true, func(_ stop, l i18n.Language, name string) {
				b.speaks(name, l)
				b.adapts(name, false)
				pages++
			})
		}
		t.Logf("%d pages, of %d in one language", pages, len(tour))
	})
	t.Run("without scripts", func(t *testing.T) {
		b := &tab{t, whole.ctx}
		b.scripts(false)
		defer b.scripts(true)
		german.at(b, false, func(s stop, _ i18n.Language, _ string) { b.wholeWithoutScript(s.path) })
	})
	t.Run("forced colours", func(t *testing.T) {
		b, looked := &tab{t, whole.ctx}, 0
		bilingual.at(b, false, func(_ stop, _ i18n.Language, name string) { looked += b.inForcedColours(name) })
		if looked < 200 {
			t.Errorf("only %d things were looked at", looked)
		}
		t.Logf("%d buttons, fields, tags and drawings, upon white and upon black", looked)
	})
	w.noNumberLeaks()
}

// messageKey is what a text that is missing looks like.
var messageKey = regexp.MustCompile(`\b[a-z]+(\.[a-z][a-z_]+){1,3}\b`)

// said is a text of a page, and the language it is marked with.
type said struct{ Lang, Text string }

// speaks holds a page to a language: it says so, shows no key of a text, and no text of ours
// in another language that is not marked as such.
func (b *tab) speaks(name string, l i18n.Language) {
	b.t.Helper()
	page, err := see(b, chromedp.Evaluate[struct {
		Lang, Title, H1 string
		Said            []said
	}](`(() => {
		const said = [], lang = e => e.closest("[lang]").lang;
		const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		for (let n; n = walk.nextNode();) if (n.textContent.trim() && n.parentElement && !n.parentElement.closest("script, style, template")) said.push({Lang: lang(n.parentElement), Text: n.textContent});
		for (const e of document.querySelectorAll("[aria-label], [title], [alt], [placeholder]")) for (const a of ["aria-label", "title", "alt", "placeholder"]) if (e.getAttribute(a)) said.push({Lang: lang(e), Text: e.getAttribute(a)});
		return {Lang: document.documentElement.lang, Title: document.title, H1: [...document.querySelectorAll("h1")].map(e => e.innerText).join("|"), Said: said};
	})()`))
	if err != nil {
		b.t.Fatal(err)
	}
	if page.Lang != string(l) || page.H1 == "" || strings.Contains(page.H1, "|") || page.Title == "" {
		b.t.Errorf("%s: lang %q, title %q, h1 %q", name, page.Lang, page.Title, page.H1)
	}
	known := texts(b.t)
	for _, s := range append(page.Said, said{page.Lang, page.Title}) {
		text := strings.Join(strings.Fields(s.Text), " ")
		if key := messageKey.FindString(text); key != "" && known.keys[key] {
			b.t.Errorf("%s: shows the key %s", name, key)
		}
		if in := known.in[text]; len(in) > 0 && !in[i18n.Language(s.Lang)] {
			b.t.Errorf("%s: %q is marked as %s, and is a text of %v", name, text, s.Lang, in)
		}
	}
}

// ourTexts is what our texts say, without those that have values in them.
type ourTexts struct {
	in   map[string]map[i18n.Language]bool
	keys map[string]bool
}

func texts(t *testing.T) ourTexts {
	t.Helper()
	c := ourTexts{map[string]map[i18n.Language]bool{}, map[string]bool{}}
	files, err := fs.Glob(i18n.Catalogues(), "locales/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := fs.ReadFile(i18n.Catalogues(), file)
		if err != nil {
			t.Fatal(err)
		}
		var messages map[string]any
		if err := json.Unmarshal(content, &messages); err != nil {
			t.Fatal(err)
		}
		l := i18n.Language(strings.Split(file, ".")[1])
		for key, value := range messages {
			c.keys[key] = true
			if text, ok := value.(string); ok && !strings.Contains(text, "{{") {
				text = strings.Join(strings.Fields(text), " ")
				if c.in[text] == nil {
					c.in[text] = map[i18n.Language]bool{}
				}
				c.in[text][l] = true
			}
		}
	}
	return c
}

// wholeWithoutScript reads a page on which no script has run: it has its heading and
// buttons, and hides nothing that a script would have to open.
func (b *tab) wholeWithoutScript(path string) {
	b.t.Helper()
	wrong, err := see(b, chromedp.Evaluate[string](`(() => {
		if (document.body.classList.contains("js-enabled")) return "a script has run";
		if (!document.querySelector("main h1")?.checkVisibility()) return "no heading is seen";
		const lost = [...document.querySelectorAll("main form")].find(f => ![...f.querySelectorAll("button, input[type=submit]")].some(e => e.checkVisibility()) && !f.closest("details:not([open])"));
		if (lost) return "a form cannot be sent: " + lost.outerHTML.slice(0, 200);
		const hidden = [...document.querySelectorAll("main [hidden]:not(button[type=button])")].find(e => e.textContent.trim()); // what only a script does, only a script offers
		return hidden ? "hidden: " + hidden.outerHTML.slice(0, 200) : "";
	})()`))
	if err != nil || wrong != "" {
		b.t.Errorf("%s without scripts: %s (%v)", path, wrong, err)
	}
}

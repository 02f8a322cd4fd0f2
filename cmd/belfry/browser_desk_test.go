package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

// keyboard is somebody who uses nothing else, and counts.
type keyboard struct {
	*tab
	keys int
}

func (k *keyboard) press(keys string) {
	k.t.Helper()
	k.keys += len([]rune(keys))
	k.do("press keys", chromedp.KeyEvent(keys))
}

// goTo presses Tab until the focus is there.
func (k *keyboard) goTo(css string) {
	k.t.Helper()
	k.waitFor(css)
	for range 40 {
		k.press(kb.Tab)
		there, err := see(k.tab, chromedp.Evaluate[bool](`document.activeElement.matches(`+"`"+css+"`"+`)`))
		if err != nil {
			k.t.Fatal(err)
		}
		if there {
			return
		}
	}
	k.t.Fatalf("Tab does not come to %s\n%s", css, k.state())
}

// skip goes past what stands above every page.
func (k *keyboard) skip() {
	k.t.Helper()
	k.goTo(".govuk-skip-link")
	k.press(kb.Enter)
}

// fetched is a file of this site, with the browser's own cookies.
func (b *tab) fetched(address, name string) string {
	b.t.Helper()
	return b.fetchedBy(`fetch("`+address+`")`, name)
}

// fetchedBy is the file that a fetch of the page's own gives.
func (b *tab) fetchedBy(fetch, name string) string {
	b.t.Helper()
	numbers, err := see(b, chromedp.Evaluate[[]int](fetch+`.then(r => r.arrayBuffer()).then(a => Array.from(new Uint8Array(a)))`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	content := make([]byte, len(numbers))
	for i, n := range numbers {
		content[i] = byte(n)
	}
	file := filepath.Join(b.t.TempDir(), name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return file
}

// A day at the desk, in one world: somebody at the counter is served by keyboard, a bank
// checks what they bring, and a question goes to a person and comes back.
func TestBrowserDesk(t *testing.T) {
	claire, bank := browse(t), browse(t)
	w := startWorld(t)
	page, paper := claire.servesAtCounter(w)
	bank.checksPaper(w, paper)
	claire.withdraws(page)
	bank.checksWithdrawn(w, paper)
	wim, mine := bank, claire // other people, at the same machines
	wim.forgetSession()
	mine.forgetSession()
	wim.asksSofie(w, mine)
	w.noNumberLeaks()
}

// servesAtCounter is a clerk's way from the list to the sealed paper, open for printing, by
// keyboard in less than a minute.
func (claire *tab) servesAtCounter(w *world) (page, paper string) {
	t := claire.t
	claire.joins(w, "beaumarais", "Claire Louise Dubois", "claire")
	claire.open(w.origin("beaumarais") + "/fr/desk/new")
	claire.accessible("30-counter")
	hands := &keyboard{tab: claire}
	hands.skip()
	hands.goTo("#number")
	hands.press("85073012345" + kb.Enter)
	claire.waitFor(".govuk-error-summary")
	claire.accessible("31-counter-error")

	claire.open(w.origin("beaumarais") + "/fr/desk")
	hands.keys = 0
	began := time.Now()
	hands.skip()
	hands.goTo(`a[href$="/desk/new"]`)
	hands.press(kb.Enter)
	claire.at("/desk/new")
	hands.skip()
	hands.goTo("#number")
	hands.press(w.card("luc").NationalNumber + kb.Enter)
	claire.at("/desk/new/check")
	claire.sees("Lambert")
	hands.skip()
	hands.goTo(`form[action*="/check"] button`)
	hands.press(kb.Enter)
	claire.at("/desk/orders/")
	hands.goTo(`form[action*="/approve"] button`)
	hands.press(kb.Enter)
	claire.waitFor(`a[href$="/paper"]`) // it comes without anybody loading the page again
	claire.prints(hands)
	took := time.Since(began)
	// Somebody who is slow with keys takes half a second for each.
	if slow := took + time.Duration(hands.keys)*500*time.Millisecond; slow > time.Minute {
		t.Errorf("from the list to the print: %d keys, which is %s", hands.keys, slow)
	}
	t.Logf("from the list to the print: %d keys, %s by a machine", hands.keys, took.Round(time.Millisecond))
	claire.accessible("32-counter-issued")
	page = claire.location()
	paper = claire.fetched(page+"/paper", "paper.pdf")
	accepted(t, paper)
	keepAs(t, paper, "paper-counter.pdf")

	return page, paper
}

// prints presses the key of somebody whose focus is on the link, and waits until the paper
// has gone to the browser's print.
func (claire *tab) prints(hands *keyboard) {
	claire.t.Helper()
	claire.until("have the focus on the print", `document.activeElement.matches("a[data-print]")`)
	hands.press(kb.Enter)
	claire.until("print", `document.querySelector("iframe.b-print")?.dataset.printed === "yes"`)
	if n := claire.count("iframe.b-print"); n != 1 {
		claire.t.Errorf("%d papers in frames", n)
	}
}

// checksPaper is what a bank does: by what is printed, by the file, and by a file that
// somebody has changed, in each of the four languages.
func (b *tab) checksPaper(w *world, paper string) {
	b.checksCode(w, "fr", "Claire Louise Dubois")
	b.checksCode(w, "en", "Claire Louise Dubois")
	b.checks(w, "beaumarais/fr", paper, "authentique et valable")
	b.accessible("34-bank-file")
	altered := spoiled(b.t, paper)
	b.checks(w, "beaumarais/en", altered, "Altered document")
	b.checks(w, "ahornfeld/de", altered, "Verändertes Dokument")
	b.checks(w, "montclair/nl", altered, "Gewijzigd document")
	b.checks(w, "beaumarais/fr", altered, "Document modifié")
	b.accessible("35-bank-altered")
}

// withdraws takes a paper back.
func (claire *tab) withdraws(page string) {
	claire.open(page + "/withdrawal")
	claire.accessible("36-withdraw")
	claire.click("#cause")
	claire.fill("#words", "Une erreur de frappe.")
	claire.click(`form[action*="/withdrawal"] button`)
	claire.waitFor(`form[action*="/replace"]`)
	claire.accessible("37-withdrawn")
}

func (b *tab) checksWithdrawn(w *world, paper string) {
	b.checksCode(w, "fr", "il ne vaut plus")
	b.checks(w, "beaumarais/en", paper, "no longer valid")
	b.checks(w, "beaumarais/fr", paper, "il ne vaut plus")
	b.accessible("38-bank-withdrawn")
}

// checks drops a file on the verification page of a commune, in a language.
func (b *tab) checks(w *world, at, file, says string) {
	b.t.Helper()
	commune, language, _ := strings.Cut(at, "/")
	b.open(w.origin(commune) + "/" + language + "/verify")
	b.upload("input[type=file]", file)
	b.click(`form[enctype="multipart/form-data"] button`)
	b.at("/verify/file")
	if first := b.text("h1"); !strings.Contains(first, says) {
		b.t.Errorf("%s: the page begins with %q, not %q", at, first, says)
	}
}

// checksCode types what is printed on the only paper.
func (b *tab) checksCode(w *world, language, says string) {
	b.t.Helper()
	number, code := w.printed(b.t)
	b.open(w.origin("beaumarais") + "/" + language + "/verify")
	b.fill("#number", number)
	b.fill("#code", strings.ToLower(code))
	b.click(`main form:has(#code) button`)
	b.sees(says)
}

// printed are number and code of the only paper, which stand on it.
func (w *world) printed(t *testing.T) (number, code string) {
	t.Helper()
	s, err := loadSettings(w.Belfry.Config)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(context.Background(), s.Database.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(context.Background(), `SELECT number, code FROM orders_paper`).Scan(&number, &code); err != nil {
		t.Fatal(err)
	}
	return number, code
}

package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// focused is what the keyboard is at, as a page's script can tell.
const focused = `(() => {
	const e = document.activeElement;
	if (!e || e === document.body) return {What: ""};
	if (e === window.walked && e.type === 'date') return {Same: true, Date: true, What: e.outerHTML.slice(0, 160)}; // its next part
	const drawn = e.matches('input[type=radio], input[type=checkbox]') ? [e.labels[0], '::before'] : [e, null];
	const look = () => { const c = getComputedStyle(...drawn); return [c.outlineStyle, c.outlineWidth, c.outlineColor, c.boxShadow, c.backgroundColor, c.borderColor].join() };
	const on = look(); e.blur(); const off = look(); e.focus({preventScroll: true});
	const box = (drawn[1] ? drawn[0] : e).getBoundingClientRect();
	const last = window.walked;
	window.walked = e;
	return {
		What: e.outerHTML.slice(0, 160), Frame: e.tagName === 'IFRAME',
		Marked: on !== off, Seen: box.width > 1 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
		Behind: !!last && last !== e && !!(last.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_PRECEDING),
		Same: last === e,
	};
})()`

// walkable goes through a page by the Tab key: each stop is in sight, is marked as
// the one with the focus, follows the one before in the document, and can be left.
func (b *tab) walkable(name string) {
	b.t.Helper()
	b.do("begin at the top", chromedp.Evaluate[chromedp.Void](`document.activeElement?.blur(); getSelection().removeAllRanges(); window.walked = null; window.scrollTo(0, 0);
		{ const top = document.createElement('span'); top.tabIndex = -1; document.body.prepend(top); top.focus(); top.remove(); } 0`))
	stops, within := 0, 0
	for range 120 {
		b.do("press Tab", chromedp.KeyEvent(kb.Tab))
		at, err := see(b, chromedp.Evaluate[struct {
			What                                    string
			Frame, Marked, Seen, Behind, Same, Date bool
		}](focused))
		if err != nil {
			b.t.Fatalf("%s: where Tab leads: %v", name, err)
		}
		if at.What == "" || at.Behind { // the end of the page, or its beginning again
			break
		}
		// Day, month, year and the calendar of a date are four stops in one element.
		if within++; !at.Same {
			stops, within = stops+1, 1
		}
		switch {
		case at.Frame:
			// The browser's own viewer comes next; the link before it leads past it.
			return
		case at.Same && at.Date && within <= 4:
		case at.Same:
			b.t.Errorf("%s: Tab does not leave %s", name, at.What)
			return
		case !at.Marked:
			b.t.Errorf("%s: nothing shows the focus of %s", name, at.What)
		case !at.Seen:
			b.t.Errorf("%s: the focus is out of sight at %s", name, at.What)
		}
	}
	// Where a viewer of the browser's own is within the page, what lies before it counts.
	if must, err := see(b, chromedp.Evaluate[int](`(frame => [...document.querySelectorAll('a[href], button, input:not([type=hidden]):not([type=radio]), textarea, summary')].filter(e => e.checkVisibility() && e.tabIndex >= 0 && !(frame && frame.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING)).length)(document.querySelector('iframe'))`)); err != nil || stops < must {
		b.t.Errorf("%s: Tab stops %d times, at fewer than the %d links and controls (%v)", name, stops, must, err)
	}
}

// sideways is what leaves a page to the right, or nothing.
const sideways = `(() => {
	const over = [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && e.offsetParent && getComputedStyle(e).position !== "absolute");
	return document.documentElement.scrollWidth > innerWidth ? (over.at(-1)?.outerHTML.slice(0, 160) || "the page") : "";
})()`

// doubled reads a page with letters of twice the size: nothing leaves it sideways.
func (b *tab) doubled(name string, picture bool) {
	b.t.Helper()
	b.do("larger letters", chromedp.Evaluate[chromedp.Void](`document.documentElement.style.fontSize = "200%";0`))
	wide, err := see(b, chromedp.Evaluate[string](sideways))
	if err != nil || wide != "" {
		b.t.Errorf("%s: with letters of twice the size it scrolls sideways: %s (%v)", name, wide, err)
	}
	if picture {
		b.shot(name + "-large")
	}
	b.do("letters as before", chromedp.Evaluate[chromedp.Void](`document.documentElement.style.fontSize = "";0`))
}

// readsInOtherLanguages visits a commune's pages in the language that is a courtesy there:
// each holds to the language chosen.
func (b *tab) readsInOtherLanguages(w *world) {
	b.t.Helper()
	for _, l := range []string{"en"} {
		b.open(w.origin("beaumarais") + "/fr/")
		b.click(fmt.Sprintf(`.b-languages a[hreflang=%q]`, l))
		b.at("/" + l + "/")
		b.accessible("language-" + l + "-home")
		for _, link := range []string{`main a[href*="/documents/"]`, `nav a[href$="/verify"]`} {
			b.click(link)
			b.at("/" + l + "/")
			b.accessible("language-" + l + link[strings.LastIndex(link, "/"):strings.LastIndex(link, `"`)])
			b.keepsLanguage(l)
		}
	}
}

// keepsLanguage fails the test for links of the page, but its language switch, that lead into another language.
func (b *tab) keepsLanguage(l string) {
	b.t.Helper()
	quoted, _ := json.Marshal("/" + l + "/")
	away, err := see(b, chromedp.Evaluate[string](`(() => {
		if (document.documentElement.lang + "" !== `+string(quoted)+`.slice(1, -1)) return "lang=" + document.documentElement.lang;
		return [...document.querySelectorAll("a[href^='/'], form[action^='/']")].filter(e => !e.closest(".b-languages"))
			.map(e => e.getAttribute("href") || e.getAttribute("action")).filter(a => !(a + "/").startsWith(`+string(quoted)+`)).join(" ");
	})()`))
	if err != nil || away != "" {
		b.t.Errorf("%s leads out of its language: %s (%v)", b.location(), away, err)
	}
}

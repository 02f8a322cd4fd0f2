package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// unforced lists what cannot be told from its ground in forced colours, where the browser
// takes all colours of a page away but its own, and counts what was looked at: buttons and
// fields by their edge, tags by theirs, the current one of several by more than a
// colour, and drawings by what they are filled or drawn with.
const unforced = `(() => {
	const wrong = [];
	let looked = 0;
	const parse = c => { const m = c.match(/[\d.]+/g); return m && !(m.length > 3 && +m[3] === 0) ? m.slice(0, 3).map(Number) : null };
	const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b };
	const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((x, y) => y - x); return (x + .05) / (y + .05) };
	const ground = parse(getComputedStyle(document.body).backgroundColor);
	if (!ground) return JSON.stringify({Looked: 0, Wrong: ["the page has no ground"]});
	const seen = e => e.checkVisibility() && e.getBoundingClientRect().width > 1;
	const name = e => e.outerHTML.slice(0, 140);
	const edge = e => {
		const c = getComputedStyle(e), colour = parse(c.borderBottomColor);
		return parseFloat(c.borderBottomWidth) >= 1 && c.borderBottomStyle !== "none" && colour && contrast(colour, ground) >= 3;
	};
	for (const e of document.querySelectorAll(".govuk-button, input:not([type=hidden], [type=radio], [type=checkbox]), select, textarea, .govuk-tag, .b-card, .b-panel, .b-result, .b-box")) {
		if (!seen(e)) continue;
		looked++;
		const c = getComputedStyle(e);
		const left = parseFloat(c.borderLeftWidth) >= 1 && c.borderLeftStyle !== "none";
		if (!edge(e) && !(e.matches(".b-box") && left)) wrong.push("no edge: " + name(e));
	}
	for (const e of document.querySelectorAll(".govuk-radios__label, .govuk-checkboxes__label")) {
		if (!seen(e)) continue;
		looked++;
		if (parseFloat(getComputedStyle(e, "::before").borderBottomWidth) < 1) wrong.push("no box: " + name(e));
	}
	for (const e of document.querySelectorAll(".b-tabs [aria-current], .b-nav [aria-current]")) {
		const other = [...e.closest("ul").querySelectorAll("a, span")].find(o => !o.hasAttribute("aria-current"));
		if (!seen(e) || !other) continue;
		looked++;
		const look = o => { const c = getComputedStyle(o); return [c.borderBottomWidth, c.borderBottomStyle, c.fontWeight, c.textDecorationLine].join() };
		if (look(e) === look(other)) wrong.push("the current one looks like the others: " + name(e));
	}
	for (const e of document.querySelectorAll("svg :is(text, path, rect, circle, polygon)")) {
		if (!seen(e) || e.closest("defs, .b-hero__picture")) continue;
		const c = getComputedStyle(e);
		const box = e.getBoundingClientRect();
		if (!box.width || !box.height || +c.opacity < .5) continue;
		looked++;
		const on = e.closest("header, .b-header") ? parse(getComputedStyle(e.closest(".b-header") || document.body).backgroundColor) || ground : ground;
		const colours = [c.fill, c.stroke].filter(v => v && v !== "none" && !v.startsWith("url")).map(parse).filter(Boolean);
		if (e.matches("[fill^=url]") && !colours.length) continue;
		const inner = e.previousElementSibling && e.parentElement.matches("svg"); // drawn upon the form before it
		if (!colours.some(v => contrast(v, on) >= (e.matches("text") ? 4.5 : 3)) && !(inner && colours.some(v => contrast(v, on) < 1.2))) wrong.push("cannot be seen: " + name(e) + " " + c.fill + " " + c.stroke);
		if (inner && e.matches("path[stroke]")) { // the tick in a mark
			const below = parse(getComputedStyle(e.previousElementSibling).fill), mine = parse(c.stroke);
			if (below && mine && contrast(below, mine) < 3) wrong.push("one with what is below it: " + name(e));
		}
	}
	for (const e of document.querySelectorAll("main img")) { looked++; if (!e.complete || !e.naturalWidth) wrong.push("no picture: " + name(e)); }
	return JSON.stringify({Looked: looked, Wrong: wrong.slice(0, 5)});
})()`

// inForcedColours looks at the page as people see it who have their system choose all
// colours, upon white and upon black, and goes to what can have the focus.
func (b *tab) inForcedColours(name string) (looked int) {
	b.t.Helper()
	b.front() // what is behind has no focus
	for _, scheme := range []string{"light", "dark"} {
		b.media(emulation.MediaFeature{Name: "forced-colors", Value: "active"}, emulation.MediaFeature{Name: "prefers-color-scheme", Value: scheme})
		if on, err := see(b, chromedp.Evaluate[bool](`matchMedia("(forced-colors: active)").matches`)); err != nil || !on {
			b.t.Fatalf("colours are not forced (%v)", err)
		}
		found, err := see(b, chromedp.Evaluate[string](unforced))
		if err != nil {
			b.t.Fatal(err)
		}
		var page struct {
			Looked int
			Wrong  []string
		}
		if err := json.Unmarshal([]byte(found), &page); err != nil {
			b.t.Fatal(err)
		}
		looked += page.Looked
		for _, w := range page.Wrong {
			b.t.Errorf("%s in forced colours, %s: %s", name, scheme, w)
		}
		if hidden, err := see(b, chromedp.Evaluate[string](unmarked)); err != nil || hidden != "" {
			b.t.Errorf("%s in forced colours, %s: nothing shows the focus of %s (%v)", name, scheme, hidden, err)
		}
		b.shot("forced-" + scheme + "-" + name)
	}
	b.media()
	return looked
}

// unmarked gives the focus to each link and control in turn, and returns the first where it
// is not seen: forced colours take shadows and grounds away, so an outline or an edge must come.
const unmarked = `(() => {
	for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
		if (!e.checkVisibility() || e.disabled || e.tabIndex < 0) continue;
		const drawn = e.matches("input[type=radio], input[type=checkbox]") ? [e.labels[0], "::before"] : [e, null];
		if (!drawn[0]) continue;
		const look = () => { const c = getComputedStyle(...drawn); return [c.outlineStyle, c.outlineWidth, c.borderWidth, c.textDecorationLine, c.textDecorationThickness].join() };
		e.blur();
		const off = look();
		e.focus({preventScroll: true, focusVisible: true});
		const on = look(), c = getComputedStyle(...drawn);
		e.blur();
		if (on === off || (c.outlineStyle !== "none" && parseFloat(c.outlineWidth) < 2)) return e.outerHTML.slice(0, 140);
	}
	return "";
})()`

// media has the browser believe that its user has these preferences.
func (b *tab) media(features ...emulation.MediaFeature) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	list := make([]*emulation.MediaFeature, 0, len(features))
	for _, f := range features {
		list = append(list, &f)
	}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: list}); err != nil {
		b.t.Fatal(err)
	}
}

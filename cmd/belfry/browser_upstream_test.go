package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// at a source, a person chooses who they are.
func (b *tab) identify(source, name, means string) {
	b.t.Helper()
	b.waitFor(`main a[href^="http://` + source + `.localhost"]`)
	b.click(`main a[href^="http://` + source + `.localhost"]`)
	b.at("//" + source + ".localhost")
	b.choosePerson(name, means)
	b.click(`button[value=go]`)
}

// choosePerson picks from the lists of an imitated source.
func (b *tab) choosePerson(name, means string) {
	b.t.Helper()
	b.waitFor("select[name=person]")
	for list, value := range map[string]string{"person": name, "means": means} {
		if value != "" {
			b.do("choose "+value, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector("select[name=%s]").value = %q;0`, list, value)))
		}
	}
}

// The mairie's way in Chromium, where cookies, other sites and policies are a browser's
// own: FranceConnect by redirect, FranceConnect+ by a form that another site posts, the
// directory, and signing out of it. Each new page is held to axe and to 320 px.
func TestBrowserMairie(t *testing.T) {
	helene, bruno := browse(t), browse(t)
	w := startWorld(t)

	helene.open(w.origin(mairie))
	helene.accessible("m01-home")
	helene.click(`main a[href*="/documents/"]`)
	helene.at("/documents/")
	helene.accessible("m02-product")
	helene.click(`main a[href*="/form"]`)
	helene.at("/login/")
	helene.accessible("m03-choose")
	helene.click(`main a[href$="/franceconnect"]`)
	helene.waitFor(`main a[href^="http://franceconnect.localhost"]`)
	helene.accessible("m04-franceconnect")
	helene.click(`main a[href^="http://franceconnect.localhost"]`)
	helene.at("//franceconnect.localhost")
	helene.accessible("m05-imitation")
	helene.click(`button[value=stop]`)
	helene.waitFor(".govuk-error-summary")
	helene.accessible("m06-gave-up")
	helene.identify("franceconnect", "helene", "eidas1")
	helene.at("/form")
	helene.sees("Moreau")
	helene.accessible("m07-form")
	helene.click("main form button")
	helene.waitFor(".govuk-error-summary")
	helene.accessible("m08-form-error")
	helene.click("label[for=contact-none]")
	helene.fill("#birth_place", placeOfBirth)
	helene.fill("#home_address", "3 rue du Port, 59999 Saint-Aubin")
	helene.click("main form button")
	helene.at("/check")
	helene.accessible("m09-check")
	helene.click(`form[action*="/send"] button`)
	helene.at("/sent")
	order := strings.TrimSuffix(helene.location(), "/sent")

	bruno.open(w.invite(mairie, "Bruno Caron"))
	bruno.accessible("m10-join")
	bruno.click(`main a[href*="/sign-in"]`)
	bruno.at("/login/")
	bruno.waitFor(`main a[href^="http://directory.localhost"]`)
	bruno.accessible("m11-directory")
	bruno.identify("directory", "bruno", "")
	bruno.at("/desk/join")
	bruno.click(`form[action*="/join"] button`)
	bruno.waitFor("main table")
	bruno.click(`main table a[href*="/desk/orders/"]`)
	bruno.waitFor(`form[action*="/prepare"]`)
	bruno.accessible("m12-desk-order")
	bruno.click(`form[action*="/prepare"] button`)
	bruno.waitFor(`form[action*="/approve"]`)
	bruno.accessible("m13-desk-preview")
	bruno.click(`form[action*="/approve"] button`)
	bruno.until("be approved", `!document.querySelector('form[action*="/approve"]')`)
	paper := helene.download(order)
	accepted(t, paper)
	keep(t, paper)
	bruno.atMairiesCounter(w)
	bruno.click(`form[action*="/sign-out"] button`)
	bruno.at("/signed-out")
	if !strings.HasPrefix(bruno.location(), w.origin(mairie)) {
		t.Errorf("signed out, and at %s", bruno.location())
	}
	bruno.accessible("m14-signed-out")

	karim := browse(t)
	karim.open(w.origin(mairie) + "/fr/orders")
	karim.at("/login/")
	karim.click(`main a[href$="/franceconnect-plus"]`)
	karim.identify("franceconnect-plus", "karim", "eidas3")
	karim.click(`form[action*="/return"] button`)
	karim.at("/fr/orders")
	karim.sees("Benali")
	w.noNumberLeaks()
}

// atMairiesCounter takes somebody down whom no register knows, up to the paper to be approved.
func (bruno *tab) atMairiesCounter(w *world) {
	bruno.open(w.origin(mairie) + "/fr/desk/new")
	bruno.at("/desk/new/person")
	bruno.accessible("m15-counter")
	bruno.fill("#surname", "Delattre")
	bruno.fill("#given_names", "Odile")
	bruno.click("#document-passport")
	bruno.fill("#ending", "7K2M")
	bruno.click(`main form button`)
	bruno.waitFor(".govuk-error-summary")
	bruno.accessible("m16-counter-error")
	bruno.do("type a date", chromedp.Evaluate[chromedp.Void](`document.querySelector("#birth_date").value = "1951-11-03";0`))
	bruno.click(`main form button`)
	bruno.at("/desk/new/check")
	bruno.accessible("m17-counter-check")
	bruno.fill("#birth_place", placeOfBirth)
	bruno.fill("#home_address", "8 rue du Port, 59999 Saint-Aubin")
	bruno.click(`form[action*="/check"] button`)
	bruno.waitFor(`form[action*="/approve"]`)
	bruno.sees("7K2M")
}

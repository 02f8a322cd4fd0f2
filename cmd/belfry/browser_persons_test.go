package main

import "testing"

// In Chromium: the last way on this computer comes first, what is not enough is explained,
// and the form is there again; by pages of four languages, narrow and by keyboard.
func TestBrowserStepUp(t *testing.T) {
	b := browse(t)
	w := startWorld(t)
	b.open(w.origin("beaumarais") + "/fr/documents/residence/form")
	b.waitFor(`main a[href$="/fas"]`)
	b.click(`main a[href$="/fas"]`)
	b.click(`main a[href*="csam.localhost"]`)
	b.at("/sso")
	b.choosePerson("luc", totp)
	b.click(`button[value=go]`)
	b.at("/answer")
	b.click("button")
	b.at("/form")
	b.fill("input[name=email]", "kept@example.org")
	b.click(`main input[name=document_language]`)
	b.click(`form[action$="/form"] button`)
	b.at("/login/")
	b.sees("plus sûr de votre identité")
	b.until("show the last way first", `document.querySelector("main ul a").href.endsWith("/fas")`)
	b.walkable("persons-01-too-low")
	b.accessible("persons-01-too-low")
	b.click(`main a[href$="/fas"]`)
	b.click(`main a[href*="csam.localhost"]`)
	b.at("/sso")
	b.choosePerson("luc", itsme)
	b.click(`button[value=go]`)
	b.at("/answer")
	b.click("button")
	b.at("/check")
	b.sees("kept@example.org")
	b.click(`form[action$="/send"] button`)
	b.at("/sent")
}

package main

import (
	"strings"
	"testing"
)

// The federal login in Chromium. The service is another site than the provider and the
// commune, so that its form comes without our cookies, and they are there again after the
// redirect that follows; signing out goes the same way and back.
func TestBrowserFederal(t *testing.T) {
	b := browse(t)
	w := startWorld(t)
	there := strings.Replace(w.Provider.Issuers[0], "id.belfry.localhost", "csam.localhost", 1)

	b.open(w.origin("beaumarais"))
	b.click(`main a[href*="/documents/"]`)
	b.at("/documents/")
	b.click(`main a[href*="/form"]`)
	b.waitFor(`main a[href$="/fas"]`)
	b.accessible("federal-01-choice")
	b.click(`main a[href$="/fas"]`)
	b.waitFor(`main a[href*="csam.localhost"]`)
	b.accessible("federal-02-step")
	b.click(`main a[href*="csam.localhost"]`)
	b.at("/sso")
	b.click(`button[value=stop]`)
	b.at("/answer")
	b.click("button")
	b.waitFor(".govuk-error-summary, .govuk-error-message")
	b.accessible("federal-03-gave-up")
	b.click(`main a[href*="csam.localhost"]`)
	b.at("/sso")
	b.fill("select[name=person]", "luc")
	b.click(`button[value=go]`)
	b.at("/answer")
	b.click("button")
	b.at("/form")
	b.sees("Lambert")

	b.click(`form[action*="/sign-out"] button`)
	b.at("/signed-out")
	b.waitFor("main h1")
	b.accessible("federal-04-signed-out")
	b.open(there + "/leave")
	b.sees("Nobody is signed in")

	b.open(w.Provider.Issuers[0] + "/saml/beaumarais/slo?SAMLRequest=PHgvPg%3D%3D")
	b.accessible("federal-05-sign-out-refused")
}

package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/testcerts"
)

func checked(t *testing.T, files *idfile.Files) idfile.Content {
	t.Helper()
	w := testcerts.New(t)
	v, err := trust.New(trust.Config{Roots: w.Roots(), Intermediates: w.Intermediates(), Hosts: w.Hosts()})
	if err != nil {
		t.Fatal(err)
	}
	made, err := (&idfile.Verifier{Authority: v, Clock: clock.System}).Verify(t.Context(), *files)
	if err != nil {
		t.Fatal(err)
	}
	return made.Content()
}

// Any card is read without PIN, after a window that says who asks and lists the data; the
// server can check what comes.
func TestACardIsReadForTheCounter(t *testing.T) {
	for _, kind := range []testcerts.Kind{testcerts.Today, testcerts.Old, testcerts.Child, testcerts.Declined} {
		cards, held := cardOf(t, "Lezer"+string(kind), testcerts.CardSpec{Kind: kind})
		seen := withPinentry(t, "ok")
		a := pinentryAgent(t, cards)
		out := a.asked(t, "/identity", `{"commune":"Zandvoorde","photo":true,"lang":"nl"}`)
		if out.Identity == nil || out.Token != nil {
			t.Fatalf("%s: %+v", kind, out.Error)
		}
		if got := checked(t, out.Identity); got.Number.Reveal() != held.Number || got.Surname != held.Surname || len(out.Identity.Photo) == 0 {
			t.Errorf("%s: another's files", kind)
		}
		told := seen()
		for _, line := range []string{i18n.T(i18n.Dutch, "agent.purpose_identity") + "\n\n" + site + "\n\nGemeente: Zandvoorde", i18n.T(i18n.Dutch, "agent.data_photo"), "Kaart van Maria Lezer" + string(kind)} {
			if !strings.Contains(told, line) {
				t.Errorf("%s: pinentry was not told %q but\n%s", kind, line, told)
			}
		}
		if strings.Contains(told, "GETPIN") || strings.Contains(a.log.String(), held.Number) {
			t.Errorf("%s: a PIN was asked for, or the number logged", kind)
		}
		// The next time is asked again.
		withPinentry(t, "cancel")
		if out := a.asked(t, "/identity", `{"commune":"Zandvoorde","photo":false,"lang":"nl"}`); out.Error == nil || out.Error.Code != "cancelled" || out.Identity != nil {
			t.Errorf("%s, cancelled: %+v", kind, out.Error)
		}
	}
}

// Who signs in with their address sees so before the PIN.
func TestTheAddressComesWithTheSignIn(t *testing.T) {
	for _, kind := range []testcerts.Kind{testcerts.Today, testcerts.Old} {
		cards, held := cardOf(t, "Adres"+string(kind), testcerts.CardSpec{Kind: kind, PIN: "2468"})
		seen := withPinentry(t, "2468")
		a := pinentryAgent(t, cards)
		out := a.asked(t, "/authenticate", strings.Replace(asking, `"nl"`, `"nl","address":true`, 1))
		if out.Token == nil || out.Identity == nil {
			t.Fatalf("%s: %+v", kind, out.Error)
		}
		if want := map[testcerts.Kind]string{testcerts.Today: "ES384", testcerts.Old: "RS256"}[kind]; out.Token.Algorithm != want {
			t.Errorf("%s: %s", kind, out.Token.Algorithm)
		}
		if got := checked(t, out.Identity); got.Number.Reveal() != held.Number || out.Identity.Photo != nil {
			t.Errorf("%s: another's files, or the photo", kind)
		}
		if told := seen(); !strings.Contains(told, i18n.T(i18n.Dutch, "agent.purpose_login_address")) || !strings.Contains(told, i18n.T(i18n.Dutch, "agent.data_list")) {
			t.Errorf("%s: pinentry was told\n%s", kind, told)
		}
		withPinentry(t, "2468")
		if out := a.asked(t, "/authenticate", asking); out.Token == nil || out.Identity != nil {
			t.Errorf("%s: the files come unasked: %+v", kind, out.Error)
		}
	}
}

func TestReadRequestsThatAreRefused(t *testing.T) {
	a := startAgent(t, &reader{}, nil)
	for name, text := range map[string]string{
		"no commune": `{"commune":"","lang":"nl"}`, "a commune of lines": `{"commune":"Z\nhttps://bank.example","lang":"nl"}`,
		"a long one": `{"commune":"` + strings.Repeat("Z", 61) + `"}`, "something else too": `{"commune":"Z","pin":"1234"}`, "no JSON": `Z`,
		"a challenge": `{"commune":"Z","nonce":"` + nonce + `"}`,
	} {
		if status, _, _ := a.call(t, "POST", "/identity", text, nil); status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, status)
		}
	}
	good := `{"commune":"Z","lang":"nl"}`
	for _, origin := range []string{"null", "", a.base, "https://id.example.be/path"} {
		if status, _, _ := a.call(t, "POST", "/identity", good, from(origin)); status != http.StatusForbidden {
			t.Errorf("from %q: %d", origin, status)
		}
	}
	status, out, _ := a.call(t, "POST", "/identity", good, nil)
	if status != http.StatusAccepted {
		t.Fatalf("a good one: %d", status)
	}
	// Nobody else fetches it.
	if status, _, _ := a.call(t, "GET", "/identity/"+out.ID, "", from("https://evil.example")); status != http.StatusNotFound {
		t.Errorf("another origin: %d", status)
	}
}

// An RSA card signs documents too, as PKCS #1 v1.5.
func TestACardOfBefore2021SignsDocuments(t *testing.T) {
	cards, held := cardOf(t, "Oudekaart", testcerts.CardSpec{Kind: testcerts.Old, PIN: "2468"})
	withPinentry(t, "ok")
	a := pinentryAgent(t, cards)
	a.asked(t, "/certificate", want)
	withPinentry(t, "2468")
	req := signRequest{Commune: "Zandvoorde", Documents: 1, Number: 1, Certificate: held.Signature.Raw, Hash: make([]byte, 32), HashFunction: "SHA-256"}
	out := a.asked(t, "/sign", body(t, req))
	if out.Signature == nil || out.Signature.Algorithm != (signatureFormat{"RSA", "SHA-256", "PKCS1.5"}) || len(out.Signature.Value) != 256 {
		t.Fatalf("%+v", out.Error)
	}
}

package idp_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/idp"
)

// The number leaves through userinfo of the authorised client and nowhere else: not
// in logs, addresses, pages, tokens, rows or the audit chain (threat T7).
func TestTheNumberIsNowhereElse(t *testing.T) {
	w := newWorld(t)
	luc, marc := w.certs.Citizen("luc"), w.certs.Citizen("marc")
	p := w.parties[portal]
	b := w.browser()
	seen := map[string]string{}

	f := p.flow(with("scope", "openid profile national_number"))
	at := b.open(p.ask(f))
	failed := at.prove(marc) // a refused card leaves a trace, without its holder
	action, v := failed.card()
	v.Set("token", strings.Repeat("x", 200))
	again := b.post(action, failed.origin(), v)
	seen["the card step"], seen["the page after a refusal"], seen["the page after nonsense"] = at.body, failed.body, again.body
	back := again.prove(luc)
	a := p.exchange(f, back.code(f))
	seen["the token answer"] = fmt.Sprint(a.body)
	info := w.userinfo(a.str("access_token"))
	if info.str(idp.ClaimNumber) != luc.Number {
		t.Fatal("the authorised client does not get the number, so the test shows nothing")
	}
	delete(info.body, idp.ClaimNumber)
	seen["userinfo, the claim apart"] = fmt.Sprint(info.body)
	question := b.open(w.logout(url.Values{"client_id": {p.id}}))
	seen["the question before signing out"] = question.body
	b.open(w.logout(url.Values{"id_token_hint": {a.str("id_token")}}))
	seen["addresses"] = strings.Join(b.visited, "\n") + back.away.String()
	seen["the log"] = w.log.String()
	for _, file := range []string{w.db.Path(), w.db.Path() + "-wal"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		seen[file] = string(raw)
	}
	for where, text := range seen {
		for _, person := range []struct{ what, value string }{{"number", luc.Number}, {"number", marc.Number}} {
			for form, value := range spellings(person.value) {
				if strings.Contains(text, value) {
					t.Errorf("%s holds a %s (%s)", where, person.what, form)
				}
			}
		}
		if where == "the log" || strings.HasSuffix(where, ".db") || strings.HasSuffix(where, "-wal") {
			if strings.Contains(text, luc.Surname) || strings.Contains(text, marc.Surname) {
				t.Errorf("%s holds a name", where)
			}
		}
	}
	if !strings.Contains(seen["the log"], `"key":"card.revoked"`) {
		t.Error("the log does not say why a sign-in failed")
	}
	for _, secret := range []string{a.str("access_token"), a.str("id_token"), back.away.Query().Get("code"), b.cookie("belfry-login")} {
		if secret == "" || strings.Contains(seen["the log"], secret) || strings.Contains(seen[w.db.Path()+"-wal"], secret) {
			t.Error("a token, code or cookie lies in the log or the database")
		}
	}
}

// spellings are the forms in which eleven digits hide.
func spellings(number string) map[string]string {
	forms := map[string]string{
		"plain": number, "hex": fmt.Sprintf("%x", number),
		"written": number[:2] + "." + number[2:4] + "." + number[4:6] + "-" + number[6:9] + "." + number[9:],
	}
	for shift := range 3 { // base64 of a longer text that contains it, at each alignment
		text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + number))
		from := []int{0, 2, 3}[shift]
		forms[fmt.Sprint("base64, ", shift)] = text[from : len(text)-3]
	}
	return forms
}

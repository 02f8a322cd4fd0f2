package main

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/testcerts"
)

// playPinentry is a pinentry that answers GETPIN and CONFIRM by a script, one word
// each: PIN digits, "cancel", "other", "timeout", "ok", "hang", "die". What it was
// told is written to the file of BELFRY_TEST_PINENTRY_SEEN.
func playPinentry(script string) {
	seen, err := os.OpenFile(os.Getenv("BELFRY_TEST_PINENTRY_SEEN"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Println("ERR 1 no file")
		return
	}
	defer seen.Close()
	words := strings.Fields(script)
	fmt.Println("OK Pleased to meet you")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		command, value, _ := strings.Cut(lines.Text(), " ")
		decoded, _ := url.PathUnescape(value)
		fmt.Fprintf(seen, "%s %s\n", command, decoded)
		if command == "BYE" {
			fmt.Println("OK closing connection")
			return
		}
		if command != "GETPIN" && command != "CONFIRM" {
			if command == "OPTION" {
				fmt.Println("ERR 83886254 Unknown option <Pinentry>")
			} else {
				fmt.Println("OK")
			}
			continue
		}
		word := "cancel"
		if len(words) > 0 {
			word, words = words[0], words[1:]
		}
		switch word {
		case "cancel":
			fmt.Println("ERR 83886179 Operation cancelled <Pinentry>")
		case "other":
			fmt.Println("ERR 83886194 Not confirmed <Pinentry>")
		case "timeout":
			fmt.Println("ERR 83886142 Timeout <Pinentry>")
		case "ok":
			fmt.Println("# a comment\nS PIN_REPEATED\nOK")
		case "hang":
			time.Sleep(time.Minute)
		case "die":
			os.Exit(1)
		case "noise":
			fmt.Println("HTTP/1.1 400 Bad Request")
		default:
			fmt.Println("D " + strings.ReplaceAll(word, "4", "%34") + "\nOK")
		}
	}
}

// withPinentry makes every pinentry of this test follow the script.
func withPinentry(t *testing.T, script string) (seen func() string) {
	t.Helper()
	file := t.TempDir() + "/seen"
	t.Setenv("BELFRY_TEST_PINENTRY", script)
	t.Setenv("BELFRY_TEST_PINENTRY_SEEN", file)
	return func() string {
		b, _ := os.ReadFile(file)
		return string(b)
	}
}

func pinentryAgent(t *testing.T, cards *reader) *testAgent {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startAgent(t, cards, func(a *agent) window { return &pinentryWindow{agent: a, program: self} })
}

// cardOf makes a card that only this test's agent looks at.
func cardOf(t *testing.T, surname string, spec testcerts.CardSpec) (*reader, *testcerts.Card) {
	t.Helper()
	w := testcerts.New(t)
	spec.Person = testcerts.Person{Name: strings.ToLower(surname), GivenNames: "Maria", Surname: surname, Number: "71715100070"}
	c, err := w.MakeCard(spec)
	if err != nil {
		t.Fatal(err)
	}
	return &reader{module: w.ModulePath(), only: surname}, c
}

func (a *testAgent) outcomeOf(t *testing.T, id string) answer {
	t.Helper()
	for range 3 {
		if _, out, _ := a.call(t, "GET", "/authenticate/"+id, "", nil); out.State != "waiting" {
			return out
		}
	}
	t.Fatal("no outcome")
	return answer{}
}

func TestConfirmedByPinentry(t *testing.T) {
	cards, held := cardOf(t, "Pinentry", testcerts.CardSpec{PIN: "2468"})
	for name, c := range map[string]struct {
		script string
		code   string // "" is a token
		lines  []string
	}{
		"the PIN": {"2468", "", []string{"SETDESC U aanmelden\n\n" + site + "\n\nKaart van Maria Pinentry", "GETPIN"}},
		"a slip, then the PIN": {"1111 2468", "", []string{
			"SETERROR " + i18n.T(i18n.Dutch, "card.pin_wrong")}},
		"too short, then the PIN": {"11 2468", "", []string{"SETERROR " + i18n.T(i18n.Dutch, "card.pin_length")}},
		"cancelled":               {"cancel", "cancelled", nil},
		"a slip, then cancelled":  {"1111 cancel", "cancelled", nil},
		"nobody there":            {"timeout", "timeout", nil},
		"a program that ends":     {"die", "failed", nil},
		"a program that raves":    {"noise", "failed", nil},
	} {
		seen := withPinentry(t, c.script)
		a := pinentryAgent(t, cards)
		out := a.outcomeOf(t, a.begun(t, site))
		if (out.Token != nil) != (c.code == "") || out.Error != nil && out.Error.Code != c.code {
			t.Errorf("%s: %+v", name, out.Error)
		}
		told := seen()
		for _, line := range c.lines {
			if !strings.Contains(told, line) {
				t.Errorf("%s: pinentry was not told %q but\n%s", name, line, told)
			}
		}
		for _, secret := range []string{held.PIN, held.Number, nonce} {
			if strings.Contains(a.log.String(), secret) {
				t.Errorf("%s: the log holds a secret", name)
			}
		}
	}
}

func TestPinentryEndsWithItsOperation(t *testing.T) {
	cards, _ := cardOf(t, "Hanging", testcerts.CardSpec{})
	withPinentry(t, "hang")
	a := pinentryAgent(t, cards)
	id := a.begun(t, site)
	began := time.Now()
	a.call(t, "DELETE", "/authenticate/"+id, "", nil)
	if out := a.outcomeOf(t, id); out.Error == nil || out.Error.Code != "cancelled" {
		t.Errorf("%+v", out)
	}
	// The next one has its window, the hanging one is gone.
	withPinentry(t, "1234")
	if out := a.outcomeOf(t, a.begun(t, site)); out.Token == nil {
		t.Errorf("%+v", out.Error)
	}
	if time.Since(began) > 20*time.Second {
		t.Error("the hanging window was waited for")
	}
}

func TestSeveralCards(t *testing.T) {
	cards, one := cardOf(t, "Tweeling", testcerts.CardSpec{PIN: "1357"})
	w := testcerts.New(t)
	two, err := w.MakeCard(testcerts.CardSpec{PIN: "9753", Person: testcerts.Person{Name: "tweede", GivenNames: "Anna", Surname: "Tweeling", Number: one.Number}})
	if err != nil {
		t.Fatal(err)
	}
	for script, want := range map[string]int{"ok 1357 9753": 1, "ok 9753 1357": 1, "other ok 1357 9753": 1, "other other": 0} {
		withPinentry(t, script)
		a := pinentryAgent(t, cards)
		out := a.outcomeOf(t, a.begun(t, site))
		if (out.Token != nil) != (want == 1) {
			t.Errorf("%s: %+v", script, out.Error)
		}
	}
	_ = two
}

func TestCardsThatCannotSignIn(t *testing.T) {
	withPinentry(t, "1234")
	var cards *reader
	for want, kind := range map[string]testcerts.Kind{"no_certificate_declined": testcerts.Declined, "no_certificate_child": testcerts.Child} {
		cards, _ = cardOf(t, "Weigeraar"+string(kind), testcerts.CardSpec{Kind: kind})
		a := pinentryAgent(t, cards)
		if out := a.outcomeOf(t, a.begun(t, site)); out.Error == nil || out.Error.Code != want {
			t.Errorf("%s: %+v", want, out)
		}
	}
	a := pinentryAgent(t, &reader{module: cards.module, only: "nobody of this name"})
	if out := a.outcomeOf(t, a.begun(t, site)); out.Error == nil || out.Error.Code != "no_card" {
		t.Errorf("%+v", out)
	}
	a = pinentryAgent(t, &reader{})
	if out := a.outcomeOf(t, a.begun(t, site)); out.Error == nil || out.Error.Code != "no_middleware" {
		t.Errorf("%+v", out)
	}
}

func TestMeaningOfPinentrysErrors(t *testing.T) {
	for text, want := range map[string]error{
		"83886179 Operation cancelled <Pinentry>": card.ErrCancelled,
		"83886194 Not confirmed":                  errNotConfirmed,
		"83886142 Timeout":                        card.ErrTimeout,
		"99":                                      card.ErrCancelled,
	} {
		if got := meaningOf(text); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, text := range []string{"", "x", "83886336 Not implemented"} {
		if failure(meaningOf(text)).code != "failed" {
			t.Errorf("%q has a meaning", text)
		}
	}
}

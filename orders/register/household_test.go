package register

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
)

const (
	household = `{"members":[{"number":"` + digits + `","given_names":"Luc  Marie","surname":"Lambert\u202e","birth_date":"1985-00-00","relation":"reference","since":"2019-05-01"},
		{"given_names":"","surname":"Aung","birth_date":"2011-02-17","relation":"child","lives_elsewhere":true}]}`
	history     = `{"stays":[{"from":"2019-05-01","nis":"99001","commune":{"fr":"Beaumarais"},"street":"Rue du Beffroi","number":"12","postal_code":"9901","locality":"Beaumarais"},{"from":"1985-00-00","until":"2019-05-01","country":"FR"}]}`
	nationality = `{"nationalities":[{"code":"BE","since":"1985-07-30"},{"code":"MA"}]}`
)

// answers is a client of a register that answers each question with its body.
func answers(t testing.TB, status int, bodies map[string]string) *Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answering(status, "application/json", bodies[r.URL.Path])(w, r)
	}))
	t.Cleanup(srv.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{URL: srv.URL, TokenFile: token})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatElseTheRegisterKnows(t *testing.T) {
	c := answers(t, 200, map[string]string{"/household": household, "/history": history, "/nationality": nationality})
	members, err := c.Household(context.Background(), number(t))
	if err != nil || len(members) != 2 {
		t.Fatalf("%d members, %v", len(members), err)
	}
	if m := members[0]; m.Number != number(t) || m.GivenNames != "Luc Marie" || m.Surname != "Lambert" || m.BirthDate != "1985-00-00" || m.Relation != "reference" || m.Since != "2019-05-01" || m.LivesElsewhere {
		t.Errorf("the reference person: %+v", m)
	}
	if m := members[1]; !m.Number.IsZero() || m.Surname != "Aung" || !m.LivesElsewhere || m.Since != "" {
		t.Errorf("the child: %+v", m)
	}
	stays, err := c.History(context.Background(), number(t))
	if err != nil || len(stays) != 2 {
		t.Fatalf("%d stays, %v", len(stays), err)
	}
	if s := stays[0]; s.From != "2019-05-01" || s.Until != "" || s.Country != Belgian || s.Commune[i18n.French] != "Beaumarais" || s.Address(i18n.French) != "Rue du Beffroi 12, 9901\u00a0Beaumarais" {
		t.Errorf("the newest: %+v", s)
	}
	if s := stays[1]; s.Country != "FR" || s.Address(i18n.French) != "" || s.From != "1985-00-00" {
		t.Errorf("abroad: %+v", s)
	}
	list, err := c.Nationality(context.Background(), number(t))
	if err != nil || len(list) != 2 || list[0] != (Nationality{Belgian, "1985-07-30"}) || list[1].Code != "MA" {
		t.Errorf("%+v, %v", list, err)
	}
}

// Nothing that cannot stand on a paper comes through, and no error tells of a person.
func TestAnswersThatCannotBeUsed(t *testing.T) {
	parsers := map[string]func([]byte) error{
		household:   func(b []byte) error { _, err := parseHousehold(b); return err },
		history:     func(b []byte) error { _, err := parseHistory(b); return err },
		nationality: func(b []byte) error { _, err := parseNationality(b); return err },
	}
	for _, k := range []struct{ good, old, new string }{
		{household, `"surname":"Aung"`, `"surname":" "`},
		{household, digits, "12345678901"},
		{household, `"relation":"child"`, `"relation":"<b>"`},
		{household, `"relation":"child"`, `"relation":""`},
		{household, `2011-02-17`, `17/02/2011`},
		{household, `2019-05-01`, `2019-02-30`},
		{household, `"members":[`, `"members":[],"x":[`},
		{household, `Aung`, strings.Repeat("Aung", 60)},
		{household, `{"members":`, `{"members":{},"x":`},
		{history, `"country":"FR"`, `"country":"fr"`},
		{history, `"nis":"99001"`, `"nis":"9901"`},
		{history, `"from":"2019-05-01"`, `"from":""`},
		{history, `"until":"2019-05-01"`, `"until":"soon"`},
		{history, `"stays":[`, `"stays":[],"x":[`},
		{history, `Rue du Beffroi`, strings.Repeat("Rue du Beffroi", 20)},
		{nationality, `"MA"`, `"Maroc"`},
		{nationality, `1985-07-30`, `1985-30-07`},
	} {
		bad := strings.Replace(k.good, k.old, k.new, 1)
		err := parsers[k.good]([]byte(bad))
		if bad == k.good || fault.KeyOf(err) != "register.unreadable" {
			t.Errorf("%s as %s: %v", k.old, k.new, err)
		} else if strings.Contains(err.Error(), "Aung") || strings.Contains(err.Error(), "1234567") {
			t.Errorf("the error tells: %v", err)
		}
	}
	c := answers(t, 404, nil)
	if _, err := c.Household(context.Background(), number(t)); fault.KeyOf(err) != "register.unknown_person" {
		t.Errorf("nobody: %v", err)
	}
	c = answers(t, 503, nil)
	if _, err := c.History(context.Background(), number(t)); fault.KeyOf(err) != "register.down" {
		t.Errorf("down: %v", err)
	}
}

// Whatever is answered, what comes through is clean and within its bounds.
func FuzzHousehold(f *testing.F) {
	f.Add([]byte(household))
	f.Add([]byte(history))
	f.Add([]byte(nationality))
	f.Fuzz(func(t *testing.T, body []byte) {
		if members, err := parseHousehold(body); err == nil {
			if len(members) == 0 || len(members) > maxMembers {
				t.Errorf("%d members", len(members))
			}
			for _, m := range members {
				if m.BirthDate == "" || m.Relation == "" || tooLong(m.Surname) || tooLong(m.GivenNames) || m.Surname+m.GivenNames == "" {
					t.Errorf("a member with gaps: %d characters", len(m.Surname))
				}
				if _, err := eid.ParseNationalNumber(m.Number.Reveal()); !m.Number.IsZero() && err != nil {
					t.Error(err)
				}
			}
		}
		if stays, err := parseHistory(body); err == nil && (len(stays) == 0 || len(stays) > maxStays) {
			t.Errorf("%d stays", len(stays))
		}
		if list, err := parseNationality(body); err == nil {
			for _, n := range list {
				if len(n.Code) != 2 {
					t.Errorf("code %q", n.Code)
				}
			}
		}
	})
}

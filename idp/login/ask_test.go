package login_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/belfry-eid/belfry/idp/login"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/session"
)

var now = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func TestDecide(t *testing.T) {
	seconds := func(n int64) *int64 { return &n }
	old := &session.Session{Login: "earlier", At: now.Add(-time.Minute)}
	mine := &session.Session{Login: "this", At: now}
	high := login.Standing{Level: method.High, Accepted: true, Subject: "luc"}
	low := login.Standing{Level: method.Low, Accepted: true, Subject: "luc"}
	better := low
	better.Better = true
	for name, c := range map[string]struct {
		ask      login.Ask
		s        *session.Session
		standing login.Standing
		want     login.Next
	}{
		"nobody":                        {login.Ask{}, nil, login.Standing{}, login.Next{Outcome: login.Prove}},
		"nobody, silent":                {login.Ask{None: true}, nil, login.Standing{}, login.Next{Outcome: login.Refuse, Code: "login_required"}},
		"somebody":                      {login.Ask{}, old, high, login.Next{Outcome: login.Proceed}},
		"somebody, silent":              {login.Ask{None: true}, old, high, login.Next{Outcome: login.Proceed}},
		"not accepted here":             {login.Ask{}, old, login.Standing{}, login.Next{Outcome: login.Prove}},
		"not accepted here, just shown": {login.Ask{}, mine, login.Standing{}, login.Next{Outcome: login.Refuse, Code: "access_denied"}},
		"anew":                          {login.Ask{Login: true}, old, high, login.Next{Outcome: login.Prove}},
		"anew, done":                    {login.Ask{Login: true}, mine, high, login.Next{Outcome: login.Proceed}},
		"at the limit of max_age":       {login.Ask{MaxAge: seconds(60)}, old, high, login.Next{Outcome: login.Proceed}},
		"past max_age":                  {login.Ask{MaxAge: seconds(59)}, old, high, login.Next{Outcome: login.Prove}},
		"max_age 0, done":               {login.Ask{MaxAge: seconds(0)}, mine, high, login.Next{Outcome: login.Proceed}},
		"wish not met":                  {login.Ask{Levels: []string{method.High}}, old, low, login.Next{Outcome: login.Proceed}},
		"wish not met, could be":        {login.Ask{Levels: []string{method.High}}, old, better, login.Next{Outcome: login.Prove}},
		"and just shown":                {login.Ask{Levels: []string{method.High}}, mine, better, login.Next{Outcome: login.Proceed}},
		"and silent":                    {login.Ask{Levels: []string{method.High}, None: true}, old, better, login.Next{Outcome: login.Proceed}},
		"need not met, could be":        {login.Ask{Levels: []string{method.High}, Essential: true}, mine, better, login.Next{Outcome: login.Explain, Low: true}},
		"need not met, silent":          {login.Ask{Levels: []string{method.High}, Essential: true, None: true}, old, better, login.Next{Outcome: login.Refuse, Code: "login_required"}},
		"need not met":                  {login.Ask{Levels: []string{method.High}, Essential: true}, old, low, login.Next{Outcome: login.Prove, Low: true}},
		"need not met, just shown":      {login.Ask{Levels: []string{method.High}, Essential: true}, mine, low, login.Next{Outcome: login.Refuse, Code: "unmet_authentication_requirements"}},
		"need met":                      {login.Ask{Levels: []string{method.Low, method.High}, Essential: true}, old, high, login.Next{Outcome: login.Proceed}},
		"hinted":                        {login.Ask{Subject: "luc"}, old, high, login.Next{Outcome: login.Proceed}},
		"another is hinted":             {login.Ask{Subject: "sofie"}, old, high, login.Next{Outcome: login.Prove}},
		"another is hinted, just shown": {login.Ask{Subject: "sofie"}, mine, high, login.Next{Outcome: login.Refuse, Code: "login_required"}},
	} {
		if got := login.Decide(c.ask, "this", c.s, c.standing, now); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// Whatever is asked: nobody proceeds unseen or unaccepted, a silent question never
// ends in a page, and who has just proved themselves is never asked again.
func TestDecideNeverGoesRound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ask := login.Ask{
			None: rapid.Bool().Draw(t, "none"), Login: rapid.Bool().Draw(t, "login"), Essential: rapid.Bool().Draw(t, "essential"),
			Levels:  rapid.SliceOf(rapid.SampledFrom(method.Levels)).Draw(t, "levels"),
			Subject: rapid.SampledFrom([]string{"", "luc", "sofie"}).Draw(t, "subject"),
		}
		if rapid.Bool().Draw(t, "aged") {
			age := rapid.Int64Range(0, 1000).Draw(t, "max_age")
			ask.MaxAge = &age
		}
		standing := login.Standing{Level: rapid.SampledFrom(method.Levels).Draw(t, "level"), Accepted: rapid.Bool().Draw(t, "accepted"), Better: rapid.Bool().Draw(t, "better"), Subject: "luc"}
		var s *session.Session
		if rapid.Bool().Draw(t, "somebody") {
			s = &session.Session{Login: rapid.SampledFrom([]string{"this", "earlier"}).Draw(t, "made by"), At: now.Add(-time.Duration(rapid.IntRange(0, 2000).Draw(t, "age")) * time.Second)}
		}
		id := rapid.SampledFrom([]string{"", "this"}).Draw(t, "login")
		next := login.Decide(ask, id, s, standing, now)
		fresh := s != nil && id != "" && s.Login == id
		switch {
		case next.Outcome == login.Proceed && (s == nil || !standing.Accepted):
			t.Fatal("proceeds without an accepted sign-in")
		case next.Outcome == login.Proceed && ask.Subject != "" && ask.Subject != standing.Subject:
			t.Fatal("proceeds as another than hinted")
		case next.Outcome == login.Proceed && ask.Login && !fresh:
			t.Fatal("proceeds on an old sign-in though a new one is asked")
		case next.Outcome == login.Prove && ask.None:
			t.Fatal("shows a page to a silent question")
		case next.Outcome == login.Prove && fresh:
			t.Fatal("asks again who has just shown it")
		case next.Outcome == login.Explain && !(fresh && ask.Essential && standing.Better):
			t.Fatal("explains what nobody needs")
		case next.Outcome == login.Proceed && ask.Essential && !slices.Contains(ask.Levels, standing.Level):
			t.Fatal("proceeds without a level that must be")
		case (next.Outcome == login.Refuse) != (next.Code != ""):
			t.Fatal("a refusal without its code, or the reverse")
		}
	})
}

package login

import (
	"slices"
	"time"

	"github.com/belfry-eid/belfry/idp/session"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// Ask is an authorization request that was checked: client, address and
// parameters are good. It holds what a client may know, nothing about a person.
type Ask struct {
	Issuer      string // the one that was asked
	Client      string
	RedirectURI string
	State       string
	Nonce       string
	Challenge   string // PKCE, S256; "" for clients that may leave it out
	Scopes      []string
	None        bool            // prompt=none: no page may be shown
	Login       bool            // prompt=login: the citizen proves themselves anew
	MaxAge      *int64          // seconds since they did, at most
	Levels      []string        // acr values asked for
	Essential   bool            // one of Levels must be reached
	Subject     string          // of the id_token_hint: nobody else will do
	Languages   []i18n.Language // ui_locales
	Pushed      string          // handle of the pushed request that it came by
	// Local is the page of our own that asks, instead of the client: no client gets a code
	// or an error. No request of a client can set it.
	Local string
	Staff bool // who asks is for people who work at the commune
}

// Standing is what a session is worth to the one who asks.
type Standing struct {
	Level    string // acr
	Accepted bool   // the commune accepts method and upstream level
	Better   bool   // some way that the commune offers gives a level that is asked for
	Subject  string // the citizen, as the client knows them
}

// Outcome is what comes next.
type Outcome int

const (
	Prove   Outcome = iota // the citizen must show who they are
	Proceed                // the client gets its code
	Refuse                 // the client gets the error Code
	Explain                // what was just shown is too low: which ways would do
)

// unmet is the error for an essential level that was not reached.
const unmet = "unmet_authentication_requirements"

// Next is an outcome, with the OAuth error of a refusal.
type Next struct {
	Outcome Outcome
	Code    string
	Low     bool // who is signed in must show more
}

// Decide says what comes next for ask, given the browser's session s (nil: nobody
// is signed in) and its standing. login is the stored login request, "" where the
// question is asked for the first time. It is the one place where prompt, max_age,
// acr and id_token_hint are weighed (OpenID Connect Core 1.0 §3.1.2.1, §3.1.2.3).
func Decide(ask Ask, login string, s *session.Session, standing Standing, now time.Time) Next {
	fresh := s != nil && login != "" && s.Login == login
	if fresh && !standing.Accepted { // the commune does not take what was just shown
		return Next{Outcome: Refuse, Code: "access_denied"}
	}
	low := false
	if s != nil && standing.Accepted {
		switch {
		case ask.Subject != "" && ask.Subject != standing.Subject:
			if fresh { // proved themselves now, and it is somebody else
				return Next{Outcome: Refuse, Code: "login_required"}
			}
		case ask.Login && !fresh:
		case ask.MaxAge != nil && !fresh && now.Sub(s.At) > time.Duration(*ask.MaxAge)*time.Second:
		case ask.Essential && !slices.Contains(ask.Levels, standing.Level):
			if fresh && !standing.Better {
				return Next{Outcome: Refuse, Code: unmet}
			}
			if fresh {
				return Next{Outcome: Explain, Low: true}
			}
			low = true
		case len(ask.Levels) > 0 && !slices.Contains(ask.Levels, standing.Level) && standing.Better && !fresh && !ask.None:
			// A wish is worth one step, and not a refusal (§5.5.1.1).
		default:
			return Next{Outcome: Proceed}
		}
	}
	if ask.None {
		return Next{Outcome: Refuse, Code: "login_required"}
	}
	return Next{Outcome: Prove, Low: low}
}

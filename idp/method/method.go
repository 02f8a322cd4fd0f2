// Package method is what the provider needs of a way to sign in.
//
// A method (a card, the federal service, …) shows a page of its own within a
// stored login request and turns what comes back into a Proof. It refuses to know
// sessions, clients' protocols and what happens after a proof: it never redirects
// to another step, the dispatcher of idp does (idp/login). A method guarantees that
// a Proof is about the person at this browser, now, for this login request.
package method

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
)

// Levels of assurance as acr values (regulation (EU) 2015/1502).
const (
	Low         = "http://eidas.europa.eu/LoA/low"
	Substantial = "http://eidas.europa.eu/LoA/substantial"
	High        = "http://eidas.europa.eu/LoA/high"
)

// Levels from the lowest to the highest.
var Levels = []string{Low, Substantial, High}

// From are the levels that are enough where the lowest one is called level ("low",
// "substantial" or "high"; otherwise where it is ""), the lowest first.
func From(level, otherwise string) []string {
	lowest := slices.IndexFunc(Levels, func(l string) bool { return level != "" && strings.HasSuffix(l, "/"+level) })
	if lowest < 0 {
		lowest = slices.Index(Levels, otherwise)
	}
	return Levels[lowest:]
}

// Step is what a method is told of the login under way.
type Step struct {
	Login    string           // the stored login request
	Browser  string           // binds it to the browser: a hash of the pre-login cookie
	Origin   string           // our own, as the browser reached us; one of the issuers
	Commune  *commune.Commune // whose people sign in
	Client   string           // the application, as people read it
	Number   bool             // it will be told the national number
	Address  bool             // it asks for the address that is written on the card
	Fresh    bool             // the person must be asked anew
	Levels   []string         // acr values the application asks for
	Must     bool             // one of Levels must be reached
	Language i18n.Language
	Action   string       // where the page's form posts to
	Renew    string       // where Renew answers, for methods that have it
	Other    string       // leads to the other ways to sign in; "" where there is none
	Ways     []Way        // the other ways themselves
	Cancel   string       // where the form that gives up posts to
	Problem  *fault.Error // why the last try failed; nil at first
}

// Way is another way to sign in, in the words of the step's language.
type Way struct{ Label, Hint, Href string }

// View is a page that the provider lays out.
type View struct {
	Templates *page.Templates
	Name      string // of the template
	Title     string
	Content   any
	Scripts   []string // addresses of ES modules
	Connect   []string // origins the page's script may talk to besides ours
	Forms     []string // addresses elsewhere to which the page's forms may lead
}

// Proof says who is at the browser and how that was shown.
type Proof struct {
	Citizen eid.Citizen
	// Issuer and Subject are the account elsewhere that was shown, "" for a card. People
	// without a national number are known by it.
	Issuer, Subject string
	// Address is what the National Register wrote on the card, where the person agreed that
	// the application gets it; zero otherwise.
	Address eid.Address
	// Upstream is the raw level another service stated, "" where none was asked.
	Upstream string
	// AMR are the means (RFC 8176, and "eid").
	AMR []string
	// At is when the person was asked, as another service states it; zero is now.
	At time.Time
}

// Method is one way to sign in.
type Method interface {
	// Name is short and lower-case, for addresses and records: "card".
	Name() string
	// Label is the message key of what people call it, Hint of what it needs.
	Label() string
	Hint() string
	// Level is the acr value of a proof by this method for people of c, given the
	// upstream's own value; false where c does not accept it.
	Level(c commune.ID, upstream string) (string, bool)
	// Show is the method's page.
	Show(ctx context.Context, s Step) (View, error)
	// Answer takes what the page's form sent. An error (a *fault.Error for what the
	// person can act on) leaves the login request as it was.
	Answer(ctx context.Context, s Step, form url.Values) (Proof, error)
}

// Renewer is a method whose page may ask for a new challenge without being reloaded;
// what it returns is sent as JSON.
type Renewer interface {
	Renew(ctx context.Context, s Step) (any, error)
}

// Reaches are the levels that people of c may reach by m: Level's, or those that a method
// of several says itself.
func Reaches(m Method, c commune.ID) []string {
	if several, ok := m.(interface{ Reaches(commune.ID) []string }); ok {
		return several.Reaches(c)
	}
	if level, ok := m.Level(c, ""); ok {
		return []string{level}
	}
	return nil
}

// Selective is a method that not every commune has.
type Selective interface {
	// Offered says whether people of c can sign in by it.
	Offered(c commune.ID) bool
}

// Remote is a method that sends the person to another service, whose answer comes to
// an address of ours: /saml/COMMUNE/acs, by a form that the other site posts, unless it is
// Placed elsewhere.
type Remote interface {
	Method
	// Login is the stored login request that an answer belongs to. It is asked before
	// anything of the answer is kept; what it refuses was not asked for.
	Login(ctx context.Context, c commune.ID, form url.Values) (string, error)
	// Metadata describes us, for c's agreement, to the other service.
	Metadata(w http.ResponseWriter, r *http.Request, c commune.ID) error
}

// Placed is a Remote with addresses of its own. An answer may come to it as a redirect or
// as a form that the other site posts.
type Placed interface {
	Remote
	// Paths are where answers come and where Metadata stands, both with the segment {commune}.
	Paths() (answer, metadata string)
}

// Departing is a Remote that takes people along who sign out here.
type Departing interface {
	Remote
	// SignOut signs the person out at the other service too, whom the login request login
	// of commune c led to. They come back to the address back, with state as a parameter,
	// unless the method has an address of its own for that. The zero Exit: there is
	// nothing to do there.
	SignOut(ctx context.Context, c commune.ID, login, back, state string, l i18n.Language) (Exit, error)
}

// Exit leads the browser away: a link, or a form to be posted where it has fields.
type Exit struct {
	Address string
	Fields  url.Values
}

// Dismissing is a Departing whose service answers a sign-out, or asks for one itself, at
// /saml/COMMUNE/slo.
type Dismissing interface {
	Departing
	// SignedOut checks what the service sent by the browser whose session the login
	// request login led to, "" where nobody is signed in.
	SignedOut(ctx context.Context, c commune.ID, m Message, login string) (Dismissal, error)
}

// Message is what a browser brought from the other service.
type Message struct {
	Query string // as it came, where it came in the address
	Form  url.Values
}

// Dismissal says what a message was.
type Dismissal struct {
	// State is that of a sign-out of ours, which is over; "" where the service asks for
	// the end of the browser's session.
	State    string
	Complete bool // the service says that all is over there
	// Answer leads back to the service, once the session has ended.
	Answer Exit
}

// Named is a method that each commune may call as it likes.
type Named interface {
	// Words are the name and the hint for people of c, "" for those of Label and Hint.
	Words(c commune.ID, l i18n.Language) (label, hint string)
}

// Cause is the word for the record of why somebody was not proved, "" where err has
// none: what the person is told may be vaguer, so that no attacker learns from it.
func Cause(err error) string {
	for ; err != nil; err = errors.Unwrap(err) {
		if c, ok := err.(interface{ Cause() string }); ok {
			return c.Cause()
		}
	}
	return ""
}

// Package card signs a citizen in by their identity card.
//
// It owns the challenge (256 random bits, good for five minutes, for one browser,
// one login request and one purpose, once), the page of the card step, and the one
// validator of Web eID authentication tokens (docs/adr/0007): whatever program
// read the card, its answer comes through here. It refuses to know sessions,
// clients and readers. It guarantees that a citizen comes out only of a signature
// over our own address and a challenge that this browser was given and nobody used
// (threats T1 and T2), by a card that internal/eid/trust vouches for.
//
// Implements the Web eID authentication token, formats web-eid:1.0 and 1.1.
package card

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/internal/cardscript"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
)

//go:embed templates
var files embed.FS

// purpose of the challenges of this page.
const purpose = "login"

// lifetime of a challenge.
const lifetime = 5 * time.Minute

// Store keeps challenges; *idpsql.Store does.
type Store interface {
	AddChallenge(context.Context, idpsql.Challenge) error
	UseChallenge(context.Context, idpsql.Challenge) (idpsql.Consumption, error)
}

// Config of New. All must be set but AgentPorts.
type Config struct {
	Store     Store
	Authority Authority // *trust.Verifier
	Clock     clock.Clock
	// Files checks what is written on the card, for applications that ask for the address; nil
	// where none is taken.
	Files *idfile.Verifier
	// AgentPorts are where our agent may listen on the citizen's machine.
	AgentPorts []int
}

// Card is the method.
type Card struct {
	Config
	pages *page.Templates
}

// New returns the method.
func New(cfg Config) *Card {
	return &Card{Config: cfg, pages: page.Parse(files)}
}

func (*Card) Name() string  { return "card" }
func (*Card) Label() string { return "idp.card_label" }
func (*Card) Hint() string  { return "idp.card_hint" }

// Level is high: the authentication key works only after the PIN (regulation (EU)
// 2015/1502, annex 2.2.1).
func (*Card) Level(commune.ID, string) (string, bool) { return method.High, true }

// content is what the page shows.
type content struct {
	method.Step
	Nonce, Ports, Texts, Host, Problem string
	TTL                                int
}

// without are why a card cannot sign anybody in, whatever its holder does: by the keys of
// internal/eid/card, as the page's script reports them.
var without = []string{"card.no_certificate", "card.no_certificate_child", "card.no_certificate_declined"}

// Show gives the browser a new challenge and the page that takes it to the card; or, after
// a card without certificates, the page that says so and what other way there is.
func (c *Card) Show(ctx context.Context, s method.Step) (method.View, error) {
	if s.Problem != nil && slices.Contains(without, s.Problem.Key) {
		return method.View{Templates: c.pages, Name: "without", Title: i18n.T(s.Language, "idp.without_title"), Content: s}, nil
	}
	nonce, err := c.challenge(ctx, s)
	if err != nil {
		return method.View{}, err
	}
	s.Address = s.Address && c.Files != nil
	view := content{Step: s, Nonce: nonce, TTL: int(lifetime / time.Second), Ports: c.ports(), Texts: texts()[s.Language], Host: hostOf(s.Origin)}
	if s.Problem != nil {
		view.Problem = i18n.Message(s.Language, s.Problem.Key, s.Problem.Args)
	}
	return method.View{
		Templates: c.pages, Name: "card", Title: i18n.T(s.Language, "idp.card_title"), Content: view,
		Scripts: []string{script.Address()}, Connect: c.agents(),
	}, nil
}

// Renew gives another challenge to a page that stood idle (method.Renewer).
func (c *Card) Renew(ctx context.Context, s method.Step) (any, error) {
	nonce, err := c.challenge(ctx, s)
	if err != nil {
		return nil, err
	}
	return struct {
		Nonce string `json:"nonce"`
		TTL   int    `json:"ttl"`
	}{nonce, int(lifetime / time.Second)}, nil
}

func (c *Card) challenge(ctx context.Context, s method.Step) (string, error) {
	var random [32]byte
	rand.Read(random[:])
	nonce := base64.StdEncoding.EncodeToString(random[:])
	ch := idpsql.Challenge{Nonce: nonce, Purpose: purpose, Login: s.Login, Browser: s.Browser, Expires: c.Clock().Add(lifetime)}
	return nonce, c.Store.AddChallenge(ctx, ch)
}

// refusals are the words for a challenge that was not this browser's to use now.
var refusals = map[idpsql.Consumption]*fault.Error{
	idpsql.Unknown:     fault.New(fault.Invalid, "idp.challenge_unknown", nil),
	idpsql.OtherHolder: fault.New(fault.Forbidden, "idp.challenge_other_browser", nil),
	idpsql.UsedBefore:  fault.New(fault.Conflict, "idp.challenge_used", nil),
	idpsql.TooLate:     fault.New(fault.Conflict, "idp.challenge_late", nil),
}

// Answer consumes the challenge, then checks what the card signed. A token that
// fails has used its challenge up all the same: the page comes back with another.
func (c *Card) Answer(ctx context.Context, s method.Step, form url.Values) (method.Proof, error) {
	nonce, text := form.Get("nonce"), form.Get("token")
	if text == "" {
		if key := "card." + form.Get("problem"); slices.Contains(without, key) {
			return method.Proof{}, fault.New(fault.Invalid, key, nil)
		}
		return method.Proof{}, fault.New(fault.Invalid, "idp.card_no_answer", nil)
	}
	ch := idpsql.Challenge{Nonce: nonce, Purpose: purpose, Login: s.Login, Browser: s.Browser}
	outcome, err := c.Store.UseChallenge(ctx, ch)
	if err != nil {
		return method.Proof{}, err
	}
	if refused := refusals[outcome]; refused != nil {
		return method.Proof{}, refused
	}
	proved, err := Validate(ctx, c.Authority, text, s.Origin, nonce)
	if errors.Is(err, errSignature) {
		return method.Proof{}, errSignature.Because(err).With("Host", hostOf(s.Origin))
	}
	if err != nil {
		return method.Proof{}, err
	}
	proof := method.Proof{Citizen: proved.Citizen(), AMR: []string{"eid", "sc", "pin"}}
	if s.Address && c.Files != nil && form.Get("address") != "" && form.Get("identity") != "" {
		if proof.Address, err = c.address(ctx, proved.Citizen(), form.Get("identity")); err != nil {
			return method.Proof{}, err
		}
	}
	return proof, nil
}

// identityMax bounds the files without photo; they have some 2,000 bytes, in base64.
const identityMax = 32 << 10

// address is that of the files text, which came with the sign-in of who and must be theirs.
// All else that the files say is forgotten.
func (c *Card) address(ctx context.Context, who eid.Citizen, text string) (eid.Address, error) {
	var files idfile.Files
	if len(text) > identityMax {
		return eid.Address{}, idfile.ErrMalformed.Because(fmt.Errorf("%d bytes", len(text)))
	}
	if err := json.Unmarshal([]byte(text), &files); err != nil {
		return eid.Address{}, idfile.ErrMalformed.Because(errors.New("no JSON of a card's files")) // its error may quote them
	}
	read, err := c.Files.Verify(ctx, files)
	if err != nil {
		return eid.Address{}, fmt.Errorf("card: %w", err)
	}
	if err := read.Of(who); err != nil {
		return eid.Address{}, fmt.Errorf("card: %w", err)
	}
	return read.Content().Address, nil
}

func (c *Card) ports() string {
	var list []string
	for _, p := range c.AgentPorts {
		list = append(list, fmt.Sprint(p))
	}
	return strings.Join(list, " ")
}

func (c *Card) agents() []string {
	var list []string
	for _, p := range c.AgentPorts {
		list = append(list, fmt.Sprintf("http://127.0.0.1:%d", p))
	}
	return list
}

func hostOf(origin string) string {
	_, host, _ := strings.Cut(origin, "://")
	return host
}

//go:embed static/cardstep.js
var step []byte

var script = cardscript.New("/method/card/cardstep.js", step)

// ServeHTTP serves the page's script; the provider mounts it at /method/card/.
func (*Card) ServeHTTP(w http.ResponseWriter, r *http.Request) { script.ServeHTTP(w, r) }

// shown are the texts that the script may need: how far it is, and what a card
// program may answer.
var shown = []string{
	"card.step_looking", "card.step_extension", "card.step_confirm", "card.step_open", "card.step_sending", "card.step_renewed", "card.step_expired",
	"card.no_reader_software", "card.network_refused", "card.no_card", "card.pin_incorrect", "card.pin_wrong", "card.pin_last_try",
	"card.pin_blocked", "card.pin_length", "card.cancelled", "card.removed", "card.timeout", "card.busy", "card.failed",
}

// texts are those of shown as the script wants them: without their prefix, plural
// forms as the catalogue has them.
var texts = sync.OnceValue(func() map[i18n.Language]string {
	made := map[i18n.Language]string{}
	for _, l := range i18n.Languages {
		raw, err := fs.ReadFile(i18n.Catalogues(), "locales/card."+string(l)+".json")
		if err != nil {
			panic(err) // embedded
		}
		var all map[string]any
		if err := json.Unmarshal(raw, &all); err != nil {
			panic(err)
		}
		short := make(map[string]any, len(shown))
		for _, key := range shown {
			short[strings.TrimPrefix(key, "card.")] = all[key]
		}
		out, err := json.Marshal(short)
		if err != nil {
			panic(err)
		}
		made[l] = string(out)
	}
	return made
})

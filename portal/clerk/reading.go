package clerk

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/cardscript"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/register"
	"github.com/belfry-eid/belfry/portal/session"
	"github.com/belfry-eid/belfry/portal/visit"
)

// The card in the counter's reader: the page's script (static/reading.js) brings what is
// written on it. Nothing of that is believed before the National Register's signatures were
// checked here; the photo goes onto the answer, for the clerk to compare, and nowhere else.

// CardFiles checks what was read from a card; *idfile.Verifier does.
type CardFiles interface {
	Verify(ctx context.Context, f idfile.Files) (idfile.Identity, error)
}

// identityMax bounds the files with a photo, in base64.
const identityMax = 96 << 10

// cardReader is what the page's script needs.
type cardReader struct {
	Permission, Action    string // addresses
	Ports, Commune, Texts string
}

// readCard is a card that was read, as the page shows it.
type readCard struct {
	Permission string
	Name, Born string
	Until      time.Time
	Photo      template.URL // "" where the page is shown a second time
	Child      bool
}

// readTexts are the words that the script may need, without their room.
var readTexts = []string{
	"reading.looking", "reading.confirm", "reading.sending", "reading.no_reader_software", "reading.cancelled", "reading.timeout", "reading.failed",
	"card.network_refused", "card.no_middleware", "card.no_card", "card.no_files", "card.removed", "card.busy", "card.step_open",
}

// reader is nil where no card can be checked, or the people of the commune have none.
func (p *Pages) reader(v *visit.Visit) (*cardReader, error) {
	if p.cards == nil || v.Commune.French() {
		return nil, nil
	}
	words := map[string]string{}
	for _, key := range readTexts {
		_, code, _ := strings.Cut(key, ".")
		words[code] = v.T(key)
	}
	texts, err := json.Marshal(words)
	return &cardReader{v.To("/desk/new/permission"), v.To("/desk/new/card"), p.agentPorts(), v.Commune.NameIn(v.Language), string(texts)}, err
}

// allowReading answers the page's script with a permission to read one card.
func (p *Pages) allowReading(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	permission, err := p.orders.AllowReading(r.Context(), v.Commune.ID, me(v), v.Secret)
	if err != nil {
		return err
	}
	return sendJSON(w, http.StatusOK, struct {
		Permission string `json:"permission"`
	}{permission})
}

// takeCard shows whom the card is of, or why it says nothing that counts.
func (p *Pages) takeCard(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if p.cards == nil {
		return web.NotFound(w, r)
	}
	if err := r.ParseForm(); err != nil {
		return err
	}
	c := entryPage{Ways: ways("")}
	var typed eid.NationalNumber
	if text := typedNumber(r); text != "" {
		var err error
		if typed, err = eid.ParseNationalNumber(text); err != nil {
			c.bad("number", v.T("counter.number_wrong"))
			return p.showEntry(w, r, http.StatusUnprocessableEntity, c)
		}
	}
	permission := r.PostForm.Get("permission")
	card, err := p.checkCard(r.Context(), r.PostForm.Get("identity"))
	var read orders.Reading
	if err == nil {
		read, err = p.orders.ReadCard(r.Context(), v.Commune.ID, me(v), v.Secret, permission, card, typed)
	}
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Kind != fault.Internal {
		key := aboutCard(e)
		web.Note(r, "key", key)
		c.bad("card", i18n.Message(v.Language, key, e.Args))
		return p.showEntry(w, r, web.Status(e.Kind), c)
	}
	if err != nil {
		return err
	}
	said := card.Content()
	c.Card = &readCard{
		Permission: permission, Name: read.Name(), Born: register.Day(read.BirthDate).In(v.Language), Until: said.To, Child: read.Child,
		Photo: template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(card.Photo())),
	}
	d := entryDraft{Reading: permission, Holder: *c.Card}
	d.Holder.Photo = "" // not kept
	if err := p.sessions.Keep(r.Context(), v.Commune.ID, v.Secret, entryName, d); err != nil {
		return err
	}
	return p.showEntry(w, r, http.StatusOK, c)
}

func typedNumber(r *http.Request) string {
	return separators.ReplaceAllString(strings.TrimSpace(r.PostForm.Get("number")), "")
}

// checkCard reads what the script brought and checks it. No error quotes it.
func (p *Pages) checkCard(ctx context.Context, text string) (idfile.Identity, error) {
	var files idfile.Files
	if len(text) > identityMax {
		return idfile.Identity{}, idfile.ErrMalformed.Because(fmt.Errorf("%d bytes", len(text)))
	}
	if err := json.Unmarshal([]byte(text), &files); err != nil {
		return idfile.Identity{}, idfile.ErrMalformed.Because(errors.New("no JSON of a card's files"))
	}
	return p.cards.Verify(ctx, files)
}

// aboutCard is the key of the clerk's words for a fault: those of idfile and trust have
// words for whoever signs in.
func aboutCard(e *fault.Error) string {
	for of, key := range map[*fault.Error]string{
		idfile.ErrMalformed: "reading.unreadable", idfile.ErrForged: "reading.changed",
		trust.ErrMalformed: "reading.unreadable", trust.ErrNotYetValid: "reading.not_yet", trust.ErrExpired: "reading.expired",
		trust.ErrWrongUse: "reading.foreign", trust.ErrUnknownCA: "reading.foreign", trust.ErrRevoked: "reading.revoked", trust.ErrResponderDown: "reading.silent",
	} {
		if of.Key == e.Key {
			return key
		}
	}
	return e.Key
}

// kept is the reading that a form of this session goes on from; faults are ReadCard's.
func (p *Pages) kept(r *http.Request, permission string) (*readCard, error) {
	v := visit.Of(r)
	var d entryDraft
	err := p.sessions.Kept(r.Context(), v.Commune.ID, v.Secret, entryName, &d)
	if errors.Is(err, session.ErrNone) || err == nil && d.Reading != permission {
		return nil, fault.New(fault.NotFound, "reading.none", nil)
	}
	return &d.Holder, err
}

func (c *entryPage) bad(field, text string) {
	if c.Fault == nil {
		c.Fault = map[string]string{}
	}
	c.Fault[field] = text
	c.Errors = append(c.Errors, page.Fault{Field: field, Text: text})
}

// ReadingScriptPath is where ReadingScript is served, in no language.
const ReadingScriptPath = "/desk/reading.js"

//go:embed static/reading.js
var readingStep []byte

var readingScript = cardscript.New(ReadingScriptPath, readingStep)

// ReadingScript serves the script that reads a card at the counter.
func ReadingScript(w http.ResponseWriter, r *http.Request) error {
	readingScript.ServeHTTP(w, r)
	return nil
}

package register

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"time"

	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// A register also gives papers that it has sealed itself: the National Register its
// certificates, the register of acts its extracts. The question goes to the same kind of
// service as Residence, of each register its own:
//
//	POST {base}/document
//	Authorization: Bearer {token of the commune's integrator}
//	Content-Type: application/json
//
//	{"request": "0197…", "number": "71715100070", "product": "MainResidence", "language": "nl"}
//
// The same request is answered by the same paper, however often it is asked. 200 with
// Content-Type application/json, unknown members ignored:
//
//	{
//	  "request":   "0197…",          // what was asked, word for word
//	  "number":    "71715100070",    // whom the paper is about
//	  "product":   "MainResidence",
//	  "language":  "nl",
//	  "reference": "RN-2026-004711", // the register's own, at most 80 characters
//	  "issued_on": "2026-02-03",
//	  "document":  "JVBERi0…"        // the PDF in base64
//	}
//
// 404: the register does not know this number. 409 and 422: it has no such paper about this
// person, or none in this language, and a person has to look at it. Everything else is as
// for a residence.

// Documents gives papers that a register has sealed. Its errors are those of Client.Document.
type Documents interface {
	Document(ctx context.Context, q Question) (Sealed, error)
}

// Question asks for one paper.
type Question struct {
	Request  string // chosen by who asks; the same one is answered by the same paper
	Number   eid.NationalNumber
	Product  string // the register's own code, "MainResidence"
	Language i18n.Language
}

// Sealed is a paper as the register gave it. Nobody has looked into the file yet.
type Sealed struct {
	Reference string // the register's own
	IssuedOn  time.Time
	File      []byte
}

const (
	// MaxDocument is the largest file that is taken, in bytes: papers have some 100 KB.
	MaxDocument = 8 << 20
	// maxSealed is that in base64, and what stands around it.
	maxSealed = MaxDocument/3*4 + maxAnswer
)

// Document asks for one paper. Its errors are faults: register.unknown_person (NotFound),
// way.source.none (Forbidden: a person has to look at it), way.source.mismatch (Invalid:
// the answer is about another person, paper or language), way.source.down (Unreachable),
// way.source.refused and way.source.unreadable (Internal: something is to be repaired).
func (c *Client) Document(ctx context.Context, q Question) (Sealed, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := c.question(ctx, "document", map[string]string{
		"request": q.Request, "number": q.Number.Reveal(), "product": q.Product, "language": string(q.Language),
	})
	if err != nil {
		return Sealed{}, sourceFault(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Sealed{}, sourceFault(down(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusConflict || resp.StatusCode == http.StatusUnprocessableEntity {
		return Sealed{}, fault.New(fault.Forbidden, "way.source.none", fmt.Errorf("the source answered %d", resp.StatusCode))
	}
	if err := refusal(resp.StatusCode); err != nil {
		return Sealed{}, sourceFault(err)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" {
		return Sealed{}, sourceFault(unreadable(fmt.Errorf("content type %q", resp.Header.Get("Content-Type"))))
	}
	if resp.ContentLength > maxSealed {
		return Sealed{}, sourceFault(unreadable(fmt.Errorf("an answer of %d bytes", resp.ContentLength)))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSealed+1))
	if err != nil {
		return Sealed{}, sourceFault(down(err))
	}
	if len(body) > maxSealed {
		return Sealed{}, sourceFault(unreadable(fmt.Errorf("more than %d bytes", maxSealed)))
	}
	return parseSealed(body, q)
}

// sourceFault gives a fault of Residence the words for a paper.
func sourceFault(err error) error {
	words := map[string]string{"register.down": "way.source.down", "register.refused": "way.source.refused", "register.unreadable": "way.source.unreadable"}
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || words[e.Key] == "" {
		return err
	}
	return fault.New(e.Kind, words[e.Key], err)
}

type sealed struct {
	Request   string `json:"request"`
	Number    string `json:"number"`
	Product   string `json:"product"`
	Language  string `json:"language"`
	Reference string `json:"reference"`
	IssuedOn  string `json:"issued_on"`
	Document  []byte `json:"document"`
}

var sourceReference = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ./_-]{0,79}$`)

// parseSealed reads an answer and holds it against the question. Its errors hold nothing
// of the answer, which is about a person.
func parseSealed(body []byte, q Question) (Sealed, error) {
	var a sealed
	if err := json.Unmarshal(body, &a); err != nil {
		return Sealed{}, sourceFault(unreadable(errors.New("no JSON of the expected shape")))
	}
	for _, m := range []struct{ name, asked, told string }{
		{"request", q.Request, a.Request}, {"number", q.Number.Reveal(), a.Number},
		{"product", q.Product, a.Product}, {"language", string(q.Language), a.Language},
	} {
		if m.asked != m.told {
			return Sealed{}, fault.New(fault.Invalid, "way.source.mismatch", fmt.Errorf("another %s than was asked for", m.name))
		}
	}
	on, err := time.ParseInLocation(time.DateOnly, a.IssuedOn, i18n.Brussels())
	if err != nil || !sourceReference.MatchString(a.Reference) {
		return Sealed{}, sourceFault(unreadable(errors.New("reference or issued_on is none")))
	}
	if len(a.Document) == 0 || len(a.Document) > MaxDocument {
		return Sealed{}, sourceFault(unreadable(fmt.Errorf("a document of %d bytes", len(a.Document))))
	}
	return Sealed{Reference: a.Reference, IssuedOn: on, File: a.Document}, nil
}

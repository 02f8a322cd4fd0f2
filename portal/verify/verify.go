// Package verify holds the pages by which anybody checks a paper of the commune.
//
// It owns three ways in (number and code, the QR's address, the file itself) and
// one page of findings. It refuses to know how a signature is read (a Checker does,
// in a child process) and who ordered the paper. It guarantees that
//
//   - unknown and wrong are one answer, and tries are counted (threat T18),
//   - a file that is handed in is compared, checked and forgotten; where scripts run, it can
//     be compared by its hash and not be handed in at all,
//   - the whole file is given to nobody, unless the commune allows it to who holds the paper,
//   - the page says what was checked, what that does not prove, and by which address
//     it must have been reached (threat T28).
package verify

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"html/template"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/picture"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/visit"
	signing "github.com/belfry-eid/belfry/signing/verify"
)

// Orders is what these pages ask of the orders room; *orders.Service answers.
type Orders interface {
	Lookup(ctx context.Context, c commune.ID, token string) (orders.Facts, error)
	LookupNumber(ctx context.Context, c commune.ID, number, code string) (orders.Facts, error)
	LookupFile(ctx context.Context, c commune.ID, sum blob.Digest) (orders.Facts, error)
	Copy(ctx context.Context, c commune.ID, f orders.Facts) (orders.File, error)
}

// Verdict is what reading a file's signatures found.
type Verdict string

const (
	Valid      Verdict = "valid"      // every signature holds and leads to a trusted certificate
	Extended   Verdict = "extended"   // valid; later revisions hold proofs only (DSS, time stamps)
	Permitted  Verdict = "permitted"  // valid; later revisions did what the signer lets others do: form filling, annotations
	Altered    Verdict = "altered"    // the bytes or the page are not those that were signed
	Untrusted  Verdict = "untrusted"  // a signature holds, but of somebody we have no reason to trust
	Unsigned   Verdict = "unsigned"   // no signature at all
	Unreadable Verdict = "unreadable" // no PDF, or none that may be opened
	Unclear    Verdict = "unclear"    // could not be told, for example because a list is out of reach
)

// Report is what a stranger learns of a file by reading it.
type Report struct {
	Verdict   Verdict
	Signer    string    // of the last signature
	People    []string  // who signed before it, each by name; all their signatures are intact
	SignedAt  time.Time // by the signer's clock; zero where not said
	StampedAt time.Time // by a time-stamping authority; zero where none
	StampedBy string
	// Revisions are the digests of the file as it was at each signature, the newest first.
	Revisions []blob.Digest
	// Signed is how many bytes of the file the last signature covers whose cryptography
	// holds; 0 where there is none.
	Signed int
	// Found is all of it, as signing/verify says it.
	Found *signing.Report
}

// Painter draws the first pages of a file, in a process whose crash costs no more.
type Painter func(ctx context.Context, file []byte, most int) (pages []picture.Page, more bool, err error)

// Checker reads a foreign file, in a process whose crash costs one request.
type Checker interface {
	Check(ctx context.Context, file []byte) (Report, error)
}

// Pages serves the checks.
type Pages struct {
	orders    Orders
	checker   Checker
	paint     Painter
	kv        kv.Store
	now       clock.Clock
	held      chan struct{} // one place for each file in memory
	busy      chan struct{} // one place for each file being read
	templates *page.Templates
}

//go:embed all:templates
var templates embed.FS

const (
	maxFile    = 20 << 20 // bytes of a file to check
	inMemory   = 8        // files at once, of 20 MB and as much again while they grow
	atOnce     = 2        // files read at once
	waitToRead = 15 * time.Second
	readFor    = 30 * time.Second
	sendFor    = 30 * time.Second // for a whole file: 20 MB at 6 Mbit/s
)

// New parses the pages.
func New(o Orders, c Checker, paint Painter, store kv.Store, now clock.Clock) *Pages {
	return &Pages{orders: o, checker: c, paint: paint, kv: store, now: now, held: make(chan struct{}, inMemory), busy: make(chan struct{}, atOnce), templates: page.Parse(templates)}
}

// Routes adds the pages' addresses, which the portal has freed of their language.
func (p *Pages) Routes(mux *http.ServeMux, site *web.Site) {
	mux.Handle("GET "+orders.VerifyPath, site.Page(p.ask))
	mux.Handle("POST "+orders.VerifyPath, site.Page(p.byNumber))
	mux.Handle("GET "+orders.VerifyPath+"/{token}", site.Page(p.byToken))
	mux.Handle("POST "+orders.VerifyPath+"/copy", site.Page(p.copy))
	mux.Handle("POST "+orders.VerifyPath+"/sum", site.Page(p.bySum))
	mux.Handle("POST "+orders.VerifyPath+"/file", site.Upload(p.byFile, maxFile+64<<10))
}

type question struct {
	Number, Code           string
	Errors                 []page.Fault
	NumberError, CodeError string
	FileError              string
	Action, FileAction     string
	SumAction              string
	Origin                 string
}

func (p *Pages) ask(w http.ResponseWriter, r *http.Request) error { return p.show(w, r, question{}) }

func (p *Pages) show(w http.ResponseWriter, r *http.Request, c question) error {
	v := visit.Of(r)
	frame := v.Frame(w, r, v.T("check.title"))
	c.Action, c.FileAction, c.Origin = v.To(orders.VerifyPath), v.To(orders.VerifyPath+"/file"), v.Site.Origin
	c.SumAction = v.To(orders.VerifyPath + "/sum")
	for _, f := range []page.Fault{{Field: "number", Text: c.NumberError}, {Field: "code", Text: c.CodeError}, {Field: "file", Text: c.FileError}} {
		if f.Text != "" {
			c.Errors = append(c.Errors, f)
		}
	}
	status := http.StatusOK
	if len(c.Errors) > 0 {
		frame.Failed, status = true, http.StatusUnprocessableEntity
	}
	return p.templates.Render(w, status, "ask", frame, c)
}

// byNumber looks up what stands printed on a paper. What cannot be a number or a code
// is said at its field; everything else that does not fit is unknown.
func (p *Pages) byNumber(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	c := question{Number: strings.TrimSpace(r.PostForm.Get("number")), Code: strings.TrimSpace(r.PostForm.Get("code"))}
	n, ok := orders.ParseNumber(c.Number)
	if !ok {
		c.NumberError = v.T("check.number_wrong")
	}
	if _, ok := orders.ParseCode(c.Code); !ok {
		c.CodeError = v.T("check.code_wrong")
	}
	if c.NumberError+c.CodeError != "" {
		return p.show(w, r, c)
	}
	if err := p.count(r, string(n)); err != nil {
		return err
	}
	facts, err := p.orders.LookupNumber(r.Context(), v.Commune.ID, c.Number, c.Code)
	return p.found(w, r, outcome{Way: byCode, Known: known{Number: c.Number, Code: c.Code}}, facts, err)
}

func (p *Pages) byToken(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := p.count(r, ""); err != nil {
		return err
	}
	facts, err := p.orders.Lookup(r.Context(), v.Commune.ID, r.PathValue("token"))
	return p.found(w, r, outcome{Way: byQR, Known: known{Token: r.PathValue("token")}}, facts, err)
}

// byFile checks the file itself: against the register of what was issued, and by
// reading its seal as a stranger would.
func (p *Pages) byFile(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := p.count(r, ""); err != nil {
		return err
	}
	leave, err := enter(r.Context(), p.held)
	if err != nil {
		return err
	}
	defer leave()
	// Who sends slowly must not keep the place from others. A test's writer has no deadline.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(sendFor))
	file, err := upload(r)
	switch {
	case errors.Is(err, errNoFile):
		return p.show(w, r, question{FileError: v.T("check.file_missing")})
	case errors.Is(err, errTooLarge):
		return p.show(w, r, question{FileError: v.T("check.file_large")})
	case err != nil:
		return err
	}
	o, err := p.examine(r.Context(), v.Commune.ID, file)
	if err != nil {
		return err
	}
	o.Signed = p.draw(r.Context(), o.Report, file)
	return p.result(w, r, o)
}

var (
	errNoFile   = errors.New("verify: no file")
	errTooLarge = errors.New("verify: the file is too large")
)

// upload reads the form's one file into memory; nothing is written to disk.
func upload(r *http.Request) ([]byte, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, errNoFile
	}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, errNoFile
		}
		if err != nil {
			return nil, tooLarge(err)
		}
		if part.FormName() != "file" {
			continue
		}
		file, err := io.ReadAll(io.LimitReader(part, maxFile+1))
		switch {
		case err != nil:
			return nil, tooLarge(err)
		case len(file) > maxFile:
			return nil, errTooLarge
		case len(file) == 0:
			return nil, errNoFile
		}
		return file, nil
	}
}

func tooLarge(err error) error {
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok && e != nil {
		return errTooLarge
	}
	return fault.New(fault.Invalid, "check.file_broken", err)
}

// examine says what a file is: first by the register, then by its own seal.
func (p *Pages) examine(ctx context.Context, c commune.ID, file []byte) (outcome, error) {
	facts, err := p.orders.LookupFile(ctx, c, sha256.Sum256(file))
	known := err == nil
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return outcome{}, err
	}
	report, err := p.read(ctx, file)
	switch {
	case known && err != nil:
		return outcome{Way: byFile, Result: status(facts), Facts: &facts, Exact: true}, nil // the register alone says so
	case known:
		return outcome{Way: byFile, Result: status(facts), Facts: &facts, Exact: true, Report: &report}, nil
	case err != nil:
		return outcome{}, err
	}
	return p.foreign(ctx, c, report)
}

// maxPages is how many pages of the signed revision are shown.
const maxPages = 3

// drawn is what was signed, as it looks.
type drawn struct {
	Pages []drawnPage
	More  bool // there are further pages
}

type drawnPage struct {
	Number        int
	Source        template.URL
	Width, Height int
}

// draw shows the bytes that the last signature covers, where that signature holds:
// not what somebody added later. nil where nothing was signed; without pages where
// it could not be drawn.
func (p *Pages) draw(ctx context.Context, report *Report, file []byte) *drawn {
	if report == nil || report.Signed <= 0 || report.Signed > len(file) {
		return nil
	}
	pages, more, err := p.paint(ctx, file[:report.Signed], maxPages)
	if err != nil {
		return &drawn{}
	}
	out := &drawn{More: more}
	for i, page := range pages {
		out.Pages = append(out.Pages, drawnPage{i + 1, template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(page.PNG)), page.Width, page.Height})
	}
	return out
}

// foreign judges a file that is not, byte for byte, one that was issued.
func (p *Pages) foreign(ctx context.Context, c commune.ID, report Report) (outcome, error) {
	for _, revision := range report.Revisions {
		facts, err := p.orders.LookupFile(ctx, c, revision)
		if fault.KindOf(err) == fault.NotFound && err != nil {
			continue
		}
		if err != nil {
			return outcome{}, err
		}
		o := outcome{Way: byFile, Result: resultAltered, Facts: &facts, Report: &report}
		if report.Verdict == Valid || report.Verdict == Extended {
			o.Result = resultExtended
			if status(facts) == resultWithdrawn { // what was added since makes it no better
				o.Result = resultWithdrawn
			}
		}
		return o, nil
	}
	result := map[Verdict]string{Altered: resultAltered, Unreadable: resultUnreadable, Valid: resultForeign, Extended: resultForeign, Permitted: resultPermitted}[report.Verdict]
	if result == "" {
		result = resultNotOurs
	}
	return outcome{Way: byFile, Result: result, Report: &report}, nil
}

// read has the file read, one of few at a time.
func (p *Pages) read(ctx context.Context, file []byte) (Report, error) {
	leave, err := enter(ctx, p.busy)
	if err != nil {
		return Report{}, err
	}
	defer leave()
	ctx, stop := context.WithTimeout(ctx, readFor)
	defer stop()
	report, err := p.checker.Check(ctx, file)
	if err != nil {
		return report, fault.New(fault.Unreachable, "check.not_read", err)
	}
	return report, nil
}

// enter waits a moment for one of few places.
func enter(ctx context.Context, places chan struct{}) (leave func(), err error) {
	wait, cancel := context.WithTimeout(ctx, waitToRead)
	defer cancel()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-wait.Done():
		return nil, fault.New(fault.TooMany, "check.busy", wait.Err())
	}
}

package verify

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/visit"
	signing "github.com/belfry-eid/belfry/signing/verify"
)

// API is where programs have files checked, below a commune's address.
const API = "/api/v1/"

// openapi describes the API for programs (OpenAPI 3.1); a test holds it to the code.
//
//go:embed openapi.json
var openapi []byte

// Interface adds the addresses for programs, which have no language. They change
// nothing and read no cookie; failures are Problem's.
func (p *Pages) Interface(mux *http.ServeMux, site *web.Site) {
	mux.Handle("POST "+API+"validate", site.Upload(p.validate, maxFile+64<<10))
	mux.Handle(API+"validate", site.Page(onlyPost))
	mux.Handle("GET "+API+"openapi.json", site.Page(describe))
}

func onlyPost(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Allow", http.MethodPost)
	problem(w, http.StatusMethodNotAllowed, "check.api.method", "", nil)
	return nil
}

func describe(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, err := w.Write(openapi)
	return err
}

// validate answers with the whole report. That a file is not valid, or could not be
// read, is an answer like any other: 200.
func (p *Pages) validate(w http.ResponseWriter, r *http.Request) error {
	if err := p.try(r, "api/"+web.Neighbourhood(web.Remote(r)), triesAPI); err != nil {
		return err
	}
	leave, err := enter(r.Context(), p.held)
	if err != nil {
		return err
	}
	defer leave()
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(sendFor)) // a test's writer has none
	file, err := sent(r)
	switch {
	case errors.Is(err, errNoFile):
		return fault.New(fault.Invalid, "check.api.no_file", err)
	case errors.Is(err, errTooLarge):
		problem(w, http.StatusRequestEntityTooLarge, "check.file_large", "", nil)
		return nil
	case errors.Is(err, errKind):
		w.Header().Set("Accept-Post", "application/pdf, multipart/form-data")
		problem(w, http.StatusUnsupportedMediaType, "check.api.kind", "", nil)
		return nil
	case err != nil:
		return err
	}
	report, err := p.read(r.Context(), file)
	if report.Found == nil {
		if err == nil {
			err = errors.New("verify: no report")
		}
		return err
	}
	issued, err := p.issued(r.Context(), visit.Of(r).Commune.ID, file, report)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(Answer{Issued: issued, Report: report.Found})
}

// Answer is what a program is told of a file: what its signatures say, and what the
// commune says of it.
type Answer struct {
	Issued *Issued `json:"issued,omitempty"` // nil where the commune knows no such paper
	*signing.Report
}

// Issued is what a commune says of a paper that the file is, or contains.
type Issued struct {
	Status      orders.PaperStatus `json:"status"`
	Number      orders.Number      `json:"number"`
	WithdrawnAt *time.Time         `json:"withdrawn_at,omitempty"`
	ReplacedBy  orders.Number      `json:"replaced_by,omitempty"`
}

// issued looks the file up, and each revision in it, the newest first.
func (p *Pages) issued(ctx context.Context, c commune.ID, file []byte, report Report) (*Issued, error) {
	for _, sum := range append([]blob.Digest{sha256.Sum256(file)}, report.Revisions...) {
		f, err := p.orders.LookupFile(ctx, c, sum)
		if fault.KindOf(err) == fault.NotFound && err != nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		out := &Issued{Status: f.Status, Number: f.Number, ReplacedBy: f.ReplacedBy}
		if !f.WithdrawnAt.IsZero() {
			out.WithdrawnAt = &f.WithdrawnAt
		}
		return out, nil
	}
	return nil, nil
}

var errKind = errors.New("verify: neither a PDF nor a form")

// sent reads the file, which is the body itself or the part "file" of a form.
func sent(r *http.Request) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "multipart/form-data":
		return upload(r)
	case err != nil || kind != "application/pdf" && kind != "application/octet-stream":
		return nil, errKind
	}
	file, err := io.ReadAll(io.LimitReader(r.Body, maxFile+1))
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

// IsAPI says whether a path is one for programs.
func IsAPI(path string) bool { return strings.HasPrefix(path, API) }

// Problem answers a program's request that failed (RFC 9457).
func Problem(w http.ResponseWriter, f web.Failure) {
	RetryAfter(w, f)
	problem(w, f.Status, f.Key, f.Reference, f.Args)
}

func problem(w http.ResponseWriter, status int, key, reference string, args map[string]any) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	// A connection that is gone needs no answer.
	_ = json.NewEncoder(w).Encode(struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail"`
		Code      string `json:"code"`
		Reference string `json:"reference,omitempty"`
	}{"about:blank", http.StatusText(status), status, i18n.Message(i18n.English, key, args), key, reference})
}

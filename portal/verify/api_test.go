package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/verify"
	"github.com/belfry-eid/belfry/portal/visit"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/trustlist"
	signing "github.com/belfry-eid/belfry/signing/verify"
)

// api is the interface for programs on a server of its own.
func api(t *testing.T, check verify.Checker) http.Handler {
	t.Helper()
	store, err := kv.NewSQL(sqldbtest.SQLite(t), clock.At(signingtest.Now))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	site := &web.Site{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Clock: clock.At(signingtest.Now), Failed: func(w http.ResponseWriter, _ *http.Request, f web.Failure) { verify.Problem(w, f) }}
	verify.New(nothing{}, check, nil, store, clock.At(signingtest.Now)).Interface(mux, site)
	return site.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, visit.With(r, &visit.Visit{Commune: &commune.Commune{ID: "beaumarais"}}))
	}))
}

// nothing was ever issued.
type nothing struct{ verify.Orders }

func (nothing) LookupFile(context.Context, commune.ID, blob.Digest) (orders.Facts, error) {
	return orders.Facts{}, fault.New(fault.NotFound, "orders.document_unknown", nil)
}

func post(h http.Handler, kind string, body []byte, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/api/v1/validate", bytes.NewReader(body))
	r.Header.Set("Content-Type", kind)
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func form(t *testing.T, name string, file []byte) (string, []byte) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	part, err := m.CreateFormFile(name, "paper.pdf")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(file); err != nil || m.Close() != nil {
		t.Fatal(err)
	}
	return m.FormDataContentType(), b.Bytes()
}

func TestProgramsHaveFilesChecked(t *testing.T) {
	w := signingtest.Shared()
	h := api(t, verify.NewChecker(verify.Trust{Roots: w.RootCertificates}, clock.At(signingtest.Now)))
	plain := pdftest.Build(pdftest.Table, pdftest.Fields())
	sealed := seal(t, plain, w.P256)
	kind, body := form(t, "file", sealed)
	for name, c := range map[string]struct {
		kind string
		body []byte
		want signing.Result
		code signing.Code
	}{
		"sealed":     {"application/pdf", sealed, signing.Valid, ""},
		"a form":     {kind, body, signing.Valid, ""},
		"changed":    {"application/octet-stream", bytes.Replace(sealed, []byte("/MediaBox"), []byte("/MediaBux"), 1), signing.NotValid, ""},
		"no seal":    {"application/pdf", plain, signing.NotValid, signing.NoSignature},
		"no PDF":     {"application/pdf; charset=binary", []byte("<html>"), signing.Unknown, signing.NotPDF},
		"a stranger": {"application/pdf", seal(t, plain, w.Stranger), signing.NotValid, ""},
	} {
		a := post(h, c.kind, c.body)
		var report signing.Report
		d := json.NewDecoder(a.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&report); err != nil || a.Code != http.StatusOK || report.Result != c.want {
			t.Errorf("%s: %d %v %+v", name, a.Code, err, report)
		}
		if c.code != "" && !slices.ContainsFunc(report.Findings, func(f signing.Finding) bool { return f.Code == c.code }) {
			t.Errorf("%s: %+v", name, report.Findings)
		}
		if a.Header().Get("Content-Type") != "application/json" || a.Header().Get("Cache-Control") != "no-store" || a.Header().Get("Set-Cookie") != "" || a.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", name, a.Header())
		}
	}
}

// broken cannot do its work, or says that the file crashed the reader.
type broken struct{ found *signing.Report }

func (b broken) Check(context.Context, []byte) (verify.Report, error) {
	return verify.Report{Found: b.found}, errors.New("broken")
}

func TestProgramsAreRefusedInTheirForm(t *testing.T) {
	good := verify.NewChecker(verify.Trust{}, clock.At(signingtest.Now))
	otherName, otherForm := form(t, "paper", []byte("%PDF"))
	crossSite := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	for name, c := range map[string]struct {
		check  verify.Checker
		kind   string
		body   []byte
		change func(*http.Request)
		status int
		code   string
	}{
		"nothing":        {good, "application/pdf", nil, nil, 400, "check.api.no_file"},
		"no such part":   {good, otherName, otherForm, nil, 400, "check.api.no_file"},
		"a broken form":  {good, "multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc"), nil, 400, "check.file_broken"},
		"JSON":           {good, "application/json", []byte("{}"), nil, 415, "check.api.kind"},
		"no kind":        {good, "", []byte("%PDF"), nil, 415, "check.api.kind"},
		"too large":      {good, "application/pdf", make([]byte, 20<<20+1), nil, 413, "check.file_large"},
		"far too large":  {good, "application/pdf", make([]byte, 21<<20), nil, 413, "check.file_large"},
		"from elsewhere": {good, "application/pdf", []byte("%PDF"), crossSite, 403, "fault.cross_site"},
		"cannot be read": {broken{}, "application/pdf", []byte("%PDF"), nil, 503, "check.not_read"},
	} {
		change := c.change
		if change == nil {
			change = func(*http.Request) {}
		}
		a := post(api(t, c.check), c.kind, c.body, change)
		var p struct {
			Type, Title, Detail, Code string
			Status                    int
		}
		if err := json.Unmarshal(a.Body.Bytes(), &p); err != nil || a.Code != c.status || p.Status != c.status || p.Code != c.code || p.Detail == "" || p.Detail == p.Code || a.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %q %v %s", name, a.Code, a.Header().Get("Content-Type"), err, a.Body)
		}
	}
	get := httptest.NewRecorder()
	api(t, good).ServeHTTP(get, httptest.NewRequest("GET", "/api/v1/validate", nil))
	if get.Code != http.StatusMethodNotAllowed || get.Header().Get("Allow") != "POST" || get.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("GET: %d %v", get.Code, get.Header())
	}
	crashed := broken{&signing.Report{Result: signing.Unknown, Findings: []signing.Finding{{Code: signing.Crashed}}}}
	if a := post(api(t, crashed), "application/pdf", []byte("%PDF")); a.Code != http.StatusOK || !strings.Contains(a.Body.String(), `"crashed"`) {
		t.Errorf("a file that kills its reader: %d %s", a.Code, a.Body)
	}
}

// quick says nothing, at once.
type quick struct{}

func (quick) Check(context.Context, []byte) (verify.Report, error) {
	return verify.Report{Found: &signing.Report{}}, nil
}

func TestProgramsAreCounted(t *testing.T) {
	h := api(t, quick{})
	for i := range 600 {
		if a := post(h, "application/pdf", []byte("%PDF")); a.Code != http.StatusOK {
			t.Fatal(i, a.Code, a.Body)
		}
	}
	if a := post(h, "application/pdf", []byte("%PDF")); a.Code != http.StatusTooManyRequests || a.Header().Get("Retry-After") != strconv.Itoa(int(signingtest.Now.Truncate(time.Hour).Add(time.Hour).Sub(signingtest.Now).Round(time.Second)/time.Second)) {
		t.Errorf("the 601st: %d %v", a.Code, a.Header())
	}
}

// The description for programs says what the code does: every code, every field.
func TestTheDescriptionHoldsTheCode(t *testing.T) {
	a := httptest.NewRecorder()
	api(t, quick{}).ServeHTTP(a, httptest.NewRequest("GET", "/api/v1/openapi.json", nil))
	var doc struct {
		OpenAPI    string
		Components struct {
			Schemas map[string]struct {
				Enum       []string
				Required   []string
				Properties map[string]any
			}
		}
	}
	if err := json.Unmarshal(a.Body.Bytes(), &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.") || a.Code != http.StatusOK {
		t.Fatal(a.Code, err)
	}
	var codes []string
	for _, c := range signing.Codes() {
		codes = append(codes, string(c))
	}
	slices.Sort(codes)
	if said := slices.Sorted(slices.Values(doc.Components.Schemas["Code"].Enum)); !slices.Equal(said, codes) {
		t.Errorf("codes: %v, the code has %v", said, codes)
	}
	var kinds []string
	for _, k := range signing.ChangeKinds() {
		kinds = append(kinds, string(k))
	}
	slices.Sort(kinds)
	if said := doc.Components.Schemas["ChangeKind"].Enum; !slices.Equal(said, kinds) {
		t.Errorf("kinds of changes: %v, the code has %v", said, kinds)
	}
	for schema, value := range map[string]any{"Report": verify.Answer{}, "Issued": verify.Issued{}, "Signature": signing.Signature{}, "Certificate": signing.Certificate{}, "Finding": signing.Finding{},
		"Revocation": signing.Revocation{}, "Qualification": signing.Qualification{}, "Standing": trustlist.Standing{},
		"Revision": signing.Revision{}, "Change": signing.Change{}, "Lock": signing.Lock{},
	} {
		for name := range fields(value) {
			if doc.Components.Schemas[schema].Properties[name] == nil {
				t.Errorf("%s has %s, which is not described", schema, name)
			}
		}
		for name := range doc.Components.Schemas[schema].Properties {
			if !fields(value)[name] {
				t.Errorf("%s.%s is described, and is not there", schema, name)
			}
		}
	}
}

// fields are the JSON names of a struct.
func fields(v any) map[string]bool {
	out := map[string]bool{}
	for t, i := reflect.TypeOf(v), 0; i < t.NumField(); i++ {
		if t.Field(i).Anonymous {
			maps.Copy(out, fields(reflect.Zero(t.Field(i).Type.Elem()).Interface()))
			continue
		}
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if t.Field(i).IsExported() {
			out[name] = true
		}
	}
	return out
}

// A picture shows what was signed, not what was added; without one the page says so.
func TestWhatWasSignedIsDrawn(t *testing.T) {
	w := signingtest.Shared()
	sealed := seal(t, pdftest.Build(pdftest.Table, pdftest.Fields()), w.P256)
	check := verify.NewChecker(verify.Trust{Roots: w.RootCertificates}, clock.At(signingtest.Now))
	for name, c := range map[string]struct {
		file []byte
		want int
	}{
		"sealed":     {sealed, len(sealed)},
		"added to":   {appended(t, sealed, 0, pdf.Integer(1)), len(sealed)},
		"changed":    {bytes.Replace(sealed, []byte("/MediaBox"), []byte("/MediaBux"), 1), 0},
		"not sealed": {pdftest.Build(pdftest.Table, pdftest.Fields()), 0},
		"no file":    {[]byte("junk"), 0},
	} {
		r, err := check.Check(t.Context(), c.file)
		if err != nil || r.Signed != c.want {
			t.Errorf("%s: %d bytes are said to be signed, not %d (%v)", name, r.Signed, c.want, err)
		}
	}
}

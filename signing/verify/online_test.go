package verify_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/fetch"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/verify"
)

// Revoked, not known here, and nobody answers are three findings; who may not be
// asked is not asked.
func TestIssuersAreAsked(t *testing.T) {
	for name, c := range map[string]struct {
		hosts      []string
		set        func(*lasting)
		stranger   bool
		want       verify.Result
		indication verify.Indication
		code       verify.Code
	}{
		"good": {nil, nil, false, verify.Valid, verify.TotalPassed, ""},
		"revoked": {nil, func(w *lasting) {
			w.Status.Revoked = map[string]time.Time{w.Seal("P-256").Cert.SerialNumber.String(): w.clock.Now().Add(-90 * time.Second)}
		}, false, verify.NotValid, verify.Indeterminate, verify.Revoked},
		"unreachable": {nil, func(w *lasting) {
			w.Status.Answer = func(rw http.ResponseWriter, _ string) bool { rw.WriteHeader(503); return true }
		}, false, verify.Valid, verify.Indeterminate, verify.RevocationUnreachable},
		"a page": {nil, func(w *lasting) {
			w.Status.Answer = func(rw http.ResponseWriter, _ string) bool { _, err := rw.Write([]byte("<html>")); return err == nil }
		}, false, verify.Valid, verify.Indeterminate, verify.RevocationUnreachable},
		"not listed": {[]string{"elsewhere.example"}, nil, false, verify.Valid, verify.Indeterminate, verify.RevocationUnreachable},
		"stranger":   {nil, nil, true, verify.NotValid, verify.Indeterminate, verify.Untrusted},
	} {
		w := newLasting(t)
		w.clock.Add(time.Minute)
		file := w.file("P-256", signing.LevelBT)
		w.clock.Add(time.Minute)
		if c.set != nil {
			c.set(w)
		}
		hosts := c.hosts
		if hosts == nil {
			hosts = []string{"status.belfry.test"}
		}
		f, err := fetch.New(fetch.Config{Hosts: hosts, Client: w.Status.Client(), Clock: w.clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		o := verify.Options{Roots: w.Roots(), Now: w.clock.Now()}
		if c.stranger {
			o.Roots = newLasting(t).Roots()
		}
		check := func(o verify.Options) *verify.Report { return verify.ChildBytes(context.Background(), file, o) }
		r := verify.Online(t.Context(), f, o, check)
		if r.Result != c.want || r.Indication != c.indication || c.code != "" && !r.Signatures[0].Notes(c.code) || c.code == "" && r.Signatures[0].Notes(verify.RevocationNotChecked) {
			t.Errorf("%s: %s", name, dump(r))
		}
	}
}

package verify

import (
	"net/http"
	"strings"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/visit"
)

// known is by what a paper was found: number and code, or the token of its QR code.
type known struct{ Token, Number, Code string }

// copy sends the whole file of a paper to whoever proves again what they found it by, where
// the commune allows it. The tries are those of every check.
func (p *Pages) copy(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if !v.Commune.CheckCopy {
		return web.NotFound(w, r)
	}
	if err := r.ParseForm(); err != nil {
		return err
	}
	k := known{Token: r.PostForm.Get("token"), Number: strings.TrimSpace(r.PostForm.Get("number")), Code: strings.TrimSpace(r.PostForm.Get("code"))}
	n, _ := orders.ParseNumber(k.Number)
	if err := p.count(r, string(n)); err != nil {
		return err
	}
	var facts orders.Facts
	var err error
	if k.Token != "" {
		facts, err = p.orders.Lookup(r.Context(), v.Commune.ID, k.Token)
	} else {
		facts, err = p.orders.LookupNumber(r.Context(), v.Commune.ID, k.Number, k.Code)
	}
	if err != nil {
		return err
	}
	f, err := p.orders.Copy(r.Context(), v.Commune.ID, facts)
	if err != nil {
		return err
	}
	return visit.Download(w, f.Name, f.Type, f.Data)
}

// bySum checks a file by its SHA-256, which the page's script has reckoned: the file stays
// where it is. What it finds is that the file is, byte for byte, one that was issued; its
// seal is not read.
func (p *Pages) bySum(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := p.count(r, ""); err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return err
	}
	sum, err := blob.ParseDigest(r.PostForm.Get("sum"))
	if err != nil {
		return web.See(w, r, v.To(orders.VerifyPath))
	}
	facts, err := p.orders.LookupFile(r.Context(), v.Commune.ID, sum)
	return p.found(w, r, outcome{Way: byFile, Exact: true, Unsent: true}, facts, err)
}

// Package park turns a cross-site POST into a GET of our own.
//
// A form that another site posts arrives without our Lax cookies. Its input is kept
// under a handle that works once, and the browser is sent back with 303: the GET
// carries the cookies. The package refuses to know what was posted.
// It guarantees that nothing of the input reaches an address.
package park

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/web"
)

// parameter carries the handle in the address.
const parameter = "parked"

// most is how many bytes of a form are kept. Anybody may post one, and it lies in
// the database for a while; the parameters of a request are a few thousand bytes.
const most = 16 << 10

// lifetime is ample for a redirect.
const lifetime = 2 * time.Minute

// Post keeps the form that was posted and answers 303 to the same path.
func Post(store kv.Store, w http.ResponseWriter, r *http.Request) error {
	return Large(store, w, r, most)
}

// Large is Post for a form of up to limit bytes, of which something is known already:
// nobody may fill the database with forms that were not asked for.
func Large(store kv.Store, w http.ResponseWriter, r *http.Request, limit int) error {
	if err := r.ParseForm(); err != nil {
		return fault.New(fault.Invalid, "idp.error_form", err)
	}
	text := r.PostForm.Encode()
	if len(text) > limit {
		return fault.New(fault.Invalid, "idp.error_form", fmt.Errorf("park: %d bytes", len(text)))
	}
	handle := web.NewSecret()
	if err := store.Put(r.Context(), place(handle), []byte(text), lifetime); err != nil {
		return fault.New(fault.Unreachable, "idp.error_store", fmt.Errorf("park: %w", err))
	}
	return web.See(w, r, r.URL.Path+"?"+parameter+"="+handle)
}

// Parked says whether the request's parameters were posted and kept.
func Parked(r *http.Request) bool { return r.URL.Query().Has(parameter) }

// Values are the request's parameters: those of the query, or those that were
// parked, which then are gone.
func Values(store kv.Store, r *http.Request) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.New(fault.Invalid, "idp.error_form", err)
	}
	handle := query.Get(parameter)
	if handle == "" {
		return query, nil
	}
	text, err := store.Take(r.Context(), place(handle))
	if errors.Is(err, kv.ErrMissing) {
		return nil, fault.New(fault.NotFound, "idp.login_gone", nil)
	}
	if err != nil {
		return nil, fault.New(fault.Unreachable, "idp.error_store", fmt.Errorf("park: %w", err))
	}
	return url.ParseQuery(string(text))
}

func place(handle string) string { return "idp:park:" + handle }

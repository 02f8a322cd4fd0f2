package verify

import (
	"net/http"
	"strconv"
	"time"

	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Limits against guessing (threat T18), each for an hour of the clock, so that it can be
// said when to try again. A try is counted before it is answered: many at once are no way
// round. Whoever uses up the tries of a number keeps nobody from checking that paper by
// its QR code or its file.
const (
	triesAddress = 120 // checks of every kind, by one address
	triesHere    = 10  // of one number, by one address
	triesNumber  = 200 // of one number, by anybody: nothing against 50 bits of code
	triesAPI     = 600 // files by programs, from one address
)

// count stops those who try too often; number is "" where none was typed.
func (p *Pages) count(r *http.Request, number string) error {
	from := web.Neighbourhood(web.Remote(r))
	if err := p.try(r, "from/"+from, triesAddress); err != nil || number == "" {
		return err
	}
	if err := p.try(r, "number/"+number+"/from/"+from, triesHere); err != nil {
		return err
	}
	return p.try(r, "number/"+number, triesNumber)
}

// try counts one of something in this hour; fault check.too_many (TooMany; Args When, the
// time of day in Brussels, and Seconds until then) where there were more than most.
func (p *Pages) try(r *http.Request, what string, most int64) error {
	l := visit.Limit{Most: most, Every: time.Hour, Fault: "check.too_many"}
	return l.Try(r.Context(), p.kv, p.now(), "verify/"+string(visit.Of(r).Commune.ID)+"/"+what)
}

// RetryAfter says in an answer's head when to try again, where the failure tells.
func RetryAfter(w http.ResponseWriter, f web.Failure) {
	if seconds, ok := f.Args["Seconds"].(int); ok {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	} else if f.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "60")
	}
}

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
)

const (
	patience = 2 * time.Minute  // for the person, as other card programs have it
	keep     = time.Minute      // an answer can be fetched for that long
	pollHold = 10 * time.Second // a poll without news is answered after this
)

// window is where the person sees who asks, and confirms.
type window interface {
	// open shows the operation. It returns the address of its page for the browser
	// to open, or "" where a window opens by itself. It must not wait.
	open(*operation) (address string)
	// routes adds what the browser may fetch of it.
	routes(*http.ServeMux)
}

// agent is the one operation under way, and the answers of those that ended.
type agent struct {
	log      *slog.Logger
	host     string // "127.0.0.1:PORT", the only Host header that is answered
	cards    *reader
	window   window
	patience time.Duration
	keep     time.Duration
	limit    limiter

	mu      sync.Mutex
	current *operation
	byID    map[string]*operation
	signers map[string]signer // by origin: whom it may ask to sign
}

func newAgent(log *slog.Logger, port int, cards *reader) *agent {
	return &agent{
		log: log, host: fmt.Sprintf("127.0.0.1:%d", port), cards: cards,
		patience: patience, keep: keep, byID: map[string]*operation{}, signers: map[string]signer{},
	}
}

// request is what a login page asks for.
type request struct {
	Nonce   string `json:"nonce"`
	Purpose string `json:"purpose"`
	Lang    string `json:"lang"`
	Address bool   `json:"address"` // what is written on the card is wanted too, without the photo
}

// purposes are what a page may ask a card for. The page chooses among our words and
// cannot bring its own.
var purposes = map[string]string{
	"login":   "agent.purpose_login",
	"step-up": "agent.purpose_step_up",
	"counter": "agent.purpose_counter",
}

// outcome is what the card gave, or the code of a failure.
type outcome struct {
	token       *card.Token
	certificate []byte // DER
	signature   *signature
	identity    *idfile.Files
	code        string
	tries       int // left, where code is "pin_incorrect"
}

// operation is one request to use a card, from one origin. Its id is known to the
// page that asked, its secret to the window that confirms.
type operation struct {
	id, secret     string
	origin         string
	nonce, purpose string
	lang           i18n.Language
	sign           *signing        // nil where no document is signed
	read           *reading        // nil where what is written on the card is not wanted
	ctx            context.Context // ends with the operation
	done           chan struct{}   // closed with the outcome

	end     sync.Once
	outcome outcome
	stop    context.CancelFunc
}

// begin starts an operation, of which origin, language and what it is for are set. A
// page that asks again replaces its own; another origin's is not disturbed, for a
// person can read one window at a time.
func (a *agent) begin(o *operation) (string, error) {
	a.mu.Lock()
	before := a.current
	if before != nil && !before.ended() && before.origin != o.origin {
		a.mu.Unlock()
		return "", card.ErrBusy
	}
	o.id, o.secret, o.done = rand.Text(), rand.Text(), make(chan struct{})
	o.ctx, o.stop = context.WithTimeout(context.Background(), a.patience)
	a.current = o
	a.byID[o.id] = o
	a.mu.Unlock()
	if before != nil {
		before.finish(outcome{code: "cancelled"})
	}
	context.AfterFunc(o.ctx, func() {
		o.finish(outcome{code: "timeout"})
		time.AfterFunc(a.keep, func() { a.forget(o) })
	})
	return a.window.open(o), nil
}

// language is the one a page asks for, French where it asks for none we speak.
func language(name string) i18n.Language {
	if l, ok := i18n.Parse(name); ok {
		return l
	}
	return i18n.French
}

func (a *agent) forget(o *operation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byID, o.id)
	if a.current == o {
		a.current = nil
	}
}

// of returns an operation to the origin that began it.
func (a *agent) of(id, origin string) *operation {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o := a.byID[id]; o != nil && o.origin == origin {
		return o
	}
	return nil
}

// finish sets the outcome; the first one stands.
func (o *operation) finish(out outcome) {
	o.end.Do(func() {
		o.outcome = out
		close(o.done)
		o.stop()
	})
}

func (o *operation) ended() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

// fail finishes with the code of err.
func (o *operation) fail(err error) { o.finish(failure(err)) }

// failure is err as a page is told: a code of ours, never its text.
func failure(err error) outcome {
	f, ok := asFault(err)
	if !ok {
		return outcome{code: "failed"}
	}
	tries, _ := f.Args["Count"].(int)
	return outcome{code: codeOf(f), tries: tries}
}

// settled says that trying again in the same window makes no sense.
func settled(err error) bool {
	switch fault.KeyOf(err) {
	case card.ErrPINIncorrect.Key, card.ErrPINWrong.Key, card.ErrPINLength.Key, card.ErrPINLastTry.Key:
		return false
	}
	return true
}

// limiter allows some requests in a minute, to each origin and to all together.
type limiter struct {
	mu    sync.Mutex
	times map[string][]time.Time
}

const (
	perOrigin = 20
	perAll    = 30
)

func (l *limiter) allows(origin string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.times == nil || len(l.times) > 100 {
		all := l.times[""]
		l.times = map[string][]time.Time{"": all}
	}
	for key, most := range map[string]int{origin: perOrigin, "": perAll} {
		recent := l.times[key][:0]
		for _, t := range l.times[key] {
			if now.Sub(t) < time.Minute {
				recent = append(recent, t)
			}
		}
		l.times[key] = recent
		if len(recent) >= most {
			return false
		}
	}
	l.times[origin] = append(l.times[origin], now)
	l.times[""] = append(l.times[""], now)
	return true
}

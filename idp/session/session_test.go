package session_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/idp/session"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/web"
)

// late lets the test act just before something is stored.
type late struct {
	kv.Store
	before func()
}

func (l *late) Put(ctx context.Context, key string, v []byte, ttl time.Duration) error {
	if act := l.before; act != nil {
		l.before = nil
		act()
	}
	return l.Store.Put(ctx, key, v, ttl)
}

func TestARequestUnderWayDoesNotReviveASession(t *testing.T) {
	db, err := sqldb.Open(t.Context(), "sqlite:"+t.TempDir()+"/s.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	hand := clock.NewHand(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
	inside, err := kv.NewSQL(db, hand.Now)
	if err != nil {
		t.Fatal(err)
	}
	master, err := secret.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	store := &late{Store: inside}
	sessions := session.New(session.Config{KV: store, Secret: master, Clock: hand.Now})
	number, err := eid.ParseNationalNumber("85423003379")
	if err != nil {
		t.Fatal(err)
	}
	var cookies []*http.Cookie
	request := func(f func(http.ResponseWriter, *http.Request)) {
		site := &web.Site{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Clock: hand.Now}
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		for _, c := range cookies {
			r.AddCookie(c)
		}
		site.Wrap(http.HandlerFunc(f)).ServeHTTP(w, r)
		if set := w.Result().Cookies(); len(set) > 0 && set[0].MaxAge >= 0 {
			cookies = set
		}
	}
	alive := func() (found bool) {
		request(func(_ http.ResponseWriter, r *http.Request) {
			s, err := sessions.Current(r)
			if err != nil {
				t.Error(err)
			}
			found = s != nil
		})
		return found
	}
	request(func(w http.ResponseWriter, r *http.Request) {
		if _, err := sessions.Start(w, r, session.Session{Citizen: eid.Citizen{Number: number}, Method: "card"}); err != nil {
			t.Error(err)
		}
	})
	for range 3 { // in use, it goes on beyond the first quarter of an hour
		hand.Add(10 * time.Minute)
		if !alive() {
			t.Fatal("a session in use is over")
		}
	}
	hand.Add(5 * time.Minute)
	store.before = func() {
		request(func(w http.ResponseWriter, r *http.Request) {
			if err := sessions.End(w, r); err != nil {
				t.Error(err)
			}
		})
	}
	alive() // the request under way
	if store.before != nil {
		t.Fatal("nothing was noted")
	}
	if alive() {
		t.Error("signed out, and signed in again")
	}
}

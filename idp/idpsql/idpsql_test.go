package idpsql_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// each runs f on both engines with a store and its clock.
func each(t *testing.T, f func(*testing.T, *idpsql.Store, *clock.Hand, *sqldb.DB)) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) {
			hand := clock.NewHand(start)
			db := open(t)
			s, err := idpsql.New(t.Context(), db, hand.Now)
			if err != nil {
				t.Fatal(err)
			}
			f(t, s, hand, db)
		})
	}
}

// together runs f n times at once and counts the calls that returned true.
func together(n int, f func(i int) bool) int64 {
	var yes atomic.Int64
	var all sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-gate
			if f(i) {
				yes.Add(1)
			}
		})
	}
	close(gate)
	all.Wait()
	return yes.Load()
}

func redemption(code, client, token string) idpsql.Redemption {
	return idpsql.Redemption{Code: code, Client: client, Check: func(content string) (idpsql.Token, error) {
		return idpsql.Token{Token: token, Session: "s", Content: "of " + content, Expires: start.Add(time.Hour)}, nil
	}}
}

func addCode(t *testing.T, s *idpsql.Store, code string) {
	t.Helper()
	c := idpsql.Code{Code: code, Client: "a", Session: "s", Content: "content", Expires: start.Add(time.Minute)}
	if ok, err := s.AddCode(t.Context(), c, "", nil); err != nil || !ok {
		t.Fatal(ok, err)
	}
}

func TestACodeIsExchangedOnceByMany(t *testing.T) {
	each(t, func(t *testing.T, s *idpsql.Store, _ *clock.Hand, _ *sqldb.DB) {
		addCode(t, s, "c")
		won := together(64, func(i int) bool {
			_, err := s.Redeem(t.Context(), redemption("c", "a", fmt.Sprint("token", i)))
			if err != nil && !errors.Is(err, idpsql.ErrCodeUsed) {
				t.Error(err)
			}
			return err == nil
		})
		if won != 1 {
			t.Errorf("%d exchanges succeeded", won)
		}
		for i := range 64 { // a second use was seen, so what the first gave is dead
			if _, alive, err := s.TokenContent(t.Context(), fmt.Sprint("token", i), time.Hour); alive || err != nil {
				t.Errorf("token %d is alive (%v)", i, err)
			}
		}
	})
}

func TestWhyACodeIsNotExchanged(t *testing.T) {
	each(t, func(t *testing.T, s *idpsql.Store, hand *clock.Hand, _ *sqldb.DB) {
		addCode(t, s, "c")
		for name, r := range map[string]idpsql.Redemption{
			"unknown code":   redemption("x", "a", "t0"),
			"another client": redemption("c", "b", "t0"),
		} {
			if _, err := s.Redeem(t.Context(), r); !errors.Is(err, idpsql.ErrNoCode) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if content, err := s.Redeem(t.Context(), redemption("c", "a", "t1")); err != nil || content != "content" {
			t.Fatalf("another client's try spoilt it: %q %v", content, err)
		}
		if got, alive, err := s.TokenContent(t.Context(), "t1", time.Hour); got != "of content" || !alive || err != nil {
			t.Errorf("%q %v %v", got, alive, err)
		}
		if _, err := s.Redeem(t.Context(), redemption("c", "a", "t2")); !errors.Is(err, idpsql.ErrCodeUsed) {
			t.Errorf("second use: %v", err)
		}
		if _, alive, _ := s.TokenContent(t.Context(), "t1", time.Hour); alive {
			t.Error("the second use left the first's token alive")
		}

		wrong := redemption("d", "a", "t3")
		refused := errors.New("verifier does not fit")
		wrong.Check = func(string) (idpsql.Token, error) { return idpsql.Token{}, refused }
		addCode(t, s, "d")
		if _, err := s.Redeem(t.Context(), wrong); !errors.Is(err, refused) {
			t.Errorf("wrong verifier: %v", err)
		}
		if _, err := s.Redeem(t.Context(), redemption("d", "a", "t3")); !errors.Is(err, idpsql.ErrCodeUsed) {
			t.Errorf("a code survives a wrong verifier: %v", err)
		}

		addCode(t, s, "e")
		hand.Add(time.Minute)
		if _, err := s.Redeem(t.Context(), redemption("e", "a", "t4")); !errors.Is(err, idpsql.ErrNoCode) {
			t.Errorf("after a minute: %v", err)
		}
	})
}

func TestAnAssertionIsUsedOnceEvenWhenTheCodeIsBad(t *testing.T) {
	each(t, func(t *testing.T, s *idpsql.Store, _ *clock.Hand, _ *sqldb.DB) {
		a := idpsql.Assertion{Client: "a", JTI: "1", Expires: start.Add(time.Minute)}
		r := redemption("none", "a", "t")
		r.Assertion = a
		if _, err := s.Redeem(t.Context(), r); !errors.Is(err, idpsql.ErrNoCode) {
			t.Fatal(err)
		}
		if err := s.Push(t.Context(), idpsql.Pushed{Handle: "h", Client: "a", Expires: start.Add(time.Minute)}, a); !errors.Is(err, idpsql.ErrReplay) {
			t.Errorf("the assertion is taken a second time: %v", err)
		}
		if _, ok, _ := s.Pushed(t.Context(), "h"); ok {
			t.Error("a replayed assertion pushed a request")
		}
		b := a
		b.Client = "b" // another client may use the same jti
		won := together(16, func(i int) bool {
			return s.Push(t.Context(), idpsql.Pushed{Handle: fmt.Sprint("h", i), Client: "b", Expires: start.Add(time.Minute)}, b) == nil
		})
		if won != 1 {
			t.Errorf("%d of 16 uses of one assertion succeeded", won)
		}
	})
}

func TestAPushedRequestGivesOneCode(t *testing.T) {
	each(t, func(t *testing.T, s *idpsql.Store, hand *clock.Hand, _ *sqldb.DB) {
		p := idpsql.Pushed{Handle: "h", Client: "a", Parameters: "x=1", Expires: start.Add(time.Minute)}
		if err := s.Push(t.Context(), p, idpsql.Assertion{}); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := s.Pushed(t.Context(), "h"); !ok || err != nil || got.Parameters != "x=1" || got.Client != "a" {
			t.Fatal(got, ok, err)
		}
		won := together(16, func(i int) bool {
			ok, err := s.AddCode(t.Context(), idpsql.Code{Code: fmt.Sprint("c", i), Client: "a", Expires: start.Add(time.Minute)}, "h", nil)
			if err != nil {
				t.Error(err)
			}
			return ok
		})
		if won != 1 {
			t.Errorf("%d codes from one request", won)
		}
		p.Handle = "late"
		if err := s.Push(t.Context(), p, idpsql.Assertion{}); err != nil {
			t.Fatal(err)
		}
		hand.Add(time.Minute)
		if _, ok, _ := s.Pushed(t.Context(), "late"); ok {
			t.Error("a request outlives its time")
		}
	})
}

// What is recorded together with a code exists with it or neither does.
func TestACodeAndItsRecordAreOne(t *testing.T) {
	each(t, func(t *testing.T, s *idpsql.Store, _ *clock.Hand, _ *sqldb.DB) {
		full := errors.New("the record cannot be written")
		_, err := s.AddCode(t.Context(), idpsql.Code{Code: "c", Client: "a", Expires: start.Add(time.Minute)}, "", func(*sqldb.Tx) error { return full })
		if !errors.Is(err, full) {
			t.Fatal(err)
		}
		if _, err := s.Redeem(t.Context(), redemption("c", "a", "t")); !errors.Is(err, idpsql.ErrNoCode) {
			t.Errorf("the code is there without its record: %v", err)
		}
	})
}

func TestAChallengeIsUsedOnceByItsHolderInTime(t *testing.T) {
	each(t, func(t *testing.T, s *idpsql.Store, hand *clock.Hand, _ *sqldb.DB) {
		right := idpsql.Challenge{Nonce: "n", Purpose: "login", Login: "l", Browser: "b", Expires: start.Add(5 * time.Minute)}
		if err := s.AddChallenge(t.Context(), right); err != nil {
			t.Fatal(err)
		}
		use := func(change func(*idpsql.Challenge)) idpsql.Consumption {
			t.Helper()
			c := right
			change(&c)
			got, err := s.UseChallenge(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		for name, c := range map[string]struct {
			want   idpsql.Consumption
			change func(*idpsql.Challenge)
		}{
			"another nonce":   {idpsql.Unknown, func(c *idpsql.Challenge) { c.Nonce = "m" }},
			"another purpose": {idpsql.Unknown, func(c *idpsql.Challenge) { c.Purpose = "counter" }},
			"another login":   {idpsql.Unknown, func(c *idpsql.Challenge) { c.Login = "k" }},
			"another browser": {idpsql.OtherHolder, func(c *idpsql.Challenge) { c.Browser = "a" }},
		} {
			if got := use(c.change); got != c.want {
				t.Errorf("%s: %v", name, got)
			}
		}
		won := together(32, func(int) bool { return use(func(*idpsql.Challenge) {}) == idpsql.Consumed })
		if won != 1 {
			t.Errorf("%d uses of one challenge", won)
		}
		if got := use(func(*idpsql.Challenge) {}); got != idpsql.UsedBefore {
			t.Errorf("again: %v", got)
		}
		right.Nonce = "late"
		if err := s.AddChallenge(t.Context(), right); err != nil {
			t.Fatal(err)
		}
		hand.Add(5 * time.Minute)
		if got := use(func(*idpsql.Challenge) {}); got != idpsql.TooLate {
			t.Errorf("after five minutes: %v", got)
		}
	})
}

func TestASessionsEndTakesAllItGave(t *testing.T) {
	each(t, func(t *testing.T, s *idpsql.Store, _ *clock.Hand, _ *sqldb.DB) {
		addCode(t, s, "c")
		addCode(t, s, "d")
		if _, err := s.Redeem(t.Context(), redemption("c", "a", "t")); err != nil {
			t.Fatal(err)
		}
		if err := s.EndSession(t.Context(), "s", nil); err != nil {
			t.Fatal(err)
		}
		if _, alive, _ := s.TokenContent(t.Context(), "t", time.Hour); alive {
			t.Error("the token lives on")
		}
		if _, err := s.Redeem(t.Context(), redemption("d", "a", "t2")); err == nil {
			t.Error("a code of the session is exchanged after its end")
		}
	})
}

func TestPurgeKeepsWhatIsAlive(t *testing.T) {
	each(t, func(t *testing.T, s *idpsql.Store, hand *clock.Hand, db *sqldb.DB) {
		addCode(t, s, "old")
		hand.Add(2 * time.Hour)
		young := idpsql.Code{Code: "young", Client: "a", Expires: hand.Now().Add(time.Minute)}
		if _, err := s.AddCode(t.Context(), young, "", nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := db.QueryRow(t.Context(), `SELECT count(*) FROM idp_code`).Scan(&n); err != nil || n != 1 {
			t.Errorf("%d codes left (%v)", n, err)
		}
	})
}

// A reader of the database gets no handle, code, token or nonce out of it.
func TestNothingUsableLiesInARow(t *testing.T) {
	each(t, func(t *testing.T, s *idpsql.Store, _ *clock.Hand, db *sqldb.DB) {
		const secret = "SECRET-STRING"
		addCode(t, s, secret+"code")
		if _, err := s.Redeem(t.Context(), redemption(secret+"code", "a", secret+"token")); err != nil {
			t.Fatal(err)
		}
		push := idpsql.Pushed{Handle: secret + "handle", Client: "a", Expires: start.Add(time.Minute)}
		if err := s.Push(t.Context(), push, idpsql.Assertion{Client: "a", JTI: secret + "jti", Expires: start.Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		if err := s.AddChallenge(t.Context(), idpsql.Challenge{Nonce: secret + "nonce", Expires: start}); err != nil {
			t.Fatal(err)
		}
		for _, column := range []string{"code FROM idp_code", "token FROM idp_access_token", "code FROM idp_access_token", "handle FROM idp_pushed", "jti FROM idp_assertion", "nonce FROM idp_challenge"} {
			var v string
			if err := db.QueryRow(t.Context(), "SELECT "+column).Scan(&v); err != nil {
				t.Fatalf("%s: %v", column, err)
			}
			if strings.Contains(v, secret) {
				t.Errorf("%s is stored as it is", column)
			}
		}
	})
}

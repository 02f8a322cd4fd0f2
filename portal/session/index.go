package session

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
)

// Which sessions a person has open. Each session, when it begins, takes the next place of a
// row of its person's: places are given by a counter, so that of two sessions that begin at
// once neither hides the other. A row lasts as long as a session may, and so does the next
// before the first is given up: every open session lies in one of the two newest.

// Device is in coarse words what a session was begun with, "" where nobody knows.
type Device struct {
	Browser string `json:"browser,omitempty"` // "Firefox"
	System  string `json:"system,omitempty"`  // "Windows"
}

// Open is an open session as its person may see it.
type Open struct {
	ID      string // good for End only
	Device  Device
	Began   time.Time
	Seen    time.Time
	Current bool // it is the one that asks
}

const (
	maxPlaces = 500 // of a row that are looked at
	maxGap    = 16  // places in a row that may be empty: something died while it began
)

type entry struct {
	ID     string    `json:"id"`
	Place  string    `json:"place"` // of the session in kv
	Device Device    `json:"device"`
	Began  time.Time `json:"began"`
}

func indexKey(installKey []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, installKey, nil, "belfry portal session index", 32)
}

// rowPlace begins the keys of one person's row of a period.
func (st *Store) rowPlace(c commune.ID, subject string, period int64) string {
	mac := hmac.New(sha256.New, st.index)
	fmt.Fprintf(mac, "%s\x00%s", c, subject)
	return fmt.Sprintf("session-of/%s/%s/%d", c, hex.EncodeToString(mac.Sum(nil)), period)
}

func period(t time.Time) int64 { return t.Unix() / int64(Whole/time.Second) }

// enter notes that a session has begun.
func (st *Store) enter(ctx context.Context, s Session, at string, d Device) error {
	row := st.rowPlace(s.Commune, s.Subject, period(s.Began))
	n, err := st.kv.Incr(ctx, row, 3*Whole)
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return st.seal(ctx, fmt.Sprintf("%s/%d", row, n), entry{rand.Text(), at, d, s.Began}, 3*Whole)
}

// List tells which sessions a person, known by any of these subjects, has open at a commune:
// the newest first. secret is the one of the session that asks.
func (st *Store) List(ctx context.Context, c commune.ID, subjects []string, secret string) ([]Open, error) {
	var list []Open
	err := st.each(ctx, c, subjects, func(e entry, seen time.Time) error {
		list = append(list, Open{ID: e.ID, Device: e.Device, Began: e.Began, Seen: seen, Current: e.Place == place(c, secret, "")})
		return nil
	})
	slices.SortStableFunc(list, func(a, b Open) int { return b.Began.Compare(a.Began) })
	return list, err
}

// EndOpen ends the open session of an ID among those of a person, and nothing where there
// is none. id "" ends all but the one of secret. What the provider knows of the other browser
// is good for no other session here then (Left).
func (st *Store) EndOpen(ctx context.Context, c commune.ID, subjects []string, secret, id string) error {
	current := place(c, secret, "")
	own, err := st.read(ctx, c, current)
	if err != nil && !errors.Is(err, ErrNone) {
		return err
	}
	return st.each(ctx, c, subjects, func(e entry, _ time.Time) error {
		if id == "" && e.Place == current || id != "" && e.ID != id {
			return nil
		}
		s, err := st.read(ctx, c, e.Place)
		if err != nil && !errors.Is(err, ErrNone) {
			return err
		}
		if s != nil && (own == nil || s.SessionID != own.SessionID) { // else it is this very browser's
			if err := st.leave(ctx, c, s); err != nil {
				return err
			}
		}
		return st.kv.Delete(ctx, e.Place)
	})
}

// leftFor is longer than a provider's session lasts.
const leftFor = 48 * time.Hour

// leave remembers that a person has ended what they proved in a provider's session.
func (st *Store) leave(ctx context.Context, c commune.ID, s *Session) error {
	if s.SessionID == "" {
		return nil
	}
	return st.seal(ctx, leftPlace(c, s.SessionID), s.AuthTime, leftFor)
}

// Left says whether a sign-in rests on nothing newer than what its person has ended from
// another browser: then they prove again who they are. Both times are the provider's.
func (st *Store) Left(ctx context.Context, c commune.ID, providers string, at time.Time) (bool, error) {
	var ended time.Time
	err := st.open(ctx, leftPlace(c, providers), &ended)
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	return err == nil && !at.After(ended), err
}

func leftPlace(c commune.ID, providers string) string {
	sum := sha256.Sum256([]byte(providers))
	return "session-left/" + string(c) + "/" + hex.EncodeToString(sum[:])
}

// each calls f with every open session of a person.
func (st *Store) each(ctx context.Context, c commune.ID, subjects []string, f func(entry, time.Time) error) error {
	now := period(st.now())
	for _, subject := range subjects {
		for _, row := range []string{st.rowPlace(c, subject, now), st.rowPlace(c, subject, now-1)} {
			gap := 0
			for n := 1; n <= maxPlaces && gap < maxGap; n++ {
				var e entry
				err := st.open(ctx, fmt.Sprintf("%s/%d", row, n), &e)
				if errors.Is(err, ErrNone) {
					gap++
					continue
				}
				if err != nil {
					return err
				}
				gap = 0
				seen, err := st.lives(ctx, c, e)
				if errors.Is(err, ErrNone) {
					continue
				}
				if err == nil {
					err = f(e, seen)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// lives says when the session of an entry was last used; ErrNone where it has ended.
func (st *Store) lives(ctx context.Context, c commune.ID, e entry) (time.Time, error) {
	s, err := st.read(ctx, c, e.Place)
	if err != nil {
		return time.Time{}, err
	}
	return s.Seen, nil
}

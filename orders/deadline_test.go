package orders_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
)

func day(s string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", s, i18n.Brussels())
	if err != nil {
		panic(err)
	}
	return t
}

// belgian has no closed days of its own.
var belgian = (&commune.Commune{}).Calendar()

func TestDue(t *testing.T) {
	for _, c := range []struct {
		at   string
		n    int
		want string
		why  string
	}{
		{"2026-02-02 09:00", 3, "2026-02-05", "Monday to Thursday"},
		{"2026-02-05 09:00", 3, "2026-02-10", "over a weekend"},
		{"2026-02-07 12:00", 1, "2026-02-09", "a Saturday counts from Monday"},
		{"2026-04-03 09:00", 2, "2026-04-08", "over Easter Monday, 6 April 2026"},
		{"2026-05-13 09:00", 1, "2026-05-15", "Ascension Day, 14 May 2026"},
		{"2026-05-22 09:00", 1, "2026-05-26", "Whit Monday, 25 May 2026"},
		{"2026-07-20 23:30", 1, "2026-07-22", "the national day"},
		{"2026-12-24 09:00", 2, "2026-12-29", "Christmas on a Friday, then a weekend"},
		{"2026-12-31 23:59", 1, "2027-01-04", "New Year"},
		{"2026-03-28 23:30", 1, "2026-03-30", "over the change to summer time"},
	} {
		got := orders.Due(belgian, day(c.at), c.n)
		if got.Format(time.DateOnly) != c.want || got.Hour() != 0 || got.Location() != i18n.Brussels() {
			t.Errorf("%s: %d days from %s is %v, want %s", c.why, c.n, c.at, got, c.want)
		}
	}
}

func TestDueOverClosedDays(t *testing.T) {
	closed := []commune.Closing{{From: "2026-12-24", To: "2027-01-02"}, {From: "11-16"}}
	home, mairie := &commune.Commune{Closed: closed}, &commune.Commune{Country: commune.France, Closed: closed}
	for _, c := range []struct {
		of           *commune.Commune
		at           string
		n            int
		want, reason string
	}{
		{home, "2026-12-23 09:00", 1, "2027-01-04", "over the end of the year"},
		{home, "2026-12-22 09:00", 3, "2027-01-05", "one day before, two behind"},
		{home, "2026-12-28 09:00", 1, "2027-01-04", "asked while it is closed"},
		{home, "2026-11-13 09:00", 1, "2026-11-17", "a Monday of every year"},
		{home, "2027-11-15 09:00", 1, "2027-11-17", "and in the next year"},
		{mairie, "2026-07-20 09:00", 1, "2026-07-21", "Belgium's national day, in France"},
		{mairie, "2026-07-13 09:00", 1, "2026-07-15", "France's"},
		{mairie, "2026-05-07 09:00", 1, "2026-05-11", "8 May 1945, and a weekend"},
		{mairie, "2026-12-23 09:00", 1, "2027-01-04", "its own closed days"},
	} {
		if got := orders.Due(c.of.Calendar(), day(c.at), c.n).Format(time.DateOnly); got != c.want {
			t.Errorf("%s: %d days from %s is %s, want %s", c.reason, c.n, c.at, got, c.want)
		}
	}
}

// The day of an order is the one in Brussels, wherever the machine is.
func TestDueCountsInBrussels(t *testing.T) {
	late := time.Date(2026, 6, 30, 22, 30, 0, 0, time.UTC) // 0:30 on 1 July in Brussels
	if got := orders.Due(belgian, late, 1).Format(time.DateOnly); got != "2026-07-02" {
		t.Errorf("due %s", got)
	}
}

// calendar is that of a commune in one of the countries, with some closed days.
func calendar(t *rapid.T) commune.Calendar {
	c := &commune.Commune{AlsaceMoselle: rapid.Bool().Draw(t, "Alsace"), Country: rapid.SampledFrom([]string{commune.Belgium, commune.France}).Draw(t, "country")}
	for range rapid.IntRange(0, 8).Draw(t, "closings") {
		first := day("2026-01-01 00:00").AddDate(0, 0, rapid.IntRange(0, 1000).Draw(t, "first"))
		g := commune.Closing{From: first.Format(time.DateOnly), To: first.AddDate(0, 0, rapid.IntRange(0, 60).Draw(t, "more")).Format(time.DateOnly)}
		if rapid.Bool().Draw(t, "yearly") {
			g = commune.Closing{From: first.Format("01-02")}
		}
		c.Closed = append(c.Closed, g)
	}
	return c.Calendar()
}

// A promised day is one on which somebody works, after as many working days as were
// promised; who asks later, or is promised more, waits no shorter.
func TestDueProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := calendar(t)
		at := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "at"), 0)
		n := rapid.IntRange(1, 30).Draw(t, "n")
		due := orders.Due(k, at, n)
		if !k.Working(due) {
			t.Errorf("%v is no working day", due)
		}
		worked := 0
		for d := at.In(i18n.Brussels()); !sameDay(d, due); {
			d = d.AddDate(0, 0, 1)
			if k.Working(d) {
				worked++
			}
		}
		if worked != n {
			t.Errorf("from %v to %v are %d working days, want %d", at, due, worked, n)
		}
		later := at.Add(time.Duration(rapid.Int64Range(0, 1e6).Draw(t, "later")) * time.Second)
		if orders.Due(k, later, n).Before(due) || !orders.Due(k, at, n+1).After(due) {
			t.Errorf("%d days from %v: %v; from %v: %v; a day more: %v", n, at, due, later, orders.Due(k, later, n), orders.Due(k, at, n+1))
		}
	})
}

func sameDay(a, b time.Time) bool { return a.Format(time.DateOnly) == b.Format(time.DateOnly) }

func TestAPauseMovesThePromisedDay(t *testing.T) {
	closed := (&commune.Commune{Closed: []commune.Closing{{From: "2026-08-10", To: "2026-08-14"}}}).Calendar()
	for name, c := range map[string]struct {
		k                   commune.Calendar
		due, from, to, want string
	}{
		"the same day":           {belgian, "2026-02-06", "2026-02-03", "2026-02-03", "2026-02-06"},
		"overnight":              {belgian, "2026-02-06", "2026-02-03", "2026-02-04", "2026-02-09"},
		"over a weekend":         {belgian, "2026-02-06", "2026-02-06", "2026-02-09", "2026-02-09"},
		"within a weekend":       {belgian, "2026-02-09", "2026-02-07", "2026-02-08", "2026-02-09"},
		"over Easter Monday":     {belgian, "2026-04-03", "2026-04-03", "2026-04-07", "2026-04-07"},
		"asked when it was late": {belgian, "2026-02-02", "2026-02-04", "2026-02-06", "2026-02-04"},
		"over the year's end":    {belgian, "2026-12-31", "2026-12-30", "2027-01-04", "2027-01-05"},
		"while it is closed":     {closed, "2026-08-17", "2026-08-10", "2026-08-14", "2026-08-17"},
		"over closed days":       {closed, "2026-08-07", "2026-08-07", "2026-08-17", "2026-08-17"},
		"into closed days":       {closed, "2026-08-07", "2026-08-05", "2026-08-06", "2026-08-17"},
	} {
		at := func(s string) time.Time { return day(s + " 00:00") }
		if got := orders.Postponed(c.k, at(c.due), at(c.from).Add(13*time.Hour), at(c.to).Add(9*time.Hour)).Format(time.DateOnly); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// A pause never brings the day nearer nor onto a closed one, and two pauses in a row move
// as much as one over both.
func TestPausesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := calendar(t)
		start := day("2026-01-01 12:00").AddDate(0, 0, rapid.IntRange(0, 900).Draw(t, "start"))
		due := orders.Due(k, start, rapid.IntRange(1, 20).Draw(t, "promised"))
		middle := start.AddDate(0, 0, rapid.IntRange(0, 40).Draw(t, "first"))
		end := middle.AddDate(0, 0, rapid.IntRange(0, 40).Draw(t, "second"))
		whole := orders.Postponed(k, due, start, end)
		if parts := orders.Postponed(k, orders.Postponed(k, due, start, middle), middle, end); !parts.Equal(whole) || whole.Before(due) || !k.Working(whole) {
			t.Fatalf("due %s, in parts %s, in one %s", due, parts, whole)
		}
	})
}

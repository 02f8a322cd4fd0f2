package orders_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

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
		got := orders.Due(day(c.at), c.n)
		if got.Format(time.DateOnly) != c.want || got.Hour() != 0 || got.Location() != i18n.Brussels() {
			t.Errorf("%s: %d days from %s is %v, want %s", c.why, c.n, c.at, got, c.want)
		}
	}
}

// The day of an order is the one in Brussels, wherever the machine is.
func TestDueCountsInBrussels(t *testing.T) {
	late := time.Date(2026, 6, 30, 22, 30, 0, 0, time.UTC) // 0:30 on 1 July in Brussels
	if got := orders.Due(late, 1).Format(time.DateOnly); got != "2026-07-02" {
		t.Errorf("due %s", got)
	}
}

func TestEaster(t *testing.T) {
	for year, want := range map[int]string{2024: "04-01", 2025: "04-21", 2026: "04-06", 2027: "03-29", 2038: "04-26", 2285: "03-23"} {
		if got := orders.Holidays(year)[1].Format("01-02"); got != want {
			t.Errorf("Easter Monday %d: %s, want %s", year, got, want)
		}
	}
}

func TestDueProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), 0)
		n := rapid.IntRange(1, 30).Draw(t, "n")
		due := orders.Due(at, n)
		if !orders.Working(due) {
			t.Errorf("%v is no working day", due)
		}
		worked := 0
		for d := at.In(i18n.Brussels()); !sameDay(d, due); {
			d = d.AddDate(0, 0, 1)
			if orders.Working(d) {
				worked++
			}
		}
		if worked != n {
			t.Errorf("from %v to %v are %d working days, want %d", at, due, worked, n)
		}
	})
}

func sameDay(a, b time.Time) bool { return a.Format(time.DateOnly) == b.Format(time.DateOnly) }

func TestHolidaysAreTenDays(t *testing.T) {
	for year := 1990; year < 2100; year++ {
		var days []string
		for _, h := range orders.Holidays(year) {
			days = append(days, h.Format(time.DateOnly))
		}
		slices.Sort(days)
		// In 2008 and a few other years Ascension Day is the first of May.
		if n := len(slices.Compact(days)); n < 9 || len(days) != 10 {
			t.Errorf("%d: %v", year, days)
		}
	}
}

func TestAPauseMovesThePromisedDay(t *testing.T) {
	at := func(s string) time.Time {
		d, err := time.ParseInLocation(time.DateOnly, s, i18n.Brussels())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for name, c := range map[string]struct{ due, from, to, want string }{
		"the same day":           {"2026-02-06", "2026-02-03", "2026-02-03", "2026-02-06"},
		"overnight":              {"2026-02-06", "2026-02-03", "2026-02-04", "2026-02-09"},
		"over a weekend":         {"2026-02-06", "2026-02-06", "2026-02-09", "2026-02-09"},
		"within a weekend":       {"2026-02-09", "2026-02-07", "2026-02-08", "2026-02-09"},
		"over Easter Monday":     {"2026-04-03", "2026-04-03", "2026-04-07", "2026-04-07"},
		"asked when it was late": {"2026-02-02", "2026-02-04", "2026-02-06", "2026-02-04"},
		"over the year's end":    {"2026-12-31", "2026-12-30", "2027-01-04", "2027-01-05"},
	} {
		if got := orders.Postponed(at(c.due), at(c.from).Add(13*time.Hour), at(c.to).Add(9*time.Hour)).Format(time.DateOnly); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// A pause never brings the day nearer, and two pauses in a row move as much as one over both.
func TestPausesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 1, 1, 12, 0, 0, 0, i18n.Brussels()).AddDate(0, 0, rapid.IntRange(0, 900).Draw(t, "start"))
		due := orders.Due(start, rapid.IntRange(0, 20).Draw(t, "promised"))
		middle := start.AddDate(0, 0, rapid.IntRange(0, 40).Draw(t, "first"))
		end := middle.AddDate(0, 0, rapid.IntRange(0, 40).Draw(t, "second"))
		whole := orders.Postponed(due, start, end)
		if parts := orders.Postponed(orders.Postponed(due, start, middle), middle, end); !parts.Equal(whole) || whole.Before(due) {
			t.Fatalf("due %s, in parts %s, in one %s", due, parts, whole)
		}
	})
}

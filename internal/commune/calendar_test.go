package commune_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

func date(s string) time.Time {
	t, err := time.ParseInLocation(time.DateOnly, s, i18n.Brussels())
	if err != nil {
		panic(err)
	}
	return t
}

func mairie() *commune.Commune {
	c := beaumarais()
	c.Country, c.NIS, c.LanguageRegime, c.EnglishPages = commune.France, "67999", "france", false
	return c
}

func TestEaster(t *testing.T) {
	for year, want := range map[int]string{2024: "04-01", 2025: "04-21", 2026: "04-06", 2027: "03-29", 2038: "04-26", 2285: "03-23"} {
		if got := beaumarais().Calendar().Holidays(year)[1].Format("01-02"); got != want {
			t.Errorf("Easter Monday %d: %s, want %s", year, got, want)
		}
	}
}

// Ten by Belgian law, eleven by French law, thirteen in Alsace and Moselle.
func TestHolidaysAreThoseOfTheCountry(t *testing.T) {
	alsace := mairie()
	alsace.AlsaceMoselle = true
	for _, k := range []struct {
		of   *commune.Commune
		want string // of 2026
	}{
		{beaumarais(), "01-01 04-06 05-01 05-14 05-25 07-21 08-15 11-01 11-11 12-25"},
		{mairie(), "01-01 04-06 05-01 05-08 05-14 05-25 07-14 08-15 11-01 11-11 12-25"},
		{alsace, "01-01 04-03 04-06 05-01 05-08 05-14 05-25 07-14 08-15 11-01 11-11 12-25 12-26"},
	} {
		if err := k.of.Check(); err != nil {
			t.Error(err)
		}
		var got []string
		for _, h := range k.of.Calendar().Holidays(2026) {
			got = append(got, h.Format("01-02"))
		}
		if slices.Sort(got); strings.Join(got, " ") != k.want {
			t.Errorf("%s, %t: %v", k.of.Country, k.of.AlsaceMoselle, got)
		}
		for year, n := 1990, len(got); year < 2100; year++ {
			var days []string
			for _, h := range k.of.Calendar().Holidays(year) {
				days = append(days, h.Format(time.DateOnly))
			}
			slices.Sort(days)
			// In 2008 and a few other years Ascension Day is the first of May, or the eighth.
			if len(days) != n || len(slices.Compact(days)) < n-1 {
				t.Errorf("%d: %v", year, days)
			}
		}
	}
	for day, want := range map[string][2]bool{ // at work in Belgium, in France
		"2026-07-21": {false, true}, "2026-07-14": {true, false}, "2026-05-08": {true, false}, "2026-12-25": {false, false}, "2026-04-03": {true, true},
	} {
		if got := [2]bool{beaumarais().Calendar().Working(date(day)), mairie().Calendar().Working(date(day))}; got != want {
			t.Errorf("%s: %v, want %v", day, got, want)
		}
	}
}

func TestClosedDaysAreCheckedAtLoad(t *testing.T) {
	type list = []commune.Closing
	why := map[i18n.Language]string{i18n.French: "Congés de fin d’année"}
	for _, k := range []struct {
		name   string
		closed list
		want   string // of the fault; none where empty
	}{
		{"a range over New Year and a day of every year", list{{From: "2026-12-24", To: "2027-01-02", Text: why}, {From: "11-15"}}, ""},
		{"a range in the past", list{{From: "1999-12-24", To: "1999-12-31"}}, ""},
		{"a day of every year within a range", list{{From: "2026-11-10", To: "2026-11-20"}, {From: "11-15"}}, ""},
		{"side by side", list{{From: "2026-12-24"}, {From: "2026-12-25", To: "2026-12-31"}}, ""},
		{"no day", list{{}}, `closed: from ""`},
		{"no such day", list{{From: "2026-02-29"}}, `closed: from "2026-02-29"`},
		{"the last day of February, every year", list{{From: "02-29"}}, `closed: from "02-29"`},
		{"a time", list{{From: "2026-12-24T12:00"}}, "closed: from"},
		{"a form of its own", list{{From: "24/12/2026"}}, "closed: from"},
		{"the end before the beginning", list{{From: "2026-12-24", To: "2026-12-23"}}, `lies before from "2026-12-24"`},
		{"every year, over New Year", list{{From: "12-24", To: "01-02"}}, `lies before from "12-24"`},
		{"two forms", list{{From: "12-24", To: "2026-12-31"}}, `closed: to "2026-12-31"`},
		{"two forms, the other way", list{{From: "2026-12-24", To: "12-31"}}, `closed: to "12-31"`},
		{"a wrong year", list{{From: "2026-12-24", To: "2036-12-31"}}, "92 at most"},
		{"two that overlap", list{{From: "2026-12-24", To: "2026-12-31"}, {From: "2026-12-31", To: "2027-01-02"}}, "2026-12-24 to 2026-12-31 and 2026-12-31 to 2027-01-02 overlap"},
		{"one twice", list{{From: "11-15"}, {From: "11-15"}}, "11-15 and 11-15 overlap"},
		{"half of every year", list{{From: "01-01", To: "02-28"}, {From: "07-01", To: "07-31"}}, "60 at most"},
		{"a text in another language alone", list{{From: "11-15", Text: map[i18n.Language]string{i18n.German: "Feiertag"}}}, "closed: 11-15: text.fr is missing"},
	} {
		c := beaumarais()
		c.Closed = k.closed
		err := c.Check()
		if (err == nil) != (k.want == "") || err != nil && !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s: %v, want %q", k.name, err, k.want)
		}
	}
	c := beaumarais()
	if c.AlsaceMoselle = true; c.Check() == nil {
		t.Error("Alsace lies in France")
	}
}

// closings are some that a commune might list, a whole year of them included.
func closings(t *rapid.T) []commune.Closing {
	c := beaumarais()
	for range rapid.IntRange(0, 12).Draw(t, "closings") {
		first := date("2026-01-01").AddDate(0, 0, rapid.IntRange(0, 1000).Draw(t, "first"))
		g := commune.Closing{From: first.Format(time.DateOnly), To: first.AddDate(0, 0, rapid.IntRange(0, 91).Draw(t, "more")).Format(time.DateOnly)}
		if rapid.Bool().Draw(t, "yearly") {
			g = commune.Closing{From: first.Format("01-02")}
		}
		kept := c.Closed
		if c.Closed = append(slices.Clone(kept), g); c.Check() != nil {
			c.Closed = kept
		}
	}
	return c.Closed
}

// What pages announce and what is counted are the same days.
func TestClosuresAreTheDaysNobodyWorks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := beaumarais()
		if rapid.Bool().Draw(t, "French") {
			c = mairie()
		}
		plain := c.Calendar()
		c.Closed = closings(t)
		k := c.Calendar()
		from := date("2026-01-01").AddDate(0, 0, rapid.IntRange(0, 900).Draw(t, "from"))
		to := from.AddDate(0, 0, rapid.IntRange(0, 300).Draw(t, "days"))
		list := k.Closures(from.Add(13*time.Hour), to)
		for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
			within := slices.ContainsFunc(list, func(g commune.Closure) bool { return !day.Before(g.First) && !day.After(g.Last) })
			if got, want := k.Working(day.Add(9*time.Hour)), plain.Working(day) && !within; got != want {
				t.Fatalf("%s: at work %t, announced %+v", day, got, list)
			}
		}
		for i, g := range list {
			if !k.Working(g.Resumes) || !g.Resumes.After(g.Last) || g.Last.Before(from) || g.First.After(to) || g.Last.Before(g.First) || i > 0 && g.First.Before(list[i-1].First) {
				t.Fatalf("from %s to %s: %+v", from, to, g)
			}
			for day := g.Last.AddDate(0, 0, 1); day.Before(g.Resumes); day = day.AddDate(0, 0, 1) {
				if k.Working(day) {
					t.Fatalf("%s is worked on before %s", day, g.Resumes)
				}
			}
		}
	})
}

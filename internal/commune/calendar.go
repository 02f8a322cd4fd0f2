package commune

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// Closing is a day, or several in a row, on which nobody works at the town hall, beside
// weekends and the holidays of the law.
type Closing struct {
	// From and To are the first and the last day, "2026-12-24", or "11-15" for every year.
	// Where To is empty it is one day. What comes each year does not reach over New Year.
	From string `toml:"from"`
	To   string `toml:"to,omitempty"`
	// Text says why, by language; those in the official languages must be there where there is any.
	Text map[i18n.Language]string `toml:"text,omitempty"`
}

const (
	eachYear = "01-02" // the form of a day without its year, for package time

	// maxClosing and maxYearly keep a slip of the pen from closing a town hall for good.
	maxClosing = 92 // days of one Closing
	maxYearly  = 60 // days of all that come each year
)

// yearly says whether it comes each year.
func (g Closing) yearly() bool { return len(g.From) == len(eachYear) }

// last is To, or From where it is one day.
func (g Closing) last() string {
	if g.To == "" {
		return g.From
	}
	return g.To
}

// days parses both ends; those of every year in a common one, so that 29 February is none.
func (g Closing) days() (first, last time.Time, err error) {
	layout, before := time.DateOnly, ""
	if g.yearly() {
		before = "2001-"
	}
	if first, err = time.Parse(layout, before+g.From); err != nil {
		return first, last, fmt.Errorf("closed: from %q: a day such as 2026-12-24, or 11-15 for every year", g.From)
	}
	if last, err = time.Parse(layout, before+g.last()); err != nil {
		return first, last, fmt.Errorf("closed: to %q: a day of the form of from, %q", g.To, g.From)
	}
	if last.Before(first) {
		return first, last, fmt.Errorf("closed: to %q lies before from %q", g.To, g.From)
	}
	return first, last, nil
}

func length(first, last time.Time) int { return int(last.Sub(first)/(24*time.Hour)) + 1 }

// checkCalendar calls bad for each setting of closed days that cannot be meant.
func (c *Commune) checkCalendar(bad func(format string, args ...any)) {
	if c.AlsaceMoselle && !c.French() {
		bad("alsace_moselle: in France only")
	}
	yearly := 0
	for i, g := range c.Closed {
		first, last, err := g.days()
		if err != nil {
			bad("%v", err)
			continue
		}
		n := length(first, last)
		if n > maxClosing {
			bad("closed: from %s to %s are %d days; %d at most", g.From, g.To, n, maxClosing)
		}
		if g.yearly() {
			yearly += n
		}
		for _, other := range c.Closed[:i] {
			if other.yearly() == g.yearly() && other.From <= g.last() && g.From <= other.last() {
				bad("closed: %s and %s overlap", other.span(), g.span())
			}
		}
		if len(g.Text) == 0 {
			continue
		}
		for _, l := range c.Official() {
			if strings.TrimSpace(g.Text[l]) == "" {
				bad("closed: %s: text.%s is missing", g.span(), l)
			}
		}
	}
	if yearly > maxYearly {
		bad("closed: %d days of every year; %d at most", yearly, maxYearly)
	}
}

func (g Closing) span() string {
	if g.last() == g.From {
		return g.From
	}
	return g.From + " to " + g.To
}

// Calendar says on which days a commune works. Days are those of Brussels, which are those
// of Paris.
type Calendar struct {
	french, alsaceMoselle bool
	closed                []Closing
}

// Calendar of the commune.
func (c *Commune) Calendar() Calendar { return Calendar{c.French(), c.AlsaceMoselle, c.Closed} }

// Day is midnight, in Brussels, of the day of t.
func Day(t time.Time) time.Time {
	y, m, d := t.In(i18n.Brussels()).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, i18n.Brussels())
}

// Working says whether the day of t is one on which the commune works: neither a Saturday
// nor a Sunday, nor a holiday of the law, nor within a Closing.
func (k Calendar) Working(t time.Time) bool {
	day := Day(t)
	if w := day.Weekday(); w == time.Saturday || w == time.Sunday {
		return false
	}
	return !slices.ContainsFunc(k.Holidays(day.Year()), day.Equal) && !slices.ContainsFunc(k.closed, covers(day))
}

// Next is the first working day after the day of t.
func (k Calendar) Next(t time.Time) time.Time {
	day := Day(t).AddDate(0, 0, 1)
	for !k.Working(day) {
		day = day.AddDate(0, 0, 1)
	}
	return day
}

// covers says of a Closing whether day is one of its days. Such days sort as text.
func covers(day time.Time) func(Closing) bool {
	dated := day.Format(time.DateOnly)
	return func(g Closing) bool {
		d := dated
		if g.yearly() {
			d = day.Format(eachYear)
		}
		return g.From <= d && d <= g.last()
	}
}

// Closure is a Closing as it comes: its first and last day, the first working day behind
// it, and why, by language.
type Closure struct {
	First, Last, Resumes time.Time
	Text                 map[i18n.Language]string
}

// Closures are those of the commune's closings that touch the days from one to another, in
// order of their first day.
func (k Calendar) Closures(from, to time.Time) []Closure {
	from, to = Day(from), Day(to)
	var list []Closure
	for _, g := range k.closed {
		first, last, err := g.days()
		if err != nil {
			continue // Check has refused it
		}
		year, until := first.Year(), first.Year()
		if g.yearly() {
			year, until = from.Year(), to.Year()
		}
		for over := last.Year() - first.Year(); year <= until; year++ {
			one := Closure{First: inYear(first, year), Last: inYear(last, year+over), Text: g.Text}
			if one.Last.Before(from) || one.First.After(to) {
				continue
			}
			one.Resumes = k.Next(one.Last)
			list = append(list, one)
		}
	}
	slices.SortStableFunc(list, func(a, b Closure) int { return a.First.Compare(b.First) })
	return list
}

func inYear(day time.Time, year int) time.Time {
	return time.Date(year, day.Month(), day.Day(), 0, 0, 0, 0, i18n.Brussels())
}

// Holidays are those of the law of the commune's country in a year. In Belgium ten (royal
// decree of 18 April 1974, article 1); in France eleven (Code du travail, article L3133-1),
// and two more in Alsace and Moselle (article L3134-13). They are in order but for what goes
// by Easter, which can come before or after the first days of May.
func (k Calendar) Holidays(year int) []time.Time {
	on := func(m time.Month, d int) time.Time { return time.Date(year, m, d, 0, 0, 0, 0, i18n.Brussels()) }
	easter := easter(year)
	after := func(days int) time.Time { return easter.AddDate(0, 0, days) }
	monday, ascension, whitMonday := after(1), after(39), after(50)
	if !k.french {
		return []time.Time{
			on(time.January, 1), monday, on(time.May, 1), ascension, whitMonday, on(time.July, 21),
			on(time.August, 15), on(time.November, 1), on(time.November, 11), on(time.December, 25),
		}
	}
	list := []time.Time{
		on(time.January, 1), monday, on(time.May, 1), on(time.May, 8), ascension, whitMonday, on(time.July, 14),
		on(time.August, 15), on(time.November, 1), on(time.November, 11), on(time.December, 25),
	}
	if k.alsaceMoselle {
		list = append(list, after(-2), on(time.December, 26))
	}
	return list
}

// easter is Easter Sunday of the Gregorian calendar: the anonymous computus
// (Nature, 20 April 1876), with the letters it is always given in.
func easter(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 19*l) / 433
	month := (h + l - 7*m + 90) / 25
	day := (h + l - 7*m + 33*month + 19) % 32
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, i18n.Brussels())
}

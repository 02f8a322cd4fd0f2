package orders

import (
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// Due is the last day by which n working days are over, at midnight in Brussels.
// The first working day counted is the one after the day of at, as Belgian time
// limits are counted (Judicial Code, articles 52 and 53, by analogy).
func Due(at time.Time, n int) time.Time {
	day := midnight(at)
	for n > 0 {
		day = day.AddDate(0, 0, 1)
		if Working(day) {
			n--
		}
	}
	return day
}

// Postponed is a promised day after a pause: it moves by the working days that began
// within the pause. What is asked and answered on one day moves nothing.
func Postponed(due, from, to time.Time) time.Time {
	n := 0
	for day, last := midnight(from).AddDate(0, 0, 1), midnight(to); !day.After(last); day = day.AddDate(0, 0, 1) {
		if Working(day) {
			n++
		}
	}
	return Due(due, n)
}

func midnight(t time.Time) time.Time {
	y, m, d := t.In(i18n.Brussels()).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, i18n.Brussels())
}

// Working says whether the day of t, in Brussels, is neither a Saturday, a Sunday
// nor one of the ten legal holidays (royal decree of 18 April 1974, article 1).
func Working(t time.Time) bool {
	day := midnight(t)
	if w := day.Weekday(); w == time.Saturday || w == time.Sunday {
		return false
	}
	for _, h := range Holidays(day.Year()) {
		if h.Equal(day) {
			return false
		}
	}
	return true
}

// Holidays are Belgium's ten legal holidays of a year, in order but for Ascension Day,
// which can come before or after the first of May.
func Holidays(year int) []time.Time {
	on := func(m time.Month, d int) time.Time { return time.Date(year, m, d, 0, 0, 0, 0, i18n.Brussels()) }
	easter := easter(year)
	return []time.Time{
		on(time.January, 1),
		easter.AddDate(0, 0, 1), // Easter Monday
		on(time.May, 1),
		easter.AddDate(0, 0, 39), // Ascension Day
		easter.AddDate(0, 0, 50), // Whit Monday
		on(time.July, 21),
		on(time.August, 15),
		on(time.November, 1),
		on(time.November, 11),
		on(time.December, 25),
	}
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

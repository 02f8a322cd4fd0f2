package visit

import (
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// Closed is a time during which the commune's offices are closed, as a page tells it.
type Closed struct {
	First, Last time.Time
	Resumes     time.Time     // the first day on which somebody works again
	Text        string        // why; empty where the commune does not say
	Lang        i18n.Language // of Text, where it is not the page's
	Now         bool          // nobody works before Resumes any more
}

// Closed lists the commune's closed times from now on, until a day.
func (v *Visit) Closed(now, until time.Time) []Closed {
	k := v.Commune.Calendar()
	next := k.Next(commune.Day(now).AddDate(0, 0, -1)) // today, or the first working day after
	var list []Closed
	for _, c := range k.Closures(now, until) {
		one := Closed{First: c.First, Last: c.Last, Resumes: c.Resumes, Text: c.Text[v.Language], Now: next.After(c.Last)}
		if one.Text == "" {
			one.Lang = v.Commune.Languages()[0]
			one.Text = c.Text[one.Lang]
		}
		list = append(list, one)
	}
	return list
}

package visit

import (
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
)

// Closed is a time during which the commune's offices are closed, as a page tells it.
type Closed struct {
	First, Last time.Time
	Resumes     time.Time // the first day on which somebody works again
	Text        string    // why; empty where the commune does not say
	Now         bool      // nobody works before Resumes any more
}

// Closed lists the commune's closed times from now on, until a day.
func (v *Visit) Closed(now, until time.Time) []Closed {
	k := v.Commune.Calendar()
	next := k.Next(commune.Day(now).AddDate(0, 0, -1)) // today, or the first working day after
	var list []Closed
	for _, c := range k.Closures(now, until) {
		text := c.Text[v.Language]
		if text == "" {
			text = c.Text[v.Commune.Languages()[0]]
		}
		list = append(list, Closed{First: c.First, Last: c.Last, Resumes: c.Resumes, Text: text, Now: next.After(c.Last)})
	}
	return list
}

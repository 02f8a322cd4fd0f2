package orders

import (
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
)

// Due is the last day by which n working days of a commune are over, at midnight in
// Brussels. The first working day counted is the one after the day of at, as Belgian time
// limits are counted (Judicial Code, articles 52 and 53, by analogy).
func Due(k commune.Calendar, at time.Time, n int) time.Time {
	day := commune.Day(at)
	for ; n > 0; n-- {
		day = k.Next(day)
	}
	return day
}

// Postponed is a promised day after a pause: it moves by the working days that began
// within the pause. What is asked and answered on one day moves nothing.
func Postponed(k commune.Calendar, due, from, to time.Time) time.Time {
	n := 0
	for day, last := k.Next(from), commune.Day(to); !day.After(last); day = k.Next(day) {
		n++
	}
	return Due(k, due, n)
}

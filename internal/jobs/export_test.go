package jobs

import "time"

// SetGrace is how long a handler may go on after its timeout.
func (q *Queue) SetGrace(d time.Duration) { q.grace = d }

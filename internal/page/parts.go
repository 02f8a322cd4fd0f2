package page

import "time"

// Fault is a line of the part "error-summary": what is wrong and the id of the field to mend.
type Fault struct{ Field, Text string }

// StepState says where a step of a timeline lies.
type StepState string

const (
	Past   StepState = "past"
	Now    StepState = "now"
	Next   StepState = "next"
	Failed StepState = "failed"
)

// Step is one step of the part "timeline".
type Step struct {
	Title string
	State StepState
	Words string    // the state in words, for example "done"
	At    time.Time // no date where zero
	Text  string    // what it means for the reader; may be empty
}

package orders

import "slices"

// State is how far an order has come.
type State string

const (
	Submitted State = "submitted"
	InReview  State = "in_review" // a clerk has prepared it
	// AwaitingCitizen: a clerk has asked the person something; the promised day waits too.
	AwaitingCitizen State = "awaiting_citizen"
	Approved        State = "approved" // to be sealed
	Signed          State = "signed"   // sealed, time stamp pending
	Issued          State = "issued"
	Refused         State = "refused"
	Cancelled       State = "cancelled"
	Withdrawn       State = "withdrawn" // issued once, and no longer good
)

// States lists every state, in the order of an order's life.
var States = []State{Submitted, InReview, AwaitingCitizen, Approved, Signed, Issued, Refused, Cancelled, Withdrawn}

// OpenStates are those in which something is still to be done.
var OpenStates = []State{Submitted, InReview, AwaitingCitizen, Approved, Signed}

// Open says whether something is still to be done.
func (s State) Open() bool { return slices.Contains(OpenStates, s) }

// Known says whether there is such a state.
func (s State) Known() bool { return slices.Contains(States, s) }

// Key is the message key of the state's name.
func (s State) Key() string { return "orders.state." + string(s) }

// ActorKind is a role in the life of an order.
type ActorKind string

const (
	ByCitizen ActorKind = "citizen" // the person who ordered
	ByClerk   ActorKind = "clerk"
	ByService ActorKind = "service" // this program, on its own
)

type move struct {
	from, to State
	by       ActorKind
}

// moves are all there are; whatever is not here cannot happen.
var moves = []move{
	{Submitted, InReview, ByClerk},
	{Submitted, Issued, ByService},    // sealed by its source
	{Submitted, Submitted, ByService}, // the source cannot: to a clerk
	{Submitted, Submitted, ByClerk},   // the source is asked again
	{Submitted, Refused, ByClerk},
	{Submitted, Cancelled, ByCitizen},
	{InReview, InReview, ByClerk}, // prepared again
	{InReview, Approved, ByClerk},
	{InReview, Refused, ByClerk},
	{InReview, Cancelled, ByCitizen},
	{Submitted, AwaitingCitizen, ByClerk},
	{InReview, AwaitingCitizen, ByClerk},
	{AwaitingCitizen, Submitted, ByCitizen}, // an answer
	{AwaitingCitizen, InReview, ByCitizen},
	{AwaitingCitizen, Submitted, ByClerk}, // without one
	{AwaitingCitizen, InReview, ByClerk},
	{AwaitingCitizen, Refused, ByClerk},
	{AwaitingCitizen, Cancelled, ByCitizen},
	{Approved, Signed, ByService},
	{Approved, Issued, ByService},
	{Signed, Issued, ByService},
	{Issued, Withdrawn, ByClerk},
}

// May says whether by may move an order from one state to another.
func May(from, to State, by ActorKind) bool { return slices.Contains(moves, move{from, to, by}) }

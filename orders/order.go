package orders

import (
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/fee"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/outside"
	"github.com/belfry-eid/belfry/orders/register"
)

// Person is a signed-in citizen, as the provider names them.
type Person struct {
	Subject    string             // the provider's pairwise subject for this commune's portal
	Number     eid.NationalNumber // needed to order what rests on the register, and for nothing else
	GivenNames string             // from the card, or as the sign-in tells
	Surname    string
	BirthDate  string // YYYY-MM-DD, as the sign-in tells; "" where it does not
	// CardAddress is what the National Register wrote on the card, on one line; "" where the
	// person did not have it read. It stands in for the register while that is silent.
	CardAddress string
}

// Clerk is a signed-in member of a commune's staff. The portal has checked that
// they are one; orders checks that they do not decide for themselves, and that who approves
// has a delegation.
type Clerk struct {
	Subject string // as Person.Subject
	Name    string // shown to colleagues, and kept in the journal
	// Number tells that an order is the clerk's own where it was made under another
	// subject. Zero where the portal does not have it.
	Number eid.NationalNumber
	// Administers says that they may take papers back without a delegation of their own.
	Administers bool
}

func (c Clerk) actor() Actor { return Actor{ByClerk, c.Subject, c.Name} }

// Origin says where an answer comes from.
type Origin string

const (
	FromCard     Origin = "eid"      // read from the card
	FromSignIn   Origin = "sign_in"  // as the service tells by which the person signed in
	FromDocument Origin = "document" // of an identity document that a clerk has seen
	FromRegister Origin = "register" // the National Register's answer
	FromPerson   Origin = "person"   // typed or chosen by the person
)

// Key is the message key of the origin's words, "read from your card".
func (o Origin) Key() string { return "orders.origin." + string(o) }

// Names of the answers that are read and not typed; the typed ones have the names of form.
const (
	GivenNames       = "given_names"
	Surname          = "surname"
	BirthDate        = "birth_date"        // a register.Day
	Address          = "address"           // of the main residence, on one line
	ReferenceAddress = "reference_address" // in place of Address
	Since            = "since"             // a register.Day
	Household        = "household"         // first names of those who are registered together
)

// Facts that papers say beside the answers.
const (
	Members          = "members" // how many the household has
	Nationality      = "nationality"
	NationalitySince = "nationality_since"
)

// Answer is one value of an order and where it comes from.
type Answer struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin Origin `json:"origin"`
}

// LabelKey is the message key of what the answer answers.
func (a Answer) LabelKey() string {
	if form.Name(a.Name).Known() {
		return form.Name(a.Name).LabelKey()
	}
	return "orders.answer." + a.Name
}

// In is the value as it is shown in l: dates in words, languages by name.
func (a Answer) In(l i18n.Language) string {
	switch a.Name {
	case BirthDate, Since:
		return register.Day(a.Value).In(l)
	case string(form.DocumentLanguage):
		return i18n.Language(a.Value).Name()
	case string(form.Delivery):
		return i18n.T(l, fee.Delivery(a.Value).Key())
	case string(form.Purpose):
		return i18n.T(l, fee.Purpose(a.Value).Key())
	case string(form.Contact):
		return i18n.T(l, "orders.contact."+a.Value)
	}
	return a.Value
}

// Attention is a reason why somebody has to look twice, "" where there is none.
type Attention string

const (
	NoAttention        Attention = ""
	AtReferenceAddress Attention = "reference_address" // no residence, an address for letters
	Undisclosed        Attention = "undisclosed"       // the address is kept from others
	StruckOff          Attention = "struck_off"        // registered nowhere: nothing to certify
	Deceased           Attention = "deceased"          // somebody uses the card of a dead person
	NameDiffers        Attention = "name_differs"      // card and register disagree on the surname
	OtherStatus        Attention = "other_status"      // the register says something this program does not know
	MoveDeclared       Attention = "move_declared"     // another address was declared and is not verified yet
	OddHousehold       Attention = "odd_household"     // a child lives there by turns, or a relation has no word
	RegisterSilent     Attention = "register_silent"   // the address is the card's; the register is asked when the paper is prepared
)

// Attentions lists every reason.
var Attentions = []Attention{AtReferenceAddress, Undisclosed, StruckOff, Deceased, NameDiffers, OtherStatus, MoveDeclared, OddHousehold, RegisterSilent}

// NeedsReason says whether the paper is prepared for a stated reason only. Where the
// register was silent nothing is to be decided: it answers by then, or nothing is prepared.
func (a Attention) NeedsReason() bool { return a != NoAttention && a != RegisterSilent }

// Key is the message key of the note to the clerk.
func (a Attention) Key() string { return "orders.attention." + string(a) }

// Prefill is what a person sees before answering.
type Prefill struct {
	Product *catalogue.Product
	Answers []Answer // read from card and register; none can be changed
	// Languages in which the paper can be had; a single one is not asked for.
	Languages []i18n.Language
	// Contact is how the person wanted to be told last time; empty where that is not known.
	Contact form.Answers
	// Tariff is what the paper costs them, without deliveries that they cannot have.
	Tariff fee.Tariff
	// Attention is not for the person's eyes in detail; where it is set the page says
	// that a clerk will look at the order first ("orders.clerk_looks").
	Attention Attention
	// Came says who may have come for the person; of PrefillFor only.
	Came CameChoice
}

// Submission is a form sent.
type Submission struct {
	Product  string
	Version  int           // of the product, as the page showed it
	Answers  form.Answers  // of form.Parse
	Language i18n.Language // of the page, for messages to the person
	// Price is fee.Price.Mark of the price that the page showed; "" where it showed none.
	Price string
	// Key is the form's own, made by NewKey when the form was first shown: however
	// often it is sent, it makes one order.
	Key string
}

// Order is what a person asked a commune for. Its zero value is no order.
type Order struct {
	Commune   commune.ID
	ID        string // UUIDv7, in addresses of pages
	Reference string // for people: eight characters without 0 O 1 I, "7K2M-QX4P"
	Product   *catalogue.Product
	State     State
	Version   int64 // goes up with each step

	Subject    string
	GivenNames string // from the card
	Surname    string
	Language   i18n.Language // for messages to the person
	Answers    []Answer
	Attention  Attention

	Way         commune.Way // how the commune comes by the paper
	SubmittedAt time.Time
	DueOn       time.Time // the promised day, at midnight in Brussels
	ChangedAt   time.Time // of the last step
	ChangedBy   string    // who took it: a name, "" for the service
	ClosedAt    time.Time // zero while it is open
	// AnsweredAt is when the person wrote last, zero where a clerk has acted since.
	AnsweredAt time.Time

	Wait       Wait      // for a register; of Inbox only
	Unpaid     bool      // it waits for its fee; likewise
	PausedAt   time.Time // since when it waits for the person, zero where it does not
	Assignee   Colleague // who is on it, zero where nobody
	AssignedAt time.Time // zero where nobody

	Paper   *Paper   // nil before it is first prepared
	Refusal *Refusal // nil unless refused
	// Fee is how the paper is delivered and what it costs, nil for a free download; of single
	// orders only.
	Fee *Fee
	// Entry says how a clerk came to make it, nil where the person did; of single orders only.
	Entry *Entry
	// Withdrawal is why the paper no longer stands, nil while it does; of single orders only.
	Withdrawal *Withdrawal
	// Replaces is the ID of the order in the place of whose withdrawn paper this one was
	// made, with that paper's number; "" where it was not. Of single orders only.
	Replaces       string
	ReplacesNumber Number
	// Events in order of time; of Get, ForClerk (all) and ForCitizen (public ones) only.
	Events   []Event
	Messages []Message // between clerks and the person; of the same methods
	Notes    []Note    // among clerks; of ForClerk only
}

// Name is the person's name.
func (o Order) Name() string { return eid.Citizen{GivenNames: o.GivenNames, Surname: o.Surname}.Name() }

// Answer is the value of one answer, "" where there is none.
func (o Order) Answer(name string) string {
	for _, a := range o.Answers {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

// DocumentLanguage is the language the person chose for the paper.
func (o Order) DocumentLanguage() i18n.Language {
	return i18n.Language(o.Answer(string(form.DocumentLanguage)))
}

// Email is where to write to the person, "" where they did not choose that.
func (o Order) Email() string { return o.Answer(string(form.Email)) }

// Late says whether the promised day is over and the order still open.
func (o Order) Late(now time.Time) bool {
	return o.State.Open() && o.State != AwaitingCitizen && !now.Before(o.DueOn.AddDate(0, 0, 1))
}

// Paper is the paper of an order.
type Paper struct {
	Number Number // the register's own reference where Source is set
	Source string // the register that has sealed it, "rn"; "" where the commune does
	// File is the one that a clerk has attached; nil where none is.
	File *PaperFile
	// Access is how well a paper from elsewhere can be read aloud; nil for ours, which can,
	// and where nobody has looked.
	Access *outside.Access
	// Content is the SHA-256 of the frozen bytes; zero while none are frozen.
	Content    blob.Digest
	PreparedAt time.Time // printed as the date of issue
	PreparedBy string
	Signatory  Signatory // whose name and mention it bears; zero while none are frozen
	Holder     string    // whom it is about, by the register
	Household  string    // first names on a household's paper, "" on others
	Code       string    // ten characters, for typing with the number

	Document blob.Digest // SHA-256 of the sealed file; zero until issued
	SignedAt time.Time   // zero until signed
	IssuedAt time.Time   // zero until issued
	Level    string      // of the signature, "B-T"
	Signer   string      // name on the seal
	Specimen bool        // made for a test key, or sealed with one
	Void     bool        // the number stands for no paper: the order was refused or cancelled
}

// Refusal is why an order was refused; a clerk's reasons are due to the person by law.
type Refusal struct {
	Ground Ground    `json:"ground"`
	Text   string    `json:"text"` // the clerk's own words, in the person's language
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	// Appeal says where, within which time and how to appeal, in the person's language, as
	// it was said then; "" of refusals before this was kept.
	Appeal string `json:"appeal,omitempty"`
}

// Ground is the kind of reason of a refusal.
type Ground string

const (
	LivesElsewhere Ground = "lives_elsewhere"
	NotRegistered  Ground = "not_registered"
	DataWrong      Ground = "data_wrong" // the register is to be corrected first
	OtherGround    Ground = "other"
)

// Grounds lists every ground, in the order of the page.
var Grounds = []Ground{LivesElsewhere, NotRegistered, DataWrong, OtherGround}

// Key is the message key of the ground's words.
func (g Ground) Key() string { return "orders.ground." + string(g) }

// Known says whether there is such a ground.
func (g Ground) Known() bool { return slices.Contains(Grounds, g) }

// MaxReason is the longest reason of a clerk, in characters.
const MaxReason = 2000

// Reasons are what a clerk gives when refusing. Text has 1 to MaxReason characters.
type Reasons struct {
	Ground Ground
	Text   string
}

// Event is one line of an order's journal.
type Event struct {
	Seq    int
	At     time.Time
	Actor  Actor
	Kind   EventKind
	Public bool              // the person sees it
	Detail map[string]string // for the words, for example Number
}

// EventKind says what happened.
type EventKind string

const (
	EventSubmitted   EventKind = "submitted"
	EventInReview    EventKind = "in_review" // a clerk has begun; the number is allocated
	EventPrepared    EventKind = "prepared"  // content frozen
	EventAttached    EventKind = "attached"  // content frozen, of a file that a clerk has attached
	EventDecided     EventKind = "decided"   // a clerk's reason to go on in spite of an attention
	EventApproved    EventKind = "approved"
	EventClerkSigned EventKind = "clerk_signed" // approved with the clerk's own card
	EventSigned      EventKind = "signed"       // sealed, time stamp pending
	EventIssued      EventKind = "issued"
	EventRelayed     EventKind = "relayed" // issued as its source has sealed it
	EventSourceAsked EventKind = "source_asked"
	// EventSourceFailed: the source cannot give the paper; Detail Key is the message key of
	// the reason.
	EventSourceFailed EventKind = "source_failed"
	EventRefused      EventKind = "refused"
	EventCancelled    EventKind = "cancelled"
	EventNotified     EventKind = "notified" // mail sent
	EventUnnotified   EventKind = "unnotified"
	EventAssigned     EventKind = "assigned" // taken, or given to a colleague
	EventReleased     EventKind = "released"
	EventWithdrawn    EventKind = "withdrawn"   // the paper no longer stands
	EventReplacement  EventKind = "replacement" // an order was made in its place
	EventReplaces     EventKind = "replaces"    // this one
	EventEntered      EventKind = "entered"     // made by a clerk, for the person
	EventCame         EventKind = "came"        // asked by somebody else, for the person
	EventMandateEnded EventKind = "mandate_ended"
	EventAsked        EventKind = "asked"    // the order waits for the person
	EventAnswered     EventKind = "answered" // and goes on
	EventResumed      EventKind = "resumed"  // without an answer
	EventAdded        EventKind = "added"    // the person wrote unasked
	EventNoted        EventKind = "noted"    // for colleagues
	EventFeeReceived  EventKind = "fee_received"
	EventFeeUndone    EventKind = "fee_undone" // the receipt was
	EventPosted       EventKind = "posted"     // the letter was sent
)

// EventKinds lists every kind.
var EventKinds = []EventKind{EventSubmitted, EventInReview, EventPrepared, EventAttached, EventDecided, EventApproved, EventClerkSigned, EventSigned, EventIssued, EventRelayed, EventSourceAsked, EventSourceFailed, EventRefused, EventCancelled, EventNotified, EventUnnotified, EventAssigned, EventReleased, EventWithdrawn, EventReplacement, EventReplaces, EventEntered, EventCame, EventMandateEnded, EventAsked, EventAnswered, EventResumed, EventAdded, EventNoted, EventFeeReceived, EventFeeUndone, EventPosted}

// Key is the message key of what happened; Detail are its values.
func (k EventKind) Key() string { return "orders.event." + string(k) }

// Actor is who did something.
type Actor struct {
	Kind    ActorKind
	Subject string // "" for the service
	Name    string
}

// File is a file to show or download.
type File struct {
	Name   string // safe in a header: "beaumarais-2026-000123.pdf"
	Type   string // "application/pdf"
	Digest blob.Digest
	Data   []byte
}

// Facts are what a stranger who holds a paper may learn of it.
type Facts struct {
	Commune commune.ID
	Product *catalogue.Product
	Number  Number // the register's own reference where Source is set
	Source  string // the register that has sealed it; "" where the commune has
	Holder  string
	// Household are the first names on a household's paper that we have made, "" on others:
	// a name that somebody added to a printed one is not among them.
	Household string
	IssuedOn  time.Time // as printed
	SealedAt  time.Time
	Signer    string
	Level     string // of the signature, "B-T"
	// Signatory is the delegate whose name it bears, zero where it bears none.
	Signatory Signatory
	Language  i18n.Language
	Specimen  bool
	Status    PaperStatus
	Document  blob.Digest // SHA-256 of the one file issued
	// WithdrawnAt is when it ceased to stand, zero where it does.
	WithdrawnAt time.Time
	ReplacedBy  Number // of the paper issued in its place; "" where there is none
}

// PaperStatus says whether an issued paper still stands.
type PaperStatus string

const (
	Valid          PaperStatus = "valid"
	PaperWithdrawn PaperStatus = "withdrawn"
	PaperReplaced  PaperStatus = "replaced" // withdrawn, and another issued in its place
)

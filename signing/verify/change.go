package verify

import "github.com/belfry-eid/belfry/internal/pdf"

// ChangeKind says what a later revision did. Its words are at the message key
// ChangeKind.Key; the codes stay the same where the words change.
type ChangeKind string

const (
	DSSAdded            ChangeKind = "validation_data"       // proofs of validity, ISO 32000-2, 12.8.4.3
	DocumentStamped     ChangeKind = "timestamp"             // a document time stamp, 12.8.5
	SignaturePut        ChangeKind = "signature"             // a signature in a field
	SignatureTaken      ChangeKind = "signature_removed"     // a signature that was there is gone
	SignatureFieldAdded ChangeKind = "signature_field_added" // an empty one
	ValueSet            ChangeKind = "field_filled"          // a field that was empty has a value
	ValueChanged        ChangeKind = "field_value"           // a field has another value, or none any more
	FieldLook           ChangeKind = "field_appearance"      // it looks different, its value is the same; or may not be drawn so
	FieldAltered        ChangeKind = "field_altered"         // anything else of a field: flags, place, actions, kids
	FieldAdded          ChangeKind = "field_added"
	FieldRemoved        ChangeKind = "field_removed"
	FormResources       ChangeKind = "form_resources" // fonts and the like for filling in
	FormSettings        ChangeKind = "form"           // anything else of the form
	AnnotationAdded     ChangeKind = "annotation_added"
	AnnotationChanged   ChangeKind = "annotation_changed"
	AnnotationRemoved   ChangeKind = "annotation_removed"
	PageContent         ChangeKind = "page_content" // what a page shows, and how
	PageAdded           ChangeKind = "page_added"
	PageInstantiated    ChangeKind = "page_from_template" // a page that is one of the file's own templates
	PageRemoved         ChangeKind = "page_removed"
	PagesMoved          ChangeKind = "pages_moved"
	PageTree            ChangeKind = "page_tree" // what pages take from above them
	ActionChanged       ChangeKind = "action"    // what happens on opening and the like, JavaScript
	AttachmentChanged   ChangeKind = "attachment"
	MetadataChanged     ChangeKind = "metadata"
	InformationChanged  ChangeKind = "information" // title, author, ...
	OutlineChanged      ChangeKind = "outline"
	LayersChanged       ChangeKind = "layers"
	StructureChanged    ChangeKind = "structure" // tags, for screen readers
	SettingsChanged     ChangeKind = "settings"  // anything else of the catalog
	UnusedObject        ChangeKind = "unused_object"
	Unreadable          ChangeKind = "unreadable" // what cannot be read cannot be compared
)

// ChangeKinds lists every kind, so that tests can hold the catalogues to it.
func ChangeKinds() []ChangeKind {
	return []ChangeKind{
		DSSAdded, DocumentStamped, SignaturePut, SignatureTaken, SignatureFieldAdded, ValueSet, ValueChanged, FieldLook, FieldAltered,
		FieldAdded, FieldRemoved, FormResources, FormSettings, AnnotationAdded, AnnotationChanged, AnnotationRemoved, PageContent,
		PageAdded, PageInstantiated, PageRemoved, PagesMoved, PageTree, ActionChanged, AttachmentChanged, MetadataChanged,
		InformationChanged, OutlineChanged, LayersChanged, StructureChanged, SettingsChanged, UnusedObject, Unreadable,
	}
}

// Key is the kind's message key in the catalogues.
func (k ChangeKind) Key() string { return "verify.change." + string(k) }

// Change is one thing that a later revision did.
type Change struct {
	Kind       ChangeKind `json:"kind"`
	Field      string     `json:"field,omitempty"`      // fully qualified, "parent.kid"
	Page       int        `json:"page,omitempty"`       // from 1
	Annotation string     `json:"annotation,omitempty"` // its /Subtype
	Object     string     `json:"object,omitempty"`     // the place in the file, as PDF names it

	existing bool // a signature in a field that was there before
	visible  bool // a new signature that shows something
	resaved  bool // metadata that only say when and by what the file was saved
	active   bool // an annotation that is more than a mark of somebody
}

// Revision is one later state of the file, of those since the oldest signature.
type Revision struct {
	From     int64    `json:"from"`                // its first byte
	To       int64    `json:"to"`                  // behind its last
	SignedBy string   `json:"signed_by,omitempty"` // the field whose signature covers the file up to there
	Changes  []Change `json:"changes"`
	More     int      `json:"more,omitempty"` // changes that are not listed
}

const (
	maxListed    = 50      // changes that a revision lists
	maxFindings  = 20      // of what came later, for each signature; the worst first
	maxStrict    = 20      // changes found in what may never change; one suffices
	maxChanges   = 1 << 15 // of one revision
	maxRevisions = 200     // since the oldest signature
	maxPairs     = 1 << 20 // pairs of objects compared
)

type pair struct{ before, after pdf.Ref }

// trail is the way to an object from where a comparison began.
type trail struct {
	up    *trail
	name  pdf.Name
	index int // where there is no name
}

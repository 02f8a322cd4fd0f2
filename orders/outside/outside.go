// Package outside takes a PDF that somebody else's program has made.
//
// It owns what such a file may be before the commune numbers and seals it, how well it can
// be read aloud, and the box with number and address that is drawn on its first page. It
// refuses to know orders, people, numbers' allocation and seals: whoever calls has worded
// the box. It guarantees that
//
//   - a file is opened in a process of its own only, with limits on time, memory and files
//     and without network (internal/cell); what the process says is held against limits too;
//   - what is taken shows the same to everybody who opens it: no program, form, layer, film,
//     enclosed file or reference to elsewhere is in it, nobody has signed it, and it is
//     nothing else beside a PDF;
//   - marking only appends: the file begins with the bytes that were attached, keeps its
//     structure, and stays PDF/A-2 where it was (ISO 19005-2 clause 6.3; ISO 14289-1 clause
//     7.18).
//
// The program must call RunIfChild first thing in main.
package outside

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/belfry-eid/belfry/internal/fault"
)

const (
	// MaxFile is the largest file that is taken, in bytes.
	MaxFile = 10 << 20
	// MaxPages is how many pages it may have.
	MaxPages = 100
)

// Access says how well people who cannot see it can have a file read to them: what a
// program can tell of ISO 14289-1. Whether the structure says the right things only people
// can tell.
type Access struct {
	Pages    int    `json:"pages"`
	Tagged   bool   `json:"tagged"`             // it has a structure, clause 7.1
	Title    string `json:"title,omitempty"`    // "" where it has none
	Language string `json:"language,omitempty"` // as it says itself, "fr-BE"; "" where it does not
}

// Full says whether nothing is missing.
func (a Access) Full() bool { return a.Tagged && a.Title != "" && a.Language != "" }

// Corner is where the box goes on the first page.
type Corner string

const (
	BottomRight Corner = "bottom-right"
	BottomLeft  Corner = "bottom-left"
	TopRight    Corner = "top-right"
	TopLeft     Corner = "top-left"
)

// Corners lists them, the usual one first.
var Corners = []Corner{BottomRight, BottomLeft, TopRight, TopLeft}

// Key is the message key of the corner's name.
func (c Corner) Key() string { return "outside.corner." + string(c) }

// Mark is what is drawn on a file.
type Mark struct {
	Lines    []string // of the box, the first a little larger
	QR       string   // right of them
	Corner   Corner
	Specimen string // across every page; "" where the file is to be good
}

// Reader reads and marks files in processes of its own. Its errors are faults: Invalid
// where something is the matter with the file, by keys "outside.…", and
// outside.unread (Unreachable) where a process could not do its work.
type Reader struct{}

// Check says how a file can be read, or refuses it.
func (Reader) Check(ctx context.Context, file []byte) (Access, error) {
	if len(file) > MaxFile {
		return Access{}, fault.New(fault.Invalid, "outside.too_large", nil).With("Most", MaxFile>>20)
	}
	a, err := run(ctx, task{Do: doCheck}, file)
	return a.Access, err
}

// Look is Check for a file that a source has sealed: it refuses nothing but what cannot be read.
func (Reader) Look(ctx context.Context, file []byte) (Access, error) {
	a, err := run(ctx, task{Do: doLook}, file)
	return a.Access, err
}

// Mark returns the file with the mark behind it: the same for the same file and mark, always.
func (Reader) Mark(ctx context.Context, file []byte, m Mark) ([]byte, error) {
	a, err := run(ctx, task{Do: doMark, Mark: m}, file)
	if err != nil {
		return nil, err
	}
	if len(a.Tail) == 0 {
		return nil, unread(errors.New("the process drew nothing"))
	}
	return append(append(make([]byte, 0, len(file)+len(a.Tail)), file...), a.Tail...), nil
}

func unread(cause error) error { return fault.New(fault.Unreachable, "outside.unread", cause) }

// refusals are what the process may say of a file.
var refusals = map[string]bool{
	"outside.not_pdf": true, "outside.broken": true, "outside.encrypted": true, "outside.too_much": true,
	"outside.pages": true, "outside.signed": true, "outside.active": true, "outside.files": true, "outside.form": true,
	"outside.no_room": true, "outside.letter": true,
}

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$`)

// plausible keeps a process that was taken over from saying more than an answer can.
func (a answer) plausible() error {
	switch {
	case a.Refused != "" && !refusals[a.Refused]:
		return fmt.Errorf("refused for %.40q", a.Refused)
	case a.Access.Pages < 0 || len(a.Access.Title) > 4*maxTitle || a.Access.Language != "" && !languageTag.MatchString(a.Access.Language):
		return errors.New("more than an answer can say")
	}
	return nil
}

// Package attachment says which files people may send along with what they write.
//
// It owns the list of kinds (PDF, JPEG, PNG), how each is known by its content, and the
// name that a file is kept under. It refuses to know orders, people and what the file
// shows: nothing is drawn, and no byte of it is run. It guarantees that a name or a media
// type that the sender states counts for nothing, that checking never panics nor needs
// memory in proportion to the file, and that a name is safe in a header and on a page (T14).
//
// A file that passes may still hold what its reader should not trust. That is why it is
// handed out to be saved only, under a policy that lets a browser do nothing with it.
package attachment

import (
	"bytes"
	"image/jpeg"
	"image/png"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/orders/form"
)

// Kind is a kind of file, by its media type.
type Kind string

const (
	PDF  Kind = "application/pdf"
	JPEG Kind = "image/jpeg"
	PNG  Kind = "image/png"
)

// Accept are the kinds as a form's file field lists them.
const Accept = ".pdf,.jpg,.jpeg,.png,application/pdf,image/jpeg,image/png"

var extensions = map[Kind]string{PDF: ".pdf", JPEG: ".jpg", PNG: ".png"}

const (
	// MaxSize of a file, in bytes: a page scanned well, or a photograph.
	MaxSize = 10 << 20
	// MaxPixels of a picture: 100 million, four times what a telephone takes.
	MaxPixels = 100e6

	maxName = 80 // characters
)

// Check says what kind of file the content is. Faults (Invalid): orders.file_empty,
// orders.file_large, orders.file_kind for any other kind, orders.file_broken for one of
// these kinds that cannot be read, or that is locked by a password.
func Check(content io.ReaderAt, size int64) (Kind, error) {
	switch {
	case size == 0:
		return "", fault.New(fault.Invalid, "orders.file_empty", nil)
	case size > MaxSize:
		return "", fault.New(fault.Invalid, "orders.file_large", nil)
	}
	head := make([]byte, 8)
	n, err := content.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	whole := io.NewSectionReader(content, 0, size)
	switch head = head[:n]; {
	case bytes.HasPrefix(head, []byte("%PDF-")):
		return PDF, checkPDF(content, size)
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		c, err := jpeg.DecodeConfig(whole)
		return JPEG, checkPicture(c.Width, c.Height, err)
	case bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")):
		c, err := png.DecodeConfig(whole)
		return PNG, checkPicture(c.Width, c.Height, err)
	}
	return "", fault.New(fault.Invalid, "orders.file_kind", nil)
}

func broken(err error) error { return fault.New(fault.Invalid, "orders.file_broken", err) }

func checkPDF(content io.ReaderAt, size int64) error {
	f, err := pdf.Open(content, size)
	if err != nil {
		return broken(err)
	}
	if _, _, _, err := f.FirstPage(); err != nil {
		return broken(err)
	}
	return nil
}

func checkPicture(width, height int, err error) error {
	if err != nil {
		return broken(err)
	}
	if float64(width)*float64(height) > MaxPixels {
		return fault.New(fault.Invalid, "orders.file_large", nil)
	}
	return nil
}

// Name is what a file is called from now on: the last part of what its sender calls it,
// in letters, digits, spaces, hyphens and underscores, with the extension of its kind.
func Name(sent string, k Kind) string {
	sent = form.Line(path.Base(strings.ReplaceAll(sent, `\`, "/")))
	sent = strings.TrimSuffix(sent, path.Ext(sent))
	plain := strings.Map(func(r rune) rune {
		switch {
		case r == ' ', r == '-', r == '_', '0' <= r && r <= '9', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z':
			return r
		case r > utf8.RuneSelf && form.Clean(string(r)):
			return r
		}
		return '_'
	}, sent)
	if runes := []rune(plain); len(runes) > maxName {
		plain = string(runes[:maxName])
	}
	if plain = strings.Trim(plain, " _-"); plain == "" {
		plain = "document"
	}
	return plain + extensions[k]
}

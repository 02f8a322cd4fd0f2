package pades

import (
	"crypto"
	"fmt"
	"io"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/pdf"
)

// StampOptions say how a document time stamp is laid out.
type StampOptions struct {
	Label string // what a screen reader says of its field; "" means "time stamp" in the document's language
	Room  int    // how many bytes the token may have; 0 means 8192
	// Password opens an encrypted file; "" where none is needed.
	Password string
	Hash     crypto.Hash // of the imprint; SHA-256 where zero
}

// PreparedStamp is a document time stamp (ISO 32000-2, 12.8.5) that only lacks
// the authority's token.
type PreparedStamp struct {
	head, foot []byte // appended, before and behind the token
	room       int    // hexadecimal digits between them
	hash       crypto.Hash
	digest     []byte
}

// PrepareStamp lays out a document time stamp upon all of a file. A certified
// document keeps its certification: ISO 32000-2, 12.8.2.2.2 allows time stamps at
// every level. Errors about the file are faults of kind Invalid.
func PrepareStamp(content io.ReaderAt, size int64, o StampOptions) (*PreparedStamp, error) {
	if o.Room == 0 {
		o.Room = defaultStampRoom
	}
	f, err := openToExtend(content, size, o.Password)
	if err != nil {
		return nil, err
	}
	if o.Label == "" {
		o.Label = i18n.T(language(f), "pades.time_stamp")
	}
	l, err := newLayout(f, Options{Label: o.Label}, stamping, 2*o.Room)
	if err != nil {
		return nil, err
	}
	p := &PreparedStamp{room: 2 * o.Room}
	if p.head, p.foot, err = l.encode(); err != nil {
		return nil, readFault(err)
	}
	if o.Hash == 0 {
		o.Hash = crypto.SHA256
	}
	h := o.Hash.New()
	if _, err := io.Copy(h, io.NewSectionReader(content, 0, size)); err != nil {
		return nil, fmt.Errorf("pades: read the content: %w", err)
	}
	h.Write(p.head)
	h.Write(p.foot)
	p.hash, p.digest = o.Hash, h.Sum(nil)
	return p, nil
}

// Imprint is the digest that the authority is asked to stamp, and its hash.
func (p *PreparedStamp) Imprint() (crypto.Hash, []byte) { return p.hash, p.digest }

// Append returns the bytes to append to the file that was prepared.
func (p *PreparedStamp) Append(token []byte) ([]byte, error) {
	if 2*len(token) > p.room {
		return nil, fmt.Errorf("%w: a time stamp of %d bytes into %d", ErrRoom, len(token), p.room/2)
	}
	tail := make([]byte, 0, len(p.head)+p.room+2+len(p.foot))
	tail = append(tail, p.head...)
	tail = append(tail, hexRoom(token, p.room)...)
	return append(tail, p.foot...), nil
}

// language is that of a document, by its catalog; French where it says none we speak.
func language(f *pdf.File) i18n.Language {
	catalog, err := f.Catalog()
	if err != nil {
		return i18n.French
	}
	tag, _ := catalog["Lang"].(pdf.String)
	text := tag.Text()
	if len(text) >= 2 {
		if l, ok := i18n.Parse(text[:2]); ok {
			return l
		}
	}
	return i18n.French
}

package orders

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/outside"
	"github.com/belfry-eid/belfry/signing"
)

// A paper that the commune's own software has made is the commune's to number and seal: a
// clerk attaches the file, the number and its address are drawn on it, and from there it goes
// the way of one that this program makes. Whoever approves has seen the bytes that are sealed.

// PaperReader reads and marks files from elsewhere; outside.Reader is one.
type PaperReader interface {
	Check(ctx context.Context, file []byte) (outside.Access, error)
	Look(ctx context.Context, file []byte) (outside.Access, error)
	Mark(ctx context.Context, file []byte, m outside.Mark) ([]byte, error)
	Bind(ctx context.Context, letters []outside.Letter) ([]byte, error)
}

// AttachedPaper is what a clerk attaches.
type AttachedPaper struct {
	File   []byte
	Corner outside.Corner // where the number goes on the first page
	// Reason is why the paper can be issued in spite of the order's attention; kept in the
	// journal. "" where there is none.
	Reason string
}

// PaperFile is a file that a clerk has attached.
type PaperFile struct {
	Digest blob.Digest    `json:"-"`
	Corner outside.Corner `json:"corner"`
	By     string         `json:"by"` // the clerk's name
	At     time.Time      `json:"at"`
	access outside.Access
}

// Attach takes the paper of an order as the commune's software has made it, gives the order
// its number the first time, draws it on the paper and freezes the bytes for approval. It may
// be repeated until approval: the newest file counts, the number stays. Faults: those of
// PrepareDespite; way.attach.off (Forbidden) where the order's paper is not attached; those of
// outside.Reader.
func (s *Service) Attach(ctx context.Context, c commune.ID, id string, clerk Clerk, a AttachedPaper) (Order, error) {
	r, err := s.decidable(ctx, c, id, clerk, InReview)
	if err != nil {
		return Order{}, err
	}
	if r.Way == commune.Made || s.Papers == nil {
		return Order{}, fault.New(fault.Forbidden, "way.attach.off", nil)
	}
	if !slices.Contains(outside.Corners, a.Corner) {
		return Order{}, fault.New(fault.Invalid, "orders.form.invalid", fmt.Errorf("corner %.20q", a.Corner))
	}
	if a.Reason, err = reasonIfAny(a.Reason); err != nil {
		return Order{}, err
	}
	file := PaperFile{Corner: a.Corner, By: clerk.Name, At: s.now()}
	if file.access, err = s.Papers.Check(ctx, a.File); err != nil {
		return Order{}, err
	}
	if file.Digest, err = s.Blobs.Put(ctx, c, a.File); err != nil {
		return Order{}, fmt.Errorf("order %s: keep the attached file: %w", id, err)
	}
	return s.prepareFrom(ctx, c, id, clerk, "", a.Reason, &file)
}

// reasonIfAny is a clerk's reason, which may be left open.
func reasonIfAny(raw string) (string, error) {
	if strings.TrimSpace(raw) == "" {
		return "", nil
	}
	return clerksText(raw)
}

// mustHaveFile refuses to prepare a paper that is attached and is not there.
func mustHaveFile(r row, attached *PaperFile) error {
	if r.Way == commune.Made || attached != nil || r.Paper != nil && r.Paper.File != nil {
		return nil
	}
	return fault.New(fault.Conflict, "way.attach.missing", nil)
}

// drawAttached marks the attached file.
func (s *Service) drawAttached(ctx context.Context, of *commune.Commune, r row, seal signing.Seal, f frozen) ([]byte, error) {
	file, err := s.Blobs.Read(ctx, of.ID, f.file.Digest)
	if err != nil {
		return nil, fmt.Errorf("order %s: the attached file: %w", r.ID, err)
	}
	l := r.DocumentLanguage()
	m := outside.Mark{
		Corner: f.file.Corner, QR: of.Origin() + VerifyPath + "/" + r.token,
		Lines: []string{
			i18n.T(l, "outside.mark.number", "Number", string(r.Paper.Number)),
			i18n.T(l, "outside.mark.seal", "Name", seal.Name),
			i18n.T(l, "outside.mark.page"), of.Origin() + VerifyPath,
			i18n.T(l, "outside.mark.code", "Code", grouped(r.Paper.Code)),
			f.signatory.Office.Mention(of, l), f.signatory.Name,
		},
	}
	if r.ReplacesNumber != "" {
		m.Lines = append(m.Lines, i18n.T(l, "document.replaces", "Number", string(r.ReplacesNumber)))
	}
	if seal.Specimen {
		m.Specimen = "SPECIMEN"
	}
	return s.Papers.Mark(ctx, file, m)
}

// keepFile notes the attached file that has been frozen, and who attached it.
func (s *Service) keepFile(tx *sqldb.Tx, r row, f frozen) error {
	about, err := json.Marshal(f.file)
	if err != nil {
		return err
	}
	access, err := json.Marshal(f.file.access)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE orders_paper SET attached = $1, attachment = $2, access = $3 WHERE commune = $4 AND order_id = $5`,
		f.file.Digest, string(about), string(access), string(r.Commune), r.ID); err != nil {
		return err
	}
	return setWay(tx, r, commune.Attached)
}

// scanFile reads what is known of an attached file, and how the paper can be read.
func (p *Paper) scanFile(digest, about, access string) error {
	if access != "" {
		p.Access = new(outside.Access)
		if err := json.Unmarshal([]byte(access), p.Access); err != nil {
			return err
		}
	}
	if digest == "" {
		return nil
	}
	p.File = new(PaperFile)
	if err := json.Unmarshal([]byte(about), p.File); err != nil {
		return err
	}
	if p.Access != nil {
		p.File.access = *p.Access
	}
	var err error
	p.File.Digest, err = blob.ParseDigest(digest)
	return err
}

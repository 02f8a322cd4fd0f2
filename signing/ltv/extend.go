package ltv

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/cms"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/tsa"
)

// Extension is what was made of a file.
type Extension struct {
	Tail      []byte    // to be appended to the file; empty where it had the level already
	Level     string    // signing.LevelBT, LevelBLT or LevelBLTA
	StampedAt time.Time // of the newest document time stamp of the file; zero without one
	Authority string    // whose stamp that is
	// RenewBefore is when the newest stamp stops proving anything: the end of its
	// path, or of an algorithm in it. Zero below B-LTA.
	RenewBefore time.Time
	EndsAt      time.Time // the end of that path alone; zero below B-LTA
	Algorithms  []string  // what that stamp rests on, sorted; nil below B-LTA
}

// mark is a signature or document time stamp of a file.
type mark struct {
	field  string
	end    int64 // where the bytes it covers end
	signed *cms.SignedData
	token  *tsa.Token // the signature's time stamp, or the document time stamp itself
	stamp  bool       // it is a document time stamp
}

// Extend raises every signature of a file to a level: B-T (a document time stamp
// where a signature has no stamp), B-LT (validation material too) or B-LTA (a
// document time stamp upon all of it). A file of level B-LTA is renewed by
// extending it to B-LTA again: material for its last stamp, and a new one. The
// file may be anybody's; that its signatures are right is signing/verify's to say.
//
// Errors of kind Unreachable ask to come again later; nothing was appended then.
// The file is read, never written; memory is used for what is appended only.
func (e *Extender) Extend(ctx context.Context, file io.ReaderAt, size int64, level string) (*Extension, error) {
	if !slices.Contains([]string{signing.LevelBT, signing.LevelBLT, signing.LevelBLTA}, level) {
		return nil, fmt.Errorf("ltv: no level %q", level)
	}
	g := &growing{base: file, size: size}
	marks, err := e.marks(g)
	if err != nil {
		return nil, err
	}
	x := &Extension{Level: level}
	if unstamped(marks) {
		if marks, err = e.stamp(ctx, g, marks, x); err != nil {
			return nil, err
		}
	}
	if level == signing.LevelBT {
		x.Tail = g.tail
		return x, nil
	}
	if err := e.addMaterial(ctx, g, marks); err != nil {
		return nil, err
	}
	if level == signing.LevelBLTA {
		if marks, err = e.stamp(ctx, g, marks, x); err != nil {
			return nil, err
		}
		e.rests(x, marks[len(marks)-1])
	}
	x.Tail = g.tail
	return x, nil
}

// Archive puts a document time stamp upon all of a file, which Extend has raised to
// B-LT: with what Extend returned behind it, it is of level B-LTA.
func (e *Extender) Archive(ctx context.Context, file io.ReaderAt, size int64) (*Extension, error) {
	g := &growing{base: file, size: size}
	marks, err := e.marks(g)
	if err != nil {
		return nil, err
	}
	x := &Extension{Level: signing.LevelBLTA}
	if marks, err = e.stamp(ctx, g, marks, x); err != nil {
		return nil, err
	}
	e.rests(x, marks[len(marks)-1])
	x.Tail = g.tail
	return x, nil
}

// Confirm says whether a certificate can be proved good now, as Extend would prove it
// of one that has just been used. among are certificates in which its issuers may be.
func (e *Extender) Confirm(ctx context.Context, cert *x509.Certificate, among []*x509.Certificate) error {
	return e.newCollection(ctx, pades.Material{}).add(target{cert, among, e.Clock()})
}

// marks reads the signatures of a file, the oldest first, and checks its stamps.
func (e *Extender) marks(g *growing) ([]mark, error) {
	f, err := pdf.OpenWith(g, g.Size(), e.Password)
	if err != nil {
		return nil, ErrUnreadable.Because(err)
	}
	fields, err := f.Fields()
	if err != nil {
		return nil, ErrUnreadable.Because(err)
	}
	var list []mark
	for _, field := range fields {
		if field.Type != "Sig" || field.Value == nil || field.Dict["V"] == nil {
			continue
		}
		if len(list) == maxMarks {
			return nil, ErrUnreadable.Because(fmt.Errorf("ltv: more than %d signatures", maxMarks))
		}
		d, err := f.Dict(field.Value)
		if err != nil {
			return nil, ErrUnreadable.Because(err)
		}
		if d == nil {
			continue
		}
		m, err := e.mark(f, field.Name, d)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	if !slices.ContainsFunc(list, func(m mark) bool { return !m.stamp }) {
		return nil, ErrUnsigned.Because(errors.New("ltv: no signature"))
	}
	slices.SortStableFunc(list, func(a, b mark) int { return int(min(max(a.end-b.end, -1), 1)) })
	return list, nil
}

const maxMarks = 100

func (e *Extender) mark(f *pdf.File, name string, d pdf.Dict) (mark, error) {
	unreadable := func(err error) (mark, error) {
		return mark{}, ErrUnreadable.Because(fmt.Errorf("ltv: field %q: %w", name, err))
	}
	contents, _ := d["Contents"].(pdf.String)
	ranges, err := f.Array(d["ByteRange"])
	if err != nil || len(ranges) != 4 {
		return unreadable(errors.New("no byte range"))
	}
	from, _ := ranges[2].(pdf.Integer)
	length, _ := ranges[3].(pdf.Integer)
	m := mark{field: name, end: int64(from) + int64(length), stamp: d["Type"] == pdf.Name("DocTimeStamp") || d["SubFilter"] == pdf.Name("ETSI.RFC3161")}
	var rest []byte
	if m.signed, rest, err = cms.Parse([]byte(contents)); err != nil {
		return unreadable(err)
	}
	if m.signed.Signer == nil {
		return unreadable(cms.ErrNoSigner)
	}
	token := m.signed.Stamp
	if m.stamp {
		token = []byte(contents)[:len(contents)-len(rest)]
	}
	if token == nil {
		return m, nil
	}
	if m.token, err = tsa.Parse(token); err != nil {
		return unreadable(err)
	}
	if !m.stamp && !m.token.Covers(m.signed.Signature) {
		return unreadable(tsa.ErrImprint)
	}
	return m, e.trusts(m.token)
}

// trusts checks a stamp before anything is built on its time.
func (e *Extender) trusts(t *tsa.Token) error {
	untrusted := func(err error) error { return ErrUntrusted.Because(fmt.Errorf("ltv: a time stamp: %w", err)) }
	if e.stampers.at(t.Time, t.Signer) != nil {
		if err := t.CheckSignature(); err != nil {
			return untrusted(err)
		}
		return nil
	}
	roots := x509.NewCertPool()
	for _, r := range e.Roots {
		roots.AddCert(r)
	}
	path, err := t.Path(tsa.Trust{Roots: roots, Intermediates: e.Intermediates})
	if err != nil {
		return untrusted(err)
	}
	e.stampers.add(path)
	return nil
}

// unstamped says whether a signature has neither a stamp of its own nor a document time stamp after it.
func unstamped(marks []mark) bool {
	for i, m := range marks {
		if !m.stamp && m.token == nil && !slices.ContainsFunc(marks[i:], func(l mark) bool { return l.stamp }) {
			return true
		}
	}
	return false
}

// addMaterial appends what is missing about every signer and time-stamping unit.
func (e *Extender) addMaterial(ctx context.Context, g *growing, marks []mark) error {
	f, err := pdf.OpenWith(g, g.Size(), e.Password)
	if err != nil {
		return ErrUnreadable.Because(err)
	}
	held, err := pades.ReadMaterial(f)
	if err != nil {
		return ErrUnreadable.Because(err)
	}
	c := e.newCollection(ctx, held)
	for i, m := range marks {
		if !m.stamp {
			if err := c.add(target{m.signed.Signer, m.signed.Certificates, provedAt(marks[i:])}); err != nil {
				return err
			}
		}
		if m.token != nil {
			if err := c.add(target{m.token.Signer, m.token.Certificates(), m.token.Time}); err != nil {
				return err
			}
		}
	}
	c.out.Password = e.Password
	tail, err := pades.AppendMaterial(g, g.Size(), c.out)
	if err != nil {
		return err
	}
	g.grow(tail)
	return nil
}

// provedAt is when the first of these signatures is known to have existed: by its
// own stamp, or by the first document time stamp after it.
func provedAt(marks []mark) time.Time {
	if marks[0].token != nil {
		return marks[0].token.Time
	}
	for _, m := range marks[1:] {
		if m.stamp {
			return m.token.Time
		}
	}
	return time.Time{} // Extend has stamped what was not
}

// stamp appends a document time stamp.
func (e *Extender) stamp(ctx context.Context, g *growing, marks []mark, x *Extension) ([]mark, error) {
	if e.Stamper == nil {
		return nil, errors.New("ltv: there is no time-stamping authority")
	}
	p, err := pades.PrepareStamp(g, g.Size(), pades.StampOptions{Room: roomAfter(marks), Password: e.Password, Hash: e.Policy.Hash()})
	if err != nil {
		return nil, err
	}
	hash, digest := p.Imprint()
	s, err := e.Stamper.Stamp(ctx, signing.Imprint{Hash: hash, Sum: digest})
	if err != nil {
		return nil, err
	}
	tail, err := p.Append(s.Token)
	if err != nil {
		return nil, fault.New(fault.Internal, "ltv.awaited", err)
	}
	token, err := tsa.Parse(s.Token)
	if err != nil {
		return nil, err
	}
	if err := e.trusts(token); err != nil {
		return nil, err
	}
	g.grow(tail)
	x.StampedAt, x.Authority = s.Time, s.Authority
	return append(marks, mark{end: g.Size(), token: token, stamp: true}), nil
}

// roomAfter is the room for a token where these have come before.
func roomAfter(marks []mark) int {
	room := 8 << 10
	for _, m := range marks {
		if m.token != nil {
			room = max(room, m.token.Size()+2048)
		}
	}
	return room
}

// rests says of the newest stamp how long it proves something, and by what.
func (e *Extender) rests(x *Extension, m mark) {
	c := e.newCollection(context.Background(), pades.Material{})
	path := []*x509.Certificate{m.token.Signer}
	if full, err := c.path(target{m.token.Signer, m.token.Certificates(), m.token.Time}); err == nil {
		path = full
	}
	x.EndsAt, x.Algorithms = rests(path, m.token)
	x.RenewBefore = e.Policy.end(x.EndsAt, x.Algorithms)
}

// rests is the first end of a certificate on the path, the root's left out, and the
// names of all algorithms used.
func rests(path []*x509.Certificate, token *tsa.Token) (end time.Time, names []string) {
	end, names = path[0].NotAfter, []string{token.Hash.String(), token.SignatureHash().String()}
	for i, c := range path {
		if (i == 0 || i < len(path)-1) && c.NotAfter.Before(end) {
			end = c.NotAfter
		}
		names = append(names, Algorithms(c)...)
	}
	slices.Sort(names)
	return end.UTC(), slices.Compact(names)
}

// end is the first of: the end of the certificates, and that of an algorithm.
func (p Policy) end(certificates time.Time, algorithms []string) time.Time {
	end := certificates
	for _, n := range algorithms {
		if at, ok := p.Ends[n]; ok && at.Before(end) {
			end = at
		}
	}
	return end.UTC()
}

// Hash is the one upon which stamps are asked for: the first of SHA-256, SHA-384 and
// SHA-512 whose end is not known, else the one that ends last.
func (p Policy) Hash() crypto.Hash {
	best, end := crypto.Hash(0), time.Time{}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		at, ends := p.Ends[h.String()]
		if !ends {
			return h
		}
		if best == 0 || at.After(end) {
			best, end = h, at
		}
	}
	return best
}

// DueBy says which files are to be renewed at a time: those whose stamps' certificates
// end by a day, and those that rest on one of these algorithms.
func (p Policy) DueBy(now time.Time) (end time.Time, algorithms []string) {
	end = now.Add(p.Lead)
	for name, at := range p.Ends {
		if !at.After(end) {
			algorithms = append(algorithms, name)
		}
	}
	slices.Sort(algorithms)
	return end, algorithms
}

// Better says whether a new stamp proves something for longer than the old one did,
// whose certificates ended and which rested on these algorithms.
func (p Policy) Better(x *Extension, ended time.Time, algorithms []string) bool {
	return x.RenewBefore.After(p.end(ended, algorithms))
}

// Due is when a file should be renewed.
func (e *Extender) Due(renewBefore time.Time) time.Time { return renewBefore.Add(-e.Policy.Lead) }

// growing is a file with what is to be appended to it.
type growing struct {
	base io.ReaderAt
	size int64
	tail []byte
}

func (g *growing) Size() int64      { return g.size + int64(len(g.tail)) }
func (g *growing) grow(tail []byte) { g.tail = append(g.tail, tail...) }

// ReadAt is that of io.ReaderAt.
func (g *growing) ReadAt(p []byte, off int64) (n int, err error) {
	if off < g.size {
		n, err = g.base.ReadAt(p[:min(int64(len(p)), g.size-off)], off)
		if err != nil && !(errors.Is(err, io.EOF) && off+int64(n) == g.size) {
			return n, err
		}
		off += int64(n)
	}
	if n < len(p) {
		if off-g.size > int64(len(g.tail)) {
			return n, io.EOF
		}
		n += copy(p[n:], g.tail[off-g.size:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Sum is the SHA-256 of the extended file.
func (x *Extension) Sum(file io.Reader) (sum [32]byte, err error) {
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return sum, err
	}
	h.Write(x.Tail)
	h.Sum(sum[:0])
	return sum, nil
}

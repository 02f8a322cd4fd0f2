package orderstest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders"
)

// anyRegistry is an authority for which every key is the National Register's.
type anyRegistry struct{}

func (anyRegistry) Registry(context.Context, []byte) (trust.Certificate, error) {
	return trust.Certificate{}, nil
}

// card is what idfile makes of a card of a person, read now: a document of a type, with a photo.
func (w *World) card(t *testing.T, p orders.Person, document int) idfile.Identity {
	t.Helper()
	photo := []byte("\xff\xd8\xff a photo")
	return w.cardWith(t, p, document, photo)
}

func (w *World) cardWith(t *testing.T, p orders.Person, document int, photo []byte) idfile.Identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	ok(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), SignatureAlgorithm: x509.ECDSAWithSHA384}
	registry, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ok(t, err)
	now := w.Clock.Now()
	hash := sha256.Sum256(photo)
	var file bytes.Buffer
	for _, f := range []struct {
		tag   byte
		value string
	}{
		{3, now.AddDate(-1, 0, 0).Format("02.01.2006")}, {4, now.AddDate(1, 0, 0).Format("02.01.2006")}, {6, p.Number.Reveal()},
		{7, p.Surname}, {8, p.GivenNames}, {12, "30 JUIL 1975"}, {15, strconv.Itoa(document)}, {17, string(hash[:])},
	} {
		file.Write(append([]byte{f.tag, byte(len(f.value))}, f.value...))
	}
	digest := sha512.Sum384(file.Bytes())
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	ok(t, err)
	made, err := (&idfile.Verifier{Authority: anyRegistry{}, Clock: clock.Clock(w.Clock.Now)}).Verify(ctx, idfile.Files{
		Identity: file.Bytes(), IdentitySignature: signature, Photo: photo, Registry: registry,
	})
	ok(t, err)
	return made
}

const deskSession = "the session of a desk"

// allowed is a permission for clerk 1.
func (w *World) allowed(t *testing.T) string {
	t.Helper()
	permission, err := w.Service.AllowReading(ctx, A, Clerk(1), deskSession)
	ok(t, err)
	return permission
}

var nobodyTyped eid.NationalNumber

// cardRead: what the card says is the order's, with its origin; the register says the rest.
func cardRead(t *testing.T, w *World) {
	p := w.Person(A, 1)
	permission := w.allowed(t)
	read, err := w.Service.ReadCard(ctx, A, Clerk(1), deskSession, permission, w.card(t, p, 1), p.Number)
	ok(t, err)
	if read.Number != p.Number || read.Name() != p.GivenNames+" "+p.Surname || read.BirthDate != "1975-07-30" || read.Child {
		t.Errorf("read: %+v", read)
	}
	who := orders.Applicant{Reading: permission, Session: deskSession}
	pre, err := w.Service.PrefillFor(ctx, A, Clerk(1), who, "residence")
	ok(t, err)
	for _, a := range pre.Answers {
		want := orders.FromRegister
		if a.Name == orders.Surname || a.Name == orders.GivenNames || a.Name == orders.BirthDate {
			want = orders.FromCard
		}
		if a.Origin != want {
			t.Errorf("%s comes from %s", a.Name, a.Origin)
		}
	}
	f, e := w.Form(A), orders.Entry{Channel: orders.Counter, Identified: orders.CardRead}
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids { // clicks
		wg.Go(func() {
			o, err := w.Service.Enter(ctx, A, Clerk(1), e, who, f)
			if err != nil {
				t.Error(err)
			}
			ids[i] = o.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("one form made %v", ids)
		}
	}
	if o := w.Get(t, A, ids[0]); o.Entry.Identified != orders.CardRead || o.Attention != "" {
		t.Errorf("%+v %s", o.Entry, o.Attention)
	}
	_, err = w.Service.Enter(ctx, A, Clerk(1), e, who, w.Form(A))
	wants(t, err, fault.Conflict, "reading.used")
	for table, text := range dump(t, w.DB) {
		if strings.Contains(text, p.Number.Reveal()) || strings.Contains(text, permission) || strings.Contains(text, deskSession) {
			t.Errorf("%s holds the number, the permission or the session", table)
		}
	}
	// A surname that the register does not know is looked at.
	other := p
	other.Surname = "Vandenberghe"
	permission = w.allowed(t)
	_, err = w.Service.ReadCard(ctx, A, Clerk(1), deskSession, permission, w.card(t, other, 1), nobodyTyped)
	ok(t, err)
	if pre, err = w.Service.PrefillFor(ctx, A, Clerk(1), orders.Applicant{Reading: permission, Session: deskSession}, "residence"); err != nil || pre.Attention != orders.NameDiffers {
		t.Errorf("%s, %v", pre.Attention, err)
	}
}

// cardNotRead: a permission is good once, for a few minutes, where it was given; a reading
// for one order, and only with it an identity was checked by card.
func cardNotRead(t *testing.T, w *World) {
	p := w.Person(A, 1)
	read := func(c commune.ID, clerk orders.Clerk, session, permission string, card idfile.Identity, typed eid.NationalNumber) error {
		_, err := w.Service.ReadCard(ctx, c, clerk, session, permission, card, typed)
		return err
	}
	mine := func(permission string) error {
		return read(A, Clerk(1), deskSession, permission, w.card(t, p, 1), nobodyTyped)
	}
	permission := w.allowed(t)
	for name, err := range map[string]error{
		"never given":        mine("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
		"empty":              mine(""),
		"another session's":  read(A, Clerk(1), "another", permission, w.card(t, p, 1), nobodyTyped),
		"another clerk's":    read(A, Clerk(2), deskSession, permission, w.card(t, p, 1), nobodyTyped),
		"another commune's":  read(B, Clerk(1), deskSession, permission, w.card(t, p, 1), nobodyTyped),
		"nothing read by it": enter(w, orders.Applicant{Reading: permission, Session: deskSession}),
	} {
		if fault.KeyOf(err) != "reading.none" {
			t.Errorf("%s: %v", name, err)
		}
	}
	wants(t, read(A, Clerk(1), deskSession, permission, w.card(t, p, 1), Number(2)), fault.Conflict, "reading.other")
	wants(t, read(A, Clerk(1), deskSession, permission, w.cardWith(t, p, 1, nil), nobodyTyped), fault.Invalid, "reading.no_photo")
	wants(t, read(A, orders.Clerk{Subject: "staff", Name: "Luc", Number: p.Number}, deskSession, permission, w.card(t, p, 1), nobodyTyped), fault.Forbidden, "orders.own")
	if err := read(A, Clerk(1), deskSession, permission, idfile.Identity{}, nobodyTyped); err == nil {
		t.Error("nothing was checked")
	}
	stale := w.card(t, p, 1)
	w.Clock.Add(orders.PermissionFor - time.Second)
	ok(t, mine(permission))
	wants(t, mine(permission), fault.Conflict, "reading.used")
	late := w.allowed(t)
	w.Clock.Add(orders.PermissionFor)
	wants(t, mine(late), fault.Conflict, "reading.late")
	if err := read(A, Clerk(1), deskSession, w.allowed(t), stale, nobodyTyped); err == nil {
		t.Error("what was checked long ago is taken")
	}
	who := orders.Applicant{Reading: permission, Session: deskSession}
	for _, e := range []orders.Entry{{Channel: orders.Phone, Identified: orders.CardRead}, {Channel: orders.Counter, Identified: orders.CardSeen}} {
		_, err := w.Service.Enter(ctx, A, Clerk(1), e, who, w.Form(A))
		wants(t, err, fault.Invalid, "counter.way_wrong")
	}
	_, err := w.Service.Enter(ctx, A, Clerk(1), orders.Entry{Channel: orders.Counter, Identified: orders.CardRead}, byNumber(p), w.Form(A))
	wants(t, err, fault.Invalid, "counter.way_wrong")
	w.Clock.Add(orders.ReadingFor)
	wants(t, enter(w, who), fault.Conflict, "reading.late")
	if page, err := w.Service.Inbox(ctx, A, orders.Filter{}); err != nil || len(page.Orders) != 0 {
		t.Errorf("%d orders were made", len(page.Orders))
	}
}

func enter(w *World, who orders.Applicant) error {
	_, err := w.Service.Enter(ctx, A, Clerk(1), orders.Entry{Channel: orders.Counter, Identified: orders.CardRead}, who, w.Form(A))
	return err
}

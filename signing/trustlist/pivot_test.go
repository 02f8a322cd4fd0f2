package trustlist_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/trustlist"
	make "github.com/belfry-eid/belfry/signing/trustlist/trustlisttest"
)

// union is the Union's list with two pivots: the Journal names the first signer, the
// first pivot the second one, the second pivot the third one, who signs the list.
type union struct {
	t           *testing.T
	s           *served
	signers     [3]signingtest.Identity
	first, then make.List
	lotl        make.List
	by          [3]signingtest.Identity // who signs the pivots and the list
	spoil       func([]byte)            // the second pivot, once it is signed
	config      trustlist.Config
}

func newUnion(t *testing.T) *union {
	w := theWorld()
	u := &union{t: t, s: serve(t), signers: [3]signingtest.Identity{w.top, w.pki.P384, w.pki.TSANotTime}}
	u.by = u.signers
	names := func(number, months int, signer signingtest.Identity) make.List {
		l := w.lotl()
		l.Sequence, l.Issued, l.NextUpdate = number, now.AddDate(0, -months, 0), now.AddDate(0, 6-months, 0)
		l.Pointers[0].Location, l.Pointers[0].Signers = u.s.URL+"/lotl.xml", only(signer.Cert)
		l.Pointers[1].Location = u.s.URL + "/be.xml"
		return l
	}
	u.first, u.then, u.lotl = names(310, 11, u.signers[1]), names(320, 8, u.signers[2]), names(330, 1, u.signers[2])
	u.lotl.Pivots = []string{u.s.URL + "/pivot-320.xml", u.s.URL + "/pivot-310.xml"}
	u.s.put("/be.xml", make.Make(w.belgium(), w.country))
	u.config = trustlist.Config{LOTL: u.s.URL + "/lotl.xml", Signers: only(w.top.Cert), Cache: t.TempDir(), Clock: clock.At(now)}
	return u
}

// publish signs and serves the three lists as they are now.
func (u *union) publish() {
	u.s.put("/pivot-310.xml", make.Make(u.first, u.by[0]))
	then := make.Make(u.then, u.by[1])
	if u.spoil != nil {
		u.spoil(then)
	}
	u.s.put("/pivot-320.xml", then)
	u.s.put("/lotl.xml", make.Make(u.lotl, u.by[2]))
}

func (u *union) open() *trustlist.Source {
	u.t.Helper()
	source, err := trustlist.New(u.config)
	if err != nil {
		u.t.Fatal(err)
	}
	return source
}

func number(s *trustlist.Source) int {
	if set := s.Current(); set != nil {
		return set.LOTL.Sequence
	}
	return 0
}

// From the Journal's certificates, and from those of a later pivot, two pivots lead to the list.
func TestPivotsAreFollowed(t *testing.T) {
	for pinned := range 3 {
		u := newUnion(t)
		u.config.Signers = only(u.signers[pinned].Cert)
		u.publish()
		source := u.open()
		if err := source.Refresh(t.Context()); err != nil || number(source) != 330 || len(source.Current().Services) != 2 || len(source.Current().Problems) != 0 {
			t.Fatalf("from signer %d: %v, %d", pinned, err, number(source))
		}
		u.s.put("/pivot-310.xml", nil)
		u.s.put("/pivot-320.xml", nil)
		again := u.open()
		if number(again) != 330 {
			t.Errorf("from signer %d: the cache is not read", pinned)
		}
		u.lotl.Sequence = 331
		u.s.put("/lotl.xml", make.Make(u.lotl, u.by[2]))
		if err := again.Refresh(t.Context()); err != nil || number(again) != 331 {
			t.Errorf("from signer %d, the pivots kept: %v, %d", pinned, err, number(again))
		}
	}
}

// On the day of a change the list is the pivot itself, signed as the one before was.
func TestTheListIsItsOwnPivot(t *testing.T) {
	u := newUnion(t)
	u.publish()
	u.then.Pivots, u.then.NextUpdate, u.then.Issued = u.lotl.Pivots, u.lotl.NextUpdate, u.lotl.Issued
	same := make.Make(u.then, u.by[1])
	u.s.put("/pivot-320.xml", same)
	u.s.put("/lotl.xml", same)
	source := u.open()
	if err := source.Refresh(t.Context()); err != nil || number(source) != 320 {
		t.Errorf("%v, %d", err, number(source))
	}
}

// A pivot that moves the list is followed, and `belfry check` says where it is now.
func TestAPivotMovesTheList(t *testing.T) {
	u := newUnion(t)
	u.then.Pointers[0].Location = "https://lists.example/new.xml"
	u.publish()
	source := u.open()
	if err := source.Refresh(t.Context()); err != nil || number(source) != 330 {
		t.Fatal(err)
	}
	if p := source.Current().Problems; len(p) != 1 || !strings.Contains(p[0].Err.Error(), "https://lists.example/new.xml") {
		t.Errorf("%+v", p)
	}
}

// What does not lead from a pinned signer to the list, step by step, is refused, and the
// list seen before stays.
func TestHostilePivots(t *testing.T) {
	w := theWorld()
	for name, c := range map[string]struct {
		bend func(*union)
		want error // nil where any will do
	}{
		"the second signed by a stranger": {func(u *union) { u.by[1] = w.stranger }, nil},
		"the first signed by a stranger":  {func(u *union) { u.by[0] = w.stranger }, trustlist.ErrSigner},
		"the list signed by a stranger":   {func(u *union) { u.by[2] = w.stranger }, trustlist.ErrSigner},
		"the list signed by the first":    {func(u *union) { u.by[2] = u.signers[0] }, trustlist.ErrSigner},
		"the list signed by the second":   {func(u *union) { u.by[2] = u.signers[1] }, trustlist.ErrSigner},
		"another order": {func(u *union) {
			u.lotl.Pivots[0], u.lotl.Pivots[1] = u.lotl.Pivots[1], u.lotl.Pivots[0]
		}, trustlist.ErrSigner},
		"numbers that fall": {func(u *union) { u.then.Sequence = 305 }, nil},
		"one number twice":  {func(u *union) { u.then.Sequence = 310 }, nil},
		"a circle":          {func(u *union) { u.lotl.Pivots = append(u.lotl.Pivots, u.lotl.Pivots[0]) }, nil},
		"one pivot at two places": {func(u *union) {
			u.first.Pointers[0].Signers = append(u.first.Pointers[0].Signers, u.signers[0].Cert)
			u.lotl.Pivots = append([]string{u.s.URL + "/pivot-310.xml?again.xml", u.s.URL + "/pivot-310.xml?/.xml"}, u.lotl.Pivots...)
		}, nil},
		"the list out of date":                         {func(u *union) { u.lotl.NextUpdate = now.Add(-time.Minute) }, trustlist.ErrExpired},
		"the list older than a pivot":                  {func(u *union) { u.lotl.Sequence = 319 }, nil},
		"a pivot from before its signer's certificate": {func(u *union) { u.then.Issued = now.AddDate(-3, 0, 0) }, nil},
		"a pivot from after it":                        {func(u *union) { u.then.Issued = now.AddDate(60, 0, 0) }, nil},
		"a pivot without signers":                      {func(u *union) { u.then.Pointers = u.then.Pointers[1:] }, nil},
		"a country's list for a pivot":                 {func(u *union) { u.then.Top, u.then.Territory = false, "BE" }, nil},
		"a pivot of another house": {func(u *union) {
			u.lotl.Pivots[0] = "http://127.0.0.2:1/pivot-320.xml"
		}, nil},
		"a missing pivot": {func(u *union) { u.lotl.Pivots = append([]string{u.s.URL + "/pivot-325.xml"}, u.lotl.Pivots...) }, nil},
		"a changed pivot": {func(u *union) { u.spoil = func(b []byte) { b[bytes.Index(b, []byte("Operator of"))]++ } }, nil},
		"hundreds": {func(u *union) {
			for i := range 300 {
				u.lotl.Pivots = append(u.lotl.Pivots, fmt.Sprintf("%s/%d.xml", u.s.URL, i))
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUnion(t)
			c.bend(u)
			u.publish()
			source := u.open()
			err := source.Refresh(t.Context())
			if err == nil || c.want != nil && !errors.Is(err, c.want) || source.Current() != nil {
				t.Errorf("%v, %d", err, number(source))
			}
		})
	}
}

// Who signed before a pivot signs no more, whatever they offer, and after a restart too;
// with other certificates pinned the chain begins anew.
func TestAChainIsNeverLeft(t *testing.T) {
	u := newUnion(t)
	u.publish()
	source := u.open()
	if err := source.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	both, honest := u.lotl.Pivots, u.lotl
	for name, bend := range map[string]func(){
		"without pivots, by the first":     func() { u.lotl.Pivots, u.by[2] = nil, u.signers[0] },
		"with one pivot, by the second":    func() { u.lotl.Pivots, u.by[2] = both[1:], u.signers[1] },
		"without pivots, by the third":     func() { u.lotl.Pivots = nil },
		"an older number":                  func() { u.lotl.Sequence = 325 },
		"an older number than the pivot's": func() { u.lotl.Sequence = 315 },
		"another pivot, by a stranger": func() {
			u.s.put("/pivot-331.xml", make.Make(u.then, theWorld().stranger))
			u.lotl.Pivots = append([]string{u.s.URL + "/pivot-331.xml"}, both...)
		},
	} {
		u.lotl, u.by = honest, u.signers
		u.lotl.Sequence = 340
		bend()
		u.publish()
		for _, s := range []*trustlist.Source{source, u.open()} {
			if err := s.Refresh(t.Context()); err == nil || number(s) != 330 {
				t.Errorf("%s: %v, %d", name, err, number(s))
			}
		}
	}
	u.lotl, u.by = honest, u.signers
	u.lotl.Pivots, u.lotl.Sequence, u.by[2] = nil, 341, u.signers[1]
	u.config.Signers = only(u.signers[1].Cert) // a new notice in the Journal
	u.publish()
	if s := u.open(); s.Refresh(t.Context()) != nil || number(s) != 341 {
		t.Errorf("after a new notice: %v, %d", s.Err(), number(s))
	}
}

func TestPivotsFromFiles(t *testing.T) {
	u, w := newUnion(t), theWorld()
	first, then, lotl := make.Make(u.first, u.by[0]), make.Make(u.then, u.by[1]), make.Make(u.lotl, u.by[2])
	country := make.Make(w.belgium(), w.country)
	for name, lists := range map[string][][]byte{"in order": {first, then, country}, "in any order": {then, country, first}} {
		if set, err := trustlist.Files(lotl, only(w.top.Cert), lists, now); err != nil || len(set.Services) != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, lists := range map[string][][]byte{"one is missing": {then, country}, "none": {country}, "one twice": {first, first, then, country}} {
		if _, err := trustlist.Files(lotl, only(w.top.Cert), lists, now); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if set, err := trustlist.Files(lotl, only(u.signers[2].Cert), [][]byte{country}, now); err != nil || len(set.Lists) != 1 {
		t.Errorf("the newest signer pinned: %v", err)
	}
}

// As many lists as the Union has, one of them as large as its largest, in torture the
// others with as many services too: they are read, and what they say of one seal is found.
func TestListsOfAllEurope(t *testing.T) {
	if testing.Short() {
		t.Skip("thirty lists")
	}
	each := 15
	if os.Getenv("BELFRY_TORTURE") != "" {
		each = 100
	}
	w, u := theWorld(), newUnion(t)
	var authorities []*x509.Certificate
	for n := range 100 {
		authorities = append(authorities, signingtest.Issue(fmt.Sprintf("Qualified CA %d of Europe", n), &w.pki.Root, w.pki.P384.Key, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }).Cert)
	}
	territories := strings.Fields("AT BG CY CZ DE DK EE EL ES FI FR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK UK")
	services := 0
	for n, territory := range territories {
		l := make.List{Territory: territory, Sequence: n + 1, Issued: now.AddDate(0, -1, 0), NextUpdate: now.AddDate(0, 5, 0)}
		count := each
		if territory == "ES" {
			count = 1500 // 6 MB
		}
		for i := range count {
			s := make.Granted([]string{"CA/QC", "TSA/QTST"}[i%2], authorities[(n+i)%len(authorities)], "ForeSignatures")
			for year := range 3 {
				s.Periods = append(s.Periods, make.Period{Status: "undersupervision", From: now.AddDate(-6-year, 0, 0), Extra: make.Qualifies("QCWithSSCD", "all", "nonRepudiation")})
			}
			l.Services = append(l.Services, s)
		}
		services += count
		u.lotl.Pointers = append(u.lotl.Pointers, make.Pointer{Territory: territory, Location: u.s.URL + "/" + territory + ".xml", Signers: only(w.country.Cert)})
		xml := make.Make(l, w.country)
		if territory == "ES" && (len(xml) < 6<<20 || len(xml) > trustlist.MaxSize) {
			t.Errorf("the largest list has %d bytes", len(xml))
		}
		u.s.put("/"+territory+".xml", xml)
	}
	u.publish()
	source := u.open()
	if err := source.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	set := source.Current()
	if len(set.Problems) != 0 || len(set.Lists) != len(territories)+1 || len(set.Services) != services+2 {
		t.Errorf("%d lists, %d services, %+v", len(set.Lists), len(set.Services), set.Problems)
	}
	seal := qualified(w, w.pki.CA, true, 2)
	if got := trustlist.Judge(set.Services, trustlist.CA, []*x509.Certificate{seal, w.pki.CA.Cert, w.pki.Root.Cert}, now); got == nil || !got.Qualified || got.Territory != "BE" {
		t.Errorf("%+v", got)
	}
	if again := u.open(); len(again.Current().Services) != len(set.Services) {
		t.Error("the cache is not read whole")
	}
}

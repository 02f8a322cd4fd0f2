package trustlist

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fetch"
	"github.com/belfry-eid/belfry/internal/loopback"
)

// Set is what all lists together say. It is never changed once made.
type Set struct {
	LOTL     *List
	Lists    []*List
	Problems []Problem
	Services []Service // of all lists that are good now
}

// Problem is a list that does not count, and why.
type Problem struct {
	Territory string
	Err       error
}

// Until is the first time at which one of the lists is out of date.
func (s *Set) Until() time.Time {
	end := s.LOTL.NextUpdate
	for _, l := range s.Lists {
		if l.NextUpdate.Before(end) {
			end = l.NextUpdate
		}
	}
	return end
}

// Files makes a set of files: the list of the lists with those who may sign it, and
// its pivots and the countries' lists, in any order. A list that does not count is an
// error here: whoever named the file wants it.
func Files(lotl []byte, signers []*x509.Certificate, lists [][]byte, now time.Time) (*Set, error) {
	pivots, countries, err := byNumber(lists)
	if err != nil {
		return nil, err
	}
	led, err := lead(signers, pivots)
	if err != nil {
		return nil, fmt.Errorf("trustlist: %w", err)
	}
	top, err := led.top(lotl, now)
	if err != nil {
		return nil, err
	}
	if len(pivots) > len(top.pivots) {
		return nil, fmt.Errorf("trustlist: %w: %d of them, and the list names %d", errPivot, len(pivots), len(top.pivots))
	}
	s := &Set{LOTL: top}
	for _, xml := range countries {
		root, err := parse(xml)
		if err != nil {
			return nil, fmt.Errorf("trustlist: %w", err)
		}
		// What the unsigned text calls itself only chooses whose signature is wanted.
		territory := strings.ToUpper(text(root, "SchemeInformation", "SchemeTerritory"))
		l, err := readCountry(xml, top, territory, now)
		if err != nil {
			return nil, err
		}
		s.add(l)
	}
	return s, nil
}

func (s *Set) add(l *List) {
	s.Lists = append(s.Lists, l)
	s.Services = append(s.Services, l.Services...)
}

func readTop(xml []byte, signers []*x509.Certificate, now time.Time) (*List, error) {
	l, err := Read(xml, signers, now)
	if err != nil {
		return nil, err
	}
	if l.Kind != typeOfLists {
		return nil, fmt.Errorf("trustlist: %s is no list of the lists: %w", l.Territory, ErrMalformed)
	}
	return l, nil
}

// readCountry reads a country's list by the signers that the list of the lists names for it.
func readCountry(xml []byte, top *List, territory string, now time.Time) (*List, error) {
	i := slices.IndexFunc(top.Pointers, func(p Pointer) bool { return p.is(territory) })
	if i < 0 {
		return nil, fmt.Errorf("trustlist: the list of the lists knows no list of %.10q", territory)
	}
	var signers []*x509.Certificate
	for _, p := range top.Pointers {
		if p.is(territory) {
			signers = append(signers, p.Signers...)
		}
	}
	l, err := Read(xml, signers, now)
	if err != nil {
		return nil, err
	}
	if l.Territory != territory || l.Kind != typeGeneric {
		return nil, fmt.Errorf("trustlist: a list of %.10q where that of %s is expected", l.Territory, territory)
	}
	return l, nil
}

func (p Pointer) is(territory string) bool {
	return p.Territory == territory && p.Kind == typeGeneric && p.XML
}

// Config of a Source. LOTL, Signers and Cache must be there.
type Config struct {
	// LOTL is the address of the list of the lists; https, or http of this machine.
	LOTL string
	// Signers may sign it, or its oldest pivot: the certificates that the Official
	// Journal publishes, or those of a later pivot.
	Signers []*x509.Certificate
	// Territories whose lists are wanted; all where empty.
	Territories []string
	// Cache is a folder of ours. What lies there is checked again whenever it is read.
	Cache string
	Clock clock.Clock // the system's where nil
}

// Source holds the lists up to date. It is safe for concurrent use.
type Source struct {
	cfg Config
	set atomic.Pointer[Set]
	mu  sync.Mutex // one refresh at a time
	err error      // of the last one
	// pivot is the number of the last pivot that was followed: who signed before it
	// signs no more.
	pivot int
}

// fetchTime is how long one list may take: some weigh megabytes.
const fetchTime = 30 * time.Second

// New reads what is in the cache; Refresh fetches. Before either has found something
// Current is nil.
func New(cfg Config) (*Source, error) {
	if len(cfg.Signers) == 0 || cfg.Cache == "" {
		return nil, errors.New("trustlist: signers and a folder are needed")
	}
	u, err := url.Parse(cfg.LOTL)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && ownMachine(u.Hostname())) {
		return nil, fmt.Errorf("trustlist: %q is no https address", cfg.LOTL)
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System
	}
	if err := os.MkdirAll(cfg.Cache, 0o700); err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg}
	if xml, err := s.cached(topName); err == nil {
		led, _, err := s.lead(xml, func(name, _ string) ([]byte, error) { return s.cached(name) })
		if err == nil {
			s.pivot = led.number
			if top, err := led.top(xml, cfg.Clock()); err == nil {
				s.set.Store(s.countries(top, func(p Pointer) (*List, error) { return s.cachedCountry(top, p) }))
			}
		}
	}
	return s, nil
}

const topName = "LOTL"

func ownMachine(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || loopback.Is(host)
}

// Current is what the lists say; nil where none is known, or the list of the lists is out of date.
func (s *Source) Current() *Set {
	set := s.set.Load()
	if set == nil || !s.cfg.Clock().Before(set.Until()) {
		return s.lessOf(set)
	}
	return set
}

// lessOf leaves out the lists that have run out since they were read.
func (s *Source) lessOf(set *Set) *Set {
	now := s.cfg.Clock()
	if set == nil || !now.Before(set.LOTL.NextUpdate) {
		return nil
	}
	less := &Set{LOTL: set.LOTL, Problems: slices.Clone(set.Problems)}
	for _, l := range set.Lists {
		if now.Before(l.NextUpdate) {
			less.add(l)
		} else {
			less.Problems = append(less.Problems, Problem{l.Territory, ErrExpired})
		}
	}
	return less
}

// Err is why the last refresh did not get the list of the lists; nil where it did.
func (s *Source) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Run refreshes at once and then again and again, until ctx ends.
func (s *Source) Run(ctx context.Context, every time.Duration, report func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Refresh fetches all lists. Where one cannot be had, is not signed as it must be or
// is older than the one at hand, that one stays, until its own end.
func (s *Source) Refresh(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = s.refresh(ctx)
	return s.err
}

func (s *Source) refresh(ctx context.Context) error {
	top, led, err := s.fetchTop(ctx)
	if err != nil {
		return fmt.Errorf("the list of the lists: %w", err)
	}
	f, err := s.fetcher(top)
	if err != nil {
		return err
	}
	fresh := map[string]error{}
	set := s.countries(top, func(p Pointer) (*List, error) {
		l, err := s.fetchCountry(ctx, f, top, p)
		if err == nil {
			return l, nil
		}
		fresh[p.Territory] = err
		if old, cacheErr := s.cachedCountry(top, p); cacheErr == nil {
			return old, nil
		}
		return nil, err
	})
	for territory, err := range fresh {
		if !slices.ContainsFunc(set.Problems, func(p Problem) bool { return p.Territory == territory }) {
			set.Problems = append(set.Problems, Problem{territory, fmt.Errorf("an older copy serves: %w", err)})
		}
	}
	if led.location != "" && led.location != s.cfg.LOTL {
		set.Problems = append(set.Problems, Problem{"EU", fmt.Errorf("the list of the lists is now at %s", led.location)})
	}
	slices.SortFunc(set.Problems, func(a, b Problem) int { return strings.Compare(a.Territory, b.Territory) })
	s.set.Store(set)
	return nil
}

// lead follows the pivots that a list of the lists names, however they are got by the name
// of their file in the cache and their address. found has them by these names.
func (s *Source) lead(xml []byte, get func(name, address string) ([]byte, error)) (c chain, found map[string][]byte, err error) {
	root, err := parse(xml)
	if err != nil {
		return c, nil, err
	}
	addresses, err := pivotsOf(root)
	if err != nil {
		return c, nil, err
	}
	var pivots [][]byte
	found = map[string][]byte{}
	for _, address := range addresses {
		name := s.pivotName(address)
		if found[name], err = get(name, address); err != nil {
			return c, nil, fmt.Errorf("%w: %s: %w", errPivot, address, err)
		}
		pivots = append(pivots, found[name])
	}
	c, err = lead(s.cfg.Signers, pivots)
	return c, found, err
}

// pivotName is the name of a pivot's file. With other certificates pinned the chain begins
// anew, so it depends on them.
func (s *Source) pivotName(address string) string {
	h := sha256.New()
	for _, c := range s.cfg.Signers {
		h.Write(c.Raw)
	}
	h.Write([]byte(address))
	return fmt.Sprintf("PIVOT-%x", h.Sum(nil)[:12])
}

func (s *Source) fetchTop(ctx context.Context) (*List, chain, error) {
	u, err := url.Parse(s.cfg.LOTL)
	if err != nil {
		return nil, chain{}, err
	}
	f, err := fetch.New(fetch.Config{Hosts: []string{u.Host}, Limit: MaxSize, Timeout: fetchTime, Clock: s.cfg.Clock})
	if err != nil {
		return nil, chain{}, err
	}
	xml, err := f.Get(ctx, s.cfg.LOTL)
	if err != nil {
		return nil, chain{}, err
	}
	led, pivots, err := s.lead(xml, func(name, address string) ([]byte, error) {
		if xml, err := s.cached(name); err == nil {
			if _, err := parse(xml); err == nil { // what a pivot says never changes
				return xml, nil
			}
		}
		if p, err := url.Parse(address); err != nil || p.Scheme != u.Scheme || p.Host != u.Host { // nobody has signed this address yet
			return nil, errors.New("not where the list of the lists is")
		}
		return f.Get(ctx, address)
	})
	if err != nil {
		return nil, chain{}, err
	}
	top, err := led.top(xml, s.cfg.Clock())
	if err != nil {
		return nil, chain{}, err
	}
	if led.number < s.pivot {
		return nil, chain{}, fmt.Errorf("%w: number %d was followed already, and is not among them", errPivot, s.pivot)
	}
	if old := s.set.Load(); old != nil && top.Sequence < old.LOTL.Sequence {
		return nil, chain{}, older(top, old.LOTL)
	}
	for name, xml := range pivots {
		if err := s.keep(name, xml); err != nil {
			return nil, chain{}, err
		}
	}
	if err := s.keep(topName, xml); err != nil {
		return nil, chain{}, err
	}
	s.pivot = led.number
	return top, led, nil
}

func older(l, old *List) error {
	return fmt.Errorf("number %d was seen already, and number %d is offered", old.Sequence, l.Sequence)
}

// fetcher may ask the hosts that the signed list of the lists names. Addresses of
// this machine count only where that list itself came from here.
func (s *Source) fetcher(top *List) (*fetch.Fetcher, error) {
	own := false
	if u, err := url.Parse(s.cfg.LOTL); err == nil {
		own = ownMachine(u.Hostname())
	}
	var hosts []string
	for _, p := range top.Pointers {
		u, err := url.Parse(p.Location)
		if err == nil && u.Host != "" && !strings.ContainsAny(u.Host, "@/ ") && (own || !ownMachine(u.Hostname())) {
			hosts = append(hosts, u.Host)
		}
	}
	return fetch.New(fetch.Config{Hosts: hosts, Limit: MaxSize, Timeout: fetchTime, Clock: s.cfg.Clock})
}

func (s *Source) cachedCountry(top *List, p Pointer) (*List, error) {
	xml, err := s.cached(p.Territory)
	if err != nil {
		return nil, err
	}
	return readCountry(xml, top, p.Territory, s.cfg.Clock())
}

func (s *Source) fetchCountry(ctx context.Context, f *fetch.Fetcher, top *List, p Pointer) (*List, error) {
	xml, err := f.Get(ctx, p.Location)
	if err != nil {
		return nil, err
	}
	l, err := readCountry(xml, top, p.Territory, s.cfg.Clock())
	if err != nil {
		return nil, err
	}
	if old := s.listOf(p.Territory); old != nil && l.Sequence < old.Sequence {
		return nil, older(l, old)
	}
	return l, s.keep(p.Territory, xml)
}

func (s *Source) listOf(territory string) *List {
	if set := s.set.Load(); set != nil {
		for _, l := range set.Lists {
			if l.Territory == territory {
				return l
			}
		}
	}
	return nil
}

// countries reads the wanted lists, however they are got.
func (s *Source) countries(top *List, get func(Pointer) (*List, error)) *Set {
	set := &Set{LOTL: top}
	done := map[string]bool{}
	for _, p := range top.Pointers {
		if !territoryName.MatchString(p.Territory) || !p.is(p.Territory) || done[p.Territory] || !s.wanted(p.Territory) {
			continue
		}
		done[p.Territory] = true
		l, err := get(p)
		if err == nil {
			set.add(l)
			continue
		}
		set.Problems = append(set.Problems, Problem{p.Territory, err})
	}
	for _, t := range s.cfg.Territories {
		if !done[t] {
			set.Problems = append(set.Problems, Problem{t, errors.New("the list of the lists has no list of it")})
		}
	}
	return set
}

var territoryName = regexp.MustCompile(`^[A-Z]{2}$`) // it also names a file

func (s *Source) wanted(territory string) bool {
	return len(s.cfg.Territories) == 0 || slices.Contains(s.cfg.Territories, territory)
}

func (s *Source) path(name string) string { return filepath.Join(s.cfg.Cache, name+".xml") }

func (s *Source) cached(name string) ([]byte, error) {
	info, err := os.Stat(s.path(name))
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxSize {
		return nil, errors.New("too large")
	}
	return os.ReadFile(s.path(name))
}

// keep replaces a file of the cache as a whole.
func (s *Source) keep(name string, xml []byte) error {
	f, err := os.CreateTemp(s.cfg.Cache, name+".*.new")
	if err != nil {
		return err
	}
	_, err = f.Write(xml)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.path(name))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

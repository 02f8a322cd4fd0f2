package trustlist

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// Where the Union changes who signs the list of the lists, or its address, before the
// Official Journal says so, it keeps the list in which it did so at an address of its own:
// a pivot. The list names its pivots, the newest first, among the addresses that tell
// about the scheme (SchemeInformationURI). The Journal's certificates sign the oldest,
// each pivot's own pointer to the list of the lists names who signs the next one, and the
// newest names who signs the list
// (https://ec.europa.eu/tools/lotl/pivot-lotl-explanation.html, chapter 4).

// maxPivots is more than the Union ever had between two notices of the Journal.
const maxPivots = 20

// errPivot is what every fault of a chain of pivots wraps, but for a signer not named.
var errPivot = errors.New("the pivots of the list of the lists do not lead to it")

// chain is how far pivots have led from the pinned certificates.
type chain struct {
	signers  []*x509.Certificate // of the next pivot, or of the list of the lists
	number   int                 // the sequence number of the last pivot; 0 before the first
	location string              // where that one says that the list is

	last   []byte // its bytes: while the list has not changed since, it is the pivot itself
	before []*x509.Certificate
}

// lead follows pivots, the oldest first. Those that come before what is pinned are passed over:
// nothing is taken from them.
func lead(pinned []*x509.Certificate, pivots [][]byte) (chain, error) {
	c := chain{signers: pinned}
	for _, xml := range pivots {
		next, err := c.follow(xml)
		switch {
		case err == nil:
			c = next
		case c.number > 0 || !errors.Is(err, ErrSigner):
			return c, fmt.Errorf("%w: after number %d: %w", errPivot, c.number, err)
		}
	}
	return c, nil
}

// follow reads one pivot. It is of the past: its own next update is over, and its signer
// is judged by the day on which it was issued.
func (c chain) follow(xml []byte) (chain, error) {
	root, err := parse(xml)
	if err != nil {
		return c, err
	}
	issued, err := time.Parse(time.RFC3339, text(root, "SchemeInformation", "ListIssueDateTime"))
	if err != nil {
		return c, ErrMalformed
	}
	l, err := readSigned(root, c.signers, issued)
	if err != nil {
		return c, err
	}
	if l.Kind != typeOfLists || !l.Issued.Equal(issued) {
		return c, ErrMalformed
	}
	if l.Sequence <= c.number {
		return c, fmt.Errorf("number %d follows number %d", l.Sequence, c.number)
	}
	next := chain{number: l.Sequence, last: xml, before: c.signers}
	for _, p := range l.Pointers {
		if p.Kind == typeOfLists && p.XML {
			next.signers, next.location = append(next.signers, p.Signers...), p.Location
		}
	}
	if len(next.signers) == 0 {
		return c, fmt.Errorf("number %d names no signers", l.Sequence)
	}
	return next, nil
}

// top reads the list of the lists itself.
func (c chain) top(xml []byte, now time.Time) (*List, error) {
	signers := c.signers
	if bytes.Equal(xml, c.last) {
		signers = c.before
	}
	l, err := readTop(xml, signers, now)
	if err != nil {
		return nil, err
	}
	if l.Sequence < c.number {
		return nil, fmt.Errorf("trustlist: %w: number %d is older than the pivot number %d", errPivot, l.Sequence, c.number)
	}
	return l, nil
}

// pivotsOf are the addresses that a list names as its pivots, the oldest first. Before
// its signature was checked they are only places to look at.
func pivotsOf(root *etree.Element) ([]string, error) {
	var list []string
	for _, e := range children(child(root, "SchemeInformation", "SchemeInformationURI"), "URI") {
		address := strings.TrimSpace(e.Text())
		if u, err := url.Parse(address); err != nil || !strings.HasSuffix(u.Path, ".xml") {
			continue // the Journal, a legal notice
		}
		if slices.Contains(list, address) {
			return nil, fmt.Errorf("%w: %s is there twice", errPivot, address)
		}
		list = append(list, address)
	}
	if len(list) > maxPivots {
		return nil, fmt.Errorf("%w: %d of them", errPivot, len(list))
	}
	slices.Reverse(list)
	return list, nil
}

// byNumber takes the lists of the lists out of some lists, the oldest first by what they
// say themselves before anything of them was checked.
func byNumber(lists [][]byte) (pivots, others [][]byte, err error) {
	numbers := map[int][]byte{}
	var order []int
	for _, xml := range lists {
		root, err := parse(xml)
		if err != nil {
			return nil, nil, fmt.Errorf("trustlist: %w", err)
		}
		if last(text(root, "SchemeInformation", "TSLType")) != typeOfLists {
			others = append(others, xml)
			continue
		}
		n, err := strconv.Atoi(text(root, "SchemeInformation", "TSLSequenceNumber"))
		if err != nil || numbers[n] != nil {
			return nil, nil, fmt.Errorf("trustlist: %w: not one number each", errPivot)
		}
		numbers[n], order = xml, append(order, n)
	}
	slices.Sort(order)
	for _, n := range order {
		pivots = append(pivots, numbers[n])
	}
	return pivots, others, nil
}

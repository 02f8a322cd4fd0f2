package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/belfry-eid/belfry/internal/eid"
)

// object is a JSON object whose members are each there once: encoding/json would take
// the last of two, and others the first.
type object map[string]json.RawMessage

var errJSON = errors.New("no JSON object whose members are each there once")

func parse(text []byte) (object, error) {
	if !utf8.Valid(text) {
		return nil, errJSON
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errJSON
	}
	found := object{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errJSON
		}
		key, ok := name.(string)
		if !ok || found.has(key) {
			return nil, errJSON
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errJSON
		}
		found[key] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errJSON
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errJSON
	}
	return found, nil
}

// has says whether a member is there; null is none.
func (o object) has(name string) bool {
	v, ok := o[name]
	return ok && string(v) != "null"
}

// text is a member that is a string. What is another type is an error, never a value.
func (o object) text(name string) (string, bool, error) {
	if !o.has(name) {
		return "", false, nil
	}
	var s string
	if err := json.Unmarshal(o[name], &s); err != nil {
		return "", false, fmt.Errorf("%s is no string", name)
	}
	return s, true, nil
}

// list is a member that is a string or a list of strings.
func (o object) list(name string) ([]string, error) {
	if !o.has(name) {
		return nil, nil
	}
	var all []string
	if json.Unmarshal(o[name], &all) == nil {
		return all, nil
	}
	one, _, err := o.text(name)
	return []string{one}, err
}

// moment is a member that is a number of seconds.
func (o object) moment(name string) (time.Time, bool, error) {
	if !o.has(name) {
		return time.Time{}, false, nil
	}
	var n json.Number
	if err := json.Unmarshal(o[name], &n); err != nil || o[name][0] == '"' {
		return time.Time{}, false, fmt.Errorf("%s is no number", name)
	}
	seconds, err := n.Float64()
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return time.Time{}, false, fmt.Errorf("%s is no time", name)
	}
	return time.Unix(int64(seconds), 0).UTC(), true, nil
}

// said is all that a source told of one person: the ID token and userinfo.
type said struct {
	id, info object // info is nil where it was not asked
	values   map[string]map[string]string
}

// claim is a text of either; where both tell it, they must agree.
func (s said) claim(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	a, inInfo, err := s.info.text(name)
	if err != nil {
		return "", err
	}
	b, inID, err := s.id.text(name)
	if err != nil {
		return "", err
	}
	if inInfo && inID && a != b {
		return "", fmt.Errorf("%s differs between ID token and userinfo", name)
	}
	if !inInfo {
		a = b
	}
	if other, ok := s.values[name][a]; ok {
		a = other
	}
	return a, nil
}

// level is the value of c's map that the source stated. Of a list, exactly one value
// may be known.
func (s said) level(r *Registration) (Level, error) {
	from := s.id
	if r.LevelClaim != "acr" && !from.has(r.LevelClaim) {
		from = s.info
	}
	stated, err := from.list(r.LevelClaim)
	if err != nil {
		return Level{}, refused("level", err)
	}
	if len(stated) == 0 {
		stated = []string{""}
	}
	var known []Level
	for _, v := range stated {
		if other, ok := s.values[r.LevelClaim][v]; ok {
			v = other
		}
		if l, ok := r.level(v); ok {
			known = append(known, l)
		}
	}
	if len(known) != 1 || (len(stated) > 1 && slices.Contains(stated, "")) {
		return Level{}, refusedf("level", "%s is %.200q", r.LevelClaim, stated)
	}
	return known[0], nil
}

// allowed says whether the person is among those that the settings require.
func (s said) allowed(r *Registration) error {
	for _, q := range r.Required {
		from := s.id
		if !from.has(q.Claim) {
			from = s.info
		}
		have, err := from.list(q.Claim)
		if err != nil {
			return refused("required", err)
		}
		if !slices.ContainsFunc(have, func(v string) bool { return slices.Contains(q.Values, v) }) {
			return notAllowed(fmt.Errorf("%s", q.Claim))
		}
	}
	return nil
}

var birthDate = regexp.MustCompile(`^[0-9]{4}-(00-00|[01][0-9]-(00|[0-3][0-9]))$`)

// person is whom the source tells of.
func (s said) person(r *Registration) (eid.Citizen, error) {
	var who eid.Citizen
	var number string
	for into, name := range map[*string]string{
		&number: r.Claims.Number, &who.GivenNames: r.Claims.GivenNames, &who.Surname: r.Claims.Surname,
		&who.BirthDate: r.Claims.BirthDate,
	} {
		value, err := s.claim(name)
		if err != nil {
			return who, refused("claims", err)
		}
		*into = strings.TrimSpace(value)
	}
	if r.Claims.Number != "" {
		var err error
		if who.Number, err = eid.ParseNationalNumber(number); err != nil {
			return who, refused("number", err)
		}
	}
	switch {
	case who.Name() == "", !eid.Printable(who.GivenNames), !eid.Printable(who.Surname):
		return who, refused("names", nil)
	case who.BirthDate != "" && !birthDate.MatchString(who.BirthDate):
		return who, refused("birth_date", nil)
	}
	return who, nil
}

package eid_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/eid"
	"pgregory.net/rapid"
)

// number makes a checksum-valid number of nine digits, for the century that starts with from.
func number(nine int, from int) string {
	n := nine
	if from == 2000 {
		n += 2_000_000_000
	}
	return fmt.Sprintf("%09d%02d", nine, 97-n%97)
}

func day(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }

func TestWhatANumberSays(t *testing.T) {
	for name, c := range map[string]struct {
		s    string
		born time.Time
		bis  bool
	}{
		"1900s":                  {number(850730033, 1900), day(1985, 7, 30), false},
		"2000s":                  {number(10503998, 2000), day(2001, 5, 3), false},
		"leap day":               {number(229001, 2000), day(2000, 2, 29), false},
		"no leap day in 1900":    {number(229001, 1900), time.Time{}, false},
		"month unknown":          {number(850000033, 1900), time.Time{}, false},
		"day unknown":            {number(850700033, 1900), time.Time{}, false},
		"counter overflow":       {number(850001033, 1900), time.Time{}, false},
		"bis, sex known":         {number(854730033, 1900), day(1985, 7, 30), true},
		"bis, sex unknown":       {number(852730033, 1900), day(1985, 7, 30), true},
		"bis of 2000s":           {number(14503998, 2000), day(2001, 5, 3), true},
		"bis, no month":          {number(854000033, 1900), time.Time{}, true},
		"specimen":               {"71715100070", time.Time{}, false},
		"impossible day":         {number(850231033, 1900), time.Time{}, false},
		"remainder 0, digits 97": {number(97*8000001, 1900), time.Time{}, false},
	} {
		n, err := eid.ParseNationalNumber(c.s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		born, known := n.BirthDate()
		if known != !c.born.IsZero() || !born.Equal(c.born) {
			t.Errorf("%s: born %v (%v), want %v", name, born, known, c.born)
		}
		if n.Bis() != c.bis {
			t.Errorf("%s: bis is %v", name, n.Bis())
		}
		if n.Reveal() != c.s || n.IsZero() {
			t.Errorf("%s: does not give back what it was made of", name)
		}
	}
}

// Whoever was born from 2000 on has a number, which a check of the first nine digits
// alone refuses: all days of these years, with the counters at both ends.
func TestPeopleBornFrom2000(t *testing.T) {
	people := 0
	for born := day(2000, 1, 1); born.Before(day(2040, 1, 1)); born = born.AddDate(0, 0, 1) {
		for _, counter := range []int{1, 997, 998} {
			nine := born.Year()%100*10_000_000 + int(born.Month())*100_000 + born.Day()*1000 + counter
			s := number(nine, 2000)
			n, err := eid.ParseNationalNumber(s)
			if err != nil {
				t.Fatalf("born on %s with counter %d: refused", born.Format(time.DateOnly), counter)
			}
			if got, known := n.BirthDate(); !known || !got.Equal(born) {
				t.Fatalf("born on %s: read as %v", born.Format(time.DateOnly), got)
			}
			if number(nine, 1900) == s {
				t.Fatal("the check digits of both centuries coincide")
			}
			people++
		}
	}
	t.Logf("%d numbers of people born from 2000 on", people)
}

func TestWhatIsNoNumber(t *testing.T) {
	good := number(850730033, 1900)
	for name, s := range map[string]string{
		"empty": "", "short": good[:10], "long": good + "0", "points": "85.07.30-033.28",
		"check digits": good[:9] + "99", "space": " " + good[1:], "other digits": "٨٥٠٧٣" + "0", "sign": "-" + good[1:],
	} {
		n, err := eid.ParseNationalNumber(s)
		if !errors.Is(err, eid.ErrNumber) || !n.IsZero() {
			t.Errorf("%s is taken for a number", name)
		}
		if s != "" && strings.Contains(err.Error(), s) {
			t.Errorf("%s: the error repeats the input", name)
		}
	}
	var none eid.NationalNumber
	if _, known := none.BirthDate(); known || none.Reveal() != "" || none.Bis() {
		t.Error("no number says something")
	}
}

// One wrong digit, or two neighbours swapped, is always noticed within a century;
// across centuries one in about ninety-seven slips through, as the rule has it.
func TestChecksumNoticesSlips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := []byte(number(rapid.IntRange(0, 999_999_999).Draw(t, "nine"), 1900))
		i := rapid.IntRange(0, 8).Draw(t, "place")
		d := byte('0' + rapid.IntRange(0, 9).Draw(t, "digit"))
		if s[i] == d {
			return
		}
		was := s[i]
		s[i] = d
		n, err := eid.ParseNationalNumber(string(s))
		if err != nil {
			return
		}
		s[i] = was
		if nine := atoi(t, n.Reveal()[:9]); number(nine, 1900) == n.Reveal() {
			t.Fatal("a wrong digit passes in the same century")
		}
	})
}

func atoi(t *rapid.T, s string) int {
	var n int
	if _, err := fmt.Sscanf(s, "%d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEqualNumbersAreTheSame(t *testing.T) {
	s := number(850730033, 1900)
	a, _ := eid.ParseNationalNumber(s)
	b, _ := eid.ParseNationalNumber(string([]byte(s)))
	c, _ := eid.ParseNationalNumber(number(850730034, 1900))
	if a != b || a == c {
		t.Error("== does not compare the digits")
	}
}

// Nothing that prints, logs or encodes shows the digits: not from a value, a
// pointer, a slice, a map key, nor from inside exported and unexported fields.
func TestNumberNeverPrintsItself(t *testing.T) {
	s := number(850730033, 1900)
	n, err := eid.ParseNationalNumber(s)
	if err != nil {
		t.Fatal(err)
	}
	type inner struct{ number eid.NationalNumber }
	type outer struct {
		Open   eid.NationalNumber
		closed eid.NationalNumber
		deep   inner
		ptr    *eid.NationalNumber
		list   []eid.NationalNumber
		byNum  map[eid.NationalNumber]string
		any    any
	}
	o := outer{n, n, inner{n}, &n, []eid.NationalNumber{n}, map[eid.NationalNumber]string{n: "x"}, n}
	var out bytes.Buffer
	for _, v := range []any{n, &n, o, &o, eid.Citizen{Number: n}, []any{n, o}, map[eid.NationalNumber]outer{n: o}, errors.Join(fmt.Errorf("%v", n))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%w", "%t", "%08.3f", "% x", "%c", "%U"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		if j, err := json.Marshal(v); err == nil {
			out.Write(j)
		}
		if x, err := xml.Marshal(v); err == nil {
			out.Write(x)
		}
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("login", "value", v, slog.Group("g", "value", v))
		}
	}
	for form, leak := range map[string]string{
		"digits":       s,
		"hex":          fmt.Sprintf("%x", s),
		"hexadecimals": fmt.Sprintf("% x", s),
		"base64":       base64.StdEncoding.EncodeToString([]byte(s))[:12],
	} {
		if strings.Contains(strings.ToLower(out.String()), strings.ToLower(leak)) {
			t.Errorf("the number leaks as %s", form)
		}
	}
	if err := json.Unmarshal([]byte(`"`+s+`"`), new(eid.NationalNumber)); err == nil {
		t.Error("a number can be decoded without its checksum")
	}
}

func TestNameOfCitizen(t *testing.T) {
	for want, c := range map[string]eid.Citizen{
		"Sofie Maria Peeters": {GivenNames: "Sofie Maria", Surname: "Peeters"},
		"Peeters":             {Surname: "Peeters"},
		"Sofie":               {GivenNames: "Sofie"},
	} {
		if c.Name() != want {
			t.Errorf("%q, want %q", c.Name(), want)
		}
	}
}

func FuzzParseNationalNumber(f *testing.F) {
	for _, s := range []string{"", "71715100070", number(850730033, 1900), number(10503998, 2000), "00000000097"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := eid.ParseNationalNumber(s)
		if (err == nil) == n.IsZero() || (err == nil && n.Reveal() != s) {
			t.Error("a number and an error, or neither")
		}
		n.BirthDate()
		n.Bis()
	})
}

// The counter of a day begins at 001 and ends at 998: a sum of noughts that comes out right
// is nobody's number.
func TestNobodysCounter(t *testing.T) {
	for _, nine := range []int{0, 850730000, 850730999, 854730000} {
		for _, from := range []int{1900, 2000} {
			if _, err := eid.ParseNationalNumber(number(nine, from)); !errors.Is(err, eid.ErrNumber) {
				t.Errorf("%09d of the %ds is taken for a number", nine, from)
			}
		}
	}
	for _, nine := range []int{850730001, 850730998} {
		if _, err := eid.ParseNationalNumber(number(nine, 1900)); err != nil {
			t.Errorf("%09d: %v", nine, err)
		}
	}
}

func TestAMaskedNumberShowsLittle(t *testing.T) {
	text := number(850730033, 1900)
	n, err := eid.ParseNationalNumber(text)
	if err != nil {
		t.Fatal(err)
	}
	masked := n.Masked()
	if digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, masked); digits != text[:2]+text[10:] {
		t.Errorf("masked: %s", masked)
	}
	if (eid.NationalNumber{}).Masked() != "" {
		t.Error("no number is masked to something")
	}
}

package pdf

import (
	"errors"
	"io"
	"slices"
	"strconv"
)

// scanner reads tokens and objects of a file through a small window.
type scanner struct {
	src   io.ReaderAt
	size  int64
	pos   int64
	buf   []byte // src from base on
	base  int64
	err   error // of src; end of file is no error
	nodes int
}

const window = 1024

func newScanner(src io.ReaderAt, size, pos int64) *scanner {
	return &scanner{src: src, size: size, pos: pos}
}

// peek returns the byte at pos+ahead; ok is false at the end of the file.
func (s *scanner) peek(ahead int64) (c byte, ok bool) {
	at := s.pos + ahead
	if i := at - s.base; i >= 0 && i < int64(len(s.buf)) {
		return s.buf[i], true
	}
	if at < 0 || at >= s.size || s.err != nil {
		return 0, false
	}
	if s.buf == nil || cap(s.buf) < window {
		s.buf = make([]byte, window)
	}
	n := min(window, s.size-at)
	got, err := s.src.ReadAt(s.buf[:n], at)
	s.buf, s.base = s.buf[:got], at
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	if got == 0 {
		if s.err == nil {
			s.err = io.ErrUnexpectedEOF
		}
		return 0, false
	}
	return s.buf[0], true
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func isDelimiter(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return true
	}
	return false
}

func isRegular(c byte) bool { return !isSpace(c) && !isDelimiter(c) }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// skip passes white space and comments.
func (s *scanner) skip() {
	for {
		c, ok := s.peek(0)
		switch {
		case !ok:
			return
		case isSpace(c):
			s.pos++
		case c == '%':
			for ok && c != '\n' && c != '\r' {
				s.pos++
				c, ok = s.peek(0)
			}
		default:
			return
		}
	}
}

// fail is the error for what stands at pos: of the source, or of the syntax.
func (s *scanner) fail(format string, args ...any) error {
	if s.err != nil {
		return s.err
	}
	return syntax(s.pos, format, args...)
}

// word reads a run of regular characters; it is cut at 64.
func (s *scanner) word() string {
	w := make([]byte, 0, 64)
	for len(w) < cap(w) {
		c, ok := s.peek(0)
		if !ok || !isRegular(c) {
			break
		}
		w = append(w, c)
		s.pos++
	}
	return string(w)
}

// keyword skips white space and takes want, or fails.
func (s *scanner) keyword(want string) error {
	s.skip()
	at := s.pos
	if got := s.word(); got != want {
		s.pos = at
		return s.fail("want %q, have %q", want, got)
	}
	return nil
}

// integer skips white space and reads a number without sign.
func (s *scanner) integer() (int64, error) {
	n, ok := s.natural()
	if !ok {
		at := s.pos
		w := s.word()
		s.pos = at
		return 0, s.fail("want a number, have %q", w)
	}
	return n, nil
}

// natural is integer for who only tries: it makes no error, which costs more than the
// reading. Where it reads none it stands at what is none.
func (s *scanner) natural() (n int64, ok bool) {
	s.skip()
	at := s.pos
	for ; s.pos-at <= 18; s.pos++ {
		c, more := s.peek(0)
		if !more || !isRegular(c) {
			return n, s.pos > at
		}
		if !isDigit(c) {
			break
		}
		n = n*10 + int64(c-'0')
	}
	s.pos = at
	return 0, false
}

// object reads one object; a stream's bytes are read by indirect only.
func (s *scanner) object(depth int) (Object, error) {
	if depth > maxDepth {
		return nil, limit("objects nested deeper than %d", maxDepth)
	}
	if s.nodes++; s.nodes > maxNodes {
		return nil, limit("more than %d values in one object", maxNodes)
	}
	s.skip()
	c, ok := s.peek(0)
	if !ok {
		return nil, s.fail("the file ends inside an object")
	}
	switch {
	case c == '/':
		return s.name()
	case c == '(':
		return s.literal()
	case c == '[':
		return s.array(depth)
	case c == '<':
		if d, _ := s.peek(1); d == '<' {
			return s.dict(depth)
		}
		return s.hex()
	case isDigit(c):
		if r, ok := s.ref(); ok {
			return r, nil
		}
		return s.number()
	case c == '+' || c == '-' || c == '.':
		return s.number()
	}
	at := s.pos
	switch w := s.word(); w {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "null":
		return nil, nil
	default:
		s.pos = at
		return nil, s.fail("no object begins with %q", w)
	}
}

// ref reads "12 0 R", or stays where it is.
func (s *scanner) ref() (Ref, bool) {
	at := s.pos
	number, ok1 := s.natural()
	generation, ok2 := int64(0), false
	if ok1 {
		generation, ok2 = s.natural()
	}
	s.skip()
	c, _ := s.peek(0)
	d, more := s.peek(1)
	if !ok1 || !ok2 || c != 'R' || (more && isRegular(d)) || number > maxNumber || generation > 65535 {
		s.pos = at
		return Ref{}, false
	}
	s.pos++
	return Ref{uint32(number), uint16(generation)}, true
}

func (s *scanner) number() (Object, error) {
	at := s.pos
	w := s.word()
	if i, err := strconv.ParseInt(w, 10, 64); err == nil {
		return Integer(i), nil
	}
	for i := range len(w) { // what ParseFloat takes beyond PDF: exponents, underscores, hexadecimal, Inf
		if c := w[i]; !isDigit(c) && c != '.' && !(i == 0 && (c == '+' || c == '-')) {
			s.pos = at
			return nil, s.fail("%q is no number", w)
		}
	}
	f, err := strconv.ParseFloat(w, 64)
	if err != nil {
		s.pos = at
		return nil, s.fail("%q is no number", w)
	}
	return Real(f), nil
}

func unhex(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func (s *scanner) name() (Object, error) {
	s.pos++ // the slash
	n := make([]byte, 0, 64)
	for {
		c, ok := s.peek(0)
		if !ok || !isRegular(c) {
			return Name(n), nil
		}
		s.pos++
		if c == '#' {
			h, _ := s.peek(0)
			l, _ := s.peek(1)
			hi, ok1 := unhex(h)
			lo, ok2 := unhex(l)
			if ok1 && ok2 {
				c = hi<<4 | lo
				s.pos += 2
			}
		}
		if n = append(n, c); len(n) > maxName {
			return nil, limit("a name longer than %d bytes", maxName)
		}
	}
}

// hexes are the values of hexadecimal digits; blank is white space, and nothing is all else.
var hexes = func() (t [256]byte) {
	for i := range t {
		t[i] = nothing
		if d, ok := unhex(byte(i)); ok {
			t[i] = d
		} else if isSpace(byte(i)) {
			t[i] = blank
		}
	}
	return t
}()

const (
	blank   = 0xfe
	nothing = 0xff
)

// hex reads a hexadecimal string, window by window: signatures are long ones.
func (s *scanner) hex() (Object, error) {
	s.pos++ // the bracket
	var out []byte
	half, have := byte(0), false
	for {
		if _, ok := s.peek(0); !ok {
			return nil, s.fail("the file ends inside a string")
		}
		for _, c := range s.buf[s.pos-s.base:] {
			s.pos++
			switch d := hexes[c]; {
			case d == blank:
			case c == '>':
				if have {
					out = append(out, half<<4)
				}
				return String(out), nil
			case d == nothing:
				return nil, s.fail("%q in a hexadecimal string", c)
			case have:
				out, have = append(out, half<<4|d), false
			default:
				half, have = d, true
			}
		}
		if len(out) > maxString {
			return nil, limit("a string longer than %d bytes", maxString)
		}
	}
}

var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f'}

func (s *scanner) literal() (Object, error) {
	s.pos++ // the parenthesis
	var out []byte
	open := 1
	for {
		c, ok := s.peek(0)
		if !ok {
			return nil, s.fail("the file ends inside a string")
		}
		s.pos++
		switch c {
		case '(':
			open++
		case ')':
			if open--; open == 0 {
				return String(out), nil
			}
		case '\r': // an end of line inside a string is one line feed
			if d, _ := s.peek(0); d == '\n' {
				s.pos++
			}
			c = '\n'
		case '\\':
			if c, ok = s.escape(); !ok {
				continue
			}
		}
		if out = append(out, c); len(out) > maxString {
			return nil, limit("a string longer than %d bytes", maxString)
		}
	}
}

// escape reads what follows a backslash; ok is false where it stands for nothing.
func (s *scanner) escape() (c byte, ok bool) {
	if c, ok = s.peek(0); !ok {
		return 0, false
	}
	s.pos++
	if e, known := escapes[c]; known {
		return e, true
	}
	switch {
	case c == '\n':
		return 0, false
	case c == '\r':
		if d, _ := s.peek(0); d == '\n' {
			s.pos++
		}
		return 0, false
	case c >= '0' && c <= '7':
		n := int(c - '0')
		for range 2 {
			d, _ := s.peek(0)
			if d < '0' || d > '7' {
				break
			}
			n = n*8 + int(d-'0')
			s.pos++
		}
		return byte(n), true // overflow is ignored, as the standard says
	}
	return c, true
}

func (s *scanner) array(depth int) (Object, error) {
	s.pos++ // the bracket
	out := Array{}
	for {
		s.skip()
		if c, _ := s.peek(0); c == ']' {
			s.pos++
			return slices.Clip(out), nil // who appends to it has an array of its own
		}
		o, err := s.object(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
}

func (s *scanner) dict(depth int) (Object, error) {
	s.pos += 2 // the brackets
	out := Dict{}
	for {
		s.skip()
		switch c, _ := s.peek(0); c {
		case '>':
			if d, _ := s.peek(1); d != '>' {
				return nil, s.fail("a dictionary ends with one bracket")
			}
			s.pos += 2
			return out, nil
		case '/':
		default:
			return nil, s.fail("a dictionary's key is a name")
		}
		key, err := s.name()
		if err != nil {
			return nil, err
		}
		value, err := s.object(depth + 1)
		if err != nil {
			return nil, err
		}
		name := key.(Name)
		if _, twice := out[name]; twice { // readers differ on which one counts
			return nil, s.fail("a dictionary has /%s twice", name)
		}
		out[name] = value
	}
}

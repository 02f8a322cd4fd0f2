package cms

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const maxNesting = 32

// fromBER rewrites one value from BER to DER as far as signers use the freedom
// of BER: lengths left open until an end mark, and octet strings in pieces. It
// returns the value and the bytes behind it. What is signed inside is DER already
// (RFC 5652, 5.4) and comes out as it went in, or the signature will not fit.
func fromBER(in []byte, depth int) (der, rest []byte, err error) {
	if depth > maxNesting {
		return nil, nil, fmt.Errorf("%w: nested deeper than %d", ErrMalformed, maxNesting)
	}
	if len(in) < 2 || in[0]&0x1f == 0x1f { // no tag above 30 belongs here
		return nil, nil, ErrMalformed
	}
	tag, open := in[0], in[1] == 0x80
	constructed := tag&0x20 != 0
	var body []byte
	switch {
	case open && !constructed:
		return nil, nil, ErrMalformed
	case open:
		body = in[2:]
	default:
		if body, rest, err = definite(in); err != nil {
			return nil, nil, err
		}
	}
	if !constructed {
		return encode(tag, body), rest, nil
	}
	var out []byte
	pieces := tag == 0x24 // an octet string in pieces
	for open || len(body) > 0 {
		if open && len(body) >= 2 && body[0] == 0 && body[1] == 0 {
			rest = body[2:]
			break
		}
		var child []byte
		if child, body, err = fromBER(body, depth+1); err != nil {
			return nil, nil, err
		}
		if pieces {
			piece := cryptobyte.String(child)
			var inner cryptobyte.String
			if !piece.ReadASN1(&inner, cbasn1.OCTET_STRING) {
				return nil, nil, ErrMalformed
			}
			child = inner
		}
		out = append(out, child...)
	}
	if pieces {
		tag = 0x04
	}
	return encode(tag, out), rest, nil
}

// definite splits a value of known length into its body and what follows.
func definite(in []byte) (body, rest []byte, err error) {
	n, at := int(in[1]), 2
	if n > 0x80 {
		digits := n & 0x7f
		if digits > 4 || len(in) < 2+digits {
			return nil, nil, ErrMalformed
		}
		n = 0
		for _, b := range in[2 : 2+digits] {
			n = n<<8 | int(b)
		}
		at += digits
	}
	if n < 0 || n > len(in)-at {
		return nil, nil, ErrMalformed
	}
	return in[at : at+n], in[at+n:], nil
}

func encode(tag byte, body []byte) []byte {
	n := len(body)
	out := []byte{tag}
	switch {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 1<<8:
		out = append(out, 0x81, byte(n))
	case n < 1<<16:
		out = append(out, 0x82, byte(n>>8), byte(n))
	case n < 1<<24:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	default:
		out = append(out, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, body...)
}

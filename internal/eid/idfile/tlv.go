package idfile

import "errors"

// maxFile bounds an identity or address file; real ones have 150 to 300 bytes.
const maxFile = 4 << 10

// fields reads a file of a card: tag, length, value, again and again. A length byte of 255
// says that 255 bytes and what the next byte says follow. Bytes of zero behind the last
// field are padding. A tag that comes twice could mean one thing here and another
// elsewhere, so it is refused; one that we do not know is kept and means nothing.
func fields(file []byte) (map[byte][]byte, error) {
	if len(file) > maxFile {
		return nil, errors.New("a file larger than any card's")
	}
	found := map[byte][]byte{}
	for at := 0; at < len(file) && !blank(file[at:]); {
		tag := file[at]
		at++
		length := 0
		for more := true; more; at++ {
			if at >= len(file) {
				return nil, errors.New("it ends inside a length")
			}
			length += int(file[at])
			more = file[at] == 0xff
		}
		if length > len(file)-at {
			return nil, errors.New("it ends inside a value")
		}
		if _, twice := found[tag]; twice {
			return nil, errors.New("a tag comes twice")
		}
		found[tag] = file[at : at+length]
		at += length
	}
	return found, nil
}

// blank says whether b is nothing but zeros.
func blank(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

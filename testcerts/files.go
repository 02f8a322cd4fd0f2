package testcerts

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // as cards of applet 1.7 hash the photo
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/p11"
)

// Files are what is written on a card beside its certificates, as the card returns it:
// the National Register's statements, which it has signed, and the photo.
type Files struct {
	Identity, IdentitySignature []byte
	Address, AddressSignature   []byte
	Photo                       []byte
	Registry                    []byte // the certificate of who signed them, DER
}

// dataObjects are the labels and groups of the official middleware.
func (f *Files) dataObjects() []struct {
	label, group string
	value        []byte
} {
	return []struct {
		label, group string
		value        []byte
	}{
		{"DATA_FILE", "id", f.Identity}, {"SIGN_DATA_FILE", "sign_data_file", f.IdentitySignature},
		{"ADDRESS_FILE", "address", f.Address}, {"SIGN_ADDRESS_FILE", "sign_address_file", f.AddressSignature},
		{"PHOTO_FILE", "photo", f.Photo}, {"CERT_RN_FILE", "rncert", f.Registry},
	}
}

// write writes the files of a card into its token.
func (c *Card) write(token *p11.Token) error {
	files, err := c.world.FilesOf(c, nil)
	if err != nil {
		return err
	}
	for _, o := range files.dataObjects() {
		if err := token.ImportData(o.label, o.group, o.value); err != nil {
			return err
		}
	}
	return nil
}

// Entry is one field of a file: its tag and its value.
type Entry struct {
	Tag   byte
	Value []byte
}

// encode is the form of a card's files: tag, length, value; a length byte of 255 says
// that 255 bytes and what the next one says follow.
func encode(entries []Entry) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		b.WriteByte(e.Tag)
		n := len(e.Value)
		for ; n >= 255; n -= 255 {
			b.WriteByte(255)
		}
		b.WriteByte(byte(n))
		b.Write(e.Value)
	}
	return b.Bytes()
}

// FilesOf makes the files of a card anew. change, where not nil, makes the last change to
// the entries of identity and address before they are signed, for wrong contents.
func (w *World) FilesOf(c *Card, change func(identity, address *[]Entry)) (*Files, error) {
	by, err := w.registry(c.Kind == Old)
	if err != nil {
		return nil, err
	}
	photo, err := portrait(c.Name)
	if err != nil {
		return nil, err
	}
	identity, address := c.identity(photo), c.address()
	if change != nil {
		change(&identity, &address)
	}
	f := &Files{Identity: encode(identity), Photo: photo, Registry: by.cert.Raw}
	// The address file has a fixed size; what is behind the fields is not signed.
	told := encode(address)
	f.Address = append(bytes.Clone(told), make([]byte, max(0, 117-len(told)))...)
	if f.IdentitySignature, err = by.sign(f.Identity); err != nil {
		return nil, err
	}
	f.AddressSignature, err = by.sign(append(bytes.Clone(bytes.TrimRight(f.Address, "\x00")), f.IdentitySignature...))
	return f, err
}

var months = map[string][]string{
	"fr": {"JAN", "FEV", "MARS", "AVR", "MAI", "JUIN", "JUIL", "AOUT", "SEPT", "OCT", "NOV", "DEC"},
	"nl": {"JAN", "FEB", "MAAR", "APR", "MEI", "JUN", "JUL", "AUG", "SEP", "OKT", "NOV", "DEC"},
	"de": {"JAN", "FEB", "MÄR", "APR", "MAI", "JUN", "JUL", "AUG", "SEP", "OKT", "NOV", "DEZ"},
}

// birth is a date as cards have it: "30 JUIL 1975", "30.JUL.1975" in German, "1992" alone.
func (p Person) birth() string {
	t, err := time.Parse(time.DateOnly, p.BirthDate)
	if err != nil {
		return strings.SplitN(p.BirthDate, "-", 2)[0]
	}
	month := months[p.Language]
	if month == nil {
		month = months["fr"]
	}
	if p.Language == "de" {
		return fmt.Sprintf("%02d.%s.%d", t.Day(), month[t.Month()-1], t.Year())
	}
	return fmt.Sprintf("%02d %s  %d", t.Day(), month[t.Month()-1], t.Year()) // with two spaces, as real ones have
}

func (p Person) nationality() string {
	if p.Foreigner {
		return map[string]string{"nl": "Andere", "de": "Andere"}[p.Language] + map[string]string{"fr": "Autre"}[p.Language]
	}
	return map[string]string{"fr": "Belge", "nl": "Belg", "de": "Belgisch"}[p.Language]
}

// documentType is tag 15.
func (c *Card) documentType() string {
	switch {
	case c.Kind == Child && c.Foreigner:
		return "61"
	case c.Kind == Child:
		return "6"
	case c.Foreigner:
		return "33"
	}
	return "1"
}

// ChipNumber is tag 2: 16 bytes, of which the last eight are the token's serial number.
func (c *Card) ChipNumber() []byte {
	serial, err := hex.DecodeString(c.Serial)
	if err != nil || len(serial) != 8 {
		panic("testcerts: serial number of a token that is not of SoftHSM")
	}
	return append([]byte("BELFRY\x00\x01"), serial...)
}

func (c *Card) identity(photo []byte) []Entry {
	from, to := c.dates()
	day := func(t time.Time) []byte { return []byte(t.Format("02.01.2006")) }
	hash := sha512.Sum384(photo)
	photoHash := hash[:]
	if c.Kind == Old {
		old := sha1.Sum(photo)
		photoHash = old[:]
	}
	names := strings.Fields(c.GivenNames)
	third := ""
	if len(names) > 2 {
		third = names[2][:1]
	}
	sex := map[bool]map[string]string{true: {"nl": "M"}, false: {"nl": "V", "de": "W"}}
	s := sex[(c.Number[8]-'0')%2 == 1][c.Language]
	if s == "" {
		s = map[bool]string{true: "M", false: "F"}[(c.Number[8]-'0')%2 == 1]
	}
	return []Entry{
		{0, []byte{0, 4}}, {1, []byte(cardNumber(c.Serial))}, {2, c.ChipNumber()}, {3, day(from)}, {4, day(to)},
		{5, []byte(placeName(c.Person))}, {6, []byte(c.Number)}, {7, []byte(c.Surname)}, {8, []byte(strings.Join(names[:min(2, len(names))], " "))},
		{9, []byte(third)}, {10, []byte(c.nationality())}, {11, []byte(placeName(c.Person))}, {12, []byte(c.birth())}, {13, []byte(s)},
		{14, nil}, {15, []byte(c.documentType())}, {16, []byte("0")}, {17, photoHash}, {18, []byte("01")}, {19, nil},
	}
}

func placeName(p Person) string {
	if p.Locality != "" {
		return p.Locality
	}
	return "Beaumarais"
}

// cardNumber is the number printed on the card: twelve digits that begin as no card's do.
func cardNumber(serial string) string {
	n, err := strconv.ParseUint(serial, 16, 64)
	if err != nil {
		n = 0
	}
	head := 9990000000 + n%10000000
	return fmt.Sprintf("%010d%02d", head, head%97)
}

func (c *Card) address() []Entry {
	street := strings.TrimSpace(c.Street + " " + c.House)
	if c.Box != "" {
		street += " /" + c.Box
	}
	return []Entry{{1, []byte(street)}, {2, []byte(c.PostalCode)}, {3, []byte(c.Locality)}}
}

// portrait is a small picture, another one for each name.
func portrait(name string) ([]byte, error) {
	sum := sha256.Sum256([]byte(name))
	img := image.NewGray(image.Rect(0, 0, 140, 200))
	for y := range 200 {
		for x := range 140 {
			img.SetGray(x, y, color.Gray{sum[(x/35+4*(y/25))%32]})
		}
	}
	var b bytes.Buffer
	err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 40})
	return b.Bytes(), err
}

// registry is the National Register as it signs what is written on cards.
type registry struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// registry makes or resumes the one of before 2021 or that of today, whose certificate the
// root itself has issued.
func (w *World) registry(old bool) (*registry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.rrn[old]; r != nil {
		return r, nil
	}
	name, root, policy := "rrn", w.RootCA, policyRegistry
	if old {
		name, root, policy = "rrn-old", w.OldRootCA, policyOldRegistry
	}
	cert, key, ok, err := w.readPair(name)
	if err != nil {
		return nil, err
	}
	if !ok {
		if key, err = newKey(old); err != nil {
			return nil, err
		}
		now := w.now()
		s := subject{country: "BE", organization: "RRN", common: "RRN"}
		cert, err = root.Issue(&x509.Certificate{
			RawSubject: s.der(), NotBefore: now.Add(-12 * year), NotAfter: now.Add(11 * year),
			KeyUsage: x509.KeyUsageDigitalSignature, Policies: []x509.OID{policy},
		}, key.Public())
		if err != nil {
			return nil, err
		}
		if err := w.writePair(name, cert, key); err != nil {
			return nil, err
		}
	}
	root.note(cert.SerialNumber)
	w.rrn[old] = &registry{cert, key}
	return w.rrn[old], nil
}

// RevokeRegistry revokes the certificate of the National Register of a kind of card until
// the world is Reset.
func (w *World) RevokeRegistry(kind Kind) error {
	r, err := w.registry(kind == Old)
	if err != nil {
		return err
	}
	root := w.RootCA
	if kind == Old {
		root = w.OldRootCA
	}
	root.revoke(r.cert, 1, false)
	return nil
}

// sign signs a file, with the hash of the certificate's own signature. The file that holds
// a signature has 256 bytes, whatever the signature's length is.
func (r *registry) sign(file []byte) ([]byte, error) {
	if key, ok := r.key.(*rsa.PrivateKey); ok {
		sum := sha256.Sum256(file)
		return rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	}
	sum := sha512.Sum384(file)
	signature, err := r.key.Sign(rand.Reader, sum[:], crypto.SHA384)
	if err != nil {
		return nil, err
	}
	return append(signature, make([]byte, 256-len(signature))...), nil
}

package pdf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the standard's key derivation before PDF 2.0
	"crypto/rc4" //nolint:gosec // likewise
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// The standard security handler (ISO 32000-1 clause 7.6, ISO 32000-2 clause 7.6): RC4 and
// AES-128 under a key made of the password, AES-256 under a random key that passwords
// open. It keeps nobody out who has the file and no password is asked for; files are read
// so that what is appended to them is encrypted as the rest is.

// method is how a crypt filter encrypts.
type method uint8

const (
	identity method = iota
	rc4Method
	aes128Method
	aes256Method
)

// crypt encrypts and decrypts the strings and streams of one file.
type crypt struct {
	dictionary       *Ref // the encryption dictionary's own object, which is not encrypted
	key              []byte
	streams, strings method
	metadata         bool // the metadata stream is encrypted too
	revision         int
	permissions      uint32
	owner            bool // opened by the owner's password: everything is allowed
}

// Bits of /P, ISO 32000-1 table 22.
const (
	mayModify   = 1 << 3
	mayAnnotate = 1 << 5
	mayFill     = 1 << 8
)

// Signable says whether the file's restrictions let somebody who opened it as we did add
// a signature field, or fill an empty one.
func (f *File) Signable(fill bool) bool {
	c := f.crypt
	if c == nil || c.owner {
		return true
	}
	if fill && c.revision >= 3 && c.permissions&mayFill != 0 {
		return true
	}
	return c.permissions&(mayModify|mayAnnotate) != 0
}

// Encrypted says whether the file is encrypted.
func (f *File) Encrypted() bool { return f.crypt != nil }

// unlock makes the file's key from a password, the user's or the owner's.
func (f *File) unlock(password string) error {
	v := f.Trailer()["Encrypt"]
	c := &crypt{metadata: true}
	if r, ok := v.(Ref); ok {
		c.dictionary = &r
	}
	d, err := f.Dict(v)
	if err != nil {
		return err
	}
	if d == nil || d["Filter"] != Name("Standard") {
		return fmt.Errorf("%w: by a handler that is not known", ErrEncrypted)
	}
	h := handler{crypt: c, dict: d, password: []byte(password)}
	if err := h.read(f); err != nil {
		return err
	}
	if err := h.open(); err != nil {
		return err
	}
	f.crypt = c
	return nil
}

// handler is the encryption dictionary while the key is looked for.
type handler struct {
	*crypt
	dict                       Dict
	password                   []byte
	o, u, oe, ue, perms, first []byte // first is the first half of the file's /ID
	version, length            int    // length of the key in bytes
}

func (h *handler) read(f *File) error {
	number := func(key Name, otherwise int) int {
		v, ok := f.Number(h.dict[key])
		if !ok {
			return otherwise
		}
		return int(int32(int64(v))) // some write the bits as an unsigned number
	}
	h.version, h.revision = number("V", 0), number("R", 0)
	h.length = number("Length", 40) / 8
	h.permissions = uint32(int32(number("P", 0)))
	for key, into := range map[Name]*[]byte{"O": &h.o, "U": &h.u, "OE": &h.oe, "UE": &h.ue, "Perms": &h.perms} {
		v, err := f.Resolve(h.dict[key])
		if err != nil {
			return err
		}
		s, _ := v.(String)
		*into = []byte(s)
	}
	if id, err := f.Array(f.Trailer()["ID"]); err == nil && len(id) > 0 {
		s, _ := id[0].(String)
		h.first = []byte(s)
	}
	if v, err := f.Resolve(h.dict["EncryptMetadata"]); err == nil && v == false {
		h.metadata = false
	}
	switch h.version {
	case 1:
		h.length, h.streams, h.strings = 5, rc4Method, rc4Method
	case 2:
		h.streams, h.strings = rc4Method, rc4Method
	case 4, 5:
		var err1, err2 error
		h.streams, err1 = h.filter(f, "StmF")
		h.strings, err2 = h.filter(f, "StrF")
		if err1 != nil || err2 != nil {
			return fmt.Errorf("%w: by a filter that is not known", ErrEncrypted)
		}
		if h.version == 4 {
			h.length = 16
		}
	default:
		return fmt.Errorf("%w: version %d of the handler", ErrEncrypted, h.version)
	}
	if h.version < 5 && (h.revision < 2 || h.revision > 4 || h.length < 5 || h.length > 16 || len(h.o) < 32 || len(h.u) < 32) {
		return fmt.Errorf("%w: by parameters that do not fit together", ErrEncrypted)
	}
	if h.version == 5 && (h.revision < 5 || h.revision > 6 || len(h.o) < 48 || len(h.u) < 48 || len(h.oe) < 32 || len(h.ue) < 32) {
		return fmt.Errorf("%w: by parameters that do not fit together", ErrEncrypted)
	}
	return nil
}

// filter is the method of a crypt filter (ISO 32000-2 table 25).
func (h *handler) filter(f *File, key Name) (method, error) {
	name, ok := h.dict[key].(Name)
	if !ok || name == "Identity" {
		return identity, nil
	}
	all, err := f.Dict(h.dict["CF"])
	if err != nil {
		return identity, err
	}
	one, err := f.Dict(all[name])
	if err != nil {
		return identity, err
	}
	known := map[Object]method{Name("None"): identity, Name("V2"): rc4Method, Name("AESV2"): aes128Method, Name("AESV3"): aes256Method}
	m, ok := known[one["CFM"]]
	if !ok || (m == aes256Method) != (h.version == 5) && m != identity {
		return identity, ErrEncrypted
	}
	return m, nil
}

// open finds the key by the password, as the owner's or as the user's.
func (h *handler) open() error {
	if h.version == 5 {
		return h.openRandom()
	}
	for _, password := range [][]byte{h.password, latin1(h.password)} { // writers differ
		if h.user(password) {
			return nil
		}
		if h.user(h.userOf(password)) {
			h.owner = true
			return nil
		}
	}
	return ErrPassword
}

// latin1 is a password in PDFDocEncoding, as far as that is Latin-1, as files before PDF
// 2.0 should have it (ISO 32000-1 algorithm 2, step a).
func latin1(password []byte) []byte {
	var out []byte
	for _, r := range string(password) {
		if r > 0xff {
			return password
		}
		out = append(out, byte(r))
	}
	return out
}

// padding fills passwords up, ISO 32000-1 algorithm 2.
var padding = []byte("\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A")

func padded(password []byte) []byte { return append(bytes.Clone(password), padding...)[:32] }

// user tries a user's password (algorithms 2, 4, 5 and 6) and keeps the key where it is right.
func (h *handler) user(password []byte) bool {
	sum := md5.New()
	sum.Write(padded(password))
	sum.Write(h.o[:32])
	sum.Write(binary.LittleEndian.AppendUint32(nil, h.permissions))
	sum.Write(h.first)
	if h.revision >= 4 && !h.metadata {
		sum.Write([]byte{0xff, 0xff, 0xff, 0xff})
	}
	key := sum.Sum(nil)
	if h.revision >= 3 {
		for range 50 {
			again := md5.Sum(key[:h.length])
			key = again[:]
		}
	}
	key = key[:h.length]
	var proof []byte
	if h.revision == 2 {
		proof = rc4Apply(key, padding)
	} else {
		sum := md5.New()
		sum.Write(padding)
		sum.Write(h.first)
		proof = rounds(key, sum.Sum(nil), true)
	}
	if subtle.ConstantTimeCompare(proof, h.u[:len(proof)]) != 1 {
		return false
	}
	h.key = key
	return true
}

// userOf is the user's password that an owner's opens (algorithm 7).
func (h *handler) userOf(password []byte) []byte {
	key := md5.Sum(padded(password))
	if h.revision == 2 {
		return rc4Apply(key[:h.length], h.o[:32])
	}
	for range 50 {
		key = md5.Sum(key[:])
	}
	return rounds(key[:h.length], h.o[:32], false)
}

// rounds are the twenty passes of RC4 of revision 3, onwards or back.
func rounds(key, data []byte, onwards bool) []byte {
	for i := range 20 {
		n := byte(i)
		if !onwards {
			n = byte(19 - i)
		}
		changed := bytes.Clone(key)
		for j := range changed {
			changed[j] ^= n
		}
		data = rc4Apply(changed, data)
	}
	return data
}

func rc4Apply(key, data []byte) []byte {
	c, err := rc4.NewCipher(key)
	if err != nil {
		return nil // a key of no length, which no handler has
	}
	out := make([]byte, len(data))
	c.XORKeyStream(out, data)
	return out
}

// openRandom opens the random key of AES-256 (ISO 32000-2 algorithm 2.A).
func (h *handler) openRandom() error {
	password := h.password[:min(len(h.password), 127)]
	try := func(entry, sealed, more []byte) []byte {
		check := h.hash(password, entry[32:40], more)
		if subtle.ConstantTimeCompare(check, entry[:32]) != 1 {
			return nil
		}
		key := make([]byte, 32)
		block, err := aes.NewCipher(h.hash(password, entry[40:48], more))
		if err != nil {
			return nil
		}
		cipher.NewCBCDecrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(key, sealed[:32])
		return key
	}
	if h.key = try(h.o, h.oe, h.u[:48]); h.key != nil {
		h.owner = true
	} else if h.key = try(h.u, h.ue, nil); h.key == nil {
		return ErrPassword
	}
	return h.checkPermissions()
}

// checkPermissions holds /P to its copy under the key (algorithm 13): otherwise whoever
// has the file could lift its restrictions by changing a number.
func (h *handler) checkPermissions() error {
	if len(h.perms) < aes.BlockSize {
		return fmt.Errorf("%w: without /Perms", ErrEncrypted)
	}
	block, err := aes.NewCipher(h.key)
	if err != nil {
		return err
	}
	plain := make([]byte, aes.BlockSize)
	block.Decrypt(plain, h.perms[:aes.BlockSize])
	if string(plain[9:12]) != "adb" || binary.LittleEndian.Uint32(plain) != h.permissions {
		return fmt.Errorf("%w: its permissions were changed", ErrEncrypted)
	}
	return nil
}

// hash is that of revision 5, or algorithm 2.B of revision 6.
func (h *handler) hash(password, salt, more []byte) []byte {
	input := bytes.Join([][]byte{password, salt, more}, nil)
	first := sha256.Sum256(input)
	k := first[:]
	if h.revision == 5 {
		return k
	}
	for i := 0; ; i++ {
		block := bytes.Repeat(bytes.Join([][]byte{password, k, more}, nil), 64)
		c, err := aes.NewCipher(k[:16])
		if err != nil {
			return nil // sixteen bytes are a key
		}
		cipher.NewCBCEncrypter(c, k[16:32]).CryptBlocks(block, block)
		sum := 0
		for _, b := range block[:16] {
			sum += int(b)
		}
		switch sum % 3 { // 256 is 1 modulo 3: the sum of the bytes is the number's rest
		case 0:
			s := sha256.Sum256(block)
			k = s[:]
		case 1:
			s := sha512.Sum384(block)
			k = s[:]
		default:
			s := sha512.Sum512(block)
			k = s[:]
		}
		if i >= 63 && int(block[len(block)-1]) <= i-31 {
			return k[:32]
		}
	}
}

// objectKey is the key of one object (ISO 32000-1 algorithm 1).
func (c *crypt) objectKey(m method, r Ref) []byte {
	if m == aes256Method {
		return c.key
	}
	b := append(bytes.Clone(c.key), byte(r.Number), byte(r.Number>>8), byte(r.Number>>16), byte(r.Generation), byte(r.Generation>>8))
	if m == aes128Method {
		b = append(b, "sAlT"...)
	}
	sum := md5.Sum(b)
	return sum[:min(len(c.key)+5, 16)]
}

// open decrypts the bytes of a string or stream.
func (c *crypt) open(m method, r Ref, data []byte) ([]byte, error) {
	switch m {
	case identity:
		return data, nil
	case rc4Method:
		return rc4Apply(c.objectKey(m, r), data), nil
	}
	if len(data) == 0 {
		return data, nil // some leave what is empty as it is
	}
	if len(data) < 2*aes.BlockSize || len(data)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%w: %d encrypted bytes are no whole blocks", ErrSyntax, len(data))
	}
	block, err := aes.NewCipher(c.objectKey(m, r))
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(data)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, data[:aes.BlockSize]).CryptBlocks(plain, data[aes.BlockSize:])
	n := int(plain[len(plain)-1])
	if n < 1 || n > aes.BlockSize {
		return nil, fmt.Errorf("%w: encrypted bytes end in no padding", ErrSyntax)
	}
	return plain[:len(plain)-n], nil
}

// seal encrypts the bytes of a string or stream. The initialization vector follows from
// the object and what is in it, so that the same update gives the same bytes.
func (c *crypt) seal(m method, r Ref, data []byte) ([]byte, error) {
	switch m {
	case identity:
		return data, nil
	case rc4Method:
		return rc4Apply(c.objectKey(m, r), data), nil
	}
	block, err := aes.NewCipher(c.objectKey(m, r))
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte(r.String()))
	mac.Write(data)
	n := aes.BlockSize - len(data)%aes.BlockSize
	out := append(mac.Sum(nil)[:aes.BlockSize], data...)
	out = append(out, bytes.Repeat([]byte{byte(n)}, n)...)
	body := out[aes.BlockSize:]
	cipher.NewCBCEncrypter(block, out[:aes.BlockSize]).CryptBlocks(body, body)
	return out, nil
}

// plain decrypts the strings of an object that stands in the file by itself, and notes
// how its stream is read. The /Contents of a signature are never encrypted.
func (c *crypt) plain(r Ref, o Object) (Object, error) {
	if c.dictionary != nil && r == *c.dictionary {
		return o, nil
	}
	switch o := o.(type) {
	case String:
		b, err := c.open(c.strings, r, []byte(o))
		return String(b), err
	case Array:
		for i := range o {
			var err error
			if o[i], err = c.plain(r, o[i]); err != nil {
				return nil, err
			}
		}
	case Dict:
		signature := o["ByteRange"] != nil || o["Type"] == Name("Sig") || o["Type"] == Name("DocTimeStamp")
		for k, v := range o {
			if signature && k == "Contents" {
				continue
			}
			p, err := c.plain(r, v)
			if err != nil {
				return nil, err
			}
			o[k] = p
		}
	case *Stream:
		if o.Dict["Type"] == Name("XRef") {
			return o, nil
		}
		if _, err := c.plain(r, o.Dict); err != nil {
			return nil, err
		}
		o.ref, o.method = r, c.methodOf(o.Dict)
	}
	return o, nil
}

// methodOf is how a stream is encrypted.
func (c *crypt) methodOf(d Dict) method {
	if !c.metadata && d["Type"] == Name("Metadata") {
		return identity
	}
	return c.streams
}

package mark

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
)

// typeface is Go Regular by Bigelow & Holmes: Latin, Greek and Cyrillic letters.
var typeface = sync.OnceValue(func() *face {
	parsed, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		panic(fmt.Sprintf("mark: the built-in typeface: %v", err))
	}
	tables, err := readTables(goregular.TTF)
	if err != nil {
		panic(fmt.Sprintf("mark: the built-in typeface: %v", err))
	}
	return &face{parsed, tables}
})

type face struct {
	*sfnt.Font
	tables map[string][]byte
}

// subset is the typeface as far as one box uses it.
type subset struct {
	face   *face
	glyphs map[rune]sfnt.GlyphIndex
}

func newSubset() *subset { return &subset{face: typeface(), glyphs: map[rune]sfnt.GlyphIndex{}} }

// glyph finds a letter, and keeps it in the subset.
func (s *subset) glyph(r rune) (sfnt.GlyphIndex, error) {
	if g, ok := s.glyphs[r]; ok {
		return g, nil
	}
	g, err := s.face.GlyphIndex(nil, r)
	if err != nil || g == 0 {
		return 0, fault.New(fault.Invalid, "mark.letter", err).With("Letter", fmt.Sprintf("%c (U+%04X)", r, r))
	}
	s.glyphs[r] = g
	return g, nil
}

// advance is a glyph's width in thousandths of an em.
func (s *subset) advance(g sfnt.GlyphIndex) int {
	units := s.face.UnitsPerEm()
	a, err := s.face.GlyphAdvance(nil, g, fixed.Int26_6(units), font.HintingNone)
	if err != nil {
		return 1000 // a wide one is never drawn over its neighbour
	}
	return (int(a)*1000 + int(units)/2) / int(units)
}

// width is that of a text in ems.
func (s *subset) width(text string) (ems float64, err error) {
	for _, r := range text {
		g, err := s.glyph(r)
		if err != nil {
			return 0, err
		}
		ems += float64(s.advance(g)) / 1000
	}
	return ems, nil
}

// codes is the text in hexadecimal, two bytes for a glyph (Identity-H).
func (s *subset) codes(text string) string {
	var b strings.Builder
	for _, r := range text {
		fmt.Fprintf(&b, "%04x", s.glyphs[r])
	}
	return b.String()
}

// add adds the font: a Type 0 font with a TrueType descendant (ISO 32000-1, 9.7).
func (s *subset) add(u *pdf.Update) pdf.Ref {
	used := slices.Sorted(maps.Values(s.glyphs))
	used = slices.Compact(used)
	program := s.program(used)
	tag := sha256.Sum256(program)
	name := make([]byte, 6)
	for i := range name {
		name[i] = 'A' + tag[i]%26
	}
	base := pdf.Name(string(name) + "+GoRegular")
	head := s.face.tables["head"]
	box := pdf.Array{}
	for i := range 4 {
		v := int(int16(binary.BigEndian.Uint16(head[36+2*i:])))
		box = append(box, pdf.Integer(v*1000/int(s.face.UnitsPerEm())))
	}
	descriptor := u.Add(pdf.Dict{
		"Type": pdf.Name("FontDescriptor"), "FontName": base, "Flags": pdf.Integer(4), "FontBBox": box,
		"ItalicAngle": pdf.Integer(0), "Ascent": pdf.Integer(944), "Descent": pdf.Integer(-211), "CapHeight": pdf.Integer(723), "StemV": pdf.Integer(80),
		"FontFile2": u.Add(pdf.Deflate(pdf.Dict{"Length1": pdf.Integer(len(program))}, program)),
	})
	widths := pdf.Array{}
	for _, g := range used {
		widths = append(widths, pdf.Integer(g), pdf.Array{pdf.Integer(s.advance(g))})
	}
	descendant := u.Add(pdf.Dict{
		"Type": pdf.Name("Font"), "Subtype": pdf.Name("CIDFontType2"), "BaseFont": base, "FontDescriptor": descriptor,
		"CIDSystemInfo": pdf.Dict{"Registry": pdf.String("Adobe"), "Ordering": pdf.String("Identity"), "Supplement": pdf.Integer(0)},
		"CIDToGIDMap":   pdf.Name("Identity"), "W": widths,
	})
	return u.Add(pdf.Dict{
		"Type": pdf.Name("Font"), "Subtype": pdf.Name("Type0"), "BaseFont": base, "Encoding": pdf.Name("Identity-H"),
		"DescendantFonts": pdf.Array{descendant}, "ToUnicode": u.Add(pdf.Deflate(pdf.Dict{}, s.toUnicode())),
	})
}

// toUnicode maps glyphs back to letters, for search and for screen readers (ISO 32000-1, 9.10.3).
func (s *subset) toUnicode() []byte {
	var b bytes.Buffer
	b.WriteString("/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n" +
		"/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n" +
		"1 begincodespacerange <0000> <FFFF> endcodespacerange\n")
	letters := map[sfnt.GlyphIndex]rune{}
	for _, r := range slices.Sorted(maps.Keys(s.glyphs)) {
		if _, ok := letters[s.glyphs[r]]; !ok {
			letters[s.glyphs[r]] = r
		}
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(letters)), 100) {
		fmt.Fprintf(&b, "%d beginbfchar\n", len(chunk))
		for _, g := range chunk {
			fmt.Fprintf(&b, "<%04X> <%04X>\n", g, letters[g]) // the typeface has no letter beyond U+FFFF
		}
		b.WriteString("endbfchar\n")
	}
	b.WriteString("endcmap CMapName currentdict /CMap defineresource pop end end\n")
	return b.Bytes()
}

// needed are the tables that a descendant font has (ISO 32000-1, 9.9).
var needed = []string{"cvt ", "fpgm", "glyf", "head", "hhea", "hmtx", "loca", "maxp", "prep"}

// program is the font file with the outlines of these glyphs and of what they are made
// of; the others are empty, so that all keep their numbers.
func (s *subset) program(used []sfnt.GlyphIndex) []byte {
	t := maps.Clone(s.face.tables)
	outlines := glyphTable(t)
	keep := map[int]bool{0: true} // the glyph for what is missing must be there
	var take func(g int)
	take = func(g int) {
		keep[g] = true
		for _, part := range parts(outlines[g]) {
			if !keep[part] {
				take(part)
			}
		}
	}
	for _, g := range used {
		take(int(g))
	}
	var glyf, loca bytes.Buffer
	for g, outline := range outlines {
		binary.Write(&loca, binary.BigEndian, uint32(glyf.Len()))
		if keep[g] {
			glyf.Write(outline)
			glyf.Write(make([]byte, -len(outline)&3))
		}
	}
	binary.Write(&loca, binary.BigEndian, uint32(glyf.Len()))
	t["glyf"], t["loca"] = glyf.Bytes(), loca.Bytes()
	head := bytes.Clone(t["head"])
	binary.BigEndian.PutUint16(head[50:], 1) // loca has four bytes for each
	t["head"] = head
	return writeTables(t)
}

// glyphTable cuts the outlines apart.
func glyphTable(t map[string][]byte) [][]byte {
	long := binary.BigEndian.Uint16(t["head"][50:]) == 1
	at := func(i int) int {
		if long {
			return int(binary.BigEndian.Uint32(t["loca"][4*i:]))
		}
		return 2 * int(binary.BigEndian.Uint16(t["loca"][2*i:]))
	}
	outlines := make([][]byte, binary.BigEndian.Uint16(t["maxp"][4:]))
	for i := range outlines {
		outlines[i] = t["glyf"][at(i):at(i+1)]
	}
	return outlines
}

// parts are the glyphs that a composite one is made of (TrueType, table glyf).
func parts(outline []byte) (list []int) {
	if len(outline) < 10 || int16(binary.BigEndian.Uint16(outline)) >= 0 {
		return nil
	}
	const words, scale, more, scaleXY, matrix = 1, 8, 32, 64, 128
	for at := 10; at+4 <= len(outline); {
		flags := binary.BigEndian.Uint16(outline[at:])
		list = append(list, int(binary.BigEndian.Uint16(outline[at+2:])))
		at += 6
		if flags&words != 0 {
			at += 2
		}
		switch {
		case flags&scale != 0:
			at += 2
		case flags&scaleXY != 0:
			at += 4
		case flags&matrix != 0:
			at += 8
		}
		if flags&more == 0 {
			break
		}
	}
	return list
}

// readTables cuts a TrueType file apart. It is only given the one built in.
func readTables(file []byte) (map[string][]byte, error) {
	t := map[string][]byte{}
	for i := range int(binary.BigEndian.Uint16(file[4:])) {
		entry := file[12+16*i:]
		at, length := binary.BigEndian.Uint32(entry[8:]), binary.BigEndian.Uint32(entry[12:])
		t[string(entry[:4])] = file[at : at+length]
	}
	for _, name := range needed {
		if t[name] == nil {
			return nil, errors.New("no table " + name)
		}
	}
	return t, nil
}

// writeTables joins the needed tables to a file.
func writeTables(t map[string][]byte) []byte {
	var head, body bytes.Buffer
	n := len(needed)
	log := bits.Len(uint(n)) - 1
	power := 1 << log
	binary.Write(&head, binary.BigEndian, uint32(0x00010000))
	binary.Write(&head, binary.BigEndian, []uint16{uint16(n), uint16(16 * power), uint16(log), uint16(16 * (n - power))})
	for _, name := range needed {
		table := t[name]
		head.WriteString(name)
		binary.Write(&head, binary.BigEndian, []uint32{checksum(table), uint32(12 + 16*n + body.Len()), uint32(len(table))})
		body.Write(table)
		body.Write(make([]byte, -len(table)&3))
	}
	return append(head.Bytes(), body.Bytes()...)
}

func checksum(table []byte) (sum uint32) {
	for i := 0; i < len(table); i += 4 {
		var word [4]byte
		copy(word[:], table[i:])
		sum += binary.BigEndian.Uint32(word[:])
	}
	return sum
}

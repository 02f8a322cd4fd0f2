package mark

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/qr"
)

// canvas writes a content stream (ISO 32000-1 annex A). Its origin is the lower left corner.
type canvas struct {
	bytes.Buffer
	font *subset
}

// row is a line of text that fits.
type row struct {
	text string
	size float64
}

// wrap breaks the lines between words, and long words where they must be.
func (c *canvas) wrap(lines []string, width float64) (rows []row, height float64, err error) {
	if width < narrowest {
		return nil, 0, fault.New(fault.Invalid, "mark.narrow", fmt.Errorf("mark: %.0f points are left for the text", width))
	}
	for i, line := range lines {
		size := textSize
		if i == 0 {
			size = headSize
		}
		broken, err := c.font.wrap(clean(line), width/size)
		if err != nil {
			return nil, 0, err
		}
		for _, text := range broken {
			rows = append(rows, row{text, size})
			height += size * leading
		}
	}
	return rows, height, nil
}

func (c *canvas) box(w, h float64) {
	const line = 0.6
	fmt.Fprintf(c, "/C cs 1 1 1 sc 0 0 %.2f %.2f re f\n", w, h)
	fmt.Fprintf(c, "/C CS 0.45 0.45 0.45 SC %.2f w %.2f %.2f %.2f %.2f re S\n", line, line/2, line/2, w-line, h-line)
}

func (c *canvas) image(x, y, w, h float64) {
	fmt.Fprintf(c, "q %.2f 0 0 %.2f %.2f %.2f cm /P Do Q\n", w, h, x, y)
}

// code draws a QR code whose upper left corner is at x, y.
func (c *canvas) code(code qr.Code, x, y float64) {
	c.WriteString("/C cs 0 0 0 sc\n")
	for _, r := range code.Runs {
		fmt.Fprintf(c, "%.2f %.2f %.2f %.2f re\n", x+float64(r.X)*module, y-float64(r.Y+1)*module, float64(r.Width)*module, module)
	}
	c.WriteString("f\n")
}

// text draws the rows from y downwards.
func (c *canvas) text(rows []row, x, y float64) {
	c.WriteString("/C cs 0 0 0 sc BT\n")
	for _, r := range rows {
		y -= r.size * leading
		fmt.Fprintf(c, "/F %.1f Tf 1 0 0 1 %.2f %.2f Tm <%s> Tj\n", r.size, x, y+r.size*(leading-1), c.font.codes(r.text))
	}
	c.WriteString("ET\n")
}

// wrap breaks text into lines of at most width ems.
func (s *subset) wrap(text string, width float64) (lines []string, err error) {
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		joined := strings.TrimSpace(line + " " + word)
		w, err := s.width(joined)
		if err != nil {
			return nil, err
		}
		if w <= width {
			line = joined
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for line = word; ; {
			head, rest, err := s.cut(line, width)
			if err != nil {
				return nil, err
			}
			if rest == "" {
				break
			}
			lines, line = append(lines, head), rest
		}
	}
	return append(lines, line), nil
}

// cut is as much of a word as fits, and the rest.
func (s *subset) cut(word string, width float64) (head, rest string, err error) {
	for i := range word {
		if i == 0 {
			continue
		}
		w, err := s.width(word[:i])
		if err != nil {
			return "", "", err
		}
		if w > width && head != "" {
			return head, word[len(head):], nil
		}
		head = word[:i]
	}
	if w, err := s.width(word); err != nil || w <= width {
		return word, "", err
	}
	return head, word[len(head):], nil
}

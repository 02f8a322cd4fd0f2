package main

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg" // pictures are PNG or JPEG
	_ "image/png"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/signing/mark"
	"github.com/belfry-eid/belfry/signing/pades"
)

// MarkSettings are the box that shows a seal on the page, [seal.mark] of a [[seal]].
// Without them nothing is seen on the page; the seal is as good.
type MarkSettings struct {
	// Text is a list of lines for each language a document may be in. {signer}, {date}
	// and {time} are filled in. A language that is not there gets a text of ours.
	Text    map[i18n.Language][]string `toml:"text"`
	Picture string                     `toml:"picture"` // PNG or JPEG file, left of the text; may be empty
	Code    string                     `toml:"code"`    // what a QR code right of it says, as a rule an address; may be empty
	Page    string                     `toml:"page"`    // "first" (where empty) or "last"
	Corner  string                     `toml:"corner"`  // "bottom-left" (where empty), "bottom-right", "top-left" or "top-right"
	Width   float64                    `toml:"width"`   // in millimetres; 70 where 0
	Margin  float64                    `toml:"margin"`  // from the edges of the page, in millimetres; 10 where 0
}

const (
	pointsPerMillimetre = 72 / 25.4
	pictureLimit        = 4 << 20 // bytes
)

// visible is what makes a box for each signature, at its time. A document that names no
// language of ours is spoken to in language. Whatever cannot be drawn is found here, not
// when something has to be sealed.
func (m *MarkSettings) visible(signer string, language i18n.Language) (func(time.Time) *pades.Visible, error) {
	if m == nil {
		return nil, nil
	}
	base, err := m.place()
	if err != nil {
		return nil, err
	}
	picture, err := m.picture()
	if err != nil {
		return nil, err
	}
	width := m.Width
	if width == 0 {
		width = 70
	}
	draw := func(l i18n.Language, at time.Time) (*mark.Drawing, error) {
		return mark.Mark{Lines: m.lines(l, signer, at), Picture: picture, QR: m.Code, Width: width * pointsPerMillimetre}.Draw()
	}
	for _, l := range i18n.Languages {
		if _, err := draw(l, time.Unix(0, 0)); err != nil {
			return nil, fmt.Errorf("text.%s: %w", l, err)
		}
	}
	return func(at time.Time) *pades.Visible {
		v := base
		v.Draw = func(tag string) (*mark.Drawing, error) {
			l, ok := i18n.Parse(tag)
			if !ok {
				l = language
			}
			return draw(l, at)
		}
		return &v
	}, nil
}

// place is where the box goes.
func (m *MarkSettings) place() (pades.Visible, error) {
	margin := m.Margin
	if margin == 0 {
		margin = 10
	}
	v := pades.Visible{Last: m.Page == "last", Margin: margin * pointsPerMillimetre}
	if m.Page != "" && m.Page != "first" && m.Page != "last" {
		return v, fmt.Errorf("page %q is neither first nor last", m.Page)
	}
	corner := m.Corner
	if corner == "" {
		corner = "bottom-left"
	}
	vertical, horizontal, _ := strings.Cut(corner, "-")
	v.Top, v.Right = vertical == "top", horizontal == "right"
	if !v.Top && vertical != "bottom" || !v.Right && horizontal != "left" {
		return v, fmt.Errorf("corner %q is none of bottom-left, bottom-right, top-left and top-right", corner)
	}
	return v, nil
}

func (m *MarkSettings) picture() (image.Image, error) {
	if m.Picture == "" {
		return nil, nil
	}
	raw, err := readLimited(m.Picture, pictureLimit)
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	size, _, err := image.DecodeConfig(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("picture: %s: neither PNG nor JPEG: %w", m.Picture, err)
	}
	if size.Width > mark.PixelsMax || size.Height > mark.PixelsMax {
		return nil, fmt.Errorf("picture: %s: %d by %d pixels, at most %[4]d by %[4]d are taken", m.Picture, size.Width, size.Height, mark.PixelsMax)
	}
	picture, _, err := image.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("picture: %s: %w", m.Picture, err)
	}
	return picture, nil
}

// lines is the text with its values.
func (m *MarkSettings) lines(l i18n.Language, signer string, at time.Time) []string {
	given := m.Text[l]
	if len(given) == 0 {
		given = []string{i18n.T(l, "mark.title"), "{signer}", i18n.T(l, "mark.when")}
	}
	values := strings.NewReplacer("{signer}", signer, "{date}", i18n.Date(l, at), "{time}", at.In(i18n.Brussels()).Format("15:04"))
	lines := make([]string, len(given))
	for i, line := range given {
		lines[i] = values.Replace(line)
	}
	return lines
}

package page

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"net/http"
)

// Bounds of a logo's file and picture.
const (
	LogoBytes  = 1 << 20
	LogoPixels = 2000 // of each side
)

// Logo is a commune's, as we serve it: drawn anew from its pixels, so that nothing of the
// file it was read from reaches a browser (threat T27).
type Logo struct {
	Width, Height int // pixels
	file          []byte
}

// ReadLogo reads a PNG file of LogoBytes and LogoPixels at most. It is for settings: errors
// are an operator's.
func ReadLogo(file []byte) (*Logo, error) {
	if len(file) > LogoBytes {
		return nil, fmt.Errorf("%d bytes; %d at most", len(file), LogoBytes)
	}
	head, err := png.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("no PNG: %w", err)
	}
	if head.Width > LogoPixels || head.Height > LogoPixels || head.Width < 1 || head.Height < 1 {
		return nil, fmt.Errorf("%d by %d pixels; %[3]d by %[3]d at most", head.Width, head.Height, LogoPixels)
	}
	read, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("a broken PNG: %w", err)
	}
	drawn := image.NewNRGBA(image.Rect(0, 0, head.Width, head.Height))
	draw.Draw(drawn, drawn.Bounds(), read, read.Bounds().Min, draw.Src)
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, drawn); err != nil {
		return nil, err
	}
	return &Logo{head.Width, head.Height, b.Bytes()}, nil
}

// LogoPath is where a commune's logo is served.
const LogoPath = "/logo.png"

// Address is LogoPath with what changes with the picture, so that browsers may keep it for ever.
func (l *Logo) Address() string { return LogoPath + "?v=" + Fingerprint(l.file) }

// ServeHTTP answers with the picture, which may be shown and do nothing.
func (l *Logo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("Content-Type", "image/png")
	if r.URL.Query().Get("v") == Fingerprint(l.file) {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Write(l.file)
}

package page_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/page"
)

func pngOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// shield is red above, clear beneath.
func shield(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h / 2 {
		for x := range w {
			m.SetNRGBA(x, y, color.NRGBA{R: 0xc0, A: 0xff})
		}
	}
	return m
}

// chunk puts a chunk of PNG behind the header of a file.
func chunk(file []byte, kind, content string) []byte {
	const header = 8 + 25
	var c []byte
	c = binary.BigEndian.AppendUint32(c, uint32(len(content)))
	c = append(c, kind+content...)
	c = binary.BigEndian.AppendUint32(c, crc32.ChecksumIEEE([]byte(kind+content)))
	return append(append(bytes.Clone(file[:header]), c...), file[header:]...)
}

// What is served has the pixels of the file and nothing else of it.
func TestALogoIsDrawnAnew(t *testing.T) {
	const hostile = "<script>alert(1)</script>"
	file := append(chunk(pngOf(t, shield(60, 40)), "tEXt", "Comment\x00"+hostile), hostile...)
	logo, err := page.ReadLogo(file)
	if err != nil {
		t.Fatal(err)
	}
	served := func(query string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		logo.ServeHTTP(w, httptest.NewRequest("GET", query, nil))
		return w
	}
	a := served(logo.Address())
	if strings.Contains(a.Body.String(), "script") || bytes.Contains(a.Body.Bytes(), []byte("tEXt")) {
		t.Error("something of the file is served")
	}
	m, err := png.Decode(a.Body)
	if err != nil || m.Bounds() != image.Rect(0, 0, 60, 40) || logo.Width != 60 || logo.Height != 40 {
		t.Fatalf("%v, %v", m.Bounds(), err)
	}
	for y, want := range map[int]color.NRGBA{5: {R: 0xc0, A: 0xff}, 30: {}} {
		if got := color.NRGBAModel.Convert(m.At(20, y)); got != want {
			t.Errorf("the pixel at %d is %v, want %v", y, got, want)
		}
	}
	if h := a.Header(); h.Get("Content-Type") != "image/png" || !strings.Contains(h.Get("Cache-Control"), "immutable") || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox; default-src 'none'") {
		t.Errorf("%v", h)
	}
	if old := served(page.LogoPath + "?v=0000"); old.Header().Get("Cache-Control") != "" {
		t.Errorf("another version is kept: %v", old.Header())
	}
	other, err := page.ReadLogo(pngOf(t, shield(60, 60)))
	if err != nil || other.Address() == logo.Address() {
		t.Errorf("another picture has the same address, %v", err)
	}
}

func TestLogosThatAreNone(t *testing.T) {
	noise := image.NewNRGBA(image.Rect(0, 0, 600, 600))
	for i := range noise.Pix {
		noise.Pix[i] = byte(rand.Uint32())
	}
	good := pngOf(t, shield(60, 40))
	var moving bytes.Buffer
	if err := gif.Encode(&moving, shield(10, 10), nil); err != nil {
		t.Fatal(err)
	}
	lying := bytes.Clone(good)
	binary.BigEndian.PutUint32(lying[16:], 0x7fffffff)
	binary.BigEndian.PutUint32(lying[29:], crc32.ChecksumIEEE(lying[12:29]))
	for name, k := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":        {nil, "no PNG"},
		"a drawing":      {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), "no PNG"},
		"a GIF":          {moving.Bytes(), "no PNG"},
		"too many bytes": {pngOf(t, noise), "1048576 at most"},
		"too wide":       {pngOf(t, image.NewGray(image.Rect(0, 0, page.LogoPixels+1, 1))), "2001 by 1 pixels"},
		"a bomb":         {lying, "2000 by 2000 at most"},
		"half a file":    {good[:len(good)-20], "a broken PNG"},
		"a flipped bit":  {append(append(bytes.Clone(good[:50]), good[50]^1), good[51:]...), "a broken PNG"},
	} {
		if _, err := page.ReadLogo(k.file); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s: %v, want %q", name, err, k.want)
		}
	}
}

func FuzzReadLogo(f *testing.F) {
	f.Add(pngOf(f, shield(8, 6)))
	f.Add([]byte("\x89PNG\r\n\x1a\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		logo, err := page.ReadLogo(file)
		if (logo == nil) == (err == nil) {
			t.Fatalf("%v, %v", logo, err)
		}
	})
}

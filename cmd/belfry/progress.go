package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress shows on a terminal how far a long piece of work is, and how long it may
// still take. Where it is not a terminal it says nothing: the report is enough.
type progress struct {
	w     io.Writer // nil: nobody looks
	total int

	mu       sync.Mutex
	begin    time.Time
	shown    time.Time
	count    int
	troubles int
}

const (
	barWidth = 30
	barEvery = 100 * time.Millisecond
)

func newProgress(f *os.File, total int) *progress {
	p := &progress{total: total, begin: time.Now()}
	if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		p.w = f
	}
	return p
}

func (p *progress) done(o outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	if o == refused || o == left {
		p.troubles++
	}
	if p.w != nil && (p.count == p.total || time.Since(p.shown) >= barEvery) {
		p.shown = time.Now()
		fmt.Fprint(p.w, "\r"+p.bar(p.shown)+"\x1b[K")
	}
}

func (p *progress) end() {
	if p.w != nil {
		fmt.Fprintln(p.w)
	}
}

// bar is the line at this moment: "[#####.....] 12 of 40, 1 with a problem, about 5s left".
func (p *progress) bar(now time.Time) string {
	full := barWidth * p.count / max(1, p.total)
	text := fmt.Sprintf("[%s%s] %d of %d", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), p.count, p.total)
	if p.troubles > 0 {
		text += fmt.Sprintf(", %d with a problem", p.troubles)
	}
	if rest := p.total - p.count; rest > 0 && p.count > 0 {
		took := now.Sub(p.begin)
		text += fmt.Sprintf(", about %v left", (took / time.Duration(p.count) * time.Duration(rest)).Round(time.Second))
	}
	return text
}

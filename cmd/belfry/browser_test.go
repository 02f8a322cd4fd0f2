package main

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// tab is a person's browser window. Every step fails the test with what the page
// showed at that moment, so that a red run can be read without running it again.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// browse opens a fresh browser of its own: no cookie of another person's is in it.
func browse(t *testing.T) *tab {
	t.Helper()
	if testing.Short() {
		t.Skip("no browser in a quick run")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		missing(t, "chromium")
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.IgnoreCertErrors,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-popup-blocking", false), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.WSURLReadTimeout(60*time.Second))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t, ctx}
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	return b
}

// missing says that a program the test needs is not installed: a failure in CI, a skip elsewhere.
func missing(t testing.TB, program string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed (make test installs it)", program)
	}
	t.Skipf("%s is not installed (make test installs it)", program)
}

// see reads something of the page within a bounded time.
func see[T any](b *tab, action chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	for try := 0; stale(err) && try < 5; try++ {
		time.Sleep(200 * time.Millisecond)
		v, err = chromedp.Run(ctx, action)
	}
	return v, err
}

func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	err := chromedp.Do(ctx, steps...)
	for try := 0; stale(err) && try < 5; try++ {
		time.Sleep(200 * time.Millisecond)
		err = chromedp.Do(ctx, steps...)
	}
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", what, err, b.state())
	}
}

// stale says whether a step met an element of a page that was on its way out: nothing
// was done then, and the next page may have it.
func stale(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "node with given id") || strings.Contains(err.Error(), "does not belong to the document"))
}

// state is what the person sees now, for a failing step.
func (b *tab) state() string {
	where, _ := see(b, chromedp.Location())
	text, _ := see(b, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	b.shot("failed")
	return "at " + where + "\n" + text
}

func (b *tab) open(address string) {
	b.t.Helper()
	b.do("open "+address, chromedp.Navigate(address), chromedp.WaitReady(chromedp.CSS("main")))
}

func (b *tab) click(css string) {
	b.t.Helper()
	b.do("click "+css, chromedp.Click(chromedp.CSS(css)))
}

func (b *tab) fill(css, value string) {
	b.t.Helper()
	quoted, _ := json.Marshal(css)
	b.do("fill "+css, chromedp.WaitVisible(chromedp.CSS(css)),
		chromedp.Evaluate[chromedp.Void](`document.querySelector(`+string(quoted)+`).value = "";0`), chromedp.SendKeys(chromedp.CSS(css), value))
}

func (b *tab) waitFor(css string) {
	b.t.Helper()
	b.do("wait for "+css, chromedp.WaitVisible(chromedp.CSS(css)))
}

func (b *tab) upload(css, file string) {
	b.t.Helper()
	b.do("upload "+file, chromedp.SetUploadFiles(chromedp.CSS(css), []string{file}))
}

func (b *tab) text(css string) string {
	b.t.Helper()
	s, err := see(b, chromedp.Text(chromedp.CSS(css)))
	if err != nil {
		b.t.Fatalf("text of %s: %v\n%s", css, err, b.state())
	}
	return strings.TrimSpace(s)
}

func (b *tab) location() string {
	b.t.Helper()
	s, err := see(b, chromedp.Location())
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// at waits until the address holds part and the page is whole: a click only begins a journey.
func (b *tab) at(part string) {
	b.t.Helper()
	quoted, _ := json.Marshal(part)
	b.until("be at "+part, `location.href.includes(`+string(quoted)+`)`)
}

// until waits for a condition in the page, which a page on its way out may answer with an error.
func (b *tab) until(what, condition string) {
	b.t.Helper()
	for range 150 {
		ok, err := see(b, chromedp.Evaluate[bool](`document.readyState === "complete" && `+condition))
		if err == nil && ok {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("%s: not within 15 seconds\n%s", what, b.state())
}

// sees waits until the page holds the text, which must come within fifteen seconds.
func (b *tab) sees(text string) {
	b.t.Helper()
	quoted, _ := json.Marshal(text)
	b.until(fmt.Sprintf("see %q", text), `document.body.innerText.includes(`+string(quoted)+`)`)
}

// newWindow runs open and returns the window that it made, whose address holds part.
func (b *tab) newWindow(part string, open func()) *tab {
	b.t.Helper()
	before := map[target.ID]bool{}
	for _, i := range b.windows() {
		before[i.TargetID] = true
	}
	open()
	for range 300 {
		for _, i := range b.windows() {
			if i.Type == "page" && !before[i.TargetID] && strings.Contains(i.URL, part) {
				ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithTargetID(i.TargetID))
				b.t.Cleanup(cancel)
				// The first step attaches: its context must live as long as the window.
				if err := chromedp.Do(ctx, chromedp.WaitReady(chromedp.CSS("main"))); err != nil {
					b.t.Fatal(err)
				}
				return &tab{b.t, ctx}
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Fatalf("no window opened\n%s", b.state())
	return nil
}

// windows lists what the browser has open.
func (b *tab) windows() []*target.Info {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	all, err := chromedp.Targets(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// front brings the window before the others: Chromium draws no hidden one.
func (b *tab) front() {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	if _, err := chromedp.Call(ctx, page.BringToFront, cdp.Empty{}); err != nil {
		b.t.Logf("the window stays behind: %v", err)
	}
}

// shot keeps a picture of the page where BELFRY_SHOTS names a folder, as make test does.
func (b *tab) shot(name string) {
	dir := os.Getenv("BELFRY_SHOTS")
	if dir == "" {
		return
	}
	b.front()
	picture, err := see(b, chromedp.FullScreenshot(75))
	if err != nil {
		b.t.Logf("no picture of %s: %v", name, err)
		return
	}
	os.MkdirAll(dir, 0o755)
	os.WriteFile(filepath.Join(dir, name+".jpg"), picture, 0o644)
}

// indexShots writes a page that shows all pictures of a folder, for a person to look at.
func indexShots(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var pictures, files []string
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".jpg", ".png":
			pictures = append(pictures, e.Name())
		case ".pdf":
			files = append(files, e.Name())
		}
	}
	f, err := os.Create(filepath.Join(dir, "index.html"))
	if err != nil {
		return err
	}
	defer f.Close()
	return shotsIndex.Execute(f, map[string][]string{"Pictures": pictures, "Files": files})
}

var shotsIndex = template.Must(template.New("index").Parse(`<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Pages seen by the tests</title>
<style>body { font: 16px/1.5 sans-serif; margin: 2rem } ul { display: flex; flex-wrap: wrap; gap: 1.5rem; list-style: none; padding: 0 }
li { width: 20rem } img { width: 100%; height: 15rem; object-fit: cover; object-position: top; border: 1px solid #888 }</style>
<h1>{{len .Pictures}} pages seen by the tests</h1>
<p>Names end in -320 (a narrow screen) and -large (letters of twice the size). Papers: {{range .Files}}<a href="{{.}}">{{.}}</a> {{end}}</p>
<ul>{{range .Pictures}}<li><a href="{{.}}"><img src="{{.}}" loading="lazy" alt="">{{.}}</a></li>
{{end}}</ul></html>
`))

// finding is one fault axe saw.
type finding struct {
	ID, Help string
	Nodes    []struct{ HTML string }
}

// accessible fails the test for each fault that axe finds on the page, for what the
// keyboard does not reach or show, and for a page that scrolls sideways at 320 px or with
// letters of twice the size. It runs on real pages only.
func (b *tab) accessible(name string) {
	b.t.Helper()
	b.adapts(name, true)
	b.walkable(name)
}

// adapts is accessible without the keyboard, which no language and no width changes. Of
// pages that others look like, it keeps a picture in one size.
func (b *tab) adapts(name string, sizes bool) {
	b.t.Helper()
	b.shot(name)
	axe, err := os.ReadFile(filepath.Join("..", "..", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		missing(b.t, "axe-core")
	}
	b.front()
	b.do("load axe", chromedp.Evaluate[chromedp.Void](string(axe)+";0"))
	found, err := see(b, chromedp.Evaluate[string](
		`axe.run(document, {runOnly: ["wcag2a","wcag2aa","wcag21a","wcag21aa","wcag22aa","best-practice"]}).then(r => JSON.stringify(r.violations))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("axe on %s: %v", name, err)
	}
	var faults []finding
	if err := json.Unmarshal([]byte(found), &faults); err != nil {
		b.t.Fatal(err)
	}
	for _, f := range faults {
		where := ""
		if len(f.Nodes) > 0 {
			where = f.Nodes[0].HTML
		}
		b.t.Errorf("%s: %s: %s: %s", name, f.ID, f.Help, where)
	}
	b.doubled(name, sizes)
	b.do("narrow", chromedp.EmulateViewport(320, 640))
	if wide, err := see(b, chromedp.Evaluate[string](sideways)); err != nil || wide != "" {
		b.t.Errorf("%s: at 320 px it scrolls sideways: %s (%v)", name, wide, err)
	}
	if sizes {
		b.shot(name + "-320")
	}
	b.do("wide again", chromedp.EmulateViewport(1280, 900))
}
